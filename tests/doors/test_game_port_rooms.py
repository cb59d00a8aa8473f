"""The game port: what a member says in a room, and how a connection ends (docs/protocol/game-port.md)."""

from __future__ import annotations

from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.game_port import GamePortFactory
from gameroom.errors import BadState
from gameroom.settings import Limits
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, to_bytes
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.doors.game_port_world import GameWorld, Native


class InARoomTests(SynchronousTestCase):
    """What a member says in a room, and how it ends."""

    def setUp(self) -> None:
        self.world = GameWorld(messages_per_second=10)
        self.host, self.guest = self.world.native(), self.world.native()
        self.room_id = self.host.ask(wire.HOST, game_id=self.world.game, name="Ada")["room_id"]
        self.room = self.world.registry.here(self.room_id)
        self.code = self.room.value.party_code

    def join(self) -> None:
        self.guest.ask(wire.JOIN, party_code=self.code, name="Bob")
        for native in (self.host, self.guest):
            native.heard()

    def test_room_messages(self) -> None:
        """Room messages go both ways; what is wrong is answered as at the other doors."""
        self.join()
        self.guest.say_room(type_="chat", text="hi", id=7)
        bob = self.room.value.players[1].user_id
        self.assertEqual(self.guest.heard(), [{"type": "chat", "from": bob, "text": "hi"}, {"type": "ack", "reply_to": 7}])
        self.assertEqual(self.host.types(), ["chat"])
        self.guest.raw(to_bytes(wire.ROOM, b"[1"))
        self.assertEqual([(message["type"], message["code"]) for message in self.guest.heard()], [("error", 100)])
        self.guest.say_binary(b"\1\2")
        self.assertIn(("packet", bob, b"\1\2"), self.world.referees[-1].told)

    def test_parts(self) -> None:
        """A message that does not fit one envelope comes in parts, and goes out in parts."""
        self.join()
        text = "é" * 80_000
        self.guest.raw(wire.room_message(b'{"type":"echo","x":"' + text.encode() + b'","id":3}', False))
        self.assertEqual(self.guest.heard(), [{"type": "echo", "reply_to": 3}])
        self.guest.say_binary(bytes(200_000))
        self.assertEqual(self.world.referees[-1].told[-1][2], bytes(200_000))

    def test_bad_parts(self) -> None:
        """Too long, too many, of two encodings, or neither text nor binary: 100, and closed, for what follows could not be told apart."""
        self.world.limits = Limits(websocket_message_bytes=1000)
        part, last = wire.ROOM_PART, wire.ROOM
        for number, wrong in enumerate(
            (
                to_bytes(part, bytes(600), RAW) + to_bytes(part, bytes(401), RAW),
                to_bytes(last, bytes(1001)),
                to_bytes(part, b"", RAW) * 64,
                to_bytes(part, b"a", RAW) + to_bytes(last, b"b", JSON),
                to_bytes(last, b"{}", PROTOBUF),
            )
        ):
            native = self.world.native(f"192.0.2.{10 + number}")
            native.ask(wire.JOIN, party_code=self.code)
            native.heard()
            native.raw(wrong + to_bytes(wire.PING, b""))
            self.assertEqual((native.types(), native.transport.write_lost), ([100], True), number)
            self.world.clock.advance(0)
            self.successResultOf(self.world.registry.leave(self.room_id, self.room.value.players[-1].user_id))

    def test_sixty_four_parts(self) -> None:
        """So many are fine."""
        self.join()
        self.guest.raw(to_bytes(wire.ROOM_PART, b"", RAW) * 63 + to_bytes(wire.ROOM, b"x", RAW))
        self.assertEqual(self.world.referees[-1].told[-1][2], b"x")

    def test_start(self) -> None:
        """START is short for the room message: an ERROR in its encoding, or what follows."""
        for en in (JSON, PROTOBUF):
            self.host.heard()
            self.host.say(wire.START, en)
            [envelope] = self.host.envelopes()
            self.assertEqual((envelope.en, wire.decode(envelope)["code"]), (en, 105))
        self.join()
        self.assertEqual(self.guest.code(wire.START), 102)
        for native in (self.host, self.guest):
            native.say_room(type_="ready", ready=True)
        self.host.say(wire.START)
        self.assertEqual(self.room.value.phase, "playing")
        self.assertIn("state", self.guest.types())
        self.assertNotIn(105, self.host.types())

    def test_leave(self) -> None:
        """LEAVE frees the seat and closes the connection, without an error."""
        self.join()
        self.guest.say(wire.LEAVE)
        self.assertEqual((self.guest.types(), self.guest.transport.write_lost), ([], True))
        self.assertEqual(len(self.room.value.members), 1)
        self.assertEqual(self.host.types(), ["players"])
        self.guest.lose()
        self.world.clock.advance(0)

    def test_behind_the_last_word(self) -> None:
        """What one read brings behind `leave` is not carried out any more."""
        self.join()
        chat = wire.room_message(b'{"type":"chat","text":"and another thing"}', False)
        self.guest.raw(chat + wire.room_message(b'{"type":"leave"}', False) + chat)
        self.assertEqual(self.host.types(), ["chat", "players"])
        self.assertEqual(self.guest.types(), ["chat"])

    def test_kicked(self) -> None:
        """Who is sent away hears why, and is closed."""
        self.join()
        self.host.say_room(type_="kick", user_id=self.room.value.players[1].user_id)
        self.assertEqual((self.guest.types(), self.guest.transport.write_lost), ([102], True))

    def test_away(self) -> None:
        """A connection that is lost frees no seat, and a seat token brings its member back."""
        self.join()
        token = self.guest.token
        self.guest.lose(cleanly=False)
        [players] = self.host.heard()
        self.assertEqual([player["connected"] for player in players["players"]], [True, False])
        again = self.world.native()
        self.assertEqual(again.ask(wire.AUTH, id=token)["seat"], 1)

    def test_before_a_room(self) -> None:
        """Room messages, LEAVE and START of a stranger are 101 each, and count as bad IDs."""
        native = self.world.native()
        native.raw(to_bytes(wire.ROOM, b'{"type":"ping"}'))
        self.assertEqual(native.types(), [101])
        self.assertEqual((native.code(wire.LEAVE), native.transport.write_lost), (101, False))
        self.assertEqual((native.code(wire.START), native.transport.write_lost), (101, True))

    def test_floods(self) -> None:
        """What a member says beside packets counts to one limit, whichever envelope it comes in; ten times that closes."""
        self.join()
        self.world.clock.advance(10)
        self.guest.raw(to_bytes(wire.PING, b"") * 20 + to_bytes(wire.ROOM, b'{"type":"ping"}') * 9)
        self.world.clock.advance(0)
        self.assertEqual(self.guest.types(), ["PONG"] * 20 + ["pong"] * 9)
        self.guest.raw(to_bytes(wire.PING, b"") * 3)
        self.assertEqual(self.guest.types(), ["PONG", 106, 106])
        self.guest.raw(to_bytes(wire.PONG, b"") * 300)
        for _ in range(5):
            self.world.clock.advance(0)
        self.assertTrue(self.guest.transport.write_lost)

    def test_floods_of_strangers(self) -> None:
        """A stranger's envelopes count to the connection."""
        native = self.world.native()
        native.raw(to_bytes(wire.PING, b"") * 31)
        self.assertEqual(native.types(), ["PONG"] * 30 + [106])
        native.raw(to_bytes(wire.PING, b"") * 300)
        for _ in range(5):
            self.world.clock.advance(0)
        self.assertTrue(native.transport.write_lost)

    def test_turns(self) -> None:
        """However many envelopes one read brings, others have their turn between."""
        self.world.limits = Limits()
        native = self.world.native()
        native.raw(to_bytes(wire.PING, b"") * 200)
        self.assertEqual((len(native.types()), native.transport.reading), (64, False))
        self.world.clock.advance(0)
        self.assertEqual(len(native.types()), 136)
        self.assertTrue(native.transport.reading)

    def test_half_close(self) -> None:
        """Whoever says no more still gets all answers, and then the end."""
        self.join()
        held: Deferred[None] = Deferred()
        self.room.set_ready = lambda *_: held  # type: ignore[method-assign]
        self.host.raw(to_bytes(wire.ROOM, b'{"type":"ready","ready":true,"id":2}') + to_bytes(wire.PING, b"") + to_bytes(wire.PING, b"cut off")[:-1])
        self.host.half_close()
        self.assertEqual((self.host.types(), self.host.transport.lost), (["PONG"], False))
        held.callback(None)
        self.assertEqual((self.host.types(), self.host.transport.lost), (["ack"], True))

    def test_half_close_of_a_stranger(self) -> None:
        """The answer to AUTH that the database still knows is told before the end."""
        native = self.world.native()
        native.say(wire.AUTH, id="x" * 43)
        native.half_close()
        self.assertEqual((native.types(), native.transport.lost), ([101], True))

    def test_slow_reader(self) -> None:
        """Who does not read is not read from; past `queue_bytes` the connection is cut, and the room goes on."""
        self.world.limits = Limits(queue_bytes=1000)
        slow = self.world.native()
        slow.ask(wire.JOIN, party_code=self.code)
        slow.heard()
        slow.pause()
        slow.raw(to_bytes(wire.PING, b"x"))
        self.assertEqual((slow.types(), slow.transport.reading), ([], False))
        for _ in range(6):
            self.host.say_room(type_="chat", text="x" * 50)
        self.assertGreater(self.world.port.queued_bytes(), 500)
        slow.resume()
        self.assertEqual(slow.types(), ["chat"] * 6 + ["PONG"])
        self.assertTrue(slow.transport.reading)
        slow.pause()
        self.world.clock.advance(10)
        for _ in range(20):
            self.host.say_room(type_="chat", text="x" * 50)
        self.assertTrue(slow.transport.aborted)
        slow.lose(cleanly=False)
        self.assertEqual(self.world.counted("gameroom_closed_total", door="game", reason="too slow"), 1)
        self.assertEqual(len(self.room.value.members), 2)

    def test_slow_reader_of_one_read(self) -> None:
        """Of the messages that one read brings, too, none is carried out while the answers before it are not taken."""
        self.join()
        transport = self.guest.transport
        write = transport.write

        def full(data: bytes) -> None:
            write(data)
            self.guest.pause()

        transport.write = full  # type: ignore[method-assign]
        self.guest.raw(wire.room_message(b'{"type":"ping","t":1}', False) * 5)
        self.assertEqual((self.guest.types(), transport.reading), (["pong"], False))
        self.guest.resume()
        self.assertEqual((self.guest.types(), transport.reading), (["pong"], False))
        transport.write = write  # type: ignore[method-assign]
        self.guest.resume()
        self.assertEqual((self.guest.types(), transport.reading), (["pong"] * 3, True))

    def test_catches_up(self) -> None:
        """History comes at the reader's pace."""
        self.host.heard()
        pieces = iter([Outgoing(b"%d" % number, binary=True) for number in range(3)])
        self.host.pause()
        self.host.protocol.catch_up(lambda: next(pieces, None))
        self.host.protocol.deliver(Outgoing.json({"type": "later"}))
        self.assertEqual(self.host.heard(), [])
        self.host.resume()
        self.assertEqual(self.host.heard(), [b"0", b"1", b"2", {"type": "later"}])

    def test_outlet(self) -> None:
        """What its outlet is given is delivered in the order of all else, while it is read or not, until it ends."""
        self.join()
        guest = self.guest.protocol
        guest.outlet.deliver(Outgoing(b"1", binary=True))
        guest.deliver_all(Outgoings([Outgoing(b"2", binary=True), Outgoing(b"3", binary=True)]))
        self.guest.pause()
        guest.outlet.deliver(Outgoings([Outgoing(b"4", binary=True), Outgoing(b"5", binary=True)]))
        guest.close(BadState("away with you"))
        guest.outlet.deliver(Outgoing(b"6", binary=True))
        self.guest.resume()
        guest.outlet.deliver(Outgoing(b"7", binary=True))
        self.assertEqual(self.guest.types(), [b"1", b"2", b"3", b"4", b"5", 105])

    def test_going_down(self) -> None:
        """At the daemon's end connections are told nothing more, and `stop` fires when all are gone."""
        self.join()
        done = self.world.port.stop()
        for native in (self.host, self.guest):
            self.assertEqual((native.types(), native.transport.lost), ([], True))
            self.assertNoResult(done)
            native.lose()
        self.successResultOf(done)
        self.successResultOf(self.world.port.stop())

    def test_metrics(self) -> None:
        """Connections, requests by type and code, and why connections ended are counted for this door."""
        self.join()
        self.assertEqual(self.world.counted("gameroom_connections", door="game"), 2)
        self.guest.raw(to_bytes(wire.PING, b""))
        self.guest.raw(to_bytes(31, b""))
        for kind, code in (("HOST", "0"), ("JOIN", "0"), ("PING", "0"), ("unreadable", "100")):
            self.assertEqual(self.world.counted("gameroom_requests_total", door="game", type=kind, code=code), 1, kind)
        self.guest.lose(cleanly=False)
        self.assertEqual(self.world.counted("gameroom_closed_total", door="game", reason="lost"), 1)

    def test_database_away(self) -> None:
        """What fails of ours is 199, with the failure in the log alone."""

        def broken(*_: Any) -> Any:
            raise ZeroDivisionError("a secret of ours")

        self.world.catalogue.detail = broken  # type: ignore[assignment,method-assign]
        native = self.world.native()
        native.say(wire.JOIN, party_code=self.code)
        [(name, error)] = native.heard()
        self.assertEqual((name, error["code"]), ("ERROR", 199))
        self.assertNotIn("secret", error["message"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ConnectionsTests(SynchronousTestCase):
    def test_too_many(self) -> None:
        """An address has its limit, counted for whom a proxy speaks."""
        world = GameWorld(connections_per_address=2)
        first = world.native("10.0.0.1", peer_address="192.0.2.7")
        first.raw(to_bytes(wire.PING, b""))
        second = Native(world.port, "192.0.2.7")
        self.assertIsNone(world.port.buildProtocol(IPv4Address("TCP", "192.0.2.7", 1)))
        third = world.native("10.0.0.1", peer_address="192.0.2.7")
        third.raw(to_bytes(wire.PING, b""))
        self.assertTrue(third.transport.aborted)
        for native in (first, second, third):
            native.lose()
        Native(world.port, "192.0.2.7")

    def test_tuned(self) -> None:
        """TCP_NODELAY and keep-alive."""
        native = GameWorld().native()
        self.assertTrue(native.transport.no_delay and native.transport.keep_alive)

    def test_three_lines(self) -> None:
        """The factory's docstring shows how it is embedded."""
        self.assertIn("listen(game_port)", GamePortFactory.__doc__ or "")
