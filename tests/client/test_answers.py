"""Reading answers."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.answers import entries, field, without_none
from gameroom.client.lines import ConnectionFailed


class AnswerTests(SynchronousTestCase):
    def test_field(self) -> None:
        """A field of the right kind, or one line that names it. To JSON `true` is no integer."""
        self.assertEqual(field({"a": 1}, "a", int), 1)
        answers: list[dict[str, Any]] = [{}, {"a": None}, {"a": True}, {"a": "1"}]
        for answer in answers:
            self.assertIn('"a"', str(self.assertRaises(ConnectionFailed, field, answer, "a", int)))

    def test_entries(self) -> None:
        self.assertEqual(entries({"a": [{}, {"b": 1}]}, "a"), [{}, {"b": 1}])
        answers: list[dict[str, Any]] = [{"a": {}}, {"a": [1]}, {}]
        for answer in answers:
            self.assertRaises(ConnectionFailed, entries, answer, "a")

    def test_without_none(self) -> None:
        """What is false is given all the same."""
        self.assertEqual(without_none(a=None, b=False, c=0, d=""), {"b": False, "c": 0, "d": ""})
