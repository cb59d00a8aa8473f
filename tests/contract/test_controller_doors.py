"""One game of Connect Four, its players at every door that carries room messages: each is told the same, and what it says acts once."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import attrs
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.websocket import RoomSocketFactory
from gameroom.entrance import Guest
from gameroom.referees.controller import ControllerReferee
from gameroom.rules.room import PLAYING, SETUP
from gameroom.wire import game_port as wire
from tests.doors.game_port_world import GameWorld
from tests.doors.lobby_world import Peer
from tests.doors.web.sockets import SocketPeer
from tests.rooms import Bundle, OneGame


class Player:
    """Answers what comes with an id, and numbers what it says."""

    user_id = ""

    def __init__(self) -> None:
        self.number = 0
        self.heard: list[dict[str, Any]] = []

    def say(self, message: dict[str, Any]) -> None:
        raise NotImplementedError

    def take(self) -> list[dict[str, Any]]:
        raise NotImplementedError

    def read(self) -> list[dict[str, Any]]:
        """What has come since the last look, each answered."""
        found = []
        while got := self.take():
            found += got
            for message in got:
                if "id" in message:
                    self.say({"type": "ack", "reply_to": message["id"]})
        return found

    def do(self, what: str, number: int | None = None) -> dict[str, Any]:
        """The answer to a button; `number` is the id of what is repeated."""
        self.number += number is None
        self.heard += self.read()
        self.say({"type": "game", "id": number or self.number, "body": {"do": what}})
        found = self.read()
        [answer] = [message for message in found if message.get("reply_to") == (number or self.number)]
        self.heard += [message for message in found if message is not answer]
        return answer

    def events(self) -> list[str]:
        heard, self.heard = self.heard + self.read(), []
        return [message["body"]["event"] for message in heard if message["type"] == "game"]


class AtTheLobby(Player):
    """A player with an account on a lobby connection."""

    def __init__(self, house: House, name: str) -> None:
        super().__init__()
        self.user_id = name
        self._room_id = house.room_id
        self._peer: Peer = house.world.peer(name)
        self._peer.ok("JOIN_ROOM", room_id=house.room_id)
        self._peer.ok("SUBSCRIBE", rooms=True)

    def say(self, message: dict[str, Any]) -> None:
        self._peer.ok("ROOM_MESSAGE", room_id=self._room_id, body=message)

    def take(self) -> list[dict[str, Any]]:
        return [push["body"] for push in self._peer.pushed("ROOM_MESSAGE")]


class AtTheWeb(Player):
    """A guest on a room socket."""

    def __init__(self, house: House, name: str) -> None:
        super().__init__()
        joined: Any = house.result(house.world.registry.join(house.room_id, Guest(name), "player"))
        self.user_id = joined.user_id
        self._peer = SocketPeer(house, "192.0.2.1")  # type: ignore[arg-type]
        assert self._peer.connect(f"/socket/{house.room_id}") == 101
        self._peer.say(type_="hello", token=joined.token)

    def say(self, message: dict[str, Any]) -> None:
        self._peer.say(type_=message["type"], **{name: value for name, value in message.items() if name != "type"})

    def take(self) -> list[dict[str, Any]]:
        return self._peer.heard()


class AtTheGamePort(Player):
    """A guest with a native client."""

    def __init__(self, house: House, name: str) -> None:
        super().__init__()
        self._native = house.world.native("192.0.2.1")
        room = house.world.registry.here(house.room_id)
        self._native.ask(wire.JOIN, party_code=room.value.party_code, name=name)
        [self.user_id] = [member.user_id for member in room.value.members if member.name == name]

    def say(self, message: dict[str, Any]) -> None:
        self._native.say_room(type_=message["type"], **{name: value for name, value in message.items() if name != "type"})

    def take(self) -> list[dict[str, Any]]:
        return self._native.heard()


DOORS: dict[str, Any] = {"lobby": AtTheLobby, "web": AtTheWeb, "game": AtTheGamePort}


@attrs.define
class House:
    """A room with the lobby and a factory of room sockets before it."""

    world: GameWorld
    site: RoomSocketFactory
    room_id: str
    result: Any


class ControllerContract(SynchronousTestCase):
    """The scenario, for each pair of doors."""

    def setUp(self) -> None:
        self.world = world = GameWorld()
        world.limits = attrs.evolve(world.limits, messages_per_second=1000)
        catalogue = OneGame()
        catalogue.the = Bundle(hosting="controller", min_players=2, max_players=2, lockstep={"turn_game": "connect-four"}, engine=None, web=None)
        referee = partial(ControllerReferee, database=world.registry._database)
        world.registry._catalogue = catalogue  # type: ignore[assignment]
        world.registry._referees = {"controller": referee}
        self.site = RoomSocketFactory(registry=world.registry, clock=world.clock, limits=lambda: world.limits)
        self.site.doStart()
        self.maker = world.peer("maker")

    def lay(self, number: int) -> House:
        """A room whose maker has left the seat to others, and looks on no more once they are there."""
        room_id = self.maker.ok("CREATE_ROOM", game_id="game")["room_id"]
        return House(self.world, self.site, room_id, self.successResultOf)

    def test_between_all_doors(self) -> None:
        """A game from joining to its end, with a repeat at each door, and a rematch."""
        for number, (one, other) in enumerate(product(DOORS, DOORS)):
            house = self.lay(number)
            first = DOORS[one](house, f"a{number}x")
            self.maker.ok("LEAVE_ROOM", room_id=house.room_id)
            second = DOORS[other](house, f"b{number}x")
            room = self.world.registry.here(house.room_id)
            numbers = [player.do("join")["body"]["player"] for player in (first, second)]
            self.assertEqual((numbers, room.value.phase), ([2, 1], PLAYING), (one, other))
            first.events(), second.events()
            for _ in range(3):
                self.assertEqual(second.do("drop")["body"]["event"], "move_received")
                first.do("left")
                answer = first.do("drop")
                self.assertEqual(first.do("drop", first.number), answer)
                first.do("right")
            self.assertEqual(first.do("drop")["code"], 105)
            self.chat(first, second)
            second.do("drop")
            for player in (first, second):
                self.assertEqual(player.events()[-1], "game_over", (one, other))
            self.assertEqual(room.value.phase, SETUP)
            for player in (first, second):
                player.do("ready")
            self.assertEqual((first.events(), second.events()), (["game_start", "request_move"], ["game_start"]))
            for player in (first, second):
                house.result(self.world.registry.leave(house.room_id, player.user_id))

    def chat(self, one: Any, other: Any) -> None:
        """What is said between them comes with an id at each door, and is answered like all else."""
        one.number += 1
        one.say({"type": "chat", "text": "well", "id": one.number})
        for player in (one, other):
            [said] = [message for message in player.read() if message["type"] == "chat"]
            self.assertEqual((said["text"], said["from"], "id" in said), ("well", one.user_id, True))

    def test_a_lobby_that_does_not_listen(self) -> None:
        """A lobby connection without a subscription may speak, and its request is answered when it is done."""
        house = self.lay(0)
        web = AtTheWeb(house, "w")
        say = {"room_id": house.room_id, "body": {"type": "game", "id": 1, "body": {"do": "join"}}}
        self.assertEqual(self.maker.ok("ROOM_MESSAGE", **say), {})
        self.assertEqual(self.maker.ok("ROOM_MESSAGE", **say), {})
        web.do("join")
        self.assertEqual(self.world.registry.here(house.room_id).value.phase, PLAYING)
        drop = {"type": "game", "body": {"do": "drop"}}
        for number in ("x", -1, 1.5):
            self.assertEqual(self.maker.code("ROOM_MESSAGE", room_id=house.room_id, body={**drop, "id": number}), 100)
        for _ in range(2):
            # The repeat is none: it would be out of turn.
            self.assertEqual(self.maker.ok("ROOM_MESSAGE", room_id=house.room_id, body={**drop, "id": 2}), {})
        wrong = {"room_id": house.room_id, "body": {"type": "game", "body": {"do": "jump"}}}
        self.assertEqual(self.maker.code("ROOM_MESSAGE", **wrong), 100)
