"""Requests that have no answer yet, in their order, and the time that the oldest of them has."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from gameroom.client.stream import ConnectionFailed


@attrs.define
class Pending:
    """A request that has no answer yet."""

    kind: str
    timeout: float
    answered: Deferred[dict[str, Any]]


class Unanswered:
    """The queue of one connection. `too_late(why)` is called when the oldest request has waited for too long."""

    def __init__(self, clock: IReactorTime, too_late: Callable[[str], None]) -> None:
        self._clock = clock
        self._tell = too_late
        self._pending: deque[Pending] = deque()
        self._timer: IDelayedCall | None = None

    def add(self, kind: str, timeout: float) -> Deferred[dict[str, Any]]:
        """One more request; what is to fire with its answer. Who stops waiting for that leaves its place in the queue."""
        pending = Pending(kind, timeout, Deferred(lambda _: None))
        self._pending.append(pending)
        if len(self._pending) == 1:
            self._wait_for(pending)
        return pending.answered

    def take(self) -> Pending | None:
        """The oldest one, which has its answer now; None where nobody waits."""
        if not self._pending:
            return None
        pending = self._pending.popleft()
        self._stop_timer()
        if self._pending:
            self._wait_for(self._pending[0])
        return pending

    def fail(self, why: str) -> None:
        """There will be no answers."""
        self._stop_timer()
        pending, self._pending = self._pending, deque()
        for each in pending:
            if not each.answered.called:
                each.answered.errback(Failure(ConnectionFailed(why)))

    def _wait_for(self, pending: Pending) -> None:
        self._timer = self._clock.callLater(pending.timeout, self._too_late, pending)

    def _too_late(self, pending: Pending) -> None:
        self._timer = None
        self._tell(f"the server has not answered {pending.kind} within {pending.timeout:g} seconds")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
