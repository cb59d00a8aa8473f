"""The control channel from AuthProxy to a GameServer (docs/protocol/game-port.md, "GameServers").

Theory. The GameServer is told whose it is and then says little: STATUS, and PONG to our PING.

    waiting ──STATUS ready──> playing ──STATUS finished──> over
       └──garbage, ERROR, end──┴──garbage, silence, end──> over

Whatever ends it is told once; after that all that still comes is thrown away unread.
Memory is bounded whatever the GameServer sends: nothing but the beginning of one envelope is kept, a flood ends the play,
and who does not read what we answer is not read either, until its silence ends the play.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from enum import Enum
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer, IReactorTime, ITCPTransport
from twisted.internet.protocol import ClientFactory, Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import implementer

from gameroom.errors import BadState, InvalidRequest
from gameroom.gameservers.values import (
    FINISHED,
    RESULTS_BYTES,
    SERVER_CRASHED,
    SERVER_ENDED,
    SERVER_MISBEHAVED,
    SERVER_SILENT,
    Participant,
    ServerEnd,
    one_line,
)
from gameroom.wire import game_port
from gameroom.wire.envelope import JSON, MOST_BYTES, PROTOBUF, RAW, Envelope, EnvelopeReader, to_bytes
from gameroom.wire.room_messages import size_of

PING_INTERVAL: Final = 10.0
"""Seconds."""
MOST_UNANSWERED: Final = 3
"""PINGs without a PONG, after which a GameServer is silent."""
BEFORE_READY_BYTES: Final = 16 << 10
"""Of data in an envelope of a GameServer that is not ready yet."""
MOST_MESSAGES: Final = 1000
"""That a GameServer says between two of our PINGs; a good one says two or three."""
CLOSE_SECONDS: Final = 5.0
"""That a GameServer has to read what it was told last, when its control connection is to be closed."""


class _Phase(Enum):
    WAITING = "waiting"
    PLAYING = "playing"
    OVER = "over"


@implementer(IPushProducer)
class ControlProtocol(Protocol):
    """One GameServer's control connection, as AuthProxy holds it. Made by `ControlFactory`."""

    transport: Any  # None before and after the connection

    def __init__(self, factory: ControlFactory) -> None:
        self._factory = factory
        self._reader = EnvelopeReader(BEFORE_READY_BYTES)
        self._phase = _Phase.WAITING
        self._waiting: list[Deferred[None]] = []
        """For those who wait until it is ready."""
        self._failed: BadState | None = None
        """Why it never got ready."""
        self._unanswered = 0
        self._messages = 0
        """Since our last PING."""
        self._ping: IDelayedCall | None = None
        self._abort: IDelayedCall | None = None

    # What its owner asks.

    def ready(self) -> Deferred[None]:
        """A new Deferred that fires at STATUS `ready`, at once where that was said.

        Fails with `BadState`, whose message says why, where the GameServer's end comes before.
        """
        ready: Deferred[None] = Deferred()
        if self._failed is not None:
            ready.errback(self._failed)
        elif self._phase is not _Phase.WAITING:
            ready.callback(None)
        else:
            self._waiting.append(ready)
        return ready

    def players_are(self, players: Iterable[Participant]) -> None:
        """Say CONTROL again, with those who still have a seat. Nothing once it is over."""
        self._factory.players_are(players)
        if self._phase is not _Phase.OVER:
            self._write(self._factory.control)

    def close(self) -> None:
        """Nothing of it is wanted any more, and no end of it is told. What is written already has `CLOSE_SECONDS` to be read."""
        self._leave("the control connection to the game's server was closed")
        self._hang_up()

    # What Twisted asks.

    def connectionMade(self) -> None:
        if ITCPTransport.providedBy(self.transport):
            self.transport.setTcpNoDelay(True)
            self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._write(game_port.encode(game_port.TYPE, {"type": "control"}) + self._factory.control)

    def dataReceived(self, data: bytes) -> None:
        if self._phase is _Phase.OVER:
            return
        self._reader.feed(data)
        try:
            # What is over has given up what it had not read.
            while (envelope := self._reader.next()) is not None:
                self._take(envelope)
        except InvalidRequest as problem:
            self._misbehaved(problem)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._abort is not None:
            self._abort.cancel()
            self._abort = None
        self.transport = None
        self._over(ServerEnd(reason=SERVER_CRASHED, message="the game's server hung up its control connection"))

    def pauseProducing(self) -> None:
        """It does not read what we answer: nothing more is read of it."""
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """It reads again."""
        self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """The connection is gone, as `connectionLost` says."""

    # What the GameServer says.

    def _take(self, envelope: Envelope) -> None:
        """One envelope. Raises `InvalidRequest` for what does not belong on this connection."""
        self._messages += 1
        if self._messages > MOST_MESSAGES:
            raise InvalidRequest(f"over {MOST_MESSAGES} messages within {self._factory.ping_interval:g} s are too much")
        if envelope.en not in (RAW, JSON, PROTOBUF):
            raise InvalidRequest(f"en {envelope.en} is reserved")
        if envelope.type >= game_port.FIRST_OF_GAME:
            return  # the game's own, and here is nobody whom it would be for
        taken = self._TAKEN.get(envelope.type)
        if taken is None:
            raise InvalidRequest(f"{game_port.name_of(envelope.type)} is nothing that a GameServer says on its control connection")
        taken(self, envelope)

    def _status(self, envelope: Envelope) -> None:
        said = game_port.decode(envelope)
        if said["state"] == "ready":
            self._get_ready()
            return
        results = said.get("results")
        if self._phase is _Phase.WAITING:
            raise InvalidRequest("STATUS finished came before STATUS ready")
        if size_of("results", results) > RESULTS_BYTES:
            raise InvalidRequest(f"the results of STATUS finished are larger than {RESULTS_BYTES >> 10} KiB of JSON")
        self._over(ServerEnd(reason=FINISHED, results=results))

    def _get_ready(self) -> None:
        """It may be said again, as an answer to a CONTROL that came again."""
        if self._phase is not _Phase.WAITING:
            return
        self._phase = _Phase.PLAYING
        self._reader.most = MOST_BYTES
        self._messages = 0
        self._ping = self._factory.clock.callLater(self._factory.ping_interval, self._ask)
        self._tell_waiting()

    def _error(self, envelope: Envelope) -> None:
        said = game_port.decode(envelope)
        line = f"ERROR {said['code']}: {one_line(said['message'])}"
        self._factory.told(f"the game's server said on its control connection: {line}")
        if self._phase is _Phase.WAITING:
            self._over(ServerEnd(reason=SERVER_ENDED, message=f"the game's server refused this play with {line}"))

    def _answer(self, envelope: Envelope) -> None:
        if len(envelope.data) > game_port.PING_BYTES:
            raise InvalidRequest(f"a PING may carry at most {game_port.PING_BYTES} bytes")
        self._write(to_bytes(game_port.PONG, envelope.data, envelope.en))

    def _answered(self, envelope: Envelope) -> None:
        self._unanswered = 0

    _TAKEN: Final[Mapping[int, Callable[[ControlProtocol, Envelope], None]]] = {
        game_port.STATUS: _status,
        game_port.ERROR: _error,
        game_port.PING: _answer,
        game_port.PONG: _answered,
    }

    # Whether it lives.

    def _ask(self) -> None:
        if self._unanswered == MOST_UNANSWERED:
            self._ping = None
            waited = MOST_UNANSWERED * self._factory.ping_interval
            self._over(ServerEnd(reason=SERVER_SILENT, message=f"the game's server has left every PING of {waited:g} s without a PONG"))
            return
        self._unanswered += 1
        self._messages = 0
        self._write(to_bytes(game_port.PING, b"{}"))
        self._ping = self._factory.clock.callLater(self._factory.ping_interval, self._ask)

    # Its end.

    def _misbehaved(self, problem: InvalidRequest) -> None:
        self._write(game_port.error(problem))
        self._hang_up()
        message = f"the game's server said on its control connection what does not belong there: {problem.message}"
        self._over(ServerEnd(reason=SERVER_MISBEHAVED, message=message))

    def _over(self, end: ServerEnd) -> None:
        """Tell the end, once."""
        if self._phase is _Phase.OVER:
            return
        self._leave(end.message)
        self._factory.ended(end)

    def _leave(self, why: str) -> None:
        waited = self._phase is _Phase.WAITING
        self._phase = _Phase.OVER
        self._reader.rest()
        if self._ping is not None:
            self._ping.cancel()
            self._ping = None
        if waited:
            self._failed = BadState(why)
            self._tell_waiting()

    def _tell_waiting(self) -> None:
        waiting, self._waiting = self._waiting, []
        for ready in waiting:
            if self._failed is not None:
                ready.errback(self._failed)
            else:
                ready.callback(None)

    def _write(self, data: bytes) -> None:
        self.transport.write(data)

    def _hang_up(self) -> None:
        """Close the connection once what was written is read, or at last without that."""
        if self.transport is None or self._abort is not None:
            return
        self.transport.unregisterProducer()
        self._abort = self._factory.clock.callLater(CLOSE_SECONDS, self._give_up)
        self.transport.loseConnection()

    def _give_up(self) -> None:
        self._abort = None
        self.transport.abortConnection()


class ControlFactory(ClientFactory):
    """The control channel to one GameServer, for any client endpoint that reaches one.

    >>> factory = ControlFactory(clock=reactor, token=token, id=room_id, max_players=2, players=[ada, bob], ended=print)
    >>> control = await TCP4ClientEndpoint(reactor, "127.0.0.1", 7200).connect(factory)   # its first connection
    >>> await control.ready()
    """

    noisy = False

    def __init__(
        self,
        *,
        clock: IReactorTime,
        token: str,
        id: str,
        max_players: int,
        players: Iterable[Participant],
        ended: Callable[[ServerEnd], None],
        config: Mapping[str, Any] | None = None,
        told: Callable[[str], None] = lambda line: None,
        ping_interval: float = PING_INTERVAL,
    ) -> None:
        """`token` is what the GameServer finds in each CLIENT_AUTH, `id` names the room, `config` is handed over as it is.

        `ended` is called once, at the end of the play; with `SERVER_CRASHED` where the connection is lost before any other end.
        `told` is given lines for the developer's log. `ping_interval` is in seconds.
        Raises `BadState` where all this does not fit one envelope, or `config` 32 KiB of JSON.
        """
        self.clock, self.ended, self.told, self.ping_interval = clock, ended, told, ping_interval
        self._token, self._id, self._max_players, self._config = token, id, max_players, dict(config or {})
        self.control = b""
        """The envelope of CONTROL."""
        self.players_are(players)

    def players_are(self, players: Iterable[Participant]) -> None:
        """Those who have a seat now."""
        about = [player.to_json() for player in players]
        options = {"max_players": self._max_players, "players": about, "config": self._config}
        try:
            self.control = game_port.encode(game_port.CONTROL, {"token": self._token, "id": self._id, "options": options})
        except ValueError as error:
            raise BadState(f"this game's server cannot be told of its room: {error}") from None

    def buildProtocol(self, addr: IAddress | None) -> ControlProtocol:
        return ControlProtocol(self)
