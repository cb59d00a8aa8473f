"""AuthProxy alone: whom it lets where, what it tells the server and the client, and what becomes of those whom it does not."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import CancelledError, Deferred, fail
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.doors.authproxy import AuthProxyFactory, Destination, Participant
from gameroom.errors import BadState, Unauthorized
from gameroom.gameservers.link import WITHIN
from gameroom.settings import Limits
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, EnvelopeReader, to_bytes
from tests.doors.pipes import LOST, Endpoint, Transport

TICKET = "a ticket that only the proxy is to see"


@implementer(IStreamClientEndpoint)
class Nowhere:
    def connect(self, protocolFactory: Any) -> Deferred[Any]:
        return fail(ConnectionRefusedError())


def heard(transport: Transport) -> list[tuple[int, dict[str, Any]]]:
    """The envelopes that were written here since it was last asked."""
    reader = EnvelopeReader()
    reader.feed(transport.value())
    transport.clear()
    found = []
    while (envelope := reader.next()) is not None:
        found.append((envelope.type, wire.decode(envelope)))
    assert reader.rest() == b""
    return found


class AuthProxyCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.server = Transport()
        self.asked: list[str] = []
        self.answer: Any = self.destination()
        self.limits = Limits()
        self.proxy = AuthProxyFactory(determine=self.determine, clock=self.clock, limits=lambda: self.limits)
        self.client = self.connect()

    def determine(self, id: str) -> Any:
        self.asked.append(id)
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def destination(self, **known: Any) -> Destination:
        usual: dict[str, Any] = {"endpoint": Endpoint(self.server), "token": "secret", "id": "ada", "room_id": "red", "seat": 2, "name": "Ada"}
        return Destination(**usual | known)

    def connect(self) -> Transport:
        transport = Transport()
        protocol = self.proxy.buildProtocol(None)
        assert protocol is not None
        transport.protocol = protocol
        protocol.makeConnection(transport)
        return transport

    def auth(self, id: str = TICKET, en: int = JSON) -> None:
        self.client.comes(wire.encode(wire.AUTH, {"id": id}, en))

    def code(self) -> int:
        """Of the only thing that the client was told, which is an error."""
        [(type_, error)] = heard(self.client)
        self.assertEqual(type_, wire.ERROR)
        return int(error["code"])


class LetInTests(AuthProxyCase):
    def test_what_each_is_told(self) -> None:
        """The server hears what the destination says and nothing that the client said; the client hears of the room; then there is a pipe."""
        self.auth()
        self.assertEqual(self.asked, [TICKET])
        self.assertEqual(
            heard(self.server),
            [(wire.TYPE, {"type": "client"}), (wire.CLIENT_AUTH, {"id": "ada", "seat": 2, "name": "Ada", "token": "secret"})],
        )
        self.assertEqual(self.client.value(), b"")
        self.server.comes(wire.encode(wire.CONNECTED, {"details": {"map": "hills"}}) + wire.encode(wire.GAME_CONFIG, {"speed": 3}))
        connected, config = heard(self.client)
        self.assertEqual(config, (wire.GAME_CONFIG, {"speed": 3}))
        expected = {
            "room_id": "red",
            "game_id": "",
            "version": "",
            "hosting": "server",
            "status": "PLAYING",
            "seat": 2,
            "players": [{"seat": 2, "name": "Ada"}],
            "max_players": 1,
            "party_code": "",
            "details": {"map": "hills"},
        }
        self.assertEqual(connected, (wire.CONNECTED, expected))
        self.client.comes(b"anything")
        self.server.comes(b"at all")
        self.assertEqual((self.server.value(), self.client.value()), (b"anything", b"at all"))

    def test_what_is_known_of_the_room(self) -> None:
        """All that the destination knows stands in CONNECTED, in the client's encoding."""
        players = (Participant(seat=0, id="bob", name="Bob"), Participant(seat=2, id="ada", name="Ada"))
        self.answer = self.destination(room_id="r", game_id="g", version="1.2.0", players=players, max_players=4, party_code="BCDFGH")
        self.auth(en=PROTOBUF)
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        [(type_, said)] = heard(self.client)
        self.assertEqual((type_, said["room_id"], said["game_id"], said["version"]), (wire.CONNECTED, "r", "g", "1.2.0"))
        self.assertEqual(said["players"], [{"seat": 0, "name": "Bob"}, {"seat": 2, "name": "Ada"}])
        self.assertEqual((said["max_players"], said["party_code"]), (4, "BCDFGH"))

    def test_early_bytes(self) -> None:
        """What the client sent behind AUTH goes to the server first, however it came."""
        whole = wire.encode(wire.AUTH, {"id": TICKET}) + b"early"
        for byte in whole:
            if self.client.producerState == "producing":
                self.client.comes(bytes([byte]))
            else:
                self.client.protocol.dataReceived(bytes([byte]))
        self.server.clear()
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        self.client.comes(b" late")
        self.assertEqual(self.server.value(), b"early late")

    def test_no_clock_any_more(self) -> None:
        """Whoever is joined stays for as long as both like."""
        self.auth()
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        self.clock.advance(3600)
        self.assertEqual((self.client.disconnecting, self.client.connected), (False, True))
        self.client.is_lost()
        self.server.flush()
        self.server.ends()
        self.server.flush()
        self.assertEqual((self.clock.getDelayedCalls(), self.proxy.connections), ([], {}))

    def test_a_slow_answer(self) -> None:
        """`determine` may take its time; meanwhile nothing further is read."""
        self.answer = Deferred()
        self.auth()
        self.assertEqual((self.client.producerState, self.client.value()), ("paused", b""))
        self.answer.callback(self.destination())
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        self.assertEqual(heard(self.client)[0][0], wire.CONNECTED)

    def test_a_coroutine(self) -> None:
        """`determine` may be one."""

        async def determine(id: str) -> Destination:
            return self.destination(name=id)

        self.proxy.determine = determine  # type: ignore[assignment]
        self.auth("Bob")
        self.assertEqual(heard(self.server)[1][1]["name"], "Bob")


class RefusedTests(AuthProxyCase):
    def test_a_bad_id(self) -> None:
        """101 each time, and the third ends the connection."""
        self.answer = Unauthorized("no such ticket")
        for _ in range(3):
            self.assertFalse(self.client.half_closing)
            self.auth()
            self.assertEqual(self.code(), 101)
        self.assertTrue(self.client.half_closing)

    def test_too_late(self) -> None:
        """Who says nothing that is good within 10 seconds is sent away with 101."""
        self.clock.advance(9.9)
        self.assertEqual(self.client.value(), b"")
        self.clock.advance(0.1)
        self.assertEqual((self.code(), self.client.half_closing), (101, True))

    def test_no_server(self) -> None:
        """105 where there is none, where it cannot be reached, or says nothing in time; the same connection may try again."""
        self.answer = BadState("no match for you now")
        self.auth()
        self.assertEqual(self.code(), 105)
        self.answer = self.destination(endpoint=Nowhere())
        self.auth()
        self.assertEqual(self.code(), 105)
        self.answer = self.destination()
        self.auth()
        self.clock.advance(WITHIN)
        self.assertEqual(self.code(), 105)
        self.server.flush()
        self.server = Transport()
        self.answer = self.destination()
        self.auth()
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        self.assertEqual(heard(self.client)[0][0], wire.CONNECTED)

    def test_the_server_refuses(self) -> None:
        """Its ERROR is the client's."""
        self.auth()
        self.server.comes(wire.error(BadState("the match is over")))
        [(type_, error)] = heard(self.client)
        self.assertEqual((type_, error), (wire.ERROR, {"code": 105, "message": "the match is over"}))

    def test_a_bug_of_ones_own(self) -> None:
        """What is no GameroomError is 199, logged, and nothing of it is told."""
        self.answer = ZeroDivisionError("internal")
        self.auth()
        [(_, error)] = heard(self.client)
        self.assertEqual(error["code"], 199)
        self.assertNotIn("internal", error["message"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_what_else_one_might_say(self) -> None:
        """HOST, JOIN, START and all else that gameroom does is not here; before there is a token it ends the connection."""
        self.client.comes(wire.encode(wire.JOIN, {"party_code": "BCDFGH"}))
        self.assertEqual((self.code(), self.client.half_closing), (100, True))

    def test_the_games_own_types(self) -> None:
        """There is nobody to pass them on to yet."""
        self.client.comes(to_bytes(32, b"move", 0))
        self.assertEqual(self.code(), 105)

    def test_a_long_auth(self) -> None:
        """More than `unauthenticated_bytes` is refused when it is announced."""
        self.client.comes(bytes([1, wire.AUTH << 2 | JSON, 0xFF, 0xFF]))
        self.assertEqual((self.code(), self.client.half_closing), (100, True))

    def test_too_many_connections(self) -> None:
        """One address has so many."""
        self.limits = Limits(connections_per_address=1)
        self.assertIsNone(self.proxy.buildProtocol(None))


class GoneTests(AuthProxyCase):
    def test_while_it_is_determined(self) -> None:
        """Nobody works for a client that has gone, and nothing is logged of it."""
        cancelled: list[object] = []
        self.answer = Deferred(cancelled.append)
        self.auth()
        self.client.is_lost()
        self.assertEqual(cancelled, [self.answer])
        self.assertEqual(self.proxy.connections, {})

    def test_one_who_breaks_when_cancelled(self) -> None:
        """A fault of one's own cannot keep a client that has gone from being counted out: others come in, and all end."""
        self.limits = Limits(connections_per_address=1)

        def breaks(cancelled: object) -> None:
            raise ValueError("a fault of one's own")

        self.answer = Deferred(breaks)
        self.auth()
        with self.assertRaises(ValueError):
            self.client.is_lost()
        self.assertEqual(self.proxy.connections, {})
        self.connect().is_lost()
        self.successResultOf(self.proxy.stop())

    def test_one_who_cancels_by_itself(self) -> None:
        """A `determine` whose own work was cancelled has failed like any other."""
        self.answer = CancelledError()
        self.auth()
        self.assertEqual(self.code(), 199)
        self.flushLoggedErrors(CancelledError)

    def test_while_the_server_is_asked(self) -> None:
        """The connection to the server is closed again."""
        self.auth()
        self.client.is_lost(LOST)
        self.assertTrue(self.server.disconnecting)
        self.server.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop(self) -> None:
        """All connections end, joined or not, within some seconds."""
        self.auth()
        self.server.comes(wire.encode(wire.CONNECTED, {}))
        other = self.connect()
        stopped = self.proxy.stop()
        self.assertNoResult(stopped)
        for transport in (self.client, other):
            transport.flush()
        self.clock.advance(5)
        self.successResultOf(stopped)
