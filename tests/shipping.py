"""A folder of games that ship with the daemon, for tests."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.catalogue import Catalogue
from gameroom.interfaces import ICursor
from gameroom.store.folders import remove_tree
from tests.catalogues import make_catalogue, make_shipped
from tests.memory import MemoryDatabase

TOML = """
[game]
name = "{name}"
description = "About {name}."
game_type = "multi"
max_players = 4
version = "{version}"

[hosting]
kind = "lockstep"
min_players = 2
max_players = 8

[lockstep]
engine = "engine.js"
encoding = "binary"

[client]
web = "index.html"
"""


class ShippingCase(SynchronousTestCase):
    """Has a folder of games, a database, a folder for the store's files, and a clock."""

    def setUp(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="gameroom-games-"))
        self.addCleanup(remove_tree, self.folder)
        self.games = self.folder / "games"
        self.games.mkdir()
        self.data = self.folder / "data"
        self.database = MemoryDatabase()
        self.clock = Clock()
        self.clock.advance(1000.0)

    def write(self, slug: str, name: str = "Dots", version: str = "1.0.0", toml: str = TOML) -> Path:
        folder = self.games / slug
        folder.mkdir(exist_ok=True)
        (folder / "game.toml").write_text(toml.replace("{name}", name).replace("{version}", version), "utf-8")
        for file in ("engine.js", "index.html"):
            (folder / file).write_text(f"{file} of {name}", "utf-8")
        return folder

    def started(self) -> Catalogue:
        """What a start of the daemon makes of it."""
        self.successResultOf(make_shipped(self.database, self.data, self.clock, self.games).start())
        catalogue = make_catalogue(self.database, self.data, self.clock)
        self.successResultOf(catalogue.start())
        return catalogue

    def games_of(self, catalogue: Catalogue) -> dict[str, str]:
        """The ids of the listed games by their names."""
        return {game["name"]: game["game_id"] for game in self.successResultOf(catalogue.list_games())}

    def refused(self, deferred: Deferred[Any], kind: type[Exception]) -> str:
        return str(self.failureResultOf(deferred, kind).value)

    def execute(self, sql: str, **params: Any) -> None:
        async def work(cursor: ICursor) -> None:
            await cursor.execute(sql, params)

        self.successResultOf(self.database.interact(work))
