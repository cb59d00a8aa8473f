"""Rooms of micro game services, sentence by sentence: a real daemon, and a service that the test answers by hand."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from tests.system.hand_service import Asked, HandService
from tests.system.harness import PATIENCE, Daemon, DaemonMaker
from tests.system.room_lines import SocketLine
from tests.system.scenario import run
from tests.system.service_messages import GameState
from tests.system.store import upload
from tests.system.test_browser_relay import packed
from tests.system.web import Seat, Web

MIB = 1 << 20
QUIET = 0.15
"""Seconds in which nothing comes that is not to come."""


class Member:
    """A guest on a room socket."""

    def __init__(self, house: House, room_id: str, *, viewer: bool = False) -> None:
        house.members.append(self)
        self.seat: Seat = house.web.join(room_id, viewer=viewer)
        self.line: SocketLine

    async def come(self) -> dict[str, Any]:
        """Connect; gives `welcome`."""
        self.line = await SocketLine.open(self.seat)
        welcome: dict[str, Any] = await self.hear("welcome")
        return welcome

    def say(self, **message: Any) -> None:
        self.line.say(message)

    def game(self, body: Any, id: int | None = None) -> None:
        self.say(type="game", body=body, **({} if id is None else {"id": id}))

    async def hear(self, kind: str) -> Any:
        """The next message of this type; what comes before it must be what any room says at any time."""
        while True:
            async with asyncio.timeout(PATIENCE):
                message = await self.line.hear()
            if isinstance(message, bytes) or message["type"] != kind:
                assert isinstance(message, dict), (kind, message)
                assert message["type"] in ("players", "state"), (kind, message)
                continue
            return message

    async def told(self) -> Any:
        """The body of the next `game`."""
        return (await self.hear("game"))["body"]

    async def heard(self, count: int = 0) -> list[Any]:
        """So many messages, for which it waits, and what comes soon behind them; the roster and states are passed over."""
        found: list[Any] = []
        try:
            while True:
                async with asyncio.timeout(QUIET if len(found) >= count else PATIENCE):
                    message = await self.line.hear()
                if isinstance(message, bytes) or message["type"] not in ("players", "state"):
                    found.append(message)
        except TimeoutError:
            return found

    async def until_heard(self) -> list[Any]:
        """All that comes, but the roster and states, until the room has read all that was said."""
        self.say(type="ping", t=1)
        found: list[Any] = []
        while not found or found[-1]["type"] != "pong":
            message = await self.line.hear()
            if isinstance(message, bytes) or message["type"] not in ("players", "state"):
                found.append(message)
        return found[:-1]

    async def state(self, state: str) -> dict[str, Any]:
        """The next `state` that says this."""
        while True:
            async with asyncio.timeout(PATIENCE):
                message = await self.line.hear()
            if isinstance(message, dict) and message["type"] == "state" and message["state"] == state:
                return message


class House:
    """A daemon, and a game whose rules are a service that the test answers."""

    def __init__(self, make_daemon: DaemonMaker, window: float = 60.0, **service: Any) -> None:
        self.service = HandService()
        self.members: list[Member] = []
        settings = {
            "service": {"allow": [self.service.endpoint], "timeout": PATIENCE, **service},
            "limits": {"messages_per_second": 5000},
            "rooms": {"reconnect_window": window, "room_ttl": 120.0},
        }
        self.daemon: Daemon = make_daemon(settings=settings)
        self.web = Web(self.daemon.web_port)
        self.game_id = upload(self.daemon, bundle(self.service.endpoint), max_players=4)
        self.maker = self.web.register()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """With the service there; all go home in the end."""
        async with self.service:
            try:
                yield
            finally:
                for member in self.members:
                    member.line.abort()

    def room(self, players: int = 2, **content: Any) -> Room:
        return Room(self, self.web.create(self.maker, engine={"game_id": self.game_id}, **content), players)


class Room:
    """One room with so many guests and a viewer, none of whom is there yet."""

    def __init__(self, house: House, room_id: str, players: int) -> None:
        self.house, self.room_id = house, room_id
        self.players = [Member(house, room_id) for _ in range(players)]
        self.viewer = Member(house, room_id, viewer=True)

    @property
    def all(self) -> list[Member]:
        return [*self.players, self.viewer]

    async def come(self) -> None:
        for member in self.all:
            await member.come()

    async def next(self, event: str) -> Asked:
        return await self.house.service.next(event, room=self.room_id)

    async def begin(self, **answer: Any) -> Asked:
        """Come and start; `started` is answered with this."""
        await self.come()
        return await self.start(**answer)

    async def start(self, **answer: Any) -> Asked:
        self.players[0].say(type="start")
        started = await self.next("started")
        started.answer(**{"state": b"first", **answer})
        for member in self.all:
            await member.state("running")
        return started

    async def say(self, body: Any, *, player: int = 0, **answer: Any) -> Asked:
        """A player says this, and it is answered."""
        self.players[player].game(body)
        asked = await self.next("message")
        asked.answer(**answer)
        return asked


def bundle(endpoint: str) -> bytes:
    toml = f'[hosting]\nkind = "service"\nmax_players = 4\n\n[service]\nendpoint = {json.dumps(endpoint)}\n'
    return packed({"game.toml": toml.encode()})


@asynccontextmanager
async def playing(house: House, **answer: Any) -> AsyncIterator[Room]:
    """A room of two and a viewer in which a play has just begun, with the service there."""
    room = await asyncio.to_thread(house.room)
    async with house.open():
        await room.begin(**answer)
        yield room


def now_ms() -> float:
    return time.time() * 1000


def test_what_the_service_is_told(make_daemon: DaemonMaker) -> None:
    """Each event with all that the page names: in order, numbered without gaps, behind the state that was answered last."""
    # Who comes back has to come back in this time, and who does not is waited for so long.
    house = House(make_daemon, window=8.0)
    room = house.room(4, configuration={"dice": 5})

    async def scenario() -> None:
        async with house.open():
            one, other, *_ = room.players
            started = await room.begin(state=b"\xff\x00 opaque", timer_ms=150)
            update = started.update
            assert (update.room_id, update.game_id, update.version) == (room.room_id, house.game_id, "1.0.0")
            assert (update.sequence, update.state) == (1, b"")
            assert json.loads(update.started.config) == {"dice": 5}
            assert 0 < update.started.seed < 2**53
            assert update.started.seed != house.web.ask("GET", f"/join/{room.room_id}")["seed"], "what all can see decides nothing that is hidden"
            told = [(player.seat, player.id, player.name, player.connected) for player in update.players]
            assert told == [(member.seat.seat, member.seat.user_id, member.seat.name, True) for member in room.players]
            assert abs(update.now_ms - now_ms()) < 60_000

            timer = await room.next("timer")
            assert (timer.update.sequence, timer.update.state) == (2, b"\xff\x00 opaque")
            assert update.now_ms + 150 <= timer.update.timer.due_ms <= timer.update.now_ms
            timer.answer(state=b"ticked")

            other.game({"bid": [1, "ß"]})
            asked = await room.next("message")
            assert (asked.update.sequence, asked.update.state, asked.update.message.seat, asked.body) == (3, b"ticked", 1, {"bid": [1, "ß"]})
            asked.answer(state=b"bidden")
            one.line.say_binary(b"\x00\xff")
            asked = await room.next("message")
            said = asked.update.message
            assert (asked.update.sequence, said.seat, said.data, said.text) == (4, 0, b"\x00\xff", False)
            asked.answer(rejected=(105, "no"))
            assert (await one.hear("error"))["code"] == 105
            one.game(None)
            asked = await room.next("message")
            assert (asked.update.sequence, asked.update.state) == (5, b"bidden"), "what was rejected has its number, and changes nothing"
            asked.answer(state=b"")

            other.line.abort()
            left = await room.next("left")
            assert (left.update.state, left.update.left.seat, left.update.left.reason) == (b"", 1, "away")
            assert left.connected() == {0: True, 1: False, 2: True, 3: True}
            left.answer(state=b"left")
            await other.come()
            joined = await room.next("joined")
            assert (joined.update.joined.seat, joined.connected()[1]) == (1, True)
            joined.answer()
            numbers = [asked.update.request for asked in house.service.came]
            assert len(set(numbers)) == len(numbers)
            assert max(numbers) < 2**53
            await gone_for_good(room)

    run(scenario, within=60)


async def gone_for_good(room: Room) -> None:
    """Seats that are freed: of who leaves, is sent away, does not come back; and of the last, of whom nobody is told."""
    host, silent, leaver, kicked = room.players

    async def is_told(seat: int, reason: str, there: list[int]) -> None:
        left = await room.next("left")
        assert (left.update.left.seat, left.update.left.reason, sorted(left.connected())) == (seat, reason, there)
        left.answer()

    leaver.say(type="leave")
    await is_told(2, "left", [0, 1, 3])
    host.say(type="kick", user_id=kicked.seat.user_id)
    await is_told(3, "kicked", [0, 1])
    silent.line.abort()
    await is_told(1, "away", [0, 1])
    await is_told(1, "timeout", [0])
    host.say(type="leave")
    assert (await room.viewer.hear("over"))["reason"] == "abandoned"
    await room.house.service.quiet()


def test_what_an_answer_does(make_daemon: DaemonMaker) -> None:
    """Broadcasts, views, rejections, timers and the end, each told to those whom it is for."""
    house = House(make_daemon)

    async def scenario() -> None:
        async with playing(house, broadcast=["begun"], views=[(0, "yours, 0"), (1, "yours, 1"), (7, "nobody's")]) as room:
            one, other = room.players
            assert [await one.told(), await one.told()] == ["begun", "yours, 0"]
            assert [await other.told(), await other.told()] == ["begun", "yours, 1"]
            assert await room.viewer.told() == "begun"
            await broadcasts_and_views(room)
            await rejections(room)
            await once_each(room)
            await timers(room)
            await its_end(room)

    run(scenario, within=60)


async def broadcasts_and_views(room: Room) -> None:
    """In order; binary as frames; viewers get no views."""
    one, other = room.players
    await room.say("go", broadcast=[{"a": 1}, b"\x01\x02", 3], views=[(1, b"only"), (1, {"you": 1})])
    assert [each["body"] if isinstance(each, dict) else each for each in await one.heard(3)] == [{"a": 1}, b"\x01\x02", 3]
    found = [each["body"] if isinstance(each, dict) else each for each in await other.heard(5)]
    assert found == [{"a": 1}, b"\x01\x02", 3, b"only", {"you": 1}]
    assert [each["body"] if isinstance(each, dict) else each for each in await room.viewer.heard(3)] == [{"a": 1}, b"\x01\x02", 3]


async def rejections(room: Room) -> None:
    """Told to the sender alone, and nothing of such an answer counts."""
    one, other = room.players
    one.game("wrong", id=5)
    asked = await room.next("message")
    asked.answer(state=b"never", broadcast=["never"], timer_ms=1, finished={"never": 1}, rejected=(102, "it is not\nyour turn"))
    error = await one.hear("error")
    assert (error["reply_to"], error["code"]) == (5, 102)
    assert "your turn" in error["message"]
    assert "\n" not in error["message"]
    other.game("next")
    asked = await room.next("message")
    assert asked.update.state != b"never"
    asked.answer(rejected=(42, "x" * 5000))
    error = await other.hear("error")
    assert (error["code"], "reply_to" in error, len(error["message"]) <= 500) == (105, False, True)
    assert [*await one.heard(), *await room.viewer.heard()] == []
    room.viewer.game("mine", id=1)
    assert (await room.viewer.hear("error"))["code"] == 102
    for wrong in ({"type": "game", "id": 8}, {"type": "game", "body": "x" * 70_000, "id": 8}):
        one.say(**wrong)
        assert (await one.hear("error"))["code"] == 100
    await room.house.service.quiet()


async def once_each(room: Room) -> None:
    """A `game` with an id is answered when its state is stored, and acts once however often it comes."""
    one = room.players[0]
    for _ in range(3):
        one.game("again", id=9)
    asked = await room.next("message")
    assert await one.heard() == []
    asked.answer(state=b"once")
    assert await one.heard(3) == [{"type": "ack", "reply_to": 9}] * 3
    one.game("again", id=9)
    assert await one.heard(1) == [{"type": "ack", "reply_to": 9}]
    await room.house.service.quiet(0.0)


async def timers(room: Room) -> None:
    """A new one in place of the one before; 0 takes it back; absent leaves it."""
    await room.say("in an hour", timer_ms=3_600_000)
    asked = await asked_before(room, "in a moment", "whatever")
    asked.answer(timer_ms=200)
    (await room.next("message")).answer()
    timer = await room.next("timer")
    assert timer.update.timer.due_ms >= asked.update.now_ms + 200
    assert await asked_before(room, None, "no, not") is None
    timer.answer(timer_ms=200)
    (await room.next("message")).answer(timer_ms=0)
    await room.house.service.quiet(0.5)


async def asked_before(room: Room, body: Any, then: Any) -> Any:
    """A player says both, of which the first is asked (or something else is, where it is None) and the second waits: no timer comes between them."""
    one, asked = room.players[0], None
    if body is not None:
        one.game(body)
        asked = await room.next("message")
    one.game(then)
    assert await one.until_heard() == []
    return asked


async def its_end(room: Room) -> None:
    """The room waits again; the next play has an empty state and goes on counting."""
    one, other = room.players
    one.game("last", id=20)
    asked = await room.next("message")
    asked.answer(broadcast=["bye"], finished={"winners": [0]})
    heard = await other.heard(2)
    assert [each["type"] for each in heard] == ["game", "over"]
    assert (heard[1]["reason"], heard[1]["results"]) == ("finished", {"winners": [0]})
    assert room.house.web.ask("GET", f"/join/{room.room_id}")["state"] == "setup"
    one.game("too late", id=21)
    heard = await one.until_heard()
    assert heard[-1]["code"] == 105
    assert {"type": "ack", "reply_to": 20} in heard
    other.line.abort()
    await room.house.service.quiet()
    welcome = await other.come()
    assert (welcome["last_play"]["reason"], welcome["last_play"]["results"]) == ("finished", {"winners": [0]})
    await room.viewer.heard()
    one.say(type="start", id=22)
    started = await room.next("started")
    assert (started.update.state, started.update.sequence) == (b"", asked.update.sequence + 1)
    started.answer(rejected=(105, "not with two"))
    error = await one.hear("error")
    assert (error["reply_to"], error["code"]) == (22, 105)
    assert "not with two" in error["message"]
    assert room.house.web.ask("GET", f"/join/{room.room_id}")["state"] == "setup"
    assert (await room.start()).update.sequence == started.update.sequence + 1


def test_one_after_the_other(make_daemon: DaemonMaker) -> None:
    """A room asks one thing at a time, and at most 1,000 wait; rooms share a few connections, and are answered in any order."""
    house = House(make_daemon)

    async def scenario() -> None:
        async with playing(house) as room:
            one, other = room.players
            for number in range(500):
                one.game(number, id=2 + 2 * number)
                other.game(number, id=3 + 2 * number)
            first = await room.next("message")
            for player in (one, other):
                assert await player.until_heard() == []
            await house.service.quiet(0.0)
            other.line.abort()
            for number in range(500, 510):
                one.game(number, id=5000 + number)
            limited = await one.until_heard()
            assert {each["code"] for each in limited} == {106}
            # The one that is being asked may or may not count.
            assert len(limited) in (9, 10)
            order = [first.body]
            house.service.rule = answered(order)
            first.answer()
            await until(lambda: len(order) >= 1000 + 10 - len(limited) and any(asked.event == "left" for asked in house.service.came))
            [left] = [asked for asked in house.service.came if asked.event == "left"]
            assert left.update.sequence >= 1001, "what happens otherwise waits, and is not counted"
            sequences = [asked.update.sequence for asked in house.service.came]
            assert sequences == list(range(1, len(sequences) + 1))
            assert sorted(order[:1000]) == sorted([*range(500), *range(500)])
            assert len([each for each in await one.heard(500) if each["type"] == "ack"]) >= 500
        house.service.rule = lambda asked: False
        await many_rooms(house)

    run(scenario, within=90)


def answered(order: list[Any]) -> Callable[[Asked], bool]:
    """Answers all, and notes what was said."""

    def rule(asked: Asked) -> bool:
        if asked.event == "message":
            order.append(asked.body)
        asked.answer()
        return True

    return rule


async def many_rooms(house: House) -> None:
    rooms = [await asyncio.to_thread(house.room, 1) for _ in range(12)]
    async with house.open():
        for room in rooms:
            await room.begin()
        for room in rooms:
            room.players[0].game("go", id=2)
        asked = [await room.next("message") for room in rooms]
        # The second is dialled when there is more to ask than the first has answered; it may come behind all that was asked.
        await until(lambda: len(house.service.open) >= 2)
        assert len(house.service.open) <= 8
        for each in reversed(asked):
            each.answer(broadcast=[each.update.room_id])
        for room in rooms:
            assert await room.players[0].told() == room.room_id


async def until(happened: Callable[[], bool]) -> None:
    async with asyncio.timeout(2 * PATIENCE):
        for _ in iter(happened, True):
            await asyncio.sleep(0.01)


def too_long(asked: Asked) -> None:
    asked.answer(state=bytes(MIB + 1))


def no_message(asked: Asked) -> None:
    asked.link.framed(b"\xff\xff\xff")


def wrong_sequence(asked: Asked) -> None:
    asked.answer(sequence=asked.update.sequence + 1)


def unknown_request(asked: Asked) -> None:
    asked.answer(request=asked.update.request + 1000)


def length_0(asked: Asked) -> None:
    asked.link.raw(bytes(4))


def length_over_the_limit(asked: Asked) -> None:
    asked.link.raw((16 * MIB + 1).to_bytes(4, "big"))


def hangs_up(asked: Asked) -> None:
    asked.link.close()


def not_json(asked: Asked) -> None:
    broadcast = [{"data": b"{", "text": True}]
    asked.link.framed(GameState(request=asked.update.request, sequence=asked.update.sequence, broadcast=broadcast).SerializeToString())


BREACHES = [too_long, no_message, wrong_sequence, unknown_request, length_0, length_over_the_limit, hangs_up, not_json]


def test_no_answer(make_daemon: DaemonMaker) -> None:
    """What is no answer ends the connection, and silence does not last: the same bytes go out again on another one, until the room is paused."""
    house = House(make_daemon, timeout=0.6, retry_for=5.0)

    async def scenario() -> None:
        async with playing(house) as room:
            one = room.players[0]
            for number, breach in enumerate(BREACHES, 2):
                one.game(breach.__name__, id=number)
                first = await room.next("message")
                breach(first)
                again = await house.service.again(first)
                assert again.data == first.data, breach
                assert again.link is not first.link, breach
                await first.link.is_closed()
                house.service.settle(again, state=breach.__name__.encode())
                assert await one.hear("ack") == {"type": "ack", "reply_to": number}, breach
            one.game("silence", id=50)
            first = await room.next("message")
            assert first.update.state == BREACHES[-1].__name__.encode()
            again = await house.service.again(first)
            assert (again.data, again.link is first.link) == (first.data, False)
            house.service.settle(again, broadcast=["told"])
            assert await room.viewer.told() == "told"
            first.answer(broadcast=["told"])
            assert await one.told() == "told"
            await one.hear("ack")
            await paused(room)

    run(scenario, within=60)


async def paused(room: Room) -> None:
    """Silent for `retry_for`: the members are told; then it goes on where it was."""
    one, service = room.players[0], room.house.service
    await one.heard()
    await room.viewer.heard()
    one.game("are you there", id=60)
    asked = await room.next("message")
    await service.vanish()
    state = await room.viewer.state("running.paused")
    assert state["reason"] == "service_silent"
    assert state["message"]
    assert room.house.web.ask("GET", f"/join/{room.room_id}")["state"] == "running.paused"
    other = room.players[1]
    other.line.abort()
    assert (await other.come())["room"]["state"] == "running.paused"
    await service.listen()
    again = await service.again(asked)
    assert again.data == asked.data
    service.settle(again, broadcast=["here"])
    await room.viewer.state("running")
    assert await room.viewer.told() == "here"
    for event in ("left", "joined"):
        service.settle(await room.next(event))
    numbers = [each.update.request for each in service.came]
    assert all(len({each.data for each in service.came if each.update.request == number}) == 1 for number in numbers)
    waits = service.came.count(asked)
    assert waits == 1


def test_through_kill_9(make_daemon: DaemonMaker) -> None:
    """What was told is stored: state, broadcasts, views, answers, timer; and what was not, is asked again in its turn."""
    house = House(make_daemon)

    async def scenario() -> None:
        async with playing(house, broadcast=["begun", b"bin"], views=[(0, "A"), (1, "B")]) as room:
            one, other = room.players
            one.game("a", id=2)
            asked = await room.next("message")
            asked.answer(state=b"kept", views=[(1, "C")], timer_ms=5000)
            await one.hear("game")
            await one.heard()
            one.game("b", id=3)
            lost = await room.next("message")
            house.daemon.kill9()
            before = {each.update.request for each in house.service.came}
            await asyncio.to_thread(house.daemon.start_again)
            for seat in (0, 1):
                left = await room.next("left")
                assert (left.update.left.seat, left.update.left.reason, left.update.sequence) == (seat, "away", lost.update.sequence + seat)
                assert left.update.state == (b"kept" if seat == 0 else b"left 0")
                assert left.update.request not in before, "no request is numbered as one before the kill was"
                assert left.connected() == {0: False, 1: seat == 0} or left.connected() == {0: False, 1: False}
                left.answer(state=f"left {seat}".encode())
            timer = await room.next("timer")
            assert timer.update.timer.due_ms >= asked.update.now_ms + 5000
            timer.answer()
            welcome = await one.come()
            assert (welcome["room"]["state"], welcome["last_id"] >= 2) == ("running", True)
            assert [await one.told(), (await one.line.hear()), await one.told()] == ["begun", b"bin", "A"]
            (await room.next("joined")).answer()
            one.game("a", id=2)
            assert await one.hear("ack") == {"type": "ack", "reply_to": 2}
            one.game("b", id=3)
            again = await room.next("message")
            assert again.body == "b"
            again.answer(state=b"both")
            assert await one.hear("ack") == {"type": "ack", "reply_to": 3}
            await other.come()
            assert [await other.told(), await other.line.hear(), await other.told()] == ["begun", b"bin", "C"]
            await room.viewer.come()
            assert [each["body"] if isinstance(each, dict) else each for each in await room.viewer.heard(2)] == ["begun", b"bin"]

    run(scenario, within=60)


def test_what_the_operator_does_not_allow(make_daemon: DaemonMaker) -> None:
    """An endpoint that is not in `allow`, word for word, is not dialled, and who starts is told so."""
    house = House(make_daemon)
    other = upload(house.daemon, bundle(house.service.endpoint + ":timeout=3"))
    room_id = house.web.create(house.maker, engine={"game_id": other})
    member = Member(house, room_id)

    async def scenario() -> None:
        async with house.open():
            await member.come()
            member.say(type="start", id=1)
            error = await member.hear("error")
            assert error["code"] == 105
            assert "may not call" in error["message"]
            assert house.service.links == []

    run(scenario, within=20)
    status, headers, proto = house.web.request("GET", "/game.proto")
    assert (status, headers["content-type"].split(";")[0]) == (200, "text/plain")
    for words in ("package gameroom.v1;", "message GameUpdate {", "message GameState {", "optional uint32 timer_ms = 6;", "int64 now_ms = 11;"):
        assert words in proto.decode()
