"""Room messages: frames, fields, and what can be sent on."""

from __future__ import annotations

from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.wire.room_messages import LEVELS_AROUND, Hello, size_of


def nested(levels: int) -> Any:
    value: Any = 1
    for _ in range(levels):
        value = [value]
    return value


class SizeOfTests(SynchronousTestCase):
    @given(value=st.recursive(st.none() | st.text() | st.integers(0, 2**53), lambda inner: st.dictionaries(st.text(), inner) | st.lists(inner)))
    def test_compact(self, value: Any) -> None:
        """It is the length of the compact JSON."""
        self.assertEqual(size_of("value", value), len(orjson.dumps(value)))

    def test_deep(self) -> None:
        """What is taken fits into a message and a line around that; what can be read and not written is 100, with a pointer."""
        taken = max(levels for levels in range(1, 300) if self.is_taken(nested(levels)))
        self.assertGreater(taken, 200)
        orjson.dumps({"a": {"b": [nested(taken)]}})
        for levels in (taken + 1, 1000):
            with self.assertRaises(InvalidRequest) as refused:
                size_of("value", orjson.loads(b"[" * levels + b"]" * levels))
            self.assertEqual(refused.exception.pointer, "/value")
        with self.assertRaises(TypeError):
            orjson.dumps(nested(taken + 1 + LEVELS_AROUND))

    def is_taken(self, value: Any) -> bool:
        try:
            size_of("value", value)
        except InvalidRequest:
            return False
        return True


class HelloTests(SynchronousTestCase):
    def test_what_it_says(self) -> None:
        """What a client has, and whether it can begin at a snapshot; nothing of that need be said."""
        self.assertEqual(Hello.of({"type": "hello", "token": "t"}), Hello())
        said = {"play_id": "p", "last_generation": -1, "snapshots": False}
        self.assertEqual(Hello.of(said), Hello(play_id="p", last_generation=-1, snapshots=False))

    def test_what_it_cannot(self) -> None:
        """Anything else is 100, with a pointer."""
        wrong: dict[str, tuple[Any, ...]] = {"play_id": (1, "x" * 65), "last_generation": (-2, True, 2**32), "snapshots": (None, 0, "no")}
        for field, values in wrong.items():
            for value in values:
                self.refused(field, value)

    def refused(self, field: str, value: Any) -> None:
        error = self.assertRaises(InvalidRequest, Hello.of, {field: value})
        self.assertEqual(error.pointer, f"/{field}")
