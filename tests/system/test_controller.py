"""Connect Four on a real daemon: through kills, and between telnet's lines and a socket."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections import Counter
from typing import Any

from tests.system.controller import Robot, to_column, turn_game, until
from tests.system.harness import PATIENCE, DaemonMaker
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.scenario import run
from tests.system.web import Web


def test_games_through_kill_9(make_daemon: DaemonMaker, database_url: str | None) -> None:
    """Killed again and again in mid-game, on both databases: each game goes on as it stood, and each drop has acted once."""
    daemon = make_daemon(database=database_url)
    web = Web(daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": turn_game(web, "Connect Four")})
    luck = random.Random(7)

    def choose(body: dict[str, Any]) -> list[str]:
        return to_column(body, luck.randrange(7))

    robots = [Robot(web.join(room_id), choose) for _ in range(2)]

    async def disturb() -> None:
        for discs in (3, 8, 12, 20, 30):
            await until(lambda discs=discs: sum(len(robot.dropped) for robot in robots) >= discs)  # type: ignore[misc]
            daemon.kill9()
            await asyncio.to_thread(daemon.start_again)

    async def scenario() -> None:
        disturbing = asyncio.ensure_future(disturb())
        await asyncio.gather(*(robot.play(games=4) for robot in robots))
        await disturbing

    run(scenario, within=120)
    one, other = robots
    assert one.over == other.over
    assert len(one.over) == 4
    assert {over["reason"] for over in one.over} <= {"won", "draw"}
    assert one.reconnections >= 3
    # What lies on the boards at the end of each game is what the two have dropped, no disc more and none less.
    ends = _last_boards(robots)
    for player, robot in enumerate(robots, 1):
        discs = Counter(column for board in ends for column, cells in enumerate(board) for cell in cells if cell == str(player))
        assert discs == Counter(robot.dropped), player


def _last_boards(robots: list[Robot]) -> list[list[str]]:
    """The fullest board of each game, from all that the players have seen."""
    return [max(boards, key=_discs) for boards in zip(*(_by_game(robot) for robot in robots), strict=True)]


def _by_game(robot: Robot) -> list[list[str]]:
    fullest: list[list[str]] = []
    before = 99
    for board in robot.boards:
        if _discs(board) < before and (not fullest or _discs(board) <= 1):
            fullest.append(board)
        if _discs(board) >= _discs(fullest[-1]):
            fullest[-1] = board
        before = _discs(board)
    return fullest


def _discs(board: list[str]) -> int:
    return sum(map(len, board))


class Telnet:
    """A person at the lobby, who types lines."""

    def __init__(self, peer: LobbyPeer, room_id: str, token: str) -> None:
        self.peer, self.room_id, self.token = peer, room_id, token

    def say(self, **message: Any) -> None:
        self.peer.good("ROOM_MESSAGE", {"room_id": self.room_id, "body": message}, self.token)

    def hear(self, event: str) -> dict[str, Any]:
        """The next event of that name; all on the way there is answered."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            body = self.peer.push("ROOM_MESSAGE")["body"]
            if "id" in body:
                self.say(type="ack", reply_to=body["id"])
            if body.get("body", {}).get("event", body["type"]) == event:
                return dict(body)
        raise AssertionError(f"no {event}")


def test_telnet_against_a_socket(make_daemon: DaemonMaker) -> None:
    """A person at the lobby wins against a program on a socket, by lines alone."""
    daemon = make_daemon()
    web = Web(daemon.web_port)
    with LobbyPeer(daemon.lobby_port) as peer:
        token = peer.good("REGISTER_PLAYER", {"username": "person", "password": PASSWORD})["session_token"]
        room_id = peer.good("CREATE_ROOM", {"game_id": turn_game(web, "Connect Four")}, token)["room_id"]
        peer.good("SUBSCRIBE", {"rooms": True}, token)
        person = Telnet(peer, room_id, token)
        robot = Robot(web.join(room_id), lambda body: to_column(body, 0))

        def game() -> dict[str, Any]:
            person.hear("welcome")
            person.say(type="game", body={"do": "join"})
            for _ in range(4):
                person.hear("request_move")
                person.say(type="game", body={"do": "drop"})
            over: dict[str, Any] = person.hear("game_over")["body"]
            return over

        async def scenario() -> dict[str, Any]:
            playing = asyncio.ensure_future(asyncio.to_thread(game))
            await robot.play(games=1)
            return await playing

        over = run(scenario, within=60)
    assert (over["reason"], over["winner"], over["line"]) == ("won", 1, [[3, row] for row in range(4)])
    assert robot.over == [over]
    assert robot.dropped == [0, 0, 0]
    assert json.dumps(robot.boards[-1]) == json.dumps(["222", "", "", "1111", "", "", ""])


def test_against_a_computer(make_daemon: DaemonMaker) -> None:
    """The host plays against a computer, which thinks in a process of its own, through a kill; it never misses a win."""
    daemon = make_daemon()
    web = Web(daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": turn_game(web, "Connect Four")}, move_seconds=60)
    robot = Robot(web.join(room_id), lambda body: to_column(body, body["turn"] // 2 % 7))
    robot.number = 1
    robot.to_say.append({"type": "add_bot", "id": 1, "level": 4, "body": {"do": "add"}})

    async def disturb() -> None:
        await until(lambda: len(robot.dropped) >= 2)
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)

    async def scenario() -> None:
        await asyncio.gather(robot.play(games=1), disturb())

    run(scenario, within=60)
    assert (robot.over[0]["reason"], robot.over[0]["winner"]) == ("won", 2)
