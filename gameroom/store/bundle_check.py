"""Whether an uploaded file is a bundle, and a good one (docs/protocol/bundles.md). All of it blocks: call it in a thread."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gameroom.errors import InvalidRequest
from gameroom.rules import archive as rules
from gameroom.rules.archive import Entry, fault
from gameroom.rules.manifest import FILE_BYTES, JSON_BYTES, PLAIN, GameEntry, Manifest, parse
from gameroom.settings import MIB, Limits
from gameroom.store.archives import Archive, begins_as_zip, content

MANIFEST = b"game.toml"
ENTRY_BYTES = 4096
"""An entry's name and what is said beside it takes less than this in any good bundle, so that no more is read at once."""
MOST_SEARCHED = 1_000_000
"""Entries among which the manifest is looked for."""


def inspect(path: Path, limits: Limits) -> Manifest:
    """What a file says of itself, all of which was checked; `PLAIN` for one that is no bundle.

    Nothing is unpacked to the disk, and little of it is in memory. Raises `InvalidRequest` with file and reason, and `OSError`.
    """
    return examine(path, limits)[0]


def examine(path: Path, limits: Limits) -> tuple[Manifest, GameEntry | None]:
    """As `inspect`, with what `[game]` says."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if size > limits.bundle_bytes:
            raise InvalidRequest(f"the file has {size} bytes; it may have {limits.bundle_bytes} ({limits.bundle_bytes // MIB} MiB)")
        if not begins_as_zip(file):
            return PLAIN, None
        archive = Archive(file, size)
        if _has_manifest(archive):
            return _bundle(archive, size, limits)
        _check_plain(archive, size, limits)
        return PLAIN, None


def _has_manifest(archive: Archive) -> bool:
    """Whether this archive is to be a bundle."""
    if not archive.mentions(MANIFEST):
        return False
    if archive.count > MOST_SEARCHED:
        raise InvalidRequest(f"the archive has {archive.count} files; pack fewer than {MOST_SEARCHED}")
    return MANIFEST in archive.names()


def _check_plain(archive: Archive, size: int, limits: Limits) -> None:
    """Whether an archive of `size` bytes that is handed out as it is can be read; as far as we can tell, and as far as a bundle would go."""
    if archive.count > limits.bundle_files:
        return
    left, unread = limits.bundle_unpacked_bytes, size
    for entry in archive.entries():
        found = archive.located(entry)
        unread -= entry.packed
        if unread < 0:
            # Its entries share bytes. Reading the same ones for each of them could take hours, also where they unpack to nothing.
            return
        if entry.readable:
            for piece in archive.chunks(found):
                left -= len(piece)
                if left < 0:
                    return


def _bundle(archive: Archive, size: int, limits: Limits) -> tuple[Manifest, GameEntry | None]:
    """Check all of a bundle: first its directory, then what `game.toml` says, then what it really holds."""
    if archive.count > limits.bundle_files:
        raise InvalidRequest(f"the bundle has {archive.count} files; it may have {limits.bundle_files}")
    if archive.directory_bytes > limits.bundle_files * ENTRY_BYTES:
        raise InvalidRequest("the names of the bundle's files, and what is said beside them, are far too long")
    entries = list(archive.entries())
    rules.check(entries, limits.bundle_files)
    entries = [archive.located(entry) for entry in entries]
    rules.check_places(entries)
    said = _manifest(archive, entries)
    _count(archive, entries, size, limits)
    return said


def _manifest(archive: Archive, entries: Sequence[Entry]) -> tuple[Manifest, GameEntry | None]:
    files = {entry.name: entry for entry in entries if not entry.is_folder}

    def read(name: str) -> bytes:
        if name not in files:
            raise FileNotFoundError(name)
        return content(archive, files[name], JSON_BYTES)

    try:
        text = content(archive, files[MANIFEST.decode()], FILE_BYTES).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidRequest(f"game.toml: byte {error.start} is no UTF-8; save it as UTF-8") from None
    manifest, game = parse(text, read)
    for key, name in manifest.files.items():
        if name not in files:
            raise fault("game.toml", f"{key} names {name}, which is not there")
    return manifest, game


def _count(archive: Archive, entries: Sequence[Entry], packed: int, limits: Limits) -> None:
    """Unpack all of it to nowhere, and count what really comes."""
    total = 0
    for entry in entries:
        before = total
        for piece in archive.chunks(entry):
            total += len(piece)
            if total > limits.bundle_unpacked_bytes:
                most = limits.bundle_unpacked_bytes
                raise fault(entry.name, f"with it the bundle unpacks to over {most} bytes ({most // MIB} MiB), which is the limit")
            if total > rules.RATIO_FROM and total > rules.RATIO * packed:
                raise fault(entry.name, f"with it the bundle unpacks to over {rules.RATIO} times its size, as no game does")
        if entry.is_folder and total > before:
            raise fault(entry.name, "it is a folder, and holds bytes")
