"""Finds and reads recordings for those who look at them later (docs/cli.md, `gameroom replay`)."""

from __future__ import annotations

import gzip
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import IO, Any, Final

import attrs
import orjson

from gameroom.store.ahead_recovery import Piece, ahead_in, lines_ahead
from gameroom.store.recording_paths import PLAY_ID, path_in

TAIL: Final = 1 << 20
"""So much of the end of a recording is read for how it ended: no line is longer."""


class NoReplay(Exception):
    """There is nothing to look at, in one line for who asked."""


@attrs.frozen
class Glimpse:
    """What a list shows of a recording."""

    path: Path
    head: dict[str, Any]
    generations: int
    milliseconds: int
    ended: str | None
    """Why the play is over; None where its recording does not say."""

    @property
    def game(self) -> str:
        engine = self.head.get("engine")
        engine = engine if isinstance(engine, dict) else {}
        return str(engine.get("game_id") or engine.get("url") or ("its own source" if "source" in engine else "?"))


def place_of(source: str, data: Path) -> Path | None:
    """Where a recording is: a play_id's in the data folder, or a file; None for `-`, standard input."""
    if source == "-":
        return None
    if PLAY_ID.fullmatch(source.lower()):
        return path_in(data / "recordings", source.lower())
    return Path(source)


@contextmanager
def opened(path: Path | None) -> Iterator[Iterator[bytes]]:
    """The lines of a recording, with their ends; gzip is seen by its first bytes. Raises `NoReplay`."""
    try:
        with sys.stdin.buffer if path is None else path.open("rb") as file:
            lines = _lines(file)
            yield lines if path is None else _with_ahead(lines, path)
    except OSError as error:
        raise NoReplay(_why(path, error)) from None
    except (EOFError, zlib.error):
        raise NoReplay("the compressed file is damaged or not whole") from None


def _why(path: Path | None, error: OSError) -> str:
    """What hinders one from reading a recording, and what one can do about it."""
    if path is not None and isinstance(error, FileNotFoundError):
        where = path.parent.parent
        return (
            f"{where} has no recording of it; name the daemon's folder with --data"
            if PLAY_ID.fullmatch(path.stem)
            else "there is no such file, and it is no play_id"
        )
    return error.strerror or str(error)


def _with_ahead(lines: Iterator[bytes], path: Path) -> Iterator[bytes]:
    """Also those that the play's daemon has not put into the file yet."""
    size = 0
    for line in lines:
        size += len(line)
        yield line
    pieces = ahead_in(path.absolute().parent.parent).get(path.stem, ())
    yield from lines_ahead(pieces, size).splitlines(keepends=True)


def _lines(file: IO[bytes]) -> Iterator[bytes]:
    # What is piped cannot be rewound.
    buffered: Any = file if hasattr(file, "peek") else BufferedReader(file)
    yield from gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == b"\x1f\x8b" else buffered


def whole_lines(lines: Iterator[bytes]) -> Iterator[dict[str, Any]]:
    """The lines as JSON, without a torn last one; raises `NoReplay` for others that are damaged, and for what is no recording."""
    number = 0
    for number, line in enumerate(lines, 1):
        if not line.endswith(b"\n"):
            break
        try:
            fields = orjson.loads(line)
        except ValueError:
            fields = None
        if not isinstance(fields, dict) or (number == 1) != (fields.get("type") == "play"):
            raise NoReplay(f"line {number} is damaged; `gameroom replay verify` says more" if number > 1 else "this is no recording of a play")
        yield fields
    if number == 0:
        raise NoReplay("this is no recording of a play: it is empty")


def glimpses(data: Path) -> Iterator[Glimpse]:
    """All recordings of a data folder, the newest play first; what is no recording is left out. Raises `NoReplay` for another folder."""
    folder = data / "recordings"
    if not folder.is_dir() and not (data / "lock").exists():
        raise NoReplay(f"{folder}: there are no recordings; name the daemon's folder with --data")
    ahead = ahead_in(folder)
    found = [seen for path in folder.glob("[0-9a-f][0-9a-f]/*.ndjson") if (seen := glimpse(path, ahead)) is not None]
    yield from sorted(found, key=lambda seen: str(seen.head.get("started_at")), reverse=True)


def glimpse(path: Path, ahead: Mapping[str, Iterable[Piece]]) -> Glimpse | None:
    """The head and the end of one recording, of which some may be ahead of the file; None for what is none."""
    try:
        with path.open("rb") as file:
            head = _read(file.readline())
            file.seek(max(file.tell(), path.stat().st_size - TAIL))
            rest = file.read()
            tail = (rest + lines_ahead(ahead.get(path.stem, ()), file.tell())).splitlines(keepends=True)
    except OSError:
        return None
    if head is None or head.get("type") != "play":
        return None
    generations, milliseconds, ended = 0, 0, None
    for fields in filter(None, map(_read, reversed(tail))):
        milliseconds = max(milliseconds, _whole(fields.get("t")))
        if fields.get("type") == "over" and ended is None:
            ended = str(fields.get("reason"))
        if fields.get("type") == "master":
            generations = _whole(fields.get("generation")) + 1
            break
    return Glimpse(path, head, generations, milliseconds, ended)


def _whole(value: Any) -> int:
    return value if type(value) is int else 0


def _read(line: bytes) -> dict[str, Any] | None:
    """A whole line as JSON; None for what is none, or torn."""
    try:
        fields = orjson.loads(line) if line.endswith(b"\n") else None
    except ValueError:
        return None
    return fields if isinstance(fields, dict) else None
