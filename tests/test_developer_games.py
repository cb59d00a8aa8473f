"""A developer's games, as a program uses them; what a developer may say of them is in tests/doors/test_developer_conversation.py."""

from __future__ import annotations

import os
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.developer_games import DeveloperGames
from gameroom.errors import Conflict, Forbidden, InvalidRequest, NotFound
from gameroom.program_logs import ProgramLogs
from tests.developers import developer
from tests.held import HeldDatabase

ADA, EVE = developer("ada"), developer("eve")


class DeveloperGamesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_700_000_000)
        self.database = HeldDatabase(holding=False)
        self.logs = ProgramLogs(self.clock)
        self.games = DeveloperGames(database=self.database, clock=self.clock, logs=self.logs, random_bytes=os.urandom)

    def create(self, name: str = "Dots", account: Any = ADA) -> Deferred[str]:
        return self.games.create(account, name, "", "gui", 4)

    def test_id(self) -> None:
        """A game's id is a UUID4 of the randomness that is handed in."""
        games = DeveloperGames(database=self.database, clock=self.clock, logs=self.logs, random_bytes=bytes)
        self.assertEqual("00000000-0000-4000-8000-000000000000", self.successResultOf(games.create(ADA, "Dots", "", "gui", 4)))

    def test_nothing_is_asked_for_what_is_faulty(self) -> None:
        """What cannot be is refused without the database, with a pointer for those who need one."""
        self.database.holding = True
        for faulty, pointer in (
            (self.create(""), "/name"),
            (self.games.create(ADA, "Dots", "\0", "gui", 4), "/description"),
            (self.games.create(ADA, "Dots", "", "", 4), "/game_type"),
            (self.games.create(ADA, "Dots", "", "gui", 0), "/max_players"),
            (self.games.update(ADA, "g", max_players=65), "/max_players"),
            (self.games.set_status(ADA, "g", "GONE"), "/status"),
            (self.games.versions(ADA, "g", before="x"), "/version"),
            (self.games.yank(ADA, "g", "x"), "/version"),
        ):
            self.assertEqual(pointer, self.failureResultOf(faulty, InvalidRequest).value.pointer)
        self.assertEqual([], self.database.waiting)

    def test_two_of_a_name_at_once(self) -> None:
        """Of two that are made at once one is made."""
        self.database.holding = True
        first, second = self.create(), self.create()
        self.database.release(1)
        self.database.release()
        self.failureResultOf(first, Conflict)
        game_id = self.successResultOf(second)
        self.database.holding = False
        self.assertEqual([game_id], [game["game_id"] for game in self.successResultOf(self.games.mine(ADA))])

    def test_newest_first_within_a_moment(self) -> None:
        """Games that are made in the same millisecond are listed newest first as well; a clock that is put back is believed."""
        made = [self.successResultOf(self.create(str(number))) for number in range(20)]
        self.assertEqual(made[::-1], [game["game_id"] for game in self.successResultOf(self.games.mine(ADA))])
        self.clock.rightNow -= 1000
        before = self.successResultOf(self.create("before"))
        self.assertEqual(before, self.successResultOf(self.games.mine(ADA))[-1]["game_id"])

    def test_names_are_trimmed_before_they_are_compared(self) -> None:
        """A name with spaces around it is the same name."""
        self.successResultOf(self.create())
        self.failureResultOf(self.create(" Dots  "), Conflict)

    def test_logs_are_the_owners(self) -> None:
        """What a game's programs said is for its developer alone, also where nobody knows the game."""
        game_id = self.successResultOf(self.create())
        self.logs.write(game_id, "hello")
        self.logs.write("nobody's", "hello")
        self.assertEqual(1, len(self.successResultOf(self.games.logs(ADA, game_id))))
        self.failureResultOf(self.games.logs(EVE, game_id), Forbidden)
        self.failureResultOf(self.games.logs(ADA, "nobody's"), NotFound)
