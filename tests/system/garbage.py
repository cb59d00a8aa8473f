"""What hostile or broken programs do to a port. Each of these opens its own connections and returns when it is through."""

from __future__ import annotations

import random
import socket
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from tests.system.harness import LOOPBACK, PATIENCE
from tests.system.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, frame, request_head

MIB = 1 << 20
Vandal = Callable[[int], None]
REPEATS = 20
ANSWERED_WITHIN = 0.3
"""For so long a vandal waits to see what is said to it."""


@contextmanager
def _connection(port: int) -> Iterator[socket.socket]:
    """A connection on which anything may fail, since the daemon is free to end it."""
    try:
        with socket.create_connection((LOOPBACK, port), timeout=PATIENCE) as connection:
            connection.settimeout(ANSWERED_WITHIN)
            yield connection
    except OSError:
        pass


def random_bytes(port: int) -> None:
    draw = random.Random(1)
    for size in [1, 10, 1000, 65536, 200_000] * (REPEATS // 4):
        with _connection(port) as connection:
            connection.sendall(draw.randbytes(size))
            connection.recv(65536)


def huge_line(port: int) -> None:
    """Two megabytes without an end of line, in one go."""
    with _connection(port) as connection:
        connection.sendall(b'{"type":"' + b"A" * 2_000_000)
        while connection.recv(65536):
            pass


def deep_nesting(port: int) -> None:
    for opening, closing in ((b"[", b"]"), (b'{"a":', b"}")):
        for depth in (1000, 60_000):
            with _connection(port) as connection:
                connection.sendall(opening * depth + b"1" + closing * depth + b"\n")
                connection.recv(65536)


def slow_drip(port: int) -> None:
    """A byte at a time, on several connections at once."""
    connections = [socket.create_connection((LOOPBACK, port), timeout=PATIENCE) for _ in range(REPEATS)]
    try:
        for byte in b'GET /{"type":"PING"' * 5:
            for connection in connections:
                connection.send(bytes((byte,)))
            time.sleep(0.01)
    except OSError:
        pass
    finally:
        for connection in connections:
            connection.close()


def half_open(port: int) -> None:
    """Many connections that never say a word, and then vanish with a reset."""
    connections = [socket.create_connection((LOOPBACK, port), timeout=PATIENCE) for _ in range(100)]
    time.sleep(0.5)
    for connection in connections:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()


def bad_http(port: int) -> None:
    """Heads and bodies that are wrong or without an end."""
    heads = [
        b"GET\r\n\r\n",
        b"GET / HTTP/9.9\r\n\r\n",
        b"POST /create HTTP/1.1\r\nHost: x\r\nContent-Length: -5\r\n\r\n",
        b"POST /create HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\n" + b"x" * 100_000,
        b"POST /create HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b"POST /register HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"y" * 65536,
        b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"z" * 100_000 + b"\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"".join(b"X-%d: 1\r\n" % number for number in range(3000)) + b"\r\n",
        b"GET /%00%ff/../../etc/passwd HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n\r\n" + b"[" * 60_000,
    ]
    for head in heads:
        with _connection(port) as connection:
            connection.sendall(head)
            connection.recv(65536)


def bad_frames(path: str) -> Vandal:
    """After a good handshake at `path`: everything that RFC 6455 forbids, and room messages that are none."""
    no_head = [b"\xf1\x80\0\0\0\0", b"\x81\x05hello", b"\x83\x80\0\0\0\0", b"\x82\xff" + b"\x7f" * 8 + b"abcd"]
    frames = [
        *no_head,
        frame(TEXT, b"\xff\xfe\xfa"),
        frame(TEXT, b"[" * 16_000),
        frame(TEXT, b'{"type":"hello","token":17}'),
        frame(TEXT, b'{"type":"hello","token":"nobody"}') * 5,
        frame(BINARY, b"\x01\x00"),
        frame(PING, b"p" * 126),
        frame(CLOSE, b"\x03"),
        frame(CONTINUATION, b"of nothing"),
        frame(TEXT, b"", final=False) + frame(CONTINUATION, b"", final=False) * 100_000,
    ]

    def vandal(port: int) -> None:
        for data in frames:
            with _connection(port) as connection:
                connection.sendall(request_head(port, path)[0])
                connection.recv(65536)
                connection.sendall(data)
                while connection.recv(65536):
                    pass

    return vandal


def stuff(connection: socket.socket, data: bytes, most: int = 64 * MIB, patience: float = 1.0) -> int:
    """Send `data` over and over without reading, until nothing has been taken for so many seconds; gives how many bytes were.

    Also ends where the other side closes, and after `most` bytes.
    """
    connection.settimeout(patience)
    sent = 0
    try:
        while sent < most:
            sent += connection.send(data[sent % len(data) :])
    except OSError:
        pass
    connection.settimeout(PATIENCE)
    return sent


ANY_DOOR: list[Vandal] = [random_bytes, huge_line, deep_nesting, slow_drip, half_open]
WEB_DOOR: list[Vandal] = [*ANY_DOOR, bad_http]
