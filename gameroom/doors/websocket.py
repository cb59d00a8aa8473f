"""Room sockets as a factory: below a `WebSite`, or on an endpoint of its own (docs/protocol/rooms.md)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from gameroom.doors.origins import may_come_from
from gameroom.doors.peers import PeerCount, TrustedProxies, address_of
from gameroom.doors.room_socket import SUBPROTOCOL, IsConversation, RoomSocket
from gameroom.room_conversation import RoomConversation
from gameroom.settings import Addresses, Limits, WebSettings


class RoomSocketFactory(WebSocketServerFactory):
    """Room sockets, below a `WebSite` or on an endpoint of their own.

    To have rooms in another Twisted program::

        factory = RoomSocketFactory(registry=registry, clock=reactor, limits=Limits)
        endpoint = serverFromString(reactor, "tcp:8081")
        endpoint.listen(factory)

    `limits` is called for each new connection. `conversation` makes what a connection talks to.
    """

    protocol = RoomSocket
    noisy = False

    def __init__(
        self,
        *,
        registry: Any,
        clock: IReactorTime,
        limits: Callable[[], Limits],
        web: WebSettings | None = None,
        addresses: Addresses | None = None,
        peers: PeerCount | None = None,
        metrics: Any = None,
        conversation: Callable[..., IsConversation] = RoomConversation,
    ) -> None:
        super().__init__(protocols=[SUBPROTOCOL], server="", reactor=clock)
        self.clock = clock
        self.limits = limits
        self._registry = registry
        self._web = web or WebSettings()
        self._addresses = addresses
        self._metrics = metrics
        self._conversation = conversation
        self._proxies = TrustedProxies(self._web.trusted_proxies)
        self._peers = peers or PeerCount(lambda: limits().connections_per_address)
        self._in_force: Callable[[], Limits] | None = None
        """Gives the limits of the newest connection: one function for all that have the same."""
        self._sockets: set[RoomSocket] = set()
        self._round = LoopingCall(self._look_at_clock)
        self._round.clock = clock
        self._waiting: list[Deferred[None]] = []
        if metrics is not None:
            metrics.queued("web", self.queued_bytes)
        # Its timers are off: each socket looks at our clock.
        self.setProtocolOptions(
            versions=[13],
            webStatus=False,
            failByDrop=False,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            perMessageCompressionAccept=lambda offers: None,
            allowNullOrigin=False,
        )
        self.pristine = WebSocketServerProtocol()
        """A connection as autobahn begins it: what all have in common while they are open."""
        self.pristine.factory = self
        self.pristine._connectionMade()
        self.pristine.websocket_version = 13
        self.protocol = self.protocol.resting_as(self.pristine)

    # -- new connections

    def buildProtocol(self, addr: Any) -> RoomSocket | None:
        """For an endpoint of our own. Under a `WebSite` see `socket_for`."""
        return self.socket_for(address_of(addr))

    def socket_for(self, address: str, leave: Callable[[], None] | None = None) -> RoomSocket | None:
        """A protocol for a peer, or None where its address has too many; `leave` where it is counted already."""
        upgraded = leave is not None
        if leave is None:
            leave = (lambda: None) if self._proxies.trusts(address) else self._peers.enter(address)
            if leave is None:
                return None
        socket = self.protocol(address, leave, upgraded)
        socket.factory = self
        return socket

    def allows(self, origin: str, host: str) -> bool:
        """Whether a page of this origin may connect."""
        own = [self._addresses.public_url] if self._addresses is not None and self._addresses.public_url else []
        return may_come_from(origin, host, [*own, *self._web.origins])

    def converse(self, socket: RoomSocket, limits: Limits) -> IsConversation:
        if self._in_force is None or self._in_force() is not limits:
            self._in_force = lambda: limits
        return self._conversation(registry=self._registry, connection=socket, room_id=socket.room_id, limits=self._in_force)

    # -- those there are

    def arrived(self, socket: RoomSocket) -> None:
        self._sockets.add(socket)
        if not self._round.running:
            self._round.start(1.0, now=False)
        if self._metrics is not None and not socket.upgraded:
            self._metrics.connection_opened("web")

    def departed(self, socket: RoomSocket) -> None:
        self._sockets.discard(socket)
        if self._metrics is not None:
            self._metrics.connection_closed("web", socket.why)
        if not self._sockets:
            if self._round.running:
                self._round.stop()
            waiting, self._waiting = self._waiting, []
            for gone in waiting:
                gone.callback(None)

    @property
    def going_down(self) -> bool:
        """Whether the last sockets are waited for; who still comes is sent away like them."""
        return bool(self._waiting)

    def queued_bytes(self) -> int:
        """Bytes that wait for slow readers, for the metrics."""
        return sum(socket.queued_bytes for socket in self._sockets)

    def go_away(self) -> Deferred[None]:
        """The daemon goes down: close every socket with 1001. Fires when all are gone, after `CLOSING_GRACE` and a second at the most."""
        if not self._sockets:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._waiting.append(gone)
        for socket in tuple(self._sockets):
            socket.go_away()
        return gone

    def stopFactory(self) -> None:
        self.go_away()
        super().stopFactory()

    def _look_at_clock(self) -> None:
        now = self.clock.seconds()
        for socket in tuple(self._sockets):
            socket.look_at_clock(now)
