"""What players do with a game of the store: say what they think of it, and take it home (docs/protocol/rooms.md)."""

from __future__ import annotations

import re
from typing import ClassVar
from urllib.parse import quote

from gameroom.accounts import Accounts
from gameroom.catalogue import MOST_LISTED, Catalogue
from gameroom.doors.turns import Turns
from gameroom.doors.web.calls import RAW, Answer, Call
from gameroom.doors.web.declare import Body, Field, Number, Reply, Route, Text
from gameroom.doors.web.schemas import ref
from gameroom.doors.web.streams import FileResource
from gameroom.downloads import UnreadableFile
from gameroom.reviews import Reviews
from gameroom.rules.sessions import Account

_MAY_FAIL = (401, 403, 404, 409)
_FILE = {
    200: Reply(about="The file.", media_type="*/*", headers=("Content-Disposition", "ETag")),
    206: Reply(about="A part of it.", media_type="*/*", headers=("Content-Range", "ETag")),
    304: Reply(about="It is the one you have."),
}
_ODD = re.compile(r"[^A-Za-z0-9._+-]+")


class ReviewRoutes:
    """The rows of reviews."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="reviews",
            methods=("GET",),
            path="/games/<game_id>/reviews",
            about="What players say of a game, newest first.",
            query=(
                Field(name="limit", kind=Number(1, MOST_LISTED), about=f"at most so many; {MOST_LISTED} without it"),
                Field(name="before", kind=Text(1, 64), about="go on behind this created_at, the last entry's of the list before"),
            ),
            replies={200: Reply(about="The list.", schema=ref("Reviews"))},
            problems=(404,),
        ),
        Route(
            handler="review",
            methods=("POST",),
            path="/games/<game_id>/reviews",
            about="Review a game. A player's second review of it takes the place of the first.",
            auth="session",
            body=Body(
                (
                    Field(name="score", kind=Number(1, 5), required=True, about="1 to 5"),
                    Field(name="comment", kind=Text(0, 2048), required=True, about="up to 2 KiB"),
                )
            ),
            replies={204: Reply(about="It is there.")},
            problems=_MAY_FAIL,
        ),
    )

    def __init__(self, *, reviews: Reviews, accounts: Accounts) -> None:
        self._reviews = reviews
        self._accounts = accounts

    async def reviews(self, call: Call) -> Answer:
        found = await self._reviews.list(call.path["game_id"], call.query.get("limit", MOST_LISTED), call.query.get("before"))
        return Answer(value={"reviews": found})

    async def review(self, call: Call) -> Answer:
        account = (await self._accounts.identify(call.require_token())).account
        await self._reviews.add(account, call.path["game_id"], call.body["score"], call.body["comment"])
        return Answer(status=204)


class DownloadRoutes:
    """The rows of bundles as files. Whoever has had one to its end has downloaded the game, where `reviews` are given."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="latest_bundle",
            methods=("GET",),
            path="/games/<game_id>/bundle",
            about="The file of a game's latest version, whole or in parts (Range). Its ETag is its SHA-256.",
            auth="session",
            replies=_FILE,
            problems=_MAY_FAIL,
        ),
        Route(
            handler="bundle",
            methods=("GET",),
            path="/games/<game_id>/versions/<version>/bundle",
            about="The file of this version.",
            auth="session",
            replies=_FILE,
            problems=_MAY_FAIL,
        ),
    )

    def __init__(self, *, catalogue: Catalogue, accounts: Accounts, turns: Turns, reviews: Reviews | None) -> None:
        self._catalogue = catalogue
        self._accounts = accounts
        self._turns = turns
        self._reviews = reviews

    async def latest_bundle(self, call: Call) -> Answer:
        return await self.bundle(call)

    async def bundle(self, call: Call) -> Answer:
        account = (await self._accounts.identify(call.require_token())).account
        game_id = call.path["game_id"]
        stored = await self._catalogue.stored(game_id, call.path.get("version"))
        if stored.path.stat().st_size != stored.size_bytes:
            raise UnreadableFile(f"{stored.path} has not the {stored.size_bytes} bytes that were uploaded")
        game = await self._catalogue.detail(game_id)
        headers = {
            "Content-Type": "application/zip" if stored.path.suffix == ".zip" else RAW,
            "Content-Disposition": _disposition(f"{game['name']}-{stored.version}{stored.path.suffix}"),
            # The one who asked may keep it, and asks again each time: who may have it can change.
            "Cache-Control": "private, no-cache",
        }
        tag = f'"{stored.checksum}"'
        return Answer(resource=FileResource(stored.path, self._turns, tag=tag, done=lambda: self._count(account, game_id)), headers=headers)

    def _count(self, account: Account, game_id: str) -> None:
        if self._reviews is not None:
            self._reviews.downloaded(account.key, game_id)


def _disposition(name: str) -> str:
    """The header that says what to call the file: in ASCII for old clients, and as it is."""
    plain = _ODD.sub("-", name).strip("-.") or "game"
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name.replace('/', '-'), safe='')}"
