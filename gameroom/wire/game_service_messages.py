"""The declaration of game.proto: what a micro game service is sent and what it answers (docs/protocol/game-service.md).

Pure values: no Twisted, no clock, no I/O.
"""

from __future__ import annotations

from typing import Final

from gameroom.wire.messages import Field, Message, Messages

_SEAT: Final = Field("seat", 1, "uint32")

PLAYER: Final = Message(
    "Player",
    (
        _SEAT,
        Field("id", 2, about="an account's username or a guest's UUID"),
        Field("name", 3),
        Field("connected", 4, "bool"),
    ),
    about="One who has a seat.",
)
STARTED: Final = Message(
    "Started",
    (
        Field("config", 1, "bytes", about="the room's configuration: JSON, an object"),
        Field("seed", 2, "uint64", about="below 2^53; for this play alone, and nobody else knows it"),
    ),
    about="A play begins. The state before it is always empty.",
)
MESSAGE: Final = Message(
    "Message",
    (
        _SEAT,
        Field("data", 2, "bytes", about="up to 64 KiB"),
        Field("text", 3, "bool", about="true: data is JSON, the body of a game message; false: a binary frame"),
    ),
    about="A player has said something.",
)
JOINED: Final = Message("Joined", (_SEAT,), about="A player who was away is back.")
LEFT: Final = Message(
    "Left",
    (_SEAT, Field("reason", 2, about="away: the connection is lost; left, kicked, timeout: the seat is free")),
    about="A player is away or has left.",
)
TIMER: Final = Message(
    "Timer",
    (Field("due_ms", 1, "int64", about="when it was due, Unix time in milliseconds"),),
    about="The timer that the service has asked for.",
)
GAME_UPDATE: Final = Message(
    "GameUpdate",
    (
        Field("request", 1, "uint64", about="number of this exchange; the answer repeats it"),
        Field("room_id", 2),
        Field("sequence", 3, "uint64", about="the room's update number, from 1, without gaps; the answer repeats it"),
        Field("state", 4, "bytes", about="the last state; empty at started"),
        Field("players", 5, PLAYER, repeated=True, about="those who have a seat, at this event"),
        Field("started", 6, STARTED, oneof="event"),
        Field("message", 7, MESSAGE, oneof="event"),
        Field("joined", 8, JOINED, oneof="event"),
        Field("left", 9, LEFT, oneof="event"),
        Field("timer", 10, TIMER, oneof="event"),
        Field("now_ms", 11, "int64", about="Unix time of the event in milliseconds, the same when it is sent again"),
        Field("game_id", 12),
        Field("version", 13),
    ),
    about="What gameroom sends: the last state, and what happened.",
)
OUTGOING: Final = Message(
    "Outgoing",
    (
        Field("data", 1, "bytes"),
        Field("text", 2, "bool", about="true: data is JSON, the body of a game message; false: a binary frame"),
    ),
    about="To all members, viewers too.",
)
VIEW: Final = Message(
    "View",
    (
        _SEAT,
        Field("data", 2, "bytes"),
        Field("text", 3, "bool", about="as in Outgoing"),
    ),
    about="To the player of one seat, so that hands of cards stay hidden.",
)
FINISHED: Final = Message(
    "Finished",
    (Field("results", 1, "bytes", about="JSON, up to 16 KiB; empty for none"),),
    about="The play is over.",
)
REJECTED: Final = Message(
    "Rejected",
    (
        Field("code", 1, "uint32", about="100, 102, 103, 104 or 105"),
        Field("message", 2, about="one sentence for a person"),
    ),
    about="This update changes nothing; its sender alone is told.",
)
GAME_STATE: Final = Message(
    "GameState",
    (
        Field("request", 1, "uint64", about="that of the GameUpdate"),
        Field("sequence", 2, "uint64", about="that of the GameUpdate"),
        Field("state", 3, "bytes", about="the next state, the service's own, up to 1 MiB"),
        Field("broadcast", 4, OUTGOING, repeated=True, about="to all members"),
        Field("views", 5, VIEW, repeated=True, about="to one seat each; with the broadcasts up to 1 MiB"),
        Field("timer_ms", 6, "uint32", optional=True, about="ask for timer after so long instead of the last one; 0 takes it back; absent leaves it"),
        Field("finished", 7, FINISHED, about="the play is over"),
        Field("rejected", 8, REJECTED, about="this update changes nothing; all else is not looked at"),
    ),
    about="What the service answers: the next state, and what the members are to see.",
)

PROTO: Final = Messages(
    package="gameroom.v1",
    file="gameroom/wire/game.proto",
    about="What gameroom and a micro game service say to each other (docs/protocol/game-service.md).\n"
    "Each message goes with its length before it: 4 bytes, unsigned, network order.",
    messages=(GAME_UPDATE, PLAYER, STARTED, MESSAGE, JOINED, LEFT, TIMER, GAME_STATE, OUTGOING, VIEW, FINISHED, REJECTED),
)


def markdown(message: Message) -> str:
    """One message's table in docs/protocol."""
    rows = ["| no. | field | type | |", "|---|---|---|---|"]
    for field in message.fields:
        label = "repeated " if field.repeated else "optional " if field.optional else ""
        about = f"oneof `{field.oneof}`" if field.oneof else field.about
        rows.append(f"| {field.number} | `{field.name}` | {label}{field.type_in_proto} | {about} |")
    return "\n".join(rows)
