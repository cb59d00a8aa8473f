"""A program at the game port: a plain socket, struct and JSON, as docs/protocol/game-port.md has it."""

from __future__ import annotations

import json
import socket
import struct
import time
from types import TracebackType
from typing import Any

from tests.system.harness import LOOPBACK, PATIENCE

AUTH, CONNECTED, GAME_CONFIG, HOST, JOIN, ERROR, PING, PONG, LEAVE, ROOM_PART, ROOM, START = 3, 5, 6, 7, 8, 9, 10, 11, 12, 14, 15, 16
RAW, JSON = 0, 1


class Native:
    """One connection. What comes is read when it is asked for, in its order. As a context manager it is closed outside."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection((LOOPBACK, port), PATIENCE)
        self._came = b""
        self._parts = b""

    def __enter__(self) -> Native:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self._socket.close()

    def say(self, type_: int, value: Any) -> None:
        """One envelope: bytes are sent as they are, anything else as JSON."""
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self._socket.sendall(struct.pack("!BBH", 1, type_ << 2 | (RAW if isinstance(value, bytes) else JSON), len(body)) + body)

    def next(self) -> tuple[int, Any]:
        """The type and the value of the next envelope; PINGs are answered. Raises EOFError at the end."""
        while True:
            type_, en, body = self._envelope()
            if type_ != PING:
                return type_, json.loads(body) if en == JSON and type_ not in (ROOM, ROOM_PART) else body
            self._socket.sendall(struct.pack("!BBH", 1, PONG << 2 | en, len(body)) + body)

    def until(self, *types: int) -> Any:
        """The next value of one of these types; an ERROR that is not one of them fails the test."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            type_, value = self.next()
            if type_ in types:
                return value
            assert type_ != ERROR, value
        raise AssertionError(f"nothing of types {types} has come")

    def until_playing(self) -> dict[str, Any]:
        """CONNECTED of the GameServer; what the room says before it is passed over."""
        while (connected := self.until(CONNECTED))["status"] != "PLAYING":
            pass
        return dict(connected)

    def room_message(self) -> dict[str, Any]:
        """The next room message, put together."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            type_, value = self.next()
            assert type_ in (ROOM, ROOM_PART), (type_, value)
            self._parts += value
            if type_ == ROOM:
                whole, self._parts = self._parts, b""
                message: dict[str, Any] = json.loads(whole)
                return message
        raise AssertionError("no room message has come")

    def _envelope(self) -> tuple[int, int, bytes]:
        _, head, length = struct.unpack("!BBH", self._read(4))
        return head >> 2, head & 3, self._read(length)

    def _read(self, size: int) -> bytes:
        while len(self._came) < size:
            data = self._socket.recv(65536)
            if not data:
                raise EOFError
            self._came += data
        taken, self._came = self._came[:size], self._came[size:]
        return taken


class Controller:
    """Plays a turn game on one connection: answers what comes with an id, and numbers what it says (docs/protocol/controller.md)."""

    def __init__(self, native: Native) -> None:
        self.native = native
        self.events: list[dict[str, Any]] = []
        self._number = 0
        self._had: set[int] = set()

    def say(self, body: dict[str, Any]) -> dict[str, Any]:
        """Say it, and say it once more with the same id; gives the answer, which is the same both times."""
        self._number += 1
        for _ in range(2):
            self.native.say(ROOM, {"type": "game", "id": self._number, "body": body})
        first, second = self._answer(), self._answer()
        assert first == second, (first, second)
        return first

    def until(self, event: str) -> dict[str, Any]:
        """The next event of this name."""
        while not any(each["event"] == event for each in self.events):
            self._take(self.native.room_message())
        while True:
            body = self.events.pop(0)
            if body["event"] == event:
                return body

    def _answer(self) -> dict[str, Any]:
        while True:
            message = self.native.room_message()
            if message.get("reply_to") == self._number:
                return message
            self._take(message)

    def _take(self, message: dict[str, Any]) -> None:
        if "id" in message:
            self.native.say(ROOM, {"type": "ack", "reply_to": message["id"]})
            if message["id"] in self._had:
                return
            self._had.add(message["id"])
        if message["type"] == "game":
            self.events.append(message["body"])
