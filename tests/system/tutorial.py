"""Runs the telnet sessions of the docs, and writes what they showed back into their pages.

    python -m tests.system.tutorial --write

A page is its own script. In a fenced block that has `<!-- window: NAME -->` above it, a line that begins with `$ `
starts a program in that window, `→ ` is typed there, and `← ` is what has to come back. A bare `←` waits for one more
line. Tokens and ids differ from run to run: what comes in the place of one on the page stands for it from then on.
What a room sends again since it was not answered is not shown again. `<!-- browser: STEP; STEP -->` is what somebody
does in a browser meanwhile (`tests.system.tutorial_browser`).
"""

from __future__ import annotations

import json
import os
import re
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import attrs

from tests.system.harness import Daemon
from tests.system.tutorial_browser import Person

DOCS = Path(__file__).parents[2] / "docs"
PAGES = ("tutorials/telnet.md", "protocol/developer.md")
BROWSER_PAGES = ("tutorials/connect-four.md",)
"""Those in which somebody sits at a browser."""
WINDOW = "<!-- window: "
BROWSER = "<!-- browser: "
NUMBERED = '{"type":"ROOM_MESSAGE"'
"""How a line begins that may have an id, so that it is sent again until it is answered."""
TYPED, SHOWN, COMMAND = "→ ", "← ", "$ "
LOBBY_PORT, DEVELOPER_PORT, WEB_PORT = 7000, 7001, 8080
VOLATILE = frozenset(
    {"session_token", "room_id", "game_id", "party_code", "join_url", "game_port", "upload_id", "download_id", "uploaded_at"}
    | {"user_id", "play_id", "seed"}
)
ANSWERS_WITHIN = 60.0


class Window:
    """One terminal: a program, what is typed into it, and the lines that it prints."""

    def __init__(self, command: list[str]) -> None:
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        self._buffered = b""
        self._heard: set[str] = set()

    def type(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(line.encode() + b"\n")
        self._process.stdin.flush()

    def line(self) -> str:
        """The next line that is printed, but for what a room says once more."""
        while (line := self._next_line()) in self._heard:
            pass
        if line.startswith(NUMBERED) and '"id":' in line:
            self._heard.add(line)
        return line

    def _next_line(self) -> str:
        assert self._process.stdout is not None
        deadline = time.monotonic() + ANSWERS_WITHIN
        while b"\n" not in self._buffered:
            readable, _, _ = select.select([self._process.stdout], [], [], max(0.0, deadline - time.monotonic()))
            more = os.read(self._process.stdout.fileno(), 65536) if readable else b""
            assert more, f"no further line came, but {self._buffered!r}"
            self._buffered += more
        line, _, self._buffered = self._buffered.partition(b"\n")
        return line.decode().rstrip("\r")

    def close(self) -> None:
        self._process.kill()
        self._process.communicate()


@attrs.define
class Names:
    """Which value of this run stands for which of the page, both ways."""

    live: dict[str, str] = attrs.field(factory=dict)
    ids: dict[str, str] = attrs.field(factory=dict)
    """Of messages of a room: which of its numbers one gets is a matter of who was quicker."""

    def to_live(self, text: str) -> str:
        for on_page, live in self.live.items():
            text = text.replace(on_page, live)
        return re.sub(r'(?<="reply_to": )\d+', lambda found: self.ids.get(found[0], found[0]), text)

    def to_page(self, text: str) -> str:
        for on_page, live in self.live.items():
            text = text.replace(live, on_page)
        on_page_of = {live: on_page for on_page, live in self.ids.items()}
        return re.sub(r'(?<="id":)\d+', lambda found: on_page_of.get(found[0], found[0]), text)

    def learn(self, on_page: Any, live: Any) -> None:
        """Walk through two answers side by side, and take down what is volatile in them."""
        if isinstance(on_page, dict) and isinstance(live, dict):
            for key in on_page.keys() & live.keys():
                if key in VOLATILE and isinstance(live[key], str | int) and isinstance(on_page[key], str | int):
                    self.live.setdefault(str(on_page[key]), str(live[key]))
                if key == "id" and isinstance(live[key], int):
                    self.ids[str(on_page[key])] = str(live[key])
                self.learn(on_page[key], live[key])
        elif isinstance(on_page, list) and isinstance(live, list):
            for left, right in zip(on_page, live, strict=False):
                self.learn(left, right)


class Session:
    """One run of the page against a daemon."""

    def __init__(self, daemon: Daemon) -> None:
        self._ports = {daemon.lobby_port: LOBBY_PORT, daemon.developer_port: DEVELOPER_PORT, daemon.web_port: WEB_PORT}
        self._web = f":{daemon.web_port}/"
        self._names = Names()
        self._windows: dict[str, Window] = {}
        self._person = Person()

    def run(self, page: str) -> str:
        """The page as it is with this run's answers, in the page's own names."""
        try:
            return "\n".join(self._lines(page))
        finally:
            self._person.close()
            for window in self._windows.values():
                window.close()

    def _lines(self, page: str) -> Iterator[str]:
        name: str | None = None
        inside = False
        for line in page.split("\n"):
            if line.startswith(WINDOW):
                name = line.removeprefix(WINDOW).split()[0]
            elif line.startswith(BROWSER):
                self._person.do(self._names.to_live(line.removeprefix(BROWSER).removesuffix("-->")).replace(f":{WEB_PORT}/", self._web))
            elif line.startswith("```"):
                inside = not inside and name is not None
                name = name if inside else None
            yield self._played(name, line) if inside and name is not None else line

    def _played(self, name: str, line: str) -> str:
        """What this line of a block shows in this run."""
        if line.startswith(COMMAND):
            self._windows[name] = Window(self._live_ports(line.removeprefix(COMMAND)).split())
        elif line.startswith(TYPED):
            self._windows[name].type(self._names.to_live(line.removeprefix(TYPED)))
        elif line.startswith(SHOWN.strip()):
            return SHOWN + self._page_form(line.removeprefix(SHOWN.strip()).strip(), self._windows[name].line())
        elif line and not line.startswith("```"):
            return self._windows[name].line()
        return line

    def _page_form(self, on_page: str, live: str) -> str:
        if on_page:
            self._names.learn(json.loads(on_page), json.loads(self._page_ports(live)))
        return self._names.to_page(self._page_ports(live))

    def _live_ports(self, text: str) -> str:
        live_ports = {str(on_page): str(live) for live, on_page in self._ports.items()}
        return " ".join(live_ports.get(word, word) for word in text.split(" "))

    def _page_ports(self, text: str) -> str:
        for live, on_page in self._ports.items():
            text = text.replace(f":{live}", f":{on_page}")
        return text


def run_page(daemon: Daemon, page: str) -> tuple[str, str]:
    """A page as it stands, and as it is with the answers of this daemon."""
    text = (DOCS / page).read_text()
    return text, Session(daemon).run(text)


def main(arguments: list[str]) -> int:
    """Show whether the pages are true; with --write make them so."""
    status = 0
    for name in (*PAGES, *BROWSER_PAGES):
        with tempfile.TemporaryDirectory(prefix="gameroom-tutorial-") as folder, Daemon(Path(folder)) as daemon:
            page, shown = run_page(daemon, name)
        if page == shown:
            continue
        if "--write" in arguments:
            (DOCS / name).write_text(shown)
        else:
            sys.stderr.write(f"{DOCS / name} is not what happens; --write makes it so\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
