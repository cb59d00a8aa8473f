"""The files of the store (docs/protocol/bundles.md, How it is stored).

`uploadedGame/<game_id>/<version>/` holds `bundle.zip` or `bundle.bin` as it was uploaded, and `manifest.json` about it.
`unpacked/<checksum>/` holds a bundle's files; it can be made anew at any time.
All of it blocks: call it in a thread.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Container, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import attrs
import orjson
from twisted.logger import Logger

from gameroom.errors import InvalidRequest, NotFound
from gameroom.rules.times import rfc3339
from gameroom.store.archives import begins_as_zip
from gameroom.store.folders import make_folder, remove_tree, to_disk
from gameroom.store.unpacking import unpack

ZIP, OTHER = "bundle.zip", "bundle.bin"
MANIFEST: Final = "manifest.json"

_GAME_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9-]{0,63}")
_VERSION = re.compile(r"[A-Za-z0-9][A-Za-z0-9.+-]{0,63}")
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_NEW, _OLD = ".new-", ".old-"
_NAMED: Final = 3
"""So many are named where a line of the log is about many."""


class DamagedBundle(Exception):
    """A bundle's file is not what was uploaded any more; the message says which and what is wrong."""


@attrs.frozen(kw_only=True)
class Record:
    """What `manifest.json` says of a version."""

    game_id: str
    version: str
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    uploaded_ms: int
    developer: str
    """The username."""
    hosting: dict[str, Any]
    """`gameroom.rules.manifest.Manifest.to_json`."""

    def to_bytes(self) -> bytes:
        """As it stands in the file."""
        fields = attrs.asdict(self, recurse=False)
        fields["uploaded_at"] = rfc3339(fields.pop("uploaded_ms"))
        return orjson.dumps(fields, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE)


class BundleFiles:
    """The files of all versions, below `data`. Every method blocks and raises `OSError`."""

    _log = Logger()

    def __init__(self, data: Path) -> None:
        self._games = data / "uploadedGame"
        self._unpacked = data / "unpacked"

    def place(self, source: Path, record: Record) -> None:
        """Put a checked file in the place of its version, on the disk, in one step; one that was there before is replaced.

        `source` stays, and may share its bytes with the new file: nobody may write to it again.
        """
        final = self._folder(record.game_id, record.version)
        staging = final.with_name(_NEW + record.version)
        make_folder(final.parent)
        remove_tree(staging)
        try:
            self._fill(staging, source, record)
            self._swap(staging, final)
        except BaseException:
            remove_tree(staging)
            raise
        to_disk(final.parent)

    def _fill(self, staging: Path, source: Path, record: Record) -> None:
        staging.mkdir()
        with source.open("rb") as file:
            path = staging / (ZIP if begins_as_zip(file) else OTHER)
        try:
            os.link(source, path)
        except OSError:  # another file system, or one without links
            shutil.copyfile(source, path)
        (staging / MANIFEST).write_bytes(record.to_bytes())
        for each in (path, staging / MANIFEST, staging):
            to_disk(each)

    def _swap(self, staging: Path, final: Path) -> None:
        # A folder that is not empty cannot be renamed over. What is there is a crash's, or a built-in game's at start-up: nobody reads it.
        old = final.with_name(_OLD + final.name)
        remove_tree(old)
        with suppress(FileNotFoundError):
            final.rename(old)
        staging.rename(final)
        remove_tree(old)

    def remove(self, game_id: str, version: str) -> None:
        """Remove a version's files; none is fine."""
        remove_tree(self._folder(game_id, version))

    def path(self, game_id: str, version: str) -> Path:
        """The file as it was uploaded; raises `NotFound` where it is not here."""
        folder = self._folder(game_id, version)
        for name in (ZIP, OTHER):
            if (folder / name).is_file():
                return folder / name
        raise NotFound("the file of this version is not on this server; tell its operator")

    def unpacked(self, game_id: str, version: str, checksum: str) -> Path:
        """The folder with the bundle's files, read-only; it is made where it is not there.

        Raises `NotFound` where the bundle is not here, `DiskFull` where it cannot be unpacked now, and `DamagedBundle`.
        """
        if not _CHECKSUM.fullmatch(checksum):
            raise ValueError(f"{checksum!a} is no checksum")
        folder = self._unpacked / checksum
        if not folder.is_dir():
            path = self.path(game_id, version)
            try:
                unpack(path, folder)
            except InvalidRequest as error:
                raise DamagedBundle(f"{path}: {error.message}") from error
        return folder

    def reconcile(self, known: Mapping[tuple[str, str], str], games: Container[str]) -> None:
        """At start-up: remove what a crash left.

        `known` are the versions in the database with their checksums, and `games` all games there: of those other versions are removed.
        The folder of an unknown game is left alone, since it may be another database that knows it.
        """
        strangers = []
        for folder in _folders(self._games):
            if folder.name not in games:
                strangers.append(folder.name)
                continue
            for version in list(folder.iterdir()):
                if (folder.name, version.name) not in known:
                    self._log.info("{path} is left from an upload that was not finished; it is removed", path=str(version))
                    remove_tree(version) if version.is_dir() and not version.is_symlink() else version.unlink()
            with suppress(OSError):  # it is not empty
                folder.rmdir()
        checksums = set(known.values())
        for folder in _folders(self._unpacked):
            if folder.name not in checksums:
                remove_tree(folder)
        self._tell(strangers, known)

    def _tell(self, strangers: list[str], known: Mapping[tuple[str, str], str]) -> None:
        missing = []
        for game_id, version in known:
            try:
                self.path(game_id, version)
            except NotFound:
                missing.append(f"{game_id} {version}")
        if strangers:
            self._log.warn(
                "{count} games in {path} are not in the database, and left alone ({names}): is it the right database?",
                count=len(strangers),
                path=str(self._games),
                names=_some(strangers),
            )
        if missing:
            self._log.error(
                "{count} versions are in the database and not in {path} ({names}): they can be neither played nor downloaded",
                count=len(missing),
                path=str(self._games),
                names=_some(missing),
            )

    def _folder(self, game_id: str, version: str) -> Path:
        """A version's folder; raises `NotFound` for names that are none of ours."""
        if not _GAME_ID.fullmatch(game_id) or not _VERSION.fullmatch(version):
            raise NotFound("there is no such version")
        return self._games / game_id / version


def _folders(folder: Path) -> Iterator[Path]:
    with suppress(FileNotFoundError):
        yield from [path for path in folder.iterdir() if path.is_dir() and not path.is_symlink()]


def _some(names: list[str]) -> str:
    return ", ".join(names[:_NAMED]) + (", …" if len(names) > _NAMED else "")
