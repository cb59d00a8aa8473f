"""What games' programs have said lately, for their developers (lobby.md, GET_LOGS)."""

from __future__ import annotations

import re
from collections import OrderedDict, deque

import attrs
from twisted.internet.interfaces import IReactorTime

from gameroom.rules.times import rfc3339

GAME_BYTES = 256 * 1024
"""What is kept of one game, its oldest lines going first."""

ALL_BYTES = 64 * 1024 * 1024
"""What is kept of all games; that which has said nothing for longest goes first."""

LINE_BYTES = 4096
"""A longer line is cut here."""

_LINE_COSTS = 128
"""Bytes that a line takes beside its text: thousands of empty ones are to be counted too."""

_CONTROLS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


@attrs.define(eq=False)
class _Log:
    lines: deque[str] = attrs.field(factory=deque)
    size: int = 0

    def add(self, line: str) -> None:
        self.lines.append(line)
        self.size += _cost(line)

    def shrink(self, most: int) -> None:
        while self.size > most:
            self.size -= _cost(self.lines.popleft())


class ProgramLogs:
    """The last lines of each game's programs, in memory: a restart of the daemon begins anew.

    Whoever runs a program of a game writes here what it said, and why it could not be run.

    >>> logs = ProgramLogs(reactor)
    >>> logs.write(game_id, "Traceback (most recent call last):")
    """

    def __init__(self, clock: IReactorTime, *, game_bytes: int = GAME_BYTES, all_bytes: int = ALL_BYTES) -> None:
        self._clock = clock
        self._game_bytes, self._all_bytes = game_bytes, all_bytes
        self._logs: OrderedDict[str, _Log] = OrderedDict()
        """The one that was written to last is the last."""
        self._size = 0

    def write(self, game_id: str, text: str) -> None:
        """Add whole lines, each with the time in UTC before it; what would change a reader's terminal is replaced."""
        log = self._logs.setdefault(game_id, _Log())
        self._logs.move_to_end(game_id)
        before = log.size
        now = rfc3339(int(self._clock.seconds() * 1000))
        for line in _lines(text, self._game_bytes):
            log.add(f"{now} {line}")
        log.shrink(self._game_bytes)
        self._size += log.size - before
        while self._size > self._all_bytes:
            _, oldest = self._logs.popitem(last=False)
            self._size -= oldest.size

    def lines(self, game_id: str, most: int) -> list[str]:
        """The last lines of a game, at most so many, the oldest first."""
        log = self._logs.get(game_id)
        if log is None or most <= 0:
            return []
        first = max(0, len(log.lines) - most)
        return [line for place, line in enumerate(log.lines) if place >= first]


def _lines(text: str, most: int) -> list[str]:
    """The lines at the end of `text`: what comes before its last `most` characters would not be kept anyway."""
    lines = text[-most:].replace("\r\n", "\n").split("\n")
    if lines[-1] == "":
        lines.pop()
    return [_clean(line) for line in lines]


def _clean(line: str) -> str:
    line = _CONTROLS.sub("\ufffd", line[:LINE_BYTES])
    data = line.encode()
    return line if len(data) <= LINE_BYTES else data[:LINE_BYTES].decode(errors="ignore")


def _cost(line: str) -> int:
    return _LINE_COSTS + len(line.encode())
