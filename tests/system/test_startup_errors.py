"""What is wrong at the start is one line on stderr that says which and what to do, exit status 1, and nothing half-started."""

from __future__ import annotations

import socket
import subprocess
from pathlib import Path

import pytest

from tests.system.harness import LOOPBACK, STARTS_WITHIN, free_port, twistd

OFF = ("--lobby", "off", "--developer", "off", "--game", "off", "--web", "off", "--admin", "off")


def _start(folder: Path, *options: str, config: str | None = None) -> str:
    """The line with which `twistd gameroom` with these options ends."""
    command = [twistd(), "--nodaemon", "--pidfile=", "gameroom", "--data", "var", *OFF, *options]
    if config is not None:
        (folder / "gameroom.toml").write_text(config)
        command += ["--config", "gameroom.toml"]
    result = subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STARTS_WITHIN, check=False)
    assert result.returncode == 1, result
    lines = result.stderr.splitlines()
    assert len(lines) == 1, result.stderr
    assert "Traceback" not in result.stdout
    return lines[0]


def _is_free(port: int) -> bool:
    try:
        socket.create_server((LOOPBACK, port)).close()
    except OSError:
        return False
    return True


@pytest.mark.parametrize("door", ["lobby", "developer", "web", "admin"])
def test_a_port_in_use(tmp_path: Path, door: str) -> None:
    """The line names the port and the door."""
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        line = _start(tmp_path, f"--{door}", f"tcp:{port}:interface={LOOPBACK}")
    assert str(port) in line
    assert door in line


def test_a_port_in_use_leaves_nothing_half_started(tmp_path: Path) -> None:
    """The doors that could be opened are closed again, and no database was made."""
    other = free_port()
    with socket.create_server((LOOPBACK, 0)) as taken:
        port = taken.getsockname()[1]
        _start(tmp_path, "--lobby", f"tcp:{other}:interface={LOOPBACK}", "--web", f"tcp:{port}:interface={LOOPBACK}")
    assert _is_free(other)
    assert not list(tmp_path.glob("var/*.db"))


@pytest.mark.parametrize(
    ("config", "names"),
    [
        ("[limits]\nline_byte = 5\n", "line_byte"),
        ("[nonsense]\nx = 1\n", "nonsense"),
        ("webb = 'tcp:1'\n", "webb"),
        ("[rooms]\nroom_ttl = 'long'\n", "room_ttl"),
        ("[lockstep]\njournal = 'never'\n", "journal"),
        ("[limits\n", "gameroom.toml"),
        ("[service]\nallow = ['tcp:rules.example:7100', 'tcp:rules.example:seven']\n", "tcp:rules.example:seven"),
    ],
    ids=["unknown-key", "unknown-table", "unknown-option", "bad-value", "bad-choice", "no-toml", "bad-service"],
)
def test_a_bad_file(tmp_path: Path, config: str, names: str) -> None:
    """The line names what is wrong in the file."""
    assert names in _start(tmp_path, config=config)


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (("--web", "nonsense"), "nonsense"),
        (("--web", "tcp:notaport"), "notaport"),
        (("--lobby", "carrierpigeon:1"), "carrierpigeon"),
        (("--colour", "red"), "colour"),
        (("--database", "oracle:somewhere"), "database"),
        (("--config", "missing.toml"), "missing.toml"),
        (("--drain", "soon"), "drain"),
        (("--admin", "tcp:0"), "token"),
    ],
    ids=["no-endpoint", "bad-port", "unknown-endpoint", "unknown-option", "bad-database", "missing-file", "bad-number", "open-admin"],
)
def test_a_bad_option(tmp_path: Path, options: tuple[str, ...], names: str) -> None:
    """The line names the option or its value. An admin door that is not on loopback wants a token."""
    assert names in _start(tmp_path, *options)


@pytest.mark.parametrize("host", ["127.0.0.1:1", "%2Fnonexistent"])
def test_a_database_that_is_not_there(tmp_path: Path, host: str) -> None:
    """PostgreSQL that nobody runs."""
    assert "database" in _start(tmp_path, "--database", f"postgresql://gameroom@{host}/gameroom")


def test_a_data_folder_that_cannot_be_made(tmp_path: Path) -> None:
    """A file stands where the folder should be."""
    (tmp_path / "var").write_text("in the way")
    assert "var" in _start(tmp_path)


def test_data_in_use_by_another_daemon(tmp_path: Path) -> None:
    """Two daemons on one data folder would undo each other's work; the second does not start."""
    command = [twistd(), "--nodaemon", "--pidfile=", "gameroom", "--data", "var", "--lobby", f"tcp:{free_port()}:interface={LOOPBACK}", *OFF[2:]]
    with subprocess.Popen(command, cwd=tmp_path, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as first:
        try:
            assert first.stdout is not None
            assert first.stdout.readline(), "the first daemon says where to go when it is ready"
            assert "var" in _start(tmp_path)
        finally:
            first.kill()
