"""GameServers: one program for each play, with its control connection (docs/protocol/game-port.md, "GameServers")."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred

from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.values import Participant, ServerEnd, ServerOrder

if TYPE_CHECKING:
    from gameroom.programs.programs import Programs
    from gameroom.settings import SandboxSettings, ServerSettings


class GameServers:
    """Starts GameServers, and ends them with the daemon.

    >>> gameservers = GameServers(programs=programs, reactor=reactor, settings=settings, sandbox=sandbox, random_bytes=urandom, log=logs.write)
    >>> server = await gameservers.start(order, ended=lambda end: room.over(end.reason, end.results))
    >>> link = server.link(entrant)
    """

    def __init__(
        self,
        *,
        programs: Programs,
        reactor: Any,
        settings: ServerSettings,
        sandbox: SandboxSettings,
        random_bytes: Callable[[int], bytes],
        log: Callable[[str, str], None],
    ) -> None:
        """`log(game_id, text)` writes to the developer's log."""
        raise NotImplementedError

    def check(self) -> None:
        """Raises `BadState` where programs cannot be run here."""
        raise NotImplementedError

    def start(self, order: ServerOrder, ended: Callable[[ServerEnd], None]) -> Deferred[GameServer]:
        """Fires with a GameServer that is ready. Cancelling it ends the program.

        `ended` is called once, later, when the GameServer ends the play or comes to an end; never after `GameServer.end` was called.
        Fails with `BadState` where it cannot be tried (no sandbox, no free port, a configuration that does not fit),
        and with `ServerError` where the GameServer does not get ready; its message is for a person.
        """
        raise NotImplementedError

    def stop(self) -> Deferred[None]:
        """End all of them, for good. Fires when none is left."""
        raise NotImplementedError


class GameServer:
    """A GameServer that plays one room."""

    token: str
    """The control token that its clients' CLIENT_AUTH carries."""
    port: int
    """Where it listens: on loopback, or on the direct interface."""
    direct: bool
    """Whether clients connect to it themselves."""

    def link(self, entrant: Participant, after: Deferred[None] | None = None) -> ServerLink:
        """A connection to it for this player, to be opened; `after` fires when an older one is gone. Raises `BadState` in direct mode."""
        raise NotImplementedError

    def players_are(self, players: Sequence[Participant]) -> None:
        """Somebody's seat is free for good: CONTROL is said again. Nothing where the GameServer is connected to directly."""
        raise NotImplementedError

    def end(self) -> Deferred[None]:
        """The room needs it no more: SIGTERM, 5 s, SIGKILL. Fires when the program is gone; again is fine.

        Where it has said that the play is finished, it has 5 s from then to end by itself.
        """
        raise NotImplementedError
