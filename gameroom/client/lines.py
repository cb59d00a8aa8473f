"""A connection to a JSON-lines door (docs/client.md): requests and their answers, and pushes between them.

One line is one message: an answer has a `status`, a push has a `type`.
Answers come in the order of their requests, so requests may be sent ahead; a push may come between any two lines.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Self

import orjson
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IAddress, IReactorTime, IStreamClientEndpoint
from twisted.internet.protocol import Factory
from twisted.logger import Logger

from gameroom.client.pending import Unanswered
from gameroom.client.stream import ConnectionFailed, LineStream, in_words
from gameroom.deferring import deferring
from gameroom.errors import error_of

__all__ = ["ConnectionFailed", "LineClient"]

PATIENCE: Final = 30.0
"""Seconds that a server may be silent about a request, where the request says nothing else."""
CLOSES_WITHIN: Final = 5.0
"""Seconds that a server has to end a connection that we have ended."""

Payload = dict[str, Any]
OnPush = Callable[[Payload], None]


class LineClient:
    """One connection. `token`, once there is one, goes along with each request."""

    _log = Logger()

    def __init__(self, clock: IReactorTime) -> None:
        self.clock = clock
        self.token: str | None = None
        self._stream = LineStream(self._line, self._lost)
        self._unanswered = Unanswered(clock, self.give_up)
        self._on_push: dict[str, list[OnPush]] = {}
        self._on_lost: list[Callable[[str], None]] = []
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

    # Requests.

    def request(self, type: str, payload: Payload | None = None, *, timeout: float = PATIENCE) -> Deferred[Payload]:
        """Ask something. Fires with the ok payload.

        Fails with the `GameroomError` that the server answers, or with `ConnectionFailed`.
        `timeout` is in seconds, from when all earlier requests have their answers. Past it the connection is ended:
        answers come in order, so there would be no further one.
        """
        return self.send_line(type, self.line(type, payload or {}), timeout)

    def line(self, type: str, payload: Any) -> bytes:
        """A request as its line; `orjson.Fragment`s in the payload go in as they are."""
        envelope = {"type": type, "payload": payload}
        if self.token is not None:
            envelope["token"] = self.token
        return orjson.dumps(envelope, option=orjson.OPT_APPEND_NEWLINE)

    def send_line(self, type: str, line: bytes, timeout: float = PATIENCE) -> Deferred[Payload]:
        """As `request`, for a line that is made already."""
        if not self.connected:
            return fail(ConnectionFailed(self._gone or self._closing))
        answered = self._unanswered.add(type, timeout)
        self._stream.send(line)
        return answered

    def writable(self) -> Deferred[None] | None:
        """None, or where the connection is full what fires once it takes more (also when it is lost)."""
        return self._stream.writable()

    # Pushes, and the end.

    def on_push(self, type: str, callback: OnPush) -> Callable[[], None]:
        """Call `callback` with the payload of each push of this type; gives what stops that. Pushes that nobody wants are passed over."""
        callbacks = self._on_push.setdefault(type, [])
        callbacks.append(callback)
        return lambda: callbacks.remove(callback) if callback in callbacks else None

    def on_lost(self, callback: Callable[[str], None]) -> Callable[[], None]:
        """Call `callback` once the connection is gone, with why as a person reads it; at once if it is. Gives what takes that back."""
        if self._gone:
            callback(self._gone)
        else:
            self._on_lost.append(callback)
        return lambda: self._on_lost.remove(callback) if callback in self._on_lost else None

    @property
    def connected(self) -> bool:
        """Whether requests can be sent."""
        return not (self._gone or self._closing)

    def close(self) -> Deferred[None]:
        """End the connection, after what was sent. Requests without an answer fail. Fires once it is gone."""
        if self._gone:
            return succeed(None)
        gone: Deferred[None] = Deferred()
        self._on_lost.append(lambda _: gone.callback(None))
        if not self._closing:
            self._closing = "the connection was closed here"
            self._stream.close()
            self._unanswered.fail(self._closing)
            late = self.clock.callLater(CLOSES_WITHIN, self._stream.abort)
            self._on_lost.append(lambda _: late.cancel() if late.active() else None)
        return gone

    def give_up(self, why: str) -> None:
        """End the connection at once, because of `why`: requests fail with it."""
        if self.connected:
            self._closing = why
            self._stream.abort()
            self._unanswered.fail(why)

    # What comes.

    def _line(self, message: Payload) -> None:
        if "status" in message:
            self._answer(message)
        elif type(message.get("type")) is str:
            self._push(message["type"], message.get("payload"))
        else:
            raise ConnectionFailed("the server says what is neither an answer nor a push; is it a gameroom?")

    def _answer(self, message: Payload) -> None:
        payload = message.get("payload", {})
        if type(payload) is not dict or type(message.get("code")) is not int:
            raise ConnectionFailed("the server gives an answer that is none; is it a gameroom?")
        pending = self._unanswered.take()
        if pending is None:
            raise ConnectionFailed(f"the server ended the connection: {message.get('message', '')}")
        if pending.answered.called:
            return
        if message["status"] == "ok":
            pending.answered.callback(payload)
        else:
            pending.answered.errback(error_of(message["code"], str(message.get("message", "")), payload))

    def _push(self, type_: str, payload: Any) -> None:
        for callback in tuple(self._on_push.get(type_, ())):
            try:
                callback({} if payload is None else payload)
            except Exception:
                self._log.failure("what a {type} push is for has failed", type=type_)

    def _lost(self, why: str) -> None:
        self._gone = self._closing or why
        self._unanswered.fail(self._gone)
        callbacks, self._on_lost = self._on_lost, []
        for callback in callbacks:
            callback(self._gone)


class _One(Factory):
    """Makes the one stream of a client."""

    noisy = False

    def __init__(self, stream: LineStream) -> None:
        self._stream = stream

    def buildProtocol(self, addr: IAddress | None) -> LineStream:
        return self._stream
