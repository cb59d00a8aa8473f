"""A folder as the ZIP that is uploaded: the same bytes for the same files, on each machine.

The files are in the order of their names, their times are all 1980, their modes 644 or 755, and what is compressed already is stored.
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
import unicodedata
import zipfile
from collections.abc import Iterator
from pathlib import Path
from shutil import copyfileobj

import attrs

from gameroom.cli.dev_ignore import FILE, Pattern, leaves_out, read

LONG_AGO = (1980, 1, 1, 0, 0, 0)
UNIX = 3
PIECE = 1 << 20
STORED = frozenset(
    (
        *("7z", "br", "bz2", "gz", "rar", "xz", "zip", "zst"),
        *("avif", "gif", "jpeg", "jpg", "png", "webp", "woff", "woff2"),
        *("flac", "m4a", "mp3", "mp4", "oga", "ogg", "ogv", "opus", "webm"),
    )
)
"""Names of files that deflate only costs time end so."""

_PRIVATE_KEY = re.compile(rb"\s*-----BEGIN [A-Z0-9 ]*PRIVATE KEY(?: BLOCK)?-----")
_KEY_BEGINS = 128


class CannotPack(Exception):
    """The folder cannot be packed; one line that says which file and why."""


@attrs.frozen
class Entry:
    """A file of the folder, and its name in the bundle."""

    name: str
    path: Path
    size: int
    executable: bool


@attrs.frozen(kw_only=True)
class Packed:
    """What was packed, or would be sent as it is."""

    path: Path
    size_bytes: int
    checksum: str
    """SHA-256, 64 hex digits."""
    left_out: tuple[str, ...] = ()
    """What of the folder is not in it; folders end with a slash."""


def pack(folder: Path, target: Path) -> Packed:
    """Write the folder's bundle to `target`, which is outside of it. Raises `CannotPack`."""
    left_out: list[str] = []
    if not (folder / "game.toml").is_file():
        raise CannotPack(f"{folder}: there is no game.toml in it, which says how the game is hosted; gameroom dev init begins a game")
    try:
        entries = sorted(_entries(folder, left_out), key=lambda entry: entry.name.encode())
        _refuse_keys(folder, entries)
        with zipfile.ZipFile(target, "w") as archive:
            for entry in entries:
                _write(archive, entry)
    except OSError as error:
        raise CannotPack(f"{error.filename or folder}: {error.strerror or error}") from error
    return described(target, tuple(sorted(left_out)))


def described(path: Path, left_out: tuple[str, ...] = ()) -> Packed:
    """The size and the SHA-256 of a file. Raises `CannotPack`."""
    try:
        with path.open("rb") as file:
            checksum = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
    except OSError as error:
        raise CannotPack(f"{path}: {error.strerror or error}") from error
    return Packed(path=path, size_bytes=size, checksum=checksum, left_out=left_out)


def _patterns(folder: Path) -> tuple[Pattern, ...]:
    try:
        return read((folder / FILE).read_text("utf-8"))
    except FileNotFoundError:
        return read("")
    except UnicodeDecodeError:
        raise CannotPack(f"{folder / FILE}: is no UTF-8 text") from None


def _entries(folder: Path, left_out: list[str]) -> Iterator[Entry]:
    """The files that go in; what does not is noted in `left_out`."""
    patterns = _patterns(folder)
    waiting = [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        for found in os.scandir(place):
            name = prefix + _plain(found, place)
            is_folder = found.is_dir(follow_symlinks=False)
            if name == FILE:
                continue
            if leaves_out(patterns, name, is_folder):
                left_out.append(name + "/" * is_folder)
            elif is_folder:
                waiting.append((Path(found.path), f"{name}/"))
            else:
                yield _entry(found, name)


def _plain(found: os.DirEntry[str], place: Path) -> str:
    """The name in the form that is the same everywhere; some file systems take letters apart from their accents."""
    try:
        return unicodedata.normalize("NFC", found.name.encode().decode())
    except UnicodeError:
        raise CannotPack(f"{place}: the name of {found.name!a} is no UTF-8; rename it, or leave it out by {FILE}") from None


def _entry(found: os.DirEntry[str], name: str) -> Entry:
    if found.is_symlink():
        raise CannotPack(f"{name} is a link, and a bundle holds files only; put a copy there, or leave it out by {FILE}")
    status = found.stat()
    if not stat.S_ISREG(status.st_mode):
        raise CannotPack(f"{name} is no plain file; leave it out by {FILE}")
    return Entry(name, Path(found.path), status.st_size, bool(status.st_mode & stat.S_IXUSR))


def _refuse_keys(folder: Path, entries: list[Entry]) -> None:
    """Nobody publishes a private key on purpose, unless a line with `!` says so."""
    patterns = _patterns(folder)
    for entry in entries:
        meant = any(pattern.takes_in and pattern.matches(entry.name, False) for pattern in patterns)
        if not meant and _is_private_key(entry.path):
            raise CannotPack(f"{entry.name} is a private key, which everybody who downloads the game could read; leave it out by {FILE}")


def _is_private_key(path: Path) -> bool:
    """Whether it is one that ssh, TLS or PGP tools have written."""
    with path.open("rb") as file:
        return _PRIVATE_KEY.match(file.read(_KEY_BEGINS)) is not None


def _write(archive: zipfile.ZipFile, entry: Entry) -> None:
    info = zipfile.ZipInfo(entry.name, LONG_AGO)
    info.create_system = UNIX
    info.external_attr = (stat.S_IFREG | (0o755 if entry.executable else 0o644)) << 16
    info.compress_type = zipfile.ZIP_STORED if entry.path.suffix.lower().removeprefix(".") in STORED else zipfile.ZIP_DEFLATED
    info.file_size = entry.size
    with entry.path.open("rb") as source, archive.open(info, "w") as target:
        copyfileobj(source, target, PIECE)


def fingerprint(source: Path) -> object:
    """What is another one where a file of the folder (or the file) has changed. A folder that cannot be read now has one, too."""
    try:
        entries = list(_entries(source, [])) if source.is_dir() else [Entry(source.name, source, 0, False)]
        return frozenset((entry.name, entry.executable, status.st_size, status.st_mtime_ns) for entry in entries for status in [entry.path.stat()])
    except (CannotPack, OSError) as error:
        return str(error)
