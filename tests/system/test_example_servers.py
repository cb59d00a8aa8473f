"""The GameServers of examples/: played to the end, and whatever a GameServer has to bear, without a gameroom around them."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from gameroom.rules import manifest
from tests.system.game_server import CONNECTED, ERROR, GAME_CONFIG, PING, PONG, RAW, STATUS, GameServerProcess, Wire, envelope

EXAMPLES = Path(__file__).parents[2] / "examples"
TURN, FIELD = 32, 33
QUICK = {"steps_per_second": 100, "countdown_seconds": 0.3, "width": 36, "height": 20}
LONG = {"steps_per_second": 10, "width": 300}
"""Two that go towards each other meet after twelve seconds."""
AT_ONCE = 12.0
"""Seconds in which it has not ended by itself: it waits for fifteen until all have come."""

Start = Callable[..., GameServerProcess]


@pytest.fixture(params=["game-server-python", "game-server-node"])
def start(request: pytest.FixtureRequest) -> Iterator[Start]:
    """Starts the example's GameServer for two or more players; it is ready then."""
    folder = EXAMPLES / request.param
    [server] = [manifest.parse((folder / "game.toml").read_text())[0].server]
    assert server is not None
    with ExitStack() as stack:

        def started(*players: str, **config: Any) -> GameServerProcess:
            running = stack.enter_context(GameServerProcess(folder, list(server.command), list(players or ("Ann", "Bob")), **{**QUICK, **config}))
            running.ready()
            return running

        yield started


def fields(wire: Wire, state: str) -> dict[str, Any]:
    """The next picture in this state of the game."""
    while (field := wire.until(FIELD))["state"] != state:
        pass
    return dict(field)


def test_a_game(start: Start) -> None:
    """Both are let in and told what is what; who does not turn runs into the edge, who turns has won; the server tells and ends."""
    server = start()
    ann = server.enter(0)
    # Before the other one is there nothing begins, and nobody runs into anything.
    ann.send(TURN, {"to": "down"})
    bob = server.enter(1)
    for seat, wire in enumerate((ann, bob)):
        assert wire.next() == (CONNECTED, {"details": {"game": "trails"}})
        type_, config = wire.next()
        assert (type_, config) == (GAME_CONFIG, {"you": seat, "names": {"0": "Ann", "1": "Bob"}, "width": 36, "height": 20})
    assert fields(ann, "playing")["alive"] == [0, 1]
    for way in ("up", "left"):
        bob.send(TURN, {"to": way})
    over = fields(ann, "over")
    assert (over["winner"], over["alive"]) == (1, [1])
    assert fields(bob, "over") == over
    assert server.control.until(STATUS) == {"state": "finished", "results": {"winner": 1, "name": "Bob"}}
    assert server.ended() == 0
    assert (bob.ended(), server.output()) == (True, "")


def test_who_was_away_is_back_in_the_same_seat(start: Start) -> None:
    """A lost connection loses nothing: the next one shows the whole field; the older one of two is ended."""
    server = start(**LONG)
    ann, bob = server.enter(0), server.enter(1)
    fields(ann, "playing")
    bob.close()
    fields(ann, "playing")
    again = server.enter(1)
    assert again.until(GAME_CONFIG)["you"] == 1
    assert [seat in "".join(fields(again, "playing")["rows"]) for seat in "0A1B"] == [True] * 4
    once_more = server.enter(1)
    assert (once_more.until(GAME_CONFIG)["you"], again.ended()) == (1, True)


def test_who_leaves_for_good_is_out(start: Start) -> None:
    """CONTROL comes again without the seat: its trail stops, and one of two has won. With nobody left the server ends by itself."""
    server = start("Ann", "Bob", "Cleo", **LONG)
    ann = server.enter(0)
    gone = server.players.pop(2)
    server.say_players()
    server.enter(1)
    assert fields(ann, "playing")["alive"] == [0, 1]
    refused = server.enter(0, token="guessed")
    assert (refused.until(ERROR)["code"], refused.ended()) == (102, True)
    server.players.append(gone)
    refused = server.enter(2)
    assert (refused.until(ERROR)["code"], refused.ended()) == (102, True)
    server.players = []
    server.say_players()
    assert server.ended() == 0


def test_bytes_as_they_come(start: Start) -> None:
    """One byte at a time, several envelopes at once, types that it does not know, and what is no envelope: the others play on."""
    server = start(countdown_seconds=60)
    ann = server.enter(0)
    for byte in envelope(PING, b"slowly", RAW):
        ann.socket.sendall(bytes((byte,)))
        time.sleep(0.005)
    assert ann.until(PONG) == b"slowly"
    ann.socket.sendall(envelope(31, {"new": True}) + envelope(60, b"\xff", RAW) + envelope(PING, b"both", RAW) * 2)
    assert [ann.until(PONG), ann.until(PONG)] == [b"both"] * 2
    for nonsense in ({}, [1], None, {"to": ["up"]}, {"to": 5}, {"to": "__proto__"}, b"[" * 60_000, b"\xff"):
        bad = server.enter(1)
        bad.until(GAME_CONFIG)
        bad.socket.sendall(envelope(TURN, nonsense))
    bad = server.enter(1)
    bad.socket.sendall(b"GET / HTTP/1.1\r\n\r\n")
    assert bad.ended()
    server.control.send(PING, b"alive?", RAW)
    assert server.control.until(PONG) == b"alive?"
    assert ann.until(FIELD)["alive"] == [0, 1]


def test_who_does_not_read_holds_nobody_up(start: Start) -> None:
    """Somebody's full socket costs pictures of their own alone, and a flood of PINGs that nobody hears answered ends that connection."""
    # All of its pictures, and what it says last, fit into the kernel's buffers.
    server = start(steps_per_second=50, width=100, height=50)
    ann, bob = server.enter(0), server.enter(1)
    bob.socket.settimeout(0.2)
    flood = envelope(PING, b"x" * 125, RAW) * 100_000
    with pytest.raises((TimeoutError, ConnectionError)):
        bob.socket.sendall(flood)
    assert fields(ann, "over")["winner"] in (0, 1, None)


def test_gameroom_ends_it(start: Start) -> None:
    """SIGTERM, the end of the control connection, and garbage on it: it ends at once."""
    for end in (
        lambda server: server.process.send_signal(signal.SIGTERM),
        lambda server: server.control.close(),
        lambda server: server.control.socket.sendall(b"garbage"),
    ):
        server = start()
        server.enter(0).until(GAME_CONFIG)
        end(server)
        server.ended(AT_ONCE)
