"""One service room with players at every door: each hears what it is to hear, and what it says acts once, over both databases."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import attrs
import orjson
from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase, TestCase

from gameroom.doors.websocket import RoomSocketFactory
from gameroom.interfaces import IDatabase
from gameroom.referees.service import ServiceReferee
from gameroom.rules.manifest import Service
from gameroom.rules.room import PLAYING, SETUP
from gameroom.rules.service_game import Held, Kept
from gameroom.rules.service_shown import MOST_BYTES, Shown
from gameroom.store import open_database, rooms, service_games, transactions
from gameroom.store.service_games import Step
from gameroom.store.transactions import Answered
from gameroom.wire.game_service import Player, Said, State, View
from tests.contract.test_relay_doors import DOORS
from tests.doors.game_port_world import GameWorld
from tests.postgres import shared_server
from tests.referees.service_world import FakeServices, answer
from tests.rooms import Bundle, OneGame
from tests.store.values import room, seated

reactor: Any = _reactor


@attrs.define
class House:
    """A service room of a host who came by the lobby, with the lobby and a factory of room sockets before it."""

    world: GameWorld
    site: RoomSocketFactory
    room_id: str
    result: Any


class ServiceContract(SynchronousTestCase):
    """The scenario, with a player at each door."""

    def setUp(self) -> None:
        world = GameWorld()
        catalogue = OneGame()
        catalogue.the = Bundle(
            hosting="service", min_players=1, max_players=8, lockstep={}, engine=None, service=Service(command=("python3", "service.py"))
        )
        self.services = FakeServices()

        def referee(room: Any) -> ServiceReferee:
            return ServiceReferee(
                room,
                services=self.services,  # type: ignore[arg-type]
                catalogue=catalogue,  # type: ignore[arg-type]
                database=world.database,
                random_bytes=Random(1).randbytes,
            )

        world.registry._catalogue, world.registry._referees = catalogue, {"service": referee}  # type: ignore[assignment]
        site = RoomSocketFactory(registry=world.registry, clock=world.clock, limits=lambda: world.limits)
        site.doStart()
        self.host = world.peer("host")
        self.room_id = self.host.ok("CREATE_ROOM", game_id="game")["room_id"]
        self.house = House(world, site, self.room_id, self.successResultOf)
        self.room = world.registry.here(self.room_id)

    def test_all_doors(self) -> None:
        """What one says all hear, each with a view of its own; an answer comes last, and a repeat changes nothing; the end comes to all."""
        players = {door: made(self.house, f"{door}er") for door, made in DOORS.items()}
        seats = {door: self.room.value.member(player.user_id).seat for door, player in players.items()}
        self.host.ok("START_ROOM", room_id=self.room_id)
        self.assertEqual(self.room.value.phase, PLAYING)
        for sender, player in players.items():
            for each in players.values():
                each.heard()
            for _ in range(2):
                player.say(type="game", id=5, body={"é": [1, None]})
            for door, each in players.items():
                heard = [message for message in each.heard() if message["type"] not in ("players", "state")]
                own = seats[door]
                assert own is not None
                expected: list[Any] = [{"type": "game", "body": {"n": len(self.services.updates), "what": f"{seats[sender]}:{{'é': [1, None]}}"}}]
                expected += [{"type": "game", "body": {"you": own}}]
                expected += [{"type": "ack", "reply_to": 5}] * 2 if door == sender else []
                self.assertEqual(heard, expected, (sender, door))
        self.services.play = lambda update: answer(update, 1, broadcast=[b"\1\2", "text"], views=[(seats["lobby"], b"x"), (seats["web"], b"y")])
        players["game"].say_binary(b"\0")
        heard_by = {door: [m if isinstance(m, bytes) else m["body"] for m in each.heard()] for door, each in players.items()}
        self.assertEqual(heard_by, {"lobby": ["text"], "web": [b"\1\2", "text", b"y"], "game": [b"\1\2", "text"]})
        self.services.play = lambda update: answer(update, 1, finished={"winners": [0]})
        players["web"].say(type="game", body="last")
        for each in players.values():
            [over] = [message for message in each.heard() if message["type"] == "over"]
            self.assertEqual((over["reason"], over["results"]), ("finished", {"winners": [0]}))
        self.assertEqual(self.room.value.phase, SETUP)

    def test_a_lobby_that_does_not_listen(self) -> None:
        """A lobby connection without a subscription may play; it is answered by its request's own answer, when it is stored."""
        self.host.ok("START_ROOM", room_id=self.room_id)
        self.assertEqual(self.host.ok("ROOM_MESSAGE", room_id=self.room_id, body={"type": "game", "body": 5}), {})
        self.assertEqual(self.host.code("ROOM_MESSAGE", room_id=self.room_id, body={"type": "game", "body": "no"}), 105)
        self.assertEqual(self.host.code("ROOM_MESSAGE", room_id=self.room_id, body={"type": "game"}), 100)


def shown(*views: View) -> Shown:
    return Shown().after(State(request=0, sequence=0, broadcast=(Said(b"1", True), Said(b"\0", False)), views=views), {0, 1})


class StoreContract:
    """`store.service_games`, over one database."""

    database: IDatabase
    assertEqual: Any
    assertIsNone: Any
    addCleanup: Any

    def new_url(self) -> str:
        raise NotImplementedError

    async def ready(self) -> IDatabase:
        self.database = open_database(self.new_url(), Path("/nowhere"), reactor)
        self.addCleanup(self.database.stop)
        await self.database.start()
        await self.database.interact(rooms.insert, attrs.evolve(room(), members=(seated("Ada", 0),)), "node")
        return self.database

    def test_round_trip(self) -> Deferred[None]:
        """What was kept is there; late and repeated writes change nothing; a room that is gone stays away."""
        return Deferred.fromCoroutine(self._round_trip())

    async def _round_trip(self) -> None:
        database = await self.ready()
        room_id = room().room_id
        self.assertIsNone(await database.interact(service_games.load, room_id))
        self.assertEqual(await database.interact(service_games.last, room_id), (0, None))
        players = (Player(0, "Ada", "Ada é", True), Player(1, "Bert", "B", False))
        first = Kept(play_id="one", sequence=1, players=players)
        held = Held(bytes(range(256)), shown(View(1, b"[]", True), View(1, b"\xff", False), View(7, b"x", True)))
        await database.interact(service_games.begin, room_id, first, held, None)
        second = attrs.evolve(first, sequence=2, timer_ms=2**41)
        done = Step(kept=second, held=None, answered=Answered(user_id="Ada", id=2**52, answer={"type": "ack"}))
        for _ in range(2):
            await database.interact(service_games.save, room_id, done)
        late = Step(kept=first, held=Held(b"late"), answered=Answered(user_id="Ada", id=7, answer={"type": "ack"}))
        await database.interact(service_games.save, room_id, late)
        await database.interact(service_games.save, room_id, attrs.evolve(late, kept=Kept(play_id="other", sequence=9)))
        row = await database.interact(service_games.load, room_id)
        assert row is not None
        self.assertEqual((row.kept, row.held, row.ended), (second, held, None))
        self.assertEqual([view.data for view in row.held.shown.views(1)], [b"[]", b"\xff"])
        self.assertEqual((row.held.shown.views(7), [said.data for said in row.held.shown.broadcasts()]), ((), [b"1", b"\0"]))
        self.assertEqual([each.id for each in (await database.interact(transactions.load, room_id))[1]], [2**52])
        ended = {"play_id": "one", "reason": "finished", "results": {"a": [None]}}
        await database.interact(service_games.save, room_id, Step(kept=attrs.evolve(second, sequence=3), held=Held(), ended=ended))
        self.assertEqual(await database.interact(service_games.last, room_id), (3, ended))
        await database.interact(service_games.begin, room_id, Kept(play_id="two", sequence=4), Held(), None)
        self.assertEqual(await database.interact(service_games.last, room_id), (4, ended))
        await database.interact(rooms.delete, room_id)
        await database.interact(service_games.begin, room_id, first, held, None)
        await database.interact(service_games.save, room_id, done)
        self.assertIsNone(await database.interact(service_games.load, room_id))

    def test_strangers(self) -> Deferred[None]:
        """What those were answered who are no members is forgotten when a play begins."""
        return Deferred.fromCoroutine(self._strangers())

    async def _strangers(self) -> None:
        database, room_id = await self.ready(), room().room_id
        for name in ("Ada", "Zoe"):
            await database.interact(transactions.remember, room_id, Answered(user_id=name, id=1, answer={"type": "ack"}))
        await database.interact(service_games.begin, room_id, Kept(play_id="one", sequence=1), Held(), None)
        self.assertEqual([each.user_id for each in (await database.interact(transactions.load, room_id))[1]], ["Ada"])


class SQLiteServiceGames(StoreContract, TestCase):
    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.sqlite"


class PostgresServiceGames(StoreContract, TestCase):
    def new_url(self) -> str:
        return shared_server().create_database()


class ShownTests(SynchronousTestCase):
    """What is kept for those who come back."""

    def test_latest(self) -> None:
        """Broadcasts and each seat's views are each those of the last update that had any; who has left has none."""
        first = shown(View(0, b"0", True), View(1, b"1", True))
        after = first.after(State(request=0, sequence=0, views=(View(0, b"2", True),)), {0, 1})
        self.assertEqual([[view.data for view in after.views(seat)] for seat in (0, 1)], [[b"2"], [b"1"]])
        self.assertEqual(after.broadcasts(), first.broadcasts())
        self.assertEqual(after.after(State(request=0, sequence=0), {0}).views(1), ())
        self.assertEqual(Shown.from_bytes(after.to_bytes()), after)

    def test_much(self) -> None:
        """Past what is kept of a room, what was shown longest ago is forgotten."""
        kept = Shown()
        for seat in range(8):
            kept = kept.after(State(request=0, sequence=0, views=(View(seat, orjson.dumps("x" * 900_000), True),)), set(range(8)))
        self.assertEqual(([bool(kept.views(seat)) for seat in range(8)], kept.size <= MOST_BYTES), ([False] * 4 + [True] * 4, True))
