"""The AsyncAPI 3 description of the room messages, as they travel on the room socket (docs/protocol/rooms.md)."""

from __future__ import annotations

from typing import Any

from gameroom.doors.web.schemas import SCHEMAS, TEXT, UUID, WHOLE, YES_NO, Schema, listed, or_null, ref

_GENERATION: Schema = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_HASH: Schema = {"anyOf": [{"type": "string", "maxLength": 128}, {"type": "object", "additionalProperties": TEXT}]}
_CHECKSUM: Schema = {"type": "object", "properties": {"generation": _GENERATION, "value": _HASH}, "required": ["generation", "value"]}
_ANYTHING: Schema = {}
_OBJECT: Schema = {"type": "object"}
_NUMBER: Schema = {"type": "number"}

Fields = dict[str, Schema]
_ADDRESS: Fields = {"game_host": TEXT, "game_port": WHOLE}


class Message:
    """One type of message: `required` and `optional` fields beside `type`."""

    def __init__(self, about: str, required: Fields | None = None, optional: Fields | None = None) -> None:
        self.about = about
        self.required = required or {}
        self.optional = optional or {}

    def payload(self, name: str, common: Fields) -> Schema:
        properties = {"type": {"const": name}, **self.required, **self.optional, **common}
        return {"type": "object", "properties": properties, "required": ["type", *self.required]}


FROM_MEMBERS: dict[str, Message] = {
    "hello": Message(
        "The first message: proves the seat. Answered by welcome, and by what the member missed.",
        {"token": {"type": "string", "description": "the seat token"}},
        {"play_id": UUID, "last_generation": {"type": "integer", "minimum": -1}, "snapshots": YES_NO},
    ),
    "ready": Message("Commits readiness, or takes it back.", {"ready": YES_NO}, {"revision": WHOLE}),
    "start": Message("The host starts."),
    "chat": Message("To everyone.", {"text": {"type": "string", "maxLength": 500}}),
    "sit": Message("A viewer takes the lowest free seat, in setup."),
    "kick": Message("The host sends a member away.", {"user_id": TEXT}),
    "leave": Message("Frees the seat."),
    "ping": Message("Answered by pong with the same t.", optional={"t": _ANYTHING}),
    "setup": Message("Lock-step: changes the configuration by JSON merge patch, while it is set up.", {"patch": _OBJECT}),
    "transition": Message("Lock-step: an event of the engine's own states.", {"event": TEXT}),
    "commands": Message(
        "Lock-step, JSON rooms: one player's commands for one generation.",
        {"generation": _GENERATION, "commands": listed(_ANYTHING)},
        {"latency": _NUMBER, "framerate": _NUMBER, "checksum": _CHECKSUM},
    ),
    "drop": Message("Lock-step: proposes to carry on without a player that is away or lagging.", {"seat": WHOLE}),
    "finish": Message(
        "Lock-step: this client's game is over. Relay: the host ends the play, with results alone if any.",
        optional={"generation": _GENERATION, "results": _OBJECT},
    ),
    "game": Message(
        'Relay: to the other members, or to those named, whatever it is; up to 64 KiB. Controller: what the player does, as `{"do": "left"}`. '
        "Service: what is for the game.",
        {"body": _ANYTHING},
        {"to": or_null(listed(TEXT))},
    ),
    "add_bot": Message("Controller: the host puts a computer player into a free seat.", optional={"level": WHOLE}),
    "ack": Message("Controller: the answer to a message of the room that came with an id.", {"reply_to": WHOLE}),
    "resolve": Message("Lock-step: the host says what to do about hashes that differ.", {"how": {"enum": ["abort", "evict", "resync"]}}),
    "snapshot": Message(
        "Lock-step: the answer to snapshot_request; `state` is null where the engine has none to give.",
        {"generation": _GENERATION, "state": _ANYTHING},
        {"checksum": or_null(_HASH)},
    ),
    "dump": Message("Lock-step: the answer to dump_request, as snapshot.", {"generation": _GENERATION, "state": _ANYTHING}),
}

TO_MEMBERS: dict[str, Message] = {
    "welcome": Message(
        "The answer to hello.",
        {
            "room": ref("Room"),
            "you": {
                "type": "object",
                "properties": {"user_id": TEXT, "name": TEXT, "seat": or_null(WHOLE), "viewer": YES_NO, "host": YES_NO},
                "required": ["user_id", "name", "seat", "viewer", "host"],
            },
            "last_id": WHOLE,
        },
        {"evicted": YES_NO, "game": or_null(_OBJECT), "last_game": or_null(_OBJECT), "last_play": or_null(_OBJECT), **_ADDRESS},
    ),
    "players": Message("The whole roster, at every change.", {"players": listed(ref("Player"))}),
    "state": Message(
        "At every change of state. Server rooms of direct mode: game_host and game_port are the GameServer's own, while it plays.",
        {"state": TEXT},
        {"reason": TEXT, "members": listed(TEXT), "message": TEXT, **_ADDRESS},
    ),
    "chat": Message("From a member.", {"from": TEXT, "text": TEXT}),
    "over": Message("The play ended; the room is in setup again.", {"reason": TEXT, "play_id": UUID}, {"results": _ANYTHING}),
    "pong": Message("The answer to ping.", optional={"t": _ANYTHING}),
    "ack": Message("The answer to a message with id that has no other."),
    "error": Message("What went wrong.", {"code": WHOLE, "message": TEXT}, {"retry_after": _NUMBER, "incident": UUID}),
    "setup": Message("Lock-step: the whole configuration, at every change.", {"configuration": _OBJECT, "revision": WHOLE, "by": TEXT}),
    "start": Message(
        "The play begins, or is on. From input_delay on: lock-step alone.",
        {
            "play_id": UUID,
            "seed": {"type": ["integer", "string"]},
            "configuration": _OBJECT,
            "players": listed({"type": "object", "properties": {"seat": WHOLE, "user_id": TEXT, "name": TEXT}}),
        },
        {"input_delay": WHOLE, "checksum_interval": WHOLE, "iterations_per_command": WHOLE, "generation": _GENERATION},
    ),
    "game": Message(
        "Relay: what a member has sent. Controller: an event of the game. Service: what the game shows.", {"body": _ANYTHING}, {"from": TEXT}
    ),
    "master": Message(
        "Lock-step, JSON rooms: everyone's commands for one generation, by seat.",
        {"generation": _GENERATION, "iterations_per_command": WHOLE, "commands": {"type": "object", "additionalProperties": listed(_ANYTHING)}},
        {"checksum": _CHECKSUM, "system": listed(_OBJECT)},
    ),
    "masters": Message("Lock-step, JSON rooms: history, in order.", {"from": _GENERATION, "masters": listed(_OBJECT)}),
    "resend": Message("Lock-step: the packet for this generation did not come.", {"generation": _GENERATION}),
    "divergence": Message(
        "Lock-step: hashes of one generation differ.",
        {"generation": _GENERATION, "groups": listed({"type": "object", "properties": {"value": _HASH, "seats": listed(WHOLE)}})},
        {"sections": listed(TEXT), "last_agreed": _ANYTHING},
    ),
    "snapshot_request": Message("Lock-step: the state after this generation, or a later one, is wanted.", {"generation": _GENERATION}),
    "snapshot": Message(
        "Lock-step: this state instead of the client's own; masters go on after it.",
        {"generation": _GENERATION, "checksum": _HASH, "state": _ANYTHING},
    ),
    "dump_request": Message("Lock-step: the client's state is wanted for the recording, since hashes differ.", {"generation": _GENERATION}),
}

_PACKETS = {
    "commandPacket": (
        "Binary rooms: u8 kind 1, u8 flags, u32 generation, u16 latency, u16 framerate, u32 checksum generation, u64 checksum, then the commands."
    ),
    "masterPacket": (
        "Binary rooms: u8 kind 2, u8 flags, u32 generation, u16 iterations_per_command, u32 checksum generation, u64 checksum, u16 count, "
        "then u16 seat, u16 length and bytes each."
    ),
    "gamePacket": "Relay and service rooms, from a player: up to 64 KiB that are the game's own.",
    "gameFrame": "Relay rooms, to everyone else: u16 seat of the sender, then those bytes.",
    "shownFrame": "Service rooms: what the game shows to everyone, or to this player, where that is no JSON.",
    "toGameServer": (
        "Server rooms that play, from a player: whole envelopes for the GameServer, each u8 version 1, u8 en + 4 * type, u16 length, "
        "then that many bytes (docs/protocol/game-port.md). Types 32 to 63 are the game's own."
    ),
    "fromGameServer": "Server rooms that play, to a player: one such envelope a frame; CONNECTED (5) first, then what the GameServer says.",
    "masterPackets": "Binary rooms, history: u8 kind 3, u32 from, u32 count, then u32 length and a master each.",
}


def describe(socket_url: str, version: str) -> dict[str, Any]:
    """The whole document; `socket_url` has `ws://` or `wss://`, host and port."""
    scheme, _, host = socket_url.partition("://")
    asked: Fields = {"id": {"type": "integer", "minimum": 0, "description": "wants an answer, which carries it as reply_to"}}
    told: Fields = {"reply_to": WHOLE, "id": {"type": "integer", "minimum": 1, "description": "in controller rooms, to players: wants an answer"}}
    messages = {f"from_{name}": _message(name, message, asked) for name, message in FROM_MEMBERS.items()}
    messages |= {f"to_{name}": _message(name, message, told) for name, message in TO_MEMBERS.items()}
    messages |= {name: {"name": name, "summary": about, "contentType": "application/octet-stream"} for name, about in _PACKETS.items()}
    received = [name for name in messages if name.startswith("from_") or name in ("commandPacket", "gamePacket", "toGameServer")]
    sent = [name for name in messages if name not in received]
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "gameroom rooms",
            "version": version,
            "description": "Text frames are JSON room messages, binary frames packets. Subprotocol gameroom.v1. Close codes are 4000 + the code.",
            "license": {"name": "MIT"},
        },
        "defaultContentType": "application/json",
        "servers": {"web": {"host": host, "protocol": scheme}},
        "channels": {
            "room": {
                "address": "/socket/{room_id}",
                "parameters": {"room_id": {"description": "the room"}},
                "messages": {name: {"$ref": f"#/components/messages/{name}"} for name in messages},
            }
        },
        "operations": {
            "hear": {"action": "receive", "channel": {"$ref": "#/channels/room"}, "messages": _in_room(received)},
            "tell": {
                "action": "send",
                "channel": {"$ref": "#/channels/room"},
                "messages": _in_room(sent),
            },
        },
        "components": {"messages": messages, "schemas": {name: SCHEMAS[name] for name in ("Room", "Player", "Engine")}},
    }


def _message(name: str, message: Message, common: Fields) -> dict[str, Any]:
    return {"name": name, "summary": message.about, "payload": message.payload(name, common)}


def _in_room(names: list[str]) -> list[dict[str, str]]:
    return [{"$ref": f"#/channels/room/messages/{name}"} for name in names]
