"""Where the states differ that players gave after a divergence (docs/cli.md, `gameroom replay diff`)."""

from __future__ import annotations

import binascii
from collections.abc import Iterator, Mapping
from typing import Any, Final, NamedTuple

ABSENT: Final = "(nothing)"
"""What is shown where one of two has no such member."""


class Difference(NamedTuple):
    """One place where two states differ: a JSON pointer, or the number of a byte."""

    place: str
    left: Any
    right: Any


class Dump(NamedTuple):
    """The state that one player gave."""

    seat: int
    generation: int
    state: Any


def differences(left: Any, right: Any, binary: bool = False) -> Iterator[Difference]:
    """Where they differ, in the order of the left one. Values of unequal types differ as a whole, and numbers do not where they are equal."""
    if binary:
        yield from _of_bytes(_bytes(left), _bytes(right))
        return
    waiting: list[tuple[str, Any, Any]] = [("", left, right)]
    while waiting:
        place, one, other = waiting.pop()
        pairs = _members(one, other)
        if pairs is not None:
            waiting += [(f"{place}/{name}", *pair) for name, pair in reversed(pairs)]
        elif isinstance(one, bool) != isinstance(other, bool) or one != other:
            yield Difference(place, one, other)


def _members(one: Any, other: Any) -> list[tuple[str, tuple[Any, Any]]] | None:
    """What is in two objects or two arrays, side by side; None for anything else."""
    if isinstance(one, dict) and isinstance(other, dict):
        names = [*one, *(name for name in other if name not in one)]
        return [(name.replace("~", "~0").replace("/", "~1"), (one.get(name, ABSENT), other.get(name, ABSENT))) for name in names]
    if isinstance(one, list) and isinstance(other, list):
        longest = range(max(len(one), len(other)))
        return [(str(number), tuple(each[number] if number < len(each) else ABSENT for each in (one, other))) for number in longest]  # type: ignore[misc]
    return None


def _bytes(state: Any) -> bytes:
    """The bytes of a base64 state; raises `ValueError`."""
    if not isinstance(state, str):
        raise ValueError("the state of a binary play is base64")
    return binascii.a2b_base64(state, strict_mode=True)


def _of_bytes(left: bytes, right: bytes) -> Iterator[Difference]:
    """Each run of bytes that differ, shown in hex."""
    size = max(len(left), len(right))
    start = 0
    while start < size:
        if left[start : start + 1] == right[start : start + 1]:
            start += 1
            continue
        end = start + 1
        while end < size and left[end : end + 1] != right[end : end + 1]:
            end += 1
        yield Difference(str(start), left[start:end].hex(" ") or ABSENT, right[start:end].hex(" ") or ABSENT)
        start = end


def pairs_of(divergence: Mapping[str, Any], dumps: list[Dump]) -> list[tuple[Dump, Dump]]:
    """Which dumps are compared: one of the largest group with each other one of its generation."""
    found: list[tuple[Dump, Dump]] = []
    groups = sorted(divergence.get("groups", ()), key=lambda group: -len(group["seats"]))
    order = {seat: place for place, seat in enumerate(seat for group in groups for seat in group["seats"])}
    for generation in sorted({dump.generation for dump in dumps}):
        alike = sorted((dump for dump in dumps if dump.generation == generation), key=lambda dump: (order.get(dump.seat, len(order)), dump.seat))
        found += [(alike[0], other) for other in alike[1:]]
    return found
