"""Lock-step rooms as clients on bad networks play them."""

from __future__ import annotations

import random

import pytest

from tests.system.client import Client
from tests.system.harness import Daemon, DaemonMaker
from tests.system.network import Weather
from tests.system.scenario import ENCODINGS, drop, lay_table, play_all, play_during, run

GENERATIONS = {"json": 1000, "binary": 500}
"""Of the long play; what differs between the encodings shows in a shorter one as well."""
FAR_AWAY = Weather(latency=0.1, jitter=0.03, loss=0.001)


async def _cut_now_and_then(client: Client, times: int, generations: int) -> None:
    """Lose the connection this often over the play, sometimes with a goodbye and sometimes without."""
    draw = random.Random(client.seat.seat)
    for number in range(1, times + 1):
        await client.reached(generations * number // (times + 1) + draw.randrange(20))
        await client.cut(politely=draw.random() < 0.5)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_long_play_on_a_bad_network(daemon: Daemon, encoding: str) -> None:
    """Two clients 100 ms away (each way), with jitter, losses and reconnections, and a viewer from generation 0, end with the same hash."""
    generations = GENERATIONS[encoding]
    table = lay_table(daemon, encoding=encoding, input_delay=16)
    first, second = (table.sit(finish_at=generations, weather=FAR_AWAY) for _ in range(2))

    async def scenario() -> None:
        viewer = table.sit(viewer=True)
        cuts = [_cut_now_and_then(client, times, generations) for client, times in ((first, 4), (second, 3), (viewer, 2))]
        await play_all(table.clients, *cuts)

    run(scenario, within=120)
    table.assert_agreed()
    assert first.player.next == generations
    assert (first.reconnections, second.reconnections) == (4, 3)
    assert first.player.over is not None
    assert first.player.over["reason"] == "finished"
    assert first.player.over["results"]["hash"] == f"{first.player.hash:016x}"
    # Nobody was ever dropped: a reconnection within the window is no reason to go on without a player.
    assert first.player.events == []


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_one_who_comes_late_or_reloads_sees_the_whole_play(daemon: Daemon, encoding: str) -> None:
    """A viewer who comes in mid-game gets every master from generation 0; a reloaded page, which knows nothing, gets them all again and plays on."""
    table = lay_table(daemon, encoding=encoding, input_delay=4)
    first, second = (table.sit(finish_at=400, weather=Weather(latency=0.005)) for _ in range(2))

    async def disturb() -> None:
        await first.reached(150)
        await first.reload()
        await second.reached(200)
        await late.play()

    late = table.sit(viewer=True)
    run(lambda: play_all([first, second], disturb()), within=60)
    table.assert_agreed()
    assert late.player.next == 400


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_the_recording_is_what_was_played(daemon: Daemon, encoding: str) -> None:
    """GET /plays/<play_id> gives every master once, in order, and the end."""
    table = lay_table(daemon, encoding=encoding)
    clients = [table.sit(finish_at=100) for _ in range(2)]
    run(lambda: play_all(clients), within=30)
    play_id = clients[0].player.play_id
    assert play_id is not None
    lines = table.web.recording(play_id, clients[0].seat.token)
    assert lines[0]["type"] == "play"
    assert lines[0]["play_id"] == play_id
    masters = [line for line in lines if line["type"] == "master"]
    assert len(masters) == 100
    if encoding == "json":
        assert [master["generation"] for master in masters] == list(range(100))
    assert lines[-1]["type"] == "over"


async def _rejoined(first: Client, second: Client) -> None:
    """Return some time after the second player was let in again."""
    while {"rejoined": 1} not in second.player.events:
        await second.moment()
    await first.reached(second.player.next + 50)


def test_one_who_drops_out_rejoins_where_the_others_are(make_daemon: DaemonMaker) -> None:
    """After `drop_after` the room goes on without the one who is gone; he catches up, is let in again, and all have the same hashes."""
    daemon = make_daemon(settings={"lockstep": {"lag_after": 0.2, "drop_after": 8.0}})
    table = lay_table(daemon)
    first, second = (table.sit(weather=Weather(latency=0.004)) for _ in range(2))

    async def disturb() -> None:
        await second.reached(100)
        await second.go_away()
        await first.reached(300)
        second.come_back()
        await _rejoined(first, second)

    run(lambda: play_during(table.clients, disturb()), within=60)
    assert first.player.events == second.player.events == [{"dropped": 1}, {"rejoined": 1}]
    assert "running.paused.lagging" in first.player.states
    assert not first.player.errors + second.player.errors


def test_a_player_who_is_away_is_dropped_sooner_by_the_others(make_daemon: DaemonMaker) -> None:
    """`drop`, proposed by all other connected players, is carried long before `drop_after`."""
    daemon = make_daemon(settings={"lockstep": {"drop_after": 3600.0}, "rooms": {"reconnect_window": 3600.0}})
    table = lay_table(daemon)
    first, second = (table.sit(weather=Weather(latency=0.004)) for _ in range(2))

    async def disturb() -> None:
        await second.reached(50)
        await second.go_away()
        await drop(first, 1)
        await first.reached(100)
        second.come_back()
        await _rejoined(first, second)

    run(lambda: play_during(table.clients, disturb()), within=30)
    assert first.player.events == second.player.events == [{"dropped": 1}, {"rejoined": 1}]


def test_a_packet_too_far_ahead_is_refused(daemon: Daemon) -> None:
    """Past the window: error 105, and the play goes on."""
    table = lay_table(daemon)
    first, second = (table.sit(finish_at=100, weather=Weather(latency=0.004)) for _ in range(2))

    async def disturb() -> None:
        await first.reached(20)
        first.say({"type": "commands", "generation": 5000, "latency": 1, "framerate": 60, "commands": []})

    run(lambda: play_all([first, second], disturb()), within=30)
    assert [error["code"] for error in first.player.errors] == [105]
    assert first.player.hash == second.player.hash
