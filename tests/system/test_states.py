"""An engine's own states over the wire: setup in steps, a menu that pauses, and both after `kill -9`."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from tests.rules.descriptions import TABLE
from tests.system.client import Client
from tests.system.harness import Daemon, DaemonMaker
from tests.system.network import Weather
from tests.system.scenario import ENCODINGS, Table, lay_table, play_all, run
from tests.system.web import Refused, Web

NEAR = Weather(latency=0.003, jitter=0.002)
MENU = "running.paused.menu"


def shown(table: Table) -> str:
    return str(table.web.ask("GET", f"/join/{table.room_id}")["state"])


async def until(table: Table, state: str) -> None:
    while await asyncio.to_thread(shown, table) != state:
        await Client.moment()


@asynccontextmanager
async def there(*clients: Client) -> AsyncIterator[None]:
    """While these are in a room that does not play yet."""
    for client in clients:
        client.player.welcomed = False
    tasks = [asyncio.create_task(client.play()) for client in clients]
    for client in clients:
        await client.welcomed()
    yield
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def test_a_state_of_setup_survives(make_daemon: DaemonMaker, database_url: str | None) -> None:
    """The map was being chosen when the daemon was killed, and is afterwards; the next event leads on from there."""
    daemon = make_daemon(database=database_url)
    table = lay_table(daemon, players=3, states=TABLE)
    first, second = table.sit(), table.sit()

    async def to_the_map() -> None:
        async with there(first, second):
            second.say({"type": "transition", "event": "next", "id": 7})
            # Two connections are read in any order, and where the map is being chosen already there is no such event.
            while not second.player.errors:
                await second.moment()
            first.say({"type": "transition", "event": "next"})
            await until(table, "setup.map")
            while not first.player.states:
                await first.moment()

    async def back_to_the_teams() -> None:
        async with there(first):
            first.say({"type": "transition", "event": "back"})
            await until(table, "setup.teams")
            while len(first.player.states) < 2:
                await first.moment()

    run(to_the_map, within=20)
    assert [(error["code"], error["reply_to"]) for error in second.player.errors] == [(102, 7)], "the host's alone"
    daemon.kill9()
    daemon.start_again()
    assert Web(daemon.web_port).ask("GET", f"/join/{table.room_id}")["state"] == "setup.map"
    run(back_to_the_teams, within=20)
    assert first.player.states == ["setup.map", "setup.teams"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_menu_survives(make_daemon: DaemonMaker, encoding: str) -> None:
    """No master comes while the menu is open, also after the daemon was killed in it; all vote to go on, and play to the end."""
    daemon = make_daemon()
    table = lay_table(daemon, encoding=encoding, states=TABLE)
    first, second = (table.sit(finish_at=300, weather=NEAR) for _ in range(2))
    stood: list[int] = []

    async def disturb() -> None:
        await first.reached(100)
        first.say({"type": "transition", "event": "menu"})
        # What was played before comes to a player before that.
        while first.player.states[-1:] != [MENU]:
            await first.moment()
        stood.append(first.player.next)
        await asyncio.sleep(0.3)
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)
        assert (await asyncio.to_thread(shown, table)).startswith("running.paused.")
        await until(table, MENU)
        await asyncio.sleep(0.3)
        stood.append(first.player.next)
        for client in (first, second):
            client.say({"type": "transition", "event": "resume"})

    run(lambda: play_all([first, second], disturb()), within=60)
    assert stood[0] == stood[1] < 300
    table.assert_agreed()
    assert first.player.play_id is not None
    lines = table.web.recording(first.player.play_id, first.seat.token)
    assert [line["state"] for line in lines if line["type"] == "state"] == [MENU, "running.iterating"]
    assert shown(table) == "setup.teams", "setup begins anew"


def test_a_bad_description(daemon: Daemon) -> None:
    """It is refused with the place of the fault."""
    web = Web(daemon.web_port)
    session = web.register()
    content: dict[str, Any] = {"setup": {"states": {"teams": {"on": {"next": "nowhere"}}}}}
    with pytest.raises(Refused) as refused:
        web.create(session, states=content)
    assert refused.value.problem["code"] == 100
    assert refused.value.problem["pointer"] == "/states/setup/states/teams/on/next"
