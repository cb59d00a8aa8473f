"""The pool of connections to one micro game service (docs/protocol/game-service.md, "What counts as no answer").

Theory. A service is a function, so the same update may be computed as often as one likes, anywhere. An ask is somewhere of:

    in flight ──answer──> over
      │    └──no answer in time, connection gone──> put off ──back-off──> waiting
      └<──────────────a connection that is not the last one─────────────────┘

It goes round until it is answered or given up. Whichever answer comes first counts, also one of a connection that it was taken from.
Everything that a connection was sent and has not answered counts as what it has to do, so that what holds a service up gets no more to do;
a connection that owes answers and says nothing for `timeout` is closed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IDelayedCall, IProtocol, IProtocolFactory, IReactorTime
from twisted.internet.protocol import Factory
from twisted.python.failure import Failure

from gameroom.errors import BadState
from gameroom.gameservices.connection import MOST_OWED, Ask, ServiceConnection
from gameroom.gameservices.lines import FewLines
from gameroom.settings import ServiceSettings
from gameroom.wire.game_service import ANSWER_BYTES, State, Update, update_to_bytes
from gameroom.wire.prefixed import PREFIX_BYTES, framed

MOST_CONNECTIONS: Final = 8
FIRST_WAIT: Final = 0.1
"""Seconds before an update is sent the third time, and before the second attempt at a connection; each wait is twice the one before."""
LONGEST_WAIT: Final = 3.0
"""Seconds."""
LEAST_TICK: Final = 0.05
"""Seconds between two looks at what is in flight; by so much an update may be sent again too late."""


def wait_before(times: int) -> float:
    """Seconds to wait after so many failures; none after the first."""
    return min(FIRST_WAIT * 2.0 ** min(times - 2, 30), LONGEST_WAIT) if times > 1 else 0.0


class ServiceClient:
    """One to eight connections to one service; many updates in flight, answers in any order.

    >>> client = ServiceClient(connect=endpoint.connect, clock=reactor, told=print)
    >>> state = await client.ask(update)
    >>> await client.close()
    """

    def __init__(
        self,
        *,
        connect: Callable[[IProtocolFactory], Deferred[IProtocol]],
        clock: IReactorTime,
        told: Callable[[str], None],
        settings: ServiceSettings | None = None,
        most_bytes: Callable[[], int] = lambda: ANSWER_BYTES,
        record: Callable[[bytes, bytes], None] | None = None,
        observe: Callable[[float], None] = lambda seconds: None,
        retried: Callable[[], None] = lambda: None,
    ) -> None:
        """`connect` is an endpoint's: its own time limit holds. `clock` gives Unix time, of which requests get their first number.

        Of `settings` the `timeout` counts here. `most_bytes()` is how long an answer may be, up to `ANSWER_BYTES`.
        `told` is given lines for the developer's log, of which there are never many at once.
        `record` is given each answered update's bytes, and those of its answer. `observe` is given the seconds from `ask` to each answer,
        and `retried` is called for each update that is sent again.
        """
        self._connect, self._clock, self._timeout, self._most_bytes = connect, clock, (settings or ServiceSettings()).timeout, most_bytes
        self._told = FewLines(told, clock.seconds)
        self._record, self._observe, self._retried = record, observe, retried
        self._request = int(clock.seconds() * 1000) * 1000
        """The last number that was given. No daemon before this one came so far, and 2^53 is far away."""
        self._asks: dict[int, Ask] = {}
        """All that is not answered, by request."""
        self._waiting: OrderedDict[int, Ask] = OrderedDict()
        """Those of them that need a connection."""
        self._connections: list[ServiceConnection] = []
        """Those that are open."""
        self._closing: set[ServiceConnection] = set()
        """Those that were hung up and are not gone yet."""
        self._factory = Factory.forProtocol(lambda: ServiceConnection(self, clock.seconds, most_bytes))
        self._factory.noisy = False
        self._connecting: Deferred[IProtocol] | None = None
        """A connection that is being made."""
        self._coming = False
        """Whether that is not among the others yet."""
        self._failures = 0
        """Connections in a row that could not be made, or answered nothing."""
        self._open_again: IDelayedCall | None = None
        self._tick: IDelayedCall | None = None
        self._over = False
        self._closers: list[Deferred[None]] = []
        """Who waits until nothing is left of it."""
        self.answered = False
        """Whether the service has ever answered anything."""

    # What its owner asks.

    def ask(self, update: Update) -> Deferred[State]:
        """Fires with the service's answer: checked, of this update's sequence. `update.request` is ignored: each ask gets a number of its own.

        It is tried for as long as it takes; cancelling gives it up. Fails with `BadState` when the client is closed,
        and with ValueError for an update that has no bytes.
        """
        if self._over:
            return fail(_closed())
        self._request = request = self._request + 1
        try:
            frame = framed(update_to_bytes(update, request))
        except (ValueError, TypeError):
            return fail()
        deferred: Deferred[State] = Deferred(lambda _: self._end(ask))
        ask = Ask(request, update.sequence, frame, deferred, self._clock.seconds())
        self._asks[request] = ask
        self._send(ask)
        return deferred

    def close(self) -> Deferred[None]:
        """Nothing of it is wanted any more: whoever waits is failed with `BadState`. Fires when no connection is left. Again is fine."""
        self._over = True
        for call in (self._open_again, self._tick):
            if call is not None and call.active():
                call.cancel()
        self._open_again = self._tick = None
        while self._asks:
            ask = next(iter(self._asks.values()))
            self._end(ask)
            ask.deferred.errback(_closed())
        if self._connecting is not None:
            self._connecting.cancel()
        for connection in list(self._connections):
            connection.hang_up()
        closed: Deferred[None] = Deferred()
        self._closers.append(closed)
        self._consider_end()
        return closed

    # What its connections say.

    def opened(self, connection: ServiceConnection) -> None:
        """It can be used."""
        self._coming = False
        self._connections.append(connection)
        if self._over:
            connection.hang_up()
        self._serve()

    def take(self, connection: ServiceConnection, state: State, frame: bytes) -> bool:
        """The answer to something that was sent on this connection. Gives whether anybody has waited for it."""
        ask = self._asks.get(state.request)
        if ask is None:
            return False
        if not connection.good:
            self._failures = 0
        self.answered = True
        self._observe(self._clock.seconds() - ask.asked_at)
        if self._record is not None:
            self._record(ask.frame[PREFIX_BYTES:], frame)
        self._end(ask)
        ask.deferred.callback(state)
        return True

    def has_room(self, connection: ServiceConnection) -> None:
        """It could take no more, and now it can."""
        if self._waiting:
            self._serve()

    def gone(self, connection: ServiceConnection, why: str) -> None:
        """It is of no more use: what is in flight on it goes elsewhere."""
        self._connections.remove(connection)
        self._closing.add(connection)
        if not connection.good:
            self._failures += 1
        elif not self._connections:
            self._begin_anew()
        if why:
            self._told(why)
        for ask in list(connection.owed.values()):
            if ask.connection is connection:
                self._put_off(ask)

    def closed(self, connection: ServiceConnection) -> None:
        """Nothing is left of it."""
        self._closing.discard(connection)
        self._consider_end()
        self._serve()

    # Where an ask goes.

    def _send(self, ask: Ask) -> None:
        """To the connection that has least to do, and to none that it comes from; where there is none, it waits."""
        best: ServiceConnection | None = None
        least = 0
        for connection in self._connections:
            if connection.usable and connection is not ask.last:
                load = connection.load
                if best is None or load < least:
                    best, least = connection, load
        if best is None:
            self._waiting[ask.request] = ask
            self._open()
            return
        best.send(ask)
        if self._tick is None:
            self._tick = self._clock.callLater(self._timeout, self._look)
        if least:
            self._open()

    def _serve(self) -> None:
        """Send what waits, as far as there is room."""
        # Who comes from the only connection there is stands in the way of others, but no more than one connection can owe.
        for ask in list(islice(self._waiting.values(), MOST_OWED + 1)):
            if not any(connection.usable for connection in self._connections):
                break
            if self._waiting.pop(ask.request, None) is not None:
                self._send(ask)
        if self._waiting or (self._asks and not self._connections):
            # Also for those that are put off: then it is there when it is their turn.
            self._open()

    def _put_off(self, ask: Ask) -> None:
        """It was not answered: the same bytes go to another connection, at once the first time, then later each time."""
        ask.last, ask.connection = ask.connection, None
        self._retried()
        wait = wait_before(ask.tries)
        if wait:
            ask.again = self._clock.callLater(wait, self._send_again, ask)
        else:
            self._send(ask)

    def _send_again(self, ask: Ask) -> None:
        ask.again = None
        self._send(ask)

    def _end(self, ask: Ask) -> None:
        """It is answered or given up. Where it was sent it is owed until it is answered there, too."""
        del self._asks[ask.request]
        self._waiting.pop(ask.request, None)
        if ask.again is not None:
            ask.again.cancel()
        ask.again = ask.connection = ask.last = None
        ask.frame = b""

    def _look(self) -> None:
        """Whether anything in flight is too late."""
        now = self._clock.seconds()
        next_at = now + self._timeout
        for connection in [connection for connection in self._connections if connection.owed]:
            if connection.heard_at + self._timeout <= now:
                connection.hang_up(f"the service owes answers and has said nothing for {self._timeout:g} s: its connection is closed")
            else:
                next_at = min(next_at, connection.heard_at + self._timeout, self._look_at(connection, now))
        self._tick = None
        if not self._over and any(connection.owed for connection in self._connections):
            self._tick = self._clock.callLater(max(next_at - now, LEAST_TICK), self._look)

    def _look_at(self, connection: ServiceConnection, now: float) -> float:
        """Put off what is late on a connection that answers other updates. Gives when the next of it is late."""
        flying = [ask for ask in connection.owed.values() if ask.connection is connection]
        late = [ask for ask in flying if ask.sent_at + self._timeout <= now]
        for ask in late:
            self._told(f"the service has left an update of sequence {ask.sequence} unanswered for {self._timeout:g} s: it is sent again")
            self._put_off(ask)
        return min((ask.sent_at for ask in flying if ask.connection is connection), default=now) + self._timeout

    # Its connections.

    @property
    def _total(self) -> int:
        return len(self._connections) + len(self._closing) + self._coming

    def _open(self) -> None:
        """One more connection, where there may be one; one at a time, and later each time that none came of it."""
        if self._over or self._connecting is not None or self._coming or self._open_again is not None or self._total >= MOST_CONNECTIONS:
            return
        wait = wait_before(self._failures)
        if wait:
            self._open_again = self._clock.callLater(wait, self._open_now)
        else:
            self._open_now()

    def _open_now(self) -> None:
        self._open_again = None
        self._coming = True
        self._connecting = self._connect(self._factory)
        self._connecting.addCallbacks(self._made, self._not_made)

    def _made(self, protocol: IProtocol) -> None:
        self._connecting, self._coming = None, False
        self._serve()
        self._consider_end()

    def _not_made(self, failure: Failure) -> None:
        self._connecting, self._coming = None, False
        if self._over:
            self._consider_end()
            return
        self._failures += 1
        self._told(f"the service cannot be reached: {failure.getErrorMessage()}")
        # Where no other connection is to be had, the same is better than none.
        for ask in self._waiting.values():
            ask.last = None
        self._serve()

    def _begin_anew(self) -> None:
        """The last connection is gone, and it was a good one: the next need not wait for what came of others."""
        self._failures = 0
        if self._open_again is not None:
            self._open_again.cancel()
            self._open_again = None

    def _consider_end(self) -> None:
        if self._over and self._connecting is None and not self._total:
            closers, self._closers = self._closers, []
            for closed in closers:
                closed.callback(None)


def _closed() -> BadState:
    return BadState("the game's service is called no more just now; try again in a moment")
