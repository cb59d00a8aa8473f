"""Rooms by REST: make, look at, join and leave them (docs/protocol/rooms.md)."""

from __future__ import annotations

from io import BytesIO
from typing import Any, ClassVar

import orjson
import segno
from twisted.internet.interfaces import IReactorTime

from gameroom.accounts import Accounts
from gameroom.doors.web.calls import Answer, Call
from gameroom.doors.web.declare import Body, Choice, Field, Number, Reply, Route, Text
from gameroom.doors.web.pages import Pages
from gameroom.doors.web.schemas import object_of, ref
from gameroom.errors import NotFound
from gameroom.registry import Guest, Registry
from gameroom.room import LivingRoom
from gameroom.rules.limits import KeyedBuckets, network, too_many
from gameroom.rules.room_options import BOT_LEVELS, RoomRequest
from gameroom.rules.sessions import Account

MOST_LISTED = 200
LONGEST_NAME = 24

_ROOM_IN_QUERY = (Field(name="game_id", kind=Text(1, 64), required=True, about="the room_id"),)
_JOIN_BODY = Body(
    (
        Field(name="username", kind=Text(1, LONGEST_NAME), about="what a guest is shown as; an account has its own name"),
        Field(
            name="as",
            kind=Choice(("player", "viewer")),
            about="a player takes the lowest free seat; without this: a seat if there is one",
        ),
    )
)
_JOIN_ROW = "Take a seat, or come as a viewer. Without Authorization the member is a guest."
_JOINED = {201: Reply(about="In. Connect to `socket` and say hello with `token`.", schema=ref("Joined"))}
_SHOWN = {200: Reply(about="The room.", schema=ref("Room"))}
_MAY_FAIL = (401, 403, 404, 409)
MADE_BYTES, MADE_BYTES_A_SECOND = 32 << 20, 256 << 10
"""What an address may submit as content of rooms at once, and in the long run. A room is kept for `room_ttl` though nobody comes."""
LEAST_BYTES = 1 << 10
"""What a room counts for at least."""
SCHEMA_FACTOR = 64
"""A byte of a `command_schema` counts for so many: compiled it takes more."""


_CREATE_ABOUT = {
    "engine": "where the game's engine is, the engine itself, or a game of the store",
    "seed": "what all engines begin from; drawn below 2^32 without it",
    "configuration": "the set-up that the room begins with, up to 64 KiB",
    "min_players": "so many are needed to begin; 1 without it",
    "max_players": "so many seats there are; 8 without it",
    "encoding": "how packets travel; json without it",
    "input_delay": "so many turns after they were given commands are carried out; 2 without it",
    "checksum_interval": "each generation that this divides is hashed; 1 without it",
    "on_divergence": "what is done when players' states differ; halt, until the host says, without it",
    "patience": "milliseconds after which a turn goes on without the players whose packets are missing; all are waited for without it",
    "states": "the engine's own states, below setup and running; up to 64 of them",
    "command_schema": "a JSON Schema (draft 2020-12) of each command, up to 64 KiB; in JSON rooms only. "
    "It refers to nothing outside of itself nor back to where it stands, and has no unevaluatedItems, unevaluatedProperties, "
    "$dynamicRef or $anchor. What could take too long to check is refused.",
    "viewer_delay": "so many generations viewers are held behind; 0 without it",
    "viewers": "whether others may watch; true without it",
    "journal": "whether a generation is on the disk before it is sent (sync) or soon after (async); the operator's choice without it",
    "public": "whether it is in lists of rooms; true without it",
    "move_seconds": "in turn games: for how long a player may think about a turn; any time without it",
    "total_seconds": "in turn games: for how long a player may think about all turns of a game together; any time without it",
    "increment_seconds": "in turn games: so much is added to that for each turn made in time; 0 without it",
    "on_timeout": "in turn games: who has run out of time loses, or is played on for by a bot; loses without it",
    "bot_level": "in turn games: how well that bot plays",
}
"""What each field of /create is; docs/protocol/rooms.md says more."""


class CreateBody:
    """The body of /create, checked by the rules of rooms."""

    def read(self, content: Any) -> RoomRequest:
        return RoomRequest.from_json(content)

    def schema(self) -> dict[str, Any]:
        text, yes_no = {"type": "string"}, {"type": "boolean"}
        engine = {
            "oneOf": [
                object_of(url={"type": "string", "format": "uri", "maxLength": 2048}),
                object_of(source={"type": "string", "description": "up to 1 MiB"}, media_type=text),
                object_of(("version",), game_id=text, version=text),
            ]
        }

        def seconds(least: float, most: float) -> dict[str, Any]:
            return {"type": "number", "minimum": least, "maximum": most}

        fields: dict[str, dict[str, Any]] = {
            "engine": engine,
            "seed": {"anyOf": [Number(0, 2**53 - 1).schema(), Text(0, 256).schema()]},
            "configuration": {"type": "object"},
            "min_players": Number(1, 64).schema(),
            "max_players": Number(1, 64).schema(),
            "encoding": Choice(("json", "binary")).schema(),
            "input_delay": Number(1, 16).schema(),
            "checksum_interval": Number(1, 1000).schema(),
            "on_divergence": Choice(("halt", "evict", "resync")).schema(),
            "patience": Number(50, 60_000).schema(),
            "states": {"type": "object"},
            "command_schema": {"type": ["object", "boolean"]},
            "viewer_delay": Number(0, 10_000).schema(),
            "viewers": yes_no,
            "journal": Choice(("async", "sync")).schema(),
            "public": yes_no,
            "move_seconds": seconds(1, 86_400),
            "total_seconds": seconds(1, 86_400),
            "increment_seconds": seconds(0, 3_600),
            "on_timeout": Choice(("lose", "bot")).schema(),
            "bot_level": Number(1, BOT_LEVELS).schema(),
        }
        described = {name: {**field, "description": _CREATE_ABOUT[name]} for name, field in fields.items()}
        return {"type": "object", "properties": described, "required": ["engine"], "additionalProperties": False}


class RoomRoutes:
    """The rows of rooms."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="create",
            methods=("POST", "PUT"),
            path="/create",
            about="Make a room from submitted content, or from a game of the store. The first player who joins is host.",
            auth="session",
            body=CreateBody(),
            replies={201: Reply(about="Made.", schema=ref("Created"), headers=("Location",))},
            problems=(*_MAY_FAIL, 429),
        ),
        Route(
            handler="show",
            operation="show_by_query",
            methods=("GET",),
            path="/join",
            about="The room: its engine, seed and present configuration.",
            query=_ROOM_IN_QUERY,
            replies=_SHOWN,
            problems=(404,),
            page=True,
        ),
        Route(
            handler="show",
            methods=("GET",),
            path="/join/<room_id>",
            about="The room: its engine, seed and present configuration.",
            replies=_SHOWN,
            problems=(404,),
            page=True,
        ),
        Route(
            handler="join",
            operation="join_by_query",
            methods=("POST", "PUT"),
            path="/join",
            about=_JOIN_ROW,
            auth="maybe session",
            query=_ROOM_IN_QUERY,
            body=_JOIN_BODY,
            body_needed=False,
            replies=_JOINED,
            problems=_MAY_FAIL,
        ),
        Route(
            handler="join",
            methods=("POST", "PUT"),
            path="/join/<room_id>",
            about=_JOIN_ROW,
            auth="maybe session",
            body=_JOIN_BODY,
            body_needed=False,
            replies=_JOINED,
            problems=_MAY_FAIL,
        ),
        Route(
            handler="leave",
            methods=("DELETE",),
            path="/join/<room_id>",
            about="Leave the room; the seat is free at once.",
            auth="seat",
            replies={204: Reply(about="Gone.")},
            problems=(401, 404),
        ),
        Route(
            handler="engine",
            methods=("GET",),
            path="/join/<room_id>/engine",
            about="The engine that was submitted as source, with its media type and a sandboxing Content-Security-Policy.",
            replies={200: Reply(about="The source.", media_type="*/*")},
            problems=(404,),
        ),
        Route(
            handler="qr",
            methods=("GET",),
            path="/join/<room_id>/qr.svg",
            about="The room's URL as a QR code.",
            replies={200: Reply(about="The picture.", media_type="image/svg+xml")},
            problems=(404,),
        ),
        Route(
            handler="party",
            methods=("GET",),
            path="/party/<code>",
            about="Where the room of a party code is.",
            replies={303: Reply(about="There.", headers=("Location",))},
            problems=(404, 429),
            page=True,
        ),
        Route(
            handler="rooms",
            methods=("GET",),
            path="/rooms",
            about="Public rooms, and with Authorization one's own, newest first.",
            auth="maybe session",
            query=(
                Field(name="limit", kind=Number(1, MOST_LISTED), about=f"at most so many; {MOST_LISTED} without it"),
                Field(name="before", kind=Text(1, 64), about="go on behind this room_id, the last entry of the list before"),
            ),
            replies={200: Reply(about="The list.", schema=ref("Rooms"))},
            problems=(401, 403, 404, 409),
        ),
        Route(
            handler="room",
            methods=("GET",),
            path="/rooms/<room_id>",
            about="One public room, or with Authorization one's own.",
            auth="maybe session",
            replies={200: Reply(about="The room.", schema=ref("RoomDetail"))},
            problems=_MAY_FAIL,
        ),
    )

    def __init__(self, *, registry: Registry, accounts: Accounts, pages: Pages, clock: IReactorTime) -> None:
        self._registry = registry
        self._accounts = accounts
        self._pages = pages
        self._clock = clock
        self._made = KeyedBuckets(rate=MADE_BYTES_A_SECOND, burst=MADE_BYTES)

    async def create(self, call: Call) -> Answer:
        await self._accounts.identify(call.require_token())
        self._count(call)
        room = await self._registry.create(call.body, address=call.address)
        path = f"/join/{room.room_id}"
        value = {"room_id": room.room_id, "join": call.base + path, "party_code": room.value.party_code}
        return Answer(status=201, value=value, headers={"Location": path})

    def _count(self, call: Call) -> None:
        """Count what is submitted. Raises `RateLimited`."""
        place, size, now = network(call.address), max(LEAST_BYTES, _weight(call.body)), self._clock.seconds()
        if not self._made.take(place, now, size):
            raise too_many("more rooms come from your address than can be kept; wait a little", self._made.wait(place, now, size))

    async def show(self, call: Call) -> Answer:
        room = await self._registry.get(call.room_id())
        return self._pages.join(call) if call.wants_page else Answer(value=room.join_view())

    async def join(self, call: Call) -> Answer:
        account = await self._account(call)
        who = account if account is not None else Guest(call.body.get("username"))
        joined = await self._registry.join(call.room_id(), who, call.body.get("as", "any"))
        value = {
            "user_id": joined.user_id,
            "name": joined.name,
            "seat": joined.seat,
            "viewer": joined.viewer,
            "token": joined.token,
            "socket": self._socket(call, joined.room.room_id),
        }
        return Answer(status=201, value=value)

    async def leave(self, call: Call) -> Answer:
        await self._registry.leave_by_token(call.room_id(), call.require_token())
        return Answer(status=204)

    async def engine(self, call: Call) -> Answer:
        room = await self._registry.get(call.room_id())
        engine = room.options.engine
        if "source" not in engine:
            raise NotFound("this room's engine was not submitted as source; GET /join says where it is")
        return Answer(data=engine["source"].encode(), media_type=engine["media_type"], headers=self._pages.engine_headers(call))

    async def qr(self, call: Call) -> Answer:
        room = await self._registry.get(call.room_id())
        picture = BytesIO()
        segno.make(f"{call.base}/join/{room.room_id}", micro=False).save(picture, kind="svg", scale=4, xmldecl=False, light="#fff", omitsize=True)
        return Answer(data=picture.getvalue(), media_type="image/svg+xml")

    async def party(self, call: Call) -> Answer:
        room = await self._registry.find_party(call.path["code"], call.address)
        return Answer(status=303, headers={"Location": f"/join/{room.room_id}"})

    async def rooms(self, call: Call) -> Answer:
        rooms = await self._registry.rooms(await self._account(call))
        before = call.query.get("before")
        if before is not None:
            ids = [room.room_id for room in rooms]
            if before not in ids:
                raise NotFound("the room that you go on behind is no longer listed; begin anew")
            rooms = rooms[ids.index(before) + 1 :]
        return Answer(value={"rooms": [self._entry(call, room) for room in rooms[: call.query.get("limit", MOST_LISTED)]]})

    async def room(self, call: Call) -> Answer:
        account = await self._account(call)
        room = await self._registry.get(call.room_id())
        own = account is not None and room.value.find(account.username) is not None
        if not room.options.public and not own:
            raise NotFound("there is no such public room")
        return Answer(value={**room.lobby_detail(), "join_url": f"{call.base}/join/{room.room_id}"})

    async def _account(self, call: Call) -> Account | None:
        return None if call.token is None else (await self._accounts.identify(call.token)).account

    def _socket(self, call: Call, room_id: str) -> str:
        return "ws" + call.base.removeprefix("http") + f"/socket/{room_id}"

    def _entry(self, call: Call, room: LivingRoom) -> dict[str, Any]:
        return {**room.lobby_entry(), "join_url": f"{call.base}/join/{room.room_id}"}


def _weight(request: RoomRequest) -> int:
    """About how many bytes a room takes that is made of this."""
    schema = request.fields.get("command_schema")
    return len(orjson.dumps((request.engine, request.fields))) + SCHEMA_FACTOR * (0 if schema is None else len(orjson.dumps(schema)))
