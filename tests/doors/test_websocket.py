"""gameroom.doors.websocket and room_socket: who comes in, what a message may be, and how connections end."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gameroom.doors.websocket import RoomSocketFactory
from gameroom.errors import BadState
from gameroom.interfaces import IFramedConnection
from gameroom.listeners import Listeners
from gameroom.metrics import Metrics
from gameroom.settings import Limits, WebSettings
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.doors.web.sockets import BINARY, CLOSE, PING, PONG, TEXT, Closed, SocketPeer, frame, handshake, socket_of
from tests.doors.web.world import TCP, WebWorld


class NotedConversation:
    """A conversation that keeps what it is given."""

    proved = False
    failing = False

    def __init__(self, *, registry: Any, connection: Any, room_id: str, limits: Any) -> None:
        self.connection = connection
        self.room_id = room_id
        self.said: list[bytes | str] = []

    @property
    def lane(self) -> None:
        return None

    def refuse_packet(self, error: Exception) -> None: ...

    def text(self, data: bytes) -> None:
        if self.failing:
            raise ZeroDivisionError("a secret of ours")
        self.said.append(data.decode())

    def binary(self, data: bytes) -> None:
        self.said.append(data)

    def lost(self) -> None:
        self.said.append("LOST")


class SmallWorld:
    """A factory of its own, as another program would embed it."""

    def __init__(self, web: WebSettings | None = None, **limits: Any) -> None:
        self.clock = Clock()
        self.limits = Limits(**limits)
        self.conversations: list[NotedConversation] = []
        self.metrics = Metrics()
        self.site = RoomSocketFactory(
            registry=None, clock=self.clock, limits=lambda: self.limits, web=web, metrics=self.metrics, conversation=self._converse
        )
        self.site.doStart()

    def _converse(self, **given: Any) -> NotedConversation:
        self.conversations.append(NotedConversation(**given))
        return self.conversations[-1]

    def open(self, headers: dict[str, str | None] | None = None, path: str = "/socket/room-1", *, proved: bool = True) -> SocketPeer:
        """A peer after its handshake."""
        peer = SocketPeer(self, "192.0.2.1")  # type: ignore[arg-type]
        peer.connect(path, headers)
        if peer.status == 101:
            self.conversations[-1].proved = proved
        return peer

    @property
    def said(self) -> list[bytes | str]:
        """What the newest conversation was given."""
        return self.conversations[-1].said


class HandshakeTests(SynchronousTestCase):
    """Who comes in."""

    def setUp(self) -> None:
        self.world = SmallWorld(WebSettings(origins=("https://friend.example",)))

    def status(self, path: str = "/socket/room-1", **headers: str | None) -> int:
        return self.world.open({name.replace("_", "-"): value for name, value in headers.items()}, path).status

    def test_in(self) -> None:
        """A right request is answered by 101 with the subprotocol, no extension, and no word of our library."""
        peer = self.world.open({"Sec-WebSocket-Extensions": "permessage-deflate; client_max_window_bits"})
        self.assertEqual(peer.status, 101)
        self.assertTrue(peer.accepted_key())
        self.assertIn("Sec-WebSocket-Protocol: gameroom.v1", peer.head)
        self.assertNotIn("Extensions", peer.head)
        self.assertNotIn("Autobahn", peer.head)
        self.assertEqual(self.world.conversations[0].room_id, "room-1")
        self.assertTrue(verifyObject(IFramedConnection, peer.transport.protocol))

    def test_subprotocol(self) -> None:
        """`gameroom.v1` is required, among others or alone."""
        self.assertEqual(self.status(Sec_WebSocket_Protocol=None), 400)
        self.assertEqual(self.status(Sec_WebSocket_Protocol="gameroom.v2"), 400)
        self.assertEqual(self.status(Sec_WebSocket_Protocol="chat, gameroom.v1"), 101)

    def test_origins(self) -> None:
        """The same host and configured origins may come, `null` and others may not, and who has none is no browser."""
        for origin, status in [
            (None, 101),
            ("http://play.example:8080", 101),
            ("https://friend.example", 101),
            ("https://evil.example", 403),
            ("http://play.example", 403),
            ("null", 400),
            ("file:///x", 400),
            ("", 400),
        ]:
            self.assertEqual(self.status(Origin=origin), status, origin)

    def test_paths(self) -> None:
        """Sockets are at /socket/<room_id> alone."""
        for path in ("/", "/socket", "/socket/", "/socket/a/b", "/socket/a%2Fb", "/sockets/a", "/socket/" + "a" * 65):
            self.assertEqual(self.status(path), 404, path)
        self.assertEqual(self.status("/socket/room-1?x=1"), 101)

    def test_not_a_handshake(self) -> None:
        """Old versions, bad keys and plain requests are refused."""
        for headers in (
            {"Sec_WebSocket_Version": "8"},
            {"Sec_WebSocket_Version": "x"},
            {"Sec_WebSocket_Key": "short"},
            {"Sec_WebSocket_Key": None},
            {"Connection": "close"},
            {"Host": None},
        ):
            self.assertEqual(self.status(**headers), 400, headers)
        self.assertEqual(self.status(Upgrade=None), 426)
        self.assertEqual(self.world.conversations, [])

    def test_endless_handshake(self) -> None:
        """Headers without end are not kept."""
        peer = SocketPeer(self.world, "192.0.2.1")  # type: ignore[arg-type]
        peer.raw(b"GET /socket/a HTTP/1.1\r\n")
        for _ in range(20):
            peer.raw(b"X: " + b"y" * 1000 + b"\r\n")
            if peer.transport.disconnecting:
                break
        self.assertTrue(peer.transport.disconnecting)
        self.assertTrue(peer.take().startswith(b"HTTP/1.1 431"))

    def test_slow_handshake(self) -> None:
        """A handshake that does not come in time ends the connection."""
        peer = SocketPeer(self.world, "192.0.2.1")  # type: ignore[arg-type]
        peer.raw(b"GET /socket/a HTTP/1.1\r\n")
        self.world.clock.advance(10)
        self.assertTrue(peer.transport.aborted)

    def test_frames_behind_the_handshake(self) -> None:
        """What comes in the same read as the handshake is not lost."""
        peer = SocketPeer(self.world, "192.0.2.1")  # type: ignore[arg-type]
        self.assertEqual(peer.connect("/socket/a", after=frame(b"hello")), 101)
        self.assertEqual(self.world.said, ["hello"])

    def test_per_address(self) -> None:
        """An address has so many connections."""
        world = SmallWorld(connections_per_address=1)
        peer = world.open()
        self.assertTrue(SocketPeer(world, "192.0.2.1").refused)  # type: ignore[arg-type]
        peer.lose()
        self.assertFalse(SocketPeer(world, "192.0.2.1").refused)  # type: ignore[arg-type]


class MessageTests(SynchronousTestCase):
    """What comes in."""

    def setUp(self) -> None:
        self.world = SmallWorld(websocket_message_bytes=1000, unauthenticated_bytes=100, websocket_fragments=4)

    def test_kinds(self) -> None:
        """Text and binary messages, in fragments and any cut of the bytes, and control frames between fragments."""
        peer = self.world.open()
        data = (
            frame("grüße".encode())
            + frame(b"\x00\xff", BINARY)
            + frame("grü".encode()[:-1], fin=False)
            + frame(b"p", PING)
            + frame("grüße".encode()[3:], 0)
            + frame(b"")
        )
        for byte in data:
            peer.raw(bytes([byte]))
        self.assertEqual(self.world.said, ["grüße", b"\x00\xff", "grüße", ""])
        self.assertEqual(peer.heard(), [PONG])

    @given(st.lists(st.tuples(st.booleans(), st.text(max_size=40), st.integers(1, 4)), max_size=6), st.data())
    def test_any_split(self, messages: list[tuple[bool, str, int]], data: st.DataObject) -> None:
        """However messages are cut into fragments and reads, they arrive whole and in order."""
        world = SmallWorld()
        peer = world.open()
        stream, wanted = b"", []
        for binary, text, fragments in messages:
            payload = text.encode()
            wanted.append(payload if binary else text)
            size = len(payload) // fragments + 1
            parts = [payload[at : at + size] for at in range(0, len(payload), size)] or [b""]
            for index, part in enumerate(parts):
                stream += frame(part, 0 if index else BINARY if binary else TEXT, fin=index == len(parts) - 1)
        while stream:
            size = data.draw(st.integers(1, len(stream)))
            peer.raw(stream[:size])
            stream = stream[size:]
        self.assertEqual(world.said, wanted)

    @given(st.binary(max_size=200))
    def test_garbage(self, data: bytes) -> None:
        """Garbage raises nothing; at most it ends the connection, and the conversation hears of that once."""
        world = SmallWorld()
        peer = world.open()
        peer.raw(data)
        peer.lose()
        self.assertEqual(world.said.count("LOST"), 1)
        self.assertEqual(self.flushLoggedErrors(), [])

    def closed(self, peer: SocketPeer) -> int:
        """The code with which a peer was closed; nothing that it says counts any more."""
        self.world.clock.advance(0)
        closes = [each for each in peer.heard() if isinstance(each, Closed)]
        self.assertEqual(len(closes), 1)
        before = list(self.world.said)
        peer.raw(frame(b"still here") + frame(b"x", PING))
        self.assertEqual((self.world.said, peer.take()), (before, b""))
        return int(closes[0].code)

    def test_too_long(self) -> None:
        """A message over the limit is 1009, as soon as its length is announced, whole or in fragments."""
        peer = self.world.open()
        peer.raw(frame(b"", size=1001))
        self.assertEqual(self.closed(peer), 1009)
        self.assertEqual(self.world.said, ["LOST"])
        peer = self.world.open()
        peer.raw(frame(b"x" * 600, fin=False) + frame(b"x" * 401, 0))
        self.assertEqual(self.closed(peer), 1009)
        peer = self.world.open()
        peer.raw(frame(b"x" * 1000))
        self.assertEqual(self.world.said, ["x" * 1000])

    def test_fragments(self) -> None:
        """A message has so many fragments, empty ones too; the next message is counted anew."""
        peer = self.world.open()
        whole = frame(b"a", fin=False) + frame(b"", 0, fin=False) * 2 + frame(b"b", 0)
        peer.raw(whole * 2)
        self.assertEqual(self.world.said, ["ab", "ab"])
        peer.raw(frame(b"a", fin=False) + frame(b"", 0, fin=False) * 4)
        self.assertEqual(self.closed(peer), 1009)

    def test_too_long_before_hello(self) -> None:
        """Before a good hello a message is short, else 4100; afterwards it may be long."""
        peer = self.world.open(proved=False)
        peer.raw(frame(b"x" * 100))
        peer.raw(frame(b"", size=101))
        self.assertEqual(self.closed(peer), 4100)
        self.assertEqual(self.world.said, ["x" * 100, "LOST"])

    def test_breaches(self) -> None:
        """What breaks the protocol is 1002, text that is not UTF-8 1007."""
        for data, code in [
            (frame(b"x", masked=False), 1002),
            (frame(b"x", rsv=4), 1002),
            (frame(b"x", 3), 1002),
            (frame(b"x", 0), 1002),
            (frame(b"x" * 126, PING), 1002),
            (frame(b"x", CLOSE), 1002),
            (frame((5).to_bytes(2, "big"), CLOSE), 1002),
            (frame(b"\xff\xfe"), 1007),
            (frame(b"\xed\xa0\x80"), 1007),
        ]:
            peer = self.world.open()
            peer.raw(data)
            self.assertEqual(self.closed(peer), code, data)

    def test_our_fault(self) -> None:
        """What fails in here is 4199 with nothing told, and the log has it."""
        peer = self.world.open()
        self.world.conversations[0].failing = True
        peer.raw(frame(b"x") + frame(b"y"))
        [closed] = peer.heard()
        self.world.clock.advance(0)
        self.assertEqual(closed.code, 4199)
        self.assertNotIn("secret", closed.reason)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.world.said, ["LOST"])


class OutgoingTests(SynchronousTestCase):
    """What goes out."""

    def setUp(self) -> None:
        self.world = SmallWorld(queue_bytes=1000)
        self.peer = self.world.open()
        self.socket = self.world.conversations[0].connection

    def pause(self) -> None:
        """The peer reads nothing more, and its transport is full."""
        self.peer.transport.producer.pauseProducing()

    def test_deliver(self) -> None:
        """A message is one frame, text or binary, of any length."""
        sizes = (0, 125, 126, 65535, 65536)
        for size in sizes:
            self.socket.deliver(Outgoing(b"x" * size, binary=True))
        self.socket.deliver(Outgoing.json({"type": "x"}))
        self.assertEqual(self.peer.heard(), [*(b"x" * size for size in sizes), {"type": "x"}])

    def test_registered(self) -> None:
        """The transport's producer is the outbox, streaming."""
        self.assertTrue(self.peer.transport.streaming)
        self.assertIs(self.peer.transport.producer, self.socket.outbox)

    def test_waits(self) -> None:
        """While the peer reads nothing, messages wait, and nothing is read from it; then all goes on in order."""
        self.pause()
        self.socket.deliver(Outgoing(b"1", binary=True))
        self.assertFalse(self.peer.transport.reading)
        self.assertEqual((self.peer.take(), self.world.site.queued_bytes()), (b"", 3))
        self.peer.raw(frame(b"", PING))
        self.socket.deliver(Outgoing(b"2", binary=True))
        self.peer.transport.producer.resumeProducing()
        self.assertTrue(self.peer.transport.reading)
        self.assertEqual(self.peer.heard(), [b"1", PONG, b"2"])

    def test_held(self) -> None:
        """A peer that is held is not read from, whatever else makes its transport go on; what it is told goes out; and it is not silent."""
        self.socket.hold()
        self.assertFalse(self.peer.transport.reading)
        self.pause()
        self.peer.transport.producer.resumeProducing()
        self.assertFalse(self.peer.transport.reading)
        self.socket.deliver(Outgoing(b"1", binary=True))
        self.world.clock.pump([1.0] * 70)
        self.assertEqual((self.peer.heard()[0], self.peer.transport.aborted), (b"1", False))
        self.pause()
        self.socket.let_go()
        self.assertFalse(self.peer.transport.reading)
        self.peer.transport.producer.resumeProducing()
        self.assertTrue(self.peer.transport.reading)
        self.world.clock.pump([1.0] * 61)
        self.assertTrue(self.peer.transport.aborted)

    def test_held_with_much_on_its_way(self) -> None:
        """What was read already is still taken, in the reactor's next rounds, and nothing is read in between."""
        self.peer.raw(frame(b"x") * 200)
        self.socket.hold()
        self.world.clock.pump([0] * 10)
        self.assertEqual((len(self.world.said), self.peer.transport.reading), (200, False))
        self.socket.let_go()
        self.assertTrue(self.peer.transport.reading)

    def test_closed_while_it_is_held(self) -> None:
        """Its own close frame is read."""
        self.socket.hold()
        self.socket.close(None)
        self.assertTrue(self.peer.transport.reading)
        self.socket.hold()
        self.assertTrue(self.peer.transport.reading)

    def test_too_slow(self) -> None:
        """Past queue_bytes the connection ends with 4106; the conversation hears of it, though not from inside of the delivery."""
        self.pause()
        for _ in range(20):
            self.socket.deliver(Outgoing(b"x" * 100, binary=True))
        self.assertEqual([each.code for each in self.peer.heard()], [4106])
        self.assertEqual(self.world.said, [])
        self.world.clock.advance(0)
        self.assertEqual(self.world.said, ["LOST"])
        self.world.clock.pump([1] * 7)
        self.assertTrue(self.peer.transport.aborted)

    def test_outlet(self) -> None:
        """What its outlet is given is delivered in the order of all else, until it is closed."""
        outlet = self.socket.outlet
        self.socket.deliver(Outgoing(b"1", binary=True))
        outlet.deliver(Outgoings([Outgoing(b"2", binary=True), Outgoing(b"3", binary=True)]))
        self.pause()
        outlet.deliver(Outgoing(b"4", binary=True))
        self.socket.close(None)
        outlet.deliver(Outgoing(b"5", binary=True))
        self.peer.transport.producer.resumeProducing()
        outlet.deliver(Outgoing(b"6", binary=True))
        self.assertEqual(self.peer.heard(), [b"1", b"2", b"3", b"4", Closed(1000, "")])

    def test_outlet_of_a_slow_reader(self) -> None:
        """Who reads too slowly is cut in the midst of what all are told; behind the close frame it gets nothing, whoever had its outlet."""
        other = self.world.open()
        sockets = self.socket, self.world.conversations[1].connection
        listeners = Listeners(sockets)
        self.pause()
        for number in range(12):
            listeners.give(Outgoing(b"%d" % (number % 10) * 100, binary=True))
        listeners.give(Outgoings([Outgoing(b"end", binary=True)]))
        self.socket.outlet.deliver(Outgoing(b"late", binary=True))
        self.assertEqual([each.code for each in self.peer.heard()], [4106])
        self.assertEqual(other.heard(), [*(b"%d" % (number % 10) * 100 for number in range(12)), b"end"])

    def test_outlet_of_one_that_cannot_take_its_close_frame(self) -> None:
        """Where the close frame does not fit what waits, it comes alone, and nothing behind it."""
        self.pause()
        self.socket.deliver(Outgoing(b"x" * 900, binary=True))
        outlet = self.socket.outlet
        self.socket.close(BadState("y" * 100))
        for each in (outlet, self.socket.outlet):
            each.deliver(Outgoing(b"late", binary=True))
        self.assertEqual([each.code for each in self.peer.heard()], [4106])

    def test_overflows_while_it_is_closed(self) -> None:
        """The outbox that it has then is for a close frame alone: nothing is delivered by it, either."""
        self.pause()
        self.socket.close(None)
        self.socket.sendData(b"x" * 2000)
        self.socket.deliver(Outgoing(b"late", binary=True))
        self.assertEqual(self.peer.take(), b"")

    def test_history(self) -> None:
        """History goes at the reader's pace, what is sent meanwhile stays behind it, and it does not count to queue_bytes."""
        pieces = [Outgoing(b"%d" % number * 600, binary=True) for number in range(4)]
        source = iter([*pieces, None])

        def next_piece() -> Outgoing | None:
            piece = next(source)
            if piece is pieces[1]:
                self.pause()
            return piece

        self.socket.catch_up(next_piece)
        self.socket.deliver(Outgoing(b"live", binary=True))
        self.assertEqual(self.peer.heard(), [b"0" * 600, b"1" * 600])
        self.peer.transport.producer.resumeProducing()
        self.assertEqual(self.peer.heard(), [b"2" * 600, b"3" * 600, b"live"])

    def test_close(self) -> None:
        """Closed with an error: 4000 and its code, and its message; without one: 1000. What is queued comes first."""
        self.pause()
        self.socket.deliver(Outgoing(b"last", binary=True))
        self.socket.close(BadState("ü" * 100))
        self.socket.deliver(Outgoing(b"after", binary=True))
        self.socket.close(None)
        self.peer.transport.producer.resumeProducing()
        last, closed = self.peer.heard()
        self.assertEqual((last, closed.code, set(closed.reason)), (b"last", 4105, {"ü"}))
        other = self.world.open()
        self.world.conversations[1].connection.close(None)
        self.assertEqual(other.heard(), [Closed(1000, "")])
        self.assertEqual(self.world.said, [])
        other.raw(frame((1000).to_bytes(2, "big"), CLOSE))
        self.assertTrue(other.transport.disconnecting)
        other.lose()
        self.assertEqual(self.world.said, ["LOST"])

    def test_after_the_end(self) -> None:
        """Messages for a connection that is gone go nowhere, and raise nothing."""
        self.peer.transport.protocol.connectionLost(Failure(ConnectionLost()))
        self.socket.deliver(Outgoing(b"x", binary=True))
        self.socket.catch_up(lambda: None)
        self.socket.close(BadState("x"))
        self.assertEqual((self.world.said, self.peer.take()), (["LOST"], b""))


class TimeTests(SynchronousTestCase):
    """Pings, silence, proof, and the end of the daemon."""

    def setUp(self) -> None:
        self.world = SmallWorld()

    def pass_seconds(self, seconds: int) -> None:
        self.world.clock.pump([1] * seconds)

    def test_ping(self) -> None:
        """A ping every 20 seconds; who answers stays."""
        peer = self.world.open()
        for _ in range(6):
            self.pass_seconds(20)
            self.assertEqual(peer.heard(), [PING])
            peer.raw(frame(b"", PONG))
        self.assertFalse(peer.transport.disconnecting)

    def test_silence(self) -> None:
        """Who says nothing for 60 seconds, not even pong, is gone."""
        peer = self.world.open()
        self.pass_seconds(30)
        peer.raw(frame(b"x"))
        self.pass_seconds(60)
        self.assertFalse(peer.transport.disconnecting)
        self.pass_seconds(2)
        self.assertTrue(peer.transport.aborted)

    def test_no_proof(self) -> None:
        """Without a good hello within ten seconds, however much is said, it is 4101."""
        peer = self.world.open(proved=False)
        for _ in range(9):
            self.pass_seconds(1)
            peer.raw(frame(b"x"))
        self.assertEqual(peer.heard(), [])
        self.pass_seconds(1)
        self.assertEqual([each.code for each in peer.heard()], [4101])
        self.world.clock.advance(0)
        self.assertEqual(self.world.said[-1], "LOST")

    def test_proof(self) -> None:
        """With it, that time ends nothing; how long it is, is the operator's to say."""
        world = SmallWorld(unauthenticated_seconds=0.5)
        peer = world.open()
        stranger = world.open(proved=False)
        world.clock.advance(0.5)
        self.assertEqual((peer.heard(), [each.code for each in stranger.heard()]), ([], [4101]))

    def test_who_does_not_close(self) -> None:
        """A peer that does not answer a close is cut after a while."""
        peer = self.world.open()
        self.world.conversations[0].connection.close(None)
        self.pass_seconds(4)
        self.assertFalse(peer.transport.aborted)
        self.pass_seconds(3)
        self.assertTrue(peer.transport.aborted)

    def test_flood_after_the_end(self) -> None:
        """What floods in after a close is not looked through, and ends all the same."""
        peer = self.world.open()
        self.world.conversations[0].connection.close(None)
        peer.raw(frame(b"x" * 100_000))
        peer.raw(frame((1000).to_bytes(2, "big"), CLOSE))
        self.assertFalse(peer.transport.disconnecting)
        self.pass_seconds(6)
        self.assertTrue(peer.transport.aborted)

    def test_going_down(self) -> None:
        """When the daemon goes down everybody is closed with 1001; it is done when all are gone."""
        peers = [self.world.open(), self.world.open()]
        done = self.world.site.go_away()
        self.assertEqual([each.code for peer in peers for each in peer.heard()], [1001, 1001])
        late = self.world.open()
        self.assertEqual([each.code for each in late.heard()], [1001])
        self.assertNoResult(done)
        for peer in [*peers, late]:
            peer.lose()
        self.assertIsNone(self.successResultOf(done))
        self.assertIsNone(self.successResultOf(self.world.site.go_away()))

    def test_port_closed(self) -> None:
        """The end of the factory is that too, and afterwards no call is left behind."""
        peer = self.world.open()
        self.world.site.doStop()
        self.assertEqual([each.code for each in peer.heard()], [1001])
        peer.lose()
        self.world.clock.advance(0)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_counted(self) -> None:
        """Connections are counted, and why they ended, in words of ours."""
        peer = self.world.open()
        self.assertIn(b'gameroom_connections{door="web"} 1.0', self.world.metrics.render())
        peer.raw(frame((4999).to_bytes(2, "big"), CLOSE))
        peer.lose()
        text = self.world.metrics.render()
        self.assertIn(b'gameroom_connections{door="web"} 0.0', text)
        self.assertIn(b'gameroom_closed_total{door="web",reason="closed by the peer"} 1.0', text)


class UnderTheSiteTests(SynchronousTestCase):
    """Room sockets on the port of REST, with real rooms."""

    def setUp(self) -> None:
        self.world = WebWorld()
        self.addCleanup(self.world.close)
        self.room_id = self.world.create(self.world.register("alice"))

    def test_hello(self) -> None:
        """A seat token opens the room; another connection of the member takes over and closes the first with 4105."""
        member = self.world.join(self.room_id)
        first = socket_of(self.world, member, self.room_id)
        second = socket_of(self.world, member, self.room_id)
        self.assertEqual([each.code for each in first.heard() if isinstance(each, Closed)], [4105])
        second.say(type_="ping", t=5, id=1)
        self.assertEqual(second.heard()[-1], {"type": "pong", "t": 5, "reply_to": 1})

    def test_three_tries(self) -> None:
        """Bad tokens are answered 101, and the third ends the connection with 4101."""
        peer = SocketPeer(self.world, "192.0.2.1")
        peer.connect(f"/socket/{self.room_id}")
        for _ in range(3):
            peer.say(type_="hello", token="nonsense")
        self.assertEqual([each if isinstance(each, dict) else each.code for each in peer.heard()][-1], 4101)

    def test_no_such_room(self) -> None:
        """A room that is gone is told by 4103, which a page can see and an HTTP status not."""
        peer = SocketPeer(self.world, "192.0.2.1")
        self.assertEqual(peer.connect("/socket/5e0a7f0e-8a37-4f2e-8f5f-3f6d0d7b8f11"), 101)
        peer.say(type_="hello", token="x")
        self.assertEqual(peer.heard()[-1].code, 4103)

    def test_frames_behind_the_handshake(self) -> None:
        """Frames in the same read as the request, or in the next, are not lost between the two protocols."""
        member = self.world.join(self.room_id)
        peer = SocketPeer(self.world, "192.0.2.1")
        hello = frame(b'{"type": "hello", "token": "%s"}' % member["token"].encode())
        self.assertEqual(peer.connect(f"/socket/{self.room_id}", after=hello), 101)
        self.assertEqual(peer.types()[0], "welcome")

    def test_after_a_request(self) -> None:
        """A connection that was used for a request before may upgrade; HTTP's timeouts no longer count then."""
        member = self.world.join(self.room_id)
        peer = SocketPeer(self.world, "192.0.2.1")
        peer.raw(b"GET /rooms HTTP/1.1\r\nHost: play.example:8080\r\n\r\n")
        peer.take()
        self.assertEqual(peer.connect(f"/socket/{self.room_id}"), 101)
        peer.say(type_="hello", token=member["token"])
        for _ in range(10):
            self.world.clock.pump([1] * 20)
            peer.raw(frame(b"", PONG))
        self.assertFalse(peer.transport.disconnecting)

    def test_reading_goes_on(self) -> None:
        """A transport that HTTP has paused is read from again."""
        peer = SocketPeer(self.world, "192.0.2.1")
        peer.transport.pauseProducing()
        self.assertEqual(peer.connect(f"/socket/{self.room_id}"), 101)
        self.assertTrue(peer.transport.reading)

    def test_behind_a_wrapper(self) -> None:
        """With TLS or the PROXY protocol the transport is a wrapper: it hands its bytes to the socket too."""
        member = self.world.join(self.room_id)
        wrapping = WrappingFactory(self.world.site)
        outer: ProtocolWrapper = wrapping.buildProtocol(IPv4Address("TCP", "192.0.2.1", 1))
        transport = TCP()
        outer.makeConnection(transport)
        outer.dataReceived(handshake(f"/socket/{self.room_id}"))
        outer.dataReceived(frame(b'{"type": "hello", "token": "%s"}' % member["token"].encode()))
        self.assertIn(b'"welcome"', transport.value())
        outer.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.world.site.sockets._sockets, set())

    def test_counted_once(self) -> None:
        """A socket is one connection of its address and of the operator's counters, though it began as a request."""
        member = self.world.join(self.room_id)
        peer = socket_of(self.world, member, self.room_id)
        self.assertIn(b'gameroom_connections{door="web"} 1.0', self.world.metrics.render())
        self.assertEqual(self.world.site._peers._counts, {"192.0.2.1": 1})
        peer.lose()
        self.assertIn(b'gameroom_connections{door="web"} 0.0', self.world.metrics.render())
        self.assertEqual(self.world.site._peers._counts, {})

    def test_behind_a_proxy(self) -> None:
        """Behind a trusted proxy sockets count for the address that it names."""
        world = WebWorld(WebSettings(trusted_proxies=("10.0.0.1",)), connections_per_address=1)
        self.addCleanup(world.close)
        found = []
        for forwarded in ("198.51.100.1", "198.51.100.2", "198.51.100.1"):
            peer = SocketPeer(world, "10.0.0.1")
            found.append(peer.connect("/socket/a", {"X-Forwarded-For": forwarded}))
        self.assertEqual(found, [101, 101, 429])

    def test_going_down(self) -> None:
        """The end of the web door closes its sockets with 1001."""
        peer = socket_of(self.world, self.world.join(self.room_id), self.room_id)
        self.world.site.doStop()
        self.assertEqual([each.code for each in peer.heard() if isinstance(each, Closed)], [1001])
