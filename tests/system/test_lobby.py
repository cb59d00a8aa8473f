"""The lobby as people and programs use it, with the tools that are on every machine."""

from __future__ import annotations

import json
import subprocess

import pytest

from tests.system.harness import LOOPBACK, PATIENCE, Daemon
from tests.system.lobby import LobbyPeer, request

LETTERS = [
    json.dumps(request("PING")),
    json.dumps(request("HELP")),
    "",
    "not json",
    json.dumps(request("REGISTER_PLAYER", {"username": "shelly", "password": "correct horse"})),
]
CODES = [0, 0, 100, 0]


def _shell(command: str, port: int, text: str) -> list[dict[str, object]]:
    """What a shell command that gets `text` on stdin and knows $HOST and $PORT prints, line by line."""
    result = subprocess.run(
        ["sh", "-c", command],
        input=text,
        env={"HOST": LOOPBACK, "PORT": str(port), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=True,
    )
    return [json.loads(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("ending", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("command", ["nc -N $HOST $PORT", "socat -t 60 - TCP:$HOST:$PORT"])
def test_a_pipe_that_half_closes_gets_all_answers(daemon: Daemon, command: str, ending: str) -> None:
    """`printf … | nc -N`: requests in one go, then end of input; every answer comes, in order, and then the connection ends."""
    answers = _shell(command, daemon.lobby_port, "".join(letter + ending for letter in LETTERS))
    assert [answer["code"] for answer in answers] == CODES


def test_a_last_line_without_its_end_is_answered_as_well(daemon: Daemon) -> None:
    """Who forgets the last LF before the end of input gets the answer all the same; half a request is just `100`."""
    for text, codes in (('{"type":"PING"}\n{"type":"PING"}', [0, 0]), ('{"type":"PING"}\n{"type":"PI', [0, 100])):
        assert [answer["code"] for answer in _shell("nc -N $HOST $PORT", daemon.lobby_port, text)] == codes


def test_printf_as_the_shell_has_it(daemon: Daemon) -> None:
    """Twenty one-shot commands, each a process of its own, get twenty answers."""
    command = "for i in $(seq 20); do printf '%s\\n' '{\"type\":\"PING\"}' | nc -N $HOST $PORT; done"
    assert [answer["code"] for answer in _shell(command, daemon.lobby_port, "")] == [0] * 20


def test_a_thousand_pipelined_requests_are_answered_in_order(daemon: Daemon) -> None:
    """Quick and slow requests mixed: answers come in the order of the requests."""
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.register()
        kinds = [("PING", None), ("LIST_ROOMS", token), ("WHOAMI", token), ("NONSENSE", None)]
        for number in range(1000):
            peer.send(kinds[number % 4][0], token=kinds[number % 4][1])
        for number in range(1000):
            answer = peer.answer()
            shape = {0: set(), 1: {"rooms"}, 2: {"username", "role", "room_id"}, 3: set()}[number % 4]
            assert set(answer["payload"]) == shape
            assert answer["code"] == (100 if number % 4 == 3 else 0)


def test_a_newer_login_voids_the_older_token_on_any_connection(daemon: Daemon) -> None:
    """`105` each time for the superseded token, also after a restart of the daemon; `101` after a log-out."""
    with LobbyPeer(daemon.lobby_port) as old, LobbyPeer(daemon.lobby_port) as new:
        first = old.register("twice")
        second = new.good("LOGIN_PLAYER", {"username": "twice", "password": "correct horse"})["session_token"]
        assert [old.ask("WHOAMI", token=first)["code"] for _ in range(2)] == [105, 105]
    daemon.kill9()
    daemon.start_again()
    with LobbyPeer(daemon.lobby_port) as again:
        assert again.ask("WHOAMI", token=first)["code"] == 105
        assert again.good("WHOAMI", token=second)["username"] == "twice"
        again.good("LOGOUT", token=second)
        assert again.ask("WHOAMI", token=second)["code"] == 101


def test_rooms_are_pushed_to_whoever_subscribed(daemon: Daemon) -> None:
    """A room made over one connection is seen on another, and its end as well."""
    with LobbyPeer(daemon.lobby_port) as watcher, LobbyPeer(daemon.lobby_port) as maker:
        watching, making = watcher.register(), maker.register("maker")
        watcher.good("SUBSCRIBE", {"rooms": True}, watching)
        game = maker.good("LIST_GAMES", token=making)["games"][0]
        room = maker.good("CREATE_ROOM", {"game_id": game["game_id"]}, making)
        pushed = watcher.push("ROOM_UPDATED")["room"]
        assert (pushed["room_id"], pushed["host"], pushed["players"], pushed["status"]) == (room["room_id"], "maker", ["maker"], "WAITING")
        maker.good("LEAVE_ROOM", {"room_id": room["room_id"]}, making)
        while pushed["status"] != "CLOSED":
            pushed = watcher.push("ROOM_UPDATED")["room"]
        assert pushed["room_id"] == room["room_id"]
