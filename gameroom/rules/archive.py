"""What the entries of a bundle's archive may be (docs/protocol/bundles.md).

Only the list of entries is looked at here, as the archive's directory has it; what they hold is counted while it is unpacked.
"""

from __future__ import annotations

import stat
import struct
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Final
from zlib import crc32

import attrs

from gameroom.errors import InvalidRequest

STORED, DEFLATED = 0, 8
RATIO: Final = 200
"""A bundle may unpack to so many times its size, once it is more than `RATIO_FROM` bytes."""
RATIO_FROM: Final = 10 << 20
LONGEST_PART: Final = 255
LONGEST_NAME: Final = 1024
"""Both in bytes of UTF-8: what every file system takes."""
LONGEST_EXTRA: Final = 2048
"""Bytes of an entry's extra fields; no tool writes so many."""

_ENCRYPTED: Final = 1 | 1 << 6 | 1 << 13
_PATCH: Final = 1 << 5
_UNICODE_NAME: Final = 0x7075
_SHOWN: Final = 100
_BREAKS: Final = frozenset({"Cc", "Cs", "Zl", "Zp"})
_OVERRIDES: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@attrs.frozen(kw_only=True)
class Entry:
    """An entry of an archive's directory."""

    raw: bytes
    """Its name as it stands there."""
    flags: int = 0
    method: int = STORED
    crc: int = 0
    packed: int = 0
    size: int = 0
    """Both in bytes, as the directory claims."""
    offset: int = 0
    """Where its header begins."""
    start: int = 0
    """Where its data begins; its header says that."""
    mode: int = 0
    """Its Unix mode; 0 where it has none."""
    extra: bytes = b""

    @property
    def name(self) -> str:
        """Its name; `check` has seen that it is one."""
        return self.raw.decode("utf-8", "backslashreplace")

    @property
    def is_folder(self) -> bool:
        return self.raw.endswith(b"/")

    @property
    def encrypted(self) -> bool:
        return bool(self.flags & _ENCRYPTED)

    @property
    def readable(self) -> bool:
        """Whether it is packed in a way that we can unpack."""
        return self.method in (STORED, DEFLATED) and not self.flags & (_ENCRYPTED | _PATCH)


def damaged(reason: str) -> InvalidRequest:
    """What is said of a file that begins as a ZIP and is none."""
    return InvalidRequest(f"the file begins as a ZIP and is damaged: {reason}; pack it again")


def fault(name: str, reason: str) -> InvalidRequest:
    """What is said of an entry; its name may hold anything."""
    shown = name if len(name) <= _SHOWN else f"{name[:_SHOWN]}…"
    shown = "".join(char if char.isprintable() else char.encode("unicode_escape", "surrogatepass").decode() for char in shown)
    return InvalidRequest(f"{shown}: {reason}")


def check(entries: Sequence[Entry], most: int) -> None:
    """Whether these entries, `most` files and folders at most, can be unpacked anywhere without harm. Raises `InvalidRequest`."""
    if len(entries) > most:
        raise InvalidRequest(f"the bundle has {len(entries)} files; it may have {most}")
    for entry in entries:
        _check_name(entry)
        _check_kind(entry)
    _check_twins(entries, most)


def check_places(entries: Iterable[Entry]) -> None:
    """Whether no two share bytes, as in an archive that is made to unpack to far more than it is. Raises `InvalidRequest`."""
    before: Entry | None = None
    for entry in sorted(entries, key=lambda each: each.offset):
        if before is not None and before.start + before.packed > entry.offset:
            raise fault(entry.name, f"its bytes are also those of {before.name[:_SHOWN]!a}; pack the bundle again")
        before = entry


def _check_name(entry: Entry) -> None:
    name = entry.name
    try:
        entry.raw.decode("utf-8")
    except UnicodeDecodeError:
        raise fault(name, "its name is not UTF-8; pack it with a tool that writes UTF-8 names") from None
    if reason := _name_fault(name):
        raise fault(name, reason)
    if len(entry.extra) > LONGEST_EXTRA:
        raise fault(name, f"its extra fields are over {LONGEST_EXTRA} bytes; pack it with another tool")
    if (other := _other_name(entry)) is not None and other != entry.raw:
        raise fault(name, f"it has two names; the other one is {other.decode('utf-8', 'replace')[:_SHOWN]!a}")


def _name_fault(name: str) -> str | None:
    """Why a path may not be unpacked; None for a good one."""
    if not name:
        return "an entry has no name"
    plain = name.isascii() and name.isprintable()
    if not plain and any(unicodedata.category(char) in _BREAKS or char in _OVERRIDES for char in name):
        return "its name has a control character; rename it"
    for sign, reason in _SIGNS.items():
        if sign in name:
            return reason
    return _path_fault(name)


_SIGNS: Final = {
    "\\": "its name has a backslash; folders are parted by / in a ZIP",
    ":": "its name has a colon, which is a drive or a stream on some systems; rename it",
}


def _path_fault(name: str) -> str | None:
    if name.startswith("/"):
        return "its name is absolute; names are relative to the bundle's root"
    parts = name.removesuffix("/").split("/")
    if ".." in parts:
        return "its name leads out of the bundle"
    if any(not part.rstrip(". ") for part in parts):
        return "a part of its name is empty, or dots and spaces alone; rename it"
    if len(name.encode()) > LONGEST_NAME or any(len(part.encode()) > LONGEST_PART for part in parts):
        return f"its name is too long; up to {LONGEST_PART} bytes each part, {LONGEST_NAME} in all"
    return None


def _other_name(entry: Entry) -> bytes | None:
    """The name that some tools take instead, where it is meant for this one."""
    if _UNICODE_NAME.to_bytes(2, "little") not in entry.extra:
        return None
    data = extra_fields(entry.extra).get(_UNICODE_NAME, b"")
    if len(data) < 5 or data[0] != 1 or int.from_bytes(data[1:5], "little") != crc32(entry.raw):
        return None
    return data[5:]


def extra_fields(extra: bytes) -> Mapping[int, bytes]:
    """An entry's extra fields by their number, the first of each; what is cut off, or far too long, is left out."""
    extra = extra[:LONGEST_EXTRA]
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(extra):
        number, length = struct.unpack_from("<HH", extra, at)
        at += 4 + length
        if at <= len(extra):
            found.setdefault(number, extra[at - length : at])
    return MappingProxyType(found)


def _check_kind(entry: Entry) -> None:
    kind = stat.S_IFMT(entry.mode)
    if kind == stat.S_IFLNK:
        raise fault(entry.name, "it is a link; a bundle has files and folders alone")
    if kind not in (0, stat.S_IFDIR if entry.is_folder else stat.S_IFREG):
        raise fault(entry.name, "it is a device, or something else that is neither file nor folder")
    if entry.encrypted:
        raise fault(entry.name, "it is encrypted; pack it without a password")
    if not entry.readable:
        raise fault(entry.name, f"it is compressed by method {entry.method}; only store and deflate are taken")


def _check_twins(entries: Iterable[Entry], most: int) -> None:
    """Whether all names are different ones everywhere: also without regard to case and to how Unicode is written."""
    files: set[str] = set()
    said: set[str] = set()
    folders: set[str] = set()
    for entry in entries:
        same = said if entry.is_folder else files
        if entry.name in same:
            raise fault(entry.name, "it is there twice")
        same.add(entry.name)
        _add_above(entry.name, folders)
        if len(folders) > most:
            raise InvalidRequest(f"the bundle has more than {most} folders; it may have {most}")
    seen: dict[str, str] = {}
    for name in sorted(files | folders):
        if name in files and name in folders:
            raise fault(name, "it is a file and a folder too")
        twin = seen.setdefault(_folded(name), name)
        if twin != name:
            raise fault(name, f"some systems cannot tell it from {twin[:_SHOWN]!a}; rename one")


def _add_above(name: str, folders: set[str]) -> None:
    """Add the folders that there must be for an entry."""
    above = name.rpartition("/")[0]
    while above and above not in folders:
        folders.add(above)
        above = above.rpartition("/")[0]


def _folded(name: str) -> str:
    """The same for all names that some file system takes for one."""
    parts = (part.rstrip(". ") for part in name.split("/"))
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", "/".join(parts)).casefold())
