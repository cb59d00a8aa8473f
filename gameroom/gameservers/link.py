"""One client's connection to a GameServer, up to CONNECTED (docs/protocol/game-port.md, "AuthProxy")."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocol, IReactorTime, IStreamClientEndpoint, ITCPTransport

from gameroom.gameservers.values import Participant

WITHIN: Final = 10.0
"""Seconds that a GameServer has for being connected to and answering CLIENT_AUTH."""
FINISH_SECONDS: Final = 5.0
"""Seconds for which what a GameServer still says is passed on after the play."""
CLOSE_SECONDS: Final = 1.0
"""Seconds that a GameServer has for reading what it was sent, once the connection is to be closed."""


class ServerLink:
    """One client's connection to a GameServer.

    >>> link = ServerLink(endpoint=endpoint, clock=reactor, token=token, entrant=Participant(seat=0, id="ada", name="Ada"))
    >>> connected = await link.open()
    >>> link.take(Pipe(...))      # from here on the transport calls that protocol alone
    """

    on_finish: Callable[[], None]
    """Set by whoever takes it. Called once by `finish`: nothing of the client's is to be written to the transport from now on."""
    on_close: Callable[[], None]
    """Set by whoever takes it. Called once by `close`, before the transport is closed; not called when the GameServer hung up."""

    def __init__(
        self,
        *,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        token: str,
        entrant: Participant,
        after: Deferred[None] | None = None,
        within: float = WITHIN,
        told: Callable[[str], None] | None = None,
    ) -> None:
        """`told` is given lines for the developer's log: what the GameServer did that it must not."""
        raise NotImplementedError

    def open(self) -> Deferred[dict[str, Any]]:
        """Wait for `after`, connect, say TYPE and CLIENT_AUTH, and fire with the fields of CONNECTED: `{}` or `{"details": {…}}`.

        Fails with `BadState` where the GameServer cannot be reached, is silent for `within` seconds or says anything else,
        with the GameServer's own ERROR as the `GameroomError` of its code, and with `CancelledError` after `close`.
        """
        raise NotImplementedError

    def take(self, protocol: IProtocol) -> None:
        """From now on the transport's protocol is this one; what came behind CONNECTED is given to it first.

        Until then the transport is paused. The protocol's `connectionLost` calls `lost` of this link: nothing of it hears otherwise.
        A connection that is lost already is told to the protocol here.
        """
        raise NotImplementedError

    @property
    def transport(self) -> ITCPTransport:
        """The transport to the GameServer, once `open` has fired."""
        raise NotImplementedError

    def finish(self) -> None:
        """The play is over: no more from the client; what the GameServer still says is passed on for up to `FINISH_SECONDS`.

        `on_finish` is called, then our side is half-closed, then, unless the GameServer closes before, all of it as by `close`.
        Where nobody has taken it, it is closed.
        """
        raise NotImplementedError

    def close(self) -> None:
        """Close it: a newer connection takes over, or the member is gone. What is written already has `CLOSE_SECONDS` to be read."""
        raise NotImplementedError

    def lost(self) -> None:
        """For the protocol that took it: its connection to the GameServer is lost."""
        raise NotImplementedError

    def gone(self) -> Deferred[None]:
        """A new Deferred that fires once there is no connection to the GameServer any more, or never will be. It does not fail."""
        raise NotImplementedError
