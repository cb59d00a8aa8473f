"""What was found at a micro game service: gathered by kind, and the updates that show it kept for a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

import attrs

from gameroom.cli.check_service.answers import cut
from gameroom.cli.check_service.words import KINDS
from gameroom.wire.game_service import Message, Update, update_to_bytes
from gameroom.wire.update_file import pair_to_bytes

MOST_KEPT: Final = 5
"""Updates of one kind of finding."""
_LONGEST_MESSAGE: Final = 100


@attrs.frozen(kw_only=True)
class Example:
    """One update that shows it."""

    said: str
    update: Update | None = None
    answer: bytes = b""

    def to_json(self) -> dict[str, Any]:
        update = self.update
        about = None if update is None else {"room_id": update.room_id, "sequence": update.sequence, "event": event_of(update)}
        return {"said": self.said, "update": about}


@attrs.define
class Finding:
    """All of one kind."""

    kind: str
    count: int = 0
    """Of what was asked, as often as it was found."""
    examples: list[Example] = attrs.field(factory=list)

    @property
    def wrong(self) -> bool:
        return KINDS[self.kind].wrong

    def to_json(self) -> dict[str, Any]:
        kind = KINDS[self.kind]
        about = {"kind": self.kind, "wrong": kind.wrong, "what": kind.what, "advice": kind.advice, "count": self.count}
        return {**about, "examples": [each.to_json() for each in self.examples]}


class Findings:
    """All that was found. `add` is called as it is found."""

    def __init__(self) -> None:
        self._by_kind: dict[str, Finding] = {}
        self._seen: set[tuple[str, str, int]] = set()

    def add(self, kind: str, said: str, update: Update | None = None, answer: bytes = b"") -> None:
        """The same of the same update counts once."""
        if update is not None:
            key = (kind, update.room_id, update.sequence)
            if key in self._seen:
                return
            self._seen.add(key)
        finding = self._by_kind.setdefault(kind, Finding(kind))
        finding.count += 1
        if len(finding.examples) < MOST_KEPT:
            finding.examples.append(Example(said=said, update=update, answer=answer))

    def has(self, kind: str) -> bool:
        return kind in self._by_kind

    def count(self, kind: str) -> int:
        return self._by_kind[kind].count if kind in self._by_kind else 0

    @property
    def wrong(self) -> list[Finding]:
        """In the order in which their kinds are explained."""
        return [each for each in self._all() if each.wrong]

    @property
    def odd(self) -> list[Finding]:
        return [each for each in self._all() if not each.wrong]

    def _all(self) -> Iterator[Finding]:
        return (self._by_kind[kind] for kind in KINDS if kind in self._by_kind)

    def file(self) -> tuple[bytes, int]:
        """The updates that show what is wrong or odd, as `--updates` takes them, and how many they are."""
        pairs = [
            pair_to_bytes(update_to_bytes(each.update), each.answer) for found in self._all() for each in found.examples if each.update is not None
        ]
        return b"".join(pairs), len(pairs)


def event_of(update: Update) -> str:
    """What happened, in a few words: `message from seat 1: {"bid": 3}`."""
    event = update.event
    name = type(event).__name__.lower()
    if isinstance(event, Message):
        said = event.data.decode(errors="replace") if event.text else f"{len(event.data)} bytes, binary"
        return f"{name} from seat {event.seat}: {cut(said, _LONGEST_MESSAGE)}"
    values = attrs.asdict(event)
    values.pop("config", None)
    return f"{name} ({', '.join(f'{key} {json.dumps(value)}' for key, value in values.items())})"


def described(update: Update) -> str:
    """Which update it is."""
    return f"room {update.room_id[:8]}, sequence {update.sequence}: {event_of(update)}"
