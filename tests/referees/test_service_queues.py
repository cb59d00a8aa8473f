"""What members have said to services that do not answer is bounded over all rooms, and no game takes the others' room."""

from __future__ import annotations

import hypothesis.strategies as st
from hypothesis import given
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import RateLimited
from gameroom.referees.service_queues import EACH, Queues
from tests.referees.service_world import ServiceTestCase, answer


class QueuesTests(SynchronousTestCase):
    def enter(self, queues: Queues, whose: str, size: int = 0) -> Deferred[None] | None:
        """None where there was no room."""
        try:
            queues.check(whose, size)
        except RateLimited:
            return None
        done: Deferred[None] = Deferred()
        queues.enter(whose, size, done)
        return done

    def fill(self, queues: Queues, whose: str) -> int:
        """How many messages there was room for."""
        count = 0
        while self.enter(queues, whose) is not None:
            count += 1
        return count

    def test_shares(self) -> None:
        """One game has half, the next half of what is left, and there is always something left for one more."""
        queues = Queues(64 * EACH)
        self.assertEqual([self.fill(queues, whose) for whose in "aabcd"], [32, 0, 16, 8, 4])

    def test_bytes_count(self) -> None:
        """A message costs what it holds, and something beside."""
        queues = Queues(64 * EACH)
        self.assertIsNone(self.enter(queues, "a", 31 * EACH + 1))
        self.assertIsNotNone(self.enter(queues, "a", 31 * EACH))
        self.assertIsNone(self.enter(queues, "a"))

    def test_answered(self) -> None:
        """What is answered, or refused, takes no room any more, and whoever waits for it hears the same."""
        queues = Queues(4 * EACH)
        first, second = self.enter(queues, "a"), self.enter(queues, "a")
        assert first is not None
        assert second is not None
        self.assertIsNone(self.enter(queues, "a"))
        first.callback(None)
        self.assertIsNone(self.successResultOf(first))
        third = self.enter(queues, "a")
        assert third is not None
        second.errback(RateLimited("no", retry_after=1))
        self.failureResultOf(second, RateLimited)
        third.callback(None)
        self.assertEqual((queues.bytes, queues._taken), (0, {}))

    @given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3 * EACH), st.booleans()), max_size=80))
    def test_whatever_happens(self, steps: list[tuple[str, int, bool]]) -> None:
        """All together never have more than there is, and a game that has nothing yet never less room than any other has taken."""
        queues = Queues(40 * EACH)
        waiting: list[Deferred[None]] = []
        for whose, size, leaves in steps:
            if leaves and waiting:
                waiting.pop(size % len(waiting)).callback(None)
            elif (entered := self.enter(queues, whose, size)) is not None:
                waiting.append(entered)
                self.assertLessEqual(queues._taken[whose], 40 * EACH - queues.bytes)
            self.assertLess(queues.bytes, 40 * EACH)
        for each in waiting:
            each.callback(None)
        self.assertEqual((queues.bytes, queues._taken), (0, {}))


class RoomsTests(ServiceTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.queues._most = 16 * EACH
        self.start()
        self.services.play = None

    def test_full(self) -> None:
        """106 where too much waits, for messages and binary frames; with its id it is taken when the service has answered what waits."""
        for _ in range(8):
            self.ada.say("game", body=1)
        self.ada.connection.take()
        self.assertEqual(self.bert.ask("game", body=1)["code"], 106)
        self.bert.conversation.binary(b"x")
        self.assertEqual([each["code"] for each in self.bert.heard("error")], [106])
        self.services.play_on()
        self.assertEqual(self.queues.bytes, 0)
        self.assertEqual(self.bert.ask("game", body=1)["type"], "ack")

    def test_of_a_game(self) -> None:
        """The rooms of a game share: what one takes another has not."""
        for _ in range(8):
            self.queues.enter("game", 0, Deferred())
        self.assertEqual(self.ada.ask("game", body=1)["code"], 106)
        self.queues._taken["another"] = self.queues._taken.pop("game")
        self.ada.say("game", body=1)
        self.assertEqual(self.ada.heard("error"), [])

    def test_not_taken(self) -> None:
        """What the room itself refuses takes no room."""
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        bert = self.member("Bert")
        self.assertEqual(bert.ask("game", body=1)["code"], 102)
        self.assertEqual(self.queues.bytes, 0)

    def test_over(self) -> None:
        """Where the play is over nothing waits: neither what the service had nor what it had not."""
        for number in range(4):
            self.ada.say("game", id=number, body=number)
        self.assertEqual(self.queues.bytes, 4 * (EACH + 1))
        self.services.play = lambda update: answer(update, finished=None)
        self.services.play_on(self.services.play)
        self.assertEqual(self.queues.bytes, 0)
        self.start()
        self.services.play = None
        self.ada.say("game", id=11, body=1)
        self.ada.say("game", id=12, body=1)
        for name in ("Ada", "Bert"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        self.assertEqual(self.queues.bytes, 0)
