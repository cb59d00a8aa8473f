"""Updates with their answers, written down for who wants to look at them later (docs/protocol/game-service.md, "Recording updates").

It is for finding faults and nothing that anybody relies on: nothing waits for it, it is not brought to the disk, and what cannot be written ends it.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

from twisted.internet.defer import Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import BadState, InvalidRequest
from gameroom.store.disk_watch import NO_SPACE
from gameroom.store.free_disk import FreeDisk
from gameroom.wire.update_file import MOST_BYTES, pair_to_bytes, pairs_from

SUFFIX: Final = ".updates"
MOST_WAITING: Final = 64 << 20
"""Bytes that may wait for a slow disk."""


class UpdateRecords:
    """One file of updates and answers for each version of a game.

    >>> records = UpdateRecords(Path("updates"), in_thread=OwnThreads(reactor, 1, "updates"))
    >>> records.keep(game_id, "1.0.0", update, state)
    """

    _log = Logger()

    def __init__(self, folder: Path, in_thread: Callable[..., Deferred[Any]]) -> None:
        """`in_thread(function, *args)` is where files are written; no two at a time are asked for."""
        self._folder, self._in_thread = folder, in_thread
        self._waiting: dict[Path, list[bytes]] = {}
        self._bytes = 0
        self._writing = False
        self._checked: set[Path] = set()
        """Files whose end is known to be whole."""
        self._broken = False
        self._stopping: list[Deferred[None]] = []

    def keep(self, game_id: str, version: str, update: bytes, state: bytes) -> None:
        """Write one update, as it was sent, and its answer, as it came, when there is time; what is longer than a file takes is left out."""
        if self._broken or max(len(update), len(state)) > MOST_BYTES:
            return
        pair = pair_to_bytes(update, state)
        self._bytes += len(pair)
        if self._bytes > MOST_WAITING:
            self._break("the disk is too slow for them")
            return
        self._waiting.setdefault(self._folder / f"{game_id}-{version}{SUFFIX}", []).append(pair)
        self._write()

    def stop(self) -> Deferred[None]:
        """Fires when all that was kept is written."""
        if not self._writing:
            return succeed(None)
        stopping: Deferred[None] = Deferred()
        self._stopping.append(stopping)
        return stopping

    def _write(self) -> None:
        if self._writing or not self._waiting:
            return
        waiting, self._waiting, self._bytes = self._waiting, {}, 0
        self._writing = True
        self._in_thread(self._append_all, waiting).addBoth(self._written)

    def _written(self, result: Any) -> None:
        self._writing = False
        if isinstance(result, Failure):
            # No fault of the disk's or of the file's is worth a play.
            self._break(result.getErrorMessage())
        self._write()
        if not self._writing:
            stopping, self._stopping = self._stopping, []
            for each in stopping:
                each.callback(None)

    def _break(self, why: str) -> None:
        self._broken = True
        self._waiting, self._bytes = {}, 0
        self._log.error("updates of micro game services are recorded no more, until the daemon is started anew: {why}", why=why)

    # In the thread.

    def _append_all(self, waiting: dict[Path, list[bytes]]) -> None:
        """Raises OSError, `InvalidRequest`, and `BadState` where the rest of the disk is for others."""
        # What is hidden from other players is in there.
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        # A service says as much as it likes, and the disk is not its alone.
        if sum(len(pair) for pairs in waiting.values() for pair in pairs) > FreeDisk(self._folder, monotonic).spare():
            raise BadState(NO_SPACE)
        for path, pairs in waiting.items():
            if path not in self._checked:
                _cut_torn(path)
                self._checked.add(path)
            _append(path, b"".join(pairs))


def _append(path: Path, data: bytes) -> None:
    """All of it, or nothing. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        end, rest = os.fstat(descriptor).st_size, memoryview(data)
        try:
            while rest:
                rest = rest[os.write(descriptor, rest) :]
        except OSError:
            os.ftruncate(descriptor, end)
            raise
    finally:
        os.close(descriptor)


def _cut_torn(path: Path) -> None:
    """What a daemon that was killed has left of a pair is in the way of those to come. Raises OSError, and `InvalidRequest` for another file."""
    if not path.exists():
        return
    with path.open("r+b") as file:
        whole = 0
        try:
            for update, state in pairs_from(file.read):
                whole += len(pair_to_bytes(update, state))
        except InvalidRequest as error:
            raise InvalidRequest(f"{path}: {error.message}") from None
        file.truncate(whole)
