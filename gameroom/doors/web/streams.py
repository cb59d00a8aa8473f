"""Sends files at the reader's pace."""

from __future__ import annotations

import re
import zlib
from email.utils import formatdate, parsedate_to_datetime
from os import fstat
from pathlib import Path
from typing import IO, Any

from twisted.internet.interfaces import IPushProducer, IReactorTime
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request
from werkzeug.http import parse_accept_header
from zope.interface import implementer

from gameroom.doors.web.calls import header

PIECE = 64 * 1024
AT_ONCE = 4
"""Pieces that are sent before others have their turn."""

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})")


@implementer(IPushProducer)
class Sender:
    """Sends `length` bytes of an open file, or as many as there are, and closes it. With `zipped` as gzip."""

    def __init__(self, file: IO[bytes], request: Request, clock: IReactorTime, *, length: int, zipped: bool = False) -> None:
        self._file = file
        self._request = request
        self._clock = clock
        self._left = length
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
        self._send()

    def stopProducing(self) -> None:
        self._file.close()

    def _again(self) -> None:
        self._waiting = False
        self._send()

    def _send(self) -> None:
        for _ in range(AT_ONCE):
            if self._paused or self._waiting or self._file.closed:
                return
            piece = self._file.read(min(PIECE, self._left))
            if not piece:
                self._end()
                return
            self._left -= len(piece)
            data = piece if self._zip is None else self._zip.compress(piece)
            if data:
                self._request.write(data)
        self._waiting = True
        self._clock.callLater(0, self._again)

    def _end(self) -> None:
        self._file.close()
        if self._zip is not None:
            self._request.write(self._zip.flush())
        self._request.unregisterProducer()
        self._request.finish()


class _Leaf:
    isLeaf = True

    def getChildWithDefault(self, name: bytes, request: Any) -> Any:
        return self

    def putChild(self, path: bytes, child: Any) -> None:
        """Nothing: there is nothing below it."""


@implementer(IResource)
class RecordingResource(_Leaf):
    """The first `size` bytes of an open file that may still grow, compressed where that is wanted."""

    def __init__(self, file: IO[bytes], size: int, clock: IReactorTime) -> None:
        self._file = file
        self._size = size
        self._clock = clock

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
            Sender(self._file, request, self._clock, length=self._size, zipped=zipped).start()
        return NOT_DONE_YET


@implementer(IResource)
class FileResource(_Leaf):
    """A file of a bundle: with the date of its last change, and in parts for players of sound and film."""

    def __init__(self, path: Path, clock: IReactorTime) -> None:
        self._path = path
        self._clock = clock

    def render(self, request: Request) -> Any:
        file = self._path.open("rb")
        status = fstat(file.fileno())
        if _is_unchanged(request, int(status.st_mtime)):
            file.close()
            request.setResponseCode(304)
            return b""
        request.setHeader("Last-Modified", formatdate(status.st_mtime, usegmt=True))
        request.setHeader("Accept-Ranges", "bytes")
        part = _part(request, status.st_size)
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
            Sender(file, request, self._clock, length=length).start()
        return NOT_DONE_YET


def _takes_gzip(request: Request) -> bool:
    """Whether the peer has said that it takes gzip."""
    return any(name.lower() in ("gzip", "*") and quality > 0 for name, quality in parse_accept_header(header(request, "accept-encoding")))


def _is_unchanged(request: Request, changed: int) -> bool:
    try:
        return parsedate_to_datetime(header(request, "if-modified-since")).timestamp() >= changed
    except (ValueError, OverflowError):
        return False


def _part(request: Request, size: int) -> tuple[int, int] | None:
    """First byte and length of what is wanted: all of it, one range of it, or None for a range that is not there."""
    found = _RANGE.fullmatch(header(request, "range"))
    if found is None or found.groups() == ("", "") or header(request, "if-range"):
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
