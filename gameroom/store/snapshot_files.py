"""The snapshots of one play, beside its recording: `<play_id>.<generation>.snapshot` (docs/protocol/lockstep.md, coming late).

They live no longer than the play. A file is there whole or not at all; what a killed daemon left half is swept with the recordings.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, DeferredLock


class SnapshotFiles:
    """Reads, writes and deletes in threads, one thing after the other. Each fails with `OSError`.

    `recording` is the path of the play's recording; `defer_to_thread(function, *args)` is the reactor's.
    """

    def __init__(self, recording: Path, defer_to_thread: Callable[..., Deferred[Any]]) -> None:
        self._folder = recording.parent
        self._name = recording.stem
        self._defer_to_thread = defer_to_thread
        self._turn = DeferredLock()

    def path(self, generation: int) -> Path:
        """Where the snapshot of a generation is, or would be."""
        return self._folder / f"{self._name}.{generation}.snapshot"

    def found(self) -> Deferred[list[int]]:
        """Fires with the generations of which there is one, the oldest first."""
        return self._in_turn(self._find)

    def write(self, generation: int, data: bytes) -> Deferred[None]:
        """Keep a snapshot; fires when it is there."""
        return self._in_turn(_write, self.path(generation), data)

    def read(self, generation: int) -> Deferred[bytes]:
        """Fires with a snapshot's bytes."""
        return self._in_turn(self.path(generation).read_bytes)

    def keep_only(self, generations: Collection[int]) -> Deferred[None]:
        """Delete all others."""
        return self._in_turn(self._delete_others, frozenset(generations))

    def _in_turn(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return self._turn.run(self._defer_to_thread, function, *args)

    def _find(self) -> list[int]:
        return sorted(int(path.suffixes[-2][1:]) for path in self._folder.glob(f"{self._name}.*.snapshot"))

    def _delete_others(self, generations: frozenset[int]) -> None:
        for generation in self._find():
            if generation not in generations:
                self.path(generation).unlink(missing_ok=True)


def _write(path: Path, data: bytes) -> None:
    half = path.with_suffix(".half")
    path.parent.mkdir(exist_ok=True)
    try:
        with half.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        half.replace(path)
    except OSError:
        half.unlink(missing_ok=True)
        raise
