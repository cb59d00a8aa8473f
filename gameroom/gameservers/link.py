"""One client's connection to a GameServer, up to CONNECTED (docs/protocol/game-port.md, "AuthProxy").

Theory. A link goes one way:

    new ──open──> opening ──CONNECTED──> open ──take──> taken ──finish──> finishing
     └───────────────┴─────────close───────┴──────────────┴──────────────────┴──────> closing ──> gone

From `take` on the transport calls the taker's protocol and nothing of ours: the bytes pass through no line of this module.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import IntEnum
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, fail
from twisted.internet.error import ConnectingCancelledError
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, ISSLTransport, IStreamClientEndpoint, ITCPTransport
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from gameroom.errors import BadState, GameroomError, InvalidRequest, error_of
from gameroom.gameservers.values import Participant, one_line
from gameroom.wire import game_port
from gameroom.wire.envelope import Envelope, EnvelopeReader

WITHIN: Final = 10.0
"""Seconds that a GameServer has for being connected to and answering CLIENT_AUTH."""
FINISH_SECONDS: Final = 5.0
"""Seconds for which what a GameServer still says is passed on after the play."""
CLOSE_SECONDS: Final = 1.0
"""Seconds that a GameServer has for reading what it was sent, once the connection is to be closed."""

_CLOSED: Final = "your way to the game's server was closed: the play is over, you have left, or a newer connection has taken your place"


class _Step(IntEnum):
    NEW, OPENING, OPEN, TAKEN, FINISHING, CLOSING, GONE = range(7)


def _nothing() -> None: ...


class ServerLink:
    """One client's connection to a GameServer.

    >>> link = ServerLink(endpoint=endpoint, clock=reactor, token=token, entrant=Participant(seat=0, id="ada", name="Ada"))
    >>> connected = await link.open()
    >>> link.take(protocol)      # from here on the transport calls that protocol alone
    """

    def __init__(
        self,
        *,
        endpoint: IStreamClientEndpoint,
        clock: IReactorTime,
        token: str,
        entrant: Participant,
        after: Deferred[None] | None = None,
        within: float = WITHIN,
        told: Callable[[str], None] = lambda line: None,
    ) -> None:
        """`told` is given lines for the developer's log: what the GameServer did that it must not."""
        self._endpoint, self._clock, self._after, self._within, self._told = endpoint, clock, after, within, told
        self._seat = entrant.seat
        auth = {"id": entrant.id, "seat": entrant.seat, "name": entrant.name, "token": token}
        self._hello = game_port.encode(game_port.TYPE, {"type": "client"}) + game_port.encode(game_port.CLIENT_AUTH, auth)
        self._step = _Step.NEW
        self._opening: Deferred[dict[str, Any]] | None = None
        self._greeting: _Greeting | None = None
        self._timer: IDelayedCall | None = None
        """To the next step of its end."""
        self._waiting: list[Deferred[None]] = []
        """For those who wait until it is gone."""
        self.on_finish: Callable[[], None] = _nothing
        """Set by whoever takes it. Called once by `finish`: nothing of the client's is to be written to the transport from now on."""
        self.on_close: Callable[[], None] = _nothing
        """Set by whoever takes it. Called once by `close`, before the transport is closed; not where the GameServer hung up first."""

    def open(self) -> Deferred[dict[str, Any]]:
        """Wait for `after`, connect, say TYPE and CLIENT_AUTH, and fire with the fields of CONNECTED: `{}` or `{"details": {…}}`.

        Fails with `BadState` where the GameServer cannot be reached, is silent for `within` seconds or says anything else,
        and after `close`; with the GameServer's own ERROR as the `GameroomError` of its code; with `CancelledError` where it was cancelled.
        To be called once.
        """
        if self._step is not _Step.NEW:
            return fail(BadState(_CLOSED))
        self._step = _Step.OPENING
        self._opening = Deferred.fromCoroutine(self._open())
        return self._opening

    def take(self, protocol: IProtocol) -> None:
        """From now on the transport's protocol is this one; what came behind CONNECTED is given to it first.

        Until then the transport is paused. The protocol's `connectionLost` calls `lost` of this link: nothing of it hears otherwise.
        A connection that is lost already is told to the protocol here.
        """
        greeting = self._greeting
        if greeting is None or self._step in (_Step.OPENING, _Step.TAKEN, _Step.FINISHING):
            raise RuntimeError("a link is taken once, when it is open")
        transport, early, lost, opened = greeting.transport, greeting.early, greeting.lost, self._step is _Step.OPEN
        greeting.early = b""
        if isinstance(transport, ProtocolWrapper):  # TLS, as Twisted makes it
            transport.wrappedProtocol = protocol
        else:
            transport.protocol = protocol
        protocol.makeConnection(transport)
        if opened:
            self._step = _Step.TAKEN
            # Before the early bytes, since the taker may pause it again for those.
            transport.resumeProducing()
        if early and (opened or lost is not None):
            protocol.dataReceived(early)
        if lost is not None:
            protocol.connectionLost(lost)

    @property
    def transport(self) -> ITCPTransport:
        """The transport to the GameServer. There is one once `open` has fired."""
        assert self._greeting is not None
        return self._greeting.transport  # type: ignore[no-any-return]

    @property
    def finishing(self) -> bool:
        """Whether `finish` was called and the connection is not closed yet."""
        return self._step is _Step.FINISHING

    def finish(self) -> None:
        """The play is over: no more from the client; what the GameServer still says is passed on for up to `FINISH_SECONDS`.

        `on_finish` is called, then our side is half-closed, then, unless the GameServer closes before, all of it as by `close`.
        Where nobody has taken it, it is closed.
        """
        if self._step < _Step.TAKEN:
            self.close()
        elif self._step is _Step.TAKEN:
            self._step = _Step.FINISHING
            self._timer = self._clock.callLater(FINISH_SECONDS, self._finished)
            self.on_finish()
            # TLS knows no half-closing; and the taker may have closed it.
            transport: Any = self.transport
            if self.finishing and ITCPTransport.providedBy(transport) and not ISSLTransport.providedBy(transport):
                transport.loseWriteConnection()

    def close(self) -> None:
        """Close it: a newer connection takes over, or the member is gone. What is written already has `CLOSE_SECONDS` to be read.

        Again is fine.
        """
        before = self._step
        if before >= _Step.CLOSING:
            return
        self._step = _Step.CLOSING
        if before is _Step.OPENING:
            assert self._opening is not None
            self._opening.cancel()
            return
        if before in (_Step.TAKEN, _Step.FINISHING):
            self.on_close()
        self._hang_up()

    def lost(self) -> None:
        """For the protocol that took it: its connection to the GameServer is lost. Again is fine."""
        self._step = _Step.GONE
        self._stop_timer()
        waiting, self._waiting = self._waiting, []
        for gone in waiting:
            gone.callback(None)

    def gone(self) -> Deferred[None]:
        """A new Deferred that fires once there is no connection to the GameServer any more, or never will be. It does not fail."""
        gone: Deferred[None] = Deferred()
        if self._step is _Step.GONE:
            gone.callback(None)
        else:
            self._waiting.append(gone)
        return gone

    # On the way to CONNECTED.

    async def _open(self) -> dict[str, Any]:
        try:
            if self._after is not None:
                await self._after
                if self._step is not _Step.OPENING:
                    # `after` was fired by being cancelled, as a DeferredList is.
                    raise CancelledError
            fields = await Deferred.fromCoroutine(self._converse()).addTimeout(self._within, self._clock)
        except TimeoutError:
            self._hang_up()
            raise self._refused(f"did not answer within {self._within:g} s") from None
        except Exception as error:
            closed = self._step >= _Step.CLOSING and isinstance(error, CancelledError)
            self._hang_up()
            if closed:
                raise BadState(_CLOSED) from None
            raise
        self._step = _Step.OPEN
        return fields

    async def _converse(self) -> dict[str, Any]:
        greeting = self._greeting = await self._connect()
        envelope = await greeting.first
        if envelope is None:
            raise self._refused("hung up before it said CONNECTED")
        try:
            return _fields_of(envelope)
        except InvalidRequest as problem:
            raise self._refused(f"said what is no CONNECTED: {problem.message}") from None
        except _Refusal as refusal:
            raise refusal.error from None

    async def _connect(self) -> _Greeting:
        try:
            greeting: Any = await self._endpoint.connect(_GreetingFactory(self))
        except (CancelledError, ConnectingCancelledError):
            raise CancelledError from None
        except Exception as error:  # whatever an endpoint fails with, here it is one thing
            raise self._refused(f"cannot be reached: {one_line(str(error))}", "cannot be reached") from None
        assert isinstance(greeting, _Greeting)
        return greeting

    def _refused(self, what: str, told: str = "") -> BadState:
        """What the client is told; the developer's log has it, too."""
        self._told(f"the player of seat {self._seat} was not let in: the game's server {what}")
        return BadState(f"the game's server {told or what}; try again in a moment, or tell the game's developer")

    # On the way to its end.

    def _finished(self) -> None:
        self._timer = None
        self.close()

    def _hang_up(self) -> None:
        """Close the connection once what was written is read, or at last without that; there may be none."""
        self._step = max(self._step, _Step.CLOSING)
        self._stop_timer()
        if self._greeting is None or self._greeting.lost is not None or self._step is _Step.GONE:
            self.lost()
            return
        transport = self._greeting.transport
        transport.unregisterProducer()
        self._timer = self._clock.callLater(CLOSE_SECONDS, self._give_up)
        transport.loseConnection()

    def _give_up(self) -> None:
        self._timer = None
        assert self._greeting is not None
        self._greeting.transport.abortConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class _Refusal(Exception):
    """The GameServer does not let this client in, and says why."""

    def __init__(self, error: GameroomError) -> None:
        super().__init__(error.message)
        self.error = error


def _fields_of(envelope: Envelope) -> dict[str, Any]:
    """Of CONNECTED, what a GameServer has to say with it. Raises `_Refusal` for an ERROR and `InvalidRequest` for anything else."""
    if envelope.type not in (game_port.CONNECTED, game_port.ERROR):
        raise InvalidRequest(f"it was {game_port.name_of(envelope.type)}")
    if envelope.type == game_port.CONNECTED:
        return game_port.decode_details(envelope)
    said = game_port.decode(envelope)
    raise _Refusal(error_of(said["code"], one_line(said["message"]) or "the game's server refuses this player", said))


class _Greeting(Protocol):
    """The connection up to its first envelope; then it is paused and waits to be taken."""

    transport: Any

    def __init__(self, link: ServerLink) -> None:
        self._link = link
        self._reader: EnvelopeReader | None = EnvelopeReader()
        self.first: Deferred[Envelope | None] = Deferred()
        """The first envelope, None where the connection is lost before."""
        self.early = b""
        """What came behind it."""
        self.lost: Failure | None = None

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.write(self._link._hello)

    def dataReceived(self, data: bytes) -> None:
        if self._reader is None:
            self.early += data  # what was read before it was paused
            return
        self._reader.feed(data)
        try:
            envelope = self._reader.next()
        except InvalidRequest as problem:
            self._end_reading()
            self.first.errback(self._link._refused(f"said what is no CONNECTED: {problem.message}"))
            return
        if envelope is not None:
            self.early = self._reader.rest()
            self._end_reading()
            self.first.callback(envelope)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.lost = reason
        self._link.lost()
        if self._reader is not None:
            self._reader = None
            self.first.callback(None)

    def _end_reading(self) -> None:
        self._reader = None
        self.transport.pauseProducing()


class _GreetingFactory(Factory):
    noisy = False

    def __init__(self, link: ServerLink) -> None:
        self._link = link

    def buildProtocol(self, addr: object) -> _Greeting:
        return _Greeting(self._link)
