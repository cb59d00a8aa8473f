"""AuthProxy's byte pipe beside other proxies: one table with ratios, medians of runs in turn (README.md).

python bench/proxy/run.py [--repeat 5] [--seconds 1.2] [--mib 512] [--reactor gameroom epoll] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import attrs

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE.parent / "lockstep"))

from peer_setup import NODE  # noqa: E402
from processes import cpu_seconds, start_on, two_cores  # noqa: E402
from servers import free_port  # noqa: E402

OURS, STOCK, HAPROXY, NODE_NET, FORWARD, DIRECT = "gameroom", "gameroom on epoll", "HAProxy", "Node net", "Twisted portforward", "no proxy"
MIB = 1 << 20
WHOLE = 0.9
"""The part of its core that a proxy must have had, for its rate to be its own."""


@attrs.frozen
class Case:
    """What is sent: round trips of 64 bytes on so many connections, or so many bytes one way."""

    kind: str
    size: int

    def __str__(self) -> str:
        return f"trips × {self.size}" if self.kind == "trips" else f"bulk {self.kind}"


@attrs.frozen
class Goal:
    """How often as fast as a peer we are to be."""

    case: str
    peer: str
    floor: float
    aim: float


GOALS = (
    Goal("trips × 100", HAPROXY, 0.80, 0.90),
    Goal("trips × 100", FORWARD, 2.0, 2.0),
    Goal("bulk up", HAPROXY, 1.0, 1.15),
    Goal("bulk down", HAPROXY, 1.0, 1.15),
)


@attrs.frozen
class Run:
    """What one run showed."""

    rate: float
    """Round trips, or bytes, a second."""
    cpu: float
    """Seconds of the proxy's CPU time for each of them."""
    busy: float
    """The part of its core that the proxy used."""
    load_busy: float
    p50: float
    p99: float


@attrs.frozen
class Standing:
    """A proxy that runs."""

    port: int
    pid: int
    greeted: bool
    """Whether AUTH comes first."""


class Bench:
    """The server, the proxies before it, and the load that is put on one of them at a time."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._stack = stack
        self._proxy_core, self._load_core = two_cores()
        self._program = folder / "relay"
        compiler = os.environ.get("CC", "cc")
        subprocess.run([compiler, "-std=gnu11", "-O2", "-o", str(self._program), str(HERE / "load" / "relay.c")], check=True)
        self.standing: dict[str, Standing] = {}
        # With an AuthProxy before it the server is greeted; with others it is not.
        self._targets = {greeted: self._serve(greeted) for greeted in (True, False)}
        self.standing[DIRECT] = self._targets[False]

    def _serve(self, greeted: bool) -> Standing:
        port = free_port()
        command = [str(self._program), "serve", str(port), str(int(greeted))]
        return Standing(port, self._start(self._load_core, command, port, {}), greeted)

    def add(self, name: str, command: Callable[[int, int], Sequence[str]], *, greeted: bool = False) -> None:
        """Start a proxy on its core; `command` is given its port and that of the server."""
        port, target = free_port(), self._targets[greeted].port
        environment = {"PORT": str(port), "TARGET_PORT": str(target)}
        self.standing[name] = Standing(port, self._start(self._proxy_core, command(port, target), port, environment), greeted)

    def _start(self, core: int | None, command: Sequence[str], port: int, environment: dict[str, str]) -> int:
        process = start_on(core, command, env=os.environ | environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        self._stack.callback(process.wait)
        self._stack.callback(process.kill)
        until = time.monotonic() + 30
        while not _listens(port):
            if process.poll() is not None or time.monotonic() > until:
                raise SystemExit(f"{command[0]} does not listen on port {port}")
            time.sleep(0.05)
        return process.pid

    def run(self, name: str, case: Case, warmup: float, seconds: float) -> Run:
        """Put the load on one proxy; an answer that is wrong ends the bench."""
        proxy = self.standing[name]
        words = [case.kind, proxy.port, int(proxy.greeted), case.size]
        words += [warmup, seconds] if case.kind == "trips" else []
        load = start_on(self._load_core, [str(self._program), *map(str, words)], stdout=subprocess.PIPE, text=True)
        assert load.stdout is not None
        load.stdout.readline()
        before = cpu_seconds([proxy.pid])
        line = load.stdout.readline()
        used = cpu_seconds([proxy.pid]) - before
        if load.wait() != 0:
            raise SystemExit(f"{name} failed at {case}")
        said = json.loads(line)
        return Run(
            rate=said["done"] / said["seconds"],
            cpu=used / said["done"],
            busy=used / said["seconds"],
            load_busy=said["cpu"] / said["seconds"],
            p50=said.get("p50", 0.0),
            p99=said.get("p99", 0.0),
        )


def _listens(port: int) -> bool:
    """Asked of the kernel: a connection would be one that the proxy has to wait for."""
    wanted = f"0100007F:{port:04X} 00000000:0000 0A"
    return wanted in Path("/proc/net/tcp").read_text()


@contextmanager
def standing(options: argparse.Namespace) -> Iterator[Bench]:
    """All that is here, running; what is not is named."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="gameroom-bench-")))
        bench = Bench(folder, stack)
        names = {"gameroom": OURS, "epoll": STOCK}
        for reactor in options.reactor:
            command = [sys.executable, str(HERE / "peers" / "auth_proxy.py"), reactor]
            bench.add(names[reactor], lambda *ports, command=command: [*command, *map(str, ports)], greeted=True)
        haproxy = shutil.which("haproxy", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if haproxy is None:
            print("HAProxy is left out: it is not here; on Debian: apt-get install haproxy", file=sys.stderr)
        else:
            bench.add(HAPROXY, lambda port, target: [haproxy, "-db", "-f", str(HERE / "peers" / "haproxy.cfg")])
        own = NODE / "bin" / "node"
        node = str(own) if own.exists() else shutil.which("node")
        if node is None:
            print("Node is left out: it is not here", file=sys.stderr)
        else:
            bench.add(NODE_NET, lambda port, target: [node, str(HERE / "peers" / "net_proxy.mjs"), str(port), str(target)])
        bench.add(FORWARD, lambda port, target: [sys.executable, str(HERE / "peers" / "port_forward.py"), str(port), str(target)])
        yield bench


Found = dict[tuple[str, str], list[Run]]
"""The runs by case and proxy."""


def run_all(bench: Bench, options: argparse.Namespace) -> Found:
    """Every case with every proxy, in turn, so that a slow moment of the machine meets all alike."""
    cases = [*(Case("trips", connections) for connections in options.connections), *(Case(way, options.mib * MIB) for way in ("up", "down"))]
    found: Found = {}
    for turn in range(options.repeat):
        print(f"turn {turn + 1} of {options.repeat}", file=sys.stderr)
        for case in cases:
            for name in bench.standing:
                found.setdefault((str(case), name), []).append(bench.run(name, case, options.warmup, options.seconds))
    return found


def median(runs: Sequence[Run]) -> Run:
    return Run(*(statistics.median(getattr(run, field.name) for run in runs) for field in attrs.fields(Run)))


def table(found: Found) -> str:
    """The medians, with each proxy's ratios to HAProxy. Without a proxy there is no CPU time of one."""
    head = "| | proxy | a second | × HAProxy | CPU | × HAProxy by CPU | p50, p99 ms | proxy, load |"
    lines = [head, "|---|---|---|---|---|---|---|---|"]
    for (case, name), runs in found.items():
        run, peer = median(runs), found.get((case, HAPROXY))
        ratios = ["–", "–"]
        if peer is not None:
            ratios = [f"{run.rate / median(peer).rate:.2f}", f"{median(peer).cpu / run.cpu:.2f}"]
        trips, by_cpu = case.startswith("trips"), "–" if name == DIRECT else ratios[1]
        rate, cpu = (f"{run.rate:,.0f}", f"{run.cpu * 1e6:.1f} µs") if trips else (f"{run.rate / 1e6:,.0f} MB", f"{run.cpu * 1e9:.2f} s/GB")
        times = f"{run.p50 * 1e3:.2f}, {run.p99 * 1e3:.2f}" if trips else ""
        star = "" if run.busy > WHOLE or name == DIRECT else " *"
        figures = f"{rate} | {ratios[0]} | {'–' if name == DIRECT else cpu} | {by_cpu} | {times}"
        lines.append(f"| {case} | {name} | {figures} | {run.busy:.0%}, {run.load_busy:.0%}{star} |")
    return "\n".join([*lines, "", *goals(found)])


def goals(found: Found) -> list[str]:
    """Whether each goal is met, where both were run."""
    lines = []
    for goal in GOALS:
        ours, theirs = found.get((goal.case, OURS)), found.get((goal.case, goal.peer))
        if ours is None or theirs is None:
            continue
        ratio, by_cpu = median(ours).rate / median(theirs).rate, median(theirs).cpu / median(ours).cpu
        word = "aim met" if ratio >= goal.aim else "goal met" if ratio >= goal.floor else "MISSED"
        lines.append(f"{goal.case}: {ratio:.2f} × {goal.peer}, {by_cpu:.2f} by CPU time; goal {goal.floor}, aim {goal.aim}: {word}")
    return lines


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeat", type=int, default=5, help="runs of each, in turn; the median is shown")
    parser.add_argument("--seconds", type=float, default=1.2, help="that round trips are measured in each run")
    parser.add_argument("--warmup", type=float, default=0.3)
    parser.add_argument("--connections", type=int, nargs="+", default=[1, 100])
    parser.add_argument("--mib", type=int, default=512, help="size of a bulk transfer")
    parser.add_argument("--reactor", choices=["gameroom", "epoll"], nargs="+", default=["gameroom"], help="what ours runs on")
    parser.add_argument("--json", type=Path, help="keep all runs in this file")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    options = options_of(arguments)
    if two_cores() == (None, None):
        print("only one core here: proxy and load share it, and the figures mean little", file=sys.stderr)
    with standing(options) as bench:
        found = run_all(bench, options)
    print(table(found))
    if options.json is not None:
        kept = [{"case": case, "proxy": name, "runs": [attrs.asdict(run) for run in runs]} for (case, name), runs in found.items()]
        options.json.write_text(json.dumps(kept, indent=1))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
