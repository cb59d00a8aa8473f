"""JSON Schemas of what the web door answers, by the names that they have in the OpenAPI description."""

from __future__ import annotations

from typing import Any

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
WHOLE: Schema = {"type": "integer"}
YES_NO: Schema = {"type": "boolean"}
UUID: Schema = {"type": "string", "format": "uuid"}
ANYTHING: Schema = {}
TIME: Schema = {"type": "string", "format": "date-time"}
CHECKSUM: Schema = {"type": "string", "description": "SHA-256 of the file, 64 hex digits"}


def ref(name: str) -> Schema:
    """A reference to one of `SCHEMAS`."""
    return {"$ref": f"#/components/schemas/{name}"}


def or_null(schema: Schema) -> Schema:
    return {"anyOf": [schema, {"type": "null"}]}


def listed(schema: Schema) -> Schema:
    return {"type": "array", "items": schema}


def object_of(optional: tuple[str, ...] = (), /, **fields: Schema) -> Schema:
    """An object of exactly these fields."""
    required = [name for name in fields if name not in optional]
    return {"type": "object", "properties": fields, "required": required, "additionalProperties": False}


_PLAYER = object_of(
    ("bot",),
    user_id=TEXT,
    name=TEXT,
    seat=or_null(WHOLE),
    viewer=YES_NO,
    host=YES_NO,
    connected=YES_NO,
    ready=YES_NO,
    bot={**WHOLE, "description": "the level of a computer player"},
)
_ENTRY: dict[str, Schema] = {
    "room_id": UUID,
    "game_id": TEXT,
    "version": TEXT,
    "host": TEXT,
    "players": listed(TEXT),
    "status": {"type": "string", "enum": ["WAITING", "PLAYING"]},
    "join_url": {"type": "string", "format": "uri"},
}
_STATUS: Schema = {"type": "string", "enum": ["ONLINE", "OFFLINE"]}
_GAME: dict[str, Schema] = {
    "game_id": TEXT,
    "name": TEXT,
    "status": _STATUS,
    "latest_version": or_null(TEXT),
    "avg_score": or_null({"type": "number"}),
}

SCHEMAS: dict[str, Schema] = {
    "Problem": object_of(
        ("pointer", "retry_after", "incident", "expected_seq"),
        type=TEXT,
        title=TEXT,
        status=WHOLE,
        detail=TEXT,
        code=WHOLE,
        pointer={"type": "string", "description": "JSON pointer into the body that was sent"},
        retry_after={"type": "number", "description": "seconds"},
        incident=UUID,
        expected_seq={"type": "integer", "description": "the number of the chunk that comes next"},
    ),
    "Created": object_of(room_id=UUID, join={"type": "string", "format": "uri"}, party_code=TEXT),
    "Player": _PLAYER,
    "Engine": {
        "type": "object",
        "description": 'Where the engine is: {"url", "media_type"?}, or {"game_id", "version", "url"?} for a game of the store.',
    },
    "Room": object_of(
        ("game_host", "game_port"),
        room_id=UUID,
        party_code=TEXT,
        engine=ref("Engine"),
        seed={"type": ["integer", "string"]},
        configuration={"type": "object"},
        revision=WHOLE,
        state=TEXT,
        hosting=TEXT,
        players=listed(ref("Player")),
        min_players=WHOLE,
        max_players=WHOLE,
        encoding={"type": "string", "enum": ["json", "binary"]},
        game_host={"type": "string", "description": "of server rooms: the game port, where programs come in"},
        game_port=WHOLE,
    ),
    "Joined": object_of(
        user_id=TEXT,
        name=TEXT,
        seat=or_null(WHOLE),
        viewer=YES_NO,
        token={"type": "string", "description": "the seat token: keep it, it is shown once"},
        socket={"type": "string", "format": "uri"},
    ),
    "RoomEntry": object_of(**_ENTRY),
    "RoomDetail": object_of(
        ("game_host", "game_port"),
        **_ENTRY,
        party_code=TEXT,
        max_players=WHOLE,
        hosting=TEXT,
        seats={"type": "object", "additionalProperties": TEXT},
        game_host=TEXT,
        game_port=WHOLE,
    ),
    "Game": object_of(**_GAME),
    "GameDetail": object_of(
        **_GAME,
        description=TEXT,
        game_type=TEXT,
        max_players=WHOLE,
        reviews_sample=listed(object_of(player=TEXT, score=WHOLE, comment=TEXT)),
    ),
    "Reviews": object_of(reviews=listed(object_of(player=TEXT, score=WHOLE, comment=TEXT, created_at=TIME))),
    "Version": object_of(
        version=TEXT,
        size_bytes=WHOLE,
        checksum=CHECKSUM,
        hosting=TEXT,
        page={"type": "boolean", "description": "whether it is played in a page of its own"},
    ),
    "OwnGame": object_of(game_id=TEXT, name=TEXT, description=TEXT, status=_STATUS, latest_version=or_null(TEXT)),
    "OwnGames": object_of(games=listed(ref("OwnGame"))),
    "NewGame": object_of(game_id=TEXT),
    "OwnVersions": object_of(
        versions=listed(object_of(version=TEXT, uploaded_at=TIME, is_latest=YES_NO, size_bytes=WHOLE, checksum=CHECKSUM, yanked=YES_NO))
    ),
    "Logs": object_of(lines=listed(TEXT)),
    "Begun": object_of(upload_id=TEXT, chunk_size={"type": "integer", "description": "so many bytes a chunk are suggested"}),
    "Upload": object_of(next_seq=WHOLE, received_bytes=WHOLE, size_bytes=WHOLE),
    "Uploads": object_of(
        uploads=listed(object_of(upload_id=TEXT, game_id=TEXT, version=TEXT, size_bytes=WHOLE, received_bytes=WHOLE, next_seq=WHOLE, begun_at=TIME))
    ),
    "Published": object_of(version=TEXT, is_latest=YES_NO),
    "Session": object_of(session_token={"type": "string", "description": "Bearer token of the account, for all doors"}),
    "Rooms": object_of(rooms=listed(ref("RoomEntry"))),
    "Games": object_of(games=listed(ref("Game"))),
}
