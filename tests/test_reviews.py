"""gameroom.reviews"""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import Forbidden, InvalidRequest, NotFound
from gameroom.reviews import Reviews
from gameroom.rules.sessions import Account
from gameroom.settings import StoreSettings
from gameroom.store import catalogue
from tests.held import HeldDatabase
from tests.memory import MemoryDatabase
from tests.players import player, put_players
from tests.store.values import game

ANN, BOB = player("Ann"), player("Bob")


class ReviewsCase(SynchronousTestCase):
    """Two players and two games."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.database = MemoryDatabase()
        for name in ("g", "other"):
            self.successResultOf(self.database.interact(catalogue.put_game, game(name)))
        self.successResultOf(self.database.interact(put_players, ANN, BOB))
        self.reviews = self.made()

    def made(self, who: str = "everyone") -> Reviews:
        return Reviews(database=self.database, clock=self.clock, settings=StoreSettings(reviews=who))

    def add(self, who: Account, score: int, comment: str = "", game_id: str = "g") -> Any:
        return self.successResultOf(self.reviews.add(who, game_id, score, comment))

    def listed(self, game_id: str = "g", *page: Any) -> list[dict[str, Any]]:
        return self.successResultOf(self.reviews.list(game_id, *page))

    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> str:
        return str(self.failureResultOf(deferred, kind).value)


class AddTests(ReviewsCase):
    def test_seen(self) -> None:
        """A review has the name as typed, its score, its comment and when it was written, and is of its game alone."""
        self.add(ANN, 4, "Good.\nOnce more!")
        expected = {"player": "Ann", "score": 4, "comment": "Good.\nOnce more!", "created_at": "2023-11-14T22:13:20.000Z"}
        self.assertEqual((self.listed(), self.listed("other")), ([expected], []))

    def test_second_replaces(self) -> None:
        """One for each player and game; the newer one counts, and stands first."""
        first = self.add(ANN, 1)
        self.add(BOB, 2)
        self.add(ANN, 5, "I was wrong")
        self.assertEqual([(each["player"], each["score"]) for each in self.listed()], [("Ann", 5), ("Bob", 2)])
        third = self.listed()[0]
        self.assertGreater(third["created_at"], first["created_at"])
        # Also where its own is the newest, and the clock stands still: two reviews of a game never have the same moment.
        self.assertGreater(self.add(ANN, 4)["created_at"], third["created_at"])

    def test_bounds(self) -> None:
        """Scores from 1 to 5; comments of up to 2 KiB of UTF-8, without what changes a line's look."""
        for score in (0, 6, -1, 10**30):
            self.refused(self.reviews.add(ANN, "g", score, ""), InvalidRequest)
        for comment in ("x" * 2049, "é" * 1025, "a\0b", "a\x1b[2J", "a\rb", "\u202eb", "\u2066b", "a\u2028b", "a\tb"):
            self.refused(self.reviews.add(ANN, "g", 5, comment), InvalidRequest)
        self.assertEqual(self.listed(), [])
        for comment in ("", "x" * 2048, "é" * 1024, "👩‍👩‍👧 %s :name"):
            self.add(ANN, 5, comment)
            self.assertEqual(self.listed()[0]["comment"], comment)

    def test_unknown_game(self) -> None:
        """103 for every one of them."""
        for game_id in ("", "nope", "g\0"):
            self.refused(self.reviews.add(ANN, game_id, 5, ""), NotFound)
            self.refused(self.reviews.list(game_id), NotFound)
            self.assertFalse(self.successResultOf(self.reviews.knows("ann", game_id)))

    def test_only_players(self) -> None:
        """Where the operator wants it so, who has not had the game is told what to do; a download is enough, of this very game."""
        self.reviews = self.made("players")
        self.assertIn("download", self.refused(self.reviews.add(ANN, "g", 5, ""), Forbidden))
        self.successResultOf(self.reviews.downloaded("ann", "other"))
        self.refused(self.reviews.add(ANN, "g", 5, ""), Forbidden)
        for _ in range(2):
            self.successResultOf(self.reviews.downloaded("ann", "g"))
        self.assertTrue(self.successResultOf(self.reviews.knows("ann", "g")))
        self.add(ANN, 5)
        self.refused(self.reviews.add(BOB, "g", 5, ""), Forbidden)
        # Existence is looked at before who may.
        self.refused(self.reviews.add(BOB, "nope", 5, ""), NotFound)

    def test_download_of_a_game_that_is_gone(self) -> None:
        """Is no trouble; nor is a database that does not answer, but the log has it."""
        self.successResultOf(self.reviews.downloaded("ann", "nope"))
        held = HeldDatabase()
        done = Reviews(database=held, clock=self.clock).downloaded("ann", "g")
        held.fail(RuntimeError("away"))
        self.successResultOf(done)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class ListTests(ReviewsCase):
    def test_pages(self) -> None:
        """Newest first, also of those written in one millisecond; `before` goes on behind the last one, until there is no more."""
        players = [player(f"player-{number}") for number in range(7)]
        self.successResultOf(self.database.interact(put_players, *players))
        for account in players:
            self.add(account, 3)
        whole = self.listed()
        self.assertEqual([each["player"] for each in whole], [account.username for account in reversed(players)])
        found: list[dict[str, Any]] = []
        while page := self.listed("g", 3, found[-1]["created_at"] if found else None):
            self.assertLessEqual(len(page), 3)
            found += page
        self.assertEqual(found, whole)

    def test_clock_put_back(self) -> None:
        """The newest stays the newest."""
        self.add(ANN, 3)
        self.clock.rightNow -= 3600
        self.add(BOB, 4)
        self.add(ANN, 5)
        self.assertEqual([(each["player"], each["score"]) for each in self.listed()], [("Ann", 5), ("Bob", 4)])

    def test_before(self) -> None:
        """What is no time is 100; any time will do, in any zone."""
        self.add(ANN, 3)
        for before in ("", "yesterday", "2023-11-14", "x" * 100, "2023-11-14T22:13:20.001Z\0"):
            self.refused(self.reviews.list("g", 200, before), InvalidRequest)
        self.assertEqual(len(self.listed("g", 200, "2023-11-14T23:13:20.001+01:00")), 1)
        self.assertEqual(len(self.listed("g", 200, "2023-11-14T22:13:20.000Z")), 0)
        self.assertEqual(len(self.listed("g", 200, "9999-12-31T23:59:59Z")), 1)
        self.assertEqual(len(self.listed("g", 200, "0001-01-01T00:00:00Z")), 0)
