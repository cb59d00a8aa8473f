"""What most lock-step system tests begin and end with."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import attrs

from tests.system.client import Client
from tests.system.harness import BUSY, Daemon
from tests.system.network import Weather
from tests.system.web import Web

T = TypeVar("T")

ENCODINGS = ["json", "binary"]


@attrs.define
class Table:
    """One room, with the account that made it and those who play."""

    web: Web
    session: str
    room_id: str
    binary: bool
    clients: list[Client] = attrs.field(factory=list)

    def sit(self, *, finish_at: int | None = None, weather: Weather | None = None, viewer: bool = False, **player: Any) -> Client:
        """One more member, who does not play yet."""
        seat = self.web.join(self.room_id, viewer=viewer)
        client = Client(seat, binary=self.binary, finish_at=finish_at, weather=weather, **player)
        self.clients.append(client)
        return client

    def assert_agreed(self) -> None:
        """All have seen the same play, to its end."""
        assert len({client.player.hash for client in self.clients}) == 1
        assert len({client.player.next for client in self.clients}) == 1
        errors = [client.player.errors for client in self.clients]
        assert not any(errors), errors


def lay_table(daemon: Daemon, *, encoding: str = "json", players: int = 2, **content: Any) -> Table:
    """A new room for this many players."""
    web = Web(daemon.web_port)
    session = web.register()
    room_id = web.create(session, encoding=encoding, min_players=players, max_players=players, **content)
    return Table(web=web, session=session, room_id=room_id, binary=encoding == "binary")


def run(scenario: Callable[[], Awaitable[T]], within: float) -> T:
    """Run it to its end, for at most so many seconds of a machine that has nothing else to do; a busy one gets more of them."""

    async def bounded() -> T:
        async with asyncio.timeout(BUSY * within):
            return await scenario()

    return asyncio.run(bounded())


async def play_all(clients: list[Client], *disturbances: Awaitable[None]) -> None:
    """Let all play to the end, while these things happen to them."""
    async with asyncio.TaskGroup() as group:
        for client in clients:
            group.create_task(client.play())
        for disturbance in disturbances:
            group.create_task(_awaited(disturbance))


async def play_during(clients: list[Client], disturbance: Awaitable[None]) -> None:
    """Let all play on and on while this happens, and stop then; they have seen the same as far as they have come."""
    players = [asyncio.create_task(client.play()) for client in clients]
    happening = asyncio.ensure_future(_awaited(disturbance))
    await asyncio.wait([happening, *players], return_when=asyncio.FIRST_COMPLETED)
    for task in (happening, *players):
        task.cancel()
    results = await asyncio.gather(happening, *players, return_exceptions=True)
    for result in results:
        if isinstance(result, Exception):
            raise result
    assert not isinstance(results[0], asyncio.CancelledError), "the players stopped first"
    together = set[int].intersection(*({*client.player.hashes} for client in clients))
    assert len({tuple(client.player.hashes[generation] for generation in sorted(together)) for client in clients}) == 1


async def drop(client: Client, seat: int) -> None:
    """Propose to go on without that player while the room waits for somebody; once more where by then it did not."""
    player, said = client.player, False
    while {"dropped": seat} not in player.events:
        if player.errors:
            player.errors.clear()
            said = False
        if not said and player.states[-1:] == ["running.paused.lagging"]:
            client.say({"type": "drop", "seat": seat})
            said = True
        await client.moment()


async def _awaited(disturbance: Awaitable[None]) -> None:
    await disturbance
