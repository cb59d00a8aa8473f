"""The lobby, as a player's program uses it (docs/client.md)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from gameroom.client.accounts import AccountClient
from gameroom.client.answers import entries, field, without_none
from gameroom.client.download import Downloaded, Downloading, Wish
from gameroom.client.servers import LOBBY_PORT
from gameroom.deferring import deferring

Payload = dict[str, Any]

STARTS_WITHIN = 120.0
"""Seconds for START_ROOM: a room that a program hosts is answered for once that program is ready."""


class LobbyClient(AccountClient):
    """One connection to the lobby. What its methods fire with, and fail with, is what docs/protocol/lobby.md says of each command."""

    role, _register, _login = "player", "REGISTER_PLAYER", "LOGIN_PLAYER"
    door = f"the lobby is usually at {LOBBY_PORT}"

    def __init__(self, clock: IReactorTime) -> None:
        super().__init__(clock)
        self._downloading = Downloading(self)

    # The store.

    @deferring
    async def games(self, *, limit: int | None = None, before: str | None = None) -> list[Payload]:
        """Games that are online, newest first, 200 at most; `before` the last one's game_id goes on from there."""
        return entries(await self.request("LIST_GAMES", without_none(limit=limit, before=before)), "games")

    def game(self, game_id: str) -> Deferred[Payload]:
        return self.request("GET_GAME_DETAIL", {"game_id": game_id})

    def latest_version(self, game_id: str) -> Deferred[Payload]:
        """Fires with `version`, `size_bytes` and `checksum`."""
        return self.request("LATEST_VERSION", {"game_id": game_id})

    @deferring
    async def reviews(self, game_id: str, *, limit: int | None = None, before: str | None = None) -> list[Payload]:
        """Newest first, 200 at most; `before` the last one's created_at goes on from there."""
        return entries(await self.request("LIST_REVIEWS", without_none(game_id=game_id, limit=limit, before=before)), "reviews")

    @deferring
    async def add_review(self, game_id: str, score: int, comment: str = "") -> None:
        """Score 1 to 5; one's earlier review of the game is replaced."""
        await self.request("ADD_REVIEW", {"game_id": game_id, "score": score, "comment": comment})

    def download(
        self, game_id: str, part: Path, *, version: str | None = None, progress: Callable[[int, int], None] | None = None
    ) -> Deferred[Downloaded]:
        """Bring a version's file (the latest, where none is named) into the file `part`; what is there already is not brought again.

        `progress(bytes_there, size_bytes)` is called with each chunk.
        Fails with BadState where somebody else writes into the part;
        with ChecksumMismatch, the part removed, where the bytes are not those of the version; with OSError where they cannot be written.
        Cancelling it stops the download; so does losing the connection. Either way the part is what the next try goes on from.
        """
        return self._downloading.download(Wish(game_id, version, part, progress))

    # People.

    @deferring
    async def players(self) -> list[str]:
        """Who is online, sorted."""
        return field(await self.request("LIST_PLAYERS"), "online_players", list)

    @deferring
    async def subscribe(self, *, rooms: bool | None = None, presence: bool | None = None) -> None:
        """Turn the pushes ROOM_UPDATED, CHAT and ROOM_MESSAGE (`rooms`) and PLAYER_PRESENCE (`presence`) on or off; see `on_push`."""
        await self.request("SUBSCRIBE", without_none(rooms=rooms, presence=presence))

    # Rooms.

    @deferring
    async def rooms(self, *, limit: int | None = None, before: str | None = None) -> list[Payload]:
        """Public rooms and one's own, newest first, 200 at most; `before` the last one's room_id goes on from there."""
        return entries(await self.request("LIST_ROOMS", without_none(limit=limit, before=before)), "rooms")

    @deferring
    async def room(self, room_id: str) -> Payload:
        return field(await self.request("GET_ROOM", {"room_id": room_id}), "room", dict)

    def create_room(self, game_id: str, *, public: bool | None = None) -> Deferred[Payload]:
        """Fires with `room_id` and `version`."""
        return self.request("CREATE_ROOM", without_none(game_id=game_id, public=public))

    def join_room(self, room_id: str) -> Deferred[Payload]:
        return self.request("JOIN_ROOM", {"room_id": room_id})

    def join_party(self, party_code: str) -> Deferred[Payload]:
        return self.request("JOIN_PARTY", {"party_code": party_code})

    @deferring
    async def leave_room(self, room_id: str) -> None:
        await self.request("LEAVE_ROOM", {"room_id": room_id})

    def start_room(self, room_id: str, *, timeout: float = STARTS_WITHIN) -> Deferred[Payload]:
        """Fires with `room_id`, `game_host`, `game_port` and `version`, once the room is ready to be played."""
        return self.request("START_ROOM", {"room_id": room_id}, timeout=timeout)

    @deferring
    async def kick(self, room_id: str, player: str) -> None:
        await self.request("KICK", {"room_id": room_id, "player": player})

    @deferring
    async def chat(self, room_id: str, text: str) -> None:
        await self.request("CHAT", {"room_id": room_id, "text": text})

    @deferring
    async def room_message(self, room_id: str, body: Payload) -> None:
        """Say a room message (docs/protocol/rooms.md)."""
        await self.request("ROOM_MESSAGE", {"room_id": room_id, "body": body})
