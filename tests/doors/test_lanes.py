"""gameroom.doors.lanes: a connection whose packets go the short way does what one without it does, for any bytes in any reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from unittest import mock

import orjson
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors import game_port, limited_websocket
from gameroom.doors.room_socket import RoomSocket
from gameroom.errors import BadState, InvalidRequest
from gameroom.reactor import LeanReactor, LeanServer
from gameroom.reactor_round import SMALL_READ
from gameroom.shortcuts import let_take
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, to_bytes
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.doors.game_port_world import GameWorld, Native
from tests.doors.test_websocket import NotedConversation
from tests.doors.test_websocket_ways import ActingConversation, Way, frames, mutated
from tests.doors.web.sockets import BINARY, CLOSE, PING, PONG, TEXT, frame
from tests.rooms import NotingReferee
from tests.test_reactor import Kernel

WORDS = ("early", "early", "last", "last", "bad", "fault", "crash", "over")
"""What packets do: nothing yet, complete a master, are refused, are refused in part, break something of ours, or end the play."""
LONG, BY_PROTOCOL, BY_REACTOR = "long", "by protocol", "by reactor"


def packet(word: str, binary: bool) -> bytes:
    return b"commands " + word.encode() if binary else b'{"type":"commands","do":"%b"}' % word.encode()


def word_of(data: bytes, is_binary: bool) -> str | None:
    """What a packet does; None for what is none."""
    if is_binary:
        return data[9:].decode(errors="replace") if data.startswith(b"commands ") else None
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    return message["do"] if type(message) is dict and message.get("type") == "commands" and "do" in message and "id" not in message else None


class Course:
    """A play. Both ways lead here, and it keeps what it is given."""

    def __init__(self, taken: list[Any], tell: Callable[[list[Outgoing]], None]) -> None:
        self._taken, self._tell = taken, tell
        self._masters: list[Outgoing] = []
        self._made = 0
        self._seat: Seat | None = None
        self.on = True
        self.breaks = False
        """Whether something of ours is broken when it is told."""

    def take(self, word: str) -> None:
        self._taken.append(("packet", word))
        if not self.on:
            raise BadState("nothing is played")
        if word in ("last", "fault"):
            self._made += 1
            self._masters.append(Outgoing(b'{"type":"master","generation":%d}' % self._made))
        if word == "over":
            self.told()
            self.end()
            self._tell([Outgoing(b'{"type":"over"}')])
        if word == "break":
            self.breaks = True
        if word == "crash":
            raise ZeroDivisionError
        if word in ("bad", "fault"):
            raise InvalidRequest("that is not right")

    def told(self) -> None:
        """What was made is told now."""
        masters, self._masters = self._masters, []
        if masters:
            self._tell(masters)
        if self.breaks:
            self.breaks = False
            raise ZeroDivisionError

    def take_alone(self, word: str) -> None:
        """As the long way has it."""
        try:
            self.take(word)
        finally:
            self.told()

    def end(self) -> None:
        if self._seat is not None:
            self._seat.open = False
        self.on, self._seat = False, None

    def seat(self, binary: bool) -> Any:
        """The short way into the play that is on."""
        if self.on and self._seat is None:
            self._seat = Seat(self, binary)
        return self._seat


class Seat:
    """A `SeatLane` into a course."""

    def __init__(self, course: Course, binary: bool) -> None:
        self._course, self._binary = course, binary
        self.open = True

    def now(self) -> float:
        return 0.0

    def take(self, data: bytes, is_binary: bool, now: float) -> bool:
        word = word_of(data, is_binary) if self.open and is_binary is self._binary else None
        if word is not None:
            self._course.take(word)
        return word is not None

    def end(self) -> None:
        self._course.told()


def noted_take(transport: Any, take: Callable[[bytes], bytes] | None) -> None:
    """`let_take` for transports of tests."""
    transport.short = take


def read_by(way: str, transport: Any, data: bytes) -> bytes:
    """What the protocol gets of what was read, as the lean reactor does it."""
    short = getattr(transport, "short", None)
    return short(data) if way == BY_REACTOR and short is not None and len(data) < SMALL_READ else data


@contextmanager
def lean_connection(protocol: Any) -> Iterator[tuple[Any, Kernel]]:
    """From now on its transport is a connection of a lean reactor, whose kernel is ours."""
    reactor, kernel = LeanReactor(), Kernel()
    try:
        connection = LeanServer(kernel, protocol, ("127.0.0.1", 1), None, 0, reactor)
        connection.startReading()
        protocol.transport = connection
        protocol.outbox.write = connection.write
        yield reactor, kernel
    finally:
        reactor.removeAll()
        for reader in list(reactor._internalReaders):
            reactor.removeReader(reader)
            reader.connectionLost(None)
        reactor._poller.close()
        kernel.close()


def read_from(reactor: Any, kernel: Kernel, data: bytes) -> None:
    kernel.incoming = [data]
    kernel.peer.send(b"!")
    reactor.iterate(0)
    kernel.real.recv(1)


def cut(stream: bytes, data: st.DataObject) -> list[bytes]:
    """The stream in some reads."""
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
    return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)]) if end > start]


class PlayingConversation(ActingConversation):
    """One that plays. It is closed when too much of what it says is refused."""

    way, binary_play = LONG, False

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        self.course = Course(self.said, self.tell)
        self._refused = 0

    @property
    def lane(self) -> Any:
        return self.course.seat(self.binary_play) if self.way != LONG and self.proved else None

    def tell(self, masters: list[Outgoing]) -> None:
        if len(masters) == 1:
            self.connection.deliver(masters[0])
        else:
            self.connection.deliver_all(Outgoings(masters))

    def refuse_packet(self, error: Exception) -> None:
        self.connection.deliver(Outgoing.json({"type": "error", "message": repr(error)}))
        self._refused += 1
        if self._refused >= 4:
            self.connection.close(BadState("too much"))

    def _packet(self, data: bytes, is_binary: bool) -> bool:
        word = word_of(data, is_binary) if self.proved and is_binary is self.binary_play else None
        if word is None:
            return False
        try:
            self.course.take_alone(word)
        except Exception as error:
            self.refuse_packet(error)
        return True

    def text(self, data: bytes) -> None:
        if not self._packet(data, False):
            super().text(data)
            self._next(data)

    def binary(self, data: bytes) -> None:
        if not self._packet(data, True):
            super().binary(data)
            self._next(data)

    def _next(self, data: bytes) -> None:
        if data == b"next":
            self.course.on = True


class SocketWay(Way):
    """A web socket, with or without a lane."""

    def __init__(self, way: str, binary_play: bool) -> None:
        self.way, self.binary_play = way, binary_play
        super().__init__(RoomSocket)

    def _converse(self, **given: Any) -> NotedConversation:
        conversation = PlayingConversation(**given)
        conversation.way, conversation.binary_play = self.way, self.binary_play
        self.conversations.append(conversation)
        return conversation

    def comes(self, data: bytes) -> None:
        """This is read, and nothing else happens yet."""
        if data := read_by(self.way, self.peer.transport, data):
            self.peer.raw(data)

    def read(self, data: bytes) -> None:
        self.comes(data)
        super().read(b"")

    @property
    def socket(self) -> Any:
        return self.conversations[0].connection

    @property
    def short(self) -> Any:
        """What the reactor was told."""
        return getattr(self.peer.transport, "short", None)


def packets() -> st.SearchStrategy[bytes]:
    """Frames of packets, and of what begins the next play."""
    words = st.sampled_from(WORDS)
    bits = st.sampled_from([TEXT, BINARY])
    return st.one_of(
        st.builds(lambda word, opcode: frame(packet(word, opcode == BINARY), opcode), words, bits),
        st.builds(lambda opcode: frame(b"next", opcode), bits),
        st.just(frame(b'{"type":"commands","do":"last","id":1}')),
    )


class FrameLaneTests(SynchronousTestCase):
    """Web sockets."""

    def setUp(self) -> None:
        self.patch(limited_websocket, "let_take", noted_take)
        self.addCleanup(self.flushLoggedErrors, ZeroDivisionError)

    def compare(self, reads: list[bytes], binary_play: bool = False) -> SocketWay:
        """All ways are given these reads; after each of them they have taken, sent and ended the same."""
        ways = [SocketWay(way, binary_play) for way in (LONG, BY_PROTOCOL, BY_REACTOR)]
        for read in [frame(b"prove"), *reads]:
            for way in ways:
                way.read(read)
            self.assert_same(ways)
        for way in ways:
            way.clock.pump([0.0, 1.0, 5.0])
        self.assert_same(ways)
        self.flushLoggedErrors(ZeroDivisionError)
        return ways[-1]

    def assert_same(self, ways: list[SocketWay]) -> None:
        first, *others = [(way.seen, way.socket.was_heard(), way.peer.transport.reading) for way in ways]
        for way, other in zip(ways[1:], others, strict=True):
            self.assertEqual(first, other, way.way)

    @settings(max_examples=80)
    @given(st.lists(st.one_of(packets(), packets(), packets(), frames()), max_size=10), st.booleans(), st.data())
    def test_any_frames(self, found: list[bytes], binary_play: bool, data: st.DataObject) -> None:
        """As one read, frame by frame, and cut anywhere."""
        stream = b"".join(found)
        self.compare([stream], binary_play)
        self.compare(found, binary_play)
        self.compare(cut(stream, data), binary_play)

    @settings(max_examples=50)
    @given(st.lists(st.one_of(packets(), frames()), min_size=1, max_size=8), st.booleans(), st.data())
    def test_broken_frames(self, found: list[bytes], binary_play: bool, data: st.DataObject) -> None:
        """With some of the bytes wrong."""
        stream = b"".join(found)
        for _ in range(data.draw(st.integers(1, 3))):
            stream = mutated(stream, data)
        self.compare(cut(stream, data), binary_play)

    def test_cuts(self) -> None:
        """A stream with something of everything, cut in two at every third byte."""
        last = frame(packet("last", False))
        stream = (
            frame(b"a", fin=False)
            + frame(b"p", PING)
            + frame(b"b", 0)
            + last * 2
            + frame("grüße".encode())
            + last
            + frame(b"", PONG)
            + last
            + frame(packet("fault", False))
            + frame(b"x" * 300)
            + last
            + frame(packet("over", False))
            + last
            + frame(b"next")
            + last
            + frame(b"\xff")
            + last
        )
        for at in range(0, len(stream), 3):
            way = self.compare([stream[:at], stream[at:]])
            self.assertEqual([*map(str, way.said)].count(str(("packet", "last"))), 7, at)

    def test_told_in_order(self) -> None:
        """Masters that were made before a packet is refused are told before that."""
        for words in (["last", "bad"], ["last", "last", "crash", "last"], ["last", "fault", "last"], ["last", "over", "last"]):
            self.compare([b"".join(frame(packet(word, False)) for word in words)])

    def test_broken(self) -> None:
        """Where something of ours breaks when masters are told, the sender of the packet hears of it and goes on."""
        self.compare([frame(packet("break", False)), frame(packet("last", False))])
        self.compare([frame(packet("last", False)) + frame(packet("bad", False)) + frame(packet("break", False)), frame(packet("last", False))])

    def test_closed_within_a_read(self) -> None:
        """Behind the packet for which the connection was closed nothing is taken."""
        way = self.compare(
            [frame(packet("bad", False)) * 3 + frame(packet("last", False)), frame(packet("bad", False)) + frame(packet("last", False)) * 3]
        )
        self.assertEqual(way.said, ["prove", *[("packet", "bad")] * 3, ("packet", "last"), ("packet", "bad"), "LOST"])

    def test_long_ones(self) -> None:
        """Of any size around those at which something else begins."""
        for size in (900, 960, 970, 1000, 1001, 4090, 4096, 4097, 5000):
            data = packet("last", False)[:-1].ljust(size - 1) + b"}"
            self.compare([frame(data), frame(packet("last", False))])
            self.compare([frame(data) + frame(packet("last", False))])

    def short(self, play: bool = False) -> SocketWay:
        way = SocketWay(BY_REACTOR, play)
        way.read(frame(b"prove"))
        return way

    def test_within_a_frame(self) -> None:
        """What looks like a packet's frame is none where it is part of another, or of a message in fragments, wherever reads begin."""
        inner = frame(packet("last", True), BINARY)
        head = bytes([0x80 | BINARY, 0x80 | (len(inner) - 4)])
        long_head = bytes([0x80 | BINARY, 0xFE]) + (200 + len(inner)).to_bytes(2) + bytes(4)
        ping = bytes([0x80 | PING, 0x80 | (len(inner) + 10)]) + bytes(4)
        for reads in (
            [ping, inner, bytes(10)],
            [ping + bytes(10), inner],
            [head, inner],
            [head + inner[:1], inner[1:]],
            [long_head + bytes(100), inner, bytes(100)],
            [long_head, inner, bytes(200)],
            [long_head[:7], b"\0" + inner + bytes(200)],
            [long_head + bytes(100), inner + bytes(100)],
        ):
            way = self.compare([*reads, frame(packet("last", True), BINARY)], True)
            self.assertEqual(way.said.count(("packet", "last")), 1, reads)  # type: ignore[arg-type]
        way = self.compare([frame(b"a", BINARY, fin=False), inner, frame(b"b", 0)], True)
        self.assertNotIn(("packet", "last"), way.said)

    def test_it_is_short(self) -> None:
        """Nothing but the lane sees packets, also behind what went the long way, and of a next play."""
        way = self.short()
        self.patch(RoomSocket, "take", lambda socket, payload, is_binary: self.fail(payload))
        way.read(frame(packet("last", False)) * 3)
        self.assertEqual(way.said, ["prove", *[("packet", "last")] * 3])
        self.assertIsNotNone(way.short)

    def test_between_plays(self) -> None:
        """With the play the short way ends, and with the next one it begins again."""
        way = self.short()
        first = way.short
        self.assertTrue(way.socket.has_lane)
        way.read(frame(packet("over", False)))
        self.assertFalse(way.socket.has_lane)
        way.read(frame(b"x"))
        self.assertIsNone(way.short)
        way.read(frame(b"next"))
        self.assertIsNotNone(way.short)
        self.assertIsNot(way.short, first)
        way.read(frame(packet("last", False)))
        self.assertEqual(way.said[-1], ("packet", "last"))

    def test_ended(self) -> None:
        """A connection that is closed, by whomever, has no short way any more."""
        for ending in (
            lambda way: way.socket.close(None),
            lambda way: way.socket.go_away(),
            lambda way: way.read(frame(b"", CLOSE)),
            lambda way: way.read(frame(b"x", masked=False)),
            lambda way: way.read(frame(packet("bad", False)) * 4),
        ):
            way = self.short()
            lane = way.socket._lane
            ending(way)
            self.assertEqual((way.short, lane.plain), (None, False))
            said = list(way.said)
            self.assertEqual(lane.take(frame(packet("last", False))), frame(packet("last", False)))
            self.assertEqual(way.said, said)

    def test_turns(self) -> None:
        """So many are taken at once, and nothing is read until the others had their turn; the rest is taken then."""
        for kind in (LONG, BY_PROTOCOL, BY_REACTOR):
            for count, at_once in ((64, 64), (65, 64), (79, 64)):
                way = SocketWay(kind, True)
                way.read(frame(b"prove"))
                way.comes(frame(packet("early", True), BINARY) * count)
                self.assertEqual((len(way.said) - 1, way.peer.transport.reading), (at_once, count == at_once), (kind, count))
                way.read(b"")
                self.assertEqual((len(way.said) - 1, way.peer.transport.reading), (count, True))
                way.comes(frame(packet("early", True), BINARY))
                self.assertEqual(len(way.said) - 1, count + 1)

    def test_many_turns(self) -> None:
        """One large read is taken in as many turns."""
        for kind in (LONG, BY_PROTOCOL):
            way = SocketWay(kind, True)
            way.read(frame(b"prove"))
            way.comes(frame(packet("early", True), BINARY) * 300)
            taken = [len(way.said) - 1]
            while way.clock.getDelayedCalls() and taken[-1] < 300:
                way.clock.advance(0)
                taken.append(len(way.said) - 1)
            self.assertEqual((taken[0], taken[-1]), (64, 300), kind)

    def test_told_after_the_end(self) -> None:
        """Nothing stands behind the close frame."""
        way = self.short()
        way.socket.close(None)
        value = way.peer.transport.value()
        way.socket.deliver_all(Outgoings([Outgoing(b"{}"), Outgoing(b"{}")]))
        self.assertEqual(way.peer.transport.value(), value)

    def test_heard(self) -> None:
        """What goes the short way counts as heard, once."""
        way = self.short()
        self.assertTrue(way.socket.was_heard())
        self.assertFalse(way.socket.was_heard())
        way.read(frame(packet("early", False)))
        self.assertTrue(way.socket.was_heard())
        self.assertFalse(way.socket.was_heard())

    def test_over_the_reactor(self) -> None:
        """As long as it is open the reactor gives it what it reads; what it is told is sent when the round ends, then and afterwards."""
        self.patch(limited_websocket, "let_take", let_take)
        way = SocketWay(BY_PROTOCOL, False)
        with lean_connection(way.socket) as (reactor, kernel):
            read_from(reactor, kernel, frame(b"prove"))
            sends = kernel.sends
            self.assertTrue(reactor.shortcuts)
            with mock.patch.object(RoomSocket, "dataReceived", side_effect=AssertionError):
                read_from(reactor, kernel, frame(packet("last", False)) * 2)
            self.assertEqual((way.said[1:], kernel.sends), ([("packet", "last")] * 2, sends + 1))
            way.socket.deliver(Outgoing(b"soon"))
            self.assertFalse(kernel.taken.endswith(b"soon"))
            reactor.iterate(0)
            self.assertTrue(kernel.taken.endswith(b"soon"))
            read_from(reactor, kernel, frame(packet("last", False)) + frame(b"text") + frame(packet("over", False)))
            self.assertEqual(way.said[3:], [("packet", "last"), "text", ("packet", "over")])
            read_from(reactor, kernel, frame(b"text"))
            self.assertEqual(reactor.shortcuts, {})
            way.socket.deliver(Outgoing(b"later"))
            self.assertFalse(kernel.taken.endswith(b"later"))
            reactor.iterate(0)
            self.assertTrue(kernel.taken.endswith(b"later"))
            read_from(reactor, kernel, frame(b"next"))
            self.assertTrue(reactor.shortcuts)
            way.socket.close(None)
            self.assertEqual(reactor.shortcuts, {})

    def test_slow_reader(self) -> None:
        """What it is told waits with the rest, in order, and is told when it reads; one that never does is cut."""
        seen = []
        for kind in (LONG, BY_PROTOCOL, BY_REACTOR):
            way = SocketWay(kind, False)
            way.read(frame(b"prove"))
            way.peer.transport.producer.pauseProducing()
            value = way.peer.transport.value()
            way.comes(frame(packet("last", False)) * 2 + frame(packet("bad", False)))
            self.assertEqual(way.peer.transport.value(), value)
            queued = way.socket.queued_bytes
            way.peer.transport.producer.resumeProducing()
            seen.append((queued, way.peer.transport.value()))
        self.assertEqual(seen[1:], seen[:1] * 2)
        self.assertEqual(seen[0][1].count(b"master"), 2)


class PlayingReferee(NotingReferee):
    """One whose packets go into a course; what that makes is told to everyone."""

    def __init__(self, room: Any, way: str, binary_play: bool) -> None:
        super().__init__(room)
        self.way, self.binary_play = way, binary_play
        self.course = Course(self.told, self.tell)
        self.player = ""
        """The one whose lane it is."""

    def tell(self, masters: list[Outgoing]) -> None:
        for connection in self.room.everyone():
            if len(masters) == 1:
                connection.deliver(masters[0])
            else:
                connection.deliver_all(Outgoings(masters))

    def lane(self, user_id: str) -> Any:
        return self.course.seat(self.binary_play) if self.way != LONG and user_id == self.player else None

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> Any:
        if message["type"] == "commands" and "do" in message and user_id == self.player and not self.binary_play:
            self.course.take_alone(message["do"])
            return None
        if message["type"] == "next":
            self.course.on = True
        return super().text(user_id, message, connection)

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        word = word_of(data, True) if self.binary_play and user_id == self.player else None
        if word is None:
            super().packet(user_id, data, connection)
        else:
            self.course.take_alone(word)

    def left(self, user_id: str, seat: int, reason: str) -> None:
        super().left(user_id, seat, reason)
        if user_id == self.player:
            self.course.end()


class PortWay(GameWorld):
    """A room with a host and a player, whose connection is looked at."""

    def __init__(self, way: str, binary_play: bool, **limits: Any) -> None:
        self.way, self.binary_play = way, binary_play
        super().__init__(**{"messages_per_second": 4, **limits})
        self.host = self.native()
        self.code = self.host.ask(wire.HOST, game_id=self.game)["party_code"]
        self.guest = self.native("192.0.2.2")
        self.guest.ask(wire.JOIN, party_code=self.code, name="Bob")
        referee: Any = self.referees[-1]
        self.referee = referee
        self.user_id = referee.player = self.registry.everything()[0].value.players[-1].user_id
        self.heard: list[Any] = []
        self.read(wire.room_message(b'{"type":"ping","t":0}', False))

    def _referee(self, room: Any) -> Any:
        self.referees.append(PlayingReferee(room, self.way, self.binary_play))
        return self.referees[-1]

    def comes(self, data: bytes) -> None:
        if data := read_by(self.way, self.guest.transport, data):
            self.guest.raw(data)

    def read(self, data: bytes) -> None:
        self.comes(data)
        for _ in range(5):
            self.clock.advance(0)

    @property
    def taken(self) -> list[str]:
        return [told[1] for told in self.referee.told if told[0] == "packet" and len(told) == 2]

    @property
    def short(self) -> Any:
        return getattr(self.guest.transport, "short", None)

    @property
    def seen(self) -> tuple[Any, ...]:
        transport, told = self.guest.transport, [tuple("ME" if each == self.user_id else each for each in told) for told in self.referee.told]
        return told, self.said(self.guest), self.said(self.host), transport.write_lost, transport.lost, transport.aborted, transport.reading

    def said(self, native: Native) -> list[Any]:
        """What it was told, of messages that differ from room to room their types."""
        self.heard += [(native is self.host, self.shown(heard)) for heard in native.heard()]
        return [heard for is_host, heard in self.heard if is_host is (native is self.host)]

    def shown(self, heard: Any) -> Any:
        if isinstance(heard, dict) and heard["type"] not in ("error", "master", "over", "pong"):
            return heard["type"]
        if isinstance(heard, dict) and "incident" in heard:
            return "incident"
        return heard


@st.composite
def envelopes(draw: st.DrawFn) -> bytes:
    """One envelope or some, mostly right."""
    kind = draw(st.sampled_from([*["packet"] * 8, "next", "room", "part", "said", "any", "bytes"]))
    en = draw(st.sampled_from([JSON, RAW]))
    if kind == "packet":
        return to_bytes(wire.ROOM, packet(draw(st.sampled_from(WORDS)), en == RAW), en)
    if kind == "next":
        return wire.room_message(b'{"type":"next"}', False)
    if kind == "room":
        return to_bytes(wire.ROOM, draw(st.sampled_from([b'{"type":"ping","t":1}', b'{"type":"chat","text":"hi"}', b"[1", b"\xff", b"{}", b""])), en)
    if kind == "part":
        whole = packet("last", en == RAW)
        return to_bytes(wire.ROOM_PART, whole[:5], en) + draw(st.sampled_from([b"", to_bytes(wire.PING, b"x")])) + to_bytes(wire.ROOM, whole[5:], en)
    if kind == "said":
        return draw(st.sampled_from([to_bytes(wire.PING, b"x", RAW), wire.encode(wire.START, {}), wire.encode(wire.LEAVE, {}), to_bytes(40, b"")]))
    if kind == "any":
        return to_bytes(draw(st.integers(0, 63)), draw(st.binary(max_size=30)), draw(st.sampled_from([JSON, RAW, PROTOBUF, 3])))
    return draw(st.binary(max_size=6))


class EnvelopeLaneTests(SynchronousTestCase):
    """Connections at the game port."""

    def setUp(self) -> None:
        self.patch(game_port, "let_take", noted_take)

    def compare(self, reads: list[bytes], binary_play: bool = False, **limits: Any) -> PortWay:
        """All ways are given these reads; after each of them they have taken, sent and ended the same."""
        ways = [PortWay(way, binary_play, **limits) for way in (LONG, BY_PROTOCOL, BY_REACTOR)]
        for read in reads:
            for way in ways:
                if not (way.guest.transport.write_lost or way.guest.transport.lost):
                    way.read(read)
            seen = [way.seen for way in ways]
            self.assertEqual(seen[0], seen[1], BY_PROTOCOL)
            self.assertEqual(seen[0], seen[2], BY_REACTOR)
        self.flushLoggedErrors(ZeroDivisionError)
        return ways[-1]

    @settings(max_examples=30)
    @given(st.lists(envelopes(), max_size=12), st.booleans(), st.data())
    def test_any_envelopes(self, found: list[bytes], binary_play: bool, data: st.DataObject) -> None:
        """In any reads."""
        self.compare(cut(b"".join(found), data), binary_play)

    @settings(max_examples=15)
    @given(st.lists(envelopes(), min_size=1, max_size=8), st.data())
    def test_broken_envelopes(self, found: list[bytes], data: st.DataObject) -> None:
        """With some of the bytes wrong."""
        self.compare(cut(mutated(b"".join(found), data), data))

    def test_cuts(self) -> None:
        last = to_bytes(wire.ROOM, packet("last", False))
        part = to_bytes(wire.ROOM_PART, packet("last", False)[:5]) + to_bytes(wire.ROOM, packet("last", False)[5:])
        stream = last * 2 + to_bytes(wire.PING, b"x") + last + part + last + to_bytes(wire.ROOM, packet("over", False)) + last
        stream += wire.room_message(b'{"type":"next"}', False) + last
        for at in range(0, len(stream), 13):
            self.assertEqual(self.compare([stream[:at], stream[at:]]).taken.count("last"), 7)

    def test_told_in_order(self) -> None:
        """Masters that were made before a packet is refused are told before that."""
        for words in (["last", "bad"], ["last", "last", "crash", "last"], ["last", "fault", "last"], ["last", "over", "last"]):
            self.compare([b"".join(to_bytes(wire.ROOM, packet(word, False)) for word in words)])

    def test_storm(self) -> None:
        """Who says too much that is refused is told so, and closed; what stands behind is taken by nobody."""
        way = self.compare([to_bytes(wire.ROOM, packet("bad", False)) * 50 + to_bytes(wire.ROOM, packet("last", False))] * 4)
        self.assertTrue(way.guest.transport.write_lost)
        self.assertEqual((way.taken.count("bad"), way.taken.count("last")), (120, 2))

    def test_long_ones(self) -> None:
        """Of any size around those at which something else begins, or that is allowed at most."""
        for size in (999, 1000, 1001, 4095, 4096, 4097, 9000):
            data = packet("last", False)[:-1].ljust(size - 1) + b"}"
            self.compare([to_bytes(wire.ROOM, data) + to_bytes(wire.ROOM, packet("last", False))])
            way = self.compare([to_bytes(wire.ROOM, data) + to_bytes(wire.ROOM, packet("last", False))], websocket_message_bytes=1000)
            self.assertEqual((len(way.taken), way.guest.transport.write_lost), (2, False) if size <= 1000 else (0, True))

    def test_it_is_short(self) -> None:
        """Nothing but the lane sees packets."""
        way = PortWay(BY_REACTOR, True)
        self.patch(game_port.GamePortConnection, "_take_plain", lambda *what: self.fail("long"))
        way.read(to_bytes(wire.ROOM, packet("early", True), RAW) * 3)
        self.assertEqual(way.taken, ["early"] * 3)
        self.assertIsNotNone(way.short)

    def test_between_plays(self) -> None:
        """With the play the short way ends, and with the next one it begins again."""
        way = PortWay(BY_REACTOR, False)
        first = way.short
        way.read(to_bytes(wire.ROOM, packet("over", False)))
        way.read(wire.room_message(b'{"type":"ping","t":0}', False))
        self.assertIsNone(way.short)
        way.read(wire.room_message(b'{"type":"next"}', False))
        self.assertIsNotNone(way.short)
        self.assertIsNot(way.short, first)
        way.read(to_bytes(wire.ROOM, packet("last", False)))
        self.assertEqual(way.taken[-1], "last")

    def test_ended(self) -> None:
        """A connection that ends, or is of no room any more, has no short way."""
        for ending in (
            lambda way: way.guest.protocol.close(None),
            lambda way: way.guest.protocol.close(BadState("away with you")),
            lambda way: way.guest.protocol.leave_off(),
            lambda way: way.read(wire.encode(wire.LEAVE, {})),
            lambda way: way.guest.lose(),
            lambda way: way.read(b"G"),
        ):
            way = PortWay(BY_REACTOR, False)
            lane = way.guest.protocol._lane
            ending(way)
            self.assertEqual((way.short, lane.plain, way.guest.protocol._lane), (None, False, None))
            self.assertEqual(lane.take(to_bytes(wire.ROOM, packet("last", False))), to_bytes(wire.ROOM, packet("last", False)))
            self.assertEqual(way.taken, [])

    def test_over_the_reactor(self) -> None:
        """As long as it is open the reactor gives it what it reads; what it is told is sent when the round ends, then and afterwards."""
        self.patch(game_port, "let_take", let_take)
        way = PortWay(BY_PROTOCOL, False)
        with lean_connection(way.guest.protocol) as (reactor, kernel):
            way.guest.protocol._leave_lane()
            read_from(reactor, kernel, wire.room_message(b'{"type":"ping","t":0}', False))
            self.assertTrue(reactor.shortcuts)
            with mock.patch.object(game_port.GamePortConnection, "dataReceived", side_effect=AssertionError):
                read_from(reactor, kernel, to_bytes(wire.ROOM, packet("last", False)) * 2)
            self.assertEqual(way.taken, ["last"] * 2)
            way.guest.protocol.deliver(Outgoing(b"soon"))
            self.assertFalse(kernel.taken.endswith(b"soon"))
            reactor.iterate(0)
            self.assertTrue(kernel.taken.endswith(b"soon"))
            way.guest.protocol.pauseProducing()
            self.assertEqual(reactor.shortcuts, {})
            way.guest.protocol.resumeProducing()
            way.guest.protocol.deliver(Outgoing(b"later"))
            self.assertFalse(kernel.taken.endswith(b"later"))

    def test_slow_reader(self) -> None:
        """What a client says that does not read waits until it does, as what it is told."""
        seen = []
        for kind in (LONG, BY_PROTOCOL, BY_REACTOR):
            way = PortWay(kind, False)
            way.guest.pause()
            way.read(to_bytes(wire.ROOM, packet("early", False)))
            taken = list(way.taken), way.guest.transport.reading
            way.guest.resume()
            seen.append((taken, way.taken, way.guest.transport.reading))
            way.read(to_bytes(wire.ROOM, packet("early", False)) * 2)
            self.assertEqual((len(way.taken), way.short is None), (3, kind == LONG))
        self.assertEqual(seen, [(([], False), ["early"], True)] * 3)

    def test_short_again(self) -> None:
        """After more than are taken at once it goes on as before."""
        way = PortWay(BY_REACTOR, True)
        way.read(to_bytes(wire.ROOM, packet("early", True), RAW) * 100)
        self.patch(game_port.GamePortConnection, "dataReceived", lambda *what: self.fail("long"))
        way.read(to_bytes(wire.ROOM, packet("early", True), RAW))
        self.assertEqual(len(way.taken), 101)

    def test_within_a_message(self) -> None:
        """What looks like a packet is none where it is the rest of a message in parts."""
        last = to_bytes(wire.ROOM, packet("last", False))
        way = self.compare([to_bytes(wire.ROOM_PART, b"x"), last, last])
        self.assertEqual(way.taken, ["last"])

    def test_told_after_the_end(self) -> None:
        """Nothing."""
        way = PortWay(BY_REACTOR, False)
        way.guest.protocol.close(None)
        way.guest.transport.clear()
        way.guest.protocol.deliver_all(Outgoings([Outgoing(b"{}"), Outgoing(b"{}")]))
        self.assertEqual(way.guest.transport.value(), b"")

    def test_turns(self) -> None:
        """As many are taken at once as the long way takes; the rest when the others had their turn."""
        taken = []
        for kind in (LONG, BY_PROTOCOL, BY_REACTOR):
            way = PortWay(kind, True)
            way.comes(to_bytes(wire.ROOM, packet("early", True), RAW) * 200)
            taken.append((len(way.taken), way.guest.transport.reading))
            way.read(b"")
            self.assertEqual((len(way.taken), way.guest.transport.reading), (200, True))
            way.read(to_bytes(wire.ROOM, packet("early", True), RAW))
            self.assertEqual(len(way.taken), 201)
        self.assertEqual(taken[1:], taken[:1] * 2)
