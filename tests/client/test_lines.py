"""Requests, their answers, and pushes between them."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import hypothesis.strategies as st
import orjson
from hypothesis import given
from twisted.internet.defer import CancelledError
from twisted.internet.error import ConnectionLost, ConnectionRefusedError, DNSLookupError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.lines import CLOSES_WITHIN, PATIENCE, ConnectionFailed, LineClient
from gameroom.client.stream import LONGEST
from gameroom.errors import NotFound, RateLimited, ServerError
from tests.client.links import Linked, Nowhere, scripted


class ClientCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.linked = scripted(LineClient)
        self.client: LineClient = self.linked.client
        self.script = self.linked.script
        self.lost: list[str] = []
        self.client.on_lost(self.lost.append)

    def failed(self, deferred: Any) -> str:
        """What a request failed with, as a person reads it."""
        self.linked.flush()
        return str(self.failureResultOf(deferred, ConnectionFailed).value)

    def lose(self, error: Exception) -> None:
        """The connection goes away without a word."""
        self.linked.pump.client.connectionLost(Failure(error))


class RequestTests(ClientCase):
    def test_a_request_and_its_answer(self) -> None:
        """A request is one line with type and payload, and fires with the answer's payload."""
        asked = self.client.request("GET_GAME_DETAIL", {"game_id": "a"})
        self.linked.flush()
        self.assertEqual(self.script.requests, [{"type": "GET_GAME_DETAIL", "payload": {"game_id": "a"}}])
        self.assertNoResult(asked)
        self.script.ok(name="Dots")
        self.linked.flush()
        self.assertEqual(self.successResultOf(asked), {"name": "Dots"})

    def test_token(self) -> None:
        """The token goes along once there is one."""
        self.client.token = "secret"
        self.client.request("WHOAMI").addErrback(lambda _: None)
        self.linked.flush()
        self.assertEqual(self.script.requests, [{"type": "WHOAMI", "payload": {}, "token": "secret"}])

    def test_answers_come_in_order(self) -> None:
        """Requests may be sent ahead; each has its own answer, an error too."""
        asked = [self.client.request(f"R{number}") for number in range(3)]
        self.script.ok(n=0)
        self.script.error(103, "there is none")
        self.script.ok(n=2)
        self.linked.flush()
        self.assertEqual(self.successResultOf(asked[0]), {"n": 0})
        self.assertEqual(self.failureResultOf(asked[1], NotFound).value.message, "there is none")
        self.assertEqual(self.successResultOf(asked[2]), {"n": 2})

    def test_errors_keep_their_payload(self) -> None:
        """`retry_after` and `incident` are there for whoever handles the error; a code that nobody knows is the server's fault."""
        asked = [self.client.request("R") for _ in range(3)]
        self.script.error(106, "slow down", retry_after=2.5)
        self.script.error(199, "sorry", incident="cafe")
        self.script.error(777, "what?")
        self.linked.flush()
        self.assertEqual(self.failureResultOf(asked[0], RateLimited).value.retry_after, 2.5)
        self.assertEqual(self.failureResultOf(asked[1], ServerError).value.incident, "cafe")
        self.assertEqual(self.failureResultOf(asked[2], ServerError).value.message, "what?")

    def test_an_answer_without_payload(self) -> None:
        """A payload that is left out is an empty one."""
        asked = self.client.request("PING")
        self.script.say({"status": "ok", "code": 0, "message": "ok"})
        self.linked.flush()
        self.assertEqual(self.successResultOf(asked), {})

    def test_who_does_not_wait_any_more(self) -> None:
        """A request that is cancelled keeps its place: its answer is not taken for the next one's."""
        first, second = self.client.request("A"), self.client.request("B")
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.script.ok(of="a")
        self.script.ok(of="b")
        self.linked.flush()
        self.assertEqual(self.successResultOf(second), {"of": "b"})

    def test_too_late(self) -> None:
        """A server that is silent for too long is given up; every request fails, and says so."""
        first, second = self.client.request("START_ROOM", timeout=5), self.client.request("PING", timeout=1)
        self.linked.flush()
        self.linked.clock.advance(4.9)
        self.assertNoResult(first)
        self.linked.clock.advance(0.2)
        self.assertEqual(self.failed(first), "the server has not answered START_ROOM within 5 seconds")
        self.assertIn("START_ROOM", self.failed(second))
        self.assertTrue(self.linked.pump.clientIO.aborted)
        self.assertEqual(self.lost, ["the server has not answered START_ROOM within 5 seconds"])

    def test_time_counts_from_the_former_answer(self) -> None:
        """Who waits behind a slow request is not late by that."""
        slow, quick = self.client.request("SLOW", timeout=60), self.client.request("QUICK", timeout=1)
        self.linked.clock.advance(50)
        self.script.ok()
        self.linked.flush()
        self.successResultOf(slow)
        self.linked.clock.advance(0.9)
        self.script.ok()
        self.linked.flush()
        self.successResultOf(quick)
        self.linked.clock.advance(1000)
        self.assertEqual((self.lost, self.linked.clock.getDelayedCalls()), ([], []))


class PushTests(ClientCase):
    def test_pushes_between_lines(self) -> None:
        """A push may come before, between and after answers."""
        heard: list[Any] = []
        self.client.on_push("CHAT", heard.append)
        asked = self.client.request("PING")
        self.script.push("CHAT", text="one")
        self.script.ok()
        self.script.push("CHAT", text="two")
        self.linked.flush()
        self.assertEqual((self.successResultOf(asked), heard), ({}, [{"text": "one"}, {"text": "two"}]))

    def test_unknown_pushes(self) -> None:
        """What a newer server says by itself disturbs nobody."""
        self.script.push("NEWS_OF_TOMORROW", x=1)
        self.script.say({"type": "WITHOUT_PAYLOAD"})
        asked = self.client.request("PING")
        self.script.ok()
        self.linked.flush()
        self.assertEqual((self.successResultOf(asked), self.lost), ({}, []))

    def test_stop(self) -> None:
        """Who stops hears no more, also twice, and others go on; an empty push has an empty payload."""
        mine: list[Any] = []
        others: list[Any] = []
        stop = self.client.on_push("CHAT", mine.append)
        self.client.on_push("CHAT", others.append)
        stop()
        stop()
        self.script.say({"type": "CHAT"})
        self.linked.flush()
        self.assertEqual((mine, others), ([], [{}]))

    def test_a_callback_that_fails(self) -> None:
        """It is logged, and the connection goes on."""

        def broken(payload: Any) -> None:
            raise ValueError("mine")

        self.client.on_push("CHAT", broken)
        self.script.push("CHAT")
        asked = self.client.request("PING")
        self.script.ok()
        self.linked.flush()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        self.successResultOf(asked)


class LossTests(ClientCase):
    def test_lost_while_waiting(self) -> None:
        """All that wait fail, each later request does at once, and who asks is told why, however late."""
        asked = [self.client.request("A"), self.client.request("B")]
        self.lose(ConnectionLost())
        self.assertEqual([self.failed(each) for each in asked], ["the connection was lost"] * 2)
        self.assertEqual(self.failed(self.client.request("C")), "the connection was lost")
        self.assertFalse(self.client.connected)
        self.client.on_lost(self.lost.append)
        self.assertEqual(self.lost, ["the connection was lost"] * 2)
        self.assertEqual(self.linked.clock.getDelayedCalls(), [])

    def test_the_server_closes(self) -> None:
        """With nothing under way too."""
        self.script.push("HELLO")
        self.script.transport.loseConnection()
        self.linked.flush()
        self.assertEqual(self.lost, ["the server closed the connection"])

    def test_the_server_closes_without_a_word(self) -> None:
        """As one that speaks something else does: the person is asked whether it is the right port."""
        asked = self.client.request("PING")
        self.script.transport.loseConnection()
        self.assertIn("closed the connection before it said a word; is it a gameroom", self.failed(asked))

    def test_not_told(self) -> None:
        """Who takes it back is not told."""
        told: list[str] = []
        self.client.on_lost(told.append)()
        self.lose(ConnectionLost())
        self.assertEqual((told, len(self.lost)), ([], 1))

    def test_close(self) -> None:
        """It fires once the connection is gone, and fails what waits."""
        asked = self.client.request("A")
        closed = self.client.close()
        self.assertEqual(str(self.failureResultOf(asked, ConnectionFailed).value), "the connection was closed here")
        self.assertNoResult(closed)
        self.failureResultOf(self.client.request("B"), ConnectionFailed)
        self.linked.flush()
        self.successResultOf(closed)
        self.successResultOf(self.client.close())
        self.assertEqual(self.lost, ["the connection was closed here"])
        self.assertEqual(self.linked.clock.getDelayedCalls(), [])

    def test_close_of_a_silent_server(self) -> None:
        """One that does not take the end is left."""
        self.client.close()
        self.assertFalse(self.linked.pump.clientIO.aborted)
        self.linked.clock.advance(CLOSES_WITHIN)
        self.assertTrue(self.linked.pump.clientIO.aborted)

    def test_close_within_an_answer(self) -> None:
        """Whoever closes the connection because of what it hears hears no more."""
        heard: list[Any] = []

        def leave(payload: Any) -> None:
            heard.append(payload)
            self.client.close()

        self.client.on_push("BYE", leave)
        self.script.push("BYE", n=1)
        self.script.push("BYE", n=2)
        self.linked.flush()
        self.assertEqual(heard, [{"n": 1}])

    def test_cannot_connect(self) -> None:
        """It says why, in one line."""
        for error, words in (
            (ConnectionRefusedError(), "cannot connect: the connection was refused, so nothing listens there"),
            (DNSLookupError("no\nsuch host"), "cannot connect: DNS lookup failed: no such host"),
        ):
            failure = self.failureResultOf(LineClient.connect(Nowhere(error), Clock()), ConnectionFailed)
            self.assertEqual(str(failure.value), words)

    def test_patience_is_bounded(self) -> None:
        """Nobody waits for ever where nothing was said of it."""
        asked = self.client.request("A")
        self.linked.clock.advance(PATIENCE)
        self.assertIn("within 30 seconds", self.failed(asked))


class GarbageTests(ClientCase):
    def refused(self, data: bytes) -> str:
        asked = self.client.request("A")
        self.script.raw(data)
        why = self.failed(asked)
        self.assertEqual(self.lost, [why])
        self.assertTrue(self.linked.pump.clientIO.aborted)
        return why

    def test_no_json(self) -> None:
        """Something else than a gameroom answers: the connection ends and says so."""
        self.assertIn("JSON lines", self.refused(b"HTTP/1.1 400 Bad Request\r\n\r\n"))

    def test_no_object(self) -> None:
        self.assertIn("JSON lines", self.refused(b"[1]\n"))

    def test_neither_answer_nor_push(self) -> None:
        self.assertIn("neither an answer nor a push", self.refused(b'{"hello":1}\n'))

    def test_a_push_type_that_is_no_string(self) -> None:
        self.assertIn("neither an answer nor a push", self.refused(b'{"type":[]}\n'))

    def test_half_an_answer(self) -> None:
        self.assertIn("an answer that is none", self.refused(b'{"status":"ok","payload":{}}\n'))

    def test_an_answers_payload_that_is_no_object(self) -> None:
        self.assertIn("an answer that is none", self.refused(b'{"status":"ok","code":0,"payload":[]}\n'))

    def test_a_line_without_end(self) -> None:
        """Memory is bounded, whoever the server is."""
        self.assertIn("a line of more than", self.refused(b" " * (LONGEST + 2)))

    def test_an_answer_to_nothing(self) -> None:
        """What a server says last is told as the reason."""
        self.script.error(100, "a line may have at most 16384 bytes here")
        self.linked.flush()
        self.assertEqual(self.lost, ["the server ended the connection: a line may have at most 16384 bytes here"])

    def test_nothing_is_heard_after_garbage(self) -> None:
        """What follows in the same bytes is not looked at."""
        heard: list[Any] = []
        self.client.on_push("CHAT", heard.append)
        self.script.raw(b'nonsense\n{"type":"CHAT","payload":{}}\n')
        self.linked.flush()
        self.assertEqual(heard, [])


_MESSAGES = [
    {"type": "CHAT", "payload": {"text": "héllo"}},
    {"status": "ok", "code": 0, "message": "ok", "payload": {"n": 1}},
    {"type": "OTHER", "payload": {}},
    {"type": "CHAT", "payload": {"text": "two"}},
    {"status": "ok", "code": 0, "message": "ok", "payload": {"n": 2}},
]
_STREAM = b"".join(orjson.dumps(message) + b"\r\n" for message in _MESSAGES)


class SplitTests(SynchronousTestCase):
    @given(st.lists(st.integers(0, len(_STREAM)), max_size=12))
    def test_any_split(self, places: list[int]) -> None:
        """However the bytes come, the same is heard."""
        linked: Linked = scripted(LineClient)
        heard: list[Any] = []
        linked.client.on_push("CHAT", heard.append)
        asked = [linked.client.request("A"), linked.client.request("B")]
        cuts = [0, *sorted(places), len(_STREAM)]
        for start, end in pairwise(cuts):
            linked.pump.client.dataReceived(_STREAM[start:end])
        self.assertEqual([self.successResultOf(each) for each in asked], [{"n": 1}, {"n": 2}])
        self.assertEqual(heard, [{"text": "héllo"}, {"text": "two"}])

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """Whatever comes, nothing is raised: requests are answered, wait or fail with ConnectionFailed."""
        linked: Linked = scripted(LineClient)
        asked = linked.client.request("A")
        linked.pump.client.dataReceived(data + b"\n")
        results: list[Any] = []
        asked.addBoth(results.append)
        for result in results:
            assert isinstance(result, Failure)
            assert result.check(ConnectionFailed)
