"""Runs the shell sessions of docs/tutorials/publish.md and game-service.md, and writes what they showed back into the pages.

    python -m tests.system.shell_page --write

In a fenced block that has `<!-- shell -->` above it, a line that begins with `$ ` is typed into a shell, and the lines
below it are what it prints. Below a command that goes on by itself, `^C` stands for Ctrl-C once the lines before it are there.
Ids and sums differ from run to run: what comes in the place of one on the page stands for it from then on.
"""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from itertools import zip_longest
from pathlib import Path

import attrs

from tests.system.harness import LOOPBACK, Daemon, hear_ctrl_c

TUTORIALS = Path(__file__).parents[2] / "docs" / "tutorials"
PAGE, SERVICE_PAGE = TUTORIALS / "publish.md", TUTORIALS / "game-service.md"
SHELL, COMMAND, INTERRUPT = "<!-- shell -->", "$ ", "^C"
DEVELOPER_PORT, WEB_PORT = 7001, 8080
ENDS_WITHIN = 180.0
NAMES = re.compile(
    r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|\b[0-9a-f]{64}\b|(?<=127\.0\.0\.1:)\d+|(?<=_PORT=)\d+|(?<=_CODE=)\w{6}|(?<=party  )\w{6}"
)
"""Ids, sums, ports and party codes: one on the page stands for one of this run."""
LOOSE = re.compile(r"\b\d{4}-\d\d-\d\d \d\d:\d\d:\d\d|\b\d+(?:\.\d)? (?:kB|bytes)|\b[\d.,]+ (?:ms|s|updates/s)\b")
"""Times, speeds, and sizes, which follow from how well zlib packs: whatever they are, they stay as they are on the page."""


@attrs.define
class ShellPage:
    """One run of the page in an empty folder against a daemon."""

    daemon: Daemon
    folder: Path
    urls: list[str] = attrs.field(factory=list)
    """What it said to open, as it is in this run."""
    _names: dict[str, str] = attrs.field(factory=dict)

    def run(self, page: str) -> str:
        """The page as it is with this run's output, in the page's own names. Raises where a command fails."""
        result: list[str] = []
        lines = page.split("\n")
        number = 0
        while number < len(lines):
            result.append(lines[number])
            number += 1
            played = self._played(lines[number - 1])
            if played is not None:
                end = lines.index("```", number)
                result += [lines[number], *played(lines[number + 1 : end])]
                number = end
        return "\n".join(result)

    def _played(self, marker: str) -> Callable[[list[str]], list[str]] | None:
        """What plays the block below this line, and gives what it shows; None where there is none."""
        return self._block if marker == SHELL else None

    def _block(self, lines: list[str]) -> list[str]:
        shown: list[str] = []
        starts = [number for number, line in enumerate(lines) if line.startswith(COMMAND)]
        for start, end in zip(starts, [*starts[1:], len(lines)], strict=True):
            expected = lines[start + 1 : end]
            shown += [lines[start], *self._typed(lines[start].removeprefix(COMMAND), expected)]
        return shown

    def _typed(self, command: str, expected: list[str]) -> list[str]:
        goes_on = bool(expected) and expected[-1] == INTERRUPT
        output = self._interrupted(command, len(expected) - 1) if goes_on else self._ended(command)
        self.urls += re.findall(r"http://\S+", output)
        lines = [line.rstrip() for line in output.rstrip("\n").split("\n")] if output.strip() else []
        self._learn(expected, lines)
        return [self._page_form(on_page, live) for on_page, live in zip_longest(expected[: len(lines)], lines, fillvalue="")] + [INTERRUPT] * goes_on

    def _page_form(self, on_page: str, live: str) -> str:
        named = NAMES.sub(lambda found: self._names.get(found.group(), found.group()), live)
        return on_page if LOOSE.sub("", on_page) == LOOSE.sub("", named) else named

    def _learn(self, expected: list[str], lines: list[str]) -> None:
        self._names |= {str(self.daemon.developer_port): str(DEVELOPER_PORT), str(self.daemon.web_port): str(WEB_PORT)}
        for on_page, live in zip(expected, lines, strict=False):
            for left, right in zip(NAMES.findall(on_page), NAMES.findall(live), strict=False):
                self._names.setdefault(right, left)

    def environment(self, command: str) -> dict[str, str]:
        """That of whoever types this: players come to another door than developers."""
        port = self.daemon.lobby_port if "gameroom play" in command else self.daemon.developer_port
        return {key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")} | {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "GAMEROOM_SERVER": f"{LOOPBACK}:{port}",
            "GAMEROOM_WEB": f"http://{LOOPBACK}:{self.daemon.web_port}",
            "XDG_CONFIG_HOME": str(self.folder.parent / "config"),
        }

    def _start(self, command: str) -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            shell_command(command),
            cwd=self.folder,
            env=self.environment(command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        )

    def _ended(self, command: str) -> str:
        process = self._start(command)
        output = process.communicate(timeout=ENDS_WITHIN)[0].decode()
        assert process.returncode == 0, f"{command} ended with {process.returncode}: {output}"
        return output

    def _interrupted(self, command: str, lines: int) -> str:
        process = self._start(command)
        assert process.stdout is not None
        output, until = b"", time.monotonic() + ENDS_WITHIN
        try:
            while output.count(b"\n") < lines:
                readable, _, _ = select.select([process.stdout], [], [], max(0.0, until - time.monotonic()))
                more = os.read(process.stdout.fileno(), 65536) if readable else b""
                assert more, f"{command} showed only {output!r}"
                output += more
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=ENDS_WITHIN)
        return output.decode()


def shell_command(command: str) -> list[str]:
    """What is typed, as a process that Ctrl-C reaches."""
    return ["bash", "-c", f"exec {command}" if "=" not in command.split()[0] else command]


def run_page(daemon: Daemon, folder: Path, path: Path = PAGE) -> tuple[str, str, list[str]]:
    """The page as it stands, as it is with the output of this run, and the URLs that it named."""
    page = path.read_text()
    folder.mkdir(parents=True, exist_ok=True)
    run = ShellPage(daemon, folder)
    return page, run.run(page), run.urls


def main(arguments: list[str]) -> int:
    """Show whether the pages are true; with --write make them so."""
    status = 0
    for path in (PAGE, SERVICE_PAGE):
        with tempfile.TemporaryDirectory(prefix="gameroom-tutorial-") as folder, Daemon(Path(folder) / "daemon") as daemon:
            page, shown, _ = run_page(daemon, Path(folder) / "work", path)
        if page == shown:
            continue
        if "--write" in arguments:
            path.write_text(shown)
        else:
            sys.stderr.write(f"{path} is not what happens; --write makes it so\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
