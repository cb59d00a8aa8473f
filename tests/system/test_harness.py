"""What the tests of daemons stand on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.system.harness import SHARE, free_port

ROOT = Path(__file__).parents[2]
ROUNDS = 50
"""So many that two processes which chose from all ports would choose some of the same."""
CHOOSES = f"from tests.system.harness import free_port; print(*{{free_port() for _ in range({ROUNDS * SHARE})}}, flush=True); input()"


def test_no_two_processes_choose_the_same_port() -> None:
    """Whoever runs them: each has a share of its own while it lives."""
    command = [sys.executable, "-c", CHOOSES]
    ours = {free_port() for _ in range(ROUNDS * SHARE)}
    with (
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as one,
        subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other,
    ):
        assert one.stdout is not None
        assert other.stdout is not None
        theirs, others = ({int(port) for port in chooser.stdout.readline().split()} for chooser in (one, other))
    assert ours
    assert theirs
    assert others
    assert ours.isdisjoint(theirs)
    assert ours.isdisjoint(others)
    assert theirs.isdisjoint(others)
