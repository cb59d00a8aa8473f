"""gameroom's lock-step rooms by themselves: `python bench/lockstep/run.py --rooms 50 --players 4 --seconds 5`.

`compare.py` puts them beside others. What the columns mean stands in README.md beside this.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import attrs
from generator import LoadFailed, Pace, build
from measuring import Figures, median_of, run_once, spread_of
from peer_setup import CannotSetUp, compiled_twistd
from processes import two_cores
from servers import Gameroom, Shape


def table_of(results: dict[tuple[str, Shape], list[Figures]]) -> str:
    """The medians for a person, with the spread of the first figure."""
    head = (
        f"{'gameroom':<14} {'rooms × players':<18} {'masters/s':>10} {'spread':>8} {'per CPU s':>10} {'p50 ms':>8} {'p99 ms':>8}"
        f" {'server':>7} {'load':>6} {'idle kB':>8} {'playing kB':>10}"
    )
    lines = [head, "-" * len(head)]
    for (name, shape), runs in results.items():
        figures = median_of(runs)
        lines.append(
            f"{name:<14} {shape!s:<18} {figures.masters_per_second:>10,.0f} {spread_of(runs):>8.0%} {figures.masters_per_cpu_second:>10,.0f}"
            f" {figures.latency_p50 * 1e3:>8.2f} {figures.latency_p99 * 1e3:>8.2f} {figures.server_busy:>7.0%} {figures.load_busy:>6.0%}"
            f" {figures.bytes_per_idle_connection / 1e3:>8.1f} {figures.bytes_per_playing_connection / 1e3:>10.1f}"
        )
    return "\n".join(lines)


def as_json(results: dict[tuple[str, Shape], list[Figures]], pace: Pace) -> str:
    """Everything that was measured, for a program."""
    entries = [
        {
            "server": name,
            **attrs.asdict(shape),
            **attrs.asdict(pace),
            "median": attrs.asdict(median_of(runs)),
            "runs": [attrs.asdict(run) for run in runs],
        }
        for (name, shape), runs in results.items()
    ]
    return json.dumps(entries, indent=2)


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Masters delivered by lock-step rooms over WebSocket, server and load on a core each.")
    parser.add_argument("--rooms", type=int, nargs="+", default=[50], help="how many rooms (several for several cases)")
    parser.add_argument("--players", type=int, default=4, help="players of each room")
    parser.add_argument("--encoding", choices=["json", "binary", "both"], default="both")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured, in each run")
    parser.add_argument("--warmup", type=float, default=1.0, help="played before, in each run")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each case, interleaved; the median is shown")
    parser.add_argument("--rate", type=float, default=0.0, help="turns a second of each room; without it, as many as the server can")
    parser.add_argument("--window", type=int, default=2, help="input_delay")
    parser.add_argument("--bytes", type=int, default=32, help="size of a command")
    parser.add_argument("--reactor", choices=["gameroom", "epoll"], nargs="+", default=["gameroom"], help="the lean one, stock, or both")
    parser.add_argument("--compiled", action="store_true", help="the compiled build as well, made where it is not there")
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run every case `--repeat` times, one case after the other each time, so that a slow minute of the machine meets all alike."""
    options = options_of(arguments)
    pace = Pace(warmup=options.warmup, seconds=options.seconds, rate=options.rate, command_bytes=options.bytes)
    encodings = ["binary", "json"] if options.encoding == "both" else [options.encoding]
    shapes = [
        Shape(rooms=rooms, players=options.players, encoding=encoding, window=options.window)
        for rooms, encoding in itertools.product(options.rooms, encodings)
    ]
    servers = {("lean" if reactor == "gameroom" else "stock"): partial(Gameroom, reactor) for reactor in options.reactor}
    if options.compiled:
        try:
            twistd = compiled_twistd()
        except CannotSetUp as problem:
            print(problem, file=sys.stderr)
            return 1
        servers |= {f"{name} compiled": partial(server, twistd=twistd) for name, server in servers.items()}
    results: dict[tuple[str, Shape], list[Figures]] = {case: [] for case in itertools.product(servers, shapes)}
    if two_cores() == (None, None):
        print("only one core here: server and load share it, and the figures mean little", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="gameroom-bench-") as folder:
        program = build(Path(folder))
        for turn in range(options.repeat):
            for (name, shape), runs in results.items():
                print(f"run {turn + 1} of {options.repeat}: {name}, {shape}", file=sys.stderr)
                try:
                    runs.append(run_once(servers[name](), program, shape, pace))
                except LoadFailed as problem:
                    print(f"{name}, {shape}: {problem}", file=sys.stderr)
                    return 1
    print(as_json(results, pace) if options.json else table_of(results))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
