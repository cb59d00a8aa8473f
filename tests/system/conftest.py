"""Daemons for the system tests, and their logs beside a test that failed."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import shared_server
from tests.system.harness import Daemon, DaemonMaker

DAEMONS = pytest.StashKey[list[Daemon]]()


@pytest.fixture
def make_daemon(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[DaemonMaker]:
    """`make_daemon(**arguments of Daemon)` gives one that runs.

    Each is ended after the test, and none may have logged a traceback.
    """
    daemons = request.node.stash.setdefault(DAEMONS, [])

    def make(**arguments: Any) -> Daemon:
        daemon = Daemon(tmp_path / f"daemon{len(daemons)}", **arguments)
        daemons.append(daemon)
        daemon.start()
        return daemon

    yield make
    for daemon in daemons:
        daemon.stop()
    for daemon in daemons:
        complaints = daemon.complaints()
        assert not complaints, f"something went wrong inside the daemon:\n{complaints}"


@pytest.fixture
def daemon(make_daemon: DaemonMaker) -> Daemon:
    """A running daemon on its embedded database."""
    return make_daemon()


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What `--database` is given: both databases, one after the other."""
    if request.param == "sqlite":
        return None
    return shared_server().create_database()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the end of every daemon's log into the report of a test that failed."""
    report = yield
    if report.failed:
        for daemon in item.stash.get(DAEMONS, []):
            report.sections.append((f"log of the daemon in {daemon.folder}", daemon.log()[-8000:]))
    return report
