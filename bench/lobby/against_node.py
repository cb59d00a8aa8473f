"""The lobby's requests a second beside a Node `net` server: one table with ratios, medians of runs in turn (README.md).

python bench/lobby/against_node.py [--repeat 5] [--seconds 3] [--compiled] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import attrs

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lockstep"))

from peer_setup import NODE, CannotSetUp, compiled_twistd  # noqa: E402
from processes import cpu_seconds, start_on, two_cores  # noqa: E402
from servers import Gameroom, free_port  # noqa: E402

COMPILED = "gameroom compiled"
ROOMS, CONNECTIONS = 100, 50
DEPTHS = (1, 16)
COMMANDS = ("PING", "LIST_ROOMS")
OURS = "gameroom"
NODE_NAME, NODE_KEPT = "Node net", "Node net, kept"
WHOLE = 0.9
"""The part of its core that a server must have had, for its rate to be its own."""
GOALS = {1: 1.0, 16: 0.8}
AIMS = {1: 1.2, 16: 1.0}


class Lobby(Gameroom):
    """The daemon as `make run` starts it, with cheap passwords and rooms that wait for as long as the bench takes."""

    config = """
[limits]
connections_per_address = 100000
rooms_per_address = 100000
login_tries = 100000
[accounts]
bcrypt_cost = 4
[rooms]
reconnect_window = 3600
room_ttl = 3600
"""

    def __init__(self, twistd: str | None = None) -> None:
        super().__init__(twistd=twistd)
        self.web_port = free_port()
        self._lines: Any = None

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--lobby") + 1] = f"tcp:{self.port}:interface=127.0.0.1"
        command[command.index("--web") + 1] = f"tcp:{self.web_port}:interface=127.0.0.1"
        return command

    def fill(self) -> Known:
        """A hundred rooms of two players each, all of them at a lobby connection that stays open; gives what is known of them."""
        self._lines = socket.create_connection(("127.0.0.1", self.port)).makefile("rwb")
        tokens: dict[str, str] = {}
        for number in range(2 * ROOMS):
            name = f"player-{number:03}"
            tokens[self._ask("REGISTER_PLAYER", username=name, password="correct horse")["session_token"]] = name
        by_seat = list(tokens)
        game_id = self._ask("LIST_GAMES", by_seat[0])["games"][0]["game_id"]
        for host, guest in zip(by_seat[::2], by_seat[1::2], strict=True):
            room_id = self._ask("CREATE_ROOM", host, game_id=game_id)["room_id"]
            self._ask("JOIN_ROOM", guest, room_id=room_id)
        return Known(tokens=tokens, rooms=self._ask("LIST_ROOMS", by_seat[0])["rooms"])

    def _ask(self, type_: str, token: str | None = None, **payload: Any) -> dict[str, Any]:
        self._lines.write(json.dumps({"type": type_, "token": token, "payload": payload}).encode() + b"\n")
        self._lines.flush()
        answer = json.loads(self._lines.readline())
        if answer["code"] != 0:
            raise RuntimeError(f"{type_} was answered {answer}")
        found: dict[str, Any] = answer["payload"]
        return found


@attrs.frozen
class Known:
    """Sessions and rooms that both servers have."""

    tokens: dict[str, str]
    rooms: list[dict[str, Any]]

    def request(self, command: str, token: str) -> str:
        return json.dumps({"type": command} if command == "PING" else {"type": command, "token": token, "payload": {}}, separators=(",", ":"))

    def answer(self, command: str) -> str:
        payload = {} if command == "PING" else {"rooms": self.rooms}
        return json.dumps({"status": "ok", "code": 0, "message": "ok", "payload": payload}, separators=(",", ":"), ensure_ascii=False)


@attrs.frozen
class Run:
    """What one run showed."""

    rate: float
    cpu_microseconds: float
    """Of the server, for each answer."""
    p50: float
    p99: float
    server_busy: float
    load_busy: float


class Bench:
    """Servers that stand side by side, one of which is asked at a time."""

    def __init__(self, folder: Path, seconds: float, warmup: float) -> None:
        self._folder, self._seconds, self._warmup = folder, seconds, warmup
        self._server_core, self._load_core = two_cores()
        self._program = folder / "requests"
        subprocess.run(["cc", "-std=gnu11", "-O2", "-o", str(self._program), str(HERE / "load" / "requests.c")], check=True)
        self.ports: dict[str, int] = {}
        self._pids: dict[str, int] = {}
        self._known: dict[str, Known] = {}
        self._stops: list[Any] = []

    def add_gameroom(self, name: str, twistd: str | None = None) -> None:
        """The daemon on the servers' core, filled."""
        server = Lobby(twistd)
        self._stops.append(server.stop)
        server.start(self._server_core)
        self._add(name, server.port, server.pids()[0], server.fill())

    def add_node(self, name: str, node: str, how: str) -> None:
        """The Node server, with what the first daemon has."""
        known = next(iter(self._known.values()))
        if len(known.rooms) != ROOMS:
            raise RuntimeError(f"the list has {len(known.rooms)} rooms")
        given = self._folder / "rooms.json"
        given.write_text(json.dumps(attrs.asdict(known)))
        port = free_port()
        command = [node, str(HERE / "peers" / "net_server.mjs"), str(port), str(given), how]
        process = start_on(self._server_core, command, stdout=subprocess.PIPE, env={"NODE_ENV": "production"})
        self._stops.append(process.kill)
        assert process.stdout is not None
        if process.stdout.readline() != b"ready\n":
            raise RuntimeError("the Node server did not start")
        self._add(name, port, process.pid, known)

    def _add(self, name: str, port: int, pid: int, known: Known) -> None:
        self.ports[name], self._pids[name], self._known[name] = port, pid, known

    def run(self, name: str, command: str, depth: int) -> Run:
        """Ask it; raises CalledProcessError where an answer is wrong."""
        known = self._known[name]
        requests, answer = self._folder / "requests.txt", self._folder / "answer.txt"
        requests.write_text("".join(known.request(command, token) + "\n" for token in list(known.tokens)[:CONNECTIONS]))
        answer.write_text(known.answer(command) + "\n")
        words = [str(self.ports[name]), str(depth), str(self._warmup), str(self._seconds), str(requests), str(answer)]
        load = start_on(self._load_core, [str(self._program), *words], stdout=subprocess.PIPE)
        assert load.stdout is not None
        load.stdout.readline()
        before, began = cpu_seconds([self._pids[name]]), time.monotonic()
        line = load.stdout.readline()
        used, took = cpu_seconds([self._pids[name]]) - before, time.monotonic() - began
        if load.wait() != 0:
            raise SystemExit(f"{name} answered {command} wrongly, or not at all")
        said = json.loads(line)
        return Run(
            rate=said["answers"] / said["seconds"],
            cpu_microseconds=1e6 * used / said["answers"],
            p50=said["p50"],
            p99=said["p99"],
            server_busy=used / took,
            load_busy=said["load_cpu"] / said["seconds"],
        )

    def stop(self) -> None:
        for stop in self._stops:
            stop()


def find_node() -> str | None:
    """That which bench/lockstep has set up, else the machine's."""
    own = NODE / "bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


def median(runs: Sequence[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, field.name) for run in runs) for field in attrs.fields(Run)))


def table(found: dict[tuple[str, int, str], list[Run]], versions: str) -> str:
    """The medians, with each server's ratio to Node."""
    lines = [
        versions,
        "",
        "| | depth | server | requests/s | × Node | CPU µs | × Node by CPU | p50 ms | p99 ms | server, load |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for (command, depth, name), runs in found.items():
        run, node = median(runs), found.get((command, depth, NODE_NAME))
        ratio = f"{run.rate / median(node).rate:.2f}" if node else "–"
        by_cpu = f"{median(node).cpu_microseconds / run.cpu_microseconds:.2f}" if node else "–"
        star = "" if run.server_busy > WHOLE else " *"
        figures = f"{run.rate:,.0f} | {ratio} | {run.cpu_microseconds:.1f} | {by_cpu} | {run.p50 * 1e3:.2f} | {run.p99 * 1e3:.2f}"
        lines.append(f"| {command} | {depth} | {name} | {figures} | {run.server_busy:.0%}, {run.load_busy:.0%}{star} |")
    return "\n".join([*lines, "", *_goals(found)])


def _goals(found: dict[tuple[str, int, str], list[Run]]) -> list[str]:
    lines = []
    for command, depth, name in found:
        node = found.get((command, depth, NODE_NAME))
        if name == OURS and node:
            ours, theirs = median(found[command, depth, name]), median(node)
            ratio = ours.rate / theirs.rate
            word = "aim met" if ratio >= AIMS[depth] else "goal met" if ratio >= GOALS[depth] else "MISSED"
            unsure = "" if min(ours.server_busy, theirs.server_busy) > WHOLE else ", but a core was not whole"
            lines.append(f"{command} at depth {depth}: {ratio:.2f} × Node; goal {GOALS[depth]}, aim {AIMS[depth]}: {word}{unsure}")
    return lines


def main() -> None:
    options = arguments().parse_args()
    folder = Path(tempfile.mkdtemp(prefix="gameroom-bench-"))
    bench = Bench(folder, options.seconds, options.warmup)
    found: dict[tuple[str, int, str], list[Run]] = {}
    try:
        versions = add_servers(bench, options.compiled, options.twistd)
        for _ in range(options.repeat):
            for command in options.command:
                for depth in options.depth:
                    for name in bench.ports:
                        if name != NODE_KEPT or command == "LIST_ROOMS":
                            found.setdefault((command, depth, name), []).append(bench.run(name, command, depth))
    finally:
        bench.stop()
        shutil.rmtree(folder, ignore_errors=True)
    print(table(found, versions))
    if options.json is not None:
        kept = [
            {"command": case[0], "depth": case[1], "server": case[2], "runs": [attrs.asdict(run) for run in runs]} for case, runs in found.items()
        ]
        options.json.write_text(json.dumps(kept, indent=1))


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, in turn")
    parser.add_argument("--seconds", type=float, default=3.0, help="that are measured in each run")
    parser.add_argument("--warmup", type=float, default=1.0)
    parser.add_argument("--compiled", action="store_true", help="also the compiled build, as `make compiled` sets it up")
    parser.add_argument("--twistd", nargs="*", default=[], metavar="NAME=PATH", help="other builds of gameroom, say of yesterday, by their twistd")
    parser.add_argument("--command", choices=COMMANDS, nargs="+", default=COMMANDS)
    parser.add_argument("--depth", type=int, nargs="+", default=DEPTHS)
    parser.add_argument("--json", type=Path, help="keep all runs in this file")
    return parser


def add_servers(bench: Bench, compiled: bool, builds: Sequence[str]) -> str:
    """Start all of them; gives their versions, and says what is left out."""
    bench.add_gameroom(OURS)
    if compiled:
        try:
            bench.add_gameroom(COMPILED, compiled_twistd())
        except CannotSetUp as problem:
            print(f"{COMPILED} is left out: {problem}", file=sys.stderr)
    for build in builds:
        name, _, twistd = build.partition("=")
        bench.add_gameroom(name, twistd)
    node = find_node()
    if node is None:
        print("no Node is here: gameroom by itself", file=sys.stderr)
        return f"Python {sys.version.split()[0]}"
    bench.add_node(NODE_NAME, node, "stringify")
    bench.add_node(NODE_KEPT, node, "kept")
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=True).stdout.strip()
    return f"Python {sys.version.split()[0]}, Node {said}"


if __name__ == "__main__":
    main()
