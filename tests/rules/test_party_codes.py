"""Party codes."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import NotFound
from gameroom.rules import party_codes


class PartyCodeTests(SynchronousTestCase):
    def test_drawn(self) -> None:
        """Six characters of the alphabet, none of them rude, and all characters come."""
        codes = [party_codes.draw(os.urandom) for _ in range(2000)]
        self.assertEqual({character for code in codes for character in code}, set(party_codes.ALPHABET))
        self.assertEqual({len(code) for code in codes}, {6})
        self.assertFalse([code for code in codes for word in party_codes.RUDE if word in code])

    def test_rude_codes_are_drawn_again(self) -> None:
        """What reads as something rude is not given out."""
        wanted = [party_codes.ALPHABET.index(character) for character in "FCKBCD"]
        draws = iter([bytes(wanted * 2), bytes([0] * 12)])
        self.assertEqual(party_codes.draw(lambda n: next(draws)), "BBBBBB")

    def test_typed(self) -> None:
        """A code may be typed in small letters, with spaces and hyphens."""
        self.assertEqual(party_codes.canonical(" bcd-fgh "), "BCDFGH")

    @given(st.text(max_size=12))
    def test_garbage(self, typed: str) -> None:
        """What cannot be a code is no party's; nothing else is raised."""
        try:
            code = party_codes.canonical(typed)
        except NotFound:
            return
        self.assertEqual(len(code), 6)
