"""One micro game service and the rooms that lease it (docs/protocol/game-service.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final, Protocol
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState, ServerError
from gameroom.gameservices.client import ServiceClient

if TYPE_CHECKING:
    from gameroom.gameservices.values import ServiceOrder
    from gameroom.metrics import Metrics
    from gameroom.settings import Limits, ServiceSettings
    from gameroom.wire.game_service import State, Update

LINGER: Final = 30.0
"""Seconds that a service is kept without a room: the next play may be about to begin."""
PATIENCE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL for its program."""


class Way(Protocol):
    """How a service is reached: `ServiceProgram` or `ServiceElsewhere`."""

    problem: str

    @property
    def running(self) -> bool: ...

    def start(self) -> None: ...

    def connect(self, factory: IProtocolFactory) -> Deferred[IProtocol]: ...

    def answered(self) -> None: ...

    def end(self, patience: float) -> Deferred[None]: ...


class Service:
    """One service, with its connections, and those who lease it. Made by `GameServices`."""

    def __init__(
        self,
        *,
        way: Callable[[Service], Way],
        reactor: Any,
        settings: ServiceSettings,
        limits: Callable[[], Limits],
        log: Callable[[str, str], None],
        metrics: Metrics | None,
        record: Callable[[bytes, bytes], None] | None,
        over: Callable[[Service], None],
        gone: Callable[[Service], None],
    ) -> None:
        """`way(self)` makes how it is reached. `record` is given each update and its answer, as they were sent.

        `over(self)` is called when nobody is to lease it any more, and `gone(self)` when nothing is left of it.
        """
        self.clock, self.settings, self.log = reactor, settings, log
        self._metrics, self._on_over, self._on_gone = metrics, over, gone
        self._leases: dict[ServiceLease, None] = {}
        """The oldest first."""
        self.firsts: set[Callable[[str], None]] = set()
        """To be told where the program ends before the service has ever answered, with a sentence."""
        self._linger: IDelayedCall | None = None
        self._last_line = ""
        """What the developers were told last, since it answered."""
        self._over = self._gone = False
        self._ending: list[Deferred[None]] = []
        self._way = way(self)
        self.client = ServiceClient(
            connect=self._way.connect,
            clock=reactor,
            settings=settings,
            most_bytes=lambda: limits().service_message_bytes,
            told=self.told,
            record=record,
            observe=self._answered,
            retried=self._retried,
        )

    # What rooms do.

    def lease(self, order: ServiceOrder) -> ServiceLease:
        """Raises `BadState` where its program cannot be run."""
        lease = ServiceLease(self, order)
        self._leases[lease] = None
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        try:
            self._way.start()
        except BadState:
            self.released(lease)
            raise
        return lease

    def released(self, lease: ServiceLease) -> None:
        """One room less."""
        self._leases.pop(lease, None)
        if self._leases or self._over or self._linger is not None:
            return
        if self._way.running:
            self._linger = self.clock.callLater(LINGER, self._needed_no_more)
        else:
            self.end()

    @property
    def running(self) -> bool:
        """Whether it needs nothing to be started."""
        return self._way.running

    @property
    def spare(self) -> bool:
        """Whether it is only kept for a room that might come."""
        return self._linger is not None

    @property
    def over(self) -> bool:
        """Whether it ends, for good."""
        return self._over

    @property
    def problem(self) -> str:
        """Why it does not answer, a sentence for a person; empty where nothing is known."""
        return self._way.problem

    # What its way asks and tells.

    def addresses(self) -> Iterator[str]:
        """From which the rooms were made that lease it, the oldest first."""
        return (lease.order.made_from for lease in self._leases)

    def told(self, line: str) -> None:
        """For the log of each developer whose game is played with it. The same line again is told when it has answered meanwhile."""
        if line == self._last_line:
            return
        self._last_line = line
        for game_id in dict.fromkeys(lease.order.game_id for lease in self._leases):
            self.log(game_id, f"gameroom: {line}")

    def program_ended(self, why: str) -> None:
        """Its program has come to an end of its own."""
        if not self._leases:
            self.end()
        elif not self.client.answered:
            for give_up in list(self.firsts):
                give_up(f"{why} before it had answered anything")

    def _answered(self, seconds: float) -> None:
        self._way.answered()
        self._last_line = ""
        if self._metrics is not None:
            self._metrics.service_seconds.observe(seconds)

    def _retried(self) -> None:
        if self._metrics is not None:
            self._metrics.service_retries += 1

    # Its end.

    def _needed_no_more(self) -> None:
        self._linger = None
        self.end()

    def end(self, patience: float = PATIENCE) -> Deferred[None]:
        """For good. Fires when its program is gone and its connections are closed; again is fine, and may be with less patience."""
        if self._linger is not None:
            self._linger.cancel()
            self._linger = None
        if self._over:
            self._way.end(patience)
        else:
            self._over = True
            self._on_over(self)
            DeferredList([self.client.close(), self._way.end(patience)]).addCallback(self._all_gone)
        if self._gone:
            return succeed(None)
        ending: Deferred[None] = Deferred()
        self._ending.append(ending)
        return ending

    def _all_gone(self, _: object) -> None:
        self._gone = True
        self._on_gone(self)
        ending, self._ending = self._ending, []
        for each in ending:
            each.callback(None)


class ServiceLease:
    """What one room has of its service. `GameServices.lease` makes it."""

    _log = Logger()

    def __init__(self, service: Service, order: ServiceOrder) -> None:
        self._service = service
        self.order = order
        self._asked: set[Deferred[State]] = set()
        self._released = False

    @property
    def problem(self) -> str:
        """Why the service does not answer just now, a sentence for a person; empty where nothing is known."""
        return "" if self._released else self._service.problem

    def ask(self, update: Update) -> Deferred[State]:
        """Fires with the answer that was checked, of the same sequence. `update.request` is ignored: it is numbered here.

        It is tried for as long as it takes; cancelling gives it up, and so does `release`: it then fails with `CancelledError`.
        Fails with `BadState` where the lease is released already, or the daemon ends.
        """
        if self._released:
            return fail(BadState("this room has given up its game's service"))
        asked = self._service.client.ask(update)
        self._asked.add(asked)
        asked.addBoth(self._settled, asked)
        return asked

    @deferring
    async def ask_first(self, update: Update) -> State:
        """As `ask`, for a play's first update: fails with `ServerError` where the program ends before the service has ever answered,
        or nothing was answered within `settings.retry_for` seconds. Its message is for a person, and what happened is in the log.
        """
        asked = self.ask(update)
        whys: list[str] = []

        def give_up(why: str) -> None:
            whys.append(why)
            asked.cancel()

        service = self._service
        patience = service.settings.retry_for
        waiting = service.clock.callLater(patience, lambda: give_up(self._unanswered(patience)))
        service.firsts.add(give_up)
        try:
            return await asked
        except CancelledError:
            if whys:
                raise self._failed(update, whys[0]) from None
            raise
        finally:
            service.firsts.discard(give_up)
            if waiting.active():
                waiting.cancel()

    def release(self) -> None:
        """The room needs the service no more, and what it has asked is given up. Again is fine."""
        if self._released:
            return
        self._released = True
        for asked in list(self._asked):
            asked.cancel()
        self._service.released(self)

    def _settled(self, result: Any, asked: Deferred[State]) -> Any:
        self._asked.discard(asked)
        return result

    def _unanswered(self, seconds: float) -> str:
        problem = self._service.problem
        return f"the game's service has not answered within {seconds:g} s" + (f": {problem}" if problem else "")

    def _failed(self, update: Update, why: str) -> ServerError:
        incident = str(uuid4())
        order = self.order
        self._log.warn(
            "incident {incident}: room {room_id} of game {game_id} {version} could not start: {why}",
            incident=incident,
            room_id=update.room_id,
            game_id=order.game_id,
            version=order.version,
            why=why,
        )
        self._service.log(order.game_id, f"gameroom: room {update.room_id} could not start: {why}")
        return ServerError(f"{why}; try again, or tell the game's developer", incident=incident)
