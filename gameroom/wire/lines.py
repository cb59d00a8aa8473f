"""JSON lines: one JSON object a line, UTF-8, ended by LF (docs/protocol/lobby.md, "Lines").

Pure: bytes in, lines and values out; no Twisted, no clock.
Lines are cut from the stream one at a time and read only when their turn comes, so that a peer that pipelines costs
the bytes it has sent and no more, and the limit on a line may change with the request before it.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Final

import orjson

from gameroom.errors import GameroomError, InvalidRequest
from gameroom.wire.json_lists import MOST as MOST_LISTS
from gameroom.wire.json_lists import check_lists

_TELNET = re.compile(rb"\xff(?:[\xfb-\xfe][\x00-\x31]|\xfa[^\xff]*\xff\xf0|[\xf1-\xf9])")
"""What a telnet client puts between the lines it sends: option negotiation (RFC 855) and commands such as Interrupt."""

INTERRUPT: Final = b"\xff\xf4\xff\xfd\x06"
"""What telnet sends at Ctrl-C: Interrupt Process, DO TIMING-MARK (RFC 860). Until the mark is answered it shows its person nothing."""

NO_TIMING_MARK: Final = b"\xff\xfc\x06"
"""The answer (WONT)."""

CARRIAGE_RETURN: Final = 13

_LARGE: Final = 4096
"""Bytes of a piece that is kept as it came."""

_LONG: Final = 256
"""Bytes of a line that is long to search for its end."""

_HINT: Final = 'try {"type": "HELP"}'


NOTHING: Final = b'{"status":"ok","code":0,"message":"ok","payload":{}}\n'
"""The answer to a request that was carried out and has nothing to tell."""


class LineTooLong(InvalidRequest):
    """100, and the last thing that this peer is told: where its next line would begin is not known."""


class LineBuffer:
    r"""Cuts a stream of bytes into lines, in time linear in the bytes, however they arrive.

    >>> buffer = LineBuffer()
    >>> buffer.feed(b'{"type":"PING"}\r\n{"ty')
    >>> buffer.take(1024)
    b'{"type":"PING"}'
    >>> buffer.take(1024) is None
    True
    """

    __slots__ = ("_length", "_lines", "_pieces")

    def __init__(self) -> None:
        self._lines: deque[bytes] = deque()
        self._pieces: list[bytes | bytearray] = []
        """Of the line that has not ended: large ones as they came, so that they are copied once, and small ones together."""
        self._length = 0
        """Bytes of these."""

    def feed(self, data: bytes) -> None:
        """Take more of the stream."""
        *lines, rest = _split(data)
        if lines:
            if self._pieces:
                self._pieces.append(lines[0])
                lines[0] = b"".join(self._pieces)
                self._pieces.clear()
                self._length = 0
            self._lines.extend(lines)
        if rest:
            self._keep(rest)

    def _keep(self, piece: bytes) -> None:
        self._length += len(piece)
        if len(piece) >= _LARGE:
            self._pieces.append(piece)
        elif self._pieces and isinstance(self._pieces[-1], bytearray):
            self._pieces[-1] += piece
        else:
            self._pieces.append(bytearray(piece))

    @property
    def more(self) -> bool:
        """Whether anything is left, ended or not."""
        return bool(self._lines) or self._length > 0

    def take(self, limit: int) -> bytes | None:
        """The next line without its end, or None until more has come. Empty lines are skipped.

        Raises `LineTooLong` for a line of more than `limit` bytes, ended or not; the buffer is empty from then on.
        """
        while self._lines:
            line = self._lines.popleft()
            if line and line[-1] == CARRIAGE_RETURN:
                line = line[:-1]
            if len(line) > limit:
                self._refuse(limit)
            if line:
                return line
        # One byte more may be the CR of a line that has just the limit.
        if self._length > limit + 1:
            self._refuse(limit)
        return None

    def end(self) -> None:
        """The peer has sent its last byte: what it did not end is a line too, as a person's `printf | nc` means it."""
        if self._pieces:
            self.feed(b"\n")

    def clear(self) -> None:
        self._lines.clear()
        self._pieces.clear()
        self._length = 0

    def __bool__(self) -> bool:
        """Whether bytes wait here, be it a line or a part of one."""
        return bool(self._lines or self._pieces)

    def _refuse(self, limit: int) -> None:
        self.clear()
        raise LineTooLong(f"a line may have at most {limit} bytes here; the connection is closed")


def _split(data: bytes) -> list[bytes]:
    """What LFs separate, as bytes.split gives it, which looks at each byte by itself: the longer lines are, the slower it is than to search."""
    end = data.find(b"\n")
    if end < 0:
        return [data]
    if end < _LONG:
        return data.split(b"\n")
    lines, start = [], 0
    while end >= 0:
        lines.append(data[start:end])
        start = end + 1
        end = data.find(b"\n", start)
    lines.append(data[start:])
    return lines


def decode(line: bytes) -> dict[str, Any]:
    """The object of one line.

    Strict: no NaN or Infinity, no lone surrogates, at most 1024 levels deep.
    A number that no 64-bit integer holds reads as a float, as it does in browsers.
    Telnet's own bytes are passed over where a request stands beside them.
    Raises `InvalidRequest` for anything else.
    """
    if b"\xff" in line:
        line = _TELNET.sub(b"", line)
    if len(line) > MOST_LISTS:
        check_lists("a line", line)
    try:
        value = orjson.loads(line)
    except ValueError as error:
        raise InvalidRequest(_explain(line, error)) from None
    if type(value) is not dict:
        raise InvalidRequest(f"a line must hold one JSON object; {_HINT}")
    return value


def _explain(line: bytes, error: ValueError) -> str:
    """Say to a person what is wrong with a line that is no JSON."""
    if line.lstrip()[:1] != b"{":
        return f"each line must be one JSON object; {_HINT}"
    reason = getattr(error, "msg", "not JSON")
    position = getattr(error, "pos", None)
    where = "" if position is None else f" at character {position + 1}"
    return f"this line is not JSON: {reason}{where}; {_HINT}"


def ok(payload: dict[str, Any] | None = None) -> bytes:
    """The answer to a request that was carried out, as one line."""
    if not payload:
        return NOTHING
    return b'{"status":"ok","code":0,"message":"ok","payload":' + orjson.dumps(payload) + b"}\n"


def error(problem: GameroomError) -> bytes:
    """The answer to a request that was not, as one line."""
    answer = {"status": "error", "code": problem.code, "message": problem.message, "payload": problem.payload}
    return orjson.dumps(answer, option=orjson.OPT_APPEND_NEWLINE)


def push(push_type: str, payload: dict[str, Any]) -> bytes:
    """A message that nobody asked for, as one line; `orjson.Fragment`s in it go in as they are."""
    return orjson.dumps({"type": push_type, "payload": payload}, option=orjson.OPT_APPEND_NEWLINE)
