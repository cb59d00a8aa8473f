"""A player whose connection has a queue: what it asks for meanwhile, and how long it is waited for.

The machine of tests/referees/test_lockstep_machine.py came upon each of these.
"""

from __future__ import annotations

from typing import ClassVar
from unittest import mock

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.lockstep import ITERATING, LAGGING
from tests.referees.lockstep_crowd import Crowded, as_message
from tests.referees.lockstep_world import FakeConnection, RefereeCase
from tests.referees.test_lockstep_machine import Crowd


class SlowReaderTests(RefereeCase):
    """Ann's connection has all that is for it, and she has read none of it yet."""

    options: ClassVar = {"input_delay": 3}

    def queue(self) -> tuple[Crowded, FakeConnection]:
        """Ann is asked for the packet that bob waits for: that is in her queue, and what comes now is behind it."""
        self.begin()
        ann = Crowded("ann", 0, binary=False)
        ann.arrive(self.come("ann", reads=False))
        self.send("bob", 0)
        self.wait(1.1)
        assert ann.connection is not None
        ann.connection.read()
        return ann, ann.connection

    def sends(self, client: Crowded) -> list[int]:
        """A client sends its window; the generations that it sends packets for."""
        packets = client.packets()
        for packet in packets:
            late = packet.generation < len(self.lines()) - 1
            self.say(client.name, as_message(packet))
            client.went(packet, late)
        return [packet.generation for packet in packets]

    def test_asks_twice(self) -> None:
        """A late packet that is sent twice brings its master twice more, also when the first is on its way; the client does not mind."""
        ann, connection = self.queue()
        ann.take(1)
        self.turns(0, 2)
        for _ in range(2):
            ann.sent = 1
            self.assertEqual(self.sends(ann), [2])
        self.assertEqual(connection.story(), ["start"])
        connection.read_all()
        ann.take(50)
        self.assertEqual((connection.story(), ann.applied), (["start", "0-2", "2-2", "2-2"], 3))
        connection.deliver(connection.got[-1])
        self.assertRaises(AssertionError, ann.take, 1)

    def test_asks_for_history(self) -> None:
        """What is on its way as history is not given once more."""
        self.begin()
        self.turns(0, 2)
        connection = self.come("ann", reads=False)
        self.send("ann", 2)
        connection.read_all()
        self.assertEqual(connection.generations(), [0, 1, 2])

    def test_waited_for(self) -> None:
        """The play lags for as long as it takes her to read, and goes on by itself when she has."""
        ann, connection = self.queue()
        for _ in range(20):
            self.wait(1.1)
        self.assertEqual(self.room.states, [(LAGGING, ["ann"])])
        connection.read_all()
        ann.take(50)
        self.assertEqual(self.sends(ann), [0, 1, 2])
        self.assertEqual(self.room.states[1:], [(ITERATING, None)])
        self.assertEqual(connection.generations(), [0])


class SlowCrowdTests(SynchronousTestCase):
    """A restart, after which ann reads three things a turn while the others play three generations a turn, and all ask again for what they miss."""

    def in_the_end(self, *seconds: float) -> None:
        """That time passes before anybody reads or sends; then everybody plays on until all is well."""
        self.addCleanup(mock.patch.stopall)
        crowd = Crowd()
        options = {"input_delay": 3, "checksum_interval": 2, "on_divergence": "halt", "viewer_delay": 0, "patience": None, "states": None}
        crowd.begin(binary=True, sync=True, options=options)
        crowd.start_again(False, 17)
        crowd.comes(0, False, True, False)
        for some in seconds:
            crowd.time_passes(some)
        for turn in range(6):
            crowd.all_come()
            crowd.says_it_again(0)
            crowd.plays_on(3, turn % 3, True)
            crowd.time_passes(1.1)
            crowd.all_are_given_the_same()
        crowd.teardown()

    def test_asks_for_what_is_queued(self) -> None:
        """She asks twice for a master that is in her queue, and has it three times."""
        self.in_the_end(61.0, 6.0, 6.0, 61.0, 0.6, 0.6, 6.0)

    def test_never_ahead_of_her_queue(self) -> None:
        """She gets no more than what comes anew, and is well as soon as her network lets everything through."""
        self.in_the_end(61.0, 6.0, 6.0)
