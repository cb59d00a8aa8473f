"""One relay room, members at every door that carries room messages: what each says the others get, wherever they came in."""

from __future__ import annotations

from itertools import product
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.websocket import RoomSocketFactory
from gameroom.entrance import Guest
from gameroom.referees.relay import BODY_BYTES, RelayReferee
from gameroom.rules.room import PLAYING, SETUP
from gameroom.wire import game_port as wire
from tests.doors.game_port_world import GameWorld
from tests.doors.lobby_world import Peer
from tests.doors.web.sockets import BINARY, SocketPeer, frame
from tests.rooms import Bundle, OneGame


class AtTheLobby:
    """A player with an account, who says and hears room messages on a lobby connection."""

    binary = False

    def __init__(self, house: Relay, name: str) -> None:
        self.user_id = name
        self._room_id = house.room_id
        self._peer: Peer = house.world.peer(name)
        self._peer.ok("JOIN_ROOM", room_id=house.room_id)
        self._peer.ok("SUBSCRIBE", rooms=True)
        self._peer.pushed()

    def say(self, **message: Any) -> None:
        self._peer.ok("ROOM_MESSAGE", room_id=self._room_id, body=message)

    def heard(self) -> list[dict[str, Any]]:
        return [push["body"] for push in self._peer.pushed("ROOM_MESSAGE")]


class AtTheWeb:
    """A guest on a room socket."""

    binary = True

    def __init__(self, house: Relay, name: str) -> None:
        joined: Any = house.result(house.world.registry.join(house.room_id, Guest(name), "player"))
        self.user_id = joined.user_id
        self._peer = SocketPeer(house, "192.0.2.1")  # type: ignore[arg-type]
        assert self._peer.connect(f"/socket/{house.room_id}") == 101
        self._peer.say(type_="hello", token=joined.token)
        assert self._peer.types()[0] == "welcome"

    def say(self, **message: Any) -> None:
        self._peer.say(type_=message.pop("type"), **message)

    def say_binary(self, data: bytes) -> None:
        self._peer.raw(frame(data, BINARY))

    def heard(self) -> list[Any]:
        return self._peer.heard()


class AtTheGamePort:
    """A guest with a native client."""

    binary = True

    def __init__(self, house: Relay, name: str) -> None:
        self._native = house.world.native("192.0.2.1")
        room = house.world.registry.here(house.room_id)
        self._native.ask(wire.JOIN, party_code=room.value.party_code, name=name)
        [self.user_id] = [member.user_id for member in room.value.members if member.name == name]

    def say(self, **message: Any) -> None:
        self._native.say_room(type_=message.pop("type"), **message)

    def say_binary(self, data: bytes) -> None:
        self._native.say_binary(data)

    def heard(self) -> list[Any]:
        return self._native.heard()


DOORS: dict[str, Any] = {"lobby": AtTheLobby, "web": AtTheWeb, "game": AtTheGamePort}


@attrs.define
class Relay:
    """A relay room of a host who came by the lobby, with the lobby and a factory of room sockets before it."""

    world: GameWorld
    site: RoomSocketFactory
    room_id: str
    result: Any


class RelayContract(SynchronousTestCase):
    """The scenario, for each pair of doors."""

    def setUp(self) -> None:
        world = GameWorld()
        catalogue = OneGame()
        catalogue.the = Bundle(hosting="relay", min_players=1, max_players=8, lockstep={}, engine=None)
        world.registry._catalogue, world.registry._referees = catalogue, {"relay": RelayReferee}  # type: ignore[assignment]
        site = RoomSocketFactory(registry=world.registry, clock=world.clock, limits=lambda: world.limits)
        site.doStart()
        self.host = world.peer("host")
        self.room_id = self.host.ok("CREATE_ROOM", game_id="game")["room_id"]
        self.house = Relay(world, site, self.room_id, self.successResultOf)
        self.room = world.registry.here(self.room_id)

    def of_play(self, member: Any) -> list[Any]:
        """What a member has heard of the game, from everybody."""
        return [each for each in member.heard() if isinstance(each, bytes) or each["type"] in ("game", "over", "error")]

    def test_between_all_doors(self) -> None:
        """In setup and in a play a message reaches the others, or those named, as it was said; a play ends for all."""
        for number, (one, other) in enumerate(product(DOORS, DOORS)):
            sender, named, third = (
                DOORS[one](self.house, f"a{number}x"),
                DOORS[other](self.house, f"b{number}x"),
                DOORS[other](self.house, f"c{number}x"),
            )
            for start in (False, True):
                if start:
                    self.host.ok("START_ROOM", room_id=self.room_id)
                    self.assertEqual(self.room.value.phase, PLAYING)
                    for member in (sender, named, third):
                        self.assertIn("start", [each["type"] for each in member.heard()], (one, other))
                sender.say(type="game", body={"move": [1, None, "é\n"]})
                sender.say(type="game", body="psst", to=[named.user_id])
                expected = [{"type": "game", "body": body, "from": sender.user_id} for body in ({"move": [1, None, "é\n"]}, "psst")]
                self.assertEqual([self.of_play(each) for each in (sender, named, third)], [[], expected, expected[:1]], (one, other, start))
            self.host.ok("ROOM_MESSAGE", room_id=self.room_id, body={"type": "finish", "results": {"winners": [0]}})
            for member in (sender, named, third):
                [over] = self.of_play(member)
                self.assertEqual((over["type"], over["results"]), ("over", {"winners": [0]}))
                self.successResultOf(self.house.world.registry.leave(self.room_id, member.user_id))
            self.assertEqual(self.room.value.phase, SETUP)

    def test_binary(self) -> None:
        """Binary frames go between those doors that carry them, up to 64 KiB; a lobby connection sees nothing of them, and goes on."""
        web, native, lobby = AtTheWeb(self.house, "w"), AtTheGamePort(self.house, "n"), AtTheLobby(self.house, "lob")
        for sender, reader in ((web, native), (native, web)):
            reader.heard()
            seat = self.room.value.member(sender.user_id).seat
            assert seat is not None
            for data in (b"\x02\x00", bytes(BODY_BYTES)):
                sender.say_binary(data)
                self.assertEqual([self.of_play(each) for each in (sender, reader, lobby)], [[], [seat.to_bytes(2, "big") + data], []])
        lobby.say(type="game", body=1)
        for member in (web, native):
            self.assertEqual(self.of_play(member), [{"type": "game", "body": 1, "from": "lob"}])

    def test_refused(self) -> None:
        """What is wrong is told to who said it, at each door, with the same code."""
        for door in DOORS:
            member = DOORS[door](self.house, f"{door}er")
            member.heard()
            for message, code in (({"type": "game"}, 100), ({"type": "game", "body": "x" * BODY_BYTES}, 100), ({"type": "finish"}, 105)):
                member.say(**message)
                self.assertEqual([each["code"] for each in self.of_play(member)], [code], (door, message["type"]))

    def test_a_lobby_that_does_not_listen(self) -> None:
        """A lobby connection without a subscription may speak; it is answered by its request's own answer."""
        web = AtTheWeb(self.house, "w")
        self.assertEqual(self.host.ok("ROOM_MESSAGE", room_id=self.room_id, body={"type": "game", "body": 5}), {})
        self.assertEqual(self.of_play(web), [{"type": "game", "body": 5, "from": "host"}])
        self.assertEqual(self.host.code("ROOM_MESSAGE", room_id=self.room_id, body={"type": "game"}), 100)
