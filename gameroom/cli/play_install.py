"""Downloads a version of a game, checks it and unpacks it: `<version>.part` becomes the folder `<version>`."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import attrs

from gameroom.cli.play_link import Link
from gameroom.cli.play_places import Place, Record, place_of
from gameroom.cli.progress import Bar
from gameroom.cli.reacting import CannotDo
from gameroom.client.download import Downloaded
from gameroom.client.lobby import LobbyClient
from gameroom.errors import InvalidRequest
from gameroom.settings import GIB, Limits
from gameroom.store.archives import begins_as_zip
from gameroom.store.bundle_check import inspect
from gameroom.store.folders import remove_tree
from gameroom.store.unpacking import unpack

UNPACKED_BYTES: Final = 4 * GIB
UNPACKED_FILES: Final = 100_000
"""What a bundle may come to here; servers allow less, unless their operators say otherwise."""


@attrs.frozen
class Installed:
    """A version that is there."""

    place: Place
    record: Record
    new: bool
    """Whether it was downloaded just now."""

    def to_json(self) -> dict[str, Any]:
        about = attrs.asdict(self.record)
        del about["allowed"]
        return {**about, "folder": str(self.place.folder), "new": self.new}


async def install(
    link: Link,
    client: LobbyClient,
    *,
    reactor: Any,
    game: Mapping[str, Any],
    version: str | None,
    downloads: Path,
    bar: Bar | None = None,
) -> Installed:
    """Have a version (the latest, where none is named) of a game below `downloads`. What is there is not brought again.

    Raises what the server refuses, `ConnectionFailed`, and `CannotDo` for what the disk or the bundle refuses.
    """
    game_id, name = str(game["game_id"]), str(game["name"])
    if version is None:
        version = str((await client.latest_version(game_id))["version"])
    try:
        place = place_of(downloads, link.who().username, game_id, name, version)
        there = place.installed(game_id, version)
        if there is not None:
            return Installed(place, there, False)
        downloaded = await client.download(game_id, place.part, version=version, progress=None if bar is None else bar.at)
        record = await link.world.in_thread(reactor, settle, place, downloaded, game_id, name, link.key)
    except OSError as error:
        raise CannotDo(f"{error.filename or downloads}: {error.strerror or error}") from None
    return Installed(place, record, True)


def settle(place: Place, downloaded: Downloaded, game_id: str, game: str, server: str) -> Record:
    """Make the version's folder of its part; blocks. Nothing is unpacked before all of it was checked.

    Raises OSError, and `CannotDo` for a bundle that is none.
    """
    staging = place.folder.with_name(f".{place.folder.name}.new")
    remove_tree(staging)
    try:
        manifest = inspect(place.part, _limits(downloaded.size_bytes))
        if manifest.bundle:
            unpack(place.part, staging)
            _loosen(staging)
        else:
            staging.mkdir()
            os.link(place.part, staging / _plain_name(place.part))
    except InvalidRequest as error:
        place.part.unlink(missing_ok=True)
        raise CannotDo(f"what was downloaded is no good bundle, so it is not unpacked: {error.message}") from None
    record = Record(
        game_id=game_id,
        game=game,
        version=downloaded.version,
        checksum=downloaded.checksum,
        size_bytes=downloaded.size_bytes,
        server=server,
        kind=manifest.kind,
        bundle=manifest.bundle,
        command=manifest.command,
    )
    _put_aside(place.folder)
    record.write(place.record)
    staging.rename(place.folder)
    place.part.unlink(missing_ok=True)
    return record


def _limits(size_bytes: int) -> Limits:
    return Limits(bundle_bytes=size_bytes, bundle_unpacked_bytes=UNPACKED_BYTES, bundle_files=UNPACKED_FILES)


def _plain_name(part: Path) -> str:
    with part.open("rb") as file:
        return "bundle.zip" if begins_as_zip(file) else "bundle.bin"


def _loosen(folder: Path) -> None:
    """It is the player's own: it may be changed and removed."""
    for within, _, names in os.walk(folder):
        os.chmod(within, 0o755)
        for name in names:
            path = os.path.join(within, name)
            os.chmod(path, os.lstat(path).st_mode & 0o777 | 0o200)


def _put_aside(folder: Path) -> None:
    """What is there of another server, or of nobody, stays under another name."""
    if not os.path.lexists(folder):
        return
    number = 1
    while os.path.lexists(aside := folder.with_name(f"{folder.name}.old{number}")):
        number += 1
    folder.rename(aside)
