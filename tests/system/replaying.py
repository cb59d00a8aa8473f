"""`gameroom replay` on a real daemon's folder."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.system.harness import PATIENCE, Daemon


def replay(daemon: Daemon, *arguments: str) -> tuple[int, Any]:
    """What `gameroom replay … --json` says of the daemon's folder, and its exit status."""
    program = str(Path(sys.executable).with_name("gameroom"))
    command = [program, "replay", *arguments, "--json", "--data", str(daemon.folder / "var")]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=PATIENCE)
    assert done.stdout, done.stderr
    return done.returncode, json.loads(done.stdout)
