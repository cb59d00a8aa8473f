"""Plays the sessions of docs/tutorials/game-server.md, and writes what its shell showed back into the page.

    python -m tests.system.terminal_page --write

Blocks below `<!-- shell -->` are as in `shell_page`. In one below `<!-- terminal: NAME -->`, `$ ` starts a program at the terminal of
that name, `→ ` is typed there, and every other line has to be seen there, in this order.
"""

from __future__ import annotations

import re
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import attrs

from tests.system.harness import Daemon
from tests.system.pty_player import AtTerminal
from tests.system.shell_page import COMMAND, ShellPage, shell_command

PAGE = Path(__file__).parents[2] / "docs" / "tutorials" / "game-server.md"
TERMINAL, TYPED = re.compile(r"<!-- terminal: (\w+) -->"), "→ "
KEYS = {"Enter": "\r"}


@attrs.define
class TerminalPage(ShellPage):
    """One run of the page. As a context manager its terminals are gone outside."""

    _terminals: dict[str, AtTerminal] = attrs.field(factory=dict)

    def __enter__(self) -> TerminalPage:
        return self

    def __exit__(self, *_: object) -> None:
        for terminal in self._terminals.values():
            terminal.__exit__(None, None, None)

    def environment(self, command: str) -> dict[str, str]:
        return {**super().environment(command), "GAMEROOM_PORT": str(self.daemon.game_port), "TERM": "xterm", "LANG": "C.UTF-8"}

    def _ended(self, command: str) -> str:
        if command.startswith("gameroom dev push"):
            # A step a second: whoever types need not be quick, whatever else this machine does.
            for path in self.folder.glob("*/game.toml"):
                path.write_text(re.sub(r"(?m)^steps_per_second = \d+", "steps_per_second = 1", path.read_text()))
        return super()._ended(command)

    def _played(self, marker: str) -> Callable[[list[str]], list[str]] | None:
        found = TERMINAL.fullmatch(marker)
        return partial(self._at_terminal, found[1]) if found else super()._played(marker)

    def _at_terminal(self, name: str, lines: list[str]) -> list[str]:
        """The lines, once all of them were typed and seen."""
        for line in map(self._live, lines):
            if line.startswith(COMMAND):
                command = line.removeprefix(COMMAND)
                self._terminals[name] = AtTerminal.running(shell_command(command), self.folder, self.environment(command))
            elif line.startswith(TYPED):
                key = line.removeprefix(TYPED)
                self._terminals[name].type(KEYS.get(key, key))
            else:
                self._terminals[name].sees(line)
        return lines

    def _live(self, on_page: str) -> str:
        """A line of the page with this run's names."""
        for live, name in self._names.items():
            on_page = on_page.replace(name, live)
        return on_page


def run_page(daemon: Daemon, folder: Path) -> tuple[str, str]:
    """The page as it stands, and as it is with the output of this run."""
    page = PAGE.read_text()
    folder.mkdir(parents=True, exist_ok=True)
    with TerminalPage(daemon, folder) as run:
        return page, run.run(page)


def main(arguments: list[str]) -> int:
    """Show whether the page is true; with --write make its shell so."""
    with tempfile.TemporaryDirectory(prefix="gameroom-tutorial-") as folder, Daemon(Path(folder) / "daemon") as daemon:
        page, shown = run_page(daemon, Path(folder) / "work")
    if page == shown:
        return 0
    if "--write" not in arguments:
        sys.stderr.write(f"{PAGE} is not what happens; --write makes it so\n")
        return 1
    PAGE.write_text(shown)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
