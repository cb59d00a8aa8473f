"""Games as their developers keep them, in the database.

Every function is for `database.interact`. Who a game belongs to is asked in the transaction that changes it.
"""

from __future__ import annotations

from typing import Any

import attrs

from gameroom.errors import BadState, Conflict, Forbidden, NotFound
from gameroom.interfaces import ICursor, Row
from gameroom.rules.versions import GameVersion
from gameroom.store.catalogue import ONLINE, Game, find, of_developer

MOST_GAMES = 1000
"""Of one developer: an account is made in a second, and a list of games is everybody's."""


@attrs.frozen(kw_only=True)
class Listed:
    """A version as its developer sees it."""

    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    uploaded_ms: int
    yanked: bool
    is_latest: bool


async def require_own(cursor: ICursor, developer: str, game_id: str) -> Game:
    """The game. Raises `NotFound`, or `Forbidden` where it is another developer's (an account id)."""
    # No id of ours holds a NUL, and PostgreSQL would not take one.
    game = None if "\0" in game_id else await find(cursor, game_id)
    if game is None:
        raise NotFound("there is no such game; LIST_MY_GAMES names yours")
    if game.developer != developer:
        raise Forbidden("this game is another developer's; LIST_MY_GAMES names yours")
    return game


async def insert(cursor: ICursor, game: Game, most: int = MOST_GAMES) -> None:
    """Raises `Conflict` where the developer has a game of this name, and `BadState` where there are `most` already."""
    made = await cursor.execute(
        """
        INSERT INTO games (game_id, developer, name, description, game_type, max_players, status, status_set, created_ms)
        VALUES (:game_id, :developer, :name, :description, :game_type, :max_players, :status, 0, :created_ms)
        ON CONFLICT (developer, name) DO NOTHING
        RETURNING game_id
        """,
        attrs.asdict(game),
    )
    if not made:
        raise Conflict(f"you have a game named {game.name} already; choose another name")
    [[count]] = await cursor.execute("SELECT COUNT(*) FROM games WHERE developer = :developer", {"developer": game.developer})
    if count > most:
        raise BadState(f"you have {most} games, as many as a developer may have; change one of them")


async def own(cursor: ICursor, developer: str, limit: int, before: str | None) -> list[Game]:
    """The developer's games, newest first, from the one after `before` on. Raises what `require_own` does for that one."""
    last = None if before is None else await require_own(cursor, developer, before)
    return await of_developer(cursor, developer, limit, last)


async def update(cursor: ICursor, developer: str, game_id: str, changes: dict[str, Any]) -> None:
    """Change some of description, game_type and max_players."""
    await require_own(cursor, developer, game_id)
    params = {name: changes.get(name) for name in ("description", "game_type", "max_players")}
    await cursor.execute(
        """
        UPDATE games SET description = COALESCE(:description, description), game_type = COALESCE(:game_type, game_type),
            max_players = COALESCE(:max_players, max_players)
        WHERE game_id = :game_id
        """,
        {"game_id": game_id, **params},
    )


async def set_status(cursor: ICursor, developer: str, game_id: str, status: str) -> None:
    """From then on the developer alone decides about the status. Raises `BadState` for ONLINE without a version."""
    game = await require_own(cursor, developer, game_id)
    if status == ONLINE and game.latest_version is None:
        raise BadState(f"{game.name} has no version that can be played; upload one first")
    await cursor.execute("UPDATE games SET status = :status, status_set = 1 WHERE game_id = :game_id", {"game_id": game_id, "status": status})


async def versions(cursor: ICursor, developer: str, game_id: str, limit: int, before: GameVersion | None) -> list[Listed]:
    """The highest first; those below `before` where it is given."""
    game = await require_own(cursor, developer, game_id)
    below = "" if before is None else "AND precedence < :before"
    params: dict[str, Any] = {"game_id": game_id, "limit": limit}
    if before is not None:
        params["before"] = before.precedence
    rows = await cursor.execute(
        f"""
        SELECT version, size_bytes, checksum, uploaded_ms, yanked FROM versions
        WHERE game_id = :game_id {below} ORDER BY precedence DESC LIMIT :limit
        """,
        params,
    )
    return [_listed(row, game.latest_version) for row in rows]


def _listed(row: Row, latest: str | None) -> Listed:
    version, size_bytes, checksum, uploaded_ms, yanked = row
    return Listed(
        version=version, size_bytes=size_bytes, checksum=checksum, uploaded_ms=uploaded_ms, yanked=bool(yanked), is_latest=version == latest
    )


async def yank(cursor: ICursor, developer: str, game_id: str, version: GameVersion) -> str:
    """Never let this version be the latest again; gives it as it was uploaded. It may be yanked already. Raises `NotFound`."""
    game = await require_own(cursor, developer, game_id)
    rows = await cursor.execute(
        "UPDATE versions SET yanked = 1 WHERE game_id = :game_id AND precedence = :precedence RETURNING version",
        {"game_id": game_id, "precedence": version.precedence},
    )
    if not rows:
        raise NotFound(f"{game.name} has no version {version.text}; LIST_VERSIONS names those that there are")
    return str(rows[0][0])
