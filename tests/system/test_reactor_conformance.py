"""Twisted's own tests of reactors, run over the lean reactor and over stock epoll: the same must come of them."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

RUNNER = Path(__file__).with_name("conformance.py")
ENDS_WITHIN = 180.0
LEAN, STOCK = "gameroom.reactor.LeanReactor", "twisted.internet.epollreactor.EPollReactor"

BUILT = "core fdset tcp unix tls newtls time threads process udp socket stdio sigchld base posixbase endpoints epollreactor filedescriptor abstract"
"""Those of twisted.internet.test: most build a reactor for each test."""

GLOBAL = ("twisted.test.test_tcp", "twisted.test.test_ssl", "twisted.test.test_unix", "twisted.test.test_internet", "twisted.protocols.test.test_tls")
"""Older ones, which run on the process's reactor."""

MODULES = [*(f"twisted.internet.test.test_{name}" for name in BUILT.split()), *GLOBAL]


def started(reactor: str, folder: Path) -> subprocess.Popen[str]:
    folder.mkdir()
    return subprocess.Popen(
        [sys.executable, str(RUNNER), reactor, *MODULES],
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


def test_twisteds_own_tests(tmp_path: Path) -> None:
    """Every test of Twisted's that passes over stock epoll passes over the lean reactor, and as many are run, skipped and failed."""
    processes = [started(LEAN, tmp_path / "lean"), started(STOCK, tmp_path / "stock")]
    lean, stock = [outcomes(process) for process in processes]
    differ = {
        test: f"{outcome}, and {stock['outcomes'].get(test)} over stock epoll\n{lean['why'].get(test, '')}"
        for test, outcome in lean["outcomes"].items()
        if stock["outcomes"].get(test) != outcome
    }
    assert "\n".join(f"{test}: {what}" for test, what in differ.items()) == ""
    assert set(lean["outcomes"]) == set(stock["outcomes"])
    assert Counter(lean["outcomes"].values())["passed"] > 600, "Twisted's tests were really found"
