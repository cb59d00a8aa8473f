"""Links to GameServers, with a GameServer that the test plays."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectingCancelledError, ConnectionRefusedError
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, Forbidden, GameroomError, RateLimited, ServerError
from gameroom.gameservers.link import CLOSE_SECONDS, FINISH_SECONDS, ServerLink
from gameroom.wire import game_port
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, Envelope
from tests.gameservers.world import ADA, TOKEN, Endpoint, Wire

DETAILS = {"round": 3}
WELCOME = game_port.encode(game_port.CONNECTED, {"details": DETAILS})
GAME_CONFIG = game_port.encode(game_port.GAME_CONFIG, {"map": "islands"})


class Taker(Protocol):
    """Takes a link, as the pipe does."""

    def __init__(self, link: ServerLink) -> None:
        self.link = link
        self.heard = b""
        self.ended = 0
        self.notes: list[str] = []
        link.on_finish = lambda: self.notes.append("finish")
        link.on_close = lambda: self.notes.append("close")

    def dataReceived(self, data: bytes) -> None:
        self.heard += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.ended += 1
        self.link.lost()


class Visit:
    """A link and what came of it."""

    def __init__(self, after: Deferred[None] | None = None) -> None:
        self.clock, self.endpoint = Clock(), Endpoint()
        self.lines: list[str] = []
        self.link = ServerLink(endpoint=self.endpoint, clock=self.clock, token=TOKEN, entrant=ADA, after=after, told=self.lines.append)
        self.results: list[Any] = []

    def open(self) -> Wire:
        self.link.open().addBoth(self.results.append)
        return self.endpoint.connected()

    def take(self) -> tuple[Wire, Taker]:
        """Open it, and take it."""
        wire = self.open()
        wire.send(WELCOME + GAME_CONFIG)
        taker = Taker(self.link)
        self.link.take(taker)
        return wire, taker

    def error(self) -> Any:
        """What opening it failed with."""
        (result,) = self.results
        assert isinstance(result, Failure)
        return result.value


class OpenTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.visit = Visit()
        self.link, self.clock = self.visit.link, self.visit.clock

    def test_what_it_says(self) -> None:
        """TYPE and CLIENT_AUTH, with the control token and no other; TCP_NODELAY and keep-alive."""
        wire = self.visit.open()
        self.assertEqual(wire.said(), [("TYPE", {"type": "client"}), ("CLIENT_AUTH", {"id": "ada", "seat": 0, "name": "Ada", "token": TOKEN})])
        self.assertEqual(wire.options, {"no_delay": True, "keep_alive": True})
        self.assertEqual(self.visit.results, [])

    def test_over_another_kind_of_transport(self) -> None:
        """Whoever embeds it may reach the GameServer in another way than by TCP."""
        self.link.open()
        factory, done = self.visit.endpoint.waiting.pop()
        protocol = factory.buildProtocol(None)
        protocol.makeConnection(StringTransport())
        done.callback(protocol)
        self.assertTrue(protocol.transport.value().startswith(b"\x01\x09\x00"))

    def test_connected(self) -> None:
        """Only `details` counts, as JSON or as Protocol Buffers."""
        full = {"room_id": "r", "game_id": "g", "version": "1.0.0", "hosting": "server", "status": "PLAYING", "seat": 7, "players": []}
        full |= {"max_players": 2, "party_code": "BCDFGH", "seat_token": "stolen"}
        for values, fields in (({}, {}), ({"details": DETAILS}, {"details": DETAILS}), ({**full, "details": {}}, {"details": {}}), (full, {})):
            for en in (JSON, PROTOBUF):
                visit = Visit()
                wire = visit.open()
                wire.send(game_port.encode(game_port.CONNECTED, values, en))
                self.assertEqual(visit.results, [fields])
                self.assertTrue(wire.paused)
                self.assertIs(visit.link.transport, wire)
                self.assertEqual(visit.clock.getDelayedCalls(), [])

    def test_connected_with_half_of_what_is_the_proxys(self) -> None:
        """All else is the proxy's to say, so it does not matter what a GameServer says there, nor whether it is whole."""
        for data, en in ((b'{"room_id":"r","seat":"first","details":{"round":3}}', JSON), (b'\n\x01rR\x0b{"round":3}', PROTOBUF)):
            visit = Visit()
            visit.open().send(Envelope(game_port.CONNECTED, data, en).to_bytes())
            self.assertEqual(visit.results, [{"details": DETAILS}])

    def test_refused_by_the_game_server(self) -> None:
        """With its own code, and on one line of 500 characters."""
        for code, kind in ((102, Forbidden), (106, RateLimited), (105, BadState), (199, ServerError), (7, ServerError)):
            visit = Visit()
            wire = visit.open()
            wire.send(game_port.encode(game_port.ERROR, {"code": code, "message": "not\r\n" + "you " * 300, "retry_after": 3.5}))
            error = visit.error()
            self.assertIs(type(error), kind)
            self.assertEqual((len(error.message), error.message[:8], visit.lines), (500, "not you ", []))
            self.assertTrue(wire.disconnecting)
        self.assertEqual(Visit.error(visit).code, 199)

    def test_how_long_to_wait(self) -> None:
        """`retry_after` of its ERROR is the client's."""
        self.visit.open().say(game_port.ERROR, code=106, message="", retry_after=3.5)
        error = self.visit.error()
        self.assertEqual((error.retry_after, error.message), (3.5, "the game's server refuses this player"))

    def test_anything_else(self) -> None:
        """Is 105 for the client, and a line for the developer."""
        anything = {
            "another version": b"\x47ET / HTTP/1.1\r\n",
            "en 3": Envelope(game_port.CONNECTED, b"{}", 3).to_bytes(),
            "raw": Envelope(game_port.CONNECTED, b"{}", RAW).to_bytes(),
            "no JSON": Envelope(game_port.CONNECTED, b"{", JSON).to_bytes(),
            "no object": Envelope(game_port.CONNECTED, b"[]", JSON).to_bytes(),
            "details of another kind": Envelope(game_port.CONNECTED, b'{"details":[]}', JSON).to_bytes(),
            "large details": Envelope(game_port.CONNECTED, b'{"details":{"a":"%s"}}' % (b"x" * 32768), JSON).to_bytes(),
            "an ERROR without a code": Envelope(game_port.ERROR, b'{"message":"no"}', JSON).to_bytes(),
            "GAME_CONFIG first": GAME_CONFIG + WELCOME,
            "PING first": Envelope(game_port.PING, b"").to_bytes() + WELCOME,
            "the game's own first": Envelope(32, b"").to_bytes(),
        }
        for what, data in anything.items():
            visit = Visit()
            wire = visit.open()
            wire.send(data)
            self.assertIs(type(visit.error()), BadState, what)
            self.assertEqual(len(visit.lines), 1, what)
            self.assertTrue(wire.disconnecting)
            gone = visit.link.gone()
            self.assertNoResult(gone)
            wire.hang_up()
            self.successResultOf(gone)
            self.assertEqual(visit.clock.getDelayedCalls(), [])

    def test_nothing(self) -> None:
        """Within 10 s, of which connecting is a part."""
        self.link.open().addBoth(self.visit.results.append)
        self.clock.advance(6)
        wire = self.visit.endpoint.connected()
        wire.send(WELCOME[:-1])
        self.clock.advance(3.9)
        self.assertEqual(self.visit.results, [])
        self.clock.advance(0.1)
        self.assertIn("did not answer within 10 s", self.visit.error().message)
        wire.send(WELCOME[-1:])
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(wire.aborted)
        wire.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_no_connection(self) -> None:
        """Refused; or none within 10 s, and then the attempt is given up."""
        self.link.open().addBoth(self.visit.results.append)
        self.visit.endpoint.refused(ConnectionRefusedError())
        self.assertEqual(self.visit.error().message, "the game's server cannot be reached; try again in a moment, or tell the game's developer")
        self.assertIn("refused", self.visit.lines[0])
        self.successResultOf(self.link.gone())
        slow = Visit()
        slow.link.open().addBoth(slow.results.append)
        slow.clock.advance(10)
        self.assertEqual((slow.endpoint.cancelled, type(slow.error())), (1, BadState))
        self.assertEqual(slow.clock.getDelayedCalls(), [])

    def test_hangs_up(self) -> None:
        """Before its first envelope is whole."""
        wire = self.visit.open()
        wire.send(WELCOME[:-1])
        wire.hang_up()
        self.assertIn("hung up", self.visit.error().message)
        self.successResultOf(self.link.gone())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_after_the_older_one(self) -> None:
        """A newer connection waits until the older one's is gone, and its 10 s begin then."""
        older = Visit()
        wire, _taker = older.take()
        newer = Visit(after=older.link.gone())
        newer.link.open().addBoth(newer.results.append)
        older.link.close()
        newer.clock.advance(30)
        self.assertEqual(newer.endpoint.waiting, [])
        wire.hang_up()
        newer.endpoint.connected().send(WELCOME)
        self.assertEqual(newer.results, [{"details": DETAILS}])

    def test_closed_while_the_older_one_goes(self) -> None:
        """What it waits for may take being cancelled for its end, as a DeferredList does: nobody is connected after that."""
        visit = Visit(after=Deferred(lambda after: after.callback(None)))
        visit.link.open().addBoth(visit.results.append)
        visit.link.close()
        self.assertIn("was closed", visit.error().message)
        self.assertEqual((visit.endpoint.waiting, visit.clock.getDelayedCalls(), visit.lines), ([], [], []))
        self.successResultOf(visit.link.gone())

    def test_closed_before(self) -> None:
        """Wherever it is on its way, its opener hears of it, and nothing is left; for the GameServer's developer that is nothing."""
        visit = Visit()
        visit.link.close()
        self.failureResultOf(visit.link.open(), BadState)
        self.successResultOf(visit.link.gone())

        visit = Visit(after=Deferred())
        visit.link.open().addBoth(visit.results.append)
        visit.link.close()
        self.assertIn("was closed", visit.error().message)
        self.successResultOf(visit.link.gone())

        visit = Visit()
        visit.link.open().addBoth(visit.results.append)
        visit.link.close()
        self.assertEqual((visit.endpoint.cancelled, type(visit.error()), visit.lines), (1, BadState, []))
        self.successResultOf(visit.link.gone())

        visit = Visit()
        wire = visit.open()
        visit.link.finish()
        self.assertIn("was closed", visit.error().message)
        self.assertTrue(wire.disconnecting)
        wire.hang_up()
        self.successResultOf(visit.link.gone())
        self.assertEqual((visit.clock.getDelayedCalls(), visit.lines), ([], []))

    def test_an_endpoint_that_is_cancelled(self) -> None:
        """Twisted's own call it by another name."""
        self.link.open().addBoth(self.visit.results.append)
        self.visit.endpoint.refused(ConnectingCancelledError(None))
        self.assertEqual((type(self.visit.error()), self.visit.lines), (CancelledError, []))

    def test_its_opener_is_cancelled(self) -> None:
        """Closes what there is."""
        opening = self.link.open()
        wire = self.visit.endpoint.connected()
        opening.cancel()
        self.failureResultOf(opening, CancelledError)
        self.assertTrue(wire.disconnecting)
        wire.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    @given(
        st.lists(st.integers(1, 30), max_size=30),
        st.sampled_from([WELCOME, game_port.encode(game_port.ERROR, {"code": 102, "message": "no"}), b"\x00"]),
    )
    def test_any_split(self, cuts: list[int], first: bytes) -> None:
        """However the bytes arrive, the same comes of them, and what is behind CONNECTED is kept."""
        data = first + GAME_CONFIG + bytes(range(256))
        whole, split = Visit(), Visit()
        whole.open().send(data)
        wire, rest = split.open(), data
        for cut in [*cuts, len(data)]:
            piece, rest = rest[:cut], rest[cut:]
            wire.send(piece)
        self.assertEqual([_told(result) for result in split.results], [_told(result) for result in whole.results])
        if first == WELCOME:
            taker = Taker(split.link)
            split.link.take(taker)
            self.assertEqual(taker.heard, data[len(first) :])

    @given(st.lists(st.binary(max_size=80), max_size=6))
    def test_any_bytes(self, pieces: list[bytes]) -> None:
        """Whatever a GameServer sends, one thing comes of it, and nothing is raised or left."""
        visit = Visit()
        wire = visit.open()
        for piece in pieces:
            wire.send(piece)
        wire.hang_up()
        self.assertIsInstance(visit.error(), GameroomError)
        self.assertEqual(visit.clock.getDelayedCalls(), [])


def _told(result: Any) -> Any:
    return (type(result.value), str(result.value)) if isinstance(result, Failure) else result


class TakeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.visit = Visit()
        self.wire, self.taker = self.visit.take()
        self.link, self.clock = self.visit.link, self.visit.clock

    def tearDown(self) -> None:
        self.wire.hang_up()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.successResultOf(self.link.gone())

    def test_taken(self) -> None:
        """What came behind CONNECTED is heard first; then the transport calls the taker itself, and is not paused any more."""
        self.assertEqual(self.taker.heard, GAME_CONFIG)
        self.assertIs(self.wire.protocol, self.taker)
        self.assertIs(self.taker.transport, self.wire)
        self.assertFalse(self.wire.paused)
        self.wire.send(b"more")
        self.assertEqual(self.taker.heard, GAME_CONFIG + b"more")

    def test_taken_by_one_alone(self) -> None:
        """Twice is a mistake, and so is too early."""
        self.assertRaises(RuntimeError, self.link.take, self.taker)
        self.assertRaises(RuntimeError, Visit().link.take, self.taker)

    def test_paused_by_its_first_bytes(self) -> None:
        """A taker whose client does not read may pause it while it hears what was kept."""

        class Slow(Taker):
            def dataReceived(self, data: bytes) -> None:
                assert self.transport is not None
                self.transport.pauseProducing()  # type: ignore[attr-defined]

        visit = Visit()
        wire = visit.open()
        wire.send(WELCOME + GAME_CONFIG)
        visit.link.take(Slow(visit.link))
        self.assertTrue(wire.paused)

    def test_behind_tls(self) -> None:
        """Where something is wrapped around the connection, that is what calls the taker."""
        link = self.visit.link
        visit = Visit()
        visit.link.open()
        factory, done = visit.endpoint.waiting.pop()
        greeting = factory.buildProtocol(None)
        wrapper = ProtocolWrapper(WrappingFactory(factory), greeting)
        wire = Wire(wrapper)
        done.callback(greeting)
        wire.send(WELCOME)
        taker = Taker(visit.link)
        visit.link.take(taker)
        wire.send(GAME_CONFIG)
        self.assertIs(visit.link.transport, wrapper)
        self.assertEqual(taker.heard, GAME_CONFIG)
        self.assertIsNot(link, visit.link)

    def test_lost_before_it_was_taken(self) -> None:
        """The taker hears what came, and that it is over."""
        visit = Visit()
        wire = visit.open()
        wire.send(WELCOME + GAME_CONFIG)
        wire.send(b"read before it was paused")
        wire.hang_up()
        self.successResultOf(visit.link.gone())
        taker = Taker(visit.link)
        visit.link.take(taker)
        self.assertEqual((taker.heard, taker.ended, visit.results), (GAME_CONFIG + b"read before it was paused", 1, [{"details": DETAILS}]))

    def test_closed_before_it_was_taken(self) -> None:
        """The member is gone, and the door takes it still: it hears that it is over."""
        visit = Visit()
        wire = visit.open()
        wire.send(WELCOME + GAME_CONFIG)
        visit.link.close()
        taker = Taker(visit.link)
        visit.link.take(taker)
        self.assertEqual((taker.heard, wire.paused, wire.disconnecting), (b"", True, True))
        wire.hang_up()
        self.assertEqual(taker.ended, 1)
        self.successResultOf(visit.link.gone())
        self.assertEqual(visit.clock.getDelayedCalls(), [])

    def test_the_game_server_hangs_up(self) -> None:
        """All who wait hear it; nobody is asked to close."""
        gone = [self.link.gone(), self.link.gone()]
        self.wire.hang_up()
        for each in gone:
            self.successResultOf(each)
        self.link.finish()
        self.link.close()
        self.assertEqual(self.taker.notes, [])

    def test_closed(self) -> None:
        """What was written has a second to be read."""
        gone = self.link.gone()
        self.wire.registerProducer(self.taker, True)
        self.link.close()
        self.link.close()
        self.assertEqual((self.taker.notes, self.wire.disconnecting, self.wire.producer), (["close"], True, None))
        self.assertNoResult(gone)
        self.clock.advance(CLOSE_SECONDS)
        self.assertTrue(self.wire.aborted)
        self.wire.hang_up()
        self.successResultOf(gone)

    def test_finished(self) -> None:
        """Our side is half-closed; what the GameServer still says is passed on for 5 s."""
        self.link.finish()
        self.link.finish()
        self.assertEqual((self.taker.notes, self.wire.half_closed, self.link.finishing), (["finish"], True, True))
        self.wire.send(b"bye")
        self.assertTrue(self.taker.heard.endswith(b"bye"))
        self.clock.advance(FINISH_SECONDS - 0.1)
        self.assertFalse(self.wire.disconnecting)
        self.clock.advance(0.1)
        self.assertEqual((self.taker.notes, self.wire.disconnecting), (["finish", "close"], True))
        self.assertFalse(self.link.finishing)

    def test_finished_and_closed(self) -> None:
        """A member who leaves meanwhile, and a taker who closes it at once."""
        self.link.finish()
        self.link.close()
        self.assertTrue(self.wire.disconnecting)
        visit = Visit()
        wire, taker = visit.take()
        visit.link.on_finish = visit.link.close
        visit.link.finish()
        self.assertEqual((taker.notes, wire.half_closed, wire.disconnecting), (["close"], False, True))

    def test_finished_and_hung_up(self) -> None:
        """The GameServer ends within its 5 s."""
        self.link.finish()
        self.wire.hang_up()
        self.assertEqual(self.taker.notes, ["finish"])
