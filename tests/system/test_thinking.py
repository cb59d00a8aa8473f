"""Computer players think in a real process, which never outlives the one that started it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.system.harness import PATIENCE, REACTOR

PROGRAM = """
import json, random, sys, time
from twisted.application.reactors import installReactor
reactor = installReactor(sys.argv[1])
from twisted.internet.task import LoopingCall
from gameroom.rules.turn_games.connect_four import ConnectFour
from gameroom.thinking import Thinking

thinking = Thinking.in_process(reactor, random.random)
ticks = []

def tell(what, value):
    print(json.dumps({what: value}), flush=True)

def choose(level):
    done = thinking.choose("connect-four", ConnectFour.new((1, 2), 1).view(1), player=1, level=level)
    done.addErrback(lambda failure: failure.type.__name__)
    return done

def forever(place):
    choose(6).addCallback(forever)

def busy():
    return max(after - before for before, after in zip(ticks, ticks[1:]))

def start():
    LoopingCall(lambda: ticks.append(time.process_time())).start(0.01)
    def moved(place):
        tell("moved", [place, busy(), thinking._mind.transport.pid])
        if sys.argv[2] == "thinks":
            forever(None)
        if sys.argv[2] == "stops":
            choose(6).addCallback(lambda result: tell("cancelled", result))
            reactor.callLater(0.1, lambda: thinking.stop().addCallback(lambda _: (tell("stopped", None), reactor.stop())))
    choose(6).addCallback(moved)

reactor.callWhenRunning(start)
reactor.run()
"""


@contextmanager
def running(what: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A program that has a computer player move, and then does as it is told: `rests`, `thinks` or `stops`."""
    program = subprocess.Popen([sys.executable, "-P", "-c", PROGRAM, REACTOR, what], stdout=subprocess.PIPE, text=True, cwd=folder)
    try:
        yield program
    finally:
        program.kill()
        program.wait()
        assert program.stdout is not None
        program.stdout.close()


def said(program: subprocess.Popen[str]) -> dict[str, object]:
    assert program.stdout is not None
    line: dict[str, object] = json.loads(program.stdout.readline())
    return line


def lives(pid: int) -> bool:
    """Whether the process is there, and no mere entry that nobody has asked for yet."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"


def check_gone(pid: int) -> None:
    until = time.monotonic() + PATIENCE
    while lives(pid) and time.monotonic() < until:
        time.sleep(0.02)
    assert not lives(pid)


def moved(program: subprocess.Popen[str]) -> int:
    """The first move was found, while the reactor went on; gives the process that thought."""
    about = said(program)["moved"]
    assert isinstance(about, list)
    place, busy, pid = about
    assert place == 3
    # Seconds of its own work between two ticks of the reactor: a quarter at least, if it thought itself.
    assert busy < 0.1
    assert lives(pid)
    assert b"gameroom.thinking_process" in Path(f"/proc/{pid}/cmdline").read_bytes()
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    assert environment.startswith(b"PYTHONPATH=")
    assert environment.count(b"\0") == 1
    return int(pid)


def test_killed_at_rest(tmp_path: Path) -> None:
    """Kill -9 of the program while its computer player has nothing to do: no process is left."""
    with running("rests", tmp_path) as program:
        pid = moved(program)
        program.kill()
        check_gone(pid)


def test_killed_while_it_thinks(tmp_path: Path) -> None:
    """Kill -9 of the program in the middle of a move: no process is left, long before the move would be found."""
    with running("thinks", tmp_path) as program:
        pid = moved(program)
        time.sleep(0.1)
        program.kill()
        check_gone(pid)


def test_ctrl_c_is_not_for_it(tmp_path: Path) -> None:
    """What a terminal sends to all of a program's processes does not end it; the program does."""
    with running("rests", tmp_path) as program:
        pid = moved(program)
        os.kill(pid, signal.SIGINT)
        time.sleep(0.1)
        assert lives(pid)


def test_stop(tmp_path: Path) -> None:
    """Stopping cancels the move and fires when the process is gone; the program ends."""
    with running("stops", tmp_path) as program:
        pid = moved(program)
        assert said(program) == {"cancelled": "CancelledError"}
        assert said(program) == {"stopped": None}
        assert not lives(pid)
        assert program.wait(PATIENCE) == 0


def test_nothing_from_where_it_was_started(tmp_path: Path) -> None:
    """A file that lies in the working folder under a library's name is not run."""
    (tmp_path / "orjson.py").write_text("raise SystemExit('not this one')")
    with running("rests", tmp_path) as program:
        moved(program)
