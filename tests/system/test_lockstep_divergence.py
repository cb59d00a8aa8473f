"""Players whose state goes wrong: put out, or healed; and what is kept of it."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.system.client import Client
from tests.system.harness import Daemon, DaemonMaker
from tests.system.network import Weather
from tests.system.scenario import ENCODINGS, Table, lay_table, play_all, run

NEAR = Weather(latency=0.002)
END = 400
WRONG_AT = 150


@pytest.fixture
def daemon(make_daemon: DaemonMaker) -> Daemon:
    """One that waits for what everybody reports, however late somebody is."""
    return make_daemon(settings={"lockstep": {"lag_after": 20.0}})


def _seat_three(table: Table) -> tuple[Client, Client, Client]:
    """The third player's state goes wrong."""
    first, second = (table.sit(finish_at=END, weather=NEAR) for _ in range(2))
    third = table.sit(finish_at=END, weather=NEAR, corrupt_at=WRONG_AT)
    for client in (first, second):
        client.player.expects_divergence = True
    return first, second, third


def _recording(table: Table) -> list[dict[str, Any]]:
    play_id = table.clients[0].player.play_id
    assert play_id is not None
    return table.web.recording(play_id, table.clients[0].seat.token)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_evict(daemon: Daemon, encoding: str) -> None:
    """Who differs from the others watches the rest of the play, from a state of theirs; killed in between, it still does."""
    table = lay_table(daemon, encoding=encoding, players=3, on_divergence="evict", input_delay=4)
    first, second, third = _seat_three(table)

    async def disturb() -> None:
        while not third.player.snapshots:
            await third.moment()
        await third.reached(third.player.next + 50)
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)

    run(lambda: play_all([first, second, third], disturb()), within=60)
    # Its packets that were on their way when it was put out.
    assert {error["code"] for error in third.player.errors} <= {102}
    third.player.errors.clear()
    table.assert_agreed()
    assert first.player.events == second.player.events == [{"evicted": 2}]
    assert third.player.evicted
    # The first state is given where it is put out, the second where it comes back after the kill.
    assert third.player.snapshots[0] > WRONG_AT
    assert first.player.over is not None
    assert first.player.over["reason"] == "finished"


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_resync_and_dumps(daemon: Daemon, encoding: str) -> None:
    """Who differs gets the others' state and plays on with them; the recording has the state of each from when they differed."""
    table = lay_table(daemon, encoding=encoding, players=3, on_divergence="resync", input_delay=4)
    first, second, third = _seat_three(table)
    run(lambda: play_all([first, second, third]), within=60)
    # A majority ends it, and the third may be a moment late with its own word.
    assert {error["code"] for error in third.player.errors} <= {105}
    third.player.errors.clear()
    table.assert_agreed()
    assert first.player.events == []
    [divergence] = third.player.divergences
    assert divergence["generation"] == WRONG_AT
    assert [group["seats"] for group in divergence["groups"]] == [[0, 1], [2]]
    assert len(third.player.snapshots) == 1
    assert first.player.snapshots == second.player.snapshots == []
    assert (
        first.player.states[-3:] == ["running.iterating", "running.paused.diverged", "running.iterating"]
        or "running.paused.diverged" in first.player.states
    )
    lines = _recording(table)
    assert [line["type"] for line in lines].count("divergence") == 1
    dumps = {line["seat"]: line for line in lines if line["type"] == "dump"}
    assert sorted(dumps) == [0, 1, 2]
    assert dumps[0]["state"] == dumps[1]["state"] != dumps[2]["state"]


def test_the_host_decides(daemon: Daemon) -> None:
    """Where the room halts nothing goes on, also after a kill and for who comes back, until the host says what to do."""
    table = lay_table(daemon, players=3, input_delay=4)
    first, second, third = _seat_three(table)
    told = []

    async def disturb() -> None:
        await told_again([0, 0, 0])
        halted = first.player.next
        seen = times_told()
        daemon.kill9()
        # Who comes back may be told before we hear that the daemon is ready.
        await asyncio.to_thread(daemon.start_again)
        await told_again(seen)
        seen = times_told()
        await second.cut()
        await told_again([0, seen[1], 0])
        assert first.player.next == halted
        told.append(halted)
        first.say({"type": "resolve", "how": "resync"})

    def times_told() -> list[int]:
        return [len(client.player.divergences) for client in table.clients]

    async def told_again(seen: list[int]) -> None:
        while any(now <= before for now, before in zip(times_told(), seen, strict=True)):
            await first.moment()

    run(lambda: play_all([first, second, third], disturb()), within=60)
    table.assert_agreed()
    assert third.player.snapshots == [told[0] - 1]
