"""What the programs of a game that is tried here write, as it comes (`gameroom dev run`)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click

from gameroom.cli.output import shown

LINES: Final = 1000
"""So many of the last lines are looked at each time; of more than that in a second the older ones are left out."""


class Overheard:
    """Tells what is new in a log of which one sees the last lines again and again.

    >>> overheard = Overheard()
    >>> overheard.new(["… one", "… two"])
    ['… one', '… two']
    >>> overheard.new(["… two", "… three"])
    ['… three']
    """

    def __init__(self) -> None:
        self._seen: list[str] = []

    def new(self, lines: Sequence[str]) -> list[str]:
        """The lines behind those of the last time; `lines` are the last ones of the log, at most `LINES`."""
        now = list(lines)
        common = next((count for count in range(min(len(self._seen), len(now)), 0, -1) if self._seen[-count:] == now[:count]), 0)
        self._seen = now
        return now[common:]

    def show(self, lines: Sequence[str]) -> None:
        """Print what is new on standard error, without the times that the log has: it is now."""
        for line in self.new(lines):
            click.echo(f"| {shown(line.partition(' ')[2])}", err=True)
