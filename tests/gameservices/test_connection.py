"""Connections to a service that are given up: what is being made, and what is open and of no more use."""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionRefusedError

from gameroom.errors import BadState
from gameroom.wire.game_service import state_to_bytes
from gameroom.wire.prefixed import framed
from tests.gameservices.fake_service import an_update, answer_to
from tests.gameservices.test_client import ClientTestCase


class AttemptTests(ClientTestCase):
    """Attempts at a connection that are cancelled."""

    def test_closed(self) -> None:
        """Closing the pool gives the attempt up at once, tells nobody of it as of a fault, and makes no other."""
        self.network.hangs = True
        answer = self.client.ask(an_update())
        [(attempt, _)] = self.network.attempts
        given_up: list[object] = []
        attempt._canceller = given_up.append
        self.successResultOf(self.client.close())
        self.assertEqual(given_up, [attempt])
        self.failureResultOf(answer, BadState)
        self.network.advance(60)
        self.assertEqual((self.network.tried, self.network.told), (1, []))
        self.assertEqual(self.network.clock.getDelayedCalls(), [])

    def test_closed_while_another_is_open(self) -> None:
        """What is open and what is being made both end, and only then nothing is left of it."""
        flying = self.client.ask(an_update())
        self.network.hangs = True
        other = self.client.ask(an_update(room_id="r2"))
        [(attempt, _)] = self.network.attempts
        closed = self.client.close()
        for each in (flying, other):
            self.failureResultOf(each, BadState)
        self.assertTrue(attempt.called)
        self.assertNoResult(closed)
        self.network.settle()
        self.successResultOf(closed)
        self.assertEqual(self.network.told, [])

    def test_by_somebody_else(self) -> None:
        """One that its endpoint has cancelled has failed like any other: the next is made, and the update goes out with that."""
        self.network.hangs = True
        answers = self.asked()
        self.network.hangs = False
        self.network.attempts[0][0].cancel()
        [(line, update)] = self.network.waiting()
        line.answer(update)
        self.assertEqual(answers, [answer_to(update)])
        self.assertEqual(self.network.tried, 2)
        self.assertEqual(len(self.network.told), 1)
        self.assertIn("cannot be reached", self.network.told[0])

    def test_nobody_waits_any_more(self) -> None:
        """Where the only one who waited has given up, the attempt goes on: it serves who comes next, who does not wait for another."""
        self.network.hangs = True
        given_up = self.client.ask(an_update())
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        answers = self.asked(2)
        [(attempt, factory)] = self.network.attempts
        self.network.let_in(attempt, factory)
        [(line, update)] = self.network.waiting()
        self.assertEqual(update.sequence, 2)
        line.answer(update)
        self.assertEqual(len(answers), 1)

    def test_refused_when_nobody_waits(self) -> None:
        """And where it comes to nothing then, no other is made for nobody."""
        self.network.hangs = True
        given_up = self.client.ask(an_update())
        given_up.cancel()
        self.failureResultOf(given_up, CancelledError)
        self.network.attempts[0][0].errback(ConnectionRefusedError())
        self.network.advance(60)
        self.assertEqual(self.network.tried, 1)


class HungUpTests(ClientTestCase):
    """Connections that were cut off, and whose other end goes on for a moment."""

    def test_late_words(self) -> None:
        """What still comes on it counts for nothing, however right it is."""
        answers = self.asked()
        [(line, update)] = self.network.waiting()
        self.network.hangs = True
        line.say(bytes(4))
        self.assertTrue(line.aborted)
        line.say(framed(state_to_bytes(answer_to(update))))
        line.say(bytes(4))
        self.assertEqual((answers, self.client.answered, len(self.network.told)), ([], False, 1))
        attempt, factory = self.network.attempts[0]
        self.network.let_in(attempt, factory)
        [(_, again)] = self.network.waiting()
        self.assertEqual(again, update)

    def test_again(self) -> None:
        """Cutting it off again is fine, and told once."""
        self.asked()
        protocol = self.network.open[0].protocol
        self.network.hangs = True
        protocol.hang_up("one reason")
        protocol.hang_up("another")
        self.assertEqual(self.network.told, ["one reason"])
        self.assertEqual(self.network.retries, 1)
