"""gameroom.rules.transfer: what an upload accepts. Histories of uploads are in tests/test_uploads_machine.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, ChunkOutOfOrder, InvalidRequest
from gameroom.rules import transfer
from gameroom.rules.transfer import LARGEST_CHUNK, State

DIGEST = "0123456789abcdef" * 4


class TransferTests(SynchronousTestCase):
    def refused(self, kind: type[Exception], rule: Callable[..., Any], *args: Any) -> Any:
        return self.assertRaises(kind, rule, *args)

    def test_suggested_chunk(self) -> None:
        """4096 unless asked for; a larger wish than may be is answered what may be; none is below 1."""
        self.assertEqual(
            [transfer.suggested_chunk(wanted) for wanted in (None, 1, 65536, 262_144, 262_145, 1 << 40)], [4096, 1, 65536, *[262_144] * 3]
        )
        for wanted in (0, -1):
            self.assertEqual(self.refused(InvalidRequest, transfer.suggested_chunk, wanted).pointer, "/chunk_size")

    def test_checksum(self) -> None:
        """With or without its prefix and in any case it is the same; it may be left out; anything else is refused."""
        for text in (DIGEST, "sha256:" + DIGEST, DIGEST.upper(), "SHA256:" + DIGEST.upper()):
            self.assertEqual(transfer.declared_checksum(text), DIGEST)
        self.assertEqual(transfer.declared_checksum(None), "")
        for text in (
            "",
            "sha256:",
            DIGEST[:-1],
            DIGEST + "0",
            DIGEST[:-1] + "g",
            "md5:" + DIGEST,
            DIGEST + "\n",
            " " + DIGEST,
            "sha256:sha256:" + DIGEST,
        ):
            self.refused(InvalidRequest, transfer.declared_checksum, text)

    def test_size(self) -> None:
        """From 1 byte to what the server allows, which the message names."""
        transfer.check_size(1, 10)
        transfer.check_size(10, 10)
        for size in (0, -1, 11):
            self.refused(InvalidRequest, transfer.check_size, size, 10)
        self.assertIn("at most 10 ", self.refused(InvalidRequest, transfer.check_size, 11, 10).message)

    def test_chunk_size(self) -> None:
        """1 to 262,144 bytes."""
        transfer.check_chunk(1)
        transfer.check_chunk(LARGEST_CHUNK)
        for length in (0, LARGEST_CHUNK + 1):
            self.refused(InvalidRequest, transfer.check_chunk, length)

    def test_next(self) -> None:
        """The next chunk is written, up to the last byte that was declared."""
        self.assertTrue(transfer.is_next(0, 10, 0, 0, 10))
        self.assertTrue(transfer.is_next(3, 1, 3, 9, 10))

    def test_repeated(self) -> None:
        """Any chunk before it is compared, whatever its length, also once all bytes are there."""
        for seq in range(3):
            self.assertFalse(transfer.is_next(seq, 100, 3, 10, 10))

    def test_out_of_order(self) -> None:
        """Any other is 120, with the number of the next one; also where it would be past the end."""
        for seq in (4, 1 << 62, -1):
            error = self.refused(ChunkOutOfOrder, transfer.is_next, seq, 100, 3, 9, 10)
            self.assertEqual(error.payload, {"expected_seq": 3})

    def test_past_the_end(self) -> None:
        """One byte more than was declared is 105, and the message says how many."""
        for args in ((3, 2, 3, 9, 10), (3, 1, 3, 10, 10)):
            self.assertIn(" 1 bytes past the 10 ", self.refused(BadState, transfer.is_next, *args).message)

    def test_states(self) -> None:
        """Only one that is open takes anything; the others say why not."""
        transfer.require_open(State.OPEN)
        self.assertIn("UPLOAD_END", self.refused(BadState, transfer.require_open, State.FINISHING).message)
        self.assertIn("UPLOAD_BEGIN", self.refused(BadState, transfer.require_open, State.GONE).message)

    def test_whole(self) -> None:
        """END wants all bytes."""
        transfer.require_whole(10, 10)
        self.assertIn("9 of 10", self.refused(BadState, transfer.require_whole, 9, 10).message)

    def test_resume(self) -> None:
        """The same size and checksum mean the same upload; a checksum that was not declared is another than one that was."""
        self.assertTrue(transfer.may_resume((10, DIGEST), (10, DIGEST)))
        self.assertTrue(transfer.may_resume((10, ""), (10, "")))
        for asked in ((11, DIGEST), (10, ""), (10, "f" * 64)):
            self.assertFalse(transfer.may_resume((10, DIGEST), asked))
