"""The game port's bytes: every split of them, and whatever strangers send (docs/protocol/game-port.md, "The envelope")."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, RAW, to_bytes
from tests.doors.game_port_world import GameWorld, Native

CONVERSATION = b"".join(
    (
        to_bytes(wire.PING, b"one", RAW),
        to_bytes(40, b"too early"),
        wire.encode(wire.AUTH, {"id": "x" * 43}, PROTOBUF),
        wire.encode(wire.AUTH, {"id": "TOKEN"}),
        to_bytes(wire.ROOM, b'{"type":"ping","t":1}'),
        wire.room_message(b'{"type":"echo","x":"' + b"x" * 70_000 + b'"}', False),
        to_bytes(wire.ROOM, b"\0\1\2\3", RAW),
        wire.encode(wire.AUTH, {"id": "TOKEN"}, PROTOBUF),
        to_bytes(wire.PING, b"two", PROTOBUF),
        wire.encode(wire.START, {}),
        wire.encode(wire.LEAVE, {}),
        to_bytes(wire.PING, b"never answered"),
    )
)


class SplitTests(SynchronousTestCase):
    """However the bytes arrive, the answers are the same."""

    def converse(self, cuts: list[int]) -> tuple[list[Any], list[Any], bool]:
        world = GameWorld()
        host, native = world.native(), world.native("192.0.2.2")
        code = host.ask(wire.HOST, game_id=world.game)["party_code"]
        guest = world.native("192.0.2.3")
        guest.ask(wire.JOIN, party_code=code, name="Bob")
        guest.lose()
        data = CONVERSATION.replace(b'\x00\x0e{"id":"TOKEN"}', b"\x00\x29" + b'{"id":"' + guest.token.encode() + b'"}')
        data = data.replace(wire.encode(wire.AUTH, {"id": "TOKEN"}, PROTOBUF), wire.encode(wire.AUTH, {"id": guest.token}, PROTOBUF))
        at = 0
        for cut in sorted(cut % len(data) for cut in cuts):
            native.raw(data[at:cut])
            world.clock.advance(0)
            at = cut
        native.raw(data[at:])
        world.clock.advance(0)
        told = [told[0] for told in world.referees[-1].told]
        return native.types(), told, native.transport.write_lost

    def setUp(self) -> None:
        self.whole = self.converse([])

    def test_whole(self) -> None:
        expected = ["PONG", 105, 101, "CONNECTED", "welcome", "players", "pong", "echo", 105, "PONG", 102]
        self.assertEqual(self.whole, (expected, ["text", "packet"], True))

    @settings(max_examples=25, deadline=None)
    @given(st.lists(st.integers(min_value=0), max_size=12))
    def test_any_split(self, cuts: list[int]) -> None:
        self.assertEqual(self.converse(cuts), self.whole)

    def test_byte_for_byte(self) -> None:
        head = [*range(400)]
        self.assertEqual(self.converse([*head, *(len(CONVERSATION) - each for each in range(1, 200))]), self.whole)


def garbage() -> st.SearchStrategy[bytes]:
    """Bytes that are envelopes, nearly envelopes, and anything."""
    envelope = st.builds(to_bytes, st.integers(0, 63), st.binary(max_size=300), st.integers(0, 3))
    message = st.builds(
        to_bytes,
        st.sampled_from([wire.AUTH, wire.HOST, wire.JOIN, wire.START, wire.LEAVE, wire.ROOM, wire.ROOM_PART]),
        st.sampled_from(
            [b"{}", b"[]", b'{"id":5}', b'{"id":"\\ud800"}', b'{"game_id":"g"}', b'{"party_code":"BBBBBB"}', b'{"type":"chat"}', b"\xff"]
        ),
        st.integers(0, 2),
    )
    return st.lists(st.one_of(message, envelope, st.binary(max_size=20)), max_size=12).map(b"".join)


class GarbageTests(SynchronousTestCase):
    """Whatever comes: ERRORs and ends, nothing in the log, and nobody else notices."""

    def setUp(self) -> None:
        self.world = GameWorld(connections_per_address=10_000, code_misses=10_000)
        self.host = self.world.native()
        self.code = self.host.ask(wire.HOST, game_id=self.world.game)["party_code"]
        self.host.heard()

    def send(self, native: Native, data: bytes) -> None:
        native.raw(data)
        for _ in range(3):
            self.world.clock.advance(0)
        for heard in native.heard():
            name = heard[0] if isinstance(heard, tuple) else "ROOM"
            self.assertIn(name, ("ERROR", "PONG", "ROOM"))
            if name == "ERROR":
                self.assertIn(heard[1]["code"], (100, 101, 102, 103, 105, 106))
        native.half_close()
        native.lose()
        self.world.clock.advance(0)
        self.assertEqual(self.flushLoggedErrors(), [])

    @settings(max_examples=60, deadline=None)
    @given(garbage())
    def test_of_strangers(self, data: bytes) -> None:
        self.send(self.world.native(), data)

    @settings(max_examples=60, deadline=None)
    @given(garbage())
    def test_of_members(self, data: bytes) -> None:
        native = self.world.native()
        native.ask(wire.JOIN, party_code=self.code)
        room = self.world.registry.everything()[0]
        user_id = room.value.players[-1].user_id
        self.send(native, data)
        if room.has(user_id):
            self.successResultOf(self.world.registry.leave(room.room_id, user_id))
        self.host.raw(to_bytes(wire.PING, b"still"))
        self.world.clock.advance(60)
        self.assertIn("PONG", self.host.types())


NEVER = (0, wire.CONTROL, wire.TYPE, wire.CLIENT_AUTH, wire.CONNECTED, wire.GAME_CONFIG, wire.STATUS, 17, 31)
"""Types that there are not, or that no client says."""


class MalformedTests(SynchronousTestCase):
    """ERROR 100, and the end where the next envelope cannot be found or nobody has proved anything."""

    def setUp(self) -> None:
        self.world = GameWorld()
        self.member = self.world.native()
        self.member.ask(wire.HOST, game_id=self.world.game)
        self.member.heard()

    def answers(self, native: Native, data: bytes) -> tuple[list[Any], bool]:
        native.raw(data)
        return native.types(), native.transport.write_lost

    def test_malformed(self) -> None:
        """A member hears 100 and goes on; a stranger is closed."""
        for data in (
            to_bytes(wire.PING, b"", 3),
            to_bytes(50, b"", 3),
            to_bytes(wire.AUTH, b"raw", RAW),
            to_bytes(wire.AUTH, b"{}"),
            to_bytes(wire.AUTH, b'{"id":7}'),
            to_bytes(wire.AUTH, b"\xff"),
            to_bytes(wire.AUTH, b"\xff\xff", PROTOBUF),
            to_bytes(wire.LEAVE, b"", RAW),
            to_bytes(wire.START, b"7"),
            to_bytes(wire.PING, bytes(126)),
            *(to_bytes(type_, b"{}") for type_ in NEVER),
        ):
            with self.subTest(data):
                self.assertEqual(self.answers(self.member, data), ([100], False))
                self.assertEqual(self.answers(self.world.native(), data + to_bytes(wire.PING, b"")), ([100], True))

    def test_wrong_version(self) -> None:
        """It always closes: the length of what follows cannot be trusted."""
        for native in (self.member, self.world.native()):
            self.assertEqual(self.answers(native, to_bytes(wire.PING, b"1") + b"\2\5\0\0" + to_bytes(wire.PING, b"2")), (["PONG", 100], True))

    def test_http(self) -> None:
        """As who speaks another protocol altogether finds out with the first byte."""
        self.assertEqual(self.answers(self.world.native(), b"G"), ([100], True))

    def test_too_early_for_the_game(self) -> None:
        """The game's own types before there is a pipe: 105, and no end."""
        for native in (self.member, self.world.native()):
            self.assertEqual(self.answers(native, to_bytes(32, b"") + to_bytes(63, b"x", RAW)), ([105, 105], False))

    def test_unauthenticated_bytes(self) -> None:
        """A stranger's larger envelope is 100 as soon as it is announced, and the end; a member's is fine."""
        world = GameWorld(unauthenticated_bytes=100)
        native = world.native()
        self.assertEqual(self.answers(native, to_bytes(wire.PING, bytes(100))), (["PONG"], False))
        self.assertEqual(self.answers(native, to_bytes(wire.AUTH, bytes(101))[:4]), ([100], True))
        member = world.native()
        member.ask(wire.HOST, game_id=world.game)
        member.heard()
        self.assertEqual(self.answers(member, to_bytes(wire.ROOM, b'{"type":"ping","x":"' + b"x" * 200 + b'"}')), (["pong"], False))

    def test_pings(self) -> None:
        """PING is echoed with its `en`; PONG and ERROR are answered by nothing."""
        for en in (RAW, JSON, PROTOBUF):
            self.member.raw(to_bytes(wire.PING, bytes(125), en))
            [pong] = self.member.envelopes()
            self.assertEqual((pong.type, pong.en, pong.data), (wire.PONG, en, bytes(125)))
        self.assertEqual(self.answers(self.member, to_bytes(wire.PONG, b"") + to_bytes(wire.ERROR, b"{}")), ([], False))

    def test_ends_inside(self) -> None:
        """Nothing of an envelope that is not whole is acted on."""
        self.member.raw(wire.encode(wire.LEAVE, {})[:-1])
        self.member.half_close()
        self.assertEqual((self.member.types(), self.member.transport.lost), ([], True))
        self.assertEqual(len(self.world.registry.everything()[0].value.members), 1)

    def test_unknown_fields(self) -> None:
        """Are ignored."""
        native = self.world.native()
        native.raw(to_bytes(wire.HOST, b'{"game_id":"%b","colour":"red","name":null}' % self.world.game.encode()))
        self.assertEqual(native.types()[0], "CONNECTED")
