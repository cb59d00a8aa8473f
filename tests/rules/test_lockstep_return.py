"""A dropped player whose way to the room and back is longer than the window: it comes back all the same."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Past, Repeat, Terms
from gameroom.rules.master import Master
from gameroom.wire.lockstep import JSON, CommandPacket


class SlowReturnTests(SynchronousTestCase):
    """A dropped player whose packets take longer than the others' turns."""

    def returns(self, late: int, latency: float) -> list[object]:
        """Its packet comes when so many turns more are mastered than when it was sent; what follows, and of the next turn."""
        past = Past(generation=40, events=[{"dropped": 1}])
        play = Play(terms=Terms(input_delay=2), packets=JSON, seats=(0, 1), connected=(0, 1), now=0.0, past=past)
        for generation in range(40, 50):
            play.receive(0, CommandPacket(generation, 30, 60, -1, 0, b""), 1.0)
        effects = list(play.receive(1, CommandPacket(50 - late, latency, 60, -1, 0, b"[1]"), 1.0))
        effects += play.receive(0, CommandPacket(50, 30, 60, -1, 0, b""), 1.0)
        return [list(JSON.read_master(effect.data).system) if isinstance(effect, Master) else effect for effect in effects]

    def test_comes_back(self) -> None:
        """Late by no more turns than its round trip has: the next master takes it back, and its late packet is answered by its master."""
        self.assertEqual(self.returns(3, 200), [Repeat(1, 47), [{"rejoined": 1}]])

    def test_short_turns(self) -> None:
        """One turn is nothing, however short its way: the others may be as near, and play faster than they are told to."""
        self.assertEqual(self.returns(1, 5), [Repeat(1, 49), [{"rejoined": 1}]])
        self.assertEqual(self.returns(2, 5), [Repeat(1, 48), []])

    def test_still_behind(self) -> None:
        """Later than that it has not caught up, or has missed a master."""
        self.assertEqual(self.returns(5, 200), [Repeat(1, 45), []])
