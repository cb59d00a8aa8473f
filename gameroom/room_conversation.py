"""What a member may say to a room, and in which order: room messages, at every door (docs/protocol/rooms.md).

Transport-free: a door gives it texts and binary frames, and is given messages through `IConnection`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import uuid4

import orjson
from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import BadState, GameroomError, InvalidRequest, RateLimited, ServerError, Unauthorized
from gameroom.rules import room as rules
from gameroom.rules.limits import TokenBucket, too_many
from gameroom.settings import Limits
from gameroom.wire.room_messages import Hello, Outgoing, size_of, text_field

if TYPE_CHECKING:
    from gameroom.registry import Registry
    from gameroom.room import LivingRoom

LARGEST_ID = 2**53 - 1
HELLOS_A_MINUTE = 10
STORM = 10
"""So many times the limit of messages closes the connection."""

Answer = dict[str, Any] | None
ACK: dict[str, Any] = {"type": "ack"}


class Flood:
    """How much one member has said lately, over all its connections."""

    __slots__ = ("_buckets", "_hellos", "_rate")

    def __init__(self, limits: Limits) -> None:
        self._rate = limits.messages_per_second
        self._buckets: tuple[TokenBucket, TokenBucket] | None = None
        """For messages and for a storm of them; none for those who only listen."""
        self._hellos = TokenBucket(HELLOS_A_MINUTE / 60.0, HELLOS_A_MINUTE)

    def count(self, now: float) -> None:
        """Count a message. Raises `RateLimited`."""
        if self._buckets is None:
            rate, storm = self._rate, STORM * self._rate
            self._buckets = TokenBucket(rate, 3 * rate), TokenBucket(storm, 3 * storm)
        messages, storms = self._buckets
        storms.take(now)
        if not messages.take(now):
            raise too_many("you are sending too much; this message was left out", messages.wait(now))

    def is_storm(self, now: float) -> bool:
        return self._buckets is not None and self._buckets[1].wait(now) > 0

    def count_hello(self, now: float) -> None:
        """Count a `hello` that brings history. Raises `RateLimited`."""
        if not self._hellos.take(now):
            raise too_many("you say hello too often; wait a little", self._hellos.wait(now))


class RoomConversation:
    """One connection's talk with one room.

    At the web door it begins with nothing proved: the first message is `hello` with a seat token.
    `of_member` is for doors that know already who is there.
    The door calls `lost` once, when the connection is gone or was closed.
    """

    __slots__ = ("_connection", "_leave_presence", "_limits", "_over", "_refused", "_registry", "_room", "_room_id", "_user_id")

    _log = Logger()

    def __init__(self, *, registry: Registry, connection: Any, room_id: str, limits: Callable[[], Limits]) -> None:
        self._registry = registry
        self._connection = connection
        self._room_id = room_id
        self._limits = limits
        self._room: LivingRoom | None = None
        self._user_id = ""
        self._refused = 0
        self._over = False
        self._leave_presence: Callable[[], None] | None = None

    @classmethod
    def of_member(cls, *, registry: Registry, connection: Any, room: LivingRoom, user_id: str, limits: Callable[[], Limits]) -> RoomConversation:
        """A conversation of a member who has proved who it is. `begin` welcomes the connection; without that it may only send."""
        conversation = cls(registry=registry, connection=connection, room_id=room.room_id, limits=limits)
        conversation._room, conversation._user_id = room, user_id
        return conversation

    @property
    def proved(self) -> bool:
        """Whether it is known who speaks."""
        return self._room is not None

    @property
    def user_id(self) -> str:
        return self._user_id

    def begin(self) -> None:
        """Welcome the connection: room messages go to it from now on."""
        assert self._room is not None
        self._room.audience.attach(self._user_id, self._connection, reply_to=None, hello=Hello())

    def lost(self) -> None:
        """The connection is gone."""
        self._over = True
        if self._leave_presence is not None:
            self._leave_presence()
            self._leave_presence = None
        if self._room is not None:
            self._room.audience.detach(self._user_id, self._connection)

    def text(self, data: bytes) -> None:
        """A room message, as UTF-8 JSON; what it is answered is delivered. Never raises."""
        message_id, room = None, self._room
        try:
            message = _parse(data)
            kind = message.get("type")
            if room is not None and type(kind) is str and room.referee.is_command(kind) and "id" not in message:
                # What `perform` would do with the most frequent of messages.
                result: Any = room.referee.text(self._user_id, message, self._connection)
            else:
                message_id = _id_of(message)
                result = self.perform(message, message_id)
        except Exception as error:
            self._refuse(error, message_id)
            return
        if isinstance(result, Deferred):
            result.addCallbacks(self._answer, self._refuse_later, callbackArgs=(message_id,), errbackArgs=(message_id,))
        elif result is not None or message_id is not None:
            self._answer(result, message_id)

    def binary(self, data: bytes) -> None:
        """A packet of the hosting kind. Never raises."""
        try:
            if self._room is None:
                raise _unproved()
            self._room.referee.packet(self._user_id, data, self._connection)
        except Exception as error:
            self._refuse(error, None)

    def perform(self, message: dict[str, Any], message_id: int | None = None) -> Answer | Deferred[Any]:
        """Carry a message out.

        Gives the answer's fields (None for a plain ack), or a Deferred of them. Raises, or fails with, `GameroomError`.
        """
        kind = message.get("type")
        if type(kind) is not str:
            raise InvalidRequest("a room message has a type, a string", pointer="/type")
        room = self._room
        deed = self._DEEDS.get(kind)
        if room is None:
            if kind != "hello":
                raise _unproved()
        elif deed is not None or not room.referee.is_command(kind):
            self._count(room)
        if room is not None:
            self._remember(room, message_id)
        if deed is not None:
            return deed(self, message, message_id)
        assert room is not None
        return room.referee.text(self._user_id, message, self._connection)

    # What a member may say.

    def _hello(self, message: dict[str, Any], message_id: int | None) -> Answer:
        token = text_field(message, "token", 256, default="")
        hello = Hello.of(message)
        room = self._room if self._room is not None else self._prove(token)
        self._flood(room).count_hello(room.now())
        if self._room is None:
            self._enter(room, token)
        room.audience.attach(self._user_id, self._connection, reply_to=message_id, hello=hello)
        self._remember(room, message_id)
        return ANSWERED

    def _prove(self, token: str) -> LivingRoom:
        room = self._registry.here(self._room_id)
        self._user_id = room.by_token(token).user_id
        return room

    def _enter(self, room: LivingRoom, token: str) -> None:
        member = room.by_token(token)
        self._room = room
        if member.account:
            self._leave_presence = room.around.presence.arrive(member.account, member.user_id, self._connection.door)

    def _ready(self, message: dict[str, Any], message_id: int | None) -> Deferred[None]:
        ready, revision = message.get("ready"), message.get("revision")
        if type(ready) is not bool:
            raise InvalidRequest("ready must be true or false", pointer="/ready")
        if revision is not None and type(revision) is not int:
            raise InvalidRequest("revision must be an integer", pointer="/revision")
        room = self._here()
        if ready and room.around.draining():
            raise BadState("this server is going down; be ready again in a moment")
        try:
            return room.apply(rules.set_ready, self._user_id, ready, revision)
        except BadState:
            if ready and room.latest.member(self._user_id).ready:
                # It was ready for a configuration that is not there any more.
                room.apply(rules.set_ready, self._user_id, False, None).addErrback(lambda failure: None)
            raise

    def _start(self, message: dict[str, Any], message_id: int | None) -> Deferred[None]:
        started = self._registry.start_room(self._room_id, self._user_id)
        return started.addCallback(lambda room: None)

    def _chat(self, message: dict[str, Any], message_id: int | None) -> None:
        self._here().chat(self._user_id, text_field(message, "text", 4096))

    def _sit(self, message: dict[str, Any], message_id: int | None) -> Deferred[None]:
        return self._registry.sit(self._room_id, self._user_id)

    def _kick(self, message: dict[str, Any], message_id: int | None) -> Deferred[None]:
        return self._registry.kick(self._room_id, self._user_id, text_field(message, "user_id", 256))

    def _leave(self, message: dict[str, Any], message_id: int | None) -> Deferred[Any]:
        def told(room: rules.Room) -> None:
            if message_id is not None:
                self._answer(None, message_id)

        return self._here().remove([self._user_id], "left", told).addCallback(lambda _: ANSWERED)

    def _ping(self, message: dict[str, Any], message_id: int | None) -> Answer:
        size_of("t", message.get("t"))
        return {"type": "pong", "t": message.get("t")}

    _DEEDS: ClassVar[dict[str, Callable[..., Answer | Deferred[Any]]]] = {
        "hello": _hello,
        "ready": _ready,
        "start": _start,
        "chat": _chat,
        "sit": _sit,
        "kick": _kick,
        "leave": _leave,
        "ping": _ping,
    }

    # How it is answered.

    def _here(self) -> LivingRoom:
        assert self._room is not None
        return self._room

    def _flood(self, room: LivingRoom) -> Flood:
        flood = room.floods.get(self._user_id)
        if flood is None:
            flood = room.floods[self._user_id] = Flood(self._limits())
        return flood

    def _remember(self, room: LivingRoom, message_id: int | None) -> None:
        """For `last_id` of the next `welcome`: a page that is loaded anew gives out no id twice."""
        if message_id is not None:
            room.last_ids[self._user_id] = max(message_id, room.last_ids.get(self._user_id, 0))

    def _count(self, room: LivingRoom) -> None:
        flood, now = self._flood(room), room.now()
        try:
            flood.count(now)
        except RateLimited as error:
            if flood.is_storm(now):
                self._connection.close(error)
            raise

    def _answer(self, answer: Answer, message_id: int | None) -> None:
        if answer is ANSWERED or self._over or (answer is None and message_id is None):
            return
        fields = ACK if answer is None else answer
        self._connection.deliver(Outgoing.json(fields if message_id is None else {**fields, "reply_to": message_id}))

    def _refuse_later(self, failure: Failure, message_id: int | None) -> None:
        self._refuse(failure.value or ServerError(incident=str(uuid4())), message_id)

    def _refuse(self, error: BaseException, message_id: int | None) -> None:
        if not isinstance(error, GameroomError):
            incident = str(uuid4())
            self._log.failure("incident {incident} in room {room_id}", Failure(error), incident=incident, room_id=self._room_id)
            error = ServerError(incident=incident)
        if self._over:
            return
        fields: dict[str, Any] = {"type": "error", "code": error.code, "message": error.message, **error.payload}
        if message_id is not None:
            fields["reply_to"] = message_id
        self._connection.deliver(Outgoing.json(fields))
        if self._room is None:
            self._count_refusal(error)

    def _count_refusal(self, error: GameroomError) -> None:
        if isinstance(error, Unauthorized):
            self._refused += 1
        if self._refused >= self._limits().unauthenticated_tries or error.code == 103:
            self._connection.close(error)


ANSWERED: dict[str, Any] = {"type": "answered"}
"""The answer has been delivered already."""


def _unproved() -> Unauthorized:
    return Unauthorized('say hello first: {"type": "hello", "token": <your seat token>}')


def _parse(data: bytes) -> dict[str, Any]:
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidRequest("a room message is one JSON object in UTF-8") from None
    if type(message) is not dict:
        raise InvalidRequest("a room message is one JSON object")
    return message


def _id_of(message: dict[str, Any]) -> int | None:
    message_id = message.get("id")
    if message_id is None:
        return None
    if type(message_id) is not int or not 0 <= message_id <= LARGEST_ID:
        raise InvalidRequest("id must be an integer from 0 to 2^53 - 1", pointer="/id")
    return message_id
