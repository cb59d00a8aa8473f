"""How the daemon goes down: at once where nobody plays, after a drain where somebody does, and at the second SIGTERM."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable

import pytest

from tests.system.client import Client
from tests.system.harness import BUSY, Daemon, DaemonMaker
from tests.system.lobby import LobbyPeer
from tests.system.network import Weather
from tests.system.scenario import lay_table, play_all, run
from tests.system.web import Refused, Web

NEAR = Weather(latency=0.003)


async def _while_playing(daemon: Daemon, disturbance: Callable[[list[Client]], Awaitable[None]], *, finish_at: int | None) -> list[Client]:
    """Two play, and after a hundred generations this happens; returns when all is over or the daemon has gone."""
    table = lay_table(daemon)
    clients = [table.sit(finish_at=finish_at, weather=NEAR) for _ in range(2)]

    async def disturb() -> None:
        await clients[0].reached(100)
        await disturbance(clients)

    players = asyncio.create_task(play_all(clients, disturb()))
    gone = asyncio.create_task(asyncio.to_thread(daemon.wait_ended, 40 * BUSY))
    await asyncio.wait([players, gone], return_when=asyncio.FIRST_EXCEPTION if finish_at else asyncio.FIRST_COMPLETED)
    if finish_at is None:
        # What they were told last may not have been read yet.
        while not all(client.codes for client in clients):
            await clients[0].moment()
    players.cancel()
    await asyncio.gather(players, return_exceptions=True)
    await gone
    return clients


@pytest.fixture
def daemon(make_daemon: DaemonMaker) -> Daemon:
    """One that would wait for plays for longer than any test."""
    return make_daemon(options=("--drain", "3600"))


def test_with_nobody_playing_it_ends_at_once(daemon: Daemon) -> None:
    """SIGTERM with a waiting room and open connections: exit status 0, without the drain's hour."""
    lay_table(daemon).sit()
    with LobbyPeer(daemon.lobby_port) as peer:
        peer.register()
        daemon.terminate()
        assert daemon.wait_ended() == 0


def test_ctrl_c_ends_it(daemon: Daemon) -> None:
    """SIGINT, as a terminal sends it. Twistd ends itself by the same signal, so that a shell knows."""
    assert daemon.process is not None
    daemon.process.send_signal(signal.SIGINT)
    assert daemon.wait_ended() == -signal.SIGINT
    assert "Server Shut Down" in daemon.log()


def test_a_play_is_let_to_its_end(daemon: Daemon) -> None:
    """While it drains: /readyz says 503, new rooms are refused with 105, the play goes on to its end; then the daemon ends."""
    web = Web(daemon.web_port)
    session = web.register()

    async def drain(clients: list[Client]) -> None:
        game = web.ask("GET", "/games")["games"][0]
        with LobbyPeer(daemon.lobby_port) as peer:
            token = peer.register()
            daemon.terminate()
            while daemon.ready():
                await clients[0].moment()
            assert daemon.admin("/readyz")[0] == 503
            assert daemon.admin("/healthz")[0] == 200
            assert peer.ask("CREATE_ROOM", {"game_id": game["game_id"]}, token)["code"] == 105
            with pytest.raises(Refused) as refused:
                web.create(session)
            assert refused.value.problem["code"] == 105

    clients = run(lambda: _while_playing(daemon, drain, finish_at=700), within=60)
    assert [client.player.over is not None for client in clients] == [True, True]
    assert clients[0].player.hash == clients[1].player.hash
    assert daemon.wait_ended() == 0


def test_a_second_sigterm_ends_it_at_once(daemon: Daemon) -> None:
    """Rooms play, and it ends all the same; web sockets are told 1001, and the room is there again after the next start."""

    async def twice(clients: list[Client]) -> None:
        daemon.terminate()
        while daemon.ready():
            await clients[0].moment()
        assert daemon.running, "the first SIGTERM waits for the play"
        daemon.terminate()

    clients = run(lambda: _while_playing(daemon, twice, finish_at=None), within=40)
    assert daemon.wait_ended() == 0
    assert 1001 in clients[0].codes
    assert 1001 in clients[1].codes


def test_the_drain_has_an_end(make_daemon: DaemonMaker) -> None:
    """After `--drain` seconds it ends although rooms play, and they go on after the next start."""
    daemon = make_daemon(options=("--drain", "0.5"))
    table = lay_table(daemon)
    clients = [table.sit(finish_at=1000, weather=NEAR) for _ in range(2)]

    async def restart() -> None:
        await clients[0].reached(100)
        daemon.terminate()
        assert await asyncio.to_thread(daemon.wait_ended) == 0
        await asyncio.to_thread(daemon.start_again)

    run(lambda: play_all(clients, restart()), within=60)
    table.assert_agreed()
