"""The files of updates and their answers."""

from __future__ import annotations

from io import BytesIO

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.update_file import MOST_BYTES, pair_to_bytes, pairs_from, pairs_from_bytes

PAIRS = st.lists(st.tuples(st.binary(min_size=1, max_size=40), st.binary(max_size=40)), max_size=6)


class UpdateFileTests(SynchronousTestCase):
    @given(PAIRS)
    def test_what_is_appended_is_read(self, pairs: list[tuple[bytes, bytes]]) -> None:
        self.assertEqual(list(pairs_from_bytes(b"".join(pair_to_bytes(*each) for each in pairs))), pairs)

    @given(PAIRS, st.integers(min_value=0))
    def test_a_torn_end_takes_nothing_but_its_own_pair(self, pairs: list[tuple[bytes, bytes]], cut: int) -> None:
        written = [pair_to_bytes(*each) for each in pairs]
        data = b"".join(written)
        cut = cut % (len(data) + 1)
        whole, ends = 0, 0
        for each in written:
            ends += len(each)
            whole += ends <= cut
        self.assertEqual(list(pairs_from_bytes(data[:cut])), pairs[:whole])

    @given(st.binary(max_size=200))
    def test_any_bytes_at_all_are_pairs_or_told(self, data: bytes) -> None:
        try:
            for update, _ in pairs_from_bytes(data):
                self.assertTrue(update)
        except InvalidRequest as error:
            self.assertIn("no file of updates: at byte", error.message)

    def test_two_files_put_together_are_a_file(self) -> None:
        data = pair_to_bytes(b"a", b"b") + pair_to_bytes(b"c")
        self.assertEqual(list(pairs_from(BytesIO(data).read)), [(b"a", b"b"), (b"c", b"")])

    def test_something_else_is_told_behind_the_pairs_before_it(self) -> None:
        pairs = pairs_from_bytes(pair_to_bytes(b"a", b"b") + b"This is a text.")
        self.assertEqual(next(pairs), (b"a", b"b"))
        with self.assertRaises(InvalidRequest) as caught:
            next(pairs)
        self.assertEqual(caught.exception.message, "no file of updates: at byte 10 there is a length of 1416128883, and 16777216 is the most")

    def test_what_no_reader_would_take_is_not_written(self) -> None:
        for update, state in [(b"", b"a"), (bytes(MOST_BYTES + 1), b""), (b"a", bytes(MOST_BYTES + 1))]:
            with self.assertRaises(ValueError):
                pair_to_bytes(update, state)
