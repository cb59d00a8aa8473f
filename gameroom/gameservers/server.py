"""One GameServer that plays one room, from its program's start to its end (docs/protocol/game-port.md, "GameServers").

Theory. Two things tell of a GameServer: its control connection, and its program. When a program ends, the kernel closes its
connections, and either may be heard of first, with STATUS `finished` still to be read. So whichever of the two is gone first,
the other one has a moment to say what really happened.

    starting ──ready──> playing ──finished──> over: 5 s to end by itself, then as below
        └──any end──┴──any other end─────────> over: SIGTERM, 5 s, SIGKILL
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from gameroom.errors import BadState
from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.values import FINISHED, SERVER_CRASHED, SERVER_ENDED, Participant, ServerEnd
from gameroom.programs.ports import LOOPBACK
from gameroom.programs.program import CLEANLY

if TYPE_CHECKING:
    from gameroom.gameservers.control import ControlProtocol
    from gameroom.programs.program import Program

MOMENT: Final = 1.0
"""Seconds that the program and the control connection have to tell of one end, each its own side."""
FINISHED_SECONDS: Final = 5.0
"""That a GameServer whose play is finished has to end by itself."""
PATIENCE: Final = 5.0
"""Seconds between SIGTERM and SIGKILL."""
HURRY: Final = 1.0
"""The same where the daemon ends."""
DIRECT_SECONDS: Final = 0.5
"""A GameServer that clients connect to themselves says nothing to us: whose program is there after so long counts as ready.

What cannot even be begun (no such command, a fault in its code) has ended by then; clients that come earlier wait in its backlog.
"""


class NotReady(Exception):
    """The GameServer did not get ready; the message is a sentence about it."""


class _Phase(Enum):
    STARTING, PLAYING, OVER = "starting", "playing", "over"


class GameServer:
    """A GameServer that plays one room. Made by `GameServers.start`."""

    _log = Logger()

    def __init__(
        self,
        *,
        reactor: Any,
        room_id: str,
        token: str,
        port: int,
        program: Program,
        control: ControlProtocol | None,
        ended: Callable[[ServerEnd], None],
        told: Callable[[str], None],
    ) -> None:
        """`control` is None where clients connect to it themselves."""
        self.token = token
        """The control token that its clients' CLIENT_AUTH carries."""
        self.port = port
        """Where it listens: on loopback, or on the direct interface."""
        self.direct = control is None
        """Whether clients connect to it themselves."""
        self._reactor, self._room_id = reactor, room_id
        self._program, self._control = program, control
        self._on_end, self._told = ended, told
        self._phase = _Phase.STARTING
        self._ready: Deferred[None] = Deferred()
        self._timer: IDelayedCall | None = None
        """In STARTING until it must be ready, in OVER until SIGTERM."""
        self._moment: IDelayedCall | None = None
        self._why: str | None = None
        """How its program ended."""
        self._hung_up = False
        """Whether its control connection is lost."""
        self.over: Deferred[None] = Deferred()
        """Fires when its end is known; its program may live on for a while."""
        program.ended().addCallback(self._program_ended)

    def link(self, entrant: Participant, after: Deferred[None] | None = None) -> ServerLink:
        """A connection to it for this player, to be opened; `after` fires when an older one is gone. Raises `BadState` in direct mode."""
        if self.direct:
            raise BadState("clients connect to this game's server themselves")
        endpoint = TCP4ClientEndpoint(self._reactor, LOOPBACK, self.port)
        return ServerLink(endpoint=endpoint, clock=self._reactor, token=self.token, entrant=entrant, after=after, told=self._told)

    def players_are(self, players: Sequence[Participant]) -> None:
        """Somebody's seat is free for good: CONTROL is said again. Nothing where clients connect to it themselves."""
        if self._control is not None:
            self._control.players_are(players)

    def end(self, *, at_once: bool = False) -> Deferred[None]:
        """The room needs it no more: SIGTERM, 5 s, SIGKILL. Fires when the program is gone; again is fine.

        Where it has said that the play is finished, it still has its 5 s to end by itself.
        `at_once` is for the end of the daemon: there is no such time, and a second between SIGTERM and SIGKILL.
        """
        playing = self._phase is not _Phase.OVER
        if playing:
            self._leave()
        if playing or at_once:
            self._shut(HURRY if at_once else PATIENCE)
        return self._program.ended().addCallback(lambda _why: None)

    # Its beginning, for `GameServers`.

    def ready(self, within: float) -> Deferred[None]:
        """Fires when it is ready; fails with `NotReady`. May be cancelled, which ends nothing. To be called once."""
        if self._phase is _Phase.STARTING:
            if self._control is None:
                self._timer = self._reactor.callLater(min(DIRECT_SECONDS, within), self._play)
            else:
                self._timer = self._reactor.callLater(within, self._not_ready, within)
                self._control.ready().addCallbacks(lambda _: self._play(), lambda failure: None)
        return self._ready

    def control_ended(self, end: ServerEnd) -> None:
        """What its control connection says of its end."""
        if end.reason != SERVER_CRASHED:
            self._over(end)
        else:
            self._hung_up = True
            self._wait_for_the_other()

    def _play(self) -> None:
        if self._phase is _Phase.STARTING:
            self._stop_timers()
            self._phase = _Phase.PLAYING
            self._ready.callback(None)

    def _not_ready(self, within: float) -> None:
        self._told("the game's server did not say STATUS ready on its control connection")
        self._over(ServerEnd(reason=SERVER_CRASHED, message=f"the game's server was not ready within {within:g} s"))

    # Its end.

    def _program_ended(self, why: str) -> None:
        self._why = why
        if self._phase is _Phase.OVER:
            self._stop_timers()
            self._close_control()
        else:
            self._wait_for_the_other()

    def _wait_for_the_other(self) -> None:
        """One of the two is gone. Nothing more is to come once both are."""
        if self._phase is _Phase.OVER:
            return
        if self._why is not None and (self.direct or self._hung_up):
            self._settle()
        elif self._moment is None:
            self._moment = self._reactor.callLater(MOMENT, self._settle)

    def _settle(self) -> None:
        """Nobody said that it is finished: what its program tells is what happened."""
        why = "hung up its control connection" if self._why is None else self._why
        when = " before it was ready" if self._phase is _Phase.STARTING else ""
        reason = SERVER_ENDED if self._why == CLEANLY else SERVER_CRASHED
        self._over(ServerEnd(reason=reason, message=f"the game's server {why}{when}"))

    def _over(self, end: ServerEnd) -> None:
        """It has ended, or is to; told once."""
        if self._phase is _Phase.OVER:
            return
        starting = self._phase is _Phase.STARTING
        self._leave()
        if end.reason != FINISHED:
            self._told(end.message)
        if end.reason != FINISHED or starting:
            self._shut(PATIENCE)
        elif self._why is None:
            self._timer = self._reactor.callLater(FINISHED_SECONDS, self._shut, PATIENCE)
        else:
            self._close_control()
        if starting:
            self._ready.errback(NotReady(end.message))
            return
        try:
            self._on_end(end)
        except Exception:
            self._log.failure("the end of the GameServer of room {room_id} could not be told", room_id=self._room_id)

    def _leave(self) -> None:
        self._phase = _Phase.OVER
        self._stop_timers()
        self.over.callback(None)

    def _shut(self, patience: float) -> None:
        self._stop_timers()
        self._close_control()
        self._program.end(patience)

    def _close_control(self) -> None:
        if self._control is not None:
            self._control.close()

    def _stop_timers(self) -> None:
        for timer in (self._timer, self._moment):
            if timer is not None and timer.active():
                timer.cancel()
        self._timer = self._moment = None
