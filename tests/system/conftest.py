"""Daemons for the system tests, and their logs beside a test that failed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from tests.postgres import shared_server
from tests.system.browser import screens
from tests.system.harness import Daemon, DaemonMaker

WITH_BROWSERS = "test_browser"
"""How the names of files with browsers begin."""
LIGHT = tuple(f"{WITH_BROWSERS}_{name}.py" for name in ("dev", "engines", "pages", "relay", "service", "store", "tutorial"))
"""Those of them that take less of the machine."""
LONG = (
    "test_the_compiled_build_plays_by_the_same_rules",
    "test_twisteds_own_tests",
    "test_a_long_play_on_a_bad_network",
    "test_it_recovers_from_a_restart_of_the_server",
    "test_the_tutorial_of_game_servers_is_true",
    "test_the_tutorial_of_game_services_is_true",
    "test_the_publishing_tutorial_is_true",
)
"""Tests that take longest; they are begun first, so that the others do not wait for one of them in the end."""
DAEMONS = pytest.StashKey[list[Daemon]]()


class BrowsersInTwoProcesses(LoadScopeScheduling):
    """Where tests run in several processes: those with browsers run in two of them, of which one has the light ones.

    More browsers at once are too much for a small machine.

    Each other test goes wherever somebody waits for work.
    """

    def _split_scope(self, nodeid: str) -> str:
        file = nodeid.partition("::")[0].rpartition("/")[2]
        return f"{WITH_BROWSERS} {file in LIGHT}" if file.startswith(WITH_BROWSERS) else nodeid


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> BrowsersInTwoProcesses:
    """Called where `-n` is given."""
    return BrowsersInTwoProcesses(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long ones first, and the others as they stand."""
    items.sort(key=lambda item: not item.name.startswith(LONG))


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


@pytest.fixture
def room_daemon(make_daemon: DaemonMaker) -> Daemon:
    """With times that a slow machine with two browsers keeps."""
    return make_daemon(settings={"rooms": {"reconnect_window": 120.0, "room_ttl": 240.0}, "lockstep": {"drop_after": 120.0}})


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: `GAMEROOM_SCREENSHOTS`, to look at them."""
    return Path(os.environ.get("GAMEROOM_SCREENSHOTS") or tmp_path / "screenshots")


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str | None:
    """What `--database` is given: both databases, one after the other."""
    if request.param == "sqlite":
        return None
    return shared_server().create_database()


def pytest_sessionfinish() -> None:
    """Nobody is at any of them any more."""
    screens.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Put the end of every daemon's log into the report of a test that failed."""
    report = yield
    if report.failed:
        for daemon in item.stash.get(DAEMONS, []):
            report.sections.append((f"log of the daemon in {daemon.folder}", daemon.log()[-8000:]))
    return report
