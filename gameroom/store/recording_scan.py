"""What a recording that was there already holds: what a play is taken up again from, and what is read of it as a whole."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, Final

import attrs
import orjson

from gameroom.errors import InvalidRequest
from gameroom.rules.seats import PARTS
from gameroom.store.recording import Places, RecordingDamaged, master_of
from gameroom.wire.lockstep import BINARY, JSON, MasterPacket

_READ: Final = 64 << 10


@attrs.define
class Scan:
    """What a file that was there already holds."""

    header: dict[str, Any] = attrs.field(factory=dict)
    masters: int = 0
    places: Places = attrs.field(factory=Places)
    newest_events: dict[int, dict[str, Any]] = attrs.field(factory=dict)
    """By seat: the newest `system` event that says how it takes part."""
    last: MasterPacket | None = None
    state: str | None = None
    """Of the engine's own states: the newest."""
    dumped: int = 0
    """Bytes of the lines that are dumps."""
    over: dict[str, Any] | None = None
    """The line that says how the play ended."""
    end: int = 0
    """Where the last whole line ends."""

    @property
    def events(self) -> Sequence[dict[str, Any]]:
        """The `system` events that say how each player takes part by now. A long play has very many others."""
        return tuple(self.newest_events.values())

    @property
    def binary(self) -> bool:
        return self.header.get("encoding") == "binary"

    @property
    def started(self) -> float:
        """Unix time."""
        return datetime.fromisoformat(self.header["started_at"]).timestamp()

    def take(self, line: bytes) -> None:
        """The next line, without its end. Raises `ValueError` for one that is none."""
        fields = orjson.loads(line)
        if self.end == 0:
            if fields["type"] != "play":
                raise ValueError(line)
            self.header = fields
        elif fields["type"] == "master":
            self._take_master(line)
        elif fields["type"] == "state":
            self.state = fields["state"]
        elif fields["type"] == "dump":
            self.dumped += len(line)
        elif fields["type"] == "over":
            self.over = fields
        self.end += len(line) + 1

    def _take_master(self, line: bytes) -> None:
        master = master_of(line, self.binary)
        if master is None:
            raise ValueError(line)
        self.last = (BINARY if self.binary else JSON).read_master(master)
        if self.last.generation != self.masters:
            raise ValueError(line)
        for event in self.last.system:
            for name, seat in event.items():
                if name in PARTS:
                    self.newest_events[seat] = event
        if self.end >= self.places.next:
            self.places.add(self.masters, self.end)
        self.masters += 1


def open_whole(path: Path) -> tuple[BinaryIO, int]:
    """In a thread: open a recording to be read, and how many bytes of it are whole lines. Raises `OSError`."""
    file = path.open("rb")
    try:
        end = file.seek(0, os.SEEK_END)
        while end > 0:
            start = max(0, end - _READ)
            file.seek(start)
            last = file.read(end - start).rfind(b"\n")
            end = start if last < 0 else start + last + 1
            if last >= 0:
                break
        file.seek(0)
    except BaseException:
        file.close()
        raise
    return file, end


def scan(path: Path) -> Scan:
    """In a thread: read a whole recording. A last line that is torn is left out; anything else that is wrong raises `RecordingDamaged`."""
    found = Scan()
    with path.open("rb") as lines:
        torn = False
        for line in lines:
            if torn:
                raise RecordingDamaged(f"{path} is damaged at byte {found.end}")
            try:
                if not line.endswith(b"\n"):
                    raise ValueError(line)
                found.take(line[:-1])
            except (ValueError, KeyError, TypeError, InvalidRequest):
                torn = True
    if not found.header:
        raise RecordingDamaged(f"{path} does not begin with the play that it is of")
    return found
