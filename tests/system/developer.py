"""`gameroom dev` in a shell of its own, as a developer has it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.system.harness import LOOPBACK, Daemon, hear_ctrl_c

PASSWORD = "correct horse battery"
ENDS_WITHIN = 180.0


class Developer:
    """Somebody with a folder and a kept session."""

    def __init__(self, daemon: Daemon, folder: Path, server: str | None = None) -> None:
        """`server` is where they find the developer door, where that is not the daemon's own address."""
        self.daemon = daemon
        self.server = server or f"{LOOPBACK}:{daemon.developer_port}"
        self.folder = folder
        (folder / "tmp").mkdir(parents=True, exist_ok=True)

    def environment(self) -> dict[str, str]:
        ours = {key: value for key, value in os.environ.items() if not key.startswith("GAMEROOM_")}
        return {
            **ours,
            "GAMEROOM_SERVER": self.server,
            "GAMEROOM_WEB": f"http://{LOOPBACK}:{self.daemon.web_port}",
            "GAMEROOM_PASSWORD": PASSWORD,
            "XDG_CONFIG_HOME": str(self.folder / "config"),
            "TMPDIR": str(self.folder / "tmp"),
        }

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """`gameroom dev …`, on its way."""
        return subprocess.Popen(
            [str(Path(sys.executable).with_name("gameroom")), "dev", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
        )

    def call(self, *arguments: str) -> tuple[int, str, str]:
        """Exit status, standard output, standard error."""
        process = self.start(*arguments)
        out, err = process.communicate(timeout=ENDS_WITHIN)
        return process.returncode, out, err

    def done(self, *arguments: str) -> str:
        status, out, err = self.call(*arguments)
        assert status == 0, (status, out, err)
        return out

    def said(self, *arguments: str) -> Any:
        return json.loads(self.done(*arguments, "--json"))
