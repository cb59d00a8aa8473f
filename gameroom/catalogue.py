"""The store's games: what there is to play, and the folders it is played from (spec: lobby.md, Player commands; bundle.md).

Games that ship with the daemon are folders `<slug>/` with a `game.toml`; they are put into the database at start, as games of
the developer `gameroom`.
"""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from uuid import UUID, uuid5

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gameroom.errors import BadState, GameroomError, NotFound
from gameroom.interfaces import ICursor, IDatabase
from gameroom.rules import manifest
from gameroom.rules.manifest import GameEntry, Manifest
from gameroom.store import UniqueViolation
from gameroom.store import catalogue as table

T = TypeVar("T")

DEVELOPER = "gameroom"
"""Whose games those are that ship with the daemon."""

MOST_LISTED = 200

_SLUGS = UUID("8d9e801d-cf6a-4e70-87f0-aac8874aca66")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)


class UnusableGames(Exception):
    """A game that ships with the daemon cannot be used; the message is one line with the file and the reason."""


@attrs.frozen(kw_only=True)
class BundleInfo:
    """What LATEST_VERSION tells of an upload."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""


@attrs.frozen(kw_only=True)
class Bundle:
    """One version of a game, unpacked and ready to be played."""

    game_id: str
    version: str
    name: str
    status: str
    min_players: int
    max_players: int
    """The smaller of the bundle's and the game's."""
    hosting: str
    lockstep: dict[str, Any]
    """Fields of /create that the bundle gives."""
    engine: str | None
    """The engine's file, from the bundle's root."""
    web: str | None
    """The page's file, from the bundle's root."""
    folder: Path


@attrs.frozen(kw_only=True)
class _BuiltIn:
    """A game that ships with the daemon, as its folder has it."""

    game_id: str
    folder: Path
    manifest: Manifest
    entry: GameEntry
    size_bytes: int
    checksum: str


class Catalogue:
    """The games of the store.

    `games_dir` holds the games that ship with the daemon; `clock` tells the time.
    """

    def __init__(self, *, database: IDatabase, games_dir: Path, clock: IReactorTime) -> None:
        self._database = database
        self._games_dir = games_dir
        self._clock = clock
        self._folders: dict[tuple[str, str], Path] = {}

    def start(self) -> Deferred[None]:
        """Put the games that ship with the daemon into the store.

        Fires when they are there; fails with `UnusableGames`.
        """
        return Deferred.fromCoroutine(self._start())

    async def _start(self) -> None:
        found = [_read(folder) for folder in _game_folders(self._games_dir)]
        await self._database.interact(_put, found, int(self._clock.seconds() * 1000))
        self._folders = {(game.game_id, game.entry.version): game.folder.resolve() for game in found}

    def list_games(self, limit: int = MOST_LISTED, before: str | None = None) -> Deferred[list[dict[str, Any]]]:
        """LIST_GAMES: games that are ONLINE, newest first, at most 200; `before` is the id of the last one of the list before.

        Fails with `NotFound` where `before` is no game.
        """
        return Deferred.fromCoroutine(self._list_games(limit, before))

    async def _list_games(self, limit: int, before: str | None) -> list[dict[str, Any]]:
        if before is not None:
            _require_text(before)
        games = await self._database.interact(table.online, min(limit, MOST_LISTED), before)
        return [_list_entry(game) for game in _there(games)]

    def detail(self, game_id: str) -> Deferred[dict[str, Any]]:
        """GET_GAME_DETAIL, also for a game that is OFFLINE. Fails with `NotFound`."""
        return Deferred.fromCoroutine(self._detail(game_id))

    async def _detail(self, game_id: str) -> dict[str, Any]:
        _require_text(game_id)
        return _detail_of(_there(await self._database.interact(table.find, game_id)))

    def latest(self, game_id: str) -> Deferred[BundleInfo]:
        """LATEST_VERSION, also for a game that is OFFLINE. Fails with `NotFound`, also where there is no version yet."""
        return Deferred.fromCoroutine(self._latest(game_id))

    async def _latest(self, game_id: str) -> BundleInfo:
        _require_text(game_id)
        game, version = await self._database.interact(table.find_version, game_id)
        _there(game)
        if version is None:
            raise NotFound("this game has no version yet")
        return BundleInfo(game_id=game_id, version=version.version, size_bytes=version.size_bytes, checksum=version.checksum)

    def bundle(self, game_id: str, version: str | None = None, *, offline_too: bool = False) -> Deferred[Bundle]:
        """What a room of this game plays; the latest version where none is named.

        Fails with `NotFound` for an unknown game or version, and with `BadState` for a game without a version, or one that is OFFLINE
        unless `offline_too` (for rooms that played before it went OFFLINE).
        """
        return Deferred.fromCoroutine(self._bundle(game_id, version, offline_too))

    async def _bundle(self, game_id: str, wanted: str | None, offline_too: bool) -> Bundle:
        _require_text(game_id, wanted or "")
        found, version = await self._database.interact(table.find_version, game_id, wanted)
        game = _there(found)
        if game.status != table.ONLINE and not offline_too:
            raise BadState(f"{game.name} is offline; choose another game")
        if version is None and wanted is None:
            raise BadState(f"{game.name} has no version yet; choose another game")
        folder = self._folders.get((game_id, version.version)) if version is not None else None
        if version is None or folder is None:
            raise NotFound(f"{game.name} has no version {wanted or game.latest_version} here; LIST_GAMES names the latest")
        said = Manifest.from_json(version.hosting)
        return Bundle(
            game_id=game_id,
            version=version.version,
            name=game.name,
            status=game.status,
            min_players=said.min_players,
            max_players=min(said.max_players, game.max_players),
            hosting=said.kind,
            lockstep=dict(said.lockstep),
            engine=said.engine,
            web=said.web,
            folder=folder,
        )

    def file(self, game_id: str, version: str, relative_path: str) -> Deferred[Path]:
        """A file of a bundle. Fails with `NotFound`, also for what is no file inside of the bundle's folder."""
        return Deferred.fromCoroutine(self._file(game_id, version, relative_path))

    async def _file(self, game_id: str, version: str, relative_path: str) -> Path:
        folder = self._folders.get((game_id, version))
        if folder is not None and "\0" not in relative_path:
            # resolve() follows links too, so that none leads out. OSError: a name that no file system takes.
            with suppress(OSError):
                path = (folder / relative_path).resolve()
                if path.is_relative_to(folder) and path.is_file():
                    return path
        raise NotFound("there is no such file in this version of the game")


def _there(found: T | None) -> T:
    if found is None:
        raise NotFound("there is no such game; LIST_GAMES names those that there are")
    return found


def _require_text(*keys: str) -> None:
    """No key holds a NUL, and PostgreSQL would not take one."""
    _there(None if any("\0" in key for key in keys) else keys)


def _list_entry(game: table.Game) -> dict[str, Any]:
    """A game of LIST_GAMES, with exactly the seed's fields. Reviews are yet to come, so nobody has scored it."""
    return {"game_id": game.game_id, "name": game.name, "status": game.status, "latest_version": game.latest_version, "avg_score": None}


def _detail_of(game: table.Game) -> dict[str, Any]:
    """The payload of GET_GAME_DETAIL, with exactly the seed's fields."""
    return {
        "game_id": game.game_id,
        "name": game.name,
        "description": game.description,
        "game_type": game.game_type,
        "max_players": game.max_players,
        "status": game.status,
        "latest_version": game.latest_version,
        "avg_score": None,
        "reviews_sample": [],
    }


def _game_folders(games_dir: Path) -> Iterator[Path]:
    if not games_dir.is_dir():
        raise UnusableGames(f"{games_dir} is no folder: it should hold the games that ship with gameroom; install gameroom again")
    return (folder for folder in sorted(games_dir.iterdir()) if (folder / "game.toml").is_file())


def _read(folder: Path) -> _BuiltIn:
    try:
        said, entry = manifest.parse((folder / "game.toml").read_text("utf-8"))
        if entry is None:
            raise UnusableGames(f"{folder / 'game.toml'}: game is missing: a game that ships with gameroom needs a table [game]")
        for key, name in said.files.items():
            if not (folder / name).is_file():
                raise UnusableGames(f"{folder / 'game.toml'}: {key} names {name}, which is not there")
        packed = _packed(folder)
    except (GameroomError, OSError, UnicodeDecodeError) as error:
        raise UnusableGames(f"{folder / 'game.toml'}: {error}") from error
    return _BuiltIn(
        game_id=str(uuid5(_SLUGS, folder.name)),
        folder=folder,
        manifest=said,
        entry=entry,
        size_bytes=len(packed),
        checksum=hashlib.sha256(packed).hexdigest(),
    )


def _packed(folder: Path) -> bytes:
    """The folder as the ZIP that it is handed out as: the same bytes on every machine."""
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


async def _put(cursor: ICursor, found: list[_BuiltIn], now_ms: int) -> None:
    """The games of the daemon's own developer are those that it ships with, and no others."""
    await table.keep_only(cursor, DEVELOPER, {(built_in.game_id, built_in.entry.version) for built_in in found})
    for built_in in found:
        game = table.Game(
            game_id=built_in.game_id,
            developer=DEVELOPER,
            name=built_in.entry.name,
            description=built_in.entry.description,
            game_type=built_in.entry.game_type,
            max_players=built_in.entry.max_players,
            status=table.ONLINE,
            created_ms=now_ms,
        )
        version = table.Version(
            game_id=built_in.game_id,
            version=built_in.entry.version,
            size_bytes=built_in.size_bytes,
            checksum=built_in.checksum,
            uploaded_ms=now_ms,
            hosting=built_in.manifest.to_json(),
        )
        try:
            await table.put_game(cursor, game)
        except UniqueViolation:
            raise UnusableGames(f"{built_in.folder / 'game.toml'}: game.name {built_in.entry.name} is another game's already") from None
        await table.put_version(cursor, version)
