"""Programs of micro game services in their sandbox, and services behind TLS: real processes, sockets and certificates."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

import gameroom
from tests.system.harness import PATIENCE, REACTOR

KIT = Path(gameroom.__file__).parent / "cli" / "templates" / "service" / "gameroom_service.py"
ROOT = Path(gameroom.__file__).parent.parent
TOGETHER = (
    "good", "killed", "ends_at_once", "never_accepts", "closes_its_socket", "forks", "prints", "stopped_while_starting", "released_while_ended", "tls"
)  # fmt: skip
"""Scenarios of `service_host` that are played at the same time, since they wait more than they work."""

SERVICES = {
    "good.py": """
        import os
        from gameroom_service import serve

        def update(state, event):
            event.broadcast({
                "environment": {key: value for key, value in os.environ.items() if key.startswith(("GAMEROOM_", "LISTEN_FDS"))},
                "open": sorted(int(name) for name in os.listdir("/proc/self/fd")), "at": os.getcwd(),
            })
            return state

        serve(update)
    """,
    "slow.py": """
        import time
        from gameroom_service import serve

        def update(state, event):
            time.sleep(0.005)
            event.broadcast(event.body)
            return state

        serve(update)
    """,
    "forks.py": """
        import os, threading, time
        from gameroom_service import serve

        def update(state, event):
            event.broadcast(event.body)
            threading.Timer(0.05, os._exit, (5,)).start()
            return state

        for _ in range(5):
            if os.fork() == 0:
                time.sleep(60)
        serve(update)
    """,
    "prints.py": """
        import threading
        from gameroom_service import serve

        def flood():
            while True:
                print("x" * 1000)

        threading.Thread(target=flood, daemon=True).start()
        serve(lambda state, event: state)
    """,
}


def host(folder: Path, *scenarios: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-P", "-m", "tests.system.service_host", REACTOR, str(folder), *scenarios]
    return subprocess.Popen(command, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=subprocess.PIPE, text=True)


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    """A bundle with all services, and a certificate for localhost beside its key."""
    with TemporaryDirectory(prefix="gameroom-services-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        bundle, tls = folder / "bundle", folder / "tls"
        for each in (bundle, tls):
            each.mkdir()
        shutil.copy(KIT, bundle)
        for file, text in SERVICES.items():
            lines = text.strip("\n").splitlines()
            (bundle / file).write_text("\n".join(line[8:] for line in lines))
        command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost -keyout key.key -out cert.pem"
        subprocess.run([*command.split(), "-addext", "subjectAltName=DNS:localhost"], cwd=tls, check=True, capture_output=True)
        yield folder


@pytest.fixture(scope="module")
def found(folder: Path) -> dict[str, Any]:
    """What came of each scenario."""
    with host(folder, *TOGETHER) as process:
        assert process.stdout is not None
        lines = [json.loads(line) for line in process.stdout]
    return {line["scenario"]: line["found"] for line in lines}


def test_what_it_is_given(found: dict[str, Any]) -> None:
    """A socket as descriptor 3 and nothing else, its folder, and what it is of, but no room."""
    said = found["good"]
    assert set(said["environment"]) == {"GAMEROOM_GAME_ID", "GAMEROOM_VERSION", "GAMEROOM_PORT", "LISTEN_FDS"}
    assert (said["environment"]["GAMEROOM_VERSION"], said["environment"]["LISTEN_FDS"]) == ("1.0.0", "1")
    assert said["at"] == "/bundle"
    assert 3 in said["open"]


def test_killed(found: dict[str, Any]) -> None:
    """However often it is killed, every update is answered, with its own answer."""
    said = found["killed"]
    assert (said["wrong"], said["answers"], said["problem"]) == ([], 200, "")
    assert len([line for line in said["lines"] if "started again" in line]) >= 2


def test_one_that_ends_at_once(found: dict[str, Any]) -> None:
    """A start with it fails at once, with the reason; it is started less and less often, and no more when nobody wants it."""
    said = found["ends_at_once"]
    assert said["first"]["code"] == 199
    assert "the game's service ended with status 3 before it had answered anything" in said["first"]["message"]
    # It does not wait for an answer, which would be for four minutes.
    assert said["first"]["seconds"] < PATIENCE
    waits = [line.rpartition("started again in ")[2] for line in said["lines"] if "started again" in line]
    assert waits == ["0.1 s", "0.2 s", "0.4 s", "0.8 s"][: len(waits)]
    assert len(waits) >= 2
    assert said["problem"] == "the game's service ended with status 3 and is started again"
    assert (said["more"], said["left"]) == (0, 0)


@pytest.mark.parametrize("scenario", ["never_accepts", "closes_its_socket"])
def test_silent_ones(found: dict[str, Any], scenario: str) -> None:
    """A program that is there and does not answer fails the start when it has had its time."""
    said = found[scenario]
    assert said["code"] == 199
    assert "the game's service has not answered within 1.5 s" in said["message"]
    assert 1.4 < said["seconds"] < PATIENCE


def test_forks(found: dict[str, Any]) -> None:
    """A program's children, which have its socket, too, are gone with it: the next one answers."""
    assert found["forks"]["answers"] == [1, 2, 3]
    assert found["forks"]["lines"] >= 2


def test_prints(found: dict[str, Any]) -> None:
    """What prints without end keeps neither itself nor anybody else from answering."""
    assert found["prints"]["busy"] < 1


def test_stopped_while_starting(found: dict[str, Any]) -> None:
    """The daemon's end does not wait for a start, and leaves nothing."""
    assert (found["stopped_while_starting"]["code"], found["stopped_while_starting"]["running"]) == (105, False)
    assert found["end"] == 0


def test_released_while_ended(found: dict[str, Any]) -> None:
    """What nobody wants any more is not started again."""
    assert found["released_while_ended"] == {"lines": 1, "left": 0}


def test_tls(found: dict[str, Any]) -> None:
    """An endpoint with TLS is called where its certificate is trusted, and the developer is told where it is not."""
    trusted, also, not_trusted = found["tls"]["found"]
    assert (trusted, also) == ({"answered": 1}, {"answered": 1})
    assert not_trusted["code"] == 199
    assert "certificate verify failed" in " ".join(found["tls"]["lines"])


def test_no_orphan(folder: Path) -> None:
    """The program of a daemon that is killed is gone as well."""
    with host(folder, "orphan") as process:
        assert process.stdout is not None
        pid = json.loads(process.stdout.readline())["found"]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        assert children
        process.kill()
    until = time.monotonic() + PATIENCE
    while any(_lives(each) for each in (pid, *children)) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(_lives(each) for each in (pid, *children))


def _lives(pid: object) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in ("Z", "X")
    except OSError:
        return False
