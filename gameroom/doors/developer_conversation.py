"""What a developer's program may say, and what carries it out (docs/protocol/developer.md).

Transport-free: a peer is a `LineConversation`, and the classes here carry out the commands of all peers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

from pybase64 import b64decode

from gameroom.doors.account_commands import AccountCommands
from gameroom.doors.line_conversation import Call, Desk, Handler, new_incident
from gameroom.errors import InvalidRequest
from gameroom.rules.sessions import DEVELOPER as DEVELOPER_ROLE
from gameroom.rules.transfer import USUAL_CHUNK
from gameroom.settings import Limits
from gameroom.wire.commands import PAGE
from gameroom.wire.developer import DEVELOPER, USUAL_LOG_LINES

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.developer_games import DeveloperGames
    from gameroom.metrics import Metrics
    from gameroom.uploads import Uploads

Payload = dict[str, Any]

AROUND_A_CHUNK = 1024
"""Bytes of an UPLOAD_CHUNK's line beside its base64, and some to spare."""


class GameCommands:
    """A developer's games and their versions."""

    def __init__(self, games: DeveloperGames) -> None:
        self._games = games

    def handlers(self) -> dict[str, Handler]:
        return {
            "CREATE_GAME": self.create,
            "LIST_MY_GAMES": self.list_mine,
            "UPDATE_GAME_META": self.update,
            "SET_GAME_STATUS": self.set_status,
            "LIST_VERSIONS": self.list_versions,
            "YANK_VERSION": self.yank,
            "GET_LOGS": self.logs,
        }

    async def create(self, call: Call) -> Payload:
        return {"game_id": await self._games.create(call.account, **call.payload)}

    async def list_mine(self, call: Call) -> Payload:
        return {"games": await self._games.mine(call.account, call.payload.get("limit", PAGE), call.payload.get("before"))}

    async def update(self, call: Call) -> None:
        await self._games.update(call.account, **call.payload)

    async def set_status(self, call: Call) -> None:
        await self._games.set_status(call.account, **call.payload)

    async def list_versions(self, call: Call) -> Payload:
        return {"versions": await self._games.versions(call.account, **call.payload)}

    async def yank(self, call: Call) -> None:
        await self._games.yank(call.account, **call.payload)

    async def logs(self, call: Call) -> Payload:
        return {"lines": await self._games.logs(call.account, call.payload["game_id"], call.payload.get("lines", USUAL_LOG_LINES))}


class UploadCommands:
    """Uploads of versions."""

    def __init__(self, uploads: Uploads, limits: Callable[[], Limits]) -> None:
        self._uploads = uploads
        self._limits = limits

    def handlers(self) -> dict[str, Handler]:
        return {
            "UPLOAD_BEGIN": self.begin,
            "UPLOAD_CHUNK": self.chunk,
            "UPLOAD_STATUS": self.status,
            "LIST_UPLOADS": self.list_unfinished,
            "UPLOAD_END": self.end,
            "CANCEL_UPLOAD": self.cancel,
        }

    async def begin(self, call: Call) -> Payload:
        said = call.payload
        # Where an operator has made lines short, what is suggested fits into one all the same.
        fits = max(1, (self._limits().line_bytes - AROUND_A_CHUNK) // 4 * 3)
        chunk_size = min(said.get("chunk_size", USUAL_CHUNK), fits)
        begun = await self._uploads.begin(call.account, said["game_id"], said["version"], said["size_bytes"], said.get("checksum"), chunk_size)
        return {"upload_id": begun.upload_id, "chunk_size": begun.chunk_size}

    def chunk(self, call: Call) -> Awaitable[None] | None:
        """The hot path: where the upload is open here this is done when it returns."""
        said = call.payload
        try:
            data = b64decode(said["data_b64"], validate=True)
        except ValueError:
            raise InvalidRequest('"data_b64" is not base64 (RFC 4648, with = at its end)', pointer="/payload/data_b64") from None
        return self._uploads.chunk(call.account, said["upload_id"], said["seq"], data)

    async def status(self, call: Call) -> Payload:
        return await self._uploads.status(call.account, call.payload["upload_id"])

    async def list_unfinished(self, call: Call) -> Payload:
        return {"uploads": await self._uploads.unfinished(call.account, call.payload.get("game_id"))}

    async def end(self, call: Call) -> Payload:
        published = await self._uploads.end(call.account, call.payload["upload_id"])
        return {"version": published.version, "is_latest": published.is_latest}

    async def cancel(self, call: Call) -> None:
        await self._uploads.cancel(call.account, call.payload["upload_id"])


def developer_desk(
    *,
    accounts: Accounts,
    games: DeveloperGames,
    uploads: Uploads,
    limits: Callable[[], Limits],
    metrics: Metrics | None = None,
    new_incident: Callable[[], str] = new_incident,
) -> Desk:
    """What all conversations of a developer door share."""
    return Desk(
        door="developer",
        role=DEVELOPER_ROLE,
        table=DEVELOPER,
        handlers={
            **AccountCommands("DEV", DEVELOPER_ROLE, accounts, room_of=lambda account: None).handlers(),
            **GameCommands(games).handlers(),
            **UploadCommands(uploads, limits).handlers(),
        },
        accounts=accounts,
        limits=limits,
        # Who is online is about players.
        arrive=lambda account: lambda: None,
        metrics=metrics,
        new_incident=new_incident,
    )
