"""The process in which computer players think: `python -m gameroom.thinking_process` (gameroom/thinking.py starts it).

JSON lines on stdin: `{"id", "game", "view", "player", "level", "luck"}`.
JSON lines on stdout: `{"id", "place", "last"}`, each better thought over than the one before, until `last` is true.
It keeps nothing from one line to the next, and ends with its stdin, also while it thinks: nobody else has to end it when the daemon is killed.
"""

from __future__ import annotations

import os
import signal
import sys
from queue import SimpleQueue
from threading import Thread
from typing import Any, BinaryIO

import orjson

from gameroom.rules.turn_games.bots import BOTS

NICENESS = 5
"""What waits for the daemon itself goes first."""


def answer(line: bytes, out: BinaryIO) -> None:
    """Think about one line, and write each place that is found."""
    task: dict[str, Any] = orjson.loads(line)
    place = None
    for place in BOTS[task["game"]].think(task["view"], task["player"], task["level"], task["luck"]):
        _write(out, task["id"], place, last=False)
    assert place is not None
    _write(out, task["id"], place, last=True)


def _write(out: BinaryIO, task_id: int, place: int, *, last: bool) -> None:
    out.write(orjson.dumps({"id": task_id, "place": place, "last": last}) + b"\n")
    out.flush()


def main() -> None:
    """Read in a thread of its own, so that the end of stdin is seen while something is thought over."""
    # Ctrl-C is for the daemon, which ends this process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICENESS)
    lines: SimpleQueue[bytes] = SimpleQueue()
    Thread(target=_read, args=(sys.stdin.buffer, lines), daemon=True).start()
    while True:
        answer(lines.get(), sys.stdout.buffer)


def _read(source: BinaryIO, lines: SimpleQueue[bytes]) -> None:
    for line in source:
        lines.put(line)
    os._exit(0)


if __name__ == "__main__":
    main()
