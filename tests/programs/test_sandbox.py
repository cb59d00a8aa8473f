"""What is started for a program."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.programs import launch
from gameroom.programs.sandbox import Sandbox

ORDER = {"folder": Path("/data/unpacked/x"), "memory_mb": 64, "environment": {"GAMEROOM_PORT": "7"}}


class SandboxTests(SynchronousTestCase):
    def words(self, sandbox: Sandbox, uid: int | None) -> tuple[dict[str, str], list[str]]:
        words = sandbox.command(["python3", "server.py"], folder=ORDER["folder"], memory_mb=64, environment={"GAMEROOM_PORT": "7"}, uid=uid)  # type: ignore[arg-type]
        self.assertEqual(words[:4], [sys.executable, "-I", "-S", launch.__file__])
        end = words.index("--")
        return dict(word.split("=", 1) for word in words[4:end]), words[end + 1 :]

    def test_as_root(self) -> None:
        """The program is a user of its own, and its bundle shown where that one may go."""
        said, command = self.words(Sandbox(bwrap="/usr/bin/bwrap", is_root=True), 2_000_000_000)
        self.assertEqual((said["uid"], said["folder"], said["parent"]), ("2000000000", "/data/unpacked/x", str(os.getpid())))
        place = command.index(launch.BUNDLE)
        self.assertEqual(command[place - 1 : place + 2], ["--ro-bind", launch.BUNDLE, "/bundle"])
        self.assertEqual(command[-2:], ["python3", "server.py"])

    def test_as_nobody_special(self) -> None:
        """The bundle is taken from where it is."""
        said, command = self.words(Sandbox(bwrap="/usr/bin/bwrap", is_root=False), None)
        self.assertEqual(said["uid"], "")
        self.assertIn("/data/unpacked/x", command)
        self.assertEqual(Sandbox(bwrap="/usr/bin/bwrap", is_root=False).environment({"GAMEROOM_PORT": "7"}), {})

    def test_hidden(self) -> None:
        """What lies within /usr and is not for programs is covered by something empty that cannot be written to."""
        _, command = self.words(Sandbox(bwrap="/usr/bin/bwrap", is_root=False, hidden=("/usr/lib", "/usr/bin/env")), None)
        place = command.index("/usr/lib")
        self.assertEqual(command[place - 1 : place + 3], ["--tmpfs", "/usr/lib", "--remount-ro", "/usr/lib"])
        self.assertEqual(command[command.index("/usr/bin/env") - 2 :][:2], ["--ro-bind", "/dev/null"])

    def test_nothing_locks_it_in(self) -> None:
        """The command itself, in its folder, with an environment without anything of ours."""
        said, command = self.words(Sandbox.none(), None)
        self.assertEqual(command, ["python3", "server.py"])
        self.assertEqual((said["locked"], said["seccomp"]), ("", ""))
        self.assertEqual(
            Sandbox.none().environment({"GAMEROOM_PORT": "7"}),
            {"GAMEROOM_PORT": "7", "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/tmp", "LISTEN_FDS": "1"},
        )
