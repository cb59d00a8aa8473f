"""Uploads by REST, as at the developer door (docs/protocol/developer.md): chunks are raw bytes."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet.interfaces import IReactorTime

from gameroom.accounts import Accounts
from gameroom.doors.web.ahead import Ahead, preferred_wait
from gameroom.doors.web.calls import Answer, Call, header
from gameroom.doors.web.declare import Body, Field, Number, RawBody, Reply, Route, Text
from gameroom.doors.web.routes_developer import MAY_FAIL, developer
from gameroom.doors.web.schemas import ref
from gameroom.uploads import Uploads

LARGEST_CHUNK = 262_144
_SEQ = Number(0, 2**53 - 1)


class UploadRoutes:
    """The rows of uploads."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="begin_upload",
            methods=("POST",),
            path="/developer/games/<game_id>/uploads",
            about="Begin the upload of a version, or take up the unfinished one of the same size and checksum.",
            auth="developer session",
            body=Body(
                (
                    Field(name="version", kind=Text(1, 64), required=True, about="MAJOR.MINOR.PATCH"),
                    Field(name="size_bytes", kind=Number(0, 2**53 - 1), required=True, about="of the whole file"),
                    Field(name="checksum", kind=Text(64, 71), about="SHA-256 of the whole file, 64 hex digits, with or without sha256:"),
                    Field(name="chunk_size", kind=Number(1, 2**53 - 1), about="bytes a chunk that you would like; a larger wish is answered 262144"),
                )
            ),
            replies={201: Reply(about="Go on.", schema=ref("Begun"), headers=("Location",))},
            problems=MAY_FAIL,
        ),
        Route(
            handler="unfinished_uploads",
            methods=("GET",),
            path="/developer/uploads",
            about="Your unfinished uploads, the oldest first: all, or those of one game.",
            auth="developer session",
            query=(Field(name="game_id", kind=Text(1, 64), about="only of this game"),),
            replies={200: Reply(about="The list.", schema=ref("Uploads"))},
            problems=MAY_FAIL,
        ),
        Route(
            handler="upload",
            methods=("GET",),
            path="/developer/uploads/<upload_id>",
            about="How far an upload is.",
            auth="developer session",
            replies={200: Reply(about="So far.", schema=ref("Upload"))},
            problems=(401, 403, 409),
        ),
        Route(
            handler="cancel_upload",
            methods=("DELETE",),
            path="/developer/uploads/<upload_id>",
            about="Give an upload up.",
            auth="developer session",
            replies={204: Reply(about="Gone.")},
            problems=(401, 403, 409),
        ),
        Route(
            handler="upload_chunk",
            methods=("PUT",),
            path="/developer/uploads/<upload_id>/chunks/<seq>",
            about="The next chunk, as it is; the first has number 0. With `Prefer: wait=5` one of the next 8 waits so many seconds for its turn.",
            auth="developer session",
            body=RawBody(LARGEST_CHUNK),
            replies={204: Reply(about="It is written.")},
            problems=(401, 403, 409),
        ),
        Route(
            handler="end_upload",
            methods=("POST",),
            path="/developer/uploads/<upload_id>/end",
            about="All chunks are there: check the bundle and publish it.",
            auth="developer session",
            replies={200: Reply(about="It is there.", schema=ref("Published"))},
            problems=(401, 403, 409, 422),
        ),
    )

    def __init__(self, *, uploads: Uploads, accounts: Accounts, clock: IReactorTime) -> None:
        self._uploads = uploads
        self._accounts = accounts
        self._ahead = Ahead(clock)

    async def begin_upload(self, call: Call) -> Answer:
        account, body = await developer(self._accounts, call), call.body
        begun = await self._uploads.begin(
            account, call.path["game_id"], body["version"], body["size_bytes"], body.get("checksum"), body.get("chunk_size", LARGEST_CHUNK)
        )
        value = {"upload_id": begun.upload_id, "chunk_size": begun.chunk_size}
        return Answer(status=201, value=value, headers={"Location": f"/developer/uploads/{begun.upload_id}"})

    async def unfinished_uploads(self, call: Call) -> Answer:
        account = await developer(self._accounts, call)
        return Answer(value={"uploads": await self._uploads.unfinished(account, call.query.get("game_id"))})

    async def upload(self, call: Call) -> Answer:
        return Answer(value=await self._uploads.status(await developer(self._accounts, call), call.path["upload_id"]))

    async def cancel_upload(self, call: Call) -> Answer:
        await self._uploads.cancel(await developer(self._accounts, call), call.path["upload_id"])
        return Answer(status=204)

    async def upload_chunk(self, call: Call) -> Answer:
        account, upload_id, data = await developer(self._accounts, call), call.path["upload_id"], call.body
        seq = _SEQ.read("the chunk's number", call.path["seq"], None)
        patience = preferred_wait(header(call.request, "prefer"))
        await self._ahead.put(upload_id, seq, lambda: self._uploads.chunk(account, upload_id, seq, data), patience)
        return Answer(status=204)

    async def end_upload(self, call: Call) -> Answer:
        published = await self._uploads.end(await developer(self._accounts, call), call.path["upload_id"])
        return Answer(value={"version": published.version, "is_latest": published.is_latest})
