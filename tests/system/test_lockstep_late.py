"""Late joiners and those who were away for long: a snapshot and a short tail, over real sockets."""

from __future__ import annotations

import asyncio
import sys
import time

import pytest

from tests.system.client import Client
from tests.system.harness import Daemon, DaemonMaker
from tests.system.network import Weather
from tests.system.scenario import ENCODINGS, drop, lay_table, play_all, play_during, run

LONG = 20_000
QUICK = Weather()
PATIENT = {"lockstep": {"drop_after": 3600.0}, "rooms": {"reconnect_window": 3600.0, "room_ttl": 3600.0}}


async def _drop(first: Client, second: Client) -> None:
    """Second goes, and first plays on alone."""
    await second.go_away()
    await drop(first, 1)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_back_in_play_after_twenty_thousand_generations(make_daemon: DaemonMaker, encoding: str) -> None:
    """A player that was away for 20,000 generations comes back by a snapshot and the masters after it, and plays on."""
    daemon = make_daemon(settings=PATIENT)
    table = lay_table(daemon, encoding=encoding, input_delay=8)
    first, second = (table.sit(weather=QUICK) for _ in range(2))
    came: dict[str, float] = {}

    async def disturb() -> None:
        await second.reached(50)
        await _drop(first, second)
        await first.reached(second.player.next + LONG)
        came["had"], came["applied"], came["missed"] = second.player.next, second.player.applied, first.player.next - second.player.next
        before = time.monotonic()
        second.come_back()
        while {"rejoined": 1} not in second.player.events:
            await second.moment()
        came["seconds"] = time.monotonic() - before
        came["tail"] = second.player.applied - came["applied"]
        await first.reached(second.player.next + 20)

    run(lambda: play_during([first, second], disturb()), within=600)
    sys.stdout.write(f"\n{encoding}: back after {came['missed']} generations in {came['seconds']:.2f} s, {came['tail']} of them one by one\n")
    [generation] = second.player.snapshots
    assert came["missed"] >= LONG
    assert generation > LONG
    assert first.player.given == [generation]
    assert came["tail"] < LONG / 4
    assert first.player.events == [{"dropped": 1}, {"rejoined": 1}]
    assert not first.player.errors + second.player.errors


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_snapshot_survives_a_kill(make_daemon: DaemonMaker, encoding: str) -> None:
    """A reloaded page begins at a snapshot; killed, the room gives a viewer the same one, though nobody is there to ask."""
    daemon = make_daemon(settings=PATIENT)
    table = lay_table(daemon, encoding=encoding, input_delay=8)
    first, second = (table.sit(finish_at=1700, weather=Weather(latency=0.001)) for _ in range(2))
    viewers = [table.sit(viewer=True), table.sit(viewer=True)]

    async def disturb() -> None:
        await first.reached(1300)
        await second.reload()
        await second.reached(1400)
        watching = asyncio.create_task(viewers[0].play())
        await viewers[0].reached(1500)
        for client in (first, second):
            await client.go_away()
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)
        late = asyncio.create_task(viewers[1].play())
        while not viewers[1].player.snapshots:
            await viewers[1].moment()
        for client in (first, second):
            client.come_back()
        await asyncio.gather(watching, late)

    run(lambda: play_all([first, second], disturb()), within=120)
    table.assert_agreed()
    [generation] = second.player.snapshots
    assert generation >= 1299
    assert viewers[0].player.snapshots == viewers[1].player.snapshots == [generation]
    assert first.player.given == [generation]


def test_clients_that_can_load_nothing_get_everything(daemon: Daemon) -> None:
    """`"snapshots": false` in hello: all masters from the beginning."""
    table = lay_table(daemon, input_delay=8)
    first, second = (table.sit(finish_at=1300) for _ in range(2))
    viewer = table.sit(viewer=True, loads=False)

    async def disturb() -> None:
        await first.reached(1100)
        await viewer.play()

    run(lambda: play_all([first, second], disturb()), within=60)
    table.assert_agreed()
    assert (viewer.player.applied, viewer.player.snapshots) == (1300, [])
