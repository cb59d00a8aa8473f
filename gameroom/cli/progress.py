"""A progress bar on a terminal, and nothing where nobody looks at one."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskProgressColumn, TimeRemainingColumn, TransferSpeedColumn
from rich.text import Text


class Bar:
    """How much of a file is over, with the speed and the time that is left. Inside of `with` it is shown, once something is over."""

    def __init__(self, size_bytes: int, out: TextIO) -> None:
        self._out = out
        self._size = size_bytes
        console = Console(file=out, highlight=False)
        columns = BarColumn(), TaskProgressColumn(), DownloadColumn(), TransferSpeedColumn(), TimeRemainingColumn()
        self._progress = Progress(*columns, console=console) if out.isatty() else None
        self._task = None if self._progress is None else self._progress.add_task("", total=size_bytes, start=False)
        self._started = False

    def at(self, there: int, size_bytes: int) -> None:
        """So many bytes are there, of so many."""
        if self._progress is None or self._task is None:
            return
        if not self._started:
            self._started = True
            self._progress.start()
            # What an earlier try has brought over says nothing of this one's speed.
            self._progress.update(self._task, completed=there, total=size_bytes)
            self._progress.start_task(self._task)
        self._progress.update(self._task, completed=there, total=size_bytes)

    def say(self, text: str) -> None:
        """A line above the bar."""
        if self._progress is not None and self._started:
            self._progress.console.print(Text(text))
        else:
            self._out.write(f"{text}\n")
            self._out.flush()

    def __enter__(self) -> Bar:
        return self

    def __exit__(self, *_: object) -> None:
        if self._progress is not None and self._started:
            self._progress.stop()
