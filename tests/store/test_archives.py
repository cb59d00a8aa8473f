"""Reading archives piece by piece."""

from __future__ import annotations

import io
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.store import archives
from gameroom.store.archives import Archive, begins_as_zip, content
from tests.zips import LATER, archive, file


def opened(data: bytes) -> Archive:
    return Archive(io.BytesIO(data), len(data))


class ReadingTests(SynchronousTestCase):
    """What an archive holds."""

    def setUp(self) -> None:
        self.patch(archives, "PIECE", archives.PIECE)

    @settings(deadline=None)
    @given(st.binary(max_size=3000) | st.integers(0, 3000).map(bytes), st.sampled_from([0, 8]), st.booleans(), st.integers(1, 50))
    def test_any_pieces(self, data: bytes, method: int, later: bool, piece: int) -> None:
        """Whatever pieces it is read in, it holds what was packed, and no piece is longer."""
        archives.PIECE = piece  # type: ignore[misc]
        packed = opened(archive([file("first"), file("a/b", data, method=method, flags=LATER if later else 0)], large=later))
        [_, entry] = [packed.located(each) for each in packed.entries()]
        pieces = list(packed.chunks(entry))
        assert b"".join(pieces) == data
        assert all(len(each) <= piece for each in pieces)

    def test_names(self) -> None:
        """Names are found without anything else, and a name that is cut in two by a piece is found as well."""
        names = [f"file{number}".encode() for number in range(20)]
        packed = opened(archive([file(name.decode(), b"x") for name in names]))
        self.assertEqual(list(packed.names()), names)
        for piece in range(1, 60):
            archives.PIECE = piece  # type: ignore[misc]
            self.assertTrue(packed.mentions(b"file17"), piece)
            self.assertFalse(packed.mentions(b"file20"), piece)

    def test_wide_numbers(self) -> None:
        """Numbers over 32 bits are taken from their own field, in their order, and must be there."""
        wide = b"\x01\x00\x10\x00" + (100).to_bytes(8, "little") + (102).to_bytes(8, "little")
        [found] = opened(archive([file("a", b"x", size=0xFFFFFFFF, packed_size=0xFFFFFFFF, extra=b"\x55\x54\x01\x00z" + wide)])).entries()
        self.assertEqual((found.size, found.packed, found.offset), (100, 102, 0))
        [found] = opened(archive([file("a", b"x", offset=0xFFFFFFFF, extra=wide)])).entries()
        self.assertEqual((found.size, found.packed, found.offset), (1, 1, 100))
        broken = opened(archive([file("a", b"x", size=0xFFFFFFFF, extra=wide[:4])]))
        self.assertRaises(InvalidRequest, list, broken.entries())

    def test_content(self) -> None:
        """All at once, up to so many bytes."""
        packed = opened(archive([file("a", b"x" * 3000, method=8)]))
        [entry] = [packed.located(each) for each in packed.entries()]
        self.assertEqual(content(packed, entry, 3000), b"x" * 3000)
        self.assertIn("a: it is over", self.assertRaises(InvalidRequest, content, packed, entry, 2999).message)

    def test_beginnings(self) -> None:
        """What begins as a ZIP, and what does not."""
        for data in (archive([file("a")]), archive([]), b"PK\x07\x08PK\x03\x04"):
            self.assertTrue(begins_as_zip(io.BytesIO(data)))
        for data in (b"", b"PK", b"PKCS", b"\x00PK\x03\x04", Random(1).randbytes(100)):
            self.assertFalse(begins_as_zip(io.BytesIO(data)))
