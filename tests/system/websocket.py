"""A small WebSocket client of our own (RFC 6455), so that the daemon is not tested by the library that it is built on."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import secrets
import struct

GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
CONTINUATION, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
OPENS_WITHIN = 60.0


class Closed(Exception):
    """The socket is closed; `code` is the close frame's, or 1006 where the connection just ended."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}")
        self.code = code
        self.reason = reason


class HandshakeRefused(Exception):
    """Something other than 101 was answered."""

    def __init__(self, status: int, head: str) -> None:
        super().__init__(head)
        self.status = status


def frame(opcode: int, payload: bytes, *, final: bool = True) -> bytes:
    """One masked frame, as a client has to send it."""
    mask = secrets.token_bytes(4)
    size = len(payload)
    if size < 126:
        length = bytes((0x80 | size,))
    elif size < 65536:
        length = b"\xfe" + struct.pack("!H", size)
    else:
        length = b"\xff" + struct.pack("!Q", size)
    key = (mask * (size // 4 + 1))[:size]
    masked = (int.from_bytes(payload, "big") ^ int.from_bytes(key, "big")).to_bytes(size, "big")
    return bytes((0x80 * final | opcode,)) + length + mask + masked


class WebSocket:
    """One open socket. Made by `connect`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    def send(self, opcode: int, payload: bytes) -> None:
        """Send one message; what is lost with the connection is seen by `receive`."""
        if not self.writer.is_closing():
            self.writer.write(frame(opcode, payload))

    async def receive(self) -> tuple[int, bytes]:
        """The next text or binary message; pings are answered. Raises `Closed`."""
        while True:
            opcode, payload = await self._frame()
            if opcode == PING:
                self.send(PONG, payload)
            elif opcode == CLOSE:
                code = struct.unpack("!H", payload[:2])[0] if payload else 1005
                self.send(CLOSE, payload[:2])
                self.writer.close()
                raise Closed(code, payload[2:].decode())
            elif opcode in {TEXT, BINARY}:
                return opcode, payload

    async def _frame(self) -> tuple[int, bytes]:
        try:
            first, second = await self.reader.readexactly(2)
            assert first & 0xF0 == 0x80, "a server's messages come whole and uncompressed"
            assert not second & 0x80, "a server's frames are not masked"
            size = second
            if size == 126:
                size = struct.unpack("!H", await self.reader.readexactly(2))[0]
            elif size == 127:
                size = struct.unpack("!Q", await self.reader.readexactly(8))[0]
            return first & 0x0F, await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as ended:
            raise Closed(1006) from ended

    def abort(self) -> None:
        """End the connection without a word."""
        self.writer.transport.abort()

    def close(self, code: int = 1000) -> None:
        """Say goodbye and end the connection."""
        self.send(CLOSE, struct.pack("!H", code))
        self.writer.close()


async def connect(port: int, path: str, *, origin: str | None = None, subprotocol: str | None = "gameroom.v1") -> WebSocket:
    """Open a socket on this machine. Raises `HandshakeRefused`, `OSError` or `TimeoutError`."""
    async with asyncio.timeout(OPENS_WITHIN):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await _shake_hands(reader, writer, request_head(port, path, origin=origin, subprotocol=subprotocol))
        except BaseException:
            writer.transport.abort()
            raise


def request_head(port: int, path: str, *, origin: str | None = None, subprotocol: str | None = "gameroom.v1") -> tuple[bytes, bytes]:
    """The opening request, and the Sec-WebSocket-Accept that belongs to it."""
    key = base64.b64encode(secrets.token_bytes(16))
    lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", "Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
    lines.append(f"Sec-WebSocket-Key: {key.decode()}")
    if origin is not None:
        lines.append(f"Origin: {origin}")
    if subprotocol is not None:
        lines.append(f"Sec-WebSocket-Protocol: {subprotocol}")
    accept = base64.b64encode(hashlib.sha1(key + GUID, usedforsecurity=False).digest())
    return ("\r\n".join(lines) + "\r\n\r\n").encode(), accept


async def _shake_hands(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, opening: tuple[bytes, bytes]) -> WebSocket:
    request, accept = opening
    writer.write(request)
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
    except asyncio.IncompleteReadError as ended:
        raise ConnectionResetError("closed before it answered") from ended
    status = int(head.split(" ", 2)[1])
    if status != 101:
        raise HandshakeRefused(status, head)
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head.split("\r\n")[1:])}
    assert headers["sec-websocket-accept"] == accept.decode()
    assert headers["sec-websocket-protocol"] == "gameroom.v1"
    assert "sec-websocket-extensions" not in headers, "compression is never negotiated"
    return WebSocket(reader, writer)
