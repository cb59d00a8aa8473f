"""AuthProxy alone, in front of GameServers of one's own (docs/protocol/game-port.md, "AuthProxy", and docs/embedding.md).

One's own way to validate an id and to determine the server takes the place of gameroom's accounts and rooms.
All that follows is as at the game port: TYPE and CLIENT_AUTH to the GameServer, its CONNECTED to the client, and then a byte pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Coroutine
from typing import TYPE_CHECKING, Any, ClassVar, cast

import attrs
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.internet.interfaces import IReactorTime, IStreamClientEndpoint

from gameroom.doors.envelope_protocol import EnvelopeProtocol
from gameroom.doors.streams import StreamFactory
from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.values import Participant
from gameroom.settings import Limits
from gameroom.wire import game_port as wire

if TYPE_CHECKING:
    from gameroom.metrics import Metrics

__all__ = ["AuthProxyFactory", "Destination", "Participant"]


@attrs.frozen(kw_only=True)
class Destination:
    """The GameServer of a client, and as whom the client goes there.

    The GameServer is told `token`, `id`, `seat` and `name`, and nothing else: what the client said in AUTH goes no further than `determine`.
    The rest is what the client's CONNECTED says of the room; all of it may be left out.
    """

    endpoint: IStreamClientEndpoint
    """Where the GameServer listens."""
    token: str
    """A secret that the GameServer knows, too: by it, it knows who may let clients in."""
    id: str
    """Who the client is, for the GameServer."""
    room_id: str = attrs.field(validator=attrs.validators.min_len(1))
    """What this play is called; the client is told."""
    seat: int = attrs.field(default=0, validator=attrs.validators.ge(0))
    name: str = ""
    game_id: str = ""
    version: str = ""
    players: tuple[Participant, ...] = ()
    """Who else plays; the client alone where nothing is said."""
    max_players: int = 0
    """As many as there are players where nothing is said."""
    party_code: str = ""

    @property
    def entrant(self) -> Participant:
        return Participant(seat=self.seat, id=self.id, name=self.name)

    def connected(self, said: dict[str, Any]) -> dict[str, Any]:
        """The fields of CONNECTED, with the `details` that the GameServer said in its own."""
        players = self.players or (self.entrant,)
        return {
            "room_id": self.room_id,
            "game_id": self.game_id,
            "version": self.version,
            "hosting": "server",
            "status": "PLAYING",
            "seat": self.seat,
            "players": [{"seat": player.seat, "name": player.name} for player in players],
            "max_players": self.max_players or len(players),
            "party_code": self.party_code,
            **said,
        }


Determine = Callable[[str], Destination | Deferred[Destination] | Coroutine[Deferred[Any], Any, Destination]]


class AuthProxyProtocol(EnvelopeProtocol):
    """One client: AUTH, and then its pipe. After an ERROR it may say AUTH again."""

    factory: AuthProxyFactory
    says: ClassVar[Collection[int]] = (wire.AUTH,)

    _determining: Deferred[Destination] | None = None
    _gone = False

    def take(self, type: int, en: int, data: bytes) -> Deferred[None]:
        return Deferred.fromCoroutine(self._auth(self.decode(type, en, data)["id"], en))

    async def _auth(self, id: str, en: int) -> None:
        self._determining = maybeDeferred(self.factory.determine, id)
        try:
            destination = await self._determining
        except CancelledError:
            if self._gone:
                return
            raise
        finally:
            self._determining = None
        self.proved()
        link = ServerLink(endpoint=destination.endpoint, clock=self.factory.clock, token=destination.token, entrant=destination.entrant)
        await self.join(link, lambda said: wire.encode(wire.CONNECTED, destination.connected(said), en), en)

    def lost(self) -> None:
        self._gone = True
        if self._determining is not None:
            self._determining.cancel()


class AuthProxyFactory(StreamFactory):
    """AuthProxy in three lines:

        proxy = AuthProxyFactory(determine=determine, clock=reactor)
        serverFromString(reactor, "tcp:7002").listen(proxy)

    `determine(id)` is given what a client says in AUTH and gives its `Destination`, at once or by a Deferred or coroutine.
    What it raises or fails with is told to the client: a `GameroomError` as it is (`Unauthorized` for a bad id, three of which end the
    connection; `BadState` where there is no server for it now), anything else as 199, and it is logged.
    A Deferred that it gave is cancelled where the client goes away meanwhile.

    `limits` is called for each connection.
    """

    def __init__(
        self,
        *,
        determine: Determine,
        clock: IReactorTime,
        limits: Callable[[], Limits] = Limits,
        metrics: Metrics | None = None,
        door: str = "authproxy",
    ) -> None:
        """`door` is what logs and metrics call it."""
        super().__init__(door=door, clock=clock, limits=limits, metrics=metrics)
        self.determine = cast("Callable[[str], Deferred[Destination]]", determine)

    def make(self, address: str, leave: Callable[[], None]) -> AuthProxyProtocol:
        return AuthProxyProtocol(self, address, leave)
