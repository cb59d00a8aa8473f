"""Sums of files, a slice at a time, so that a program's other connections go on."""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, BinaryIO, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

if TYPE_CHECKING:
    from hashlib import _Hash

SLICE: Final = 4 * 1024 * 1024
"""Bytes that are read before others have their turn: a few milliseconds."""
_BLOCK: Final = 256 * 1024


async def sum_of(file: BinaryIO, clock: IReactorTime, length: int | None = None) -> _Hash:
    """SHA-256 of the next `length` bytes of a file, or of all to its end. Raises OSError."""
    digest = sha256()
    left = length
    taken = 0
    while left is None or left:
        block = file.read(_BLOCK if left is None else min(left, _BLOCK))
        if not block:
            break
        digest.update(block)
        left = None if left is None else left - len(block)
        taken += len(block)
        if taken >= SLICE:
            taken = 0
            await _turn(clock)
    return digest


def _turn(clock: IReactorTime) -> Deferred[None]:
    """Fires when everybody else has had a turn."""
    turn: Deferred[None] = Deferred()
    clock.callLater(0, lambda: None if turn.called else turn.callback(None))
    return turn
