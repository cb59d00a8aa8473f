"""`kill -9` of the daemon at the worst moment, on both databases: nothing that anyone was told is lost."""

from __future__ import annotations

import asyncio

import pytest

from tests.system.harness import Daemon, DaemonMaker
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.network import Weather
from tests.system.replaying import replay
from tests.system.scenario import ENCODINGS, lay_table, play_all, run
from tests.system.web import Web

NEAR = Weather(latency=0.003, jitter=0.002)
FAR = Weather(latency=0.015)
"""So far away that the turns of who waits for each master come by themselves."""


async def _power_cut(daemon: Daemon) -> None:
    daemon.kill9()
    await asyncio.to_thread(daemon.start_again)


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_a_play_goes_on_where_it_stood(make_daemon: DaemonMaker, database_url: str | None, encoding: str) -> None:
    """Killed twice in mid-game, the room plays on when its players are back: no generation is lost, none is twice, and the recording is whole."""
    daemon = make_daemon(database=database_url)
    table = lay_table(daemon, encoding=encoding, input_delay=4)
    first, second = (table.sit(finish_at=900, weather=NEAR) for _ in range(2))

    async def disturb() -> None:
        for generation in (200, 500):
            await first.reached(generation)
            await _power_cut(daemon)

    run(lambda: play_all([first, second], disturb()), within=90)
    table.assert_agreed()
    assert first.player.events == [], "nobody was dropped"
    assert first.reconnections >= 2
    assert first.player.play_id is not None
    lines = table.web.recording(first.player.play_id, first.seat.token)
    assert [line["type"] for line in lines].count("master") == 900
    if encoding == "json":
        assert [line["generation"] for line in lines if line["type"] == "master"] == list(range(900))


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_what_was_ahead_of_its_recording(make_daemon: DaemonMaker, encoding: str) -> None:
    """Killed before a second's turns are in the recording's file: it is whole for who looks before the next start, and after it; no turn is lost."""
    daemon = make_daemon()
    table = lay_table(daemon, encoding=encoding, input_delay=1)
    first, second = (table.sit(finish_at=120, weather=FAR) for _ in range(2))
    recordings = daemon.folder / "var" / "recordings"
    lacked, shown, seen = list[int](), list[int](), list[int]()

    async def disturb() -> None:
        for generation in (40, 80):
            await first.reached(generation)
            daemon.kill9()
            play_id = first.player.play_id
            assert play_id is not None
            in_file = (recordings / play_id[:2] / f"{play_id}.ndjson").read_bytes().count(b'"type":"master"')
            seen.append(max(first.player.next, second.player.next))
            status, verified = await asyncio.to_thread(replay, daemon, "verify", play_id)
            assert (status, verified["errors"]) == (0, [])
            shown.append(verified["generations"])
            lacked.append(shown[-1] - in_file)
            _, [listed] = await asyncio.to_thread(replay, daemon, "list")
            assert listed["generations"] == shown[-1]
            await asyncio.to_thread(daemon.start_again)

    run(lambda: play_all([first, second], disturb()), within=60)
    table.assert_agreed()
    assert [there >= told for there, told in zip(shown, seen, strict=True)] == [True, True]
    assert min(lacked) > 0, "this is about turns that are not in the file yet"
    assert first.player.play_id is not None
    lines = table.web.recording(first.player.play_id, first.seat.token)
    assert [line["type"] for line in lines].count("master") == 120
    daemon.stop()
    assert list(recordings.glob("*.ahead")) == []


def test_a_viewer_from_the_beginning_sees_a_play_that_was_killed(make_daemon: DaemonMaker) -> None:
    """Masters from before the kill come from the recording: who joins afterwards gets all of them from generation 0."""
    daemon = make_daemon()
    table = lay_table(daemon)
    first, second = (table.sit(finish_at=400, weather=NEAR) for _ in range(2))
    viewers = []

    async def disturb() -> None:
        await first.reached(200)
        await _power_cut(daemon)
        viewers.append(await asyncio.to_thread(table.sit, viewer=True))
        await viewers[0].play()

    run(lambda: play_all([first, second], disturb()), within=60)
    table.assert_agreed()
    assert len(viewers[0].player.hashes) == 400


def test_what_was_acknowledged_is_still_there(make_daemon: DaemonMaker, database_url: str | None) -> None:
    """An account, its session, a room with its seats and party code: told, killed, there again. Four times, a moment after the answer."""
    daemon = make_daemon(database=database_url)
    for number in range(4):
        with LobbyPeer(daemon.lobby_port) as peer:
            name = f"survivor{number}"
            token = peer.register(name)
            game = peer.good("LIST_GAMES", token=token)["games"][0]
            room = peer.good("CREATE_ROOM", {"game_id": game["game_id"]}, token)
            before = peer.good("GET_ROOM", {"room_id": room["room_id"]}, token)["room"]
        daemon.kill9()
        daemon.start_again()
        with LobbyPeer(daemon.lobby_port) as peer:
            assert peer.good("WHOAMI", token=token) == {"username": name, "role": "player", "room_id": room["room_id"]}
            after = peer.good("GET_ROOM", {"room_id": room["room_id"]}, token)["room"]
            assert after == before
            assert peer.good("LOGIN_PLAYER", {"username": name, "password": PASSWORD})["session_token"] != token


def test_a_setup_survives_with_its_configuration(daemon: Daemon) -> None:
    """A room in setup keeps seats, configuration and revision."""
    table = lay_table(daemon, players=3)
    first, second = table.sit(), table.sit()

    async def configure() -> None:
        tasks = [asyncio.create_task(client.play()) for client in (first, second)]
        await first.welcomed()
        first.say({"type": "setup", "patch": {"map": "islands", "teams": {"red": [0]}}})
        second_patch = {"type": "setup", "patch": {"teams": {"blue": [1]}}}
        await second.welcomed()
        second.say(second_patch)
        while table.web.ask("GET", f"/join/{table.room_id}")["configuration"] != {"map": "islands", "teams": {"red": [0], "blue": [1]}}:
            await first.moment()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    run(configure, within=20)
    before = table.web.ask("GET", f"/join/{table.room_id}")
    daemon.kill9()
    daemon.start_again()
    after = Web(daemon.web_port).ask("GET", f"/join/{table.room_id}")
    assert [player["user_id"] for player in after["players"]] == [first.seat.user_id, second.seat.user_id]
    for key in ("configuration", "revision", "party_code", "seed", "engine", "state"):
        assert after[key] == before[key]
