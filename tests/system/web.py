"""The web door's REST as a test uses it, over the standard library's client."""

from __future__ import annotations

import gzip
import http.client
import itertools
import json
import secrets
from typing import Any
from urllib.parse import urlsplit

import attrs

from tests.system.harness import LOOPBACK, PATIENCE

_names = itertools.count(1)


class Refused(Exception):
    """An answer that is not 2xx: its status, and its problem document."""

    def __init__(self, status: int, problem: dict[str, Any]) -> None:
        super().__init__(f"{status}: {problem}")
        self.status = status
        self.problem = problem


@attrs.frozen(kw_only=True)
class Seat:
    """What POST /join gave."""

    room_id: str
    user_id: str
    name: str
    seat: int | None
    token: str
    port: int
    path: str
    """Of the WebSocket."""


class Web:
    """Requests to one web door, a connection each."""

    def __init__(self, port: int) -> None:
        self.port = port

    def request(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> tuple[int, dict[str, str], bytes]:
        """Status, headers (lower-case names) and body, whatever they are."""
        headers = {"Content-Type": "application/json"}
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        connection = http.client.HTTPConnection(LOOPBACK, self.port, timeout=PATIENCE)
        try:
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
        finally:
            connection.close()

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        """The body of a good answer; raises `Refused` for another."""
        status, _, content = self.request(method, path, body, token)
        fields: dict[str, Any] = json.loads(content) if content else {}
        if status // 100 != 2:
            raise Refused(status, fields)
        return fields

    def register(self, username: str | None = None) -> str:
        """A new player's session token."""
        answer = self.ask("POST", "/register", {"username": username or f"player{next(_names)}{secrets.token_hex(3)}", "password": "correct horse"})
        return str(answer["session_token"])

    def game(self, name: str) -> str:
        """The game_id of the one that is called so."""
        [game_id] = [game["game_id"] for game in self.ask("GET", "/games")["games"] if game["name"] == name]
        return str(game_id)

    def create(self, session: str, **content: Any) -> str:
        """A new lock-step room's id; the engine is ours and is never fetched."""
        room = self.ask("POST", "/create", {"engine": {"url": "http://127.0.0.1/toy.js"}, "seed": 7, **content}, session)
        return str(room["room_id"])

    def join(self, room_id: str, *, viewer: bool = False, session: str | None = None) -> Seat:
        """A seat of the room, for a guest unless there is a session."""
        taken = self.ask("POST", f"/join/{room_id}", {"as": "viewer" if viewer else "player"}, session)
        socket = urlsplit(taken["socket"])
        return Seat(
            room_id=room_id,
            user_id=taken["user_id"],
            name=taken["name"],
            seat=taken["seat"],
            token=taken["token"],
            port=socket.port or self.port,
            path=socket.path,
        )

    def recording(self, play_id: str, token: str) -> list[dict[str, Any]]:
        """The lines of a play's recording."""
        status, headers, content = self.request("GET", f"/plays/{play_id}", token=token)
        if status != 200:
            raise Refused(status, json.loads(content))
        if headers.get("content-encoding") == "gzip":
            content = gzip.decompress(content)
        return [json.loads(line) for line in content.splitlines()]
