"""Where a micro game service is that is being checked: a program that is run here as a daemon runs it, or one that runs already."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol, cast

import attrs
import click
from twisted.internet.defer import CancelledError
from twisted.internet.endpoints import TCP4ClientEndpoint, clientFromString
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.internet.task import deferLater

from gameroom.cli.check_service.caller import Caller
from gameroom.cli.output import shown
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState
from gameroom.gameservices.values import ServiceOrder
from gameroom.programs.ports import LOOPBACK, Ports
from gameroom.programs.program import Program
from gameroom.programs.programs import Programs
from gameroom.settings import SandboxSettings

CONNECTS_WITHIN: Final = 10.0
ENDS_WITHIN: Final = 2.0
"""Seconds between SIGTERM and SIGKILL."""
SETTLES_WITHIN: Final = 0.5
"""Seconds in which a program that has closed a connection is seen to end, where it does."""
_LOOKS_EVERY: Final = 0.02
_LINES_KEPT: Final = 8
_LONGEST_LINE: Final = 300

CLEARED: Final = "\r\x1b[K"
"""Takes away what was written on a terminal's last line."""

Make = Callable[[], Caller]


class Place(Protocol):
    """A service, wherever it runs."""

    can_restart: bool

    @property
    def ended(self) -> str:
        """How its program has ended; empty where it runs, or where that cannot be known."""

    async def begin(self) -> None:
        """Raises `BadState` where it cannot be run here."""

    async def connect(self, make: Make) -> Caller:
        """A new connection. Raises `ConnectionFailed`."""

    async def gone(self, within: float = SETTLES_WITHIN) -> str:
        """As `ended`, after a moment in which a program that has closed its connections may end."""

    async def again(self) -> None:
        """Its program is ended, where it still runs, and started anew. Raises `BadState`."""

    async def stop(self) -> None:
        """For good."""


class Heard:
    """What its program writes: shown as it comes, each line behind a |, but no more than `most` lines; and the last lines kept."""

    def __init__(self, most: int = 20) -> None:
        self._left = most
        self.last: deque[str] = deque(maxlen=_LINES_KEPT)

    def __call__(self, game_id: str, text: str) -> None:
        for line in text.splitlines():
            self.last.append(line[:_LONGEST_LINE])
            self._left -= 1
            if self._left >= 0:
                click.echo(f"{CLEARED if sys.stderr.isatty() else ''}| {shown(line[:_LONGEST_LINE])}", err=True)
            elif self._left == -1:
                click.echo("| … and more, which is not shown", err=True)
        sys.stderr.flush()


@attrs.define(kw_only=True)
class Elsewhere:
    """One that runs already."""

    reactor: Any
    endpoint: str
    can_restart: bool = False
    ended: str = ""

    async def begin(self) -> None:
        self._place()

    async def connect(self, make: Make) -> Caller:
        return await _connected(self.reactor, self._place(), make, self.endpoint)

    def _place(self) -> IStreamClientEndpoint:
        try:
            return cast("IStreamClientEndpoint", clientFromString(self.reactor, self.endpoint))
        except Exception as error:  # Twisted raises what it happens to
            raise BadState(
                f"{self.endpoint}: is no endpoint that can be connected to ({error}); write it as tcp:host:port, or tls:host:port"
            ) from None

    async def gone(self, within: float = SETTLES_WITHIN) -> str:
        return ""

    async def again(self) -> None:
        return None

    async def stop(self) -> None:
        return None


@attrs.define(kw_only=True)
class OfBundle:
    """The program of a bundle, run as a daemon runs it by `programs`, which are ended with it."""

    reactor: Any
    programs: Programs
    order: ServiceOrder
    can_restart: bool = True
    _ports: Ports = attrs.field(factory=lambda: Ports(SandboxSettings()))
    _program: Program | None = None
    _port: int = 0
    _why: str = ""

    @property
    def ended(self) -> str:
        return self._why

    async def begin(self) -> None:
        self._run()

    async def connect(self, make: Make) -> Caller:
        if self._program is None or not self._program.running:
            raise ConnectionFailed(f"its program {self._why or 'does not run'}")
        return await _connected(self.reactor, TCP4ClientEndpoint(self.reactor, LOOPBACK, self._port), make, "its program")

    async def gone(self, within: float = SETTLES_WITHIN) -> str:
        until = self.reactor.seconds() + within
        while not self._why and self.reactor.seconds() < until:
            await deferLater(self.reactor, _LOOKS_EVERY)
        return self._why

    async def again(self) -> None:
        if self._program is not None:
            await self._program.end(ENDS_WITHIN)
        self._run()

    async def stop(self) -> None:
        await self.programs.stop()

    def _run(self) -> None:
        with self._ports.loopback() as listening:
            self._port = listening.getsockname()[1]
            program = self.programs.run(self.order.program(listening))
        self._program, self._why = program, ""
        program.ended().addCallback(self._ended, program)

    def _ended(self, why: str, program: Program) -> None:
        if program is self._program:
            self._why = why


async def runnable(reactor: Any, locked: bool, heard: Heard) -> tuple[Programs, bool]:
    """What runs programs here, and whether in a sandbox, as it is where that is wanted and there is one."""
    if locked:
        programs = Programs(reactor=reactor, settings=SandboxSettings(), log=heard)
        await programs.start()
        try:
            programs.require()
        except BadState:
            await programs.stop()
            click.echo(
                "gameroom: there is no sandbox on this machine (bubblewrap, its program is bwrap), so the service runs with all that you may do",
                err=True,
            )
        else:
            return programs, True
    programs = Programs(reactor=reactor, settings=SandboxSettings(kind="none"), log=heard)
    await programs.start()
    return programs, False


async def _connected(reactor: Any, place: IStreamClientEndpoint, make: Make, name: str) -> Caller:
    """Raises `ConnectionFailed`."""
    connecting = place.connect(Factory.forProtocol(cast("Any", make)))
    patience = reactor.callLater(CONNECTS_WITHIN, connecting.cancel)
    try:
        return cast("Caller", await connecting)
    except (CancelledError, ConnectingCancelledError):
        if patience.active():
            raise CancelledError from None
        raise ConnectionFailed(f"{name} does not take the connection within {CONNECTS_WITHIN:g} s") from None
    except Exception as error:  # refused, no such host, TLS that fails, and what a plugin's endpoint may raise
        raise ConnectionFailed(f"{name} cannot be connected to: {' '.join(str(error).split()) or type(error).__name__}") from None
    finally:
        if patience.active():
            patience.cancel()
