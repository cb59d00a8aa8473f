"""The compiled build (docs/speed.md): its wheel, installed, plays by the same rules."""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Sequence
from pathlib import Path
from zipfile import ZipFile

import pytest

from setup import missing

ROOT = Path(__file__).parents[2]
SOURCES = ("gameroom", "twisted", "setup.py", "setup.cfg", "pyproject.toml", "requirements.lock", "README.md", "LICENSE")
MATCH = "tests/system/test_lockstep.py::test_the_recording_is_what_was_played"


def run(command: Sequence[str | Path], where: Path, **variables: str) -> str:
    """What the program says; it must end with status 0."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "GAMEROOM_COMPILE")} | variables
    done = subprocess.run(command, cwd=where, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, f"{shlex.join(map(str, command))} ended with {done.returncode}:\n{done.stdout[-8000:]}"
    return done.stdout


def copy(names: Sequence[str], to: Path) -> Path:
    """Those parts of the checkout, without what was made there, so that nothing is read from the checkout itself."""
    to.mkdir()
    for name in names:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, to / name, ignore=shutil.ignore_patterns("__pycache__", "dropin.cache", "_build"))
        else:
            shutil.copy(ROOT / name, to / name)
    return to


def make_wheel(folder: Path) -> Path:
    """Build the compiled wheel, with the tools that are installed here."""
    sources = copy(SOURCES, folder / "sources")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--no-build-isolation", "--wheel-dir", str(folder), "."]
    # What it computes is the same however well it is optimized, and the C compiler is most of the time.
    run(command, sources, GAMEROOM_COMPILE="1", GAMEROOM_COMPILE_LEVEL="0")
    (wheel,) = folder.glob("*.whl")
    return wheel


def install(wheel: Path, folder: Path) -> Path:
    """An environment with that wheel in front of all that is installed here. Gives its Python."""
    venv.create(folder, symlinks=True)
    inside = {name: Path(sysconfig.get_path(name, "venv", {"base": str(folder), "platbase": str(folder)})) for name in ("platlib", "scripts")}
    with ZipFile(wheel) as packed:
        packed.extractall(inside["platlib"])
    (inside["platlib"] / "the-others.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = inside["scripts"] / "python"
    twistd = inside["scripts"] / "twistd"
    twistd.write_text(f"#!{python}\nfrom twisted.scripts.twistd import run\n\nrun()\n")
    twistd.chmod(0o755)
    return python


def those_of(wheel: Path) -> list[str]:
    """The tests of what is compiled in it, and of the lock-step referee, which stands right on that.

    The referee's state machine is left out: the rules' own machines are among these, and what it holds beside them is not compiled.
    So are the doors' lanes with seats that are made up, which compiled code does not take: the match goes by lanes with real ones.
    """
    compiled = [Path(name).relative_to("gameroom") for name in ZipFile(wheel).namelist() if name.startswith("gameroom/") and name.endswith(".so")]
    patterns = [f"{path.parent}/test_{path.name.partition('.')[0]}*.py" for path in compiled] + ["referees/test_lockstep*.py"]
    found = {path.relative_to(ROOT) for pattern in patterns for path in (ROOT / "tests").glob(pattern)}
    left_out = {Path("tests/referees/test_lockstep_machine.py"), Path("tests/doors/test_lanes.py")}
    return sorted(map(str, found - left_out))


@pytest.mark.skipif(bool(missing()), reason=f"compiling needs {missing()}")
def test_the_compiled_build_plays_by_the_same_rules(tmp_path: Path) -> None:
    """The wheel says what it is, what is compiled passes the tests of its sources, and a daemon on it plays a whole match."""
    wheel = make_wheel(tmp_path)
    python = install(wheel, tmp_path / "installed")
    tests = copy(("tests", "docs", "setup.cfg"), tmp_path / "tests")
    assert "(compiled)" in run([python.with_name("twistd"), "gameroom", "--version"], tests)
    needs = run([python, "-c", "import importlib.metadata; print(importlib.metadata.requires('gameroom'))"], tests)
    assert "librt" in needs, "what compiled modules import has to be installed with them"
    where = run([python, "-c", "import gameroom.rules.turns; print(gameroom.rules.turns.__file__)"], tests)
    assert where.startswith(str(tmp_path / "installed"))
    run([python, "-m", "pytest", "-q", "-p", "no:cacheprovider", *those_of(wheel), MATCH], tests)
