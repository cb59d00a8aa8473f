"""Chunks that come a little before their turn.

A browser that keeps several chunks under way sends them on several connections, and which of them is here first is chance.
Whoever asks for it (`Prefer: wait=5`, RFC 7240) has a chunk wait for those before it instead of being sent it again.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gameroom.errors import ChunkOutOfOrder

FURTHEST = 8
"""So many chunks may be missing before one that waits."""
MOST_HELD = 64
"""Chunks that wait at the same time, of all uploads together: 16 MiB at most."""
LONGEST = 10.0
"""Seconds."""
_LOOKS_EVERY = 0.5
"""Seconds after which it is tried again though nothing was heard: the chunks before may come in by another door."""

_WAIT = re.compile(r"(?:^|[,;\s])wait\s*=\s*\"?(\d{1,6})", re.IGNORECASE)

Deed = Callable[[], Deferred[None] | None]
"""Hands a chunk over; fails with `ChunkOutOfOrder` where it is not its turn."""


def preferred_wait(prefer: str) -> float:
    """The seconds of a `Prefer` header, 0 without them."""
    found = _WAIT.search(prefer)
    return min(float(found[1]), LONGEST) if found else 0.0


class Ahead:
    """The chunks that wait for their turn."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._waiting: dict[tuple[str, int], Deferred[None]] = {}

    async def put(self, upload_id: str, seq: int, deed: Deed, patience: float) -> None:
        """Carry the deed out, and where its turn comes within so many seconds, then. Raises what it raises."""
        until = self._clock.seconds() + patience
        while True:
            try:
                done = deed()
                if done is not None:
                    await done
                break
            except ChunkOutOfOrder as error:
                left = until - self._clock.seconds()
                if not 1 <= seq - error.expected_seq <= FURTHEST or left <= 0:
                    raise
                if (upload_id, seq) in self._waiting or len(self._waiting) >= MOST_HELD:
                    raise
                await self._turn(upload_id, seq, min(left, _LOOKS_EVERY))
        follower = self._waiting.get((upload_id, seq + 1))
        if follower is not None:
            follower.callback(None)

    async def _turn(self, upload_id: str, seq: int, seconds: float) -> None:
        """Until the one before it is there, or so many seconds have gone by."""
        turn: Deferred[None] = Deferred()
        self._waiting[upload_id, seq] = turn
        late: Any = self._clock.callLater(seconds, turn.callback, None)
        try:
            await turn
        finally:
            del self._waiting[upload_id, seq]
            if late.active():
                late.cancel()
