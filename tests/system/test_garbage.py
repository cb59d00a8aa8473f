"""Garbage at every door, with a game going on beside it that does not notice."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from tests.system.garbage import ANY_DOOR, MIB, WEB_DOOR, Vandal, bad_frames
from tests.system.harness import Daemon, DaemonMaker
from tests.system.lobby import LobbyPeer
from tests.system.network import Weather
from tests.system.scenario import lay_table, play_during, run

PATIENT = {"lockstep": {"lag_after": 20.0}}
"""A pause of the machine is no lag; twenty seconds in which the daemon does nothing else are."""


def _vandalise(daemon: Daemon, port: int, vandals: Iterable[Vandal]) -> None:
    """Let them all at one port, one after the other, while two play."""
    table = lay_table(daemon)
    first, second = (table.sit(weather=Weather(latency=0.005)) for _ in range(2))

    async def vandalise() -> None:
        for vandal in vandals:
            before = first.player.next
            await asyncio.to_thread(vandal, port)
            await first.reached(before + 10)

    run(lambda: play_during([first, second], vandalise()), within=60)
    assert "running.paused.lagging" not in first.player.states
    assert (first.reconnections, second.reconnections) == (0, 0)


def _assert_unharmed(daemon: Daemon, before: int) -> None:
    """The daemon serves, and has not kept what it was sent."""
    with LobbyPeer(daemon.lobby_port) as peer:
        assert peer.good("PING") == {}
    assert daemon.ready()
    assert daemon.resident_bytes() - before < 64 * MIB


def test_garbage_at_the_lobby(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(settings=PATIENT)
    before = daemon.resident_bytes()
    _vandalise(daemon, daemon.lobby_port, ANY_DOOR)
    _assert_unharmed(daemon, before)


def test_garbage_at_the_web_door(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(settings=PATIENT)
    before = daemon.resident_bytes()
    _vandalise(daemon, daemon.web_port, WEB_DOOR)
    _assert_unharmed(daemon, before)


def test_garbage_in_web_sockets(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(settings=PATIENT)
    other = lay_table(daemon)
    before = daemon.resident_bytes()
    _vandalise(daemon, daemon.web_port, [bad_frames(f"/socket/{other.room_id}"), bad_frames("/socket/nowhere")])
    _assert_unharmed(daemon, before)


def test_garbage_at_the_admin_door(make_daemon: DaemonMaker) -> None:
    daemon = make_daemon(settings=PATIENT)
    before = daemon.resident_bytes()
    _vandalise(daemon, daemon.admin_port, WEB_DOOR)
    _assert_unharmed(daemon, before)
