"""The messages of the game port, and how they go into envelopes (docs/protocol/game-port.md).

One table: checking, both encodings, `game_port.proto` and the page's tables come from it.
Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import attrs
import orjson

from gameroom.errors import GameroomError, InvalidRequest
from gameroom.wire.envelope import JSON, MOST_TYPE, PROTOBUF, Envelope, to_bytes
from gameroom.wire.messages import Field, Message, Messages, own_object
from gameroom.wire.room_parts import ROOM, ROOM_PART, RoomParts, room_message

__all__ = [
    "AUTH",
    "BY_TYPE",
    "CLIENT_AUTH",
    "CONNECTED",
    "CONTROL",
    "ERROR",
    "FIRST_OF_GAME",
    "FROM_CLIENT",
    "GAME_CONFIG",
    "HOST",
    "JOIN",
    "LEAVE",
    "PING",
    "PING_BYTES",
    "PONG",
    "ROOM",
    "ROOM_PART",
    "START",
    "STATUS",
    "TYPE",
    "RoomParts",
    "decode",
    "encode",
    "error",
    "name_of",
    "room_message",
]

CONTROL: Final = 1
TYPE: Final = 2
AUTH: Final = 3
CLIENT_AUTH: Final = 4
CONNECTED: Final = 5
GAME_CONFIG: Final = 6
HOST: Final = 7
JOIN: Final = 8
ERROR: Final = 9
PING: Final = 10
PONG: Final = 11
LEAVE: Final = 12
STATUS: Final = 13
START: Final = 16
FIRST_OF_GAME: Final = 32
"""From here on types are the game's own."""

PING_BYTES: Final = 125
"""Of data that a PING may carry."""
JSON_BYTES: Final = 32 << 10
"""Of `config` and of `details`, as compact JSON."""
MESSAGE_CHARACTERS: Final = 1024
"""Of an error's sentence; what is longer is cut."""

PARTICIPANT: Final = Message("Participant", (Field("seat", 1, "uint32"), Field("id", 2), Field("name", 3)))
OPTIONS: Final = Message(
    "Options",
    (
        Field("max_players", 1, "uint32"),
        Field("players", 2, PARTICIPANT, repeated=True),
        Field("config", 3, "object", most_bytes=JSON_BYTES),
    ),
)
SEATED: Final = Message("Seated", (Field("seat", 1, "uint32"), Field("name", 2)))


@attrs.frozen
class Kind:
    """One type of envelope: who says it to whom, and its message, None where its data is no message of ours."""

    type: int
    name: str
    path: str
    message: Message | None
    about: str
    own_data: str = attrs.field(default="", kw_only=True)
    """What the data is where it is no message of ours."""
    by_client: bool = attrs.field(default=False, kw_only=True)
    """Whether a client may say it to gameroom."""

    @property
    def data(self) -> str:
        """As docs write it: `{game_id, version?}`."""
        return self.own_data if self.message is None else f"`{self.message.fields_shown}`"


DETAILS: Final = Field("details", 10, "object", optional=True, most_bytes=JSON_BYTES)

KINDS: Final = (
    Kind(
        CONTROL,
        "CONTROL",
        "proxy → GameServer",
        Message("Control", (Field("token", 1), Field("id", 2), Field("options", 3, OPTIONS))),
        "whose GameServer it is; again when a seat was left for good",
    ),
    Kind(
        TYPE,
        "TYPE",
        "proxy → GameServer",
        Message("Type", (Field("type", 1, choices=("control", "client")),)),
        "what this connection is",
    ),
    Kind(AUTH, "AUTH", "client → proxy", Message("Auth", (Field("id", 1),)), "a session token or a seat token", by_client=True),
    Kind(
        CLIENT_AUTH,
        "CLIENT_AUTH",
        "proxy → GameServer",
        Message("ClientAuth", (Field("id", 1), Field("seat", 2, "uint32"), Field("name", 3), Field("token", 4))),
        "who comes; `token` is that of CONTROL",
    ),
    Kind(
        CONNECTED,
        "CONNECTED",
        "GameServer → proxy → client",
        Message(
            "Connected",
            (
                Field("room_id", 1),
                Field("game_id", 2),
                Field("version", 3),
                Field("hosting", 4),
                Field("seat", 5, "uint32", optional=True),
                Field("players", 6, SEATED, repeated=True),
                Field("max_players", 7, "uint32"),
                Field("party_code", 8),
                Field("seat_token", 9, optional=True),
                DETAILS,
                Field("status", 11),
            ),
            whole_with="room_id",
        ),
        "you are in; viewers have no `seat`; a GameServer says `details` alone",
    ),
    Kind(
        GAME_CONFIG,
        "GAME_CONFIG",
        "GameServer → proxy → client",
        None,
        "what all clients are to know first",
        own_data="the game's own object",
    ),
    Kind(
        HOST,
        "HOST",
        "client → proxy",
        Message("Host", (Field("game_id", 1), Field("version", 2, optional=True), Field("name", 3, optional=True), Field("id", 4, optional=True))),
        "make a party and be its host",
        by_client=True,
    ),
    Kind(
        JOIN,
        "JOIN",
        "client → proxy",
        Message("Join", (Field("party_code", 1), Field("name", 2, optional=True), Field("id", 3, optional=True))),
        "take a seat in a party",
        by_client=True,
    ),
    Kind(
        ERROR,
        "ERROR",
        "any",
        Message("Error", (Field("code", 1, "uint32"), Field("message", 2), Field("retry_after", 3, "double", optional=True))),
        "what went wrong, for a program and for a person",
        by_client=True,
    ),
    Kind(PING, "PING", "any", None, "is somebody there?", own_data=f"up to {PING_BYTES} bytes", by_client=True),
    Kind(PONG, "PONG", "any", None, "the answer to PING", own_data="the same bytes, and the same `en`", by_client=True),
    Kind(LEAVE, "LEAVE", "client → proxy", Message("Leave"), "leave the room and close", by_client=True),
    Kind(
        STATUS,
        "STATUS",
        "GameServer → proxy",
        Message("Status", (Field("state", 1, choices=("ready", "finished")), Field("results", 2, "json", optional=True))),
        "on the control connection: it can be played, or the play is over",
    ),
    Kind(ROOM_PART, "ROOM_PART", "both", None, "more follow", own_data="a part of a room message", by_client=True),
    Kind(ROOM, "ROOM", "both", None, "`en` 1 is text, `en` 0 binary", own_data="a room message, or its last part", by_client=True),
    Kind(START, "START", "client → proxy", Message("Start"), "begin the play", by_client=True),
)
BY_TYPE: Final[Mapping[int, Kind]] = {kind.type: kind for kind in KINDS}

_SAID: Final = Message("Connected", (DETAILS,))

FROM_CLIENT: Final = frozenset(kind.type for kind in KINDS if kind.by_client)
"""The types below 32 that a client may say to gameroom."""

PROTO: Final = Messages(
    package="gameroom.v1",
    file="gameroom/wire/game_port.proto",
    about="The messages of gameroom's game port (docs/protocol/game-port.md).\nbytes with JSON in them hold the text of one JSON value, UTF-8.",
    messages=(*(kind.message for kind in KINDS if kind.message is not None), OPTIONS, PARTICIPANT, SEATED),
)


def encode(type: int, values: Mapping[str, Any], en: int = JSON) -> bytes:
    """A whole envelope with this message; what is None is left out. `GAME_CONFIG`'s values are the game's own, in JSON alone.

    Raises ValueError for values that the message cannot say, or that do not fit.
    """
    try:
        return to_bytes(type, _encoded(type, values, en), en)
    except (InvalidRequest, TypeError) as error:
        raise ValueError(f"{name_of(type)} cannot say this: {error}") from None


def _encoded(type_: int, values: Mapping[str, Any], en: int) -> bytes:
    message = _message(type_, en)
    if message is None:
        return orjson.dumps(dict(values))
    return PROTO.to_protobuf(message, values) if en == PROTOBUF else PROTO.to_json(message, values)


def decode(envelope: Envelope) -> dict[str, Any]:
    """The message in an envelope: the same in both encodings. What was not said is not there, and neither are fields that are not known.

    A `CONNECTED` without a room_id, as a GameServer says it, has what may be left out, at most.
    Raises `InvalidRequest` for what is no message, or not one of this type.
    """
    message = _message(envelope.type, envelope.en)
    if message is None:
        return own_object(name_of(envelope.type), envelope.data)
    if envelope.en == PROTOBUF:
        return PROTO.from_protobuf(message, envelope.data)
    return PROTO.from_json(message, envelope.data)


def decode_details(envelope: Envelope) -> dict[str, Any]:
    """What counts of a GameServer's `CONNECTED`: `{}` or `{"details": {…}}`. All else is the proxy's to say, so whatever stands there is no fault.

    Raises `InvalidRequest`.
    """
    _message(envelope.type, envelope.en)
    read = PROTO.from_protobuf if envelope.en == PROTOBUF else PROTO.from_json
    return read(_SAID, envelope.data)


def _message(type_: int, en: int) -> Message | None:
    """The message of a type; None for the game's own object. Raises `InvalidRequest`."""
    kind = BY_TYPE.get(type_)
    if kind is None or (kind.message is None and type_ != GAME_CONFIG):
        raise InvalidRequest(f"type {type_} carries no message")
    if en not in (JSON, PROTOBUF):
        raise InvalidRequest(f"{kind.name} comes as JSON (en 1) or as Protocol Buffers (en 2), not as en {en}")
    if kind.message is None and en != JSON:
        raise InvalidRequest(f"{kind.name} is the game's own: only its JSON can be read")
    return kind.message


def name_of(type: int) -> str:
    """What people call this type."""
    return BY_TYPE[type].name if type in BY_TYPE else f"type {type}"


def error(problem: GameroomError, en: int = JSON) -> bytes:
    """An `ERROR` envelope, in JSON where `en` names no encoding of messages. Never raises.

    A fault of ours has its incident in the sentence, since ERROR has no field for it.
    """
    message, incident = problem.message, problem.payload.get("incident")
    if len(message) > MESSAGE_CHARACTERS:
        message = message[: MESSAGE_CHARACTERS - 1] + "…"
    if incident:
        message = f"{message} (incident {incident})"
    values = {"code": problem.code, "message": message, "retry_after": problem.payload.get("retry_after")}
    return encode(ERROR, values, PROTOBUF if en == PROTOBUF else JSON)


def markdown() -> str:
    """The table of types in docs/protocol."""
    rows = ["| type | name | from → to | data | |", "|---|---|---|---|---|"]
    rows += [f"| {kind.type} | `{kind.name}` | {kind.path} | {kind.data} | {kind.about} |" for kind in KINDS]
    return "\n".join([*rows, f"| {FIRST_OF_GAME} to {MOST_TYPE} | | both | the game's own | passed on untouched |"])
