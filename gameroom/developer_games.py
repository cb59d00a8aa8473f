"""A developer's games: what the developer door and the REST API do to them (lobby.md, Developer commands).

Whoever asks is the account of a developer; another one's game is refused before anything else of it is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import InvalidRequest
from gameroom.interfaces import IDatabase
from gameroom.program_logs import ProgramLogs
from gameroom.rules import game_entry
from gameroom.rules.sessions import Account
from gameroom.rules.times import rfc3339
from gameroom.rules.versions import parse
from gameroom.store import developer_games as table
from gameroom.store.catalogue import ONLINE, Game

OFFLINE = "OFFLINE"
STATUSES = (ONLINE, OFFLINE)

MOST_LISTED = 200
LOG_LINES = 200
"""How much of a log is told where nobody says how much."""


class DeveloperGames:
    """The games of all developers, each for its own developer.

    Three lines in a program of one's own, whose database has been started:

    >>> logs = ProgramLogs(reactor)
    >>> games = DeveloperGames(database=database, clock=reactor, logs=logs, random_bytes=secrets.token_bytes)
    >>> game_id = await games.create(session.account, "Dots", "Join the dots.", "gui", 4)
    """

    _log = Logger()

    def __init__(self, *, database: IDatabase, clock: IReactorTime, logs: ProgramLogs, random_bytes: Callable[[int], bytes]) -> None:
        self._database, self._clock, self._logs, self._random_bytes = database, clock, logs, random_bytes
        self._made_ms = 0

    @deferring
    async def create(self, account: Account, name: str, description: str, game_type: str, max_players: int) -> str:
        """CREATE_GAME: fires with the id of a new game, which is OFFLINE. Fails with `InvalidRequest` or `Conflict`."""
        game = Game(
            game_id=str(UUID(bytes=self._random_bytes(16), version=4)),
            developer=account.account_id,
            name=game_entry.name(name),
            description=game_entry.description(description),
            game_type=game_entry.game_type(game_type),
            max_players=game_entry.max_players(max_players),
            status=OFFLINE,
            created_ms=self._later_ms(),
        )
        await self._database.interact(table.insert, game)
        self._log.info("developer {username} created game {game_id}", username=account.username, game_id=game.game_id)
        return game.game_id

    def _later_ms(self) -> int:
        """Now, or a little later: games that are made one right after the other are listed in this order, too."""
        now_ms = int(self._clock.seconds() * 1000)
        self._made_ms = self._made_ms + 1 if now_ms <= self._made_ms < now_ms + 1000 else now_ms
        return self._made_ms

    @deferring
    async def mine(self, account: Account, limit: int = MOST_LISTED, before: str | None = None) -> list[dict[str, Any]]:
        """LIST_MY_GAMES: newest first, at most 200; `before` is the id of the last one of the list before.

        Fails with `NotFound` or `Forbidden` where that is no game of theirs.
        """
        games = await self._database.interact(table.own, account.account_id, min(limit, MOST_LISTED), before)
        return [
            {
                "game_id": game.game_id,
                "name": game.name,
                "description": game.description,
                "status": game.status,
                "latest_version": game.latest_version,
            }
            for game in games
        ]

    @deferring
    async def update(
        self, account: Account, game_id: str, *, description: str | None = None, max_players: int | None = None, game_type: str | None = None
    ) -> None:
        """UPDATE_GAME_META: what is None stays. Fails with `InvalidRequest`, `NotFound` or `Forbidden`."""
        changes: dict[str, Any] = {
            "description": None if description is None else game_entry.description(description),
            "max_players": None if max_players is None else game_entry.max_players(max_players),
            "game_type": None if game_type is None else game_entry.game_type(game_type),
        }
        await self._database.interact(table.update, account.account_id, game_id, changes)

    @deferring
    async def set_status(self, account: Account, game_id: str, status: str) -> None:
        """SET_GAME_STATUS: from now on uploads no longer change the status.

        Fails with `InvalidRequest`, `NotFound`, `Forbidden`, or `BadState` (ONLINE without a version that is not yanked).
        """
        if status not in STATUSES:
            raise InvalidRequest(f"status is {' or '.join(STATUSES)}", pointer="/status")
        await self._database.interact(table.set_status, account.account_id, game_id, status)
        self._log.info("game {game_id} is {status} by its developer", game_id=game_id, status=status)

    @deferring
    async def versions(
        self, account: Account, game_id: str, limit: int = MOST_LISTED, before: str | None = None, *, details: bool = False
    ) -> list[dict[str, Any]]:
        """LIST_VERSIONS: the highest first, at most 200; only those below the version `before`, where it is given.

        With `details` each has its `size_bytes`, `checksum` and whether it is `yanked`, too.
        Fails with `InvalidRequest`, `NotFound` or `Forbidden`.
        """
        last = None if before is None else parse(before)
        listed = await self._database.interact(table.versions, account.account_id, game_id, min(limit, MOST_LISTED), last)
        return [_version(version, details) for version in listed]

    @deferring
    async def yank(self, account: Account, game_id: str, version: str) -> None:
        """YANK_VERSION: it stays listed and can be had by name, but is never the latest again.

        A game whose versions are all yanked keeps its status and has no latest version. Yanking twice is fine.
        Fails with `InvalidRequest`, `NotFound` or `Forbidden`.
        """
        yanked = await self._database.interact(table.yank, account.account_id, game_id, parse(version))
        self._log.info("version {version} of game {game_id} was yanked", version=yanked, game_id=game_id)

    @deferring
    async def logs(self, account: Account, game_id: str, most: int = LOG_LINES) -> list[str]:
        """GET_LOGS: the last lines that the game's programs have said. Fails with `NotFound` or `Forbidden`."""
        await self._database.interact(table.require_own, account.account_id, game_id)
        return self._logs.lines(game_id, most)


def _version(version: table.Listed, details: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"version": version.version, "uploaded_at": rfc3339(version.uploaded_ms), "is_latest": version.is_latest}
    if details:
        told |= {"size_bytes": version.size_bytes, "checksum": version.checksum, "yanked": version.yanked}
    return told
