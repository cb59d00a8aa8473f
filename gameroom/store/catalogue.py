"""Games and their versions in the database.

Every function is for `database.interact`.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from gameroom.errors import InvalidRequest, NotFound
from gameroom.interfaces import ICursor, Row
from gameroom.rules import versions

ONLINE = "ONLINE"
"""The status of a game that can be played; the other one is OFFLINE."""

_NEWEST = """
    (SELECT v.version FROM versions AS v WHERE v.game_id = g.game_id AND v.yanked = 0 ORDER BY v.pre_release, v.precedence DESC LIMIT 1)
"""


def unknown_game() -> NotFound:
    """What a player is told of an id that no game has."""
    return NotFound("there is no such game; LIST_GAMES names those that there are")


@attrs.frozen(kw_only=True)
class Game:
    """An entry of the store."""

    game_id: str
    developer: str
    """The account id of its developer."""
    name: str
    description: str
    game_type: str
    max_players: int
    status: str
    created_ms: int
    latest_version: str | None = None
    """The highest release by semver precedence that is not yanked, or pre-release where there is no release; None while there is none."""
    score_sum: int = 0
    score_count: int = 0
    """Of its reviews."""

    @property
    def avg_score(self) -> float | None:
        """Rounded to 2 places; None while nobody has scored it."""
        return round(self.score_sum / self.score_count, 2) if self.score_count else None


@attrs.frozen(kw_only=True)
class Version:
    """One upload of a game."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    uploaded_ms: int
    hosting: dict[str, Any]
    """`gameroom.rules.manifest.Manifest.to_json`."""
    yanked: bool = False


async def put_game(cursor: ICursor, game: Game) -> None:
    """Insert a game that comes with the daemon, or bring its entry up to date; it keeps its age, and a status that was set.

    Raises `UniqueViolation` on `games(developer, name)`.
    """
    await cursor.execute(
        """
        INSERT INTO games (game_id, developer, name, description, game_type, max_players, status, status_set, created_ms)
        VALUES (:game_id, :developer, :name, :description, :game_type, :max_players, :status, 0, :created_ms)
        ON CONFLICT (game_id) DO UPDATE SET name = excluded.name, description = excluded.description,
            game_type = excluded.game_type, max_players = excluded.max_players,
            status = CASE WHEN games.status_set = 1 THEN games.status ELSE excluded.status END
        """,
        attrs.asdict(game),
    )


async def insert_version(cursor: ICursor, version: Version, or_else: str = "") -> None:
    """Insert a version; where there is one that compares equal `or_else` says what to do, and without it that raises `UniqueViolation`."""
    parsed = versions.parse(version.version)
    await cursor.execute(
        f"""
        INSERT INTO versions (game_id, version, precedence, pre_release, size_bytes, checksum, uploaded_ms, yanked, hosting)
        VALUES (:game_id, :version, :precedence, :pre_release, :size_bytes, :checksum, :uploaded_ms, :yanked, :hosting) {or_else}
        """,
        {
            **attrs.asdict(version),
            "precedence": parsed.precedence,
            "pre_release": int(parsed.pre_release),
            "yanked": int(version.yanked),
            "hosting": orjson.dumps(version.hosting).decode(),
        },
    )


async def put_version(cursor: ICursor, version: Version) -> None:
    """Insert a version that comes with the daemon, or bring it up to date; it keeps its age while its bytes are the same."""
    await insert_version(
        cursor,
        version,
        """
        ON CONFLICT (game_id, precedence) DO UPDATE SET
            uploaded_ms = CASE WHEN versions.checksum = excluded.checksum THEN versions.uploaded_ms ELSE excluded.uploaded_ms END,
            version = excluded.version, size_bytes = excluded.size_bytes, checksum = excluded.checksum, hosting = excluded.hosting
        """,
    )


async def keep_only(cursor: ICursor, developer: str, kept: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Of the developer's games only these `(game_id, version)` are still to be had; the others leave the store. Gives those."""
    games = {game_id for game_id, _version in kept}
    gone = []
    for (game_id,) in await cursor.execute("SELECT game_id FROM games WHERE developer = :developer", {"developer": developer}):
        for (version,) in await cursor.execute("SELECT version FROM versions WHERE game_id = :game_id", {"game_id": game_id}):
            if (game_id, version) not in kept:
                params = {"game_id": game_id, "version": version}
                await cursor.execute("DELETE FROM versions WHERE game_id = :game_id AND version = :version", params)
                gone.append((game_id, version))
        if game_id not in games:
            await cursor.execute("DELETE FROM games WHERE game_id = :game_id", {"game_id": game_id})
    return gone


async def all_versions(cursor: ICursor) -> tuple[dict[tuple[str, str], str], set[str]]:
    """The checksums of all versions by `(game_id, version)`, and the ids of all games."""
    found = await cursor.execute("SELECT game_id, version, checksum FROM versions")
    games = await cursor.execute("SELECT game_id FROM games")
    return {(game_id, version): checksum for game_id, version, checksum in found}, {game_id for (game_id,) in games}


async def online(cursor: ICursor, limit: int, before: str | None = None) -> list[Game] | None:
    """Games that are ONLINE, newest first; those that are older than the game `before`, or None where there is no such game."""
    after = ""
    params: dict[str, Any] = {"limit": limit, "online": ONLINE}
    if before is not None:
        rows = await cursor.execute("SELECT created_ms FROM games WHERE game_id = :game_id", {"game_id": before})
        if not rows:
            return None
        after = "AND (g.created_ms, g.game_id) < (:created_ms, :before)"
        params |= {"created_ms": rows[0][0], "before": before}
    return await _games(cursor, f"WHERE g.status = :online {after} ORDER BY g.created_ms DESC, g.game_id DESC LIMIT :limit", params)


async def of_developer(cursor: ICursor, developer: str, limit: int, before: Game | None = None) -> list[Game]:
    """The developer's games whatever their status, newest first; those that are older than `before` where it is given."""
    after = "" if before is None else "AND (g.created_ms, g.game_id) < (:created_ms, :before)"
    params: dict[str, Any] = {"developer": developer, "limit": limit}
    if before is not None:
        params |= {"created_ms": before.created_ms, "before": before.game_id}
    return await _games(cursor, f"WHERE g.developer = :developer {after} ORDER BY g.created_ms DESC, g.game_id DESC LIMIT :limit", params)


async def find(cursor: ICursor, game_id: str) -> Game | None:
    """The game, whatever its status."""
    games = await _games(cursor, "WHERE g.game_id = :game_id", {"game_id": game_id})
    return games[0] if games else None


async def find_version(cursor: ICursor, game_id: str, version: str | None = None) -> tuple[Game | None, Version | None]:
    """The game and one of its versions, the latest where none is named; `1.0` names 1.0.0, as they are the same."""
    game = await find(cursor, game_id)
    wanted = version if version is not None or game is None else game.latest_version
    if game is None or wanted is None:
        return game, None
    try:
        precedence = versions.parse(wanted).precedence
    except InvalidRequest:
        return game, None
    rows = await cursor.execute(
        """
        SELECT game_id, version, size_bytes, checksum, uploaded_ms, hosting, yanked FROM versions
        WHERE game_id = :game_id AND precedence = :precedence
        """,
        {"game_id": game_id, "precedence": precedence},
    )
    return game, _version(rows[0]) if rows else None


async def _games(cursor: ICursor, where: str, params: dict[str, Any]) -> list[Game]:
    rows = await cursor.execute(
        f"""
        SELECT g.game_id, g.developer, g.name, g.description, g.game_type, g.max_players, g.status, g.created_ms,
            {_NEWEST}, g.score_sum, g.score_count
        FROM games AS g {where}
        """,
        params,
    )
    return [_game(row) for row in rows]


def _game(row: Row) -> Game:
    game_id, developer, name, description, game_type, max_players, status, created_ms, latest_version, score_sum, score_count = row
    return Game(
        game_id=game_id,
        developer=developer,
        name=name,
        description=description,
        game_type=game_type,
        max_players=max_players,
        status=status,
        created_ms=created_ms,
        latest_version=latest_version,
        score_sum=score_sum,
        score_count=score_count,
    )


def _version(row: Row) -> Version:
    game_id, version, size_bytes, checksum, uploaded_ms, hosting, yanked = row
    return Version(
        game_id=game_id,
        version=version,
        size_bytes=size_bytes,
        checksum=checksum,
        uploaded_ms=uploaded_ms,
        hosting=orjson.loads(hosting),
        yanked=bool(yanked),
    )
