"""Envelopes over a stream: what the game port and an AuthProxy of one's own have in common (docs/protocol/game-port.md).

Envelopes are carried out one after another.
While one waits for something, or the peer does not read its answers, no further envelope is carried out or read.
Once a play is at a GameServer the connection is a byte pipe to it, and nothing here reads or writes any more.

A subclass of `EnvelopeProtocol` says three things:

- `says`: the types below 32 that a client may say here, beside PING, PONG and ERROR, which are seen to here.
- `take(type, en, data)`: carry out one of these. What it raises, or what the Deferred that it gives fails with, is told by ERROR.
- `lost()`: the connection is gone; called once.

It calls `say` with whole envelopes, `proved()` once a token was good, `refuse` to end it with an ERROR, and `join` to make it a pipe.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.doors.pipe import Pipe
from gameroom.doors.streams import GOING_DOWN, StreamFactory, StreamProtocol
from gameroom.errors import BadState, GameroomError, InvalidRequest, RateLimited, ServerError, Unauthorized
from gameroom.rules.limits import Flood
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, MOST_BYTES, Envelope, EnvelopeReader, WrongVersion, to_bytes

if TYPE_CHECKING:
    from gameroom.gameservers.link import ServerLink

AT_ONCE = 64
"""So many envelopes of one connection are taken before the others have their turn: one read can bring 10,000."""

Greet = Callable[[dict[str, Any]], bytes]
"""Makes a CONNECTED, as the client is to get it, of what the GameServer said in its own."""


class Malformed(InvalidRequest):
    """What no client of ours says; while it has not shown a token it is sent away."""


class EnvelopeProtocol(StreamProtocol):
    """One connection."""

    __slots__ = ("_flood", "_link", "_misses", "_pipe", "_reader", "_waiting", "_working", "greeted", "is_proved")

    says: ClassVar[Collection[int]] = ()
    _log = Logger()

    def __init__(self, factory: StreamFactory, address: str, leave: Callable[[], None]) -> None:
        super().__init__(factory, address, leave)
        self.is_proved = False
        """Whether a token was good here, once."""
        self._reader = EnvelopeReader(min(MOST_BYTES, factory.limits().unauthenticated_bytes))
        self._flood: Flood | None = None
        self._misses = 0
        self._waiting = self._working = False
        """Whether something is under way that has to be done before the next envelope is taken; whether envelopes are just being taken."""
        self._link: ServerLink | None = None
        """The way to a GameServer, from when it is being opened."""
        self._pipe: Pipe | None = None
        self.greeted = False
        """Whether a GameServer's CONNECTED was said, behind which nothing of ours may stand."""

    # What a subclass says.

    def take(self, type: int, en: int, data: bytes) -> Deferred[None] | None:
        """Carry out an envelope. With a Deferred no further one is taken until it has fired."""
        raise NotImplementedError

    def count(self) -> None:
        """Count an envelope to whoever sends it, before it is taken; raises `RateLimited`. Here it counts to the connection."""
        if self._flood is None:
            self._flood = Flood(self.factory.limits().messages_per_second)
        try:
            self._flood.count(self.factory.clock.seconds())
        except RateLimited as error:
            if self._flood.storms:
                self.refuse(error, "flood")
            raise

    def counts(self, type: int) -> bool:
        """Whether `count` is to be called for an envelope of this type."""
        return True

    def not_joined(self) -> None:
        """The GameServer could not be reached or refused, and the client was told; it may try again."""

    # What a subclass calls.

    def say(self, envelopes: bytes) -> None:
        """Give the client these, now or after all that waits already; nothing once it ends, or is at its GameServer. Never raises."""
        if not self.ending and not self.greeted:
            self.outbox.send(envelopes)

    def proved(self) -> None:
        """A token was good: from now on this is no stranger."""
        super().proved()
        self.is_proved = True
        self._reader.most = MOST_BYTES

    def refuse(self, error: GameroomError, why: str, en: int = JSON) -> None:
        """Tell the client, then end the connection; `why` is for the log. Into a pipe nothing is said."""
        self.say(wire.error(error, en))
        self.end(why)

    def end(self, why: str) -> None:
        if self.ending:
            return
        link, self._link = self._link, None
        if link is not None:
            link.close()
        if self._pipe is None:
            super().end(why)
            return
        # The pipe writes what is queued, and closes.
        self.ending = why
        if why == GOING_DOWN:
            self.linger()

    def leave_off(self) -> None:
        if self._pipe is not None:
            self._pipe.hurry()
        super().leave_off()

    def join(self, link: ServerLink, greet: Greet, en: int = JSON) -> Deferred[None]:
        """Open the link and make this connection a pipe to the GameServer, behind its CONNECTED.

        No envelope is taken from now on. Where the link does not open the client is told by ERROR, and `not_joined` is called.
        The Deferred fires when one or the other is so; it does not fail.
        """
        if self.ending:
            link.close()
            return succeed(None)
        self._link = link
        self._pause_unless_free()
        return Deferred.fromCoroutine(self._join(link, greet, en)).addErrback(self._broke)

    @property
    def joining(self) -> bool:
        """Whether this connection is a pipe to a GameServer, or about to become one."""
        return self._link is not None

    # What comes.

    def received(self, data: bytes) -> None:
        self._reader.feed(data)
        self.go_on()

    def said_all(self) -> None:
        self.go_on()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        link, self._link = self._link, None
        if link is not None and self._pipe is None:
            link.close()
        super().connectionLost(reason)

    def reads_again(self) -> None:
        self.go_on()

    def never_proved(self) -> None:
        self.refuse(Unauthorized("a token did not come in time; connect again, and say AUTH, HOST or JOIN at once"), "never authorized")

    # One envelope after the other.

    @property
    def between(self) -> bool:
        """Whether all that came was taken, and what comes next may be taken at once."""
        return self._met and not self._reader.buffered and self.free

    @property
    def free(self) -> bool:
        """Whether the next envelope may be taken now."""
        return not (self._waiting or self._working or self.ending or self.outbox.paused) and self._link is None

    def go_on(self) -> None:
        """Take envelopes until none is whole, one has to wait for something, the client does not read, or it is others' turn."""
        if not self.free:
            self._pause_unless_free()
            return
        self._working = True
        left = AT_ONCE
        try:
            for type_, en, data in self._reader:
                left -= 1
                self._carry_out(type_, en, data)
                if not (left or self._waiting):
                    self._take_turns()
                if self._waiting or self.ending or self._link is not None or self.outbox.paused:
                    break
        except GameroomError as error:
            # Where the next envelope begins is not known.
            self.refuse(error, "wrong version" if isinstance(error, WrongVersion) else "envelope too long")
        finally:
            self._working = False
        self._settle()

    def _settle(self) -> None:
        """As much was taken as could be."""
        if not self.free:
            self._pause_unless_free()
        elif self.half_closed:
            self.heard_all()
        else:
            self.read(True)

    def heard_all(self) -> None:
        """All that the client said was carried out, and it says no more."""
        self.end("done")

    def _pause_unless_free(self) -> None:
        """What is sent ahead waits with its sender."""
        if not (self.ending or self._working) and self._pipe is None:
            self.read(False)

    def _take_turns(self) -> None:
        self._waiting = True
        self.factory.clock.callLater(0, self._done)

    def _done(self) -> None:
        self._waiting = False
        self.go_on()

    def _carry_out(self, type_: int, en: int, data: bytes) -> None:
        """Take one envelope, and answer it where it fails. Never raises."""
        try:
            result = self._do(type_, en, data)
        except Exception as error:
            self._failed(type_, en, error)
            return
        if result is None:
            self._counted(type_, 0)
            return
        self._waiting = True
        result.addCallbacks(
            lambda _: self._counted(type_, 0), lambda failure: self._failed(type_, en, failure.value or ServerError(incident=str(uuid4())))
        ).addCallback(lambda _: self._done())

    def _do(self, type_: int, en: int, data: bytes) -> Deferred[None] | None:
        if self.counts(type_):
            self.count()
        if en == 3:
            raise Malformed("en 3 is reserved; say JSON with en 1 or Protocol Buffers with en 2")
        if type_ >= wire.FIRST_OF_GAME:
            raise BadState("there is no GameServer to pass this on to; it is after CONNECTED with the status PLAYING")
        if type_ in self.says:
            return self.take(type_, en, data)
        if type_ == wire.PING:
            if len(data) > wire.PING_BYTES:
                raise Malformed(f"a PING carries at most {wire.PING_BYTES} bytes")
            self.say(to_bytes(wire.PONG, data, en))
        elif type_ not in (wire.PONG, wire.ERROR):
            raise Malformed(f"a client does not say {wire.name_of(type_)} here")
        return None

    def decode(self, type: int, en: int, data: bytes) -> dict[str, Any]:
        """The message of an envelope; raises `Malformed`."""
        try:
            return wire.decode(Envelope(type, data, en))
        except InvalidRequest as error:
            raise Malformed(error.message, pointer=error.pointer) from None

    def _failed(self, type_: int, en: int, error: BaseException) -> None:
        """What was said could not be done, whatever it was that failed."""
        problem = error if isinstance(error, GameroomError) else self._incident(type_, error)
        self._counted(type_, problem.code)
        if isinstance(problem, Malformed) and not self.is_proved:
            self.refuse(problem, "malformed", en)
            return
        self.say(wire.error(problem, en))
        if isinstance(problem, Unauthorized) and not self.is_proved:
            self._misses += 1
            if self._misses >= self.factory.limits().unauthenticated_tries:
                self.end("unauthorized")

    def _counted(self, type_: int, code: int) -> None:
        if self.factory.metrics is not None and type_ not in (wire.ROOM, wire.ROOM_PART):
            kind = wire.BY_TYPE.get(type_)
            self.factory.metrics.request(self.factory.door, "unreadable" if kind is None else kind.name, code)

    def _incident(self, type_: int, error: BaseException) -> GameroomError:
        incident = str(uuid4())
        what = wire.name_of(type_)
        self._log.failure(
            "incident {incident}: {what} failed at the {door} port", Failure(error), incident=incident, what=what, door=self.factory.door
        )
        return ServerError(incident=incident)

    # The pipe.

    async def _join(self, link: ServerLink, greet: Greet, en: int) -> None:
        try:
            greeting = greet(await link.open())
        except Exception as error:
            link.close()
            if self._link is link:
                self._not_joined(error, en)
            return
        if self._link is not link:
            return
        self.say(greeting)
        self.greeted = True
        sent: Deferred[None] = Deferred()
        self.outbox.when_sent(lambda: sent.callback(None))
        await sent
        if self._link is link:
            self.transport.unregisterProducer()
            self._pipe = Pipe(self.transport, link, self._reader.rest(), clock=self.factory.clock)

    def _not_joined(self, error: Exception, en: int) -> None:
        self._link = None
        if isinstance(error, CancelledError):
            # Whoever gave the link has closed it.
            error = BadState("the play was over before you were there; say AUTH once more")
        self.say(wire.error(error if isinstance(error, GameroomError) else self._incident(wire.CONNECTED, error), en))
        self.not_joined()
        self.go_on()

    def _broke(self, failure: Failure) -> None:
        self._log.failure("a connection could not become a pipe", failure)
        self.transport.abortConnection()
