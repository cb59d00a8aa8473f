"""Doubles and builders for tests around rooms: a registry over a real schema, connections and a referee that take notes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import attrs
import orjson
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from zope.interface import implementer

from gameroom.errors import BadState, GameroomError, NotFound
from gameroom.interfaces import IConnection, IDatabase, IReferee, IRoom
from gameroom.presence import Presence
from gameroom.registry import Registry
from gameroom.rules.manifest import Server, Service
from gameroom.rules.room import Player
from gameroom.rules.room_options import RoomRequest
from gameroom.rules.sessions import Account
from gameroom.settings import Addresses, Limits, RoomSettings
from gameroom.wire.room_messages import Hello, Outgoing, Outgoings
from tests.memory import MemoryDatabase


def account(name: str) -> Account:
    """An account of that name."""
    return Account(username=name, key=name.lower(), role="player", account_id=f"id-{name}")


@implementer(IConnection)
class NotingConnection:
    """A connection that keeps what it was given."""

    outlet = None

    def __init__(self, door: str = "web") -> None:
        self.door = door
        self.exclusive = door != "lobby"
        self.binary = door != "lobby"
        self.delivered: list[dict[str, Any]] = []
        self.closed: list[GameroomError | None] = []

    def deliver_all(self, outgoings: Outgoings) -> None:
        for outgoing in outgoings.messages:
            self.deliver(outgoing)

    def deliver(self, outgoing: Outgoing) -> None:
        self.delivered.append({"binary": outgoing.data} if outgoing.binary else orjson.loads(outgoing.data))

    def catch_up(self, source: Any) -> None:
        while (outgoing := source()) is not None:
            self.deliver(outgoing)

    def close(self, error: GameroomError | None) -> None:
        self.closed.append(error)

    def take(self) -> list[dict[str, Any]]:
        """What has come since the last look."""
        taken, self.delivered = self.delivered, []
        return taken

    def types(self) -> list[str]:
        """The types of what has come since the last look."""
        return [message["type"] for message in self.take()]


@implementer(IReferee)
class NotingReferee:
    """A referee that keeps what it is told; a play of it is over when a test says so."""

    waits_for_ready = True
    keeps_seats = True
    packets_are_messages = False
    transactional = False
    acts_once = False
    begins_once = False
    at_server = False
    played_at = None

    def __init__(self, room: Any) -> None:
        self.room = room
        self.told: list[tuple[Any, ...]] = []
        self.came_back: list[str] = []
        """Who was welcomed while nothing was played."""
        self.gone: list[Any] = []
        """The connections that went during a play."""
        self.beginning: Deferred[None] | None = None
        self.restoring: Exception | None = None
        self.unable: Exception | None = None

    def check_start(self) -> None:
        if self.unable is not None:
            raise self.unable

    def begin(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        self.told.append(("begin", [player.user_id for player in players]))
        return self.beginning if self.beginning is not None else succeed(None)

    def begun(self) -> None:
        self.told.append(("begun",))

    def restore(self, play_id: str, players: Sequence[Player]) -> Deferred[None]:
        self.told.append(("restore", [player.user_id for player in players]))
        if self.restoring is not None:
            raise self.restoring
        return succeed(None)

    def recall(self) -> Deferred[None]:
        return succeed(None)

    def welcome_fields(self, user_id: str) -> dict[str, Any]:
        return {"extra": user_id}

    def check_hello(self, hello: Hello) -> None:
        if hello.last_generation is not None and hello.last_generation > 100:
            raise BadState("that generation has not been played yet")

    def welcomed(self, user_id: str, connection: Any, hello: Hello) -> None:
        self.told.append(("welcomed", user_id, hello.last_generation))

    def returned(self, user_id: str, connection: Any) -> None:
        self.came_back.append(user_id)

    def text(self, user_id: str, message: dict[str, Any], connection: Any) -> Any:
        if message["type"] == "boom":
            raise ZeroDivisionError("a secret of ours")
        self.told.append(("text", user_id, message["type"]))
        return {"type": "echo"} if message["type"] == "echo" else None

    def lane(self, user_id: str) -> None:
        return None

    def packet(self, user_id: str, data: bytes, connection: Any) -> None:
        self.told.append(("packet", user_id, data))

    def chat(self, outgoing: Outgoing) -> bool:
        return b"psst" in outgoing.data

    def is_command(self, message_type: str) -> bool:
        return message_type == "commands"

    def connected(self, user_id: str) -> None:
        self.told.append(("connected", user_id))

    def parted(self, user_id: str, connection: Any) -> None:
        self.gone.append(connection)

    def disconnected(self, user_id: str) -> None:
        self.told.append(("disconnected", user_id))

    def left(self, user_id: str, seat: int, reason: str) -> None:
        self.told.append(("left", user_id, seat, reason))

    def tick(self, now: float) -> None:
        pass

    def rests_until(self, now: float) -> float:
        return now

    def end(self) -> None:
        self.told.append(("end",))


@attrs.frozen(kw_only=True)
class Bundle:
    """What the catalogue says of a game's version."""

    game_id: str = "game"
    version: str = "1.0.0"
    name: str = "A game"
    status: str = "ONLINE"
    min_players: int = 2
    max_players: int = 4
    hosting: str = "lockstep"
    lockstep: dict[str, Any] = attrs.field(factory=lambda: {"input_delay": 3})
    web: str | None = "index.html"
    engine: str | None = "engine.js"
    folder: Path | None = None
    server: Server | None = None
    service: Service | None = None


class OneGame:
    """A catalogue with one game."""

    def __init__(self) -> None:
        self.the = Bundle()

    async def bundle(self, game_id: str, version: str | None = None, *, offline_too: bool = False) -> Bundle:
        if game_id != self.the.game_id:
            raise NotFound("there is no such game")
        if self.the.status != "ONLINE" and not offline_too:
            raise BadState("this game is offline")
        return self.the


class TakenNames:
    """Accounts that know which names are taken, and nothing else."""

    def __init__(self, *names: str) -> None:
        self.names = names

    async def name_taken(self, name: str) -> bool:
        return name in self.names


class House:
    """A registry with everything that it needs, over a database that lives as long as the house does."""

    def __init__(
        self,
        database: IDatabase | None = None,
        clock: Clock | None = None,
        kinds: Mapping[str, Callable[[IRoom], IReferee]] | None = None,
        **settings: float,
    ) -> None:
        """`kinds`: the referees of hosting kinds beside lock-step, whose referee takes notes."""
        self.kinds = kinds or {}
        self.clock = clock if clock is not None else Clock()
        self.database: Any = database if database is not None else MemoryDatabase()
        self.presence = Presence(self.clock)
        self.catalogue = OneGame()
        self.accounts = TakenNames("Alice")
        self.referees: list[NotingReferee] = []
        self.limits = Limits(code_misses=3, messages_per_second=10, members_per_room=6)
        self.registry = Registry(
            database=self.database,
            accounts=self.accounts,  # type: ignore[arg-type]
            catalogue=self.catalogue,  # type: ignore[arg-type]
            presence=self.presence,
            addresses=Addresses(public_host="play.example"),
            clock=self.clock,
            random_bytes=Random(1).randbytes,
            node="here",
            settings=RoomSettings(**settings),
            limits=lambda: self.limits,
            referees={"lockstep": self._referee, **self.kinds},
        )

    def _referee(self, room: Any) -> NotingReferee:
        referee = NotingReferee(room)
        self.referees.append(referee)
        return referee

    def request(self, **fields: Any) -> RoomRequest:
        return RoomRequest(game_id="game", fields=fields)

    def restarted(self, **settings: float) -> House:
        """The daemon was killed: everything but the database is made anew."""
        return House(self.database, self.clock, self.kinds, **settings)
