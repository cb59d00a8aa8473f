"""Twisted's own tests of reactors, run over the lean reactor and over stock epoll: the same must come of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).with_name("conformance.py")
ENDS_WITHIN = 900.0
TIMES = 3
"""Some of Twisted's tests have times of their own, which a busy machine may miss: what differs is run again, so often in all."""
LEAN, STOCK = "gameroom.reactor.LeanReactor", "twisted.internet.epollreactor.EPollReactor"

BUILT = "core fdset tcp unix tls newtls time threads process udp socket stdio sigchld base posixbase endpoints epollreactor filedescriptor abstract"
"""Those of twisted.internet.test: most build a reactor for each test."""

GLOBAL = ("twisted.test.test_tcp", "twisted.test.test_ssl", "twisted.test.test_unix", "twisted.test.test_internet", "twisted.protocols.test.test_tls")
"""Older ones, which run on the process's reactor."""

MODULES = [*(f"twisted.internet.test.test_{name}" for name in BUILT.split()), *GLOBAL]


def started(reactor: str, folder: Path, modules: Sequence[str]) -> subprocess.Popen[str]:
    folder.mkdir(parents=True)
    return subprocess.Popen(
        [sys.executable, str(RUNNER), reactor, *modules],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def outcomes(process: subprocess.Popen[str]) -> dict[str, Any]:
    try:
        said, errors = process.communicate(timeout=ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        said, errors = process.communicate()
    begin = said.rfind('{"outcomes"')
    assert begin >= 0, f"Twisted's tests did not come to their end:\n{said[-2000:]}\n{errors[-4000:]}"
    result: dict[str, Any] = json.loads(said[begin:])
    return result


def run(folder: Path, modules: Sequence[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What came of these over the lean reactor, and over stock epoll; both at the same time."""
    lean, stock = (started(reactor, folder / name, modules) for reactor, name in ((LEAN, "lean"), (STOCK, "stock")))
    return outcomes(lean), outcomes(stock)


def test_twisteds_own_tests(tmp_path: Path) -> None:
    """Every test of Twisted's that passes over stock epoll passes over the lean reactor, and as many are run, skipped and failed."""
    lean, stock = run(tmp_path / "1", MODULES)
    for time in range(2, TIMES + 1):
        differ = differing(lean, stock)
        modules = {module for test in differ for module in MODULES if test.startswith(f"{module}.")}
        if modules:
            for before, now in zip((lean, stock), run(tmp_path / str(time), sorted(modules)), strict=True):
                for key in ("outcomes", "why"):
                    before[key] |= {test: what for test, what in now[key].items() if test in differ}
    assert "\n".join(f"{test}: {what}" for test, what in differing(lean, stock).items()) == ""
    assert set(lean["outcomes"]) == set(stock["outcomes"])
    assert Counter(lean["outcomes"].values())["passed"] > 600, "Twisted's tests were really found"


def differing(lean: dict[str, Any], stock: dict[str, Any]) -> dict[str, str]:
    """The tests that did not come out the same, and how they did."""
    return {
        test: f"{outcome}, and {stock['outcomes'].get(test)} over stock epoll\n{lean['why'].get(test, '')}"
        for test, outcome in lean["outcomes"].items()
        if stock["outcomes"].get(test) != outcome
    }
