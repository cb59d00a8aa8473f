"""The one timer of a lock-step play, for rooms with `patience`: others look at the time often enough (docs/protocol/lockstep.md, who takes part)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gameroom.rules.lockstep import Play
from gameroom.rules.lockstep_values import Effects


class PatienceTimer:
    """Looks at a play when its patience runs out.

    No packet moves it. A deadline is `patience` seconds at least after the packet that brings it about,
    so looking once in that time, where there is none yet, finds every one before it has come.
    """

    def __init__(self, *, play: Play, patience: float, clock: IReactorTime, do: Callable[[Effects], None]) -> None:
        self._play = play
        self._patience = patience
        self._clock = clock
        self._do = do
        self._call: IDelayedCall | None = clock.callLater(patience, self._look)

    def _look(self) -> None:
        now = self._clock.seconds()
        deadline = self._play.next_deadline()
        if deadline is not None and deadline <= now:
            self._do(self._play.tick(now))
            deadline = self._play.next_deadline()
        if self._call is not None:
            # What is due is not always to be had: then it is looked at again after a moment.
            wait = self._patience if deadline is None else min(max(deadline - now, 0.01), self._patience)
            self._call = self._clock.callLater(wait, self._look)

    def stop(self) -> None:
        """The play is over."""
        call, self._call = self._call, None
        if call is not None and call.active():
            call.cancel()
