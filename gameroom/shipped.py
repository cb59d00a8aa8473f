"""The games that ship with the daemon: folders `<slug>/` with a `game.toml` that has a table `[game]`.

At start-up each is packed, checked and put into the store as what a developer uploads; they are games of the developer `gameroom`.
"""

from __future__ import annotations

import hashlib
import io
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gameroom.deferring import deferring
from gameroom.errors import GameroomError, NotFound
from gameroom.interfaces import ICursor, IDatabase
from gameroom.rules.manifest import GameEntry, Manifest
from gameroom.settings import Limits
from gameroom.store import UniqueViolation, bundle_check
from gameroom.store import catalogue as table
from gameroom.store.bundles import BundleFiles, Record

DEVELOPER = "gameroom"
"""Whose games those are that ship with the daemon."""

_SLUGS = UUID("8d9e801d-cf6a-4e70-87f0-aac8874aca66")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


class UnusableGames(Exception):
    """A game that ships with the daemon cannot be used; the message is one line with the file and the reason."""


@attrs.frozen(kw_only=True)
class _BuiltIn:
    """A game that ships with the daemon, as its folder has it."""

    game_id: str
    folder: Path
    manifest: Manifest
    entry: GameEntry
    packed: bytes = attrs.field(repr=False)

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.packed).hexdigest()


class Shipped:
    """The games in `games_dir`. `clock` tells the time, `defer_to_thread(function, *args)` is where files are read and written."""

    def __init__(
        self, *, database: IDatabase, bundles: BundleFiles, games_dir: Path, clock: IReactorTime, defer_to_thread: Callable[..., Deferred[Any]]
    ) -> None:
        self._database = database
        self._bundles = bundles
        self._games_dir = games_dir
        self._clock = clock
        self._defer_to_thread = defer_to_thread

    @deferring
    async def start(self) -> None:
        """Put them into the store, and take out those of an older daemon. Fires when they are there; fails with `UnusableGames`."""
        now_ms = int(self._clock.seconds() * 1000)
        found = await self._defer_to_thread(_read_all, self._games_dir)
        await self._defer_to_thread(_place_all, self._bundles, found, now_ms)
        gone = await self._database.interact(_put, found, now_ms)
        await self._defer_to_thread(_remove_all, self._bundles, gone)


def _read_all(games_dir: Path) -> list[_BuiltIn]:
    with tempfile.TemporaryDirectory(prefix="gameroom-games-") as scratch:
        return [_read(folder, Path(scratch) / "bundle.zip") for folder in _game_folders(games_dir)]


def _game_folders(games_dir: Path) -> Iterator[Path]:
    if not games_dir.is_dir():
        raise UnusableGames(f"{games_dir} is no folder: it should hold the games that ship with gameroom; install gameroom again")
    return (folder for folder in sorted(games_dir.iterdir()) if (folder / "game.toml").is_file())


def _read(folder: Path, scratch: Path) -> _BuiltIn:
    """Pack a folder, and check what was packed; `scratch` is a file to do this with."""
    try:
        packed = pack(folder)
        scratch.write_bytes(packed)
        said, entry = bundle_check.examine(scratch, Limits())
    except GameroomError as error:
        # It begins with the file's name.
        raise UnusableGames(f"{folder}/{error.message}") from error
    except OSError as error:
        raise UnusableGames(f"{folder}: {error}") from error
    if entry is None:
        raise UnusableGames(f"{folder / 'game.toml'}: game is missing: a game that ships with gameroom needs a table [game]")
    return _BuiltIn(game_id=str(uuid5(_SLUGS, folder.name)), folder=folder, manifest=said, entry=entry, packed=packed)


def pack(folder: Path) -> bytes:
    """The folder as a bundle: the same bytes on every machine. Raises `OSError`."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and "__pycache__" not in name:
                info = zipfile.ZipInfo(name, _LONG_AGO)
                info.create_system = 3
                info.external_attr = 0o644 << 16
                archive.writestr(info, path.read_bytes())
    return buffer.getvalue()


def _place_all(bundles: BundleFiles, found: list[_BuiltIn], now_ms: int) -> None:
    """Put into its place what is not there yet, or is something else there."""
    with tempfile.TemporaryDirectory(prefix="gameroom-games-") as scratch:
        path = Path(scratch) / "bundle.zip"
        for game in found:
            if not _is_there(bundles, game):
                path.write_bytes(game.packed)
                bundles.place(path, _record(game, now_ms))
                path.unlink()


def _is_there(bundles: BundleFiles, game: _BuiltIn) -> bool:
    try:
        return bundles.path(game.game_id, game.entry.version).read_bytes() == game.packed
    except NotFound:
        return False


def _record(game: _BuiltIn, now_ms: int) -> Record:
    return Record(
        game_id=game.game_id,
        version=game.entry.version,
        size_bytes=len(game.packed),
        checksum=game.checksum,
        uploaded_ms=now_ms,
        developer=DEVELOPER,
        hosting=game.manifest.to_json(),
    )


def _remove_all(bundles: BundleFiles, gone: list[tuple[str, str]]) -> None:
    for game_id, version in gone:
        bundles.remove(game_id, version)


async def _put(cursor: ICursor, found: list[_BuiltIn], now_ms: int) -> list[tuple[str, str]]:
    """The games of the daemon's own developer are those that it ships with, and no others; gives the versions that are none any more."""
    gone = await table.keep_only(cursor, DEVELOPER, {(built_in.game_id, built_in.entry.version) for built_in in found})
    for built_in in found:
        try:
            await table.put_game(cursor, _game(built_in, now_ms))
        except UniqueViolation:
            raise UnusableGames(f"{built_in.folder / 'game.toml'}: game.name {built_in.entry.name} is another game's already") from None
        await table.put_version(cursor, _version(built_in, now_ms))
    return gone


def _game(built_in: _BuiltIn, now_ms: int) -> table.Game:
    return table.Game(
        game_id=built_in.game_id,
        developer=DEVELOPER,
        name=built_in.entry.name,
        description=built_in.entry.description,
        game_type=built_in.entry.game_type,
        max_players=built_in.entry.max_players,
        status=table.ONLINE,
        created_ms=now_ms,
    )


def _version(built_in: _BuiltIn, now_ms: int) -> table.Version:
    return table.Version(
        game_id=built_in.game_id,
        version=built_in.entry.version,
        size_bytes=len(built_in.packed),
        checksum=built_in.checksum,
        uploaded_ms=now_ms,
        hosting=built_in.manifest.to_json(),
    )
