"""Viewers who are held back, over real sockets."""

from __future__ import annotations

import pytest

from tests.system.harness import Daemon
from tests.system.network import Weather
from tests.system.scenario import ENCODINGS, lay_table, play_all, run

DELAY = 60


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_viewers_are_behind(daemon: Daemon, encoding: str) -> None:
    """They see each master so many generations later, and hear what was said with the master of its generation; at the end they get the rest."""
    table = lay_table(daemon, encoding=encoding, viewer_delay=DELAY, input_delay=4)
    first, second = (table.sit(finish_at=400, weather=Weather(latency=0.004)) for _ in range(2))
    early, late = table.sit(viewer=True), table.sit(viewer=True)
    leads = []

    async def disturb() -> None:
        await first.reached(100)
        first.say({"type": "chat", "text": "a secret"})
        await first.reached(250)
        leads.append(first.player.next - early.player.next)
        await late.play()

    run(lambda: play_all([first, second, early], disturb()), within=60)
    table.assert_agreed()
    # The viewer may be a little further behind than it must be, and what it has seen since we looked at the player is not much.
    assert leads[0] >= DELAY - 5
    start = late.player.start
    assert start is not None
    assert start["generation"] <= 400 - DELAY
    [(text, heard_by_player)], [(_, heard_by_viewer)] = second.player.chats, early.player.chats
    assert text == "a secret"
    assert 90 <= heard_by_player <= heard_by_viewer <= heard_by_player + 10
    assert early.player.applied == late.player.applied == 400
