"""The game port, as a game client uses it (docs/client.md).

A connection comes in by AUTH, HOST or JOIN, and sits in a room. While the room waits, and in all rooms that no GameServer plays,
it carries room messages. When a GameServer plays the room, the same connection leads to it, and is the game's own from there on.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Self

import orjson
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IDelayedCall, IProtocol, IReactorTime, IStreamClientEndpoint
from twisted.internet.task import deferLater

from gameroom.client.answers import without_none
from gameroom.client.envelope_client import EnvelopeClient
from gameroom.client.room_talk import PATIENCE, START, Message, RoomTalk
from gameroom.client.stream import LONGEST, ConnectionFailed
from gameroom.deferring import deferring
from gameroom.errors import BadState, InvalidRequest, RateLimited, error_of
from gameroom.wire import game_port
from gameroom.wire.envelope import JSON, Envelope, to_bytes
from gameroom.wire.game_port import AUTH, CONNECTED, ERROR, HOST, JOIN, LEAVE, ROOM, ROOM_PART, RoomParts

STARTS_WITHIN: Final = 120.0
"""Seconds for the start of a play: a GameServer may take its time."""
PLAYING: Final = "PLAYING"
FIRST_PAUSE, LONGEST_PAUSE = 0.25, 4.0
"""Seconds between two tries to come back."""

Seat = dict[str, Any]
"""The fields of CONNECTED."""
OnEnvelope = Callable[[Envelope], None]


class GamePortClient(EnvelopeClient):
    """One connection to the game port. What it takes and gives is what docs/protocol/game-port.md says of each envelope."""

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(clock)
        self.seat: Seat | None = None
        """What CONNECTED said last: the room, the party code, where we sit; None until we are in."""
        self.seat_token: str | None = None
        """What brings us back to the seat, once HOST or JOIN gave it."""
        self.at_server = False
        """Whether the connection leads to the game's own server."""
        self._entering: tuple[Deferred[Seat], IDelayedCall] | None = None
        self._talk = RoomTalk(clock, self._say)
        self._parts = RoomParts(LONGEST)
        self._refused = ""
        self._on_message: dict[str, list[Callable[[Message], None]]] = {}
        self._on_packet: list[Callable[[bytes], None]] = []
        self._on_playing: list[Callable[[Seat], None]] = []
        self._on_error: list[Callable[[Exception], None]] = []
        self._on_envelope: list[OnEnvelope] = []

    # Coming in.

    def auth(self, id: str) -> Deferred[Seat]:
        """Come in by a session token, whose account sits in a room, or by a seat token. Fires as `host`; Unauthorized for a bad one."""
        return self._enter(AUTH, {"id": id})

    def host(self, game_id: str, *, version: str | None = None, name: str | None = None, id: str | None = None) -> Deferred[Seat]:
        """Make a party of a game and be its host: the account of the session token `id`, or else a guest called `name`.

        Fires with CONNECTED's fields, fails with the `GameroomError` that the server answers, or with `ConnectionFailed`.
        """
        return self._enter(HOST, without_none(game_id=game_id, version=version, name=name, id=id))

    def join(self, party_code: str, *, name: str | None = None, id: str | None = None) -> Deferred[Seat]:
        """Take a seat in a party. Fires as `host`."""
        return self._enter(JOIN, without_none(party_code=party_code, name=name, id=id))

    @classmethod
    @deferring
    async def come_back(cls, endpoint: IStreamClientEndpoint, clock: IReactorTime, id: str, *, within: float = 60.0) -> Self:
        """Connect and come in by a seat token or a session token, again and again for `within` seconds.

        Fires with the client. Fails at once with what will not change, as Unauthorized where the seat is gone;
        and at the end with what went wrong last: `ConnectionFailed`, BadState or RateLimited.
        """
        until, pause = clock.seconds() + within, FIRST_PAUSE
        while True:
            client: Self | None = None
            try:
                client = await cls.connect(endpoint, clock)
                await client.auth(id)
                return client
            except (ConnectionFailed, BadState, RateLimited) as error:
                wait = max(pause, error.retry_after if isinstance(error, RateLimited) else 0.0)
                if clock.seconds() + wait > until:
                    raise
            finally:
                if client is not None and client.seat is None:
                    await client.close()
            await deferLater(clock, wait)
            pause = min(pause * 2, LONGEST_PAUSE)

    def _enter(self, type_: int, said: Mapping[str, Any]) -> Deferred[Seat]:
        if not self.connected:
            return fail(ConnectionFailed(self._gone or self._closing))
        if self._entering is not None or self.at_server:
            return fail(BadState("this connection is in, or coming in, already; another seat needs another connection"))
        answered: Deferred[Seat] = Deferred(lambda _: None)
        self._entering = answered, self.clock.callLater(PATIENCE, self._give_up, f"the server has not answered {game_port.name_of(type_)} in time")
        self._stream.send(game_port.encode(type_, said))
        return answered

    def _entered(self) -> Deferred[Seat] | None:
        """Whoever waits for an answer, and may have it now."""
        if self._entering is None:
            return None
        (answered, timer), self._entering = self._entering, None
        if timer.active():
            timer.cancel()
        return None if answered.called else answered

    # In a room.

    def ask(self, message: Message, *, timeout: float = PATIENCE) -> Deferred[Message]:
        """Say a room message with an id of its own. Fires with its answer, fails with the `GameroomError` that it is, or with `ConnectionFailed`."""
        try:
            self._require_room()
        except (BadState, ConnectionFailed) as error:
            return fail(error)
        return self._talk.ask(message, timeout)

    def say(self, message: Message) -> None:
        """Say a room message that nobody answers, or an answer (`reply_to`). Raises `BadState` outside of a room, and `ConnectionFailed`."""
        self._require_room()
        self._talk.say(message)

    def send_packet(self, data: bytes) -> None:
        """A binary room message, as a web socket's binary frame. Raises as `say`."""
        self._require_room()
        self._stream.send(game_port.room_message(data, binary=True))

    @deferring
    async def start(self) -> None:
        """The host starts the play. Fires once it has begun."""
        await self.ask({"type": START}, timeout=STARTS_WITHIN)

    def leave(self) -> Deferred[None]:
        """Give up the seat. Fires once the connection is gone, which goes with it; BadState at a GameServer, where only other doors can do it."""
        if self._gone:
            return succeed(None)
        if self.at_server:
            return fail(BadState("the connection is the game's own now; leave by the lobby, or by the room's page"))
        gone: Deferred[None] = Deferred()
        self.on_lost(lambda _: gone.callback(None))
        self._stream.send(game_port.encode(LEAVE, {}))
        return gone

    def on_message(self, type: str, callback: Callable[[Message], None]) -> Callable[[], None]:
        """Call `callback` with each room message of this type that answers none of ours; gives what stops that."""
        return self._added(self._on_message.setdefault(type, []), callback)

    def on_packet(self, callback: Callable[[bytes], None]) -> Callable[[], None]:
        """And with each binary one."""
        return self._added(self._on_packet, callback)

    def on_error(self, callback: Callable[[Exception], None]) -> Callable[[], None]:
        """Call `callback` with each `GameroomError` that is told and answers nothing of ours."""
        return self._added(self._on_error, callback)

    # At a GameServer.

    def on_playing(self, callback: Callable[[Seat], None]) -> Callable[[], None]:
        """Call `callback` with CONNECTED's fields when the connection leads to the game's own server; at once if it does."""
        if self.at_server:
            assert self.seat is not None
            callback(self.seat)
        return self._added(self._on_playing, callback)

    def on_envelope(self, callback: OnEnvelope) -> Callable[[], None]:
        """Call `callback` with each envelope of the GameServer, GAME_CONFIG being its first. Nothing is read of it before somebody wants it."""
        added = self._added(self._on_envelope, callback)
        if self.at_server:
            self._stream.release()
        return added

    def send(self, type: int, data: Any = b"", en: int = JSON) -> None:
        """An envelope of the game's own: `data` as bytes, or what becomes JSON.

        Raises `BadState` where no GameServer is there, `ConnectionFailed`, and ValueError for more than 65535 bytes.
        """
        self.require()
        if not self.at_server:
            raise BadState("there is no game server to talk to; wait until the play has begun")
        self._stream.send(to_bytes(type, data if isinstance(data, bytes) else orjson.dumps(data), en))

    def take_over(self, protocol: IProtocol) -> None:
        """From here on the connection is `protocol`'s, byte by byte, behind CONNECTED. Raises `BadState` where no GameServer is there."""
        if not self.at_server:
            raise BadState("there is no game server to talk to; wait until the play has begun")
        self._stream.succeed_by(protocol)

    def ping(self) -> Deferred[float]:
        """Fires with the seconds until gameroom has answered; BadState at a GameServer, which may have its own ideas of PING."""
        return (
            super().ping() if not self.at_server else fail(BadState("the connection is the game's own now; ask the game's server in the game's way"))
        )

    # What comes.

    def _envelope(self, envelope: Envelope) -> None:
        if self.at_server:
            self._tell(self._on_envelope, envelope)
        elif envelope.type == CONNECTED:
            self._connected(game_port.decode(envelope))
        elif envelope.type == ERROR:
            self._error(game_port.decode(envelope))
        elif envelope.type in (ROOM, ROOM_PART):
            self._room(envelope)
        else:
            super()._envelope(envelope)

    def _connected(self, seat: Seat) -> None:
        self.seat = seat
        self.seat_token = seat.get("seat_token", self.seat_token)
        entered = self._entered()
        self.at_server = seat.get("status") == PLAYING and seat.get("hosting") == "server"
        if self.at_server:
            if not self._on_envelope:
                self._stream.hold()
            self._talk.moved_on()
        if entered is not None:
            entered.callback(seat)
        if self.at_server:
            self._tell(self._on_playing, seat)

    def _error(self, told: Mapping[str, Any]) -> None:
        error = error_of(told["code"], told["message"], told)
        entered = self._entered()
        if entered is not None:
            entered.errback(error)
            return
        self._refused = error.message
        self._tell(self._on_error, error)

    def _room(self, envelope: Envelope) -> None:
        whole = self._parts.take(envelope.type, envelope.en, envelope.data)
        if whole is None:
            return
        if envelope.en != JSON:
            self._tell(self._on_packet, whole)
            return
        try:
            message = orjson.loads(whole)
        except ValueError:
            raise InvalidRequest("a room message that is no JSON") from None
        if type(message) is not dict:
            raise InvalidRequest("a room message that is no object")
        self._talk.hear(message, self._told)

    def _told(self, message: Message) -> None:
        self._tell(self._on_message.get(str(message.get("type")), []), message)

    def _say(self, message: Message) -> None:
        self._stream.send(game_port.room_message(orjson.dumps(message), binary=False))

    def _require_room(self) -> None:
        self.require()
        if self.seat is None or self.at_server:
            raise BadState(
                "this connection is in no room" if self.seat is None else "the play is at the game's own server, and the room hears nothing here"
            )

    def _give_up(self, why: str) -> None:
        self._closing = self._closing or why
        self._stream.abort()
        self._fail(why)

    def _fail(self, why: str) -> None:
        super()._fail(why)
        entered = self._entered()
        if entered is not None:
            entered.errback(ConnectionFailed(why))
        self._talk.fail(why)

    def _lost(self, why: str) -> None:
        # What the server said of it says more than that it was the end.
        super()._lost(f"the server ended the connection: {self._refused}" if self._refused else why)
