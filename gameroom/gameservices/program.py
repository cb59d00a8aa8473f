"""The program of a micro game service, which is started again whenever it ends (docs/protocol/bundles.md, "Running a bundle's program").

Theory. A service keeps nothing, so that its program may end at any time and nothing is lost: whoever waits for it is connected to the next one.

    idle ──start──> running ──ends──> waiting ──back-off──> running
      └──────────────end──────┴─────────────────> over

`waiting` is longer from time to time, and short again behind a program that has lived for a while.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import socket
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import BadState
from gameroom.programs.ports import LOOPBACK, Ports

if TYPE_CHECKING:
    from gameroom.gameservices.values import ServiceOrder
    from gameroom.programs.program import Program
    from gameroom.programs.programs import Programs

FIRST_WAIT: Final = 0.1
"""Seconds between the end of a program and the next one."""
LONGEST_WAIT: Final = 30.0
"""Seconds; each wait is twice the one before."""
LIVED: Final = 10.0
"""Seconds after which a program has lived for a while."""
PATIENCE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""


class ServiceProgram:
    """The program of one service of a bundle, as one that can be connected to."""

    _log = Logger()

    def __init__(
        self,
        order: ServiceOrder,
        *,
        programs: Programs,
        ports: Ports,
        reactor: Any,
        addresses: Callable[[], Iterable[str]],
        told: Callable[[str], None],
        ended: Callable[[str], None],
    ) -> None:
        """`addresses()` are those that it may be run for, of the rooms that want it now. `told` is given lines for the developer's log.

        `ended` is called whenever the program has ended by itself, with a sentence for a person.
        """
        self._order = order
        self._programs, self._ports, self._reactor = programs, ports, reactor
        self._addresses, self._told, self._on_end = addresses, told, ended
        self._program: Program | None = None
        self._listening: socket | None = None
        """The socket of the program that runs. Ours is open as long, so that its port is nobody else's while the service is called there."""
        self._since = 0.0
        self._wait = FIRST_WAIT
        self._again: IDelayedCall | None = None
        self._waiting: list[Deferred[None]] = []
        """Who wants to be connected with the next one."""
        self._over = False
        self.problem = ""
        """Why it does not run, or did not until just now: a sentence for a person."""

    @property
    def running(self) -> bool:
        """Whether the program runs, as far as is known."""
        return self._program is not None

    def start(self) -> None:
        """Run it, where it does not run. Raises `BadState` where it cannot be run here."""
        if self._program is None:
            self._run()

    @deferring
    async def connect(self, factory: IProtocolFactory) -> IProtocol:
        """Fires with a protocol of the factory's that is connected with the program, once that runs. Fails as endpoints do. May be cancelled."""
        while self._listening is None:
            await self._next_one()
        port: int = self._listening.getsockname()[1]
        protocol: IProtocol = await TCP4ClientEndpoint(self._reactor, LOOPBACK, port).connect(factory)
        return protocol

    def answered(self) -> None:
        """The service has answered, so that nothing is wrong with it."""
        self.problem = ""

    def end(self, patience: float = PATIENCE) -> Deferred[None]:
        """End it for good, with so many seconds between SIGTERM and SIGKILL. Fires when nothing of it is left; again is fine."""
        self._over = True
        self._stop_waiting()
        for each in self._taken():
            each.errback(_ended())
        return succeed(None) if self._program is None else self._program.end(patience)

    def _next_one(self) -> Deferred[None]:
        """Fires when a program runs."""
        if self._over:
            return fail(_ended())
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def _taken(self) -> list[Deferred[None]]:
        waiting, self._waiting = self._waiting, []
        return waiting

    def _run(self) -> None:
        """Raises `BadState`."""
        made_from = self._payer()
        listening = self._ports.loopback()
        try:
            program = self._programs.run(self._order.program(listening, made_from))
        except BaseException:
            listening.close()
            raise
        self._stop_waiting()
        self._program, self._listening, self._since = program, listening, self._reactor.seconds()
        program.ended().addCallback(self._program_ended)
        for each in self._taken():
            each.callback(None)

    def _payer(self) -> str:
        """The address that it is run for: one whose share is used up keeps no program from the others. Raises `BadState` where none is left."""
        refused: BadState | None = None
        for made_from in dict.fromkeys(self._addresses()):
            try:
                self._programs.require(made_from)
            except BadState as problem:
                refused = refused or problem
            else:
                return made_from
        if refused is not None:
            raise refused
        return self._order.made_from

    def _program_ended(self, why: str) -> None:
        assert self._listening is not None
        self._listening.close()
        self._program = self._listening = None
        if self._over:
            return
        if self._reactor.seconds() - self._since >= LIVED:
            self._wait = FIRST_WAIT
        self.problem = f"the game's service {why} and is started again"
        self._told(f"the service of version {self._order.version} {why}; it is started again in {self._wait:g} s")
        self._log.info("service of game {game_id} {version} {why}", game_id=self._order.game_id, version=self._order.version, why=why)
        self._start_later()
        self._on_end(f"the game's service {why}")

    def _start_later(self) -> None:
        self._again = self._reactor.callLater(self._wait, self._start_again)
        self._wait = min(2 * self._wait, LONGEST_WAIT)

    def _start_again(self) -> None:
        self._again = None
        try:
            self._run()
        except BadState as refused:
            self.problem = refused.message
            self._start_later()

    def _stop_waiting(self) -> None:
        if self._again is not None:
            self._again.cancel()
            self._again = None


def _ended() -> BadState:
    return BadState("the game's service has been ended")
