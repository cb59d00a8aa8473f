"""The developer door, as a developer's program uses it (docs/client.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from gameroom.client.accounts import AccountClient
from gameroom.client.answers import entries, field, without_none
from gameroom.client.servers import DEVELOPER_PORT
from gameroom.client.upload import CHUNK, WINDOW, Upload, Uploaded
from gameroom.deferring import deferring

Payload = dict[str, Any]


class DeveloperClient(AccountClient):
    """One connection to the developer door. What its methods fire with, and fail with, is what docs/protocol/developer.md says of each command."""

    role, _register, _login = "developer", "REGISTER_DEV", "LOGIN_DEV"
    door = f"the developer door is usually at {DEVELOPER_PORT}"

    @deferring
    async def create_game(self, name: str, description: str, game_type: str, max_players: int) -> str:
        """Fires with the game_id."""
        fields = {"name": name, "description": description, "game_type": game_type, "max_players": max_players}
        return field(await self.request("CREATE_GAME", fields), "game_id", str)

    @deferring
    async def games(self, *, limit: int | None = None, before: str | None = None) -> list[Payload]:
        """One's own games, newest first, 200 at most; `before` the last one's game_id goes on from there."""
        return entries(await self.request("LIST_MY_GAMES", without_none(limit=limit, before=before)), "games")

    @deferring
    async def update_game(
        self, game_id: str, *, description: str | None = None, max_players: int | None = None, game_type: str | None = None
    ) -> None:
        """Change what is given."""
        await self.request("UPDATE_GAME_META", without_none(game_id=game_id, description=description, max_players=max_players, game_type=game_type))

    @deferring
    async def set_status(self, game_id: str, status: str) -> None:
        """`ONLINE` or `OFFLINE`."""
        await self.request("SET_GAME_STATUS", {"game_id": game_id, "status": status})

    @deferring
    async def versions(self, game_id: str, *, details: bool = False, limit: int | None = None, before: str | None = None) -> list[Payload]:
        """Each with `version`, `uploaded_at`, `is_latest`; with `details` also `size_bytes`, `checksum` and `yanked`.

        The highest first, 200 at most; `before` the last one's version goes on from there.
        """
        wish = without_none(game_id=game_id, details=details or None, limit=limit, before=before)
        return entries(await self.request("LIST_VERSIONS", wish), "versions")

    @deferring
    async def yank(self, game_id: str, version: str) -> None:
        """Never let it be the latest again; by its name it can be had on."""
        await self.request("YANK_VERSION", {"game_id": game_id, "version": version})

    @deferring
    async def logs(self, game_id: str, lines: int | None = None) -> list[str]:
        """What the game's programs have written lately."""
        return field(await self.request("GET_LOGS", without_none(game_id=game_id, lines=lines)), "lines", list)

    def upload(
        self,
        game_id: str,
        version: str,
        path: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
        chunk_size: int = CHUNK,
        window: int = WINDOW,
    ) -> Deferred[Uploaded]:
        """Upload a file as a version of a game and publish it. What an earlier try has brought over is not sent again.

        `progress(bytes_there, size_bytes)` is called as chunks are taken. `window` is how many are under way at a time.
        Fails with the server's `GameroomError`, `ConnectionFailed`, or OSError where the file cannot be read.
        Cancelling it, or losing the connection, leaves the upload for the next try to go on with.
        """
        return Upload(self, game_id=game_id, version=version, path=path, progress=progress, chunk_size=chunk_size, window=window).run()

    @deferring
    async def uploads(self, game_id: str | None = None) -> list[Payload]:
        """One's own unfinished uploads, of one game or of all, wherever they were begun; the oldest first."""
        return entries(await self.request("LIST_UPLOADS", without_none(game_id=game_id)), "uploads")

    def upload_status(self, upload_id: str) -> Deferred[Payload]:
        """Fires with `next_seq`, `received_bytes` and `size_bytes`."""
        return self.request("UPLOAD_STATUS", {"upload_id": upload_id})

    @deferring
    async def cancel_upload(self, upload_id: str) -> None:
        await self.request("CANCEL_UPLOAD", {"upload_id": upload_id})
