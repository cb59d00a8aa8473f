"""Micro game services: updates a second and latency, beside the bare frames, the bare commits and a loop written by hand: one table (README.md).

python bench/service/run.py [--repeat 2] [--seconds 2] [--rooms 1 100 1000] [--state 1024] [--database URL] [--json FILE]
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import http.client
import io
import json
import os
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import attrs

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(HERE.parent / "lockstep"))

from peer_setup import NODE  # noqa: E402
from processes import cpu_seconds, start_on, two_cores  # noqa: E402
from servers import Gameroom, another_port, free_port, post  # noqa: E402

IN_C, KIT, IN_NODE = "C", "Python kit", "Node protobufjs"
GAMEROOM, FRAMES, COMMITS, LOOP = "gameroom", "frames", "commits", "loop"
WHOLE = 0.9
"""The part of its core that the daemon must have had, for its rate to be its own."""
SETTLES_WITHIN = 10.0
SHORT_WARMUP = 0.3
"""Seconds, of what has nothing to warm up but caches."""
QUIET = 0.3
"""The part of its core that a daemon uses at most which has done what it was last asked for: thousands of rooms are looked at, idle or not."""


@attrs.frozen
class Run:
    """What one run showed."""

    rate: float
    """Updates a second."""
    cpu: float
    """Seconds of CPU time for each of them: the daemon's, or the loop's own."""
    busy: float
    p50: float
    p99: float


class Daemon(Gameroom):
    """`twistd gameroom` with services elsewhere, and rooms that wait for as long as the bench takes."""

    def __init__(self, endpoints: Sequence[str], database: str | None) -> None:
        super().__init__()
        self.config = f"""
[limits]
connections_per_address = 100000
rooms_per_address = 100000
messages_per_second = 1000000
[accounts]
bcrypt_cost = 4
[rooms]
reconnect_window = 3600
room_ttl = 3600
[service]
allow = {json.dumps(endpoints)}
"""
        self.developer_port = another_port(self.web_port, self.admin_port)
        self._database = database

    def command(self) -> list[str]:
        command = super().command()
        command[command.index("--developer") + 1] = f"tcp:{self.developer_port}:interface=127.0.0.1"
        return command if self._database is None else [*command, "--database", self._database]

    @property
    def pid(self) -> int:
        return self.pids()[0]

    def upload(self, name: str, endpoint: str) -> str:
        """A game of that service; gives its id."""
        toml = f'[hosting]\nkind = "service"\nmax_players = 1\n[service]\nendpoint = {json.dumps(endpoint)}\n'
        packed = io.BytesIO()
        with zipfile.ZipFile(packed, "w") as archive:
            archive.writestr("game.toml", toml)
        data = packed.getvalue()
        with socket.create_connection(("127.0.0.1", self.developer_port)) as connection:
            lines = connection.makefile("rwb")

            def ask(kind: str, token: str | None = None, **payload: Any) -> dict[str, Any]:
                lines.write(json.dumps({"type": kind, "token": token, "payload": payload}).encode() + b"\n")
                lines.flush()
                answer = json.loads(lines.readline())
                if answer["code"] != 0:
                    raise SystemExit(f"{kind} was answered {answer}")
                found: dict[str, Any] = answer["payload"]
                return found

            token = ask("REGISTER_DEV", username=f"author of {name}".replace(" ", "-"), password="correct horse")["session_token"]
            game_id = ask("CREATE_GAME", token, name=name, description="", game_type="cli", max_players=1)["game_id"]
            checksum = hashlib.sha256(data).hexdigest()
            begun = ask("UPLOAD_BEGIN", token, game_id=game_id, version="1.0.0", size_bytes=len(data), checksum=checksum)
            ask("UPLOAD_CHUNK", token, upload_id=begun["upload_id"], seq=0, data_b64=base64.b64encode(data).decode())
            ask("UPLOAD_END", token, upload_id=begun["upload_id"])
        return str(game_id)

    def rooms(self, game_id: str, count: int, account: str) -> list[str]:
        """So many rooms of a game with a player in each: socket and seat token, as the load reads them."""
        web = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=30)
        session = post(web, "/register", {"username": account, "password": "correct horse"})["session_token"]
        seats = []
        for _ in range(count):
            join = post(web, "/create", {"engine": {"game_id": game_id}, "public": False}, session)["join"]
            seat = post(web, urlsplit(join).path, {})
            seats.append(f"{urlsplit(seat['socket']).path} {seat['token']}\n")
        web.close()
        return seats


class Bench:
    """The services, the daemon before them, and what is put on one of them at a time."""

    def __init__(self, folder: Path, stack: ExitStack, options: argparse.Namespace) -> None:
        self._folder, self._stack, self._options = folder, stack, options
        self._daemon_core, self._load_core = two_cores()
        self._program = folder / "counting"
        source = HERE / "load" / "counting.c"
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-o", str(self._program), str(source)], check=True)
        self.ports: dict[str, int] = {}
        self._seats: dict[str, list[str]] = {}
        self._daemon: Daemon | None = None

    def add(self, name: str, command: Callable[[int], Sequence[str]], cwd: Path) -> None:
        """Start a service on the load's core; `command` is given its port."""
        port = free_port()
        environment = os.environ | {"STATE_BYTES": str(self._options.state)}
        with (self._folder / f"{name}.log").open("wb") as log:
            process = start_on(self._load_core, command(port), cwd=cwd, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        until = time.monotonic() + 30
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                said = (self._folder / f"{name}.log").read_text(errors="replace")[-2000:]
                raise SystemExit(f"the service {name} does not listen:\n{said}")
            time.sleep(0.05)
        self.ports[name] = port

    def add_services(self) -> None:
        """Those that can be here; what cannot is named."""
        self.add(IN_C, lambda port: [str(self._program), "serve", str(port), str(self._options.state)], self._folder)
        kit = self._folder / "python"
        kit.mkdir()
        shutil.copy(HERE / "peers" / "service.py", kit)
        shutil.copy(ROOT / "gameroom" / "cli" / "templates" / "service" / "gameroom_service.py", kit)
        self.add(KIT, lambda port: [sys.executable, "service.py", "--listen", f"127.0.0.1:{port}"], kit)
        modules, node = ROOT / "build" / "npm" / "node_modules", _node()
        if node is None or not (modules.parent / ".ready").exists():
            print(f"{IN_NODE} is left out: it needs Node 18 or newer, and `.ci/npm` to have been run", file=sys.stderr)
            return
        folder = self._folder / "node"
        shutil.copytree(ROOT / "examples" / "game-service-node", folder, ignore=shutil.ignore_patterns("node_modules"))
        shutil.copy(HERE / "peers" / "rules.js", folder)
        (folder / "node_modules").symlink_to(modules)
        self.add(IN_NODE, lambda port: [node, "service.js", "127.0.0.1", str(port)], folder)

    def open_rooms(self) -> None:
        """The daemon, with as many rooms of each service as the widest shape has."""
        endpoints = {name: f"tcp:127.0.0.1:{port}" for name, port in self.ports.items()}
        self._daemon = daemon = Daemon(list(endpoints.values()), self._options.database)
        self._stack.callback(daemon.stop)
        daemon.start(self._daemon_core)
        for name, endpoint in endpoints.items():
            began = time.monotonic()
            self._seats[name] = daemon.rooms(daemon.upload(name, endpoint), max(self._options.rooms), f"maker-{len(self._seats)}")
            print(f"{len(self._seats[name])} rooms with {name} in {time.monotonic() - began:.1f} s", file=sys.stderr)

    def gameroom(self, service: str, rooms: int) -> Run:
        """Members of so many rooms say `game`, one under way in each."""
        assert self._daemon is not None
        pid = self._daemon.pid
        self._settle(pid)
        command = [str(self._program), "play", str(self._daemon.web_port), str(rooms), str(self._options.warmup), str(self._options.seconds)]
        try:
            return _measured(self._load_core, command, pid=pid, given="".join(self._seats[service][:rooms]))
        except SystemExit:
            print((self._daemon.folder / "log").read_text(errors="replace")[-4000:], file=sys.stderr)
            raise

    def frames(self, service: str, rooms: int) -> Run:
        """The same updates from a load that speaks to the service itself."""
        command = [str(self._program), "ask", str(self.ports[service]), str(rooms), str(SHORT_WARMUP), str(self._options.seconds / 2)]
        return _measured(self._daemon_core, command)

    def commits(self, rooms: int) -> Run:
        """The same rows, of one update of each room in each commit."""
        return self._alone("commits", rooms, 0)

    def loop(self, service: str, rooms: int) -> Run:
        """Frames and commits, by hand: no members, and nothing that can go wrong."""
        return self._alone("loop", rooms, self.ports[service])

    def _alone(self, what: str, rooms: int, port: int) -> Run:
        database = self._options.database or str(Path(tempfile.mkdtemp(dir=self._folder)) / "alone.sqlite")
        words = [what, database, rooms, self._options.state, SHORT_WARMUP, self._options.seconds / 2, port]
        return _measured(self._daemon_core, [sys.executable, str(HERE / "alone.py"), *map(str, words)])

    def _settle(self, pid: int) -> None:
        """Until the daemon has told its services who is away."""
        until = time.monotonic() + SETTLES_WITHIN
        while time.monotonic() < until:
            before = cpu_seconds([pid])
            time.sleep(0.2)
            if cpu_seconds([pid]) - before < 0.2 * QUIET:
                return


def _measured(core: int | None, command: Sequence[str], *, pid: int | None = None, given: str = "") -> Run:
    """Run a load; `pid` is whose CPU time counts, if not its own. What it is told wrongly ends the bench."""
    load = start_on(core, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert load.stdin is not None
    assert load.stdout is not None
    load.stdin.write(given)
    load.stdin.close()
    load.stdout.readline()
    before = cpu_seconds([pid]) if pid is not None else 0.0
    line = load.stdout.readline()
    used = cpu_seconds([pid]) - before if pid is not None else 0.0
    if load.wait() != 0:
        raise SystemExit(f"{' '.join(command)} failed")
    said = json.loads(line)
    took, used = said["seconds"], used if pid is not None else said["cpu"]
    return Run(rate=said["done"] / took, cpu=used / max(said["done"], 1), busy=used / took, p50=said["p50"], p99=said["p99"])


def _listens(port: int) -> bool:
    """Asked of the kernel: a connection would be one that the service has to serve."""
    return f"0100007F:{port:04X} 00000000:0000 0A" in Path("/proc/net/tcp").read_text()


def _node() -> str | None:
    own = NODE / "bin" / "node"
    return str(own) if own.exists() else shutil.which("node")


@contextmanager
def standing(options: argparse.Namespace) -> Iterator[Bench]:
    """All that is measured, running."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gameroom-bench-")))
        bench = Bench(folder, stack, options)
        bench.add_services()
        bench.open_rooms()
        yield bench


Found = dict[tuple[str, str, int], list[Run]]
"""The runs by what was measured, service and rooms; commits have no service."""


def run_all(bench: Bench, options: argparse.Namespace) -> Found:
    """Everything in turn, so that a slow moment of the machine meets all alike."""
    found: Found = {}
    for turn in range(options.repeat):
        print(f"turn {turn + 1} of {options.repeat}", file=sys.stderr)
        for rooms in options.rooms:
            found.setdefault((COMMITS, "", rooms), []).append(bench.commits(rooms))
            for service in bench.ports:
                for what, run in ((FRAMES, bench.frames), (LOOP, bench.loop), (GAMEROOM, bench.gameroom)):
                    found.setdefault((what, service, rooms), []).append(run(service, rooms))
    return found


def median(runs: Sequence[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, field.name) for run in runs) for field in attrs.fields(Run)))


def table(found: Found) -> str:
    """The medians: gameroom's, and how many times as fast it is as each of the others."""
    names = ["rooms", "service", "updates/s", "p50, p99 ms", "CPU µs", "busy"]
    names += ["loop/s", "× loop", "× loop by CPU", "frames/s", "× frames", "commits/s", "× commits"]
    lines = [f"| {' | '.join(names)} |", "|---:|---|" + "---:|" * (len(names) - 2)]
    for what, service, rooms in found:
        if what != GAMEROOM:
            continue
        ours, loop, frames = (median(found[each, service, rooms]) for each in (GAMEROOM, LOOP, FRAMES))
        commits = median(found[COMMITS, "", rooms])
        star = "" if ours.busy > WHOLE else " *"
        cells = [
            f"{rooms:,} | {service} | {ours.rate:,.0f} | {ours.p50 * 1e3:.2f}, {ours.p99 * 1e3:.2f} | {ours.cpu * 1e6:.0f} | {ours.busy:.0%}{star}",
            f"{loop.rate:,.0f} | {ours.rate / loop.rate:.2f} | {loop.cpu / ours.cpu:.2f}",
            f"{frames.rate:,.0f} | {ours.rate / frames.rate:.2f} | {commits.rate:,.0f} | {ours.rate / commits.rate:.2f}",
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=2, help="runs of each, in turn; the median is shown")
    parser.add_argument("--seconds", type=float, default=2.0, help="that gameroom is measured in each run; the others half of it")
    parser.add_argument("--warmup", type=float, default=0.5)
    parser.add_argument("--rooms", type=int, nargs="+", default=[1, 100, 1000])
    parser.add_argument("--state", type=int, default=1024, help="bytes of a room's state")
    parser.add_argument("--database", metavar="URL", help="of an empty PostgreSQL database, in place of SQLite; all that is in it may be overwritten")
    parser.add_argument("--json", type=Path, help="keep all runs in this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = options_of(arguments)
    if two_cores() == (None, None):
        print("only one core here: daemon and load share it, and the figures mean little", file=sys.stderr)
    with standing(options) as bench:
        found = run_all(bench, options)
    print(table(found))
    if options.json is not None:
        kept = [{"what": each[0], "service": each[1], "rooms": each[2], "runs": [attrs.asdict(run) for run in runs]} for each, runs in found.items()]
        options.json.write_text(json.dumps(kept, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
