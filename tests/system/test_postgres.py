"""The daemon on a PostgreSQL that is restarted under it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from tests.postgres import PostgresServer
from tests.system.harness import DaemonMaker, wait_until
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.network import Weather
from tests.system.scenario import lay_table, play_during, run


@pytest.fixture
def own_server() -> Iterator[PostgresServer]:
    """A PostgreSQL that no other test uses."""
    server = PostgresServer()
    server.start()
    yield server
    server.close()


def test_it_recovers_from_a_restart_of_the_server(make_daemon: DaemonMaker, own_server: PostgresServer) -> None:
    """While the server is away requests that need it fail with 199 in bounded time, what needs none goes on; afterwards all is as before."""
    daemon = make_daemon(database=own_server.create_database(), expects="DatabaseUnavailable")
    table = lay_table(daemon)
    players = [table.sit(weather=Weather(latency=0.005)) for _ in range(2)]
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register("patient")

        async def outage() -> None:
            await players[0].reached(100)
            await asyncio.to_thread(own_server.stop)
            assert await asyncio.to_thread(lambda: peer.ask("PING")["code"]) == 0
            refused = await asyncio.to_thread(peer.ask, "REGISTER_PLAYER", {"username": "hasty", "password": PASSWORD})
            assert refused["code"] == 199
            assert set(refused["payload"]) == {"incident"}
            assert not await asyncio.to_thread(daemon.ready)
            # The play needs no database until its end.
            await players[0].reached(players[0].player.next + 50)
            own_server.start()  # In this thread, as the server ends with the thread that started it.

        run(lambda: play_during(players, outage()), within=60)
        assert [client.reconnections for client in players] == [0, 0]
        wait_until(daemon.ready, "the daemon has its database again")
        assert peer.good("WHOAMI", token=token)["username"] == "patient"
        assert peer.register("later")
        assert peer.good("LOGIN_PLAYER", {"username": "patient", "password": PASSWORD})["session_token"] != token


def test_it_waits_for_no_server_at_readiness(make_daemon: DaemonMaker, own_server: PostgresServer) -> None:
    """A restart while nobody asks anything is not even noticed: the first request afterwards is answered."""
    daemon = make_daemon(database=own_server.create_database())
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register("sleeper")
        own_server.stop()
        own_server.start()
        wait_until(daemon.ready, "the daemon has its database again")
        assert peer.good("WHOAMI", token=token)["username"] == "sleeper"
        game = peer.good("LIST_GAMES", token=token)["games"][0]
        assert peer.good("CREATE_ROOM", {"game_id": game["game_id"]}, token)["room_id"]
