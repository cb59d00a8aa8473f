"""What stands in answers, and what goes into requests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from gameroom.client.stream import ConnectionFailed

T = TypeVar("T")


def field(answer: Mapping[str, Any], name: str, kind: type[T]) -> T:
    """A field of an answer. Raises `ConnectionFailed` where the server does not speak as we do."""
    value = answer.get(name)
    if type(value) is not kind:
        raise ConnectionFailed(f'the server\'s answer has no "{name}" that this program can read; is it a newer one?')
    return value


def entries(answer: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    """A list of objects in an answer. Raises `ConnectionFailed`."""
    found: list[Any] = field(answer, name, list)
    if not all(type(entry) is dict for entry in found):
        raise ConnectionFailed(f'the server\'s answer has "{name}" that this program cannot read; is it a newer one?')
    return found


def without_none(**fields: Any) -> dict[str, Any]:
    """The fields that were given."""
    return {name: value for name, value in fields.items() if value is not None}
