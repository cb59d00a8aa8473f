"""The docs' telnet sessions are what really happens."""

from __future__ import annotations

import pytest

from tests.system.harness import Daemon
from tests.system.tutorial import PAGES, run_page


@pytest.mark.parametrize("name", PAGES)
def test_the_telnet_sessions_are_true(daemon: Daemon, name: str) -> None:
    """A page's session, typed line by line into real telnets, shows what the page says.

    `python -m tests.system.tutorial --write` brings the pages up to date.
    """
    page, shown = run_page(daemon, name)
    assert shown == page
