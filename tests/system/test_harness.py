"""What the tests of daemons stand on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.system.harness import SHARE, free_port

ROOT = Path(__file__).parents[2]
ROUNDS = 50
"""So many that two processes which chose from all ports would choose some of the same."""
CHOOSES = f"""
import sys
from tests.system.harness import free_port
print(*{{free_port() for _ in range({ROUNDS * SHARE})}}, flush=True)
sys.stdin.read()
"""


def test_no_two_processes_choose_the_same_port() -> None:
    """Whoever runs them: each has a share of its own while it lives."""
    ours = {free_port() for _ in range(ROUNDS * SHARE)}
    with _chooser() as one, _chooser() as other:
        theirs, others = _chosen(one), _chosen(other)
    assert ours
    assert theirs
    assert others
    assert ours.isdisjoint(theirs)
    assert ours.isdisjoint(others)
    assert theirs.isdisjoint(others)


def _chooser() -> subprocess.Popen[str]:
    """A process that says which ports it chose, and keeps them until nobody listens to it."""
    return subprocess.Popen([sys.executable, "-c", CHOOSES], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def _chosen(process: subprocess.Popen[str]) -> set[int]:
    assert process.stdout is not None
    return {int(port) for port in process.stdout.readline().split()}
