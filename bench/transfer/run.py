"""Uploads and downloads, gameroom beside Node: `python bench/transfer/run.py`. What the columns mean stands in README.md beside this."""

from __future__ import annotations

import argparse
import base64
import hashlib
import itertools
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from costs import MIB, costs
from stores import Gameroom, Node, Transfers, ask, generator, processes, servers

HERE = Path(__file__).parent
SERVERS: dict[str, Callable[[], Transfers]] = {"gameroom": Gameroom, "Node": Node}
GOAL = 1.4
"""× Node at 64 KiB with a window of 8, up."""


@attrs.frozen(kw_only=True)
class Case:
    """One transfer: which way, in chunks of how many bytes, how many of them ahead of their answers (a download has no answers)."""

    way: str
    chunk_bytes: int
    window: int = 0

    def __str__(self) -> str:
        return f"{self.way:<4} {self.chunk_bytes // 1024:>4} KiB" + (f" × {self.window}" if self.window else "")


@attrs.frozen(kw_only=True)
class Figures:
    """What one run showed. Times are in seconds."""

    megabytes: float
    """Of the file, a second; 10⁶ bytes."""
    cpu: float
    """Of the server, for the whole file."""
    busy: float
    """The part of its core that the server used."""
    load_busy: float
    grown: int
    """Bytes that the server's memory has grown by since the first MiB went through."""


def build(folder: Path) -> Path:
    """Compile the load; gives the program, or ends with one line."""
    program = folder / "transfer"
    try:
        subprocess.run([os.environ.get("CC", "cc"), "-std=gnu11", "-O2", "-o", str(program), str(HERE / "load" / "transfer.c")], check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise SystemExit(f"the load needs a C compiler, `cc` or what CC names: {problem}") from problem
    return program


@attrs.frozen
class Transfer:
    """Puts files on a server, with the load on its own core."""

    program: Path
    server: Transfers
    core: int | None

    def up(self, chunk_bytes: int, window: int, total: int, version: str, rate: float = 0.0, *, measured: bool = True) -> Figures:
        """Upload a file, and publish it; what that END takes is not counted."""
        data, chunks = self._chunk(chunk_bytes), total // chunk_bytes
        sha256 = hashlib.sha256()
        for _ in range(chunks):
            sha256.update(data)
        begin = {"game_id": self.server.game_id, "version": version, "size_bytes": chunks * chunk_bytes, "checksum": sha256.hexdigest()}
        upload_id = ask(self.server.upload_port, "UPLOAD_BEGIN", begin, self.server.developer)["upload_id"]
        arguments = ["up", self.server.upload_port, self.server.developer, upload_id, chunk_bytes, chunks, window, rate]
        figures = self._run(arguments, data, chunks * chunk_bytes)
        ask(self.server.upload_port, "UPLOAD_END", {"upload_id": upload_id}, self.server.developer)
        return figures

    def down(self, chunk_bytes: int, total: int) -> Figures:
        """Download what was uploaded last, in chunks of which it is made."""
        chunks = total // chunk_bytes
        arguments = ["down", self.server.download_port, self.server.player, self.server.game_id, chunk_bytes, chunks]
        return self._run(arguments, self._chunk(chunk_bytes), chunks * chunk_bytes)

    def _chunk(self, chunk_bytes: int) -> bytes:
        # Larger chunks begin with smaller ones, again and again: so a file that went up in one size may come down in another.
        return hashlib.shake_256(b"gameroom").digest(4096) * (chunk_bytes // 4096)

    def _run(self, arguments: Sequence[object], data: bytes, total: int) -> Figures:
        pids = self.server.pids()
        before, memory = processes.cpu_seconds(pids), processes.resident_bytes(pids)
        process = processes.start_on(
            self.core, [str(self.program), *map(str, arguments)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        said, problem = process.communicate(base64.b64encode(data))
        if process.returncode:
            raise SystemExit(f"{' '.join(map(str, arguments[:1]))}: {problem.decode().strip()}")
        used = processes.cpu_seconds(pids) - before
        seen: dict[str, float] = json.loads(said)
        return Figures(
            megabytes=total / seen["seconds"] / 1e6,
            cpu=used,
            busy=used / seen["seconds"],
            load_busy=seen["cpu"] / seen["seconds"],
            grown=processes.resident_bytes(pids) - memory,
        )


@contextmanager
def running(make: Callable[[], Transfers], program: Path) -> Iterator[Transfer]:
    """A fresh server on one core, whose pages and caches a first MiB has warmed."""
    server_core, load_core = processes.two_cores()
    server = make()
    try:
        server.start(server_core)
        transfer = Transfer(program, server, load_core)
        transfer.up(65536, 8, 16 * MIB, "0.1.0")
        transfer.down(65536, 16 * MIB)
        yield transfer
    finally:
        server.stop()


def run_all(options: argparse.Namespace, program: Path) -> dict[tuple[str, Case], list[Figures]]:
    """Each server with each case, in turn, so that a slow minute of the machine meets all alike."""
    total = options.mib * MIB
    results: dict[tuple[str, Case], list[Figures]] = {}
    for turn, name in itertools.product(range(options.repeat), options.server):
        print(f"run {turn + 1} of {options.repeat}: {name}", file=sys.stderr)
        with running(SERVERS[name], program) as transfer:
            for number, (kib, window) in enumerate(itertools.product(options.kib, options.window), 1):
                figures = transfer.up(kib * 1024, window, total, f"1.{number}.0")
                results.setdefault((name, Case(way="up", chunk_bytes=kib * 1024, window=window)), []).append(figures)
            for kib in options.kib:
                results.setdefault((name, Case(way="down", chunk_bytes=kib * 1024)), []).append(transfer.down(kib * 1024, total))
    return results


def median(runs: Sequence[Figures], name: str) -> float:
    return float(statistics.median(getattr(run, name) for run in runs))


def table_of(results: dict[tuple[str, Case], list[Figures]]) -> str:
    """The medians for a person, with ratios to Node."""
    head = f"{'case':<16} {'server':<9} {'MB/s':>7} {'spread':>7} {'CPU s':>7} {'server':>7} {'load':>6}"
    head += f" {'grown MiB':>10} {'× Node':>7} {'× per CPU s':>12}"
    lines = [head, "-" * len(head)]
    for case in dict.fromkeys(case for _, case in results):
        for name in dict.fromkeys(name for name, _ in results):
            runs, peers = results[name, case], results.get(("Node", case))
            rates = [run.megabytes for run in runs]
            ratio = per_cpu = ""
            if peers is not None and name != "Node":
                ratio = f"{median(runs, 'megabytes') / median(peers, 'megabytes'):.2f}"
                per_cpu = f"{median(peers, 'cpu') / median(runs, 'cpu'):.2f}"
            busy = f"{median(runs, 'busy'):.0%}" + ("" if median(runs, "busy") > 0.9 else "*")
            lines.append(
                f"{case!s:<16} {name:<9} {median(runs, 'megabytes'):>7,.0f} {(max(rates) - min(rates)) / statistics.median(rates):>7.0%}"
                f" {median(runs, 'cpu'):>7.2f} {busy:>7} {median(runs, 'load_busy'):>6.0%}"
                f" {max(run.grown for run in runs) / MIB:>10.1f} {ratio:>7} {per_cpu:>12}"
            )
    return "\n".join(lines)


def costs_table(kibs: Sequence[int], total: int) -> str:
    """What the parts cost alone, and what they would come to together if there was nothing else."""
    lines = [f"{'alone, CPU s':<14} {'JSON':>7} {'base64':>7} {'SHA-256':>8} {'write':>7} {'together':>9} {'MB/s':>7}"]
    for kib in kibs:
        parts = costs(kib * 1024, total)
        whole = sum(parts.values())
        lines.append(
            f"{kib:>6} KiB     {parts['JSON']:>7.2f} {parts['base64']:>7.2f} {parts['SHA-256']:>8.2f} {parts['write']:>7.2f} {whole:>9.2f}"
            f" {total / whole / 1e6:>7,.0f}"
        )
    return "\n".join(lines)


def goal_line(results: dict[tuple[str, Case], list[Figures]]) -> str:
    """Whether the goal is met, where both were run."""
    case = Case(way="up", chunk_bytes=65536, window=8)
    if ("gameroom", case) not in results or ("Node", case) not in results:
        return ""
    ratio = median(results["gameroom", case], "megabytes") / median(results["Node", case], "megabytes")
    return f"{'met' if ratio >= GOAL else 'MISSED'}: {case} at {ratio:.2f} × Node, and the goal is {GOAL}"


def beside_a_room(options: argparse.Namespace, program: Path, folder: Path) -> str:
    """The turn latency of a lock-step room of four at 20 turns a second: by itself, and while files go up and down as fast as they can."""
    lockstep = generator.build(folder)
    shape = servers.Shape(rooms=1, players=4, encoding="binary", window=2)
    pace = generator.Pace(warmup=1.0, seconds=options.room_seconds, rate=20.0, command_bytes=32)
    lines = [f"{'a 20 Hz room of 4':<24} {'p50 ms':>7} {'p99 ms':>7} {'MB/s beside it':>15}"]
    for what in ("by itself", "up 64 KiB × 8", "down 64 KiB"):
        server: Any = Gameroom()
        server_core, load_core = processes.two_cores()
        try:
            server.start(server_core)
            transfer = Transfer(program, server, load_core)
            transfer.up(65536, 8, options.mib * MIB, "0.1.0")
            seats = server.seats(shape)
            with generator.load(lockstep, server=server, shape=shape, pace=pace, seats=seats, core=load_core) as clients:
                clients.wait_for("connected")
                clients.go()
                clients.wait_for("started")
                clients.wait_for("measuring")
                rates = list(_for_a_while(options.room_seconds, what, transfer, options.mib * MIB))
                measured = clients.wait_for("measured")
        finally:
            server.stop()
        beside = f"{statistics.mean(rates):.0f}" if rates else ""
        lines.append(f"{what:<24} {measured['latency_p50'] * 1e3:>7.2f} {measured['latency_p99'] * 1e3:>7.2f} {beside:>15}")
    return "\n".join(lines)


def _for_a_while(seconds: float, what: str, transfer: Transfer, total: int) -> Iterator[float]:
    """Transfers one after another, so many seconds long; gives how fast each was."""
    until = time.monotonic() + seconds
    for number in itertools.count(1):
        if what == "by itself" or time.monotonic() > until:
            return
        figures = transfer.up(65536, 8, total, f"1.{number}.0") if what.startswith("up") else transfer.down(65536, total)
        yield figures.megabytes


def options_of(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Uploads and downloads over JSON lines, server and load on a core each.")
    parser.add_argument("--mib", type=int, default=256, help="size of the file")
    parser.add_argument("--kib", type=int, nargs="+", default=[4, 64, 256], help="sizes of chunks")
    parser.add_argument("--window", type=int, nargs="+", default=[1, 8], help="chunks ahead of their answers")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each case, interleaved; the median is shown; 0 for the room alone")
    parser.add_argument("--server", choices=list(SERVERS), nargs="+", default=list(SERVERS))
    parser.add_argument("--room-seconds", type=float, default=8.0, help="how long a room is measured beside transfers; 0 for not at all")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str]) -> int:
    """Run everything, and print the tables."""
    options = options_of(arguments)
    if processes.two_cores() == (None, None):
        print("only one core here: server and load share it, and the figures mean little", file=sys.stderr)
    with tempfile.TemporaryDirectory(prefix="gameroom-bench-") as folder:
        program = build(Path(folder))
        if options.repeat:
            results = run_all(options, program)
            print(table_of(results), goal_line(results), costs_table(options.kib, options.mib * MIB), sep="\n")
        if options.room_seconds:
            print(beside_a_room(options, program, Path(folder)))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
