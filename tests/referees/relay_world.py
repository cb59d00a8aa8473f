"""A room of one hosting kind, over a registry in memory, and members that talk to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import attrs
import orjson
from twisted.trial.unittest import SynchronousTestCase

from gameroom.entrance import Guest
from gameroom.interfaces import IReferee, IRoom
from gameroom.room_conversation import RoomConversation
from tests.rooms import House, NotingConnection, account


@attrs.define
class Somebody:
    """A member with its connection."""

    user_id: str
    token: str
    conversation: RoomConversation
    connection: Any
    """A `NotingConnection`."""

    def say(self, type_: str, **message: Any) -> None:
        self.conversation.text(orjson.dumps({"type": type_, **message}))

    def ask(self, type_: str, **message: Any) -> dict[str, Any]:
        """Say something with an id; its answer, and what was heard before is forgotten."""
        self.connection.take()
        self.say(type_, id=7, **message)
        answer: dict[str, Any]
        [answer] = [each for each in self.connection.take() if each.get("reply_to") == 7]
        return answer

    def heard(self, *types: str) -> list[dict[str, Any]]:
        """What has come since the last look, of these types and binary frames."""
        return [each for each in self.connection.take() if "binary" in each or each["type"] in types]


class KindTestCase(SynchronousTestCase):
    """A house that has one game, of the kind under test, and a room of it with Ada as its host."""

    kind = "relay"
    reconnect_window, room_ttl = 60.0, 120.0
    fields: ClassVar[dict[str, Any]] = {}
    """What its host asks for."""
    referee: Callable[[IRoom], IReferee]

    def setUp(self) -> None:
        self.house = House(self.database(), kinds={self.kind: self.make}, reconnect_window=self.reconnect_window, room_ttl=self.room_ttl)
        self.successResultOf(self.house.registry.start())
        self.sell()
        self.room = self.successResultOf(self.house.registry.create(self.house.request(**self.fields), account("Ada")))

    def database(self) -> Any:
        """What the house is built on; None for a database that answers at once."""
        return None

    def make(self, room: IRoom) -> IReferee:
        raise NotImplementedError

    def sell(self) -> None:
        game = self.house.catalogue.the
        self.house.catalogue.the = attrs.evolve(game, hosting=self.kind, lockstep={}, engine=None, min_players=1, max_players=3)

    def member(self, name: str, wish: str = "any", door: str = "web") -> Somebody:
        """An account of that name comes and says hello; a name in brackets is a guest's."""
        who = Guest(name[1:-1]) if name.startswith("(") else account(name)
        joined = self.successResultOf(self.house.registry.join(self.room.room_id, who, wish))
        return self.connect(joined.user_id, joined.token, door)

    def connect(self, user_id: str, token: str, door: str = "web") -> Somebody:
        connection = self.connection(door)
        conversation = RoomConversation(
            registry=self.house.registry, connection=connection, room_id=self.room.room_id, limits=lambda: self.house.limits
        )
        somebody = Somebody(user_id, token, conversation, connection)
        somebody.say("hello", token=token)
        return somebody

    def connection(self, door: str) -> Any:
        return NotingConnection(door)

    def restart(self) -> None:
        """The daemon is killed and started again."""
        self.successResultOf(self.house.registry.stop())
        self.house = self.house.restarted(reconnect_window=self.reconnect_window, room_ttl=self.room_ttl)
        self.sell()
        self.successResultOf(self.house.registry.start())
        [self.room] = self.house.registry.everything()

    def looks(self, seconds: float) -> int:
        """Time goes by, in small steps; how often its referee was asked meanwhile to look at it."""
        referee: Any = self.room.referee
        tick, looks = referee.tick, []

        def noted(now: float) -> None:
            looks.append(now)
            tick(now)

        referee.tick = noted
        self.house.clock.pump([0.01] * round(seconds * 100))
        referee.tick = tick
        return len(looks)

    def wait(self, seconds: float) -> None:
        """Time goes by, with a look at the rooms each second."""
        self.house.clock.pump([1.0] * int(seconds))
