"""Where downloads go."""

from __future__ import annotations

from pathlib import Path

import hypothesis.strategies as st
from hypothesis import given
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_places import Place, Record, place_of, safe

RECORD = Record(game_id="id-1", game="Dots", version="1.0.0", checksum="ab", size_bytes=3, server="a:7000", kind="relay", bundle=False)


class SafeTests(SynchronousTestCase):
    def test_names(self) -> None:
        """As they are where they may be."""
        for name, expected in (
            ("Wet Paint", "Wet Paint"),
            ("Ähre 2.0", "Ähre 2.0"),
            ("../../etc/passwd", "_._.._etc_passwd"),
            ("..", "_"),
            (".", "_"),
            ("", "_"),
            ("   ", "_"),
            (".bashrc", "_bashrc"),
            ('a/b\\c:d*e?f"g<h>i|j', "a_b_c_d_e_f_g_h_i_j"),
            ("CON", "_CON"),
            ("nul.txt", "_nul.txt"),
            ("com1", "_com1"),
            ("trailing. . ", "trailing"),
            ("a\nb\x00c\x1bd\u202ee", "a_b_c_d_e"),
            ("e\u0301", "é"),
        ):
            self.assertEqual(safe(name), expected, repr(name))

    @given(st.text())
    def test_any_text(self, text: str) -> None:
        """One part of a path, never empty, hidden or long, and safe once more is the same."""
        name = safe(text)
        self.assertEqual(Path("a", name).parts, ("a", name))
        self.assertTrue(0 < len(name.encode()) <= 104)
        self.assertFalse(name.startswith(".") or name.endswith((".", " ")))
        self.assertEqual(safe(name), name)


class PlaceTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.downloads = Path(self.mktemp())

    def test_the_layout(self) -> None:
        """As clients of the first protocol have it."""
        place = place_of(self.downloads, "ann", "id-1", "Dots", "1.0.0")
        folder = self.downloads / "ann" / "Dots"
        self.assertEqual(place, Place(folder / "1.0.0", folder / "1.0.0.part", folder / "1.0.0.json"))

    def test_games_of_the_same_name(self) -> None:
        """Each keeps a folder of its own."""
        first = place_of(self.downloads, "ann", "id-1", "Dots", "1.0.0")
        second = place_of(self.downloads, "ann", "0f3acb12-77", "Dots", "1.0.0")
        third = place_of(self.downloads, "ann", "0f3acb12-88", "Dots", "1.0.0")
        self.assertEqual([place.folder.parent.name for place in (second, third)], ["Dots 0f3acb12", "Dots 0f3acb12-88"])
        for game_id, place in (("id-1", first), ("0f3acb12-77", second), ("0f3acb12-88", third)):
            self.assertEqual(place_of(self.downloads, "ann", game_id, "Dots", "1.0.0"), place)

    def test_nothing_leads_elsewhere(self) -> None:
        place = place_of(self.downloads, "..", "../..", "../../x", "../1")
        self.assertIn(self.downloads.resolve(), place.folder.resolve().parents)
        self.assertEqual(len(place.folder.relative_to(self.downloads).parts), 3)

    def test_installed(self) -> None:
        """What is there is known by its record and its folder; one of them alone, or of something else, is nothing."""
        place = place_of(self.downloads, "ann", "id-1", "Dots", "1.0.0")
        RECORD.write(place.record)
        self.assertIsNone(place.installed("id-1", "1.0.0"))
        place.folder.mkdir()
        self.assertEqual(place.installed("id-1", "1.0.0"), RECORD)
        self.assertIsNone(place.installed("id-2", "1.0.0"))
        self.assertIsNone(place.installed("id-1", "1.0.1"))
        for text in ("", "[]", "{}", '{"game_id": 1}'):
            place.record.write_text(text)
            self.assertIsNone(place.installed("id-1", "1.0.0"), text)
