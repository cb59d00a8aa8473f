"""All programs of bundles that this daemon runs (docs/protocol/bundles.md, "Running a bundle's program")."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred

from gameroom.programs.order import Order
from gameroom.programs.program import Program
from gameroom.settings import SandboxSettings


class Programs:
    """Runs programs of bundles, each in a sandbox of its own, and sees to it that none outlives the daemon.

    `log(game_id, text)` is given what they say, in whole lines.
    `hidden` are files and folders that no program may see, wherever they lie.

    >>> programs = Programs(reactor=reactor, settings=settings.sandbox, log=logs.write, hidden=(data_folder,))
    >>> await programs.start()
    >>> program = programs.run(order)
    >>> why = await program.ended()
    """

    def __init__(self, *, reactor: Any, settings: SandboxSettings, log: Callable[[str, str], None], hidden: tuple[Path, ...] = ()) -> None:
        raise NotImplementedError

    def start(self) -> Deferred[None]:
        """Look whether the sandbox works here, by running it once; where not, one line in the log says what the operator is to do. Never fails."""
        raise NotImplementedError

    def stop(self) -> Deferred[None]:
        """End every program, and run none any more. Fires when none is left."""
        raise NotImplementedError

    def require(self) -> None:
        """Raises `BadState` with a sentence for a person where programs cannot be run here."""
        raise NotImplementedError

    def run(self, order: Order) -> Program:
        """Run it. Raises `BadState` where it cannot be run here."""
        raise NotImplementedError

    @property
    def count(self) -> int:
        """How many run."""
        raise NotImplementedError
