"""Builds the load generator with `cc` and drives it through its phases (see load/load.c)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
from processes import start_on
from servers import Seat, ServerUnderTest, Shape

SOURCES = Path(__file__).with_name("load")


@attrs.frozen(kw_only=True)
class Pace:
    """For how long the load plays (seconds), and how many turns a second a client wants; 0 is as many as it can."""

    warmup: float
    seconds: float
    rate: float
    command_bytes: int


def build(folder: Path) -> Path:
    """Compile the generator into this folder; gives the program, or ends with one line."""
    program = folder / "load"
    compiler = os.environ.get("CC", "cc")
    try:
        subprocess.run([compiler, "-std=gnu11", "-O2", "-o", str(program), str(SOURCES / "load.c")], check=True)
    except (OSError, subprocess.CalledProcessError) as problem:
        raise SystemExit(f"the load generator needs a C compiler, `cc` or what CC names: {problem}") from problem
    return program


class LoadFailed(Exception):
    """The server did what a correct one would not; the message says what."""


class Load:
    """One run of the generator."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def wait_for(self, phase: str) -> dict[str, Any]:
        """Block until the generator says that it has reached this phase; gives what it says with it."""
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise LoadFailed(f"the load ended before it was {phase} (exit status {self._process.wait()})")
        said: dict[str, Any] = json.loads(line)
        if said["phase"] != phase:
            raise LoadFailed(f"the load is {said['phase']} and not {phase}")
        return said

    def go(self) -> None:
        """Let everybody get ready and play."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.flush()


@contextmanager
def load(program: Path, *, server: ServerUnderTest, shape: Shape, pace: Pace, seats: Iterable[Seat], core: int | None) -> Iterator[Load]:
    """Connect all these seats; the generator is ended on leaving."""
    options = {
        "port": server.port,
        "players": shape.players,
        "window": shape.window,
        "bytes": pace.command_bytes,
        "rate": pace.rate,
        "warmup": pace.warmup,
        "seconds": pace.seconds,
    }
    command = [str(program), *(part for key, value in options.items() for part in (f"--{key}", str(value)))]
    if server.framing == "colyseus":
        command.append("--colyseus")
    elif shape.encoding == "binary":
        command.append("--binary")
    if server.framing == "envelopes":
        command.append("--envelopes")
    with tempfile.TemporaryFile("w+") as errors:
        process = start_on(core, command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True)
        try:
            assert process.stdin is not None
            process.stdin.writelines(f"{seat.room} {seat.number} {seat.path} {seat.token}\n" for seat in seats)
            process.stdin.write("\n")
            process.stdin.flush()
            yield Load(process)
        except (LoadFailed, BrokenPipeError) as problem:
            errors.seek(0)
            raise LoadFailed(f"{problem}: {errors.read().strip()}") from problem
        finally:
            process.kill()
            process.communicate()
