"""Controllers on a real daemon: they answer what comes, number what they say, and come back when they are cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from tests.system import websocket
from tests.system.harness import PATIENCE
from tests.system.web import Seat, Web
from tests.system.websocket import TEXT, Closed, WebSocket


def turn_game(web: Web, name: str) -> str:
    """The id of a game that is in the store from the start."""
    [game_id] = [game["game_id"] for game in web.ask("GET", "/games")["games"] if game["name"] == name]
    return str(game_id)


class Robot:
    """A player on a room socket, who says one thing at a time, and that again until it is answered."""

    def __init__(self, seat: Seat, choose: Callable[[dict[str, Any]], list[str]]) -> None:
        """`choose(body of request_move)` gives the buttons to press."""
        self.seat = seat
        self.choose = choose
        self.number = 0
        self.to_say: list[dict[str, Any]] = []
        self.had: set[int] = set()
        self.dropped: list[int] = []
        """The columns of the drops that were answered."""
        self.over: list[dict[str, Any]] = []
        self.boards: list[list[str]] = []
        self.reconnections = 0
        self._turn: int | None = None
        self._result: dict[str, Any] = {}
        self._plays: set[str] = set()
        self._link: WebSocket | None = None

    async def play(self, games: int) -> None:
        """Until so many games are over."""
        self.say({"do": "join"})
        while len(self.over) < games:
            try:
                await self._meet()
                while len(self.over) < games:
                    _, data = await asyncio.wait_for(self._socket.receive(), PATIENCE)
                    self._take(json.loads(data))
            except (OSError, EOFError, Closed, websocket.HandshakeRefused, asyncio.IncompleteReadError):
                self.reconnections += 1
                await asyncio.sleep(0.1)
        self._socket.close()

    def say(self, body: dict[str, Any]) -> None:
        self.number += 1
        self.to_say.append({"type": "game", "id": self.number, "body": body})
        if len(self.to_say) == 1 and self._link is not None:
            self._send(self.to_say[0])

    @property
    def _socket(self) -> WebSocket:
        assert self._link is not None
        return self._link

    def _send(self, message: dict[str, Any]) -> None:
        self._socket.send(TEXT, json.dumps(message).encode())

    async def _meet(self) -> None:
        self._link = await websocket.connect(self.seat.port, self.seat.path)
        self._send({"type": "hello", "token": self.seat.token})
        if self.to_say:
            self._send(self.to_say[0])

    def _take(self, message: dict[str, Any]) -> None:
        if "reply_to" in message:
            self._answered(message)
        if "id" not in message:
            return
        self._send({"type": "ack", "reply_to": message["id"]})
        if message["id"] in self.had:
            return
        assert not self.had or message["id"] > max(self.had), "ids grow"
        self.had.add(message["id"])
        body = message.get("body", {})
        if body.get("event") == "request_move" and body["turn"] != self._turn:
            self._turn = body["turn"]
            for button in self.choose(body):
                self.say({"do": button})
        elif body.get("event") == "game_over":
            self._result = body
        elif message["type"] == "over" and message["play_id"] not in self._plays:
            # After a restart it may be told once more.
            self._plays.add(message["play_id"])
            self.over.append(self._result)
            self._turn = None
            self.say({"do": "ready"})
        if "board" in body:
            self.boards.append(body["board"])

    def _answered(self, message: dict[str, Any]) -> None:
        if not self.to_say or self.to_say[0]["id"] != message["reply_to"]:
            return
        said = self.to_say.pop(0)
        assert message["type"] != "error", (said, message)
        if said["body"]["do"] == "drop":
            self.dropped.append(message["body"]["cursor"])
            self.boards.append(message["body"]["board"])
        if self.to_say:
            self._send(self.to_say[0])


def to_column(body: dict[str, Any], column: int) -> list[str]:
    """The buttons that drop a disc in this column, or the next one that has room."""
    while len(body["board"][column]) == 6:
        column = (column + 1) % 7
    steps = column - body["cursor"]
    return ["left" if steps < 0 else "right"] * abs(steps) + ["drop"]


async def until(happened: Callable[[], bool]) -> None:
    """Look again and again, and go on when it has happened."""
    for _ in iter(happened, True):
        await asyncio.sleep(0.01)
