"""Reads ZIP archives that nobody vouches for: nothing in them is believed, and little of them is in memory at a time.

Python's `zipfile` reads a directory of any length at once, repairs what is wrong with it, and takes the last of several ends.
Here whatever two readers could take for two different archives is damaged.
Every function blocks; call them in a thread.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import Any, BinaryIO, Final, NamedTuple

import attrs

from gameroom.errors import InvalidRequest
from gameroom.rules import archive as rules
from gameroom.rules.archive import Entry, damaged, extra_fields, fault

PIECE: Final = 256 << 10
"""Bytes that are unpacked at a time."""

_BEGINNINGS: Final = (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08", b"PK00")
_END: Final = struct.Struct("<4sHHHHIIH")
_END_64: Final = struct.Struct("<4sQHHIIQQQQ")
_LOCATOR: Final = struct.Struct("<4sIQI")
_ENTRY: Final = struct.Struct("<4sBBHHHHHIIIHHHHHII")
_HEADER: Final = struct.Struct("<4sHHHHHIIIHH")
_IN_EXTRA: Final = 0xFFFFFFFF
_ZIP64: Final = 1
_SIZES_LATER: Final = 1 << 3
_RAW_LENGTH: Final = 11
"""Which field of an entry is the length of its name; those of its extra fields and its comment come next."""


def begins_as_zip(file: BinaryIO) -> bool:
    """Whether it is a ZIP, or was to be one."""
    file.seek(0)
    return file.read(4) in _BEGINNINGS


class _Directory(NamedTuple):
    """Where an archive's directory is."""

    entries: int
    size: int
    offset: int


class Archive:
    """An archive of `size` bytes. Raises `InvalidRequest` for one that is damaged, also from its methods; and `OSError`."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._directory = self._find_directory()

    @property
    def count(self) -> int:
        """How many entries it has."""
        return self._directory.entries

    @property
    def directory_bytes(self) -> int:
        """How long its directory is."""
        return self._directory.size

    def mentions(self, name: bytes) -> bool:
        """Whether the name is anywhere in the directory, if only as a part of another one."""
        left, before = self._directory.size, b""
        self._file.seek(self._directory.offset)
        while left > 0:
            piece = self._file.read(min(left, PIECE))
            if not piece or name in before + piece:
                break
            left -= len(piece)
            before = (before + piece)[-len(name) :]
        return left > 0

    def names(self) -> Iterator[bytes]:
        """The names of its entries, of however many: no more of them is looked at."""
        return (self._file.read(fields[_RAW_LENGTH]) for fields in self._heads())

    def entries(self) -> Iterator[Entry]:
        """The directory's entries, as they stand there."""
        return (self._entry(fields) for fields in self._heads())

    def _heads(self) -> Iterator[tuple[Any, ...]]:
        """The fixed part of each entry; the file stands behind it then."""
        at, end = self._directory.offset, self._directory.offset + self._directory.size
        for _ in range(self.count):
            self._file.seek(at)
            head = self._file.read(_ENTRY.size)
            if len(head) < _ENTRY.size or at + _ENTRY.size > end or not head.startswith(b"PK\x01\x02"):
                raise damaged("its directory is broken")
            fields = _ENTRY.unpack(head)
            at += _ENTRY.size + sum(fields[_RAW_LENGTH : _RAW_LENGTH + 3])
            yield fields
        if at != end:
            raise damaged("its directory is longer than it says")

    def _entry(self, fields: tuple[Any, ...]) -> Entry:
        flags, method = fields[4:6]
        crc, packed, size, raw_length, extra_length, _, disk = fields[8:15]
        mode, offset = fields[16] >> 16, fields[17]
        raw, extra = self._file.read(raw_length), self._file.read(extra_length)
        if disk not in (0, 0xFFFF):
            raise damaged("a part of it is in another file")
        if _IN_EXTRA in (size, packed, offset):
            size, packed, offset = _wide((size, packed, offset), extra_fields(extra).get(_ZIP64, b""))
        return Entry(raw=raw, flags=flags, method=method, crc=crc, packed=packed, size=size, offset=offset, mode=mode, extra=extra)

    def located(self, entry: Entry) -> Entry:
        """The entry with the place of its data, which its header tells; what that says beside it must be the same."""
        self._file.seek(min(entry.offset, self._size))
        head = self._file.read(_HEADER.size)
        if len(head) < _HEADER.size or not head.startswith(b"PK\x03\x04"):
            raise fault(entry.name, "it is not where the directory says; the file is damaged, pack it again")
        _, _, flags, method, _, _, crc, packed, size, raw_length, extra_length = _HEADER.unpack(head)
        same = self._file.read(raw_length) == entry.raw and method == entry.method and not (flags ^ entry.flags) & 1
        if not flags & _SIZES_LATER:
            same = same and crc == entry.crc and packed in (entry.packed, _IN_EXTRA) and size in (entry.size, _IN_EXTRA)
        start = entry.offset + _HEADER.size + raw_length + extra_length
        if not same or start + entry.packed > self._directory.offset:
            raise fault(entry.name, "its header is not what the directory says; the file is damaged, pack it again")
        return attrs.evolve(entry, start=start)

    def chunks(self, entry: Entry) -> Iterator[bytes]:
        """What a located entry holds, in pieces. Raises `InvalidRequest` at its end where that is not what the directory says."""
        size = crc = 0
        for piece in self._stored(entry) if entry.method == rules.STORED else self._inflated(entry):
            size += len(piece)
            crc = zlib.crc32(piece, crc)
            yield piece
        if size != entry.size or crc != entry.crc:
            raise fault(entry.name, "what it holds is not what was packed; the file is damaged, pack it again")

    def _stored(self, entry: Entry) -> Iterator[bytes]:
        at, end = entry.start, entry.start + entry.packed
        while at < end:
            self._file.seek(at)
            piece = self._file.read(min(PIECE, end - at))
            if not piece:
                return
            at += len(piece)
            yield piece

    def _inflated(self, entry: Entry) -> Iterator[bytes]:
        inflate = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            for piece in self._stored(entry):
                if inflate.eof:
                    raise fault(entry.name, "something stands behind its end; the file is damaged, pack it again")
                yield inflate.decompress(piece, PIECE)
                while inflate.unconsumed_tail:
                    yield inflate.decompress(inflate.unconsumed_tail, PIECE)
            while not inflate.eof and (rest := inflate.decompress(b"", PIECE)):
                yield rest
        except zlib.error:
            raise fault(entry.name, "it cannot be unpacked; the file is damaged, pack it again") from None
        if not inflate.eof or inflate.unused_data:
            raise fault(entry.name, "it does not end where it should; the file is damaged, pack it again")

    # The end, from which everything else is found.

    def _find_directory(self) -> _Directory:
        place, fields = self._find_end()
        _, disk, its_disk, here, count, size, offset, _ = fields
        found, end = _Directory(count, size, offset), place
        large = self._find_end_64(place)
        if large is not None:
            wide, end, disk, its_disk, here = large
            for value, most, other in zip(found, (0xFFFF, _IN_EXTRA, _IN_EXTRA), wide, strict=True):
                if value not in (most, other):
                    raise damaged("its two ends say different things")
            found = wide
        if disk or its_disk or here != found.entries:
            raise damaged("a part of it is in another file")
        if found.offset + found.size != end:
            raise damaged("its directory is not where its end says")
        if found.size < found.entries * _ENTRY.size:
            raise damaged("its directory is shorter than it says")
        return found

    def _find_end(self) -> tuple[int, tuple[bytes, int, int, int, int, int, int, int]]:
        """The place and the fields of the end record: the only one whose comment goes to the end of the file."""
        length = min(self._size, _END.size + 0xFFFF)
        self._file.seek(self._size - length)
        tail = self._file.read(length)
        found = []
        at = tail.find(b"PK\x05\x06")
        while 0 <= at <= len(tail) - _END.size:
            fields = _END.unpack_from(tail, at)
            if at + _END.size + fields[7] == len(tail):
                found.append((self._size - length + at, fields))
            at = tail.find(b"PK\x05\x06", at + 1)
        if len(found) != 1:
            raise damaged("its end is missing" if not found else "it has two ends")
        return found[0]

    def _find_end_64(self, place: int) -> tuple[_Directory, int, int, int, int] | None:
        """The directory, its end, two disks and the entries here, as the large end record before the end has them; None where there is none."""
        at = place - _LOCATOR.size
        if at < 0:
            return None
        self._file.seek(at)
        sign, disk, end, _ = _LOCATOR.unpack(self._file.read(_LOCATOR.size))
        if sign != b"PK\x06\x07":
            return None
        self._file.seek(min(end, self._size))
        record = self._file.read(_END_64.size)
        if disk or len(record) < _END_64.size or not record.startswith(b"PK\x06\x06"):
            raise damaged("its end is broken")
        _, length, _, _, disk, its_disk, here, count, size, offset = _END_64.unpack(record)
        if end + 12 + length != at:
            raise damaged("its end is broken")
        return _Directory(count, size, offset), end, disk, its_disk, here


def _wide(values: tuple[int, ...], wide: bytes) -> list[int]:
    """Numbers, those of which are taken from the field of 64-bit ones that do not fit into 32."""
    found = []
    for value in values:
        if value == _IN_EXTRA:
            if len(wide) < 8:
                raise damaged("its directory is broken")
            value, wide = int.from_bytes(wide[:8], "little"), wide[8:]  # noqa: PLW2901
        found.append(value)
    return found


def content(archive: Archive, entry: Entry, most: int) -> bytes:
    """All that a located entry holds, `most` bytes at most. Raises `InvalidRequest`."""
    pieces, size = [], 0
    for piece in archive.chunks(entry):
        size += len(piece)
        if size > most:
            raise InvalidRequest(f"{entry.name}: it is over {most >> 10} KiB")
        pieces.append(piece)
    return b"".join(pieces)
