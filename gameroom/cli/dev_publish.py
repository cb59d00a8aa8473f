"""Brings a bundle to the developer door and publishes it, through lost connections and restarts of the server.

All that is done may be done again: an attempt finds the game that an earlier one has made, goes on with its upload,
and knows its version where only the answer to its publishing was lost.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, Literal

import attrs
import semver
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater

from gameroom.cli.dev_link import Payload, named
from gameroom.cli.dev_preview import Preview
from gameroom.cli.reacting import CannotDo
from gameroom.client.developer import DeveloperClient
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, Conflict, RateLimited
from gameroom.rules import versions

FIRST_VERSION = "0.1.0"
FIRST_WAIT, LONGEST_WAIT = 0.5, 15.0
PATIENCE = 600.0
"""Seconds without any progress after which it is given up."""

Part = Literal["major", "minor", "patch"]


@attrs.frozen(kw_only=True)
class Wish:
    """What the command line asked for."""

    game: str | None = None
    version: str | None = None
    bump: Part | None = None
    if_changed: bool = False
    dry_run: bool = False


@attrs.frozen(kw_only=True)
class Outcome:
    """What came of it."""

    game_id: str
    """Empty for a game that a dry run would make."""
    name: str
    version: str
    changed: bool
    """False where the newest version was the same, and nothing was sent."""
    is_latest: bool
    created: bool
    status: str
    sent_bytes: int


@attrs.define
class Publishing:
    """One push. Inside of `session` is a connection of who is logged in; `progress` hears of bytes there and in all, `tell` of trouble, in words."""

    found: Preview
    wish: Wish
    session: Callable[[], AbstractAsyncContextManager[DeveloperClient]]
    clock: IReactorTime
    progress: Callable[[int, int], None]
    tell: Callable[[str], None]
    jitter: Callable[[], float] = random.random
    _version: str | None = None
    _created: bool = False
    _under_way: bool = False
    """An upload was begun, so a version that is there may be ours."""
    _sent: int = 0
    _progressed: float = 0.0
    _wait: float = FIRST_WAIT

    async def carry_out(self) -> Outcome:
        """Raises the server's `GameroomError`, `CannotDo`, and `ConnectionFailed` where there was no server, or none for too long."""
        reached = False
        while True:
            try:
                async with self.session() as client:
                    if not reached:
                        reached, self._progressed = True, self.clock.seconds()
                    return await self._attempt(client)
            except (ConnectionFailed, RateLimited) as error:
                if not reached:
                    raise
                await self._wait_before_next(error)

    async def _wait_before_next(self, error: ConnectionFailed | RateLimited) -> None:
        """Ever longer, until something has moved. Raises the error where nothing has for too long."""
        wait = self._wait * (0.5 + self.jitter())
        if isinstance(error, RateLimited):
            wait = max(wait, error.retry_after)
        if self.clock.seconds() + wait > self._progressed + PATIENCE:
            raise error
        self.tell(f"{error}; trying again in {wait:.1f} s")
        self._wait = min(2 * self._wait, LONGEST_WAIT)
        await deferLater(self.clock, wait)

    async def _attempt(self, client: DeveloperClient) -> Outcome:
        game = await self._game(client)
        if game is None:
            version = self.wish.version or (self.found.entry.version if self.found.entry else FIRST_VERSION)
            return Outcome(game_id="", name=self._name(), version=version, changed=True, is_latest=True, created=True, status="OFFLINE", sent_bytes=0)
        there = await client.versions(game["game_id"], details=True)
        latest = next((each for each in there if each["is_latest"]), None)
        if self.wish.if_changed and not self._under_way and latest is not None and self._is_ours(latest):
            return self._outcome(game, latest["version"], True, changed=False)
        if self._version is None:
            self._version = chosen(self.wish, self.found, [each["version"] for each in there])
        same = next((each for each in there if _equal(each["version"], self._version)), None)
        if same is not None:
            return self._outcome(game, same["version"], same["is_latest"]) if self._under_way and self._is_ours(same) else self._refuse(same)
        if self.wish.dry_run:
            return self._outcome(game, self._version, _is_newest(self._version, latest))
        return await self._upload(client, game, self._version)

    async def _upload(self, client: DeveloperClient, game: Payload, version: str) -> Outcome:
        self._under_way = True
        before = self._sent
        begun: int | None = None

        def progress(there: int, size: int) -> None:
            nonlocal begun
            begun = there if begun is None else begun
            if there > begun:
                self._progressed, self._wait = self.clock.seconds(), FIRST_WAIT
            self._sent = before + there - begun
            self.progress(there, size)

        game_id, path = game["game_id"], self.found.packed.path
        try:
            done = await client.upload(game_id, version, path, progress=progress)
        except Conflict:
            if not await self._drop(client, game_id, version):
                raise
            done = await client.upload(game_id, version, path, progress=progress)
        now = named(await client.games(), game["game_id"]) or game
        return self._outcome(now, done.version, done.is_latest)

    async def _drop(self, client: DeveloperClient, game_id: str, version: str) -> bool:
        """Whether there was an unfinished upload of this version, which is of other files; now there is none."""
        for each in await client.uploads(game_id):
            if _equal(each["version"], version):
                self.tell(f"version {version} has an unfinished upload of other files, begun {each['begun_at']}: it is dropped for these")
                # Where it is gone by now, or being published, the next try tells.
                with suppress(BadState):
                    await client.cancel_upload(each["upload_id"])
                return True
        return False

    async def _game(self, client: DeveloperClient) -> Payload | None:
        """The game, made where it is not there; None where it would be made but for --dry-run."""
        name = self._name()
        game = named(await client.games(), name)
        if game is not None or self.wish.dry_run:
            return game
        entry = self.found.entry
        if entry is None:
            raise CannotDo(f"you have no game {name}; gameroom dev create makes it, or [game] in the bundle's game.toml")
        if name != entry.name:
            raise CannotDo(f"you have no game {name}, and game.toml speaks of {entry.name}; gameroom dev games lists those that you have")
        game_id = await client.create_game(entry.name, entry.description, entry.game_type, entry.max_players)
        self._created = True
        return {"game_id": game_id, "name": entry.name, "status": "OFFLINE"}

    def _name(self) -> str:
        if self.wish.game is not None:
            return self.wish.game
        if self.found.entry is None:
            raise CannotDo("say which game it is of, by --game; or write [game] into the bundle's game.toml")
        return self.found.entry.name

    def _is_ours(self, version: Payload) -> bool:
        return str(version["checksum"]).removeprefix("sha256:").lower() == self.found.packed.checksum

    def _refuse(self, same: Payload) -> Outcome:
        about = "with just these files" if self._is_ours(same) else "with other files"
        raise Conflict(f"version {same['version']} is uploaded already, {about}; push with --bump patch, or raise version in game.toml")

    def _outcome(self, game: Payload, version: str, is_latest: bool, *, changed: bool = True) -> Outcome:
        return Outcome(
            game_id=game["game_id"],
            name=game["name"],
            version=version,
            changed=changed,
            is_latest=is_latest,
            created=self._created,
            status=game["status"],
            sent_bytes=self._sent,
        )


def chosen(wish: Wish, found: Preview, there: list[str]) -> str:
    """The version to publish. Raises `CannotDo` where nothing says one."""
    own = found.entry.version if found.entry is not None else None
    if wish.version is not None:
        return wish.version
    if wish.bump is not None:
        return bumped(there, wish.bump) if there else own or FIRST_VERSION
    if own is None:
        raise CannotDo("say which version it is: --version, or --bump major, minor or patch")
    return own


def bumped(there: list[str], part: Part) -> str:
    """What follows the highest version that there is."""
    highest = max(there, key=lambda text: versions.parse(text).precedence)
    return str(semver.Version.parse(highest, optional_minor_and_patch=True).next_version(part))


def _equal(one: str, other: str) -> bool:
    return versions.parse(one).precedence == versions.parse(other).precedence


def _is_newest(version: str, latest: Payload | None) -> bool:
    return latest is None or versions.parse(version).rank > versions.parse(latest["version"]).rank


def to_json(outcome: Outcome, found: Preview, play_url: str) -> dict[str, Any]:
    return {
        **attrs.asdict(outcome),
        "size_bytes": found.packed.size_bytes,
        "checksum": found.packed.checksum,
        "play_url": play_url,
    }
