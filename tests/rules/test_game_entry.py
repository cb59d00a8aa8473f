"""What a developer may say of a game."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules import game_entry


class GameEntryTests(SynchronousTestCase):
    def refused(self, check: Callable[[Any], Any], *values: Any) -> None:
        for value in values:
            with self.assertRaises(InvalidRequest) as caught:
                check(value)
            self.assertEqual(f"/{check.__name__}", caught.exception.pointer, value)

    def test_name(self) -> None:
        """1 to 64 characters that can be seen, of any script, trimmed; none that changes how a list is read."""
        for good in ("x", "y" * 64, "五目並べ", "Dots & Boxes: The Return!"):
            self.assertEqual(good, game_entry.name(good))
        self.assertEqual("Dots", game_entry.name("  Dots "))
        self.refused(game_entry.name, "", " ", "y" * 65, "a\nb", "a\0b", "a\x1b[31m", "a\u202eb", "a\u2066b", "\u200b", "a\u2028b", "y" * 1_000_000)

    def test_description(self) -> None:
        """Up to 4096 bytes of UTF-8, with line ends and nothing else that controls."""
        for good in ("", "Two lines\nof it.", "x" * 4096, "é" * 2048):
            self.assertEqual(good, game_entry.description(good))
        self.assertEqual("a\nb", game_entry.description("a\r\nb"))
        self.refused(game_entry.description, "x" * 4097, "é" * 2048 + "x", "a\0b", "a\tb", "a\rb", "a\u202eb", "a\x9bb")

    def test_game_type(self) -> None:
        """The seed's three, and words like them."""
        for good in ("cli", "gui", "multi", "web", "a", "board-game_2", "a" * 32):
            self.assertEqual(good, game_entry.game_type(good))
        self.refused(game_entry.game_type, "", "CLI", "2d", "-", "a b", "a\n", "a" * 33, "é")

    def test_max_players(self) -> None:
        """1 to 64."""
        for good in (1, 64):
            self.assertEqual(good, game_entry.max_players(good))
        self.refused(game_entry.max_players, 0, -1, 65, 10**30)
