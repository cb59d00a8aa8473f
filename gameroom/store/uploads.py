"""Unfinished uploads in the database, and the moment in which one becomes a version.

Every function is for `database.interact`.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs

from gameroom.errors import Forbidden
from gameroom.interfaces import ICursor, Row
from gameroom.rules import transfer, versions
from gameroom.rules.sessions import suspended
from gameroom.store import catalogue
from gameroom.store.developer_games import require_own
from gameroom.store.free_disk import DiskFull

_COLUMNS = "upload_id, game_id, developer, version, size_bytes, checksum, begun_ms, boot"


@attrs.frozen(kw_only=True)
class UploadRow:
    """An upload from its BEGIN to its end. How far it is, its files tell."""

    upload_id: str
    game_id: str
    developer: str
    """The account id of its developer."""
    version: str
    """As its developer wrote it."""
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits; empty where none was declared."""
    begun_ms: int
    boot: str
    """Which boot of the machine has written its bytes."""


async def begin(cursor: ICursor, upload: UploadRow, spare: int) -> UploadRow:
    """Begin this upload; gives it, or the one that is unfinished and means the same. The disk has `spare` bytes for uploads.

    Raises `NotFound` (the game), `Forbidden` (another developer's), `Conflict` (the version) or `BadState` (too many, or too large).
    """
    await require_own(cursor, upload.developer, upload.game_id)
    key = {"game_id": upload.game_id, "precedence": versions.parse(upload.version).precedence}
    there = await _version(cursor, key)
    if there is not None:
        raise transfer.is_uploaded(there)
    unfinished = await _select(cursor, "WHERE game_id = :game_id AND precedence = :precedence", key)
    for had in unfinished:
        if not transfer.may_resume((had.size_bytes, had.checksum), (upload.size_bytes, upload.checksum)):
            raise transfer.is_begun(had.version)
        return had
    [[count]] = await cursor.execute("SELECT COUNT(*) FROM uploads WHERE developer = :developer", {"developer": upload.developer})
    if count >= transfer.MOST_UNFINISHED:
        raise transfer.too_many()
    if upload.size_bytes > spare:
        raise DiskFull
    await cursor.execute(
        """
        INSERT INTO uploads (upload_id, game_id, developer, version, precedence, size_bytes, checksum, begun_ms, boot)
        VALUES (:upload_id, :game_id, :developer, :version, :precedence, :size_bytes, :checksum, :begun_ms, :boot)
        """,
        {**attrs.asdict(upload), **key},
    )
    return upload


async def find(cursor: ICursor, upload_id: str) -> UploadRow | None:
    """The upload, or None where there is none that is unfinished."""
    found = await _select(cursor, "WHERE upload_id = :upload_id", {"upload_id": upload_id})
    return found[0] if found else None


async def everything(cursor: ICursor) -> list[UploadRow]:
    """All that are unfinished, the oldest first."""
    return await _select(cursor, "ORDER BY begun_ms, upload_id", {})


async def own(cursor: ICursor, developer: str, game_id: str | None = None) -> list[UploadRow]:
    """A developer's, of this game or of all, the oldest first. Raises `NotFound` or `Forbidden` where the game is not theirs."""
    if game_id is not None:
        await require_own(cursor, developer, game_id)
    rows = await _select(cursor, "WHERE developer = :developer ORDER BY begun_ms, upload_id", {"developer": developer})
    # There are at most four.
    return [row for row in rows if game_id in (None, row.game_id)]


async def take_over(cursor: ICursor, upload_ids: list[str], boot: str) -> None:
    """What was written in another boot has been looked at in this one."""
    for upload_id in upload_ids:
        await cursor.execute("UPDATE uploads SET boot = :boot WHERE upload_id = :upload_id", {"upload_id": upload_id, "boot": boot})


async def forget(cursor: ICursor, upload_id: str) -> None:
    """Drop an upload; nothing happens where it is gone already."""
    await cursor.execute("DELETE FROM uploads WHERE upload_id = :upload_id", {"upload_id": upload_id})


async def forget_old(cursor: ICursor, before_ms: int, spared: Collection[str]) -> list[str]:
    """Drop those that were begun at this moment or before, but for these; gives which."""
    rows = await cursor.execute("SELECT upload_id FROM uploads WHERE begun_ms <= :before_ms", {"before_ms": before_ms})
    old = [upload_id for (upload_id,) in rows if upload_id not in spared]
    for upload_id in old:
        await forget(cursor, upload_id)
    return old


async def forget_published(cursor: ICursor) -> None:
    """Drop those whose version is there: a database that was put together by hand may have both."""
    await cursor.execute(
        """
        DELETE FROM uploads WHERE EXISTS (
            SELECT 1 FROM versions AS v WHERE v.game_id = uploads.game_id AND v.precedence = uploads.precedence
        )
        """
    )


async def check_publishable(cursor: ICursor, upload: UploadRow) -> str:
    """The username of the developer who may publish this now.

    Raises `BadState` (the upload is gone), `NotFound`, `Forbidden` (the game has gone to somebody else, or the account is suspended)
    or `Conflict` (the version is there).
    """
    if await find(cursor, upload.upload_id) is None:
        raise transfer.unknown_upload()
    await require_own(cursor, upload.developer, upload.game_id)
    there = await _version(cursor, {"game_id": upload.game_id, "precedence": versions.parse(upload.version).precedence})
    if there is not None:
        raise transfer.is_uploaded(there)
    for username, is_suspended in await cursor.execute(
        "SELECT username, suspended FROM accounts WHERE account_id = :account_id", {"account_id": upload.developer}
    ):
        if is_suspended:
            raise suspended()
        return str(username)
    raise Forbidden("the account of this upload is not there any more")


async def publish(cursor: ICursor, upload: UploadRow, version: catalogue.Version) -> bool:
    """Make the upload a version, whose file is in its place already; gives whether it is the latest.

    A game's first version makes it ONLINE, unless its developer has set the status before.
    Raises what `check_publishable` does.
    """
    await check_publishable(cursor, upload)
    await forget(cursor, upload.upload_id)
    await catalogue.insert_version(cursor, version)
    [[count]] = await cursor.execute("SELECT COUNT(*) FROM versions WHERE game_id = :game_id", {"game_id": upload.game_id})
    if count == 1:
        await cursor.execute(
            "UPDATE games SET status = :online WHERE game_id = :game_id AND status_set = 0",
            {"online": catalogue.ONLINE, "game_id": upload.game_id},
        )
    return bool(await published(cursor, upload))


async def published(cursor: ICursor, upload: UploadRow) -> bool | None:
    """For one who was not told how `publish` ended: whether the version is the latest, or None where there is none."""
    game, version = await catalogue.find_version(cursor, upload.game_id, upload.version)
    if game is None or version is None:
        return None
    return game.latest_version == version.version


async def _version(cursor: ICursor, key: dict[str, Any]) -> str | None:
    """The version of this precedence as it was written; None where there is none."""
    rows = await cursor.execute("SELECT version FROM versions WHERE game_id = :game_id AND precedence = :precedence", key)
    return str(rows[0][0]) if rows else None


async def _select(cursor: ICursor, rest: str, params: dict[str, Any]) -> list[UploadRow]:
    return [_row(row) for row in await cursor.execute(f"SELECT {_COLUMNS} FROM uploads {rest}", params)]


def _row(row: Row) -> UploadRow:
    upload_id, game_id, developer, version, size_bytes, checksum, begun_ms, boot = row
    return UploadRow(
        upload_id=upload_id,
        game_id=game_id,
        developer=developer,
        version=version,
        size_bytes=size_bytes,
        checksum=checksum,
        begun_ms=begun_ms,
        boot=boot,
    )
