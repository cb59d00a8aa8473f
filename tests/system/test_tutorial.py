"""The tutorial's telnet session is what really happens."""

from __future__ import annotations

from tests.system.harness import Daemon
from tests.system.tutorial import run_page


def test_the_telnet_tutorial_is_true(daemon: Daemon) -> None:
    """docs/tutorials/telnet.md, typed line by line into real telnets, shows what it says.

    `python -m tests.system.tutorial --write` brings the page up to date.
    """
    page, shown = run_page(daemon)
    assert shown == page
