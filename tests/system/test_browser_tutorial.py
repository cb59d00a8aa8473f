"""The tutorials in which a telnet plays with a browser are what really happens."""

from __future__ import annotations

import pytest

from tests.system.harness import Daemon
from tests.system.tutorial import BROWSER_PAGES, run_page


@pytest.mark.parametrize("name", BROWSER_PAGES)
def test_the_game_by_telnet_is_true(room_daemon: Daemon, name: str) -> None:
    """Real telnet and a real page play what the page of the docs says, line by line and press by press.

    `python -m tests.system.tutorial --write` brings it up to date.
    """
    page, shown = run_page(room_daemon, name)
    assert shown == page
