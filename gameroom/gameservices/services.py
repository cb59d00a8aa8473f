"""Micro game services: which of them run or are called, and for whom (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, DeferredList
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState, InvalidRequest
from gameroom.gameservices.elsewhere import ServiceElsewhere
from gameroom.gameservices.program import ServiceProgram
from gameroom.gameservices.record import UpdateRecords
from gameroom.gameservices.service import Service, ServiceLease, Way
from gameroom.gameservices.values import ServiceOrder
from gameroom.own_threads import OwnThreads
from gameroom.programs.ports import Ports
from gameroom.wire.game_service import update_from_bytes

if TYPE_CHECKING:
    from gameroom.metrics import Metrics
    from gameroom.programs.programs import Programs
    from gameroom.settings import Limits, SandboxSettings, ServiceSettings

__all__ = ["GameServices", "ServiceLease"]

STOP_PATIENCE: Final = 1.0
"""Seconds between SIGTERM and SIGKILL where the daemon ends."""

Key = str | tuple[str, str]
"""What is one service: an endpoint, or the program of a game's version."""


class GameServices:
    """All services: one program for each version of a game, and one pool of connections for each.

    >>> services = GameServices(programs=programs, reactor=reactor, settings=settings.service, sandbox=settings.sandbox,
    ...                         limits=lambda: settings.limits, log=logs.write)
    >>> lease = services.lease(order)
    >>> state = await lease.ask_first(update)
    >>> lease.release()
    """

    _log = Logger()

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
        in_thread: Callable[..., Deferred[Any]] | None = None,
    ) -> None:
        """`log(game_id, text)` writes to the developer's log. `limits()` gives the limits as they are now.

        `ports` gives the listening sockets, without it those of `sandbox`. `in_thread(function, *args)` is where updates are recorded, without
        it a thread of their own.
        """
        self._programs, self._reactor, self._settings = programs, reactor, settings
        self._limits, self._write_log, self._metrics = limits, log, metrics
        self._ports = ports or Ports(sandbox)
        self._records: UpdateRecords | None = None
        if settings.record:
            self._records = UpdateRecords(Path(settings.record), in_thread or OwnThreads(reactor, 1, "recording updates"))
        self._services: dict[Key, Service] = {}
        """Those that can be leased."""
        self._all: set[Service] = set()
        """And those whose programs or connections are not gone yet."""
        self.stopped = False
        """Whether the daemon ends: what is in flight is given up, and there is no lease any more."""
        programs.when_full(self._end_spare)

    @property
    def retry_for(self) -> float:
        """After so many seconds without an answer a room is to be paused."""
        return self._settings.retry_for

    def check(self, order: ServiceOrder) -> None:
        """Raises `BadState` with a sentence for a person where `lease` would."""
        if self.stopped:
            raise BadState("this server is shutting down; try again in a moment")
        endpoint = order.service.endpoint
        if endpoint:
            if endpoint not in self._settings.allow:
                raise BadState(f"this game's rules are at {endpoint}, which this server may not call; ask whoever runs it")
            return
        if order.folder is None or not order.service.command:
            raise BadState("this version of the game brings no service along; tell its developer")
        service = self._services.get(_key(order))
        if service is None or not service.running:
            self._programs.require(order.made_from)

    def lease(self, order: ServiceOrder) -> ServiceLease:
        """The service of this version, shared with all other rooms of it. Its program is started where it does not run.

        Raises `BadState` with a sentence for a person: programs cannot be run here or no more of them, the endpoint is not in
        `[service] allow`, or the daemon is being shut down.
        """
        self.check(order)
        service = self._services.get(_key(order))
        if service is None:
            service = self._made(order)
        return service.lease(order)

    @deferring
    async def room_made(self) -> bool:
        """After `lease` was refused: whether services were on their way out meanwhile, as those are that only lingered and stood in the way.

        Fires when these are gone, within a moment, so that asking once more may do. Cancelling it is fine.
        """
        if self.stopped:
            return False
        going = [service.end(STOP_PATIENCE) for service in list(self._all) if service.over]
        for each in going:
            await each
        return bool(going)

    @deferring
    async def stop(self) -> None:
        """End all of them, for good. Fires when no program of them is left and every connection is closed."""
        self.stopped = True
        await DeferredList([service.end(STOP_PATIENCE) for service in list(self._all)])
        if self._records is not None:
            await self._records.stop()

    def _end_spare(self) -> None:
        """What is only kept for the next room is in the way of a program that is needed, so that there is room for that in a moment."""
        for service in [each for each in self._services.values() if each.spare]:
            service.end(STOP_PATIENCE)

    def _made(self, order: ServiceOrder) -> Service:
        key = _key(order)
        service = Service(
            way=partial(self._way, order),
            reactor=self._reactor,
            settings=self._settings,
            limits=self._limits,
            log=self._write_log,
            metrics=self._metrics,
            record=self._record_of(order),
            over=partial(self._over, key),
            gone=self._all.discard,
        )
        self._services[key] = service
        self._all.add(service)
        return service

    def _way(self, order: ServiceOrder, service: Service) -> Way:
        if order.service.endpoint:
            return ServiceElsewhere(order.service.endpoint, reactor=self._reactor)
        return ServiceProgram(
            order,
            programs=self._programs,
            ports=self._ports,
            reactor=self._reactor,
            addresses=service.addresses,
            told=service.told,
            ended=service.program_ended,
        )

    def _record_of(self, order: ServiceOrder) -> Callable[[bytes, bytes], None] | None:
        if self._records is None:
            return None
        return self._record_shared if order.service.endpoint else partial(self._records.keep, order.game_id, order.version)

    def _record_shared(self, update: bytes, state: bytes) -> None:
        """Several games may be played with a service elsewhere: the update says of which it is."""
        assert self._records is not None
        try:
            said = update_from_bytes(update)
        except InvalidRequest:
            self._log.failure("an update of ours cannot be read, and is not recorded")
            return
        self._records.keep(said.game_id, said.version, update, state)

    def _over(self, key: Key, service: Service) -> None:
        """Nobody is to lease it any more."""
        if self._services.get(key) is service:
            del self._services[key]


def _key(order: ServiceOrder) -> Key:
    return order.service.endpoint or (order.game_id, order.version)
