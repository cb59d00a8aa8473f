"""WebSocket frames over real sockets, in any pieces: RFC 6455 as a client sees it."""

from __future__ import annotations

import json
import random
import socket
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import pytest

from tests.system.harness import LOOPBACK, PATIENCE, Daemon, DaemonMaker
from tests.system.scenario import lay_table
from tests.system.web import Web
from tests.system.websocket import BINARY, CLOSE, CONTINUATION, PING, PONG, TEXT, frame, request_head

SIZES = [0, 1, 2, 3, 4, 5, 90, 100, 101, 102, 103, 104, 105, 106, 107, 108, 200, 4000, 4096, 5000, 65_000, 70_000]
"""Characters that are asked to come back: around every size at which frames are written or read in another way."""


class RawSocket:
    """A client that says bytes and hears frames."""

    def __init__(self, connection: socket.socket) -> None:
        self.connection = connection
        self._heard = b""

    def say(self, data: bytes, pieces: Iterable[int]) -> None:
        """Send it in pieces of these sizes, and the rest as one."""
        for size in pieces:
            self.connection.sendall(data[:size])
            data = data[size:]
        self.connection.sendall(data)

    def hear(self) -> tuple[int, bytes]:
        """The next frame."""
        first, size = self._take(2)
        assert first & 0xF0 == 0x80
        if size == 126:
            (size,) = struct.unpack("!H", self._take(2))
        elif size == 127:
            (size,) = struct.unpack("!Q", self._take(8))
        return first & 0x0F, self._take(size)

    def hear_message(self, kind: str) -> dict[str, object]:
        """The next room message of that type."""
        while True:
            opcode, payload = self.hear()
            assert opcode == TEXT, (opcode, payload)
            message: dict[str, object] = json.loads(payload)
            if message["type"] == kind:
                return message

    def _take(self, size: int) -> bytes:
        while len(self._heard) < size:
            data = self.connection.recv(65536)
            assert data, "the connection ended in the midst of a frame"
            self._heard += data
        taken, self._heard = self._heard[:size], self._heard[size:]
        return taken

    def shake_hands(self, port: int, path: str) -> None:
        self.connection.sendall(request_head(port, path)[0])
        while b"\r\n\r\n" not in self._heard:
            self._heard += self.connection.recv(65536)
        head, self._heard = self._heard.split(b"\r\n\r\n", 1)
        assert head.startswith(b"HTTP/1.1 101 "), head


@pytest.fixture
def daemon(make_daemon: DaemonMaker) -> Daemon:
    return make_daemon(settings={"limits": {"messages_per_second": 1_000_000}})


@contextmanager
def member(daemon: Daemon) -> Iterator[RawSocket]:
    """A member of a room, welcomed, over a connection that sends every piece by itself."""
    seat = Web(daemon.web_port).join(lay_table(daemon).room_id)
    with socket.create_connection((LOOPBACK, daemon.web_port), timeout=PATIENCE) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = RawSocket(connection)
        client.shake_hands(daemon.web_port, seat.path)
        client.say(frame(TEXT, json.dumps({"type": "hello", "token": seat.token}).encode()), [])
        client.hear_message("welcome")
        client.hear_message("players")
        yield client


def ask(text: str) -> bytes:
    """A room message that is answered with the same text."""
    return json.dumps({"type": "ping", "t": text}, ensure_ascii=False).encode()


def fragments(payload: bytes, sizes: list[int]) -> bytes:
    """A text message in fragments of these sizes and the rest, with a control frame before the last."""
    parts, start = [], 0
    for size in sizes:
        parts.append(frame(CONTINUATION if start else TEXT, payload[start : start + size], final=False))
        start += size
    return b"".join(parts) + frame(PING, b"between") + frame(CONTINUATION, payload[start:])


def test_any_size_in_any_pieces(daemon: Daemon) -> None:
    texts = ["x" * size for size in SIZES] + ["ü" * size for size in SIZES]
    stream = b"".join(frame(TEXT, ask(text)) for text in texts)
    draw = random.Random(1)
    ways: list[Iterable[int]] = [[], [1] * 2000, [draw.randint(1, 3000) for _ in range(400)], [len(frame(TEXT, ask(text))) for text in texts]]
    with member(daemon) as client:
        for pieces in ways:
            client.say(stream, pieces)
            for text in texts:
                assert client.hear_message("pong")["t"] == text


def test_fragments_and_control_frames(daemon: Daemon) -> None:
    with member(daemon) as client:
        for pieces in ([], [1] * 300, [3, 50, 1, 7]):
            client.say(
                frame(TEXT, ask("1")) + frame(PING, b"p") + fragments(ask("2ü" * 20), [5, 1, 30]) + frame(PONG, b"") + frame(TEXT, ask("3")), pieces
            )
            assert client.hear_message("pong")["t"] == "1"
            assert client.hear() == (PONG, b"p")
            assert client.hear() == (PONG, b"between")
            assert client.hear_message("pong")["t"] == "2ü" * 20
            assert client.hear_message("pong")["t"] == "3"


BREACHES = [
    (b"\x81\x01x", 1002),
    (b"\xc1" + frame(TEXT, b"x")[1:], 1002),
    (b"\x91" + frame(TEXT, b"x")[1:], 1002),
    (frame(3, b"x"), 1002),
    (frame(CONTINUATION, b"x"), 1002),
    (frame(TEXT, b"x", final=False) + frame(TEXT, b"y"), 1002),
    (frame(PING, b"x", final=False), 1002),
    (b"\x82\xfe\x00\x05" + bytes(9), 1002),
    (frame(TEXT, b"\xff"), 1007),
    (frame(TEXT, "ü".encode()[:1]), 1007),
    (frame(BINARY, b"x" * 70_000)[:2] + struct.pack("!Q", 2**40) + b"mask", 1009),
    (frame(CLOSE, struct.pack("!H", 3000) + b"bye"), 1000),
]


def test_close_codes(daemon: Daemon) -> None:
    for breach, code in BREACHES:
        for pieces in ([], [1] * 100):
            with member(daemon) as client:
                client.say(frame(TEXT, ask("before")) + breach, pieces)
                assert client.hear_message("pong")["t"] == "before"
                opcode, payload = client.hear()
                assert (opcode, struct.unpack("!H", payload[:2])[0]) == (CLOSE, code), breach
