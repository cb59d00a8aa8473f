"""Sends files at the reader's pace, and all of them together in a small part of each round of the reactor."""

from __future__ import annotations

import re
import zlib
from collections.abc import Callable
from email.utils import formatdate, parsedate_to_datetime
from os import fstat
from pathlib import Path
from typing import IO, Any

from twisted.internet.interfaces import IPushProducer
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request
from werkzeug.http import parse_accept_header
from zope.interface import implementer

from gameroom.doors.turns import AT_ONCE, PIECE, Turns
from gameroom.doors.web.calls import header

ZIPPED_PIECE = 16 * 1024
"""What is compressed at once: about as long as it takes to send `AT_ONCE` pieces as they are, so it is a round by itself.

The first piece of each file is sent at once.
"""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@implementer(IPushProducer)
class Sender:
    """Sends `length` bytes of an open file, or as many as there are, and closes it. With `zipped` as gzip.

    `done` is called when the last of them has been written.
    """

    def __init__(
        self,
        file: IO[bytes],
        request: Request,
        turns: Turns,
        *,
        length: int,
        zipped: bool = False,
        done: Callable[[], object] | None = None,
    ) -> None:
        self._file = file
        self._request = request
        self._turns = turns
        self._left = length
        self._done = done
        # 16 more than the largest window makes it gzip's format.
        self._zip = zlib.compressobj(6, zlib.DEFLATED, zlib.MAX_WBITS + 16) if zipped else None
        self._paused = False
        self._waiting = False

    def start(self) -> None:
        self._request.registerProducer(self, True)
        self._send()

    def pauseProducing(self) -> None:
        self._paused = True

    def resumeProducing(self) -> None:
        self._paused = False
        self._ask()

    def stopProducing(self) -> None:
        self._file.close()

    def _ask(self) -> None:
        if not (self._paused or self._waiting or self._file.closed):
            self._waiting = True
            self._turns.ask(self._send, 1 if self._zip is None else AT_ONCE)

    def _send(self) -> None:
        self._waiting = False
        if getattr(self._request, "_disconnected", False):
            # Not every transport tells its producer that it is gone.
            self._file.close()
        if self._paused or self._file.closed:
            return
        piece = self._file.read(min(PIECE if self._zip is None else ZIPPED_PIECE, self._left))
        self._left -= len(piece)
        data = piece if self._zip is None else self._zip.compress(piece)
        if data:
            self._request.write(data)
        if piece and self._left:
            self._ask()
        elif not self._file.closed:
            self._end()

    def _end(self) -> None:
        self._file.close()
        if self._zip is not None:
            self._request.write(self._zip.flush())
        self._request.unregisterProducer()
        self._request.finish()
        if self._done is not None and not self._left:
            self._done()


class _Leaf:
    isLeaf = True

    def getChildWithDefault(self, name: bytes, request: Any) -> Any:
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        """Nothing: there is nothing below it."""


@implementer(IResource)
class RecordingResource(_Leaf):
    """The first `size` bytes of an open file that may still grow, compressed where that is wanted."""

    def __init__(self, file: IO[bytes], size: int, turns: Turns) -> None:
        self._file = file
        self._size = size
        self._turns = turns

    def render(self, request: Request) -> int:
        zipped = _takes_gzip(request)
        request.responseHeaders.addRawHeader("Vary", "Accept-Encoding")
        if zipped:
            request.setHeader("Content-Encoding", "gzip")
        if request.method == b"HEAD":
            self._file.close()
            request.write(b"")
            request.finish()
        else:
            Sender(self._file, request, self._turns, length=self._size, zipped=zipped).start()
        return NOT_DONE_YET


@implementer(IResource)
class FileResource(_Leaf):
    """A file of a bundle: with the date of its last change, and in parts for players of sound and film.

    `tag` is the ETag of a file that has one, in its quotes; `done` is called when an answer that reaches the file's end was written.
    """

    def __init__(self, path: Path, turns: Turns, *, tag: str = "", done: Callable[[], object] | None = None) -> None:
        self._path = path
        self._turns = turns
        self._tag = tag
        self._done = done

    def render(self, request: Request) -> Any:
        file = self._path.open("rb")
        status = fstat(file.fileno())
        if self._tag:
            request.setHeader("ETag", self._tag)
        if _is_unchanged(request, int(status.st_mtime), self._tag):
            file.close()
            request.setResponseCode(304)
            return b""
        request.setHeader("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        request.setHeader("Accept-Ranges", "bytes")
        part = _part(request, status.st_size, self._tag)
        if part is None:
            file.close()
            request.setResponseCode(416)
            request.setHeader("Content-Range", f"bytes */{status.st_size}")
            return b""
        first, length = part
        if length != status.st_size:
            request.setResponseCode(206)
            request.setHeader("Content-Range", f"bytes {first}-{first + length - 1}/{status.st_size}")
        request.setHeader("Content-Length", str(length))
        if request.method == b"HEAD":
            file.close()
            request.write(b"")
            request.finish()
        else:
            file.seek(first)
            done = self._done if first + length == status.st_size else None
            Sender(file, request, self._turns, length=length, done=done).start()
        return NOT_DONE_YET


def _takes_gzip(request: Request) -> bool:
    """Whether the peer has said that it takes gzip."""
    return any(name.lower() in ("gzip", "*") and quality > 0 for name, quality in parse_accept_header(header(request, "accept-encoding")))


def tag_matches(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this ETag."""
    return bool(tag) and tag in [each.strip().removeprefix("W/") for each in header(request, "if-none-match").split(",")]


def _is_unchanged(request: Request, changed: int, tag: str) -> bool:
    if header(request, "if-none-match"):
        # Whoever sends both wants the date looked at only by servers that know no tags.
        return tag_matches(request, tag)
    try:
        return parsedate_to_datetime(header(request, "if-modified-since")).timestamp() >= changed
    except (ValueError, OverflowError):
        return False


def _part(request: Request, size: int, tag: str = "") -> tuple[int, int] | None:
    """First byte and length of what is wanted: all of it, one range of it, or None for a range that is not there."""
    found = _RANGE.fullmatch(header(request, "range"))
    if found is None or found.groups() == ("", "") or header(request, "if-range") not in ("", tag):
        return 0, size
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        return (size - length, length) if length else None
    start = int(first)
    end = min(int(last) if last else size - 1, size - 1)
    if last and int(last) < start:
        return 0, size
    return (start, end - start + 1) if start < size else None
