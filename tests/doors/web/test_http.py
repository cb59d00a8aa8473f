"""gameroom.doors.web.http: what a peer may cost before it has said something sensible."""

from __future__ import annotations

from itertools import count
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.rounds import SLICE, Rounds
from tests.doors.test_rounds import Reactor
from tests.doors.web.world import Peer, Response, WebWorld, read_responses, request

LOGIN = {"username": "alice", "password": "correct horse"}


class HttpCase(SynchronousTestCase):
    """A web door and one peer."""

    def setUp(self) -> None:
        self.world = WebWorld(unauthenticated_bytes=2000, http_body_bytes=5000)
        self.addCleanup(self.world.close)
        self.peer = self.world.peer()

    def answer(self, peer: Peer | None = None) -> Response:
        [response] = read_responses((peer or self.peer).take())
        return response

    def assert_refused(self, status: int) -> None:
        """The peer has been told this as a problem document, is heard no more, and goes in a moment."""
        response = self.answer()
        self.assertEqual((response.status, response.headers["content-type"]), (status, "application/problem+json"))
        self.assertEqual((response.json["status"], response.json["code"], response.headers["connection"]), (status, 100, "close"))
        self.peer.raw(request("GET", "/rooms"))
        self.assertEqual(self.peer.take(), b"")
        self.assertFalse(self.peer.transport.disconnecting)
        self.world.clock.advance(2)
        self.assertTrue(self.peer.transport.disconnecting)
        self.world.clock.advance(1)
        self.assertTrue(self.peer.transport.aborted)


class SizeTests(HttpCase):
    """Limits on sizes."""

    def test_one_long_header(self) -> None:
        """A header line that never ends: 431, as soon as it is too long."""
        self.peer.raw(b"GET / HTTP/1.1\r\nX: ")
        for _ in range(200):
            self.peer.raw(b"x" * 100)
        self.assert_refused(431)

    def test_long_headers_together(self) -> None:
        """Headers that are too long together: 431."""
        self.peer.raw(b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: %s\r\n" % (n, b"y" * 100) for n in range(20)))
        self.assert_refused(431)

    def test_many_headers(self) -> None:
        """Too many headers: 431."""
        self.peer.raw(b"GET / HTTP/1.1\r\n" + b"A:\r\n" * 150 + b"\r\n")
        self.assert_refused(431)

    def test_long_uri(self) -> None:
        """A URI counts to the headers."""
        self.peer.raw(request("GET", "/" + "x" * 3000))
        self.assert_refused(431)

    def test_announced_body(self) -> None:
        """A body that is announced to be too long is refused before any of it has come."""
        self.peer.raw(request("POST", "/login", headers={"Content-Length": "5001"}))
        self.assert_refused(413)

    def test_announced_body_that_waits(self) -> None:
        """Who asks before sending (`Expect`) hears the refusal and not "go on"."""
        self.peer.raw(request("POST", "/login", headers={"Content-Length": "5001", "Expect": "100-continue"}))
        self.assert_refused(413)

    def test_chunked_body(self) -> None:
        """A chunked body is counted as it comes."""
        self.peer.raw(request("POST", "/login", headers={"Transfer-Encoding": "chunked"}))
        for _ in range(10):
            self.peer.raw(b"200\r\n" + b"x" * 512 + b"\r\n")
        self.assert_refused(413)

    def test_one_long_chunk(self) -> None:
        """One chunk that is too long is counted too, also where all of it comes at once with the end."""
        self.peer.raw(request("POST", "/login", headers={"Transfer-Encoding": "chunked"}) + b"2000\r\n" + b"x" * 0x2000 + b"\r\n0\r\n\r\n")
        self.assert_refused(413)

    def test_body_of_just_that_size(self) -> None:
        """The limit itself is not too long."""
        self.peer.raw(request("POST", "/login", b" " * 5000))
        self.assertEqual(self.answer().status, 400)

    def test_large_body(self) -> None:
        """A body that no longer fits memory arrives whole."""
        world = WebWorld()
        self.addCleanup(world.close)
        source = "x" * 1_000_000
        room_id = world.create(world.register("alice"), engine={"source": source, "media_type": "text/javascript"})
        self.assertEqual(world.ask("GET", f"/join/{room_id}/engine").body, source.encode())

    def test_expect(self) -> None:
        """Who asks before sending a body of good size is told to go on."""
        self.peer.raw(request("POST", "/login", headers={"Content-Length": "2", "Expect": "100-continue"}))
        self.assertEqual(self.peer.take(), b"HTTP/1.1 100 Continue\r\n\r\n")
        self.peer.raw(b"{}")
        self.assertEqual(self.answer().status, 400)


class TimeTests(HttpCase):
    """Limits on time: none of them starts anew because another byte has come."""

    def drip(self, data: bytes, seconds: float) -> float:
        """Send a byte every so often until the connection is given up; gives how long that took."""
        began = self.world.clock.seconds()
        for byte in data:
            if self.peer.transport.disconnecting:
                break
            self.peer.raw(bytes([byte]))
            self.world.clock.advance(seconds)
        return self.world.clock.seconds() - began

    def test_dripped_headers(self) -> None:
        """Headers have ten seconds in all."""
        self.assertEqual(self.drip(b"GET / HTTP/1.1\r\nX: " + b"x" * 1000, 1), 10)
        self.assertTrue(self.peer.transport.disconnecting)

    def test_silence_from_the_start(self) -> None:
        """So has a connection on which nothing comes."""
        self.world.clock.advance(9.9)
        self.assertFalse(self.peer.transport.disconnecting)
        self.world.clock.advance(0.2)
        self.assertTrue(self.peer.transport.disconnecting)

    def test_dripped_body(self) -> None:
        """A body has a minute in all."""
        self.peer.raw(request("POST", "/login", headers={"Content-Length": "1000"}))
        self.assertEqual(self.drip(b"x" * 1000, 1), 60)

    def test_idle(self) -> None:
        """Between requests a connection may be silent for a minute; the next request then has its ten seconds."""
        self.peer.raw(request("GET", "/rooms"))
        self.assertEqual(self.answer().status, 200)
        self.world.clock.advance(59)
        self.assertFalse(self.peer.transport.disconnecting)
        self.peer.raw(b"GET /ro")
        self.world.clock.advance(9)
        self.peer.raw(b"oms HTTP/1.1\r\n")
        self.assertFalse(self.peer.transport.disconnecting)
        self.world.clock.advance(1)
        self.assertTrue(self.peer.transport.disconnecting)

    def test_operators_time(self) -> None:
        """`unauthenticated_seconds` is the time for headers, and may be a fraction."""
        world = WebWorld(unauthenticated_seconds=0.5)
        self.addCleanup(world.close)
        peer = world.peer()
        world.clock.advance(0.6)
        self.assertTrue(peer.transport.disconnecting)

    def test_who_does_not_go(self) -> None:
        """A peer that does not take its end is cut."""
        self.world.clock.advance(10)
        self.assertFalse(self.peer.transport.aborted)
        self.world.clock.advance(15)
        self.assertTrue(self.peer.transport.aborted)


class ConnectionTests(HttpCase):
    """Requests on one connection, and connections of one address."""

    def test_pipelined(self) -> None:
        """Requests that come together are answered in order."""
        self.peer.raw(request("GET", "/rooms") + request("POST", "/login", LOGIN) + request("GET", "/nothing"))
        self.assertEqual([response.status for response in read_responses(self.peer.take())], [200, 401, 404])

    def test_thousands_pipelined(self) -> None:
        """Many requests that come together are answered a few at a time, so that others have their turn, and nothing is read meanwhile."""
        self.peer.raw(b"".join(request("GET", f"/nothing/{n}") for n in range(100)))
        turns: list[int] = []

        def others_turn() -> None:
            turns.append(self.peer.take().count(b"HTTP/1.1 404"))
            if not self.peer.transport.reading:
                self.world.clock.callLater(0, others_turn)

        others_turn()
        self.world.clock.advance(0)
        self.assertEqual(turns, [16, 16, 16, 16, 16, 16, 4])

    def test_many_peers(self) -> None:
        """However many pipeline however much, a round answers for some milliseconds; who asks for one thing meanwhile is the next."""
        reactor = Reactor()
        rounds = self.world.site.rounds = Rounds(reactor)
        ticks = count(1)
        rounds.seconds = lambda: next(ticks) * SLICE / 10
        peers = [self.world.peer() for _ in range(40)]
        for peer in peers:
            peer.raw(request("GET", "/nothing") * 40)
        answered = [peer.take().count(b"HTTP/1.1 404") for peer in peers]
        self.assertLess(sum(answered), 400)
        for _ in range(10):
            reactor.round()
        self.peer.raw(request("GET", "/nothing"))
        reactor.round()
        self.assertEqual(self.peer.take().count(b"HTTP/1.1 404"), 1)
        for _ in range(2000):
            reactor.round()
        answered = [before + peer.take().count(b"HTTP/1.1 404") for before, peer in zip(answered, peers, strict=True)]
        self.assertEqual((set(answered), reactor.next), ({40}, []))

    def test_pipelined_by_one_who_does_not_read(self) -> None:
        """A turn does not begin before the peer takes answers again, and that it does is no turn."""
        self.peer.raw(b"".join(request("GET", "/nothing") for _ in range(40)))
        channel = self.peer.transport.protocol
        channel.pauseProducing()
        self.world.clock.advance(0)
        self.assertEqual(self.peer.take().count(b"HTTP/1.1 404"), 16)
        channel.resumeProducing()
        self.assertEqual(self.peer.take().count(b"HTTP/1.1 404"), 16)
        channel.resumeProducing()
        self.assertEqual((self.peer.take(), self.peer.transport.reading), (b"", False))
        self.world.clock.advance(0)
        self.assertEqual((self.peer.take().count(b"HTTP/1.1 404"), self.peer.transport.reading), (8, True))

    def test_gone_between_turns(self) -> None:
        """A peer that leaves while others have their turn is not come back to."""
        self.peer.raw(b"".join(request("GET", "/nothing") for _ in range(40)))
        self.peer.take()
        self.peer.lose()
        self.world.clock.advance(1)
        self.assertEqual(self.peer.take(), b"")

    def test_per_address(self) -> None:
        """An address has so many connections; one that is over makes room."""
        world = WebWorld(connections_per_address=2)
        self.addCleanup(world.close)
        first, second = world.peer(), world.peer()
        self.assertFalse(second.refused)
        self.assertTrue(world.peer().refused)
        self.assertFalse(world.peer("192.0.2.2").refused)
        first.lose()
        self.assertFalse(world.peer().refused)

    def test_counted(self) -> None:
        """Open connections are counted for the operator."""
        self.assertIn(b'gameroom_connections{door="web"} 1.0', self.world.metrics.render())
        self.peer.lose()
        self.assertIn(b'gameroom_connections{door="web"} 0.0', self.world.metrics.render())

    def test_gone_before_the_answer(self) -> None:
        """A peer that does not wait for its answer leaves no error behind, and its deed is done."""
        register = self.world.accounts.register

        def lose_and_register(*args: Any) -> Any:
            self.peer.lose()
            return register(*args)

        self.patch(self.world.accounts, "register", lose_and_register)
        self.peer.raw(request("POST", "/register", LOGIN))
        self.assertEqual((self.flushLoggedErrors(), self.peer.take()), ([], b""))
        self.assertEqual(self.world.ask("POST", "/login", LOGIN).status, 200)

    @given(st.binary(max_size=300), st.lists(st.integers(1, 40), max_size=8))
    def test_garbage(self, data: bytes, sizes: list[int]) -> None:
        """No bytes, however they are cut, raise anything."""
        peer = self.world.peer("192.0.2.77")
        for size in [*sizes, len(data)]:
            if not peer.transport.disconnecting:
                peer.raw(data[:size])
            data = data[size:]
        peer.lose()
        self.assertEqual(self.flushLoggedErrors(), [])

    @given(
        st.lists(
            st.sampled_from(
                [
                    b"GET ",
                    b"POST ",
                    b"/join",
                    b"/",
                    b"?",
                    b"game_id=",
                    b" HTTP/1.1",
                    b"\r\n",
                    b"\n",
                    b"Host: a",
                    b"X: ",
                    b":",
                    b"\0",
                    b"Content-Length: 5",
                    b"Transfer-Encoding: chunked",
                    b"5\r\n",
                    b"hello",
                    b"0\r\n",
                    b"%00",
                    b"\xff",
                    b" ",
                ]
            ),
            max_size=30,
        )
    )
    def test_nearly_http(self, parts: list[bytes]) -> None:
        """Nor do bytes that are nearly requests."""
        peer = self.world.peer("192.0.2.78")
        for part in parts:
            if not peer.transport.disconnecting:
                peer.raw(part)
        peer.lose()
        self.assertEqual(self.flushLoggedErrors(), [])
