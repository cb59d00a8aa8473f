"""gameroom beside its peers: `python bench/lockstep/compare.py` prints a table with ratios and a line for each goal, and draws a plot.

What the columns mean, what is fair about it and what is not stands in README.md beside this.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from contest import CASES, WINDOW, Case, Contender, Results, contenders, machine
from generator import LoadFailed, Pace, build
from measuring import run_once
from peer_setup import SCRATCH, set_up
from plot import svg_of
from processes import two_cores
from report import markdown_of, text_of
from servers import Shape

RESULTS = SCRATCH.with_name(".results")
COMMAND_BYTES = 32


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description="Lock-step rooms of gameroom and of its peers under the same load, a core for the server and one for it."
    )
    parser.add_argument("--case", choices=list(CASES), nargs="+", default=list(CASES), help="the work (all, unless named)")
    parser.add_argument("--server", nargs="+", metavar="NAME", help="as they stand in the table (all, unless named)")
    parser.add_argument("--repeat", type=int, default=5, help="runs of each server at each work, interleaved; medians are shown")
    parser.add_argument("--seconds", type=float, default=3.0, help="measured, in each run")
    parser.add_argument("--warmup", type=float, default=1.0, help="played before, in each run")
    parser.add_argument("--quick", action="store_true", help="one short run of each: a look, no measurement")
    parser.add_argument("--json", type=Path, metavar="FILE", default=RESULTS / "runs.json", help="where all runs are kept (%(default)s)")
    parser.add_argument("--plot", type=Path, metavar="FILE", default=RESULTS / "plot.svg", help="where the plot goes (%(default)s)")
    parser.add_argument("--from", type=Path, metavar="FILE", dest="kept", help="measure nothing: table and plot of the runs kept in this file")
    parser.add_argument("--markdown", action="store_true", help="print what the README quotes instead")
    options = parser.parse_args(arguments)
    if options.quick:
        options.repeat, options.seconds, options.warmup = 1, 1.0, 0.5
    return options


def pace_of(case: Case, options: argparse.Namespace) -> Pace:
    return Pace(warmup=options.warmup, seconds=options.seconds, rate=case.rate, command_bytes=COMMAND_BYTES)


def play_all(options: argparse.Namespace) -> Results:
    """Each server at each work in turn, and all that again, so that a slow minute of the machine meets all alike."""
    peers = set_up()
    servers = contenders(peers)
    if options.server:
        unknown = set(options.server) - set(servers) - set(peers.left_out)
        if unknown:
            raise SystemExit(f"no such server: {', '.join(sorted(unknown))}; there are {', '.join(servers)}")
        servers = {name: server for name, server in servers.items() if name in options.server}
    about = machine() | {"date": datetime.now(UTC).strftime("%Y-%m-%d"), "runs": f"{options.repeat} of {options.seconds:g} s"}
    results = Results(about, peers.versions, peers.left_out)
    with tempfile.TemporaryDirectory(prefix="gameroom-bench-") as folder:
        program = build(Path(folder))
        for turn in range(options.repeat):
            for key in options.case:
                print(f"run {turn + 1} of {options.repeat}: {CASES[key]}", file=sys.stderr)
                play_case(results, servers, CASES[key], pace_of(CASES[key], options), program)
            # After each turn, so that what was measured outlives what may still go wrong.
            keep(options.json, results.to_json())
    return results


def play_case(results: Results, servers: Mapping[str, Contender], case: Case, pace: Pace, program: Path) -> None:
    """One run of each server; one that fails is told and left out, and the others go on."""
    for name, server in servers.items():
        shape = Shape(rooms=case.rooms, players=case.players, encoding=server.encoding, window=WINDOW)
        try:
            results.add(case.key, name, run_once(server.make(), program, shape, pace))
        except (LoadFailed, RuntimeError, OSError) as problem:
            print(f"{name}, {case}: {problem}", file=sys.stderr)


def keep(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def main(arguments: Sequence[str]) -> int:
    options = options_of(arguments)
    if two_cores() == (None, None):
        print("only one core here: server and load share it, and the figures mean little", file=sys.stderr)
    results = Results.from_json(options.kept.read_text()) if options.kept else play_all(options)
    if not results.runs:
        print("nothing was measured", file=sys.stderr)
        return 1
    print(markdown_of(results) if options.markdown else text_of(results))
    keep(options.plot, svg_of(results))
    print(f"\nPlot: {options.plot}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
