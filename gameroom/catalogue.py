"""The store's games: what there is to play, to download, and the folders it is played from (spec: lobby.md, Player commands; bundle.md)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState, NotFound
from gameroom.interfaces import ICursor, IDatabase
from gameroom.reviews import sample
from gameroom.rules import versions
from gameroom.rules.manifest import Manifest, Server, Service
from gameroom.store import catalogue as table
from gameroom.store import reviews
from gameroom.store.bundles import BundleFiles

T = TypeVar("T")

MOST_LISTED = 200
SAMPLE = 5
"""Reviews that the details of a game show."""


@attrs.frozen(kw_only=True)
class BundleInfo:
    """What LATEST_VERSION tells of an upload."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    hosting: str
    """The kind of its rooms."""
    has_page: bool
    """Whether it is played in a page of its own."""


@attrs.frozen(kw_only=True)
class Stored:
    """One version of a game as it was uploaded, to be handed out."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    path: Path


@attrs.frozen(kw_only=True)
class Bundle:
    """One version of a game, ready to be played."""

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
    folder: Path | None
    """Where it is unpacked; None where nothing of it is served or run here, and for a file that is no bundle."""
    server: Server | None = None
    """Its GameServer; None for another hosting kind."""
    service: Service | None = None
    """Its micro game service; None for another hosting kind."""


class Catalogue:
    """The games of the store, whose files are in `bundles`.

    `clock` is for what the log says. `defer_to_thread(function, *args)` is where files are looked for, and `unpack_in_thread` where they are
    unpacked, so that nothing else waits behind that; without it the same threads do both.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        database: IDatabase,
        bundles: BundleFiles,
        clock: IReactorTime,
        defer_to_thread: Callable[..., Deferred[Any]],
        unpack_in_thread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        self._database = database
        self._bundles = bundles
        self._clock = clock
        self._defer_to_thread = defer_to_thread
        self._unpack_in_thread = unpack_in_thread or defer_to_thread
        self._folders: dict[tuple[str, str], Path] = {}
        """Of the versions that are unpacked. A version never changes while the daemon runs."""
        self._unpacking: dict[str, list[Deferred[Path]]] = {}
        """Who waits for a bundle to be unpacked, by its checksum."""

    @deferring
    async def start(self) -> None:
        """Bring files and database together after whatever has happened. Fires when that is done."""
        known, games = await self._database.interact(table.all_versions)
        await self._defer_to_thread(self._bundles.reconcile, known, games)

    @deferring
    async def list_games(self, limit: int = MOST_LISTED, before: str | None = None) -> list[dict[str, Any]]:
        """LIST_GAMES: games that are ONLINE, newest first, at most 200; `before` is the id of the last one of the list before.

        Fails with `NotFound` where `before` is no game.
        """
        if before is not None:
            _require_text(before)
        games = await self._database.interact(table.online, min(limit, MOST_LISTED), before)
        return [_list_entry(game) for game in _there(games)]

    @deferring
    async def detail(self, game_id: str) -> dict[str, Any]:
        """GET_GAME_DETAIL, also for a game that is OFFLINE. Fails with `NotFound`."""
        _require_text(game_id)
        return _there(await self._database.interact(_detail_of, game_id))

    @deferring
    async def latest(self, game_id: str) -> BundleInfo:
        """LATEST_VERSION, also for a game that is OFFLINE. Fails with `NotFound`, also where there is no version yet."""
        game, found = await self._find(game_id, None)
        if found is None:
            raise _no_version(game, None)
        said = Manifest.from_json(found.hosting)
        return BundleInfo(
            game_id=game_id,
            version=found.version,
            size_bytes=found.size_bytes,
            checksum=found.checksum,
            hosting=said.kind,
            has_page=said.web is not None,
        )

    @deferring
    async def stored(self, game_id: str, version: str | None = None) -> Stored:
        """The file of a version to hand out, of the latest where none is named; a yanked one is to be had by its name.

        Fails with `NotFound` for an unknown game or version, a game without one, or a file that is not here;
        with `BadState` for a game that is OFFLINE.
        """
        game, found = await self._find(game_id, version)
        if found is None:
            raise _no_version(game, version)
        if game.status != table.ONLINE:
            raise BadState(f"{game.name} is offline; choose another game")
        path = await self._defer_to_thread(self._bundles.path, game_id, found.version)
        return Stored(game_id=game_id, version=found.version, size_bytes=found.size_bytes, checksum=found.checksum, path=path)

    @deferring
    async def bundle(self, game_id: str, version: str | None = None, *, offline_too: bool = False) -> Bundle:
        """What a room of this game plays; the latest version where none is named.

        Fails with `NotFound` for an unknown game or version, and with `BadState` for a game without a version, or one that is OFFLINE
        unless `offline_too` (for rooms that played before it went OFFLINE).
        """
        game, found = await self._find(game_id, version)
        if game.status != table.ONLINE and not offline_too:
            raise BadState(f"{game.name} is offline; choose another game")
        if found is None:
            if version is None:
                raise BadState(f"{game.name} has no version yet; choose another game")
            raise _no_version(game, version)
        said = Manifest.from_json(found.hosting)
        return Bundle(
            game_id=game_id,
            version=found.version,
            name=game.name,
            status=game.status,
            min_players=said.min_players,
            max_players=min(said.max_players, game.max_players),
            hosting=said.kind,
            lockstep=dict(said.lockstep) if said.controller is None else {**said.lockstep, "turn_game": said.controller},
            engine=said.engine,
            web=said.web,
            folder=await self._unpacked(found) if said.served else None,
            server=said.server,
            service=said.service,
        )

    @deferring
    async def file(self, game_id: str, version: str, relative_path: str) -> Path:
        """A file of a bundle. Fails with `NotFound`, also for what is no file inside of the bundle's folder."""
        folder = self._folders.get((game_id, version))
        if folder is None:
            _, found = await self._find(game_id, version)
            if found is not None and Manifest.from_json(found.hosting).bundle:
                folder = await self._unpacked(found)
        if folder is not None and "\0" not in relative_path:
            # resolve() follows links too, so that none leads out. OSError: a name that no file system takes.
            with suppress(OSError):
                path = (folder / relative_path).resolve()
                if path.is_relative_to(folder) and path.is_file():
                    return path
        raise NotFound("there is no such file in this version of the game")

    async def _find(self, game_id: str, version: str | None) -> tuple[table.Game, table.Version | None]:
        _require_text(game_id, version or "")
        game, found = await self._database.interact(table.find_version, game_id, version)
        return _there(game), found

    async def _unpacked(self, version: table.Version) -> Path:
        """The folder of a bundle. It is unpacked once, whoever asks meanwhile."""
        key = (version.game_id, version.version)
        if key not in self._folders:
            waiting: Deferred[Path] = Deferred()
            others = self._unpacking.setdefault(version.checksum, [])
            others.append(waiting)
            if len(others) == 1:
                unpacking = self._unpack_in_thread(self._bundles.unpacked, *key, version.checksum)
                unpacking.addCallback(self._note, version, self._clock.seconds())
                unpacking.addBoth(self._tell, version.checksum)
            self._folders[key] = (await waiting).resolve()
        return self._folders[key]

    def _note(self, folder: Path, version: table.Version, since: float) -> Path:
        seconds = self._clock.seconds() - since
        self._log.info("{game_id} {version} is unpacked, in {seconds:.1f} s", game_id=version.game_id, version=version.version, seconds=seconds)
        return folder

    def _tell(self, outcome: Any, checksum: str) -> None:
        for waiting in self._unpacking.pop(checksum):
            waiting.callback(outcome)


def _there(found: T | None) -> T:
    if found is None:
        raise table.unknown_game()
    return found


def _require_text(*keys: str) -> None:
    """No key holds a NUL, and PostgreSQL would not take one."""
    _there(None if any("\0" in key for key in keys) else keys)


def _no_version(game: table.Game, version: str | None) -> NotFound:
    if version is None:
        return NotFound(f"{game.name} has no version yet")
    return NotFound(f"{game.name} has no version {version[: versions.LONGEST]}; LIST_GAMES names the latest")


def _list_entry(game: table.Game) -> dict[str, Any]:
    """A game of LIST_GAMES, with exactly the seed's fields."""
    return {
        "game_id": game.game_id,
        "name": game.name,
        "status": game.status,
        "latest_version": game.latest_version,
        "avg_score": game.avg_score,
    }


async def _detail_of(cursor: ICursor, game_id: str) -> dict[str, Any] | None:
    """The payload of GET_GAME_DETAIL, with exactly the seed's fields; None where there is no such game."""
    game = await table.find(cursor, game_id)
    if game is None:
        return None
    return {
        "game_id": game.game_id,
        "name": game.name,
        "description": game.description,
        "game_type": game.game_type,
        "max_players": game.max_players,
        "status": game.status,
        "latest_version": game.latest_version,
        "avg_score": game.avg_score,
        "reviews_sample": [sample(review) for review in await reviews.newest(cursor, game_id, SAMPLE)],
    }
