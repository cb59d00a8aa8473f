"""A WebSocket client for tests, by hand: it says exactly what a test wants said, right or wrong."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha1
from typing import Any

import attrs
import orjson

from tests.doors.web.world import HOST, Peer, WebWorld

KEY = b64encode(b"sixteen bytes, 1").decode()
MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
MASK = b"\x01\x02\x03\x04"
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


def frame(payload: bytes = b"", opcode: int = TEXT, *, fin: bool = True, size: int | None = None, masked: bool = True, rsv: int = 0) -> bytes:
    """A client's frame; `size` lies about the length."""
    length = len(payload) if size is None else size
    head = bytes([(0x80 if fin else 0) | rsv << 4 | opcode])
    bit = 0x80 if masked else 0
    if length < 126:
        head += bytes([bit | length])
    elif length < 65536:
        head += bytes([bit | 126]) + length.to_bytes(2, "big")
    else:
        head += bytes([bit | 127]) + length.to_bytes(8, "big")
    if not masked:
        return head + payload
    return head + MASK + bytes(byte ^ MASK[index % 4] for index, byte in enumerate(payload))


def handshake(path: str, headers: dict[str, str | None] | None = None) -> bytes:
    """The request for a socket; a header of None is left out."""
    fields: dict[str, str | None] = {
        "Host": HOST,
        "Upgrade": "websocket",
        "Connection": "Upgrade",
        "Sec-WebSocket-Key": KEY,
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Protocol": "gameroom.v1",
        **(headers or {}),
    }
    lines = [f"GET {path} HTTP/1.1", *(f"{name}: {value}" for name, value in fields.items() if value is not None), "", ""]
    return "\r\n".join(lines).encode()


@attrs.frozen
class Closed:
    """A close frame."""

    code: int
    reason: str


class SocketPeer(Peer):
    """A peer that upgrades to a room socket."""

    status = 0
    head = ""

    def connect(self, path: str, headers: dict[str, str | None] | None = None, after: bytes = b"") -> int:
        """Shake hands; gives the HTTP status. `after` comes in the same read."""
        self.raw(handshake(path, headers) + after)
        data = self.take()
        head, _, rest = data.partition(b"\r\n\r\n")
        self.head = head.decode()
        self.status = int(self.head.split(" ")[1])
        self._unread = rest if self.status == 101 else b""
        return self.status

    def accepted_key(self) -> bool:
        return b64encode(sha1((KEY + MAGIC).encode()).digest()).decode() in self.head

    def say(self, **message: Any) -> None:
        """A room message; `type_` is its type."""
        message["type"] = message.pop("type_")
        self.raw(frame(orjson.dumps(message)))

    def heard(self) -> list[Any]:
        """All that has come: room messages, bytes of binary frames, `Closed`, and control frames as their opcode."""
        data, found = self._unread + self.take(), []
        self._unread = b""
        while data:
            first, length = data[0], data[1]
            at = 2
            assert first & 0x70 == 0
            assert length < 128, "a server masks nothing"
            if length == 126:
                length, at = int.from_bytes(data[2:4], "big"), 4
            elif length == 127:
                length, at = int.from_bytes(data[2:10], "big"), 10
            payload, data = data[at : at + length], data[at + length :]
            found.append(_read(first & 0x0F, payload))
        return found

    def types(self) -> list[Any]:
        """As `heard`, but of room messages the types only."""
        return [message["type"] if isinstance(message, dict) else message for message in self.heard()]


def _read(opcode: int, payload: bytes) -> Any:
    if opcode == TEXT:
        return orjson.loads(payload)
    if opcode == BINARY:
        return payload
    if opcode == CLOSE:
        return Closed(int.from_bytes(payload[:2], "big"), payload[2:].decode())
    return opcode


def socket_of(world: WebWorld, member: dict[str, Any], room_id: str, address: str = "192.0.2.1") -> SocketPeer:
    """A socket that has said hello, with what it was told taken away."""
    peer = SocketPeer(world, address)
    assert peer.connect(f"/socket/{room_id}") == 101
    peer.say(type_="hello", token=member["token"])
    assert peer.types()[0] == "welcome"
    return peer
