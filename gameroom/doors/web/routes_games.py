"""The store by REST, as in the lobby, and the recordings of plays (docs/protocol/rooms.md)."""

from __future__ import annotations

from typing import ClassVar

from gameroom.accounts import Accounts
from gameroom.catalogue import MOST_LISTED, Catalogue
from gameroom.doors.turns import Turns
from gameroom.doors.web.calls import Answer, Call
from gameroom.doors.web.declare import Field, Number, Reply, Route, Text
from gameroom.doors.web.pages import Pages
from gameroom.doors.web.schemas import ref
from gameroom.doors.web.streams import RecordingResource
from gameroom.errors import Forbidden, NotFound, Unauthorized
from gameroom.registry import Registry
from gameroom.rules.sessions import proof
from gameroom.store.recordings import Recordings


class GameRoutes:
    """The rows of the store."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="games",
            methods=("GET",),
            path="/games",
            about="The games that are ONLINE, newest first.",
            query=(
                Field(name="limit", kind=Number(1, MOST_LISTED), about=f"at most so many; {MOST_LISTED} without it"),
                Field(name="before", kind=Text(1, 64), about="go on behind this game_id, the last entry of the list before"),
            ),
            replies={200: Reply(about="The list.", schema=ref("Games"))},
            problems=(404,),
        ),
        Route(
            handler="game",
            methods=("GET",),
            path="/games/<game_id>",
            about="One game, also when it is OFFLINE.",
            replies={200: Reply(about="The game.", schema=ref("GameDetail"))},
            problems=(404,),
            page=True,
        ),
        Route(
            handler="latest",
            methods=("GET",),
            path="/games/<game_id>/versions/latest",
            about="The latest version of a game, also when it is OFFLINE.",
            replies={200: Reply(about="The version.", schema=ref("Version"))},
            problems=(404,),
        ),
    )

    def __init__(self, catalogue: Catalogue, pages: Pages) -> None:
        self._catalogue = catalogue
        self._pages = pages

    async def games(self, call: Call) -> Answer:
        games = await self._catalogue.list_games(limit=call.query.get("limit", MOST_LISTED), before=call.query.get("before"))
        return Answer(value={"games": games})

    async def game(self, call: Call) -> Answer:
        detail = await self._catalogue.detail(call.path["game_id"])
        return self._pages.game(call) if call.wants_page else Answer(value=detail)

    async def latest(self, call: Call) -> Answer:
        latest = await self._catalogue.latest(call.path["game_id"])
        return Answer(
            value={
                "version": latest.version,
                "size_bytes": latest.size_bytes,
                "checksum": latest.checksum,
                "hosting": latest.hosting,
                "page": latest.has_page,
            }
        )


class PlayRoutes:
    """The row of recordings."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="play",
            methods=("GET",),
            path="/plays/<play_id>",
            about="The recording of a play, for accounts that played in it, or with a seat token of it; for viewers held back, once it is over.",
            auth="session or seat",
            replies={200: Reply(about="One JSON object a line (docs/protocol/lockstep.md).", media_type="application/x-ndjson")},
            problems=(401, 403, 404, 409),
        ),
    )

    def __init__(self, *, registry: Registry, accounts: Accounts, recordings: Recordings, turns: Turns) -> None:
        self._turns = turns
        self._registry = registry
        self._accounts = accounts
        self._recordings = recordings

    async def play(self, call: Call) -> Answer:
        token = call.require_token()
        try:
            session = await self._accounts.identify(token)
        except Unauthorized:
            account, seat = "", proof(token)
        else:
            account, seat = session.account.key, ""
        allowed = await self._registry.may_read_play(call.path["play_id"], account, seat)
        if allowed is None:
            raise NotFound("there is no such play; recordings are not kept for ever")
        if not allowed:
            if seat:
                raise Unauthorized("this is neither a session token nor a seat token of this play")
            raise Forbidden("you did not play in this play")
        file, size = await self._recordings.open(call.path["play_id"])
        return Answer(resource=RecordingResource(file, size, self._turns), headers={"Content-Type": "application/x-ndjson"})
