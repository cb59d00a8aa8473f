"""What is wrong with an answer, and where two answers of one update differ. Pure."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, Final

import attrs

from gameroom.cli.check_service.words import AT_END, CODE, DIFFERS, EMPTY, FAILED, LARGE, QUICK, REASON, RESTARTED, SEQUENCE, SPELLING, VIEW
from gameroom.wire.game_service import State, Update

TOLD_CODES: Final = (100, 102, 103, 104, 105)
"""Of `rejected`: any other is told as 105."""
LONGEST_MESSAGE: Final = 500
RULES_FAILED: Final = "the game's rules failed"
"""What kits say where a function of the author's raised something."""
TICK_MS: Final = 100
LARGE_BYTES: Final = 256 << 10
DAY: Final = 86400.0

_DATE: Final = re.compile(r"20\d\d-\d\d-\d\dT|\d\d:\d\d:\d\d")
_LONGEST_VALUE: Final = 60


@attrs.frozen
class Difference:
    """The first place in which two answers differ."""

    field: str
    one: str
    other: str
    clue: str = ""
    """What that looks like; empty where nothing is known."""
    spelling: bool = False
    """Whether both mean the same."""

    def kind(self, restarted: bool) -> str:
        """`restarted`: the program was started anew between the two."""
        if self.spelling:
            return SPELLING
        return RESTARTED if restarted else DIFFERS

    def __str__(self) -> str:
        words = f"{self.field}: {self.one}, then {self.other}"
        return f"{words}. {self.clue}" if self.clue else words


def oddities(update: Update, state: State) -> Iterator[tuple[str, str]]:
    """What is wrong or odd with an answer, seen with its update: a kind of `check_service.words`, and words."""
    if state.sequence != update.sequence:
        yield SEQUENCE, f"sequence is {state.sequence}, and the update's {update.sequence}"
    if state.rejected is not None:
        code, message = state.rejected.code, state.rejected.message
        if message.startswith(RULES_FAILED):
            yield FAILED, f"rejected.message is {message!r}"
        if code not in TOLD_CODES:
            yield CODE, f"rejected.code is {code}"
        if not message.strip() or len(message) > LONGEST_MESSAGE or "\n" in message.strip():
            yield REASON, "rejected.message " + (f"is {cut(json.dumps(message))}" if message else "is empty")
        return
    seats = {player.seat for player in update.players}
    for at, view in enumerate(state.views):
        if view.seat not in seats:
            there = ", ".join(map(str, sorted(seats)))
            yield VIEW, f"views[{at}].seat is {view.seat}, and there are {there}"
    if state.timer_ms and state.finished is not None:
        yield AT_END, f"timer_ms is {state.timer_ms}, and finished is there"
    elif state.timer_ms and state.timer_ms < TICK_MS:
        yield QUICK, f"timer_ms is {state.timer_ms}"
    if not state.state and state.finished is None:
        yield EMPTY, "state has no byte"
    elif len(state.state) > LARGE_BYTES:
        yield LARGE, f"state has {len(state.state):,} bytes"


def difference(one: State, other: State, now: float) -> Difference | None:
    """Where two answers of one update differ; their `request` may. `now` is the Unix time, in seconds."""
    a, b = (attrs.evolve(each, request=0) for each in (one, other))
    if a == b:
        return None
    for field, value, another in _parts(a, b):
        if value != another:
            return _of_value(field, value, another, now)
    raise AssertionError("two states differ in one of their fields")


def _parts(a: State, b: State) -> Iterator[tuple[str, Any, Any]]:
    """Each field of both, such as are compared as one. A length comes before what is counted."""
    yield "rejected", _rejected(a), _rejected(b)
    yield "sequence", a.sequence, b.sequence
    yield "state", a.state, b.state
    yield "the number of broadcasts", len(a.broadcast), len(b.broadcast)
    for at, (said, another) in enumerate(zip(a.broadcast, b.broadcast, strict=True)):
        yield f"broadcast[{at}].text", said.text, another.text
        yield f"broadcast[{at}].data", said.data, another.data
    seats = [[view.seat for view in each.views] for each in (a, b)]
    yield "the seats of views", seats[0], seats[1]
    for at, (view, shown) in enumerate(zip(a.views, b.views, strict=True)):
        yield f"views[{at}].text", view.text, shown.text
        yield f"views[{at}].data", view.data, shown.data
    yield "timer_ms", a.timer_ms, b.timer_ms
    yield "finished", a.finished is not None, b.finished is not None
    yield "finished.results", a.finished and a.finished.results, b.finished and b.finished.results


def _rejected(state: State) -> Any:
    return None if state.rejected is None else {"code": state.rejected.code, "message": state.rejected.message}


def _of_value(field: str, one: Any, other: Any, now: float) -> Difference:
    if not isinstance(one, bytes) or not isinstance(other, bytes):
        return _of_json(field, one, other, now)
    try:
        a, b = json.loads(one), json.loads(other)
    except (ValueError, RecursionError):
        return _of_bytes(field, one, other)
    if a != b:
        return _of_json(field, a, b, now)
    at = _first(one, other)
    clue = "They mean the same: the order of keys or the spaces differ."
    return Difference(field, cut(one[max(0, at - 10) :].decode(errors="replace")), cut(other[max(0, at - 10) :].decode(errors="replace")), clue, True)


def _of_bytes(field: str, one: bytes, other: bytes) -> Difference:
    at = _first(one, other)
    clue = "" if len(one) == len(other) else f"It has {len(one)} bytes, then {len(other)}."
    if sorted(one) == sorted(other):
        clue = "They have the same bytes in another order."
    return Difference(f"{field}, from byte {at}", one[at : at + 8].hex(" ") or "its end", other[at : at + 8].hex(" ") or "its end", clue)


def _first(one: bytes, other: bytes) -> int:
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _of_json(field: str, one: Any, other: Any, now: float) -> Difference:
    """Into what both have alike, down to the first value that is another."""
    while type(one) is type(other):
        if isinstance(one, dict):
            keys = [key for key in sorted({*one, *other}) if key not in one or key not in other or one[key] != other[key]]
            field = f"{field}.{cut(keys[0], 30)}"
            if keys[0] not in one or keys[0] not in other:
                here, there = (cut(json.dumps(each[keys[0]])) if keys[0] in each else "not there" for each in (one, other))
                return Difference(field, here, there)
            one, other = one[keys[0]], other[keys[0]]
        elif isinstance(one, list) and len(one) == len(other) and _sorted(one) != _sorted(other):
            at = next(at for at, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
            field, one, other = f"{field}[{at}]", one[at], other[at]
        else:
            break
    return Difference(field, cut(json.dumps(one)), cut(json.dumps(other)), _clue(one, other, now))


def _sorted(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True) for value in values)


def _clue(one: Any, other: Any, now: float) -> str:
    if isinstance(one, list) and isinstance(other, list) and len(one) == len(other):
        return "They are the same in another order."
    if isinstance(one, str) and isinstance(other, str) and _DATE.search(one) and _DATE.search(other):
        return "That looks like the time of day; `now_ms` is the time of the update."
    if not isinstance(one, int | float) or not isinstance(other, int | float) or isinstance(one, bool):
        return ""
    if any(abs(one / unit - now) < DAY and abs(other / unit - now) < DAY for unit in (1 / 60, 1, 1e3, 1e6, 1e9)):
        return "That looks like the time of day; `now_ms` is the time of the update."
    if math.isclose(one, other, rel_tol=1e-6):
        return "They differ in their last digits: fractions were added up in another order, or by several threads. Count in whole numbers."
    return ""


def cut(text: str, longest: int = _LONGEST_VALUE) -> str:
    """Its beginning, where it is long."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
