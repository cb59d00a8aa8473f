"""Micro game services: which of them run or are called, and for whom (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from gameroom.gameservices.values import ServiceOrder

if TYPE_CHECKING:
    from gameroom.programs.ports import Ports
    from gameroom.metrics import Metrics
    from gameroom.programs.programs import Programs
    from gameroom.settings import Limits, SandboxSettings, ServiceSettings
    from gameroom.wire.game_service import State, Update


class ServiceLease:
    """What one room has of its service. `GameServices.lease` makes it."""

    problem: str = ""
    """Why the service does not answer just now, a sentence for a person; empty where nothing is known."""

    def ask(self, update: Update) -> Deferred[State]:
        """Fires with the answer that was checked, of the same sequence. `update.request` is ignored: it is numbered here.

        It is tried for as long as it takes; cancelling gives it up. Fails with `BadState` when the lease was released or the daemon ends.
        """
        raise NotImplementedError

    def ask_first(self, update: Update) -> Deferred[State]:
        """As `ask`, for a play's first update: fails with `ServerError` where the program ends before the service has ever answered,
        or nothing was answered within `settings.retry_for` seconds. Its message is for a person, and what happened is in the log.
        """
        raise NotImplementedError

    def release(self) -> None:
        """The room needs the service no more. Again is fine."""
        raise NotImplementedError


class GameServices:
    """All services: one program for each version of a game, and one pool of connections for each.

    >>> services = GameServices(programs=programs, reactor=reactor, settings=settings.service, sandbox=settings.sandbox,
    ...                         limits=lambda: settings.limits, log=logs.write)
    >>> lease = services.lease(order)
    >>> state = await lease.ask_first(update)
    >>> lease.release()
    """

    def __init__(
        self,
        *,
        programs: Programs,
        reactor: Any,
        settings: ServiceSettings,
        sandbox: SandboxSettings,
        limits: Callable[[], Limits],
        log: Callable[[str, str], None],
        ports: Ports | None = None,
        metrics: Metrics | None = None,
    ) -> None:
        """`log(game_id, text)` writes to the developer's log. `limits()` gives the limits as they are now.

        `ports` gives the listening sockets, without it those of `sandbox`.
        """

    def check(self, order: ServiceOrder) -> None:
        """Raises `BadState` with a sentence for a person where `lease` would."""
        raise NotImplementedError

    def lease(self, order: ServiceOrder) -> ServiceLease:
        """The service of this version, shared with all other rooms of it. Its program is started where it does not run.

        Raises `BadState` with a sentence for a person: programs cannot be run here or no more of them, the endpoint is not in
        `[service] allow`, or the daemon is being shut down.
        """
        raise NotImplementedError

    def stop(self) -> Deferred[None]:
        """End all of them, for good. Fires when no program of them is left and every connection is closed."""
        raise NotImplementedError
