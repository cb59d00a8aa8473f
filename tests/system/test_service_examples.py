"""The services of examples/ play one game, and one suite holds them to it, message for message; by themselves, and beside a real daemon."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import random
import shutil
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest

from gameroom.cli.dev_pack import pack
from gameroom.rules import manifest
from tests.system import websocket
from tests.system.game_service import NOW, PATIENCE, PROTO, Peer, Play, ServiceProcess, framed, wait_for_port
from tests.system.harness import Daemon, DaemonMaker
from tests.system.scenario import run
from tests.system.store import upload
from tests.system.test_relay import Program
from tests.system.web import Seat, Web

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
NODE_MODULES = ROOT / "build" / "npm" / "node_modules"
BOTH = ["game-service-python", "game-service-node"]

Start = Callable[[], ServiceProcess]


def folder_of(example: str, into: Path) -> Path:
    """The example as it is uploaded: with what npm gives, where it wants that."""
    if example == "game-service-node":
        if not (NODE_MODULES.parent / ".ready").exists():
            pytest.skip("protobufjs is not in build/npm: it needs Node 18 or newer and npm; `.ci/npm` says what is missing")
        shutil.copytree(NODE_MODULES, into / "node_modules")
    return shutil.copytree(EXAMPLES / example, into, dirs_exist_ok=True)


@pytest.fixture(params=BOTH)
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Start]:
    """Starts the example's service; it listens already."""
    folder = folder_of(request.param, tmp_path / "bundle")
    [service] = [manifest.parse((folder / "game.toml").read_text())[0].service]
    assert service is not None
    with ExitStack() as stack:
        yield lambda: stack.enter_context(ServiceProcess(folder, list(service.command)))


def prize(play: Play, number: int) -> int:
    return 1 + hashlib.sha256(f"{play.seed}:{number}".encode()).digest()[0] % 10


def standing(play: Play) -> list[tuple[int, int, int, bool]]:
    """Seat, coins, points, and whether there is a bid, as everybody sees it."""
    return [(player["seat"], player["coins"], player["points"], player["bid"]) for player in play.table["players"]]


def test_a_game(start: Start) -> None:
    """Bids are nobody else's before all have bid; the highest pays and gets the prize, two highest nobody does; then there are results."""
    play = Play(start().peer(), "Ann", "Bob", "Cleo")
    play.start(rounds=2)
    assert standing(play) == [(0, 20, 0, False), (1, 20, 0, False), (2, 20, 0, False)]
    assert (play.table["round"], play.table["rounds"], play.table["prize"], play.table["last"]) == (1, 2, prize(play, 1), None)
    assert (play.timer_ms, play.table["ends_ms"]) == (30_000, NOW + 1000 + 30_000)
    assert play.views == {seat: {"you": seat, "coins": 20, "bid": None} for seat in range(3)}
    answer = play.say(1, {"bid": 7})
    assert [view.seat for view in answer.views] == [1]
    assert play.views[1] == {"you": 1, "coins": 20, "bid": 7}
    assert [seat for seat, *_, bid in standing(play) if bid] == [1]
    assert not answer.HasField("timer_ms"), "a bid leaves the round's time as it is"
    play.say(0, {"bid": 7})
    play.say(2, {"bid": 3})
    assert play.table["last"] == {"prize": prize(play, 1), "bids": {"0": 7, "1": 7, "2": 3}, "winner": None}
    assert (play.table["round"], standing(play)) == (2, [(0, 20, 0, False), (1, 20, 0, False), (2, 20, 0, False)])
    for seat, coins in ((2, 5), (0, 0), (1, 4)):
        play.say(seat, {"bid": coins})
    assert play.table["last"]["winner"] == 2
    assert (play.table["over"], play.timer_ms) == (True, 0)
    scores = [("Ann", 0, 20), ("Bob", 0, 20), ("Cleo", prize(play, 2), 15)]
    assert play.results == {
        "scores": [{"seat": seat, "name": name, "points": points, "coins": coins} for seat, (name, points, coins) in enumerate(scores)],
        "winner": 2,
    }


def test_what_is_refused(start: Start) -> None:
    """Each with its code and a sentence, and nothing has changed; the next update is taken as ever."""
    play = Play(start().peer(), "Ann", "Bob")
    refused = [play.start(rounds=0), play.start(coins="many"), play.start(seconds=1.5), play.start(rounds=True)]
    whole = "must be a whole number from 1 to"
    assert [(each.rejected.code, each.rejected.message) for each in refused] == [
        (100, f"configuration.rounds {whole} 20"),
        (100, f"configuration.coins {whole} 1000"),
        (100, f"configuration.seconds {whole} 3600"),
        (100, f"configuration.rounds {whole} 20"),
    ]
    play.start(coins=9)
    before = play.state
    hostile: tuple[Any, ...] = (None, [], "bid", {}, {"bid": None}, {"bid": "3"}, {"bid": -1}, {"bid": 1.5}, {"bid": True}, {"bid": [1]}, {"bid": {}})
    for wrong in hostile:
        rejected = play.say(0, wrong).rejected
        assert (rejected.code, rejected.message) == (100, 'say {"bid": coins}, a whole number'), wrong
    binary = play.event(message={"seat": 0, "data": b"\xff\x00", "text": False}).rejected
    assert binary.code == 100
    dear = play.say(0, {"bid": 10}).rejected
    assert (dear.code, dear.message) == (105, "you have 9 coins")
    assert play.state == before
    play.say(0, {"bid": 9})
    again = play.say(0, {"bid": 9}).rejected
    assert (again.code, again.message) == (105, "you have bid already; wait for the others")


def test_time_and_who_is_there(start: Start) -> None:
    """A round ends by its timer; who is away keeps bid and seat; who has left is waited for no longer, and one alone has won."""
    play = Play(start().peer(), "Ann", "Bob", "Cleo")
    play.start(rounds=3, seconds=10)
    play.say(0, {"bid": 2})
    play.players[1]["connected"] = False
    play.event(left={"seat": 1, "reason": "away"})
    assert [player["connected"] for player in play.table["players"]] == [True, False, True]
    play.event(timer={"due_ms": play.now_ms})
    assert play.table["last"] == {"prize": prize(play, 1), "bids": {"0": 2, "1": 0, "2": 0}, "winner": 0}
    assert (play.table["round"], play.timer_ms, play.table["ends_ms"]) == (2, 10_000, play.now_ms + 10_000)
    play.players[1]["connected"] = True
    play.event(joined={"seat": 1})
    assert [player["connected"] for player in play.table["players"]] == [True, True, True]
    play.say(0, {"bid": 1})
    play.say(1, {"bid": 5})
    del play.players[2]
    play.event(left={"seat": 2, "reason": "kicked"})
    assert (play.table["round"], play.table["last"]["bids"]) == (3, {"0": 1, "1": 5})
    del play.players[0]
    play.event(left={"seat": 0, "reason": "timeout"})
    assert play.results == {"scores": [{"seat": 1, "name": "Bob", "points": prize(play, 2), "coins": 15}], "winner": 1}
    assert play.table["over"]


def test_it_is_a_function(start: Start) -> None:
    """The same update has the same answer: at once, on another connection, after others, and from another process."""
    one, other = start(), start()
    first, second, third = one.peer(), one.peer(), other.peer()
    play = Play(first, "Ann", "Bob", seed=2**53 - 1)
    chance = random.Random(6)
    updates, answers = [], []
    for number in range(60):
        if number == 0 or play.results is not None:
            play.results = None
            update = play.update(started={"config": b'{"rounds": 3}', "seed": play.seed - number})
        else:
            text = json.dumps({"bid": chance.randrange(8)}).encode()
            update = play.update(message={"seat": chance.randrange(2), "data": text, "text": True})
        answer = first.ask(update)
        updates.append(update)
        answers.append(answer.SerializeToString(deterministic=True))
        play.take(answer)
    for peer in (second, third):
        order = chance.sample(range(60), 60)
        peer.send(*(updates[index] for index in order))
        for _ in order:
            again = peer.answer()
            assert again.SerializeToString(deterministic=True) == answers[again.request - 1000]
    assert len({answers[number] for number in range(60)}) == 60


def test_bytes_as_they_come(start: Start) -> None:
    """One byte at a time, many frames at once, fields it does not know; what is no frame ends that connection, and no other."""
    service = start()
    peer = service.peer()
    play = Play(peer, "Ann", "Bob")
    update = play.update(started={"config": b"", "seed": 1})
    for byte in framed(update.SerializeToString()):
        peer.socket.sendall(bytes((byte,)))
    play.take(peer.answer())
    unknown = b"\xf8\x7f\x05" + b"\xf2\x7f\x03new"
    bid = play.update(message={"seat": 0, "data": b'{"bid": 3}', "text": True})
    peer.socket.sendall(framed(bid.SerializeToString() + unknown) * 50)
    assert len({peer.answer().SerializeToString(deterministic=True) for _ in range(50)}) == 1
    for nonsense in (b"\0\0\0\0", b"\xff\xff\xff\xff", b"GET / HTTP/1.1\r\n\r\n", framed(b"\xff\xff\xff"), framed(b"\x22\x7f")):
        bad = service.peer()
        bad.socket.sendall(nonsense)
        assert bad.ended(), nonsense
    half = service.peer()
    half.socket.sendall(b"\0\0\1\0half")
    half.close()
    peer.send(bid)
    play.take(peer.answer())
    assert play.views[0]["bid"] == 3


def test_a_state_that_is_none_of_its_own(start: Start) -> None:
    """What the rules cannot take is a rejection of that update, which the developer's log explains; other rooms are served on."""
    service = start()
    play = Play(service.peer(), "Ann", "Bob")
    play.start()
    good = play.state
    for wrong in (b"{}", b"not JSON", b"\xff"):
        play.state = wrong
        assert play.say(0, {"bid": 1}).rejected.code == 105
    play.state = good
    assert not play.say(0, {"bid": 1}).HasField("rejected")
    service.process.send_signal(signal.SIGTERM)
    service.ended()
    assert "rror" in service.output()


def test_a_big_update_and_a_reader_that_waits(start: Start) -> None:
    """A mebibyte comes whole; who does not read its answers is not read from, and costs the others nothing."""
    service = start()
    deaf, play = service.peer(), Play(service.peer(), "Ann", "Bob")
    play.start()
    big = play.update(message={"seat": 0, "data": json.dumps({"bid": 1, "pad": "x" * (1 << 20)}).encode(), "text": True})
    deaf.socket.settimeout(0.3)
    flood = framed(play.update(timer={"due_ms": 1}).SerializeToString()) * 200_000
    with pytest.raises(TimeoutError):
        deaf.socket.sendall(flood)
    # The deaf one reads nothing until this is answered.
    play.take(play.peer.ask(big))
    assert play.views[0]["bid"] == 1


def test_elsewhere(tmp_path: Path) -> None:
    """The service in Node runs anywhere, at an address of its own, with the game.proto that every gameroom has."""
    folder = folder_of("game-service-node", tmp_path / "bundle")
    assert (folder / "game.proto").read_text() == PROTO.read_text()
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with ServiceProcess(folder, ["node", "service.js", "127.0.0.1", str(port)]):
        wait_for_port(port)
        play = Play(Peer(port), "Ann", "Bob")
        play.start()
        assert play.table["round"] == 1
        play.peer.close()


class Bidder:
    """A player of Sealed Bids."""

    def __init__(self, program: Program, last_id: int) -> None:
        self.program = program
        self.bodies: list[Any] = []
        """All that came to this player."""
        self._id, self._looked = last_id, 0

    @classmethod
    async def come(cls, seat: Seat) -> Bidder:
        program = Program(await websocket.connect(seat.port, seat.path))
        program.say(type="hello", token=seat.token)
        return cls(program, (await program.hear("welcome"))["last_id"])

    async def bid(self, coins: Any) -> dict[str, Any]:
        """What the bid is answered; it is in the table or refused by then."""
        self._id += 1
        self.program.say(type="game", id=self._id, body={"bid": coins})
        async with asyncio.timeout(PATIENCE):
            while True:
                message = await self._next()
                if message.get("reply_to") == self._id:
                    return message

    async def table(self, **wanted: Any) -> Any:
        """The next broadcast that has these values, of those not looked at."""
        async with asyncio.timeout(PATIENCE):
            while True:
                while self._looked < len(self.bodies):
                    body = self.bodies[self._looked]
                    self._looked += 1
                    if wanted.items() <= body.items():
                        return body
                await self._next()

    async def over(self) -> dict[str, Any]:
        async with asyncio.timeout(PATIENCE):
            while (message := await self._next())["type"] != "over":
                pass
            return message

    async def _next(self) -> dict[str, Any]:
        _, data = await self.program.link.receive()
        message: dict[str, Any] = json.loads(data)
        if message["type"] == "game":
            self.bodies.append(message["body"])
        return message


def running(daemon: Daemon, program: str) -> list[int]:
    """The ids of those of its processes, at any depth, that run this program."""
    parents: dict[int, int] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError):
            parents[int(stat.parent.name)] = int(stat.read_text().rpartition(")")[2].split()[1])

    def is_ours(pid: int) -> bool:
        return pid == daemon.pid or (pid in parents and is_ours(parents[pid]))

    def runs(pid: int) -> bool:
        with suppress(OSError):
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            return len(words) == 3 and words[1] == program.encode()
        return False

    return [pid for pid in parents if is_ours(pid) and runs(pid)]


@pytest.fixture(params=BOTH)
def bundle(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """The example as `gameroom dev push` packs it."""
    packed = tmp_path / "bundle.zip"
    pack(folder_of(request.param, tmp_path / "bundle"), packed)
    return packed


def test_with_gameroom(make_daemon: DaemonMaker, bundle: Path) -> None:
    """In the sandbox, and through `kill -9` of the service and of the daemon: nobody learns a bid too early, and none is lost."""
    program = "service.js" if b"service.js" in bundle.read_bytes() else "service.py"
    daemon = make_daemon(settings={"service": {"timeout": 1.0}, "rooms": {"reconnect_window": 30.0}})
    web = Web(daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": upload(daemon, bundle.read_bytes(), max_players=6)}, configuration={"rounds": 2})
    seats = [web.join(room_id), web.join(room_id), web.join(room_id, viewer=True)]

    async def scenario() -> None:
        ann, bob, viewer = everybody = [await Bidder.come(seat) for seat in seats]
        ann.program.say(type="start")
        for each in everybody:
            assert (await each.table(round=1))["rounds"] == 2
        assert (await ann.bid("much"))["code"] == 100
        assert (await ann.bid(17))["type"] == "ack"
        assert (await ann.bid(18))["code"] == 105
        assert [player["bid"] for player in (await bob.table(round=1))["players"]] == [True, False]
        [pid] = running(daemon, program)
        os.kill(pid, signal.SIGKILL)
        assert "17" not in json.dumps([body for body in (*bob.bodies, *viewer.bodies) if "ends_ms" not in body])
        assert (await bob.bid(3))["type"] == "ack"
        for each in everybody:
            assert (await each.table(round=2))["last"]["bids"] == {"0": 17, "1": 3}
        assert (await bob.bid(4))["type"] == "ack"
        assert running(daemon, program) != [pid]
        daemon.kill9()
        await asyncio.to_thread(daemon.start_again)
        ann, bob, viewer = again = [await Bidder.come(seat) for seat in seats]
        for each in again:
            assert [player["bid"] for player in (await each.table(round=2))["players"]] == [False, True]
        assert (await bob.bid(5))["code"] == 105
        assert [body["bid"] for body in bob.bodies if "you" in body] == [4]
        assert (await ann.bid(3))["type"] == "ack"
        results = [(await each.over())["results"] for each in again]
        assert results == [results[0]] * 3
        assert [score["coins"] for score in results[0]["scores"]] == [3, 16]
        assert [{body["you"] for body in each.bodies if "you" in body} for each in again] == [{0}, {1}, set()]

    run(scenario, 40)
