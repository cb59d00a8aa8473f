"""Reviews over both databases, also when many are written at once."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import attrs
from twisted.internet import reactor as _reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from gameroom.errors import Forbidden, NotFound
from gameroom.interfaces import ICursor
from gameroom.reviews import Reviews
from gameroom.settings import StoreSettings
from gameroom.store import catalogue, open_database, rooms
from tests.players import player, put_players
from tests.postgres import shared_server
from tests.store.values import game, room, seated

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor

CROWD = [player(f"player-{number}") for number in range(12)]


async def scores(cursor: ICursor) -> list[Any]:
    return await cursor.execute("SELECT score_sum, score_count FROM games ORDER BY game_id")


class ReviewsContract:
    """What reviews promise on both databases."""

    assertEqual: Callable[..., Any]
    addCleanup: Callable[..., Any]

    def new_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    async def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.database = open_database(self.new_url(), Path("/nowhere"), reactor)
        self.addCleanup(self.database.stop)
        await self.database.start()
        for game_id in ("a", "b"):
            await self.database.interact(catalogue.put_game, game(game_id))
        await self.database.interact(put_players, *CROWD)
        self.reviews = Reviews(database=self.database, clock=self.clock)

    async def test_at_once(self) -> None:
        """However many review at once, some of them twice: each has one, no two have one time, and sum and count are theirs."""
        await gatherResults([self.reviews.add(account, "a", 1 + number % 5, "%s :x\n") for number, account in enumerate(CROWD + CROWD[:5])])
        await self.reviews.add(CROWD[0], "b", 5, "")
        listed = await self.reviews.list("a")
        self.assertEqual(sorted(each["player"] for each in listed), sorted(account.username for account in CROWD))
        self.assertEqual(len({each["created_at"] for each in listed}), len(CROWD))
        self.assertEqual(listed, sorted(listed, key=lambda each: str(each["created_at"]), reverse=True))
        expected = reduce(lambda sum_, each: sum_ + each["score"], listed, 0)
        self.assertEqual(await self.database.interact(scores), [(expected, len(CROWD)), (5, 1)])
        self.assertEqual(await self.reviews.list("a", 5, listed[2]["created_at"]), listed[3:8])
        self.assertEqual(await self.reviews.list("a", 1, "0001-01-01T00:00:00Z"), [])

    async def test_who_played(self) -> None:
        """The players of a play that began have had its game: not its viewers, nor guests, nor those of a room without a game."""
        members = (seated("player-0", 0), seated("guest", 1, account=""), attrs.evolve(seated("player-1", 2), seat=None))
        playing = attrs.evolve(room(), members=members, options=attrs.evolve(room().options, game_id="a"))
        begin: Any = self.database.interact
        await begin(rooms.begin_play, "p1", playing, 1)
        await begin(rooms.begin_play, "p2", playing, 2)
        await begin(rooms.begin_play, "p3", attrs.evolve(playing, options=room().options), 3)
        await begin(rooms.begin_play, "p4", attrs.evolve(playing, options=attrs.evolve(room().options, game_id="gone")), 4)
        await gatherResults([self.reviews.downloaded("player-2", "b") for _ in range(4)])
        known = [await self.reviews.knows(key, game_id) for game_id in ("a", "b", "gone") for key in ("player-0", "player-1", "player-2", "")]
        self.assertEqual(known, [True, False, False, False] + [False, False, True, False] + [False] * 4)

    async def test_only_players(self) -> None:
        """Who has not had the game is refused, and nothing of it is kept."""
        reviews = Reviews(database=self.database, clock=self.clock, settings=StoreSettings(reviews="players"))
        await reviews.downloaded(CROWD[0].key, "a")
        found: Any = await DeferredList(
            [reviews.add(CROWD[0], "a", 5, ""), reviews.add(CROWD[1], "a", 1, ""), reviews.add(CROWD[0], "nope", 5, "")], consumeErrors=True
        )
        self.assertEqual([good or result.type for good, result in found], [True, Forbidden, NotFound])
        self.assertEqual([each["player"] for each in await reviews.list("a")], ["player-0"])
        self.assertEqual(await self.database.interact(scores), [(5, 1), (0, 0)])

    async def test_game_that_leaves(self) -> None:
        """Takes its reviews, and who has had it, along."""
        await self.reviews.add(CROWD[0], "a", 5, "")
        await self.reviews.downloaded("player-0", "a")
        await self.database.interact(catalogue.keep_only, "gameroom", {("b", "1.0.0")})
        await self.database.interact(catalogue.put_game, game("a"))
        self.assertEqual((await self.reviews.list("a"), await self.reviews.knows("player-0", "a")), ([], False))


class SQLiteReviews(ReviewsContract, TestCase):  # type: ignore[misc]
    """Over a file of SQLite."""

    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-sqlite-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.db"


class PostgresReviews(ReviewsContract, TestCase):  # type: ignore[misc]
    """Over a PostgreSQL server."""

    def new_url(self) -> str:
        return shared_server().create_database()
