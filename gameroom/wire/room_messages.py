"""Room messages: one JSON object each, or a binary packet, the same at every door (docs/protocol/rooms.md).

Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

from typing import Any, Final

import attrs
import orjson

from gameroom.build import IS_COMPILED
from gameroom.errors import InvalidRequest
from gameroom.wire.json_lists import check_lists
from gameroom.wire.room_parts import room_message

COMPILED: Final = IS_COMPILED
if COMPILED:
    from gameroom.wire import native

LARGE: Final = 32 << 10
"""Bytes. What is longer takes long to read."""
LARGEST_ID: Final = 2**53 - 1
LEVELS_AROUND: Final = 16
"""So much deeper than what a member gave may the messages, lines and answers be that carry it."""


class Told:
    """What goes out to members, made once for each kind of door.

    `frame` is for the WebSocket door: the bytes of whole unmasked frames, made when a socket first asks `framed` for them.
    `envelope` is for the game port: the bytes of envelopes, made when a connection first asks `enveloped` for them.
    """

    __slots__ = ("envelope", "frame")

    def __init__(self) -> None:
        self.frame = b""
        self.envelope = b""

    def framed(self) -> bytes:
        """The frames, made where they are not there yet."""
        if not self.frame:
            self.frame = self._in_frames()
        return self.frame

    def enveloped(self) -> bytes:
        """The envelopes, made where they are not there yet."""
        if not self.envelope:
            self.envelope = self._in_envelopes()
        return self.envelope

    def _in_frames(self) -> bytes:
        raise NotImplementedError

    def _in_envelopes(self) -> bytes:
        raise NotImplementedError


class Outgoing(Told):
    """One message on its way to members. `data` is its bytes, UTF-8 JSON unless `binary`."""

    __slots__ = ("binary", "data")

    def __init__(self, data: bytes, binary: bool = False) -> None:
        super().__init__()
        self.data = data
        self.binary = binary

    @classmethod
    def json(cls, message: dict[str, Any]) -> Outgoing:
        return cls(orjson.dumps(message))

    def _in_frames(self) -> bytes:
        return _frame_of(self.data, self.binary)

    def _in_envelopes(self) -> bytes:
        return room_message(self.data, self.binary)


class Outgoings(Told):
    """Messages that go to members together, in order: for doors that join them as one `Outgoing`, for others its `messages`."""

    __slots__ = ("messages",)

    def __init__(self, messages: list[Outgoing]) -> None:
        super().__init__()
        self.messages = messages

    def _in_frames(self) -> bytes:
        return b"".join([message.framed() for message in self.messages])

    def _in_envelopes(self) -> bytes:
        return b"".join([message.enveloped() for message in self.messages])


def _frame_of(data: bytes, binary: bool) -> bytes:
    """The message as one unmasked, unfragmented, uncompressed WebSocket frame (RFC 6455, 5.2)."""
    size = len(data)
    first = 0x82 if binary else 0x81
    if COMPILED and size < 65536:
        return native.frame(first, data)
    if size < 126:
        head = bytes((first, size))
    elif size < 65536:
        head = bytes((first, 126)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 127)) + size.to_bytes(8, "big")
    return head + data


def read_message(data: bytes) -> dict[str, Any]:
    """What a member says; raises `InvalidRequest`."""
    if len(data) > LARGE:
        check_lists("a room message", data)
    try:
        message = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise InvalidRequest("a room message is one JSON object in UTF-8") from None
    if type(message) is not dict:
        raise InvalidRequest("a room message is one JSON object")
    return message


def id_of(message: dict[str, Any]) -> int | None:
    """The `id` of a message; None where it has none. Raises `InvalidRequest`."""
    message_id = message.get("id")
    if message_id is None:
        return None
    if type(message_id) is not int or not 0 <= message_id <= LARGEST_ID:
        raise InvalidRequest("id must be an integer from 0 to 2^53 - 1", pointer="/id")
    return message_id


def text_field(message: dict[str, Any], name: str, longest: int, default: str | None = None) -> str:
    """A string field of a message; raises `InvalidRequest` where it is missing (without a default), no string or too long."""
    value = message.get(name, default)
    if type(value) is not str:
        raise InvalidRequest(f"{name} must be a string", pointer=f"/{name}")
    if len(value) > longest:
        raise InvalidRequest(f"{name} is too long", pointer=f"/{name}")
    return value


def size_of(name: str, value: Any) -> int:
    """How many bytes a member's value has as compact JSON; raises `InvalidRequest` where it could not be sent on.

    What JSON was read from may be nested deeper than what can be written.
    """
    wrapped = value
    for _ in range(LEVELS_AROUND):
        wrapped = [wrapped]
    try:
        return len(orjson.dumps(wrapped)) - 2 * LEVELS_AROUND
    except TypeError:
        raise InvalidRequest(f"{name} is nested too deeply", pointer=f"/{name}") from None


@attrs.frozen(kw_only=True)
class Hello:
    """What a `hello` says beside who it is: what the client has of the play, and what it can do."""

    play_id: str | None = None
    last_generation: int | None = None
    """The newest generation that it has; -1 for none."""
    snapshots: bool = True
    """Whether it can begin at a snapshot."""

    @classmethod
    def of(cls, message: dict[str, Any]) -> Hello:
        """Raises `InvalidRequest`."""
        last_generation, snapshots = message.get("last_generation"), message.get("snapshots", True)
        if last_generation is not None and (type(last_generation) is not int or not -1 <= last_generation < 2**32):
            raise InvalidRequest("last_generation must be the number of a generation", pointer="/last_generation")
        if type(snapshots) is not bool:
            raise InvalidRequest("snapshots must be true or false", pointer="/snapshots")
        return cls(play_id=text_field(message, "play_id", 64, default="") or None, last_generation=last_generation, snapshots=snapshots)
