"""The game port's client, at a peer that follows a script."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.client.game_port import GamePortClient
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, NotFound, RateLimited, Unauthorized
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, Envelope, EnvelopeReader, to_bytes
from tests.client.links import Linked, Nowhere, ToFactory, link

SEAT = {
    "room_id": "r",
    "game_id": "g",
    "version": "1.0.0",
    "hosting": "server",
    "status": "WAITING",
    "seat": 0,
    "players": [{"seat": 0, "name": "Ann"}],
    "max_players": 2,
    "party_code": "BCDFGH",
}
PLAYING = {**SEAT, "status": "PLAYING"}


class Port(Protocol):
    """A game port that does what a test says. What has come is in `envelopes`."""

    def __init__(self) -> None:
        self.envelopes: list[Envelope] = []
        self._reader = EnvelopeReader()

    def dataReceived(self, data: bytes) -> None:
        self._reader.feed(data)
        while (envelope := self._reader.next()) is not None:
            self.envelopes.append(envelope)

    def said(self) -> list[tuple[int, Any]]:
        """What came since the last time, read where it is ours or the room's."""
        came, self.envelopes = self.envelopes, []
        return [(each.type, orjson.loads(each.data) if each.en == JSON and each.data else each.data) for each in came]

    def say(self, type_: int, values: Any, en: int = JSON) -> None:
        self.raw(wire.encode(type_, values, en))

    def room(self, **message: Any) -> None:
        self.raw(wire.room_message(orjson.dumps(message), binary=False))

    def raw(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(data)


class GamePortCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.linked: Linked = link(GamePortClient, Factory.forProtocol(Port), self.clock)
        self.client: GamePortClient = self.linked.client
        self.port: Port = self.linked.script

    def entered(self, **seat: Any) -> None:
        """The client is in a room."""
        coming = self.client.host("g")
        self.linked.flush()
        self.port.say(wire.CONNECTED, {**SEAT, "seat_token": "t", **seat})
        self.linked.result(coming)
        self.port.said()

    def end(self) -> None:
        assert self.port.transport is not None
        self.port.transport.loseConnection()
        self.linked.flush()


class EnteringTests(GamePortCase):
    def test_ways_in(self) -> None:
        """Each says its envelope and fires with CONNECTED's fields, in either encoding; the seat token is kept."""
        for en in (JSON, PROTOBUF):
            for way, type_, values in (
                (lambda client: client.host("g", name="Ann"), wire.HOST, {"game_id": "g", "name": "Ann"}),
                (lambda client: client.join("BCDFGH", id="s"), wire.JOIN, {"party_code": "BCDFGH", "id": "s"}),
                (lambda client: client.auth("s"), wire.AUTH, {"id": "s"}),
            ):
                self.setUp()
                coming = way(self.client)
                self.linked.flush()
                self.assertEqual(self.port.said(), [(type_, values)])
                self.port.say(wire.CONNECTED, {**SEAT, "seat_token": "t"}, en)
                self.assertEqual(self.linked.result(coming), {**SEAT, "seat_token": "t"})
                self.assertEqual((self.client.seat_token, self.client.at_server), ("t", False))

    def test_refused(self) -> None:
        """The server's error is what it fails with, and another try may follow on the same connection."""
        for code, kind in ((103, NotFound), (105, BadState), (101, Unauthorized)):
            joining = self.client.join("BCDFGH")
            self.port.say(wire.ERROR, {"code": code, "message": "no"})
            self.assertRaises(kind, self.linked.result, joining)
        joining = self.client.join("BCDFGH")
        self.port.say(wire.ERROR, {"code": 106, "message": "slowly", "retry_after": 2.5}, PROTOBUF)
        self.assertEqual(self.failure(joining, RateLimited).payload, {"retry_after": 2.5})
        self.entered()

    def failure(self, deferred: Any, kind: type[Exception]) -> Any:
        self.linked.flush()
        return self.failureResultOf(deferred, kind).value

    def test_one_at_a_time(self) -> None:
        """While one way in has no answer there is no other; who waits no longer leaves the answer to nobody."""
        first = self.client.host("g")
        self.failure(self.client.join("BCDFGH"), BadState)
        first.cancel()
        self.failureResultOf(first, CancelledError)
        self.port.say(wire.CONNECTED, SEAT)
        self.linked.flush()
        self.assertEqual(self.client.seat, SEAT)

    def test_no_answer(self) -> None:
        """Half a minute of silence ends the connection."""
        coming = self.client.auth("s")
        self.clock.advance(29)
        self.assertNoResult(coming)
        self.clock.advance(1)
        self.assertIn("has not answered AUTH", str(self.failure(coming, ConnectionFailed)))
        self.failure(self.client.auth("s"), ConnectionFailed)

    def test_no_connection(self) -> None:
        """Nobody there, a server that speaks otherwise, and one that goes: one line for people each."""
        self.failure(GamePortClient.connect(Nowhere(OSError("gone fishing")), self.clock), ConnectionFailed)
        coming = self.client.auth("s")
        self.port.raw(b"HTTP/1.1 400 Bad Request\r\n")
        self.assertIn("is it a gameroom", str(self.failure(coming, ConnectionFailed)))
        for type_, data, en in ((wire.CONNECTED, b"nonsense", JSON), (wire.ROOM, b"[]", JSON), (wire.ROOM, b"\xff", JSON), (wire.ROOM, b"{}", 3)):
            self.setUp()
            coming = self.client.auth("s")
            self.port.raw(to_bytes(type_, data, en))
            self.assertIn("cannot read", str(self.failure(coming, ConnectionFailed)))

    def test_why_it_ended(self) -> None:
        """The server's last words say more than that it has ended the connection."""
        self.entered()
        heard: list[str] = []
        self.client.on_lost(heard.append)
        self.port.say(wire.ERROR, {"code": 105, "message": "you have come by a newer connection"})
        self.end()
        self.client.on_lost(heard.append)
        self.assertEqual(heard, ["the server ended the connection: you have come by a newer connection"] * 2)
        self.assertRaises(ConnectionFailed, self.client.say, {"type": "chat", "text": "?"})


class RoomTests(GamePortCase):
    def test_answers(self) -> None:
        """Answers find their questions in any order; errors are errors; what comes too late, or twice, is nobody's."""
        self.entered()
        first, second, third = (self.client.ask({"type": "chat", "text": text}) for text in "abc")
        self.linked.flush()
        self.assertEqual([message["id"] for _, message in self.port.said()], [1, 2, 3])
        self.port.room(type="ack", reply_to=2)
        self.port.room(type="error", reply_to=1, code=106, message="slowly", retry_after=1.0)
        self.port.room(type="ack", reply_to=2)
        self.port.room(type="ack", reply_to="x")
        self.assertEqual(self.linked.result(second)["type"], "ack")
        self.assertEqual(self.failureResultOf(first, RateLimited).value.payload, {"retry_after": 1.0})
        self.clock.advance(30)
        self.failureResultOf(third, ConnectionFailed)
        self.assertTrue(self.client.connected)
        lost = self.client.ask({"type": "chat", "text": "d"})
        self.end()
        self.failureResultOf(lost, ConnectionFailed)

    def test_ids_go_on(self) -> None:
        """Behind `welcome` ids go on where this member was, whichever connection it came by then."""
        self.entered()
        self.port.room(type="welcome", last_id=41, room={}, you={})
        self.linked.flush()
        self.client.ask({"type": "ready", "ready": True}).addErrback(lambda _: None)
        self.linked.flush()
        self.assertEqual(self.port.said(), [(wire.ROOM, {"type": "ready", "ready": True, "id": 42})])

    def test_what_the_room_says(self) -> None:
        """Who wants a type hears it, until they do not; what fails there is logged, and the others hear it all the same."""
        self.entered()
        heard: list[Any] = []
        self.client.on_message("chat", lambda message: message["no such field"])
        stop = self.client.on_message("chat", heard.append)
        self.client.on_packet(heard.append)
        self.port.room(type="chat", text="hello")
        self.port.raw(wire.room_message(b"\x00\x01", binary=True))
        long = "x" * 200_000
        self.port.room(type="chat", text=long)
        self.linked.flush()
        stop()
        self.port.room(type="chat", text="unheard")
        self.linked.flush()
        self.assertEqual(heard, [{"type": "chat", "text": "hello"}, b"\x00\x01", {"type": "chat", "text": long}])
        self.assertEqual(len(self.flushLoggedErrors(KeyError)), 3)
        self.client.send_packet(b"\x02" * 70_000)
        self.linked.flush()
        self.assertEqual(
            [(each.type, each.en, len(each.data)) for each in self.port.envelopes], [(wire.ROOM_PART, RAW, 65535), (wire.ROOM, RAW, 4465)]
        )

    def test_the_rooms_own_ids(self) -> None:
        """What the room wants answered is, by `ack` or by what was said meanwhile; what comes again is answered and not told again."""
        self.entered()
        heard: list[int] = []
        self.client.on_message("game", lambda message: heard.append(message["id"]))
        self.client.on_message("move", lambda message: self.client.say({"type": "game", "body": "left", "reply_to": message["id"]}))
        for type_, id_ in (("game", 4), ("game", 4), ("move", 7)):
            self.port.room(type=type_, id=id_)
        self.linked.flush()
        ack = (wire.ROOM, {"type": "ack", "reply_to": 4})
        self.assertEqual((heard, self.port.said()), ([4], [ack, ack, (wire.ROOM, {"type": "game", "body": "left", "reply_to": 7})]))

    def test_pings(self) -> None:
        """Ours fire with the seconds that the answer took; the server's are answered with their bytes and encoding."""
        pinged = self.client.ping()
        self.clock.advance(0.25)
        self.port.raw(to_bytes(wire.PONG, b"", RAW) + to_bytes(wire.PING, b"xyz", PROTOBUF))
        self.assertEqual(self.linked.result(pinged), 0.25)
        self.assertEqual(self.port.envelopes[-1], Envelope(wire.PONG, b"xyz", PROTOBUF))
        lost = self.client.ping()
        self.end()
        self.failureResultOf(lost, ConnectionFailed)
        self.failureResultOf(self.client.ping(), ConnectionFailed)

    def test_leaving(self) -> None:
        """LEAVE is said, and the server ends the connection."""
        self.entered()
        left = self.client.leave()
        self.linked.flush()
        self.assertEqual(self.port.said(), [(wire.LEAVE, {})])
        self.assertNoResult(left)
        self.end()
        self.successResultOf(left)
        self.successResultOf(self.client.leave())

    def test_closing(self) -> None:
        """What was said goes out first; a server that does not end it in time is not waited for."""
        self.entered()
        asked = self.client.ask({"type": "chat", "text": "bye"})
        closed = self.client.close()
        self.failureResultOf(asked, ConnectionFailed)
        self.linked.result(closed)
        self.assertEqual([message["type"] for _, message in self.port.said()], ["chat"])

    def test_outside_of_a_room(self) -> None:
        """Before it is in, nothing can be said."""
        self.assertRaises(BadState, self.client.say, {"type": "chat"})
        self.failureResultOf(self.client.ask({"type": "chat"}), BadState)
        self.assertRaises(BadState, self.client.send, 32)
        self.assertRaises(BadState, self.client.take_over, Protocol())


@implementer(IHalfCloseableProtocol)
class Taker(Protocol):
    """Takes the connection over, and notes what it gets."""

    def __init__(self) -> None:
        self.heard: list[Any] = []

    def connectionMade(self) -> None:
        self.heard.append("made")

    def dataReceived(self, data: bytes) -> None:
        self.heard.append(data)

    def readConnectionLost(self) -> None:
        self.heard.append("half")

    def writeConnectionLost(self) -> None:
        """Nothing to do."""

    def connectionLost(self, reason: Any = None) -> None:
        self.heard.append("lost")


CONFIG = to_bytes(wire.GAME_CONFIG, b'{"a":1}')
OWN = to_bytes(40, b"\x01\x02", RAW)


class PlayingTests(GamePortCase):
    def test_the_start(self) -> None:
        """The host starts; CONNECTED with PLAYING is the answer, whatever was asked besides has none, and GAME_CONFIG comes first."""
        self.entered()
        heard: list[Any] = []
        self.client.on_playing(lambda seat: heard.append(seat["status"]))
        self.client.on_envelope(heard.append)
        started, other = self.client.start(), self.client.ask({"type": "chat", "text": "?"})
        self.linked.flush()
        self.assertEqual(self.port.said()[0], (wire.ROOM, {"type": "start", "id": 1}))
        self.port.room(type="state", state="running")
        self.linked.flush()
        self.assertNoResult(started)
        self.port.raw(wire.encode(wire.CONNECTED, PLAYING) + CONFIG + OWN)
        self.linked.result(started)
        self.failureResultOf(other, BadState)
        self.assertEqual(heard, ["PLAYING", Envelope(wire.GAME_CONFIG, b'{"a":1}'), Envelope(40, b"\x01\x02", RAW)])
        self.client.send(33, {"go": "left"})
        self.client.send(34, b"\x00", RAW)
        self.linked.flush()
        self.assertEqual(self.port.said(), [(33, {"go": "left"}), (34, b"\x00")])

    def test_the_room_hears_nothing(self) -> None:
        """At a GameServer there are no room messages, and leaving and coming in are for other doors; its PING is its own."""
        self.entered(**PLAYING)
        heard: list[Envelope] = []
        self.client.on_envelope(heard.append)
        self.port.raw(to_bytes(wire.PING, b"x"))
        self.linked.flush()
        self.assertEqual((heard, self.port.said()), ([Envelope(wire.PING, b"x")], []))
        self.assertRaises(BadState, self.client.say, {"type": "chat"})
        for refused in (self.client.leave(), self.client.auth("s"), self.client.ping(), self.client.start()):
            self.failureResultOf(refused, BadState)

    def test_nothing_is_read_before_somebody_wants_it(self) -> None:
        """The connection is held from CONNECTED on, also behind AUTH in the middle of a play."""
        self.entered(**PLAYING)
        transport: Any = self.linked.pump.clientIO
        self.assertTrue(transport.held)
        self.port.raw(CONFIG)
        self.linked.flush()
        heard: list[Envelope] = []
        self.client.on_envelope(heard.append)
        self.assertEqual((transport.held, heard), (True, []))
        self.linked.flush()
        self.assertEqual((transport.held, len(heard)), (False, 1))

    def test_the_end_comes_behind_what_came_before(self) -> None:
        """Who is in the same turn told of envelopes and of the end hears the envelopes."""
        self.entered(**PLAYING)
        self.port.raw(CONFIG)
        self.linked.flush()
        heard: list[Any] = []
        self.client.on_lost(lambda why: heard.append("lost"))
        self.client.on_envelope(lambda envelope: heard.append(envelope.type))
        assert self.port.transport is not None
        self.port.transport.loseConnection()
        self.linked.pump.flush()
        self.assertEqual(heard, [wire.GAME_CONFIG, "lost"])

    @given(st.lists(st.integers(1, 60), max_size=30))
    def test_another_protocol_takes_over(self, cuts: list[int]) -> None:
        """However the bytes arrive, every one behind CONNECTED is the other protocol's, and so is the end; the client hears of that too."""
        self.setUp()
        taker, stream = Taker(), CONFIG + OWN * 3 + b"\x07 no envelope"
        lost: list[str] = []
        came: list[bytes] = []
        coming = self.client.auth("s")
        coming.addCallback(lambda _: self.client.take_over(taker))
        self.client.on_lost(lost.append)
        data = wire.encode(wire.CONNECTED, PLAYING) + stream
        for cut in [*cuts, len(data)]:
            if data[:cut]:
                self.port.raw(data[:cut])
            self.linked.flush()
            data = data[cut:]
        assert taker.transport is not None
        taker.transport.write(b"raw, too")
        self.port.dataReceived = came.append  # type: ignore[method-assign,assignment]
        self.linked.flush()
        self.end()
        self.assertEqual((b"".join(taker.heard[1:-1]), taker.heard[0], taker.heard[-1]), (stream, "made", "lost"))
        self.assertEqual((came, len(lost)), ([b"raw, too"], 1))

    def test_half_closes_are_passed_on(self) -> None:
        """To who understands them; else the connection is over."""
        self.entered(**PLAYING)
        taker = Taker()
        self.client.take_over(taker)
        stream: Any = self.linked.pump.client
        stream.readConnectionLost()
        stream.writeConnectionLost()
        self.assertEqual((taker.heard, stream.transport.disconnecting), (["made", "half"], False))
        self.setUp()
        stream = self.linked.pump.client
        stream.writeConnectionLost()
        stream.readConnectionLost()
        self.assertTrue(stream.transport.disconnecting)

    def test_a_server_that_cannot_be_reached(self) -> None:
        """Is told as an error of nobody's, and the connection is still the room's."""
        self.entered()
        told: list[Exception] = []
        self.client.on_error(told.append)
        self.port.say(wire.ERROR, {"code": 105, "message": "the game's server does not answer"})
        self.linked.flush()
        self.assertEqual([str(error) for error in told], ["the game's server does not answer"])
        self.client.say({"type": "chat", "text": "hm"})


class ComingBackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.endpoint: Any = ToFactory(Factory.forProtocol(Port), self.clock)

    def answer(self, type_: int, values: Any) -> None:
        """The newest connection's AUTH is answered."""
        linked = Linked(None, self.endpoint, self.clock)
        linked.flush()
        self.assertEqual(linked.script.said(), [(wire.AUTH, {"id": "t"})])
        linked.script.say(type_, values)
        linked.flush()

    def test_again_and_again(self) -> None:
        """A room that is busy ending its play, and a server that is slow: the pauses grow, and at last we are in."""
        coming = GamePortClient.come_back(self.endpoint, self.clock, "t")
        self.answer(wire.ERROR, {"code": 105, "message": "in a moment"})
        self.clock.advance(0.25)
        self.answer(wire.ERROR, {"code": 106, "message": "slowly", "retry_after": 3.0})
        self.clock.advance(2.9)
        self.assertEqual(len(self.endpoint.pumps), 2)
        self.clock.advance(0.1)
        self.answer(wire.CONNECTED, SEAT)
        client = self.successResultOf(coming)
        self.assertEqual((client.seat, client.connected), (SEAT, True))

    def test_no_use(self) -> None:
        """A seat that is gone is told at once, and nobody there when the time is up. No connection is left open."""
        coming = GamePortClient.come_back(self.endpoint, self.clock, "t")
        self.answer(wire.ERROR, {"code": 101, "message": "this seat is gone"})
        self.failureResultOf(coming, Unauthorized)
        self.assertTrue(self.endpoint.pumps[-1].clientIO.disconnected)
        coming = GamePortClient.come_back(Nowhere(ConnectionRefusedError()), self.clock, "t", within=10)
        self.clock.pump([0.25, 0.5, 1, 2])
        self.assertNoResult(coming)
        self.clock.advance(4)
        self.failureResultOf(coming, ConnectionFailed)
        self.assertEqual(self.clock.getDelayedCalls(), [])
