"""A connection that speaks in envelopes: made, ended, asked whether it is alive."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Self

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.client.envelope_stream import EnvelopeStream
from gameroom.client.stream import ConnectionFailed, in_words
from gameroom.deferring import deferring
from gameroom.errors import InvalidRequest
from gameroom.wire import game_port
from gameroom.wire.envelope import RAW, Envelope, to_bytes

CLOSES_WITHIN: Final = 5.0
"""Seconds that a server has to end a connection that we have ended."""


class EnvelopeClient:
    """One connection. Who inherits hears its envelopes in `_envelope`."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self._stream = EnvelopeStream(clock, self._take, self._lost)
        self._on_lost: list[Callable[[str], None]] = []
        self._pings: deque[tuple[float, Deferred[float]]] = deque()
        self._gone = "it was never made"
        self._closing = ""

    @classmethod
    def connect(cls, endpoint: IStreamClientEndpoint, clock: IReactorTime) -> Deferred[Self]:
        """Connect. Fires with the client; fails with `ConnectionFailed`."""
        return cls(clock)._connect(endpoint)

    @deferring
    async def _connect(self, endpoint: IStreamClientEndpoint) -> Self:
        try:
            await endpoint.connect(_One(self._stream))
        except Exception as error:
            raise ConnectionFailed(f"cannot connect: {in_words(error)}") from None
        self._gone = self._gone if self._stream.ended else ""
        return self

    @property
    def connected(self) -> bool:
        """Whether anything can be said."""
        return not (self._gone or self._closing)

    def require(self) -> None:
        """Raises `ConnectionFailed` where nothing can be said any more."""
        if not self.connected:
            raise ConnectionFailed(self._gone or self._closing)

    def writable(self) -> Deferred[None] | None:
        """None, or where the connection is full what fires once it takes more (also when it is lost)."""
        return self._stream.writable()

    def ping(self) -> Deferred[float]:
        """Fires with the seconds until the server has answered; fails with `ConnectionFailed`."""
        if not self.connected:
            return fail(ConnectionFailed(self._gone or self._closing))
        answered: Deferred[float] = Deferred(lambda _: None)
        self._pings.append((self.clock.seconds(), answered))
        self._stream.send(to_bytes(game_port.PING, b"", RAW))
        return answered

    def on_lost(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` once the connection is gone, with why as a person reads it; at once if it is. Gives what takes that back."""
        if self._gone:
            callback(self._gone)
            return lambda: None
        return self._added(self._on_lost, callback)

    def close(self) -> Deferred[None]:
        """End the connection, after what was sent. What has no answer fails. Fires once it is gone."""
        if self._gone:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._on_lost.append(lambda _: gone.callback(None))
        if not self._closing:
            self._closing = "the connection was closed here"
            self._stream.close()
            self._fail(self._closing)
            late = self.clock.callLater(CLOSES_WITHIN, self._stream.abort)
            self._on_lost.append(lambda _: late.cancel() if late.active() else None)
        return gone

    # What comes.

    def _take(self, envelope: Envelope) -> None:
        try:
            self._envelope(envelope)
        except InvalidRequest as error:
            raise ConnectionFailed(f"the server says what this program cannot read: {error.message}") from None

    def _envelope(self, envelope: Envelope) -> None:
        """PING, PONG, and what a newer server may say. May raise `InvalidRequest` and `ConnectionFailed`."""
        if envelope.type == game_port.PING:
            self._stream.send(to_bytes(game_port.PONG, envelope.data, envelope.en))
        elif envelope.type == game_port.PONG and self._pings:
            asked, answered = self._pings.popleft()
            if not answered.called:
                answered.callback(self.clock.seconds() - asked)

    def _fail(self, why: str) -> None:
        """There will be no answers."""
        pings, self._pings = self._pings, deque()
        for _, answered in pings:
            if not answered.called:
                answered.errback(Failure(ConnectionFailed(why)))

    def _lost(self, why: str) -> None:
        self._gone = self._closing or why
        self._fail(self._gone)
        callbacks, self._on_lost = self._on_lost, []
        for callback in callbacks:
            callback(self._gone)

    def _tell(self, callbacks: list[Any], *told: Any) -> None:
        """Whatever becomes of one does not keep the others from hearing it."""
        for callback in tuple(callbacks):
            try:
                callback(*told)
            except Exception:
                self._log.failure("what was to be told of a message has failed")

    @staticmethod
    def _added(callbacks: list[Any], callback: Any) -> Callable[[], None]:
        """Gives what takes it back."""
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None


class _One(Factory):
    """Makes the one stream of a client."""

    noisy = False

    def __init__(self, stream: EnvelopeStream) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> EnvelopeStream:
        return self._stream
