"""docs/tutorials/game-server.md is what really happens."""

from __future__ import annotations

from pathlib import Path

from tests.system.harness import Daemon
from tests.system.terminal_page import run_page


def test_the_tutorial_of_game_servers_is_true(daemon: Daemon, tmp_path: Path) -> None:
    """Typed line by line into a shell and two terminals it shows what it says, from `gameroom dev init` to a game that somebody wins.

    `python -m tests.system.terminal_page --write` brings the page up to date.
    """
    page, shown = run_page(daemon, tmp_path / "work")
    assert shown == page
