"""Dumps: at a divergence each player's state is asked for, and kept with the recording (docs/protocol/lockstep.md, hashes)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import orjson

from gameroom.errors import BadState

DUMP_BYTES: Final = 32 << 20
"""So much of one play's recording may be dumps: a play that diverges again and again must not fill the disk."""


class Dumps:
    """The dumps of one play.

    `tell(seat, message)` sends, `note(fields)` writes a line into the recording, `used` is how many bytes of it are dumps already.
    """

    def __init__(self, *, tell: Callable[[int, dict[str, Any]], None], note: Callable[[Mapping[str, Any]], bool], used: int = 0) -> None:
        self._tell = tell
        self._note = note
        self._left = DUMP_BYTES - used
        self._asked: set[int] = set()

    def ask(self, seats: Iterable[int], generation: int) -> None:
        """A divergence: each of these is asked once. Past `DUMP_BYTES` nobody is."""
        self._asked = set(seats) if self._left > 0 else set()
        for seat in self._asked:
            self._tell(seat, {"type": "dump_request", "generation": generation})

    def expects(self, seat: int) -> None:
        """Raises `BadState` unless a dump was asked of this player, and has not come yet."""
        if seat not in self._asked:
            raise BadState("nobody has asked you for a dump, or you have given it already")

    def given(self, seat: int, generation: int, state: bytes | None) -> None:
        """A player's answer; None where its engine has nothing to give. Raises `BadState` as `expects` does."""
        self.expects(seat)
        self._asked.discard(seat)
        if state is not None and len(state) <= self._left:
            self._left -= len(state)
            self._note({"type": "dump", "generation": generation, "seat": seat, "state": orjson.Fragment(state)})
