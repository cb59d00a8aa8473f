"""Unpacks a bundle that was checked into a folder that nobody may write to. It blocks: call it in a thread."""

from __future__ import annotations

import os
import secrets
from errno import EEXIST, ENOTEMPTY
from pathlib import Path
from time import monotonic
from typing import BinaryIO, Final

from gameroom.rules import archive as rules
from gameroom.rules.archive import Entry
from gameroom.store.archives import Archive
from gameroom.store.folders import make_folder, remove_tree, to_disk, tree_to_disk
from gameroom.store.free_disk import DiskFull, FreeDisk, is_full

FILE, PROGRAM, FOLDER = 0o444, 0o555, 0o555
"""The modes of what is unpacked; of an archive's own only counts whether a file may be run."""

BLOCK: Final = 4096
"""What the disk keeps of each file beside its bytes, and of the last of them."""

_PROGRAMS: Final = (b"#!", b"\x7fELF")
"""How programs begin, for archives without Unix modes."""


def unpack(path: Path, folder: Path) -> None:
    """Make `folder` of the bundle `path`: whole, on the disk and read-only, or not at all.

    Others may do the same at the same time; one of them makes it.
    Raises `DiskFull` rather than use up the reserve of the disk, `OSError`, and `InvalidRequest` where the file is no good bundle any more.
    """
    make_folder(folder.parent)
    staging = folder.with_name(f".{folder.name}.{secrets.token_hex(8)}")
    staging.mkdir(mode=0o700)
    try:
        with path.open("rb") as file:
            _fill(file, staging)
        tree_to_disk(staging)
        _rename(staging, folder)
    except BaseException as error:
        remove_tree(staging)
        if isinstance(error, OSError) and is_full(error):
            raise DiskFull from error
        raise
    to_disk(folder.parent)


def _rename(staging: Path, folder: Path) -> None:
    try:
        staging.rename(folder)
    except OSError as error:
        if error.errno not in (EEXIST, ENOTEMPTY):
            raise
        remove_tree(staging)  # somebody was quicker


def _fill(file: BinaryIO, folder: Path) -> None:
    archive = Archive(file, os.fstat(file.fileno()).st_size)
    entries = list(archive.entries())
    # It was checked when it was uploaded; what stands on the disk since then is looked at again where it matters.
    rules.check(entries, len(entries) * rules.LONGEST_NAME)
    disk = FreeDisk(folder, monotonic)
    if sum(_on_disk(entry.size) for entry in entries) > disk.spare():
        raise DiskFull
    made = {folder}
    for entry in entries:
        path = folder.joinpath(*entry.name.removesuffix("/").split("/"))
        within = path if entry.is_folder else path.parent
        within.mkdir(parents=True, exist_ok=True)
        _note(within, made)
        if not entry.is_folder:
            _write(archive, archive.located(entry), path, disk)
    for each in sorted(made, reverse=True):
        each.chmod(FOLDER)


def _note(within: Path, made: set[Path]) -> None:
    """Add the folder and those above it, up to the first that is noted."""
    while within not in made:
        made.add(within)
        within = within.parent


def _on_disk(size: int) -> int:
    """About what so many bytes take there: thousands of small files need more than they have."""
    return size + BLOCK


def _write(archive: Archive, entry: Entry, path: Path, disk: FreeDisk) -> None:
    disk.require(BLOCK)
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(fd, "wb") as file:
        program = bool(entry.mode & 0o111)
        for number, piece in enumerate(archive.chunks(entry)):
            if number == 0 and not entry.mode:
                program = piece.startswith(_PROGRAMS)
            disk.require(len(piece))  # others write at the same time, and had counted on the same room
            file.write(piece)
        os.fchmod(fd, PROGRAM if program else FILE)
