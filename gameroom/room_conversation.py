"""What a member may say to a room, and in which order: room messages, at every door (docs/protocol/rooms.md).

Transport-free: a door gives it texts and binary frames, and is given messages through `IConnection`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast
from uuid import uuid4

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import BadState, GameroomError, InvalidRequest, RateLimited, ServerError, Unauthorized
from gameroom.rules import room as rules
from gameroom.rules.limits import Flood
from gameroom.settings import Limits
from gameroom.wire.room_messages import LARGE, Hello, Outgoing, id_of, read_message, size_of, text_field

if TYPE_CHECKING:
    from gameroom.referees.lockstep_lane import SeatLane
    from gameroom.registry import Registry
    from gameroom.room import LivingRoom

LONGEST_TYPE = 64
"""What is refused may be named in the answer, and that may be remembered for a repeat."""
SHORT = 8 << 10
"""Bytes. A `LARGE` message takes as long to read as many short ones: it counts as one more for each so many bytes."""

Answer = dict[str, Any] | None
ACK: dict[str, Any] = {"type": "ack"}


class RoomConversation:
    """One connection's talk with one room.

    At the web door it begins with nothing proved: the first message is `hello` with a seat token.
    `of_member` is for doors that know already who is there.
    The door calls `lost` once, when the connection is gone or was closed.
    """

    __slots__ = (
        "_all_answered",
        "_connection",
        "_leave_presence",
        "_limits",
        "_over",
        "_owed",
        "_refused",
        "_registry",
        "_room",
        "_room_id",
        "_user_id",
    )

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
        self._owed = 0
        """How many messages are under way whose answers are still to be told."""
        self._all_answered: Callable[[], None] | None = None

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

    @property
    def room(self) -> LivingRoom:
        """The room of one who has proved who it is."""
        return self._here()

    @property
    def lane(self) -> SeatLane | None:
        """The short way for packets of this member, while there is one; what it raises is for `refuse_packet`."""
        return None if self._room is None or self._over else self._room.referee.lane(self._user_id)

    def refuse_packet(self, error: Exception) -> None:
        """A packet was refused on the short way: it counts as a message, and its sender is told. Never raises."""
        self._refuse(self._counted(error), None)

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

    def count(self) -> None:
        """Count something that the member said and that is no room message. Raises `RateLimited`; closes the connection for a storm."""
        self._count()

    def when_answered(self, callback: Callable[[], None]) -> None:
        """Call `callback` once no answer is owed any more: at once where none is."""
        if self._owed:
            self._all_answered = callback
        else:
            callback()

    def text(self, data: bytes) -> None:
        """A room message, as UTF-8 JSON; what it is answered is delivered. Never raises."""
        room = self._room
        try:
            if len(data) > LARGE:
                self._count(len(data) / SHORT)
            message = read_message(data)
            kind = message.get("type")
            if room is None or type(kind) is not str or not room.referee.is_command(kind) or "id" in message:
                self._perform(message, id_of(message))
                return
            # What `perform` would do with the most frequent of messages.
            result = room.referee.text(self._user_id, message, self._connection)
        except Exception as error:
            self._refuse(self._counted(error), None)
            return
        if result is not None:
            self._tell(result, None)

    def binary(self, data: bytes) -> None:
        """A packet of the hosting kind. Never raises."""
        try:
            if self._room is None:
                raise _unproved()
            if self._room.referee.packets_are_messages:
                self._binary_message(self._room, data)
                return
            self._room.referee.packet(self._user_id, data, self._connection)
        except Exception as error:
            self._refuse(self._counted(error, len(data)), None)

    def _binary_message(self, room: LivingRoom, data: bytes) -> None:
        """A binary frame that is a message like others, and counts as one whether it is taken or not. Never raises."""
        try:
            self._count(1 + len(data) / SHORT if len(data) > LARGE else 1)
            room.referee.packet(self._user_id, data, self._connection)
        except Exception as error:
            self._refuse(error, None)

    def _perform(self, message: dict[str, Any], message_id: int | None) -> None:
        """As `perform`, and deliver what it is answered. Never raises."""
        try:
            result = self.perform(message, message_id)
        except Exception as error:
            self._refuse(error, message_id)
            return
        self._tell(result, message_id)

    def perform(self, message: dict[str, Any], message_id: int | None = None) -> Answer | Deferred[Any]:
        """Carry a message out.

        Gives the answer's fields (None for a plain ack), or a Deferred of them. Raises, or fails with, `GameroomError`.
        """
        if message_id is None:
            message_id = id_of(message)
        kind, room = message.get("type"), self._room
        deed = self._DEEDS.get(kind) if type(kind) is str else None
        is_packet = room is not None and deed is None and type(kind) is str and room.referee.is_command(kind)
        if not is_packet:
            self._count()
        if type(kind) is not str:
            raise InvalidRequest("a room message has a type, a string", pointer="/type")
        if len(kind) > LONGEST_TYPE:
            raise InvalidRequest("there is no room message with so long a type", pointer="/type")
        if room is None:
            if kind != "hello":
                raise _unproved()
        else:
            self._remember(room, message_id)
            if room.audience.acts_once and deed is not _HELLO:
                act = partial(self._act, room, deed, message, message_id)
                return cast("Answer | Deferred[Any]", room.audience.once(self._user_id, message, message_id, act))
        if deed is not None:
            return deed(self, message, message_id)
        assert room is not None
        try:
            return room.referee.text(self._user_id, message, self._connection)
        except Exception as error:
            if is_packet and (told := self._counted(error)) is not error:
                raise told from error
            raise

    def _act(self, room: LivingRoom, deed: Callable[..., Any] | None, message: dict[str, Any], message_id: int | None) -> Any:
        if deed is not None:
            return deed(self, message, message_id)
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
        try:
            return room.set_ready(self._user_id, ready, revision)
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
            flood = room.floods[self._user_id] = Flood(self._limits().messages_per_second)
        return flood

    def _remember(self, room: LivingRoom, message_id: int | None) -> None:
        """For `last_id` of the next `welcome`: a page that is loaded anew gives out no id twice."""
        if message_id is not None:
            room.last_ids[self._user_id] = max(message_id, room.last_ids.get(self._user_id, 0))

    def _count(self, messages: float = 1) -> None:
        """Count a message, or a large one as so many, of a member. Raises `RateLimited`; closes the connection for a storm."""
        room = self._room
        if room is None:
            return
        flood = self._flood(room)
        try:
            flood.count(room.now(), messages)
        except RateLimited as error:
            if flood.storms:
                self._connection.close(error)
            raise

    def _counted(self, error: Exception, size: int = 0) -> Exception:
        """Why a command packet, or what is no message at all, was refused: then it counts as a message. Gives what to answer."""
        try:
            if not isinstance(error, RateLimited):
                self._count(max(1.0, size / SHORT))
        except RateLimited as limited:
            return limited
        return error

    def _tell(self, result: Answer | Deferred[Any], message_id: int | None) -> None:
        """Deliver the answer, now or when it is there."""
        if isinstance(result, Deferred):
            self._owed += 1
            result.addCallbacks(self._answer, self._refuse_later, callbackArgs=(message_id,), errbackArgs=(message_id,))
            result.addCallback(self._answered)
        else:
            self._answer(result, message_id)

    def _answer(self, answer: Answer, message_id: int | None) -> None:
        if answer is ANSWERED or self._over or (answer is None and message_id is None):
            return
        fields = ACK if answer is None else answer
        self._connection.deliver(Outgoing.json(fields if message_id is None else {**fields, "reply_to": message_id}))

    def _answered(self, _: None) -> None:
        self._owed -= 1
        if not self._owed and self._all_answered is not None:
            callback, self._all_answered = self._all_answered, None
            callback()

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


_HELLO = RoomConversation._DEEDS["hello"]
"""It says who speaks, so it is no repeat of anything."""

ANSWERED: dict[str, Any] = {"type": "answered"}
"""The answer has been delivered already."""


def _unproved() -> Unauthorized:
    return Unauthorized('say hello first: {"type": "hello", "token": <your seat token>}')
