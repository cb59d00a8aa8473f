"""The lobby as a program uses it: one blocking connection, JSON lines."""

from __future__ import annotations

import json
import secrets
import socket
from types import TracebackType
from typing import Any

from tests.system.harness import LOOPBACK, PATIENCE

PASSWORD = "correct horse"


class LobbyPeer:
    """One connection. Pushes that come between answers are put into `pushes`."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection((LOOPBACK, port), timeout=PATIENCE)
        self._buffered = b""
        self.pushes: list[dict[str, Any]] = []

    def __enter__(self) -> LobbyPeer:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        self.socket.close()

    def send(self, kind: str, payload: dict[str, Any] | None = None, token: str | None = None) -> None:
        """Send a request and do not wait."""
        self.send_raw(json.dumps(request(kind, payload, token)).encode() + b"\n")

    def send_raw(self, data: bytes) -> None:
        self.socket.sendall(data)

    def line(self) -> dict[str, Any] | None:
        """The next line, push or answer; None where the connection has ended."""
        while b"\n" not in self._buffered:
            try:
                more = self.socket.recv(65536)
            except ConnectionResetError:
                more = b""
            if not more:
                assert not self._buffered, "half a line is no answer"
                return None
            self._buffered += more
        line, _, self._buffered = self._buffered.partition(b"\n")
        fields: dict[str, Any] = json.loads(line)
        return fields

    def answer(self) -> dict[str, Any]:
        """The next answer."""
        while True:
            line = self.line()
            assert line is not None, "the lobby closed the connection"
            if "status" in line:
                return line
            self.pushes.append(line)

    def ask(self, kind: str, payload: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        """Send a request and wait for its answer."""
        self.send(kind, payload, token)
        return self.answer()

    def good(self, kind: str, payload: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
        """The payload of an answer that has to be ok."""
        answer = self.ask(kind, payload, token)
        assert answer["status"] == "ok", answer
        result: dict[str, Any] = answer["payload"]
        return result

    def push(self, kind: str) -> dict[str, Any]:
        """The payload of the next push of this type, perhaps one that has come already."""
        while True:
            for number, push in enumerate(self.pushes):
                if push["type"] == kind:
                    del self.pushes[number]
                    payload: dict[str, Any] = push["payload"]
                    return payload
            line = self.line()
            assert line is not None, "the lobby closed the connection"
            assert "status" not in line, f"an answer to nothing: {line}"
            self.pushes.append(line)

    def register(self, username: str | None = None) -> str:
        """A new player's session token."""
        name = username or f"player-{secrets.token_hex(4)}"
        return str(self.good("REGISTER_PLAYER", {"username": name, "password": PASSWORD})["session_token"])


def request(kind: str, payload: dict[str, Any] | None = None, token: str | None = None) -> dict[str, Any]:
    """One request's envelope."""
    envelope: dict[str, Any] = {"type": kind}
    if token is not None:
        envelope["token"] = token
    if payload is not None:
        envelope["payload"] = payload
    return envelope
