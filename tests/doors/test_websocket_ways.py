"""gameroom.doors.limited_websocket: the short way for plain frames does what autobahn alone does, for any bytes in any reads."""

from __future__ import annotations

from itertools import pairwise
from typing import Any
from unittest import mock

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors import limited_websocket
from gameroom.doors.room_socket import RoomSocket
from tests.doors.test_websocket import NotedConversation, SmallWorld
from tests.doors.web.sockets import BINARY, CLOSE, PING, PONG, TEXT, SocketPeer, frame
from tests.system import websocket

SIZES = st.one_of(st.integers(0, 12), st.sampled_from([99, 100, 101, 124, 125, 126, 127, 128, 300, 999, 1000, 1001, 5000]))
OPCODES = st.sampled_from([TEXT, BINARY, TEXT, BINARY, TEXT, BINARY, 0, PING, PONG, CLOSE, 3, 11])
TEXTS = st.sampled_from([b"x", "grüße ".encode(), "𝄞".encode(), b"\xed\xa0\x80", b"\xff", b"\xc3"])
SAYINGS = (b"close", b"fail", b"prove", b"answer", b"leave")
"""What makes the conversation of these tests do something."""


class AllByAutobahn(RoomSocket):
    """A room socket without the short way."""

    def dataReceived(self, data: bytes) -> None:
        self._heard = True
        if not self._is_endless(data):
            self._dataReceived(data)


class ActingConversation(NotedConversation):
    """A conversation that answers, proves itself, fails and ends the connection where it is told so."""

    def text(self, data: bytes) -> None:
        self.binary(data)
        self.said[-1] = data.decode()

    def binary(self, data: bytes) -> None:
        self.said.append(data)
        if data == b"close":
            self.connection.close(None)
        elif data == b"fail":
            raise ZeroDivisionError
        elif data == b"prove":
            self.proved = True
        elif data == b"answer":
            self.connection.sendData(b"\x81\x02ok")
        elif data == b"leave":
            self.connection.transport.loseConnection()


class Way(SmallWorld):
    """One of the two ways, with what can be seen of it from outside."""

    def __init__(self, protocol: type[RoomSocket]) -> None:
        super().__init__(websocket_message_bytes=1000, unauthenticated_bytes=100, websocket_fragments=4)
        self.site.protocol = protocol.resting_as(self.site.pristine)
        self.peer: SocketPeer = self.open(proved=False)

    def _converse(self, **given: Any) -> NotedConversation:
        self.conversations.append(ActingConversation(**given))
        return self.conversations[-1]

    def read(self, data: bytes) -> None:
        self.peer.raw(data)
        while any(call.getTime() <= self.clock.seconds() for call in self.clock.getDelayedCalls()):
            self.clock.advance(0)

    @property
    def seen(self) -> tuple[Any, ...]:
        transport, socket = self.peer.transport, self.conversations[0].connection
        ends: tuple[Any, ...] = transport.disconnecting, transport.aborted, socket.state, socket.why, socket.closing_since, socket.wasClean
        remote = socket.remoteCloseCode
        if socket.failedByMe:
            # autobahn looks at a frame that is a breach again when more of it comes, and then drops what it had begun to close;
            # and at a close frame behind it where that comes with another read.
            ends, remote = (socket.why, socket.closing_since), None
        return list(self.conversations[0].said), transport.value(), ends, remote, socket.localCloseCode


@st.composite
def frames(draw: st.DrawFn) -> bytes:
    """One frame, mostly right."""
    saying = draw(st.one_of(st.none(), st.none(), st.sampled_from(SAYINGS)))
    if saying is not None:
        return frame(saying, draw(st.sampled_from([TEXT, BINARY])))
    opcode, size = draw(OPCODES), draw(SIZES)
    payload = draw(TEXTS) * size
    # Cut where a character ends, mostly.
    payload = payload[:size] if draw(st.integers(0, 5)) == 0 else payload[:size].decode(errors="ignore").encode()
    if opcode == CLOSE and draw(st.booleans()):
        payload = draw(st.integers(990, 5005)).to_bytes(2) + payload[:20]
    oddity = draw(st.sampled_from([*[""] * 10, "fragment", "fragment", "unmasked", "reserved", "liar", "long"]))
    if oddity == "long":
        return bytes([0x80 | opcode, 0xFE]) + size.to_bytes(2) + bytes(4) + payload
    if oddity == "liar":
        return frame(payload, opcode, size=draw(SIZES))
    return frame(payload, opcode, fin=oddity != "fragment", masked=oddity != "unmasked", rsv=draw(st.integers(1, 7)) if oddity == "reserved" else 0)


def mutated(stream: bytes, data: st.DataObject) -> bytes:
    """The stream with a byte changed, put in or taken out."""
    at = data.draw(st.integers(0, max(0, len(stream) - 1)))
    return stream[:at] + data.draw(st.binary(max_size=1)) + stream[at + data.draw(st.integers(0, 1)) :]


class BothWaysTests(SynchronousTestCase):
    """Autobahn alone, and with the short way before it."""

    def cut(self, stream: bytes, data: st.DataObject) -> list[bytes]:
        """The stream in some reads."""
        cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=6)))
        return [stream[start:end] for start, end in pairwise([0, *cuts, len(stream)]) if end > start]

    def compare(self, reads: list[bytes]) -> Way:
        """Both are given these reads; after each of them they have taken, sent and ended the same."""
        short, plain = Way(RoomSocket), Way(AllByAutobahn)
        for read in reads:
            short.read(read)
            plain.read(read)
            self.assertEqual(short.seen, plain.seen)
        for way in (short, plain):
            way.clock.pump([0.0, 1.0, 5.0])
        self.assertEqual(short.seen, plain.seen)
        self.flushLoggedErrors(ZeroDivisionError)
        return short

    @settings(max_examples=150, deadline=None)
    @given(st.lists(frames(), max_size=20), st.integers(1, 5), st.integers(14, 300))
    def test_in_turns(self, found: list[bytes], at_once: int, bytes_at_once: int) -> None:
        """Where one read is taken in several rounds, others having their turn between."""
        with mock.patch.multiple(limited_websocket, AT_ONCE=at_once, BYTES_AT_ONCE=bytes_at_once):
            self.compare([b"".join(found)])

    def test_the_next_round(self) -> None:
        """So many frames are taken at once; the rest in the next rounds, in order, and nothing is read meanwhile."""
        way = Way(RoomSocket)
        way.read(frame(b"000"))
        said, transport = way.conversations[0].said, way.peer.transport
        said.clear()
        way.peer.raw(b"".join(frame(b"%d" % number) for number in range(150)) + frame(b"x", PING) * 2000)
        self.assertEqual((len(said), transport.reading, transport.value()), (64, False, b""))
        way.clock.advance(0)
        self.assertEqual(said, [str(number) for number in range(150)])
        self.assertEqual((transport.value().count(b"\x8a\x01x"), transport.reading), (2000, True))

    def test_gone_between(self) -> None:
        """What a peer said that is gone before its next round is not taken."""
        way = Way(RoomSocket)
        way.read(frame(b"x"))
        way.peer.raw(frame(b"x") * 100)
        way.peer.lose()
        way.clock.advance(0)
        self.assertEqual(way.conversations[0].said, ["x"] * 65 + ["LOST"])

    @settings(max_examples=150, deadline=None)
    @given(st.lists(frames(), max_size=8), st.data())
    def test_any_frames(self, found: list[bytes], data: st.DataObject) -> None:
        """As one read, frame by frame, byte by byte, and cut anywhere."""
        stream = b"".join(found)
        self.compare([stream])
        self.compare(found)
        self.compare([stream[at : at + 1] for at in range(len(stream))])
        self.compare(self.cut(stream, data))

    @settings(max_examples=150, deadline=None)
    @given(st.lists(frames(), min_size=1, max_size=8), st.data())
    def test_broken_frames(self, found: list[bytes], data: st.DataObject) -> None:
        """With some of the bytes wrong."""
        stream = b"".join(found)
        for _ in range(data.draw(st.integers(1, 3))):
            stream = mutated(stream, data)
        self.compare([stream])
        self.compare(self.cut(stream, data))

    @given(st.binary(max_size=200))
    def test_garbage(self, stream: bytes) -> None:
        """What is no frame at all."""
        self.compare([stream])

    def test_every_cut(self) -> None:
        """A stream with something of everything, cut in two at every byte."""
        stream = (
            frame(b"prove")
            + frame("grüße".encode()) * 2
            + frame(b"\x00\xff" * 80, BINARY)
            + frame(b"a", fin=False)
            + frame(b"p", PING)
            + frame(b"b", 0)
            + frame(b"answer")
            + frame(b"", PONG) * 2
            + frame(b"x" * 300)
            + frame(b"last", BINARY)
            + frame(b"\xff")
            + frame(b"late")
            + frame((1007).to_bytes(2), CLOSE)
        )
        for at in range(len(stream)):
            way = self.compare([stream[:at], stream[at:]])
            self.assertEqual(way.said[-3:], ["x" * 300, b"last", "LOST"], at)

    def test_close_within_a_read(self) -> None:
        """What stands behind the frame that ended the connection is taken by nobody."""
        for saying in (b"close", b"fail"):
            for opcode in (TEXT, BINARY):
                way = self.compare([frame(b"first") + frame(saying, opcode) + frame(b"second") + frame(b"", CLOSE) + frame(b"third")])
                self.assertEqual([said for said in way.said if said in ("second", "third")], [])

    def test_limits(self) -> None:
        """Neither limit gives way to frames that are plain otherwise."""
        for first in ([frame(b"prove")], [frame(b"x")], [frame(b"x" * 100)], [frame(b"prove"), frame(b"x" * 1000)]):
            for size in (99, 100, 101, 125, 126, 999, 1000, 1001, 4096, 4097):
                self.compare([*first, frame(b"x" * size), frame(b"after")])
                self.compare([*first, frame(b"x" * size) + frame(b"after")])

    def test_random_masks(self) -> None:
        """Whatever the mask."""
        for size in (1, 2, 3, 4, 5, 52, 125, 126, 900):
            self.compare([frame(b"prove"), *(websocket.frame(BINARY, bytes(size)) + websocket.frame(TEXT, b"x" * size) for _ in range(5))])

    def test_short_way_after_autobahn(self) -> None:
        """A part of a frame at the end of a read, or a fragmented message, costs the short way for no longer than itself."""
        taken: list[bytes] = []

        class Noted(RoomSocket):
            def _dataReceived(self, data: bytes) -> None:
                taken.append(data)
                super()._dataReceived(data)

        way = Way(Noted)
        way.read(frame(b"prove"))
        taken.clear()
        for beginning, rest in ((b"", b""), (frame(b"abc")[:7], frame(b"abc")[7:]), (frame(b"abc")[:3], frame(b"abc")[3:])):
            way.read(frame(b"whole") * 3 + beginning)
            way.read(rest + frame(b"whole") * 3)
        way.read(frame(b"a", fin=False) + frame(b"b", 0))
        way.read(frame(b"", PONG) + frame(b"whole") + frame(b"", PONG))
        self.assertEqual(taken, [frame(b"abc")[:7], frame(b"abc")[7:], frame(b"abc")[:3], frame(b"a", fin=False) + frame(b"b", 0)])
        self.assertEqual(way.said.count("whole"), 19)

    def test_small(self) -> None:
        """Autobahn's attributes are gone after the handshake and after whatever came the long way, and not in the midst of it."""
        way = Way(RoomSocket)
        socket = way.conversations[0].connection
        self.assertEqual(vars(socket), {})
        for whole in (frame(b"prove"), frame(b"x", PONG), frame(b"x" * 900) * 2, frame("ü".encode(), fin=False) + frame(b"b", 0)):
            way.read(whole[:-1])
            self.assertNotEqual(vars(socket), {})
            way.read(whole[-1:])
            self.assertEqual(vars(socket), {})
