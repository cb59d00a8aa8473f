"""Services that do what none should: their rooms keep the last state, are told, and go on once the service does; nobody else feels it."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import attrs

from tests.system.hand_service import Asked, HandService
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker
from tests.system.lobby import PASSWORD, LobbyPeer, request
from tests.system.room_lines import SocketLine
from tests.system.scenario import run
from tests.system.service_messages import GameState
from tests.system.test_service_rooms import bundle
from tests.system.web import Seat, Web

MIB = 1 << 20
TIMEOUT, RETRY_FOR = 0.8, 2.0
LONG = 60.0
"""Seconds that no service takes to answer, however busy the machine is."""
WITHIN = 60.0
SWOLLEN = 96 * MIB
"""What all of them together may make the daemon hold, beside what it held before."""

Misdeed = Callable[[Asked], None]


def answer(asked: Asked, **said: Any) -> bytes:
    """The right answer of a game that counts its messages, but for what is said here."""
    count = json.loads(asked.update.state)["n"] if asked.update.state else -1
    count += asked.event in ("started", "message")
    shown = [{"n": count}] if asked.event in ("started", "message") else []
    return asked.state(**{"state": json.dumps({"n": count}).encode(), "broadcast": shown, **said})


def whole(data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + data


def changed(asked: Asked, change: Callable[[Any], Any]) -> bytes:
    """The right answer after this was done to it."""
    state = GameState.FromString(answer(asked))
    change(state)
    return whole(state.SerializeToString())


def raw(*parts: Callable[[Asked], bytes]) -> Misdeed:
    return lambda asked: asked.link.raw(b"".join(part(asked) for part in parts))


def then_closed(misdeed: Misdeed) -> Misdeed:
    def both(asked: Asked) -> None:
        misdeed(asked)
        asked.link.close()

    return both


def late(seconds: float) -> Misdeed:
    return lambda asked: void(asyncio.get_running_loop().call_later(seconds, asked.link.raw, whole(answer(asked))))


def void(_: object) -> None:
    """What was given is not wanted."""


def text(data: bytes) -> Misdeed:
    """The right answer, with this for a JSON broadcast."""
    return raw(lambda asked: changed(asked, lambda state: state.broadcast.add(data=data, text=True)))


def right(asked: Asked) -> bytes:
    return whole(answer(asked))


def bytewise(asked: Asked) -> None:
    for place, byte in enumerate(right(asked)):
        asyncio.get_running_loop().call_later(place / 500, asked.link.raw, bytes((byte,)))


def other_requests(asked: Asked) -> bytes:
    return b"".join(whole(answer(asked, request=asked.update.request + 1000 + number)) for number in range(2000))


HARMFUL: dict[str, tuple[str, Misdeed]] = {
    "says nothing": ("has said nothing", void),
    "is too slow": ("has said nothing", late(3 * TIMEOUT)),
    "another request": ("was not sent on this connection", raw(lambda asked: whole(answer(asked, request=asked.update.request + 1)))),
    "another sequence": ("has sequence", raw(lambda asked: whole(answer(asked, sequence=asked.update.sequence + 1)))),
    "request 0": ("has request 0", raw(lambda asked: whole(answer(asked, request=0)))),
    "a header of 4 GiB": ("a frame of 4294967295 bytes", raw(lambda asked: b"\xff\xff\xff\xff" + right(asked))),
    "a frame of no length": ("a frame of length 0", raw(lambda asked: bytes(4) + right(asked))),
    "one mebibyte over all limits": ("a frame of 17825792 bytes", raw(lambda asked: (17 * MIB).to_bytes(4, "big") + bytes(17 * MIB))),
    "half a frame": ("closed a connection", then_closed(raw(lambda asked: right(asked)[:-3]))),
    "half a header": ("closed a connection", then_closed(raw(lambda asked: b"\0\0"))),
    "half a frame, and waits": ("has said nothing", raw(lambda asked: right(asked)[:-3])),
    "closes at once": ("closed a connection", then_closed(void)),
    "no Protocol Buffers": ("no GameState", raw(lambda asked: whole(b"\xff" * 40))),
    "a page of a web server": ("a frame of 1213486160 bytes", then_closed(raw(lambda asked: b"HTTP/1.1 400 Bad Request\r\n\r\n"))),
    "a flood of zeros": ("a frame of length 0", raw(lambda asked: bytes(4 * MIB))),
    "a flood of answers to nothing": ("was not sent on this connection", raw(other_requests)),
    "a state over 1 MiB": ("state may have at most 1024 KiB", raw(lambda asked: whole(answer(asked, state=b"x" * (MIB + 1))))),
    "broadcasts over 1 MiB": ("broadcast and views together", raw(lambda asked: whole(answer(asked, broadcast=["x" * (MIB // 2)] * 2)))),
    "no JSON": ("broadcast[1].data", text(b'{"n": ')),
    "no UTF-8": ("UTF-8", text(b'"\xff"')),
    "NaN": ("broadcast[1].data", text(b"NaN")),
    "deep": ("depth limit", text(b"[" * 60_000 + b"]" * 60_000)),
    "a mebibyte of lists": ("at most 65536 lists and objects", text(b"[" + b"[]," * 300_000 + b"[]]")),
    "results that are no JSON": ("finished.results", raw(lambda asked: whole(answer(asked, finished=b"{")))),
    "results of 1 MiB": ("finished.results may have at most 16 KiB", raw(lambda asked: whole(answer(asked, finished=["x" * MIB])))),
}
"""What is no answer, however it looks, with words that its developer finds in the log."""

HARMLESS: dict[str, Misdeed] = {
    "twice": raw(right, right),
    "a thousand times": raw(lambda asked: right(asked) * 1000),
    "closes after each answer": then_closed(raw(right)),
    "a byte at a time": bytewise,
    "takes its time": late(1.0),
    "a view for nobody": raw(lambda asked: whole(answer(asked, views=[(63, "you are not here"), (2**32 - 1, b"nor you")]))),
    "fields of a newer page": raw(lambda asked: whole(answer(asked) + b"\xf2\x7f\x03new")),
    "a timer at the end of time": raw(lambda asked: whole(answer(asked, timer_ms=2**32 - 1))),
}
"""What is odd, and still an answer."""


REFUSING: dict[str, Misdeed] = {
    "a rejection of 1 MiB": raw(lambda asked: whole(answer(asked, rejected=(105, "no " * (MIB // 3))))),
    "a rejection in many lines": raw(lambda asked: whole(answer(asked, rejected=(105, "one\ntwo\r\n\x1b[2J\u202ethree\0")))),
    "a code of its own": raw(lambda asked: whole(answer(asked, rejected=(2**32 - 1, "no")))),
    "a rejection without a word": raw(lambda asked: whole(answer(asked, rejected=(0, "")))),
}
"""What is rejected, in words that are not fit to be told."""


@attrs.define(eq=False)
class Case:
    """A service, its game and one room of it. `bad`: whether it misbehaves just now."""

    name: str
    misdeed: Misdeed
    service: HandService = attrs.field(factory=HandService)
    bad: bool = False
    game_id: str = ""
    seats: list[Seat] = attrs.field(factory=list)

    def rule(self, asked: Asked) -> bool:
        if self.bad:
            self.misdeed(asked)
        else:
            asked.link.raw(right(asked))
        return True

    def check(self) -> None:
        """What came: one update after the other, the same bytes each time, and never on more than 8 connections at once."""
        updates = {asked.update.request: asked.data for asked in self.service.came}
        assert all(updates[asked.update.request] == asked.data for asked in self.service.came)
        sequences = [asked.update.sequence for asked in self.service.came]
        assert sequences == sorted(sequences)
        assert set(sequences) == set(range(1, len(updates) + 1))
        assert len(self.service.open) <= 8


class Member:
    """Somebody in a room, who hears what is asked for and passes over the roster."""

    def __init__(self, line: SocketLine) -> None:
        self.line = line
        self.welcome: dict[str, Any] = {}

    @classmethod
    async def come(cls, seat: Seat) -> Member:
        member = cls(await SocketLine.open(seat))
        member.welcome = await member.hear(type="welcome")
        return member

    def game(self, id: int) -> None:
        self.line.say({"type": "game", "id": id, "body": {"add": 1}})

    async def hear(self, **wanted: Any) -> dict[str, Any]:
        """The next message that has these fields; an error that is none of them fails."""
        heard = []
        try:
            async with asyncio.timeout(WITHIN):
                while True:
                    message = await self.line.hear()
                    heard.append(message)
                    assert isinstance(message, dict), message
                    if all(message.get(key) == value for key, value in wanted.items()):
                        return message
                    assert message["type"] != "error", message
        except TimeoutError:
            raise AssertionError(f"{wanted} has not come, but {heard}") from None

    async def counts_to(self, number: int) -> None:
        await self.hear(type="game", body={"n": number})


async def begun(case: Case) -> tuple[Member, Seat]:
    """The first of two is there and plays, and one message was counted."""
    member = await Member.come(case.seats[0])
    member.line.say({"type": "start", "id": 1})
    await member.counts_to(0)
    member.game(2)
    await member.counts_to(1)
    return member, case.seats[1]


async def harmful(case: Case) -> None:
    """The room is paused, and says why to those who are there and to who comes; what is said meanwhile waits; nothing is lost or doubled."""
    member, viewer = await begun(case)
    case.bad = True
    member.game(3)
    paused = await member.hear(type="state", state="running.paused")
    assert (paused["reason"], bool(paused["message"])) == ("service_silent", True), paused
    late_comer = await Member.come(viewer)
    assert late_comer.welcome["room"]["state"] == "running.paused"
    await late_comer.counts_to(1)
    member.game(4)
    case.bad = False
    await member.hear(type="state", state="running")
    for each in (member, late_comer):
        await each.counts_to(2)
        await each.counts_to(3)


async def harmless(case: Case) -> None:
    """Nobody sees anything of it."""
    member, _ = await begun(case)
    case.bad = True
    for number in range(2, 6):
        member.game(number + 1)
        await member.counts_to(number)


async def refusing(case: Case) -> None:
    """The sender alone is told, in one line of no more than 500 characters, and nothing has changed."""
    member, viewer = await begun(case)
    other = await Member.come(viewer)
    case.bad = True
    member.game(3)
    error = await member.hear(type="error", reply_to=3)
    assert (error["code"], len(error["message"]) <= 500, error["message"].isprintable()) == (105, True, True), error
    case.bad = False
    member.game(4)
    for each in (member, other):
        await each.counts_to(2)


async def undisturbed(case: Case, over: asyncio.Event) -> float:
    """Plays at its own pace until the others are through; gives the longest time that an answer took, in seconds."""
    member, _ = await begun(case)
    number, longest = 1, 0.0
    while not over.is_set():
        number, said = number + 1, time.monotonic()
        member.game(number + 1)
        await member.counts_to(number)
        longest = max(longest, time.monotonic() - said)
        await asyncio.sleep(0.05)
    return longest


async def slowness(daemon: Daemon, over: asyncio.Event) -> float:
    """The longest time that the daemon took to answer who asked for nothing, in seconds: what the machine is to be blamed for."""
    reader, writer = await asyncio.open_connection(LOOPBACK, daemon.lobby_port)

    async def ask(kind: str, **payload: str) -> None:
        writer.write(json.dumps(request(kind, payload)).encode() + b"\n")
        assert json.loads(await reader.readline())["code"] == 0

    await ask("REGISTER_PLAYER", username="idler", password=PASSWORD)
    longest = 0.0
    while not over.is_set():
        said = time.monotonic()
        await ask("PING")
        longest = max(longest, time.monotonic() - said)
        await asyncio.sleep(0.02)
    writer.close()
    return longest


class Developer:
    """Who makes all of the games."""

    def __init__(self, daemon: Daemon) -> None:
        self._peer = LobbyPeer(daemon.developer_port)
        self._token = self._peer.good("REGISTER_DEV", {"username": "hostile", "password": PASSWORD})["session_token"]

    def ask(self, kind: str, **payload: Any) -> dict[str, Any]:
        return self._peer.good(kind, payload, self._token)

    def upload(self, name: str, data: bytes) -> str:
        """A new game's id."""
        game_id = str(self.ask("CREATE_GAME", name=name, description="", game_type="cli", max_players=4)["game_id"])
        checksum = hashlib.sha256(data).hexdigest()
        upload_id = self.ask("UPLOAD_BEGIN", game_id=game_id, version="1.0.0", size_bytes=len(data), checksum=checksum)["upload_id"]
        self.ask("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=base64.b64encode(data).decode())
        self.ask("UPLOAD_END", upload_id=upload_id)
        return game_id

    def logs(self, game_id: str) -> str:
        return "\n".join(self.ask("GET_LOGS", game_id=game_id)["lines"])


def made(daemon: Daemon, developer: Developer, cases: list[Case]) -> None:
    """A game and a room for each, with a player and a viewer."""
    web = Web(daemon.web_port)
    maker = web.register()
    for case in cases:
        case.service.rule = case.rule
        case.game_id = developer.upload(case.name, bundle(case.service.endpoint))
        room_id = web.create(maker, engine={"game_id": case.game_id})
        case.seats = [web.join(room_id), web.join(room_id, viewer=True)]


def daemon_with(make_daemon: DaemonMaker, cases: list[Case], **service: float) -> tuple[Daemon, Developer]:
    """A daemon that knows all of these, and their developer."""
    allow = {"allow": [case.service.endpoint for case in cases]}
    # Some seats are waited for until all the others are taken.
    rooms = {"reconnect_window": 240.0, "room_ttl": 240.0}
    daemon = make_daemon(settings={"service": {**allow, **service}, "limits": {"rooms_per_address": 1000}, "rooms": rooms})
    developer = Developer(daemon)
    made(daemon, developer, cases)
    return daemon, developer


async def checked(cases: list[Case], developer: Developer) -> dict[str, str]:
    """What the developer was told of each, once all are through."""
    for case in cases:
        case.check()
    return {case.name: await asyncio.to_thread(developer.logs, case.game_id) for case in cases}


def test_whatever_a_service_does(make_daemon: DaemonMaker) -> None:
    """Two dozen services that go wrong in the midst of a play, each in its own way, all at the same time, and a good one beside them."""
    harm = [Case(name, misdeed) for name, (_, misdeed) in HARMFUL.items()]
    good = Case("good", void)
    cases = [*harm, good]
    daemon, developer = daemon_with(make_daemon, cases, timeout=TIMEOUT, retry_for=RETRY_FOR)
    before = daemon.resident_bytes()

    async def scenario() -> dict[str, str]:
        async with AsyncExitStack() as stack:
            for case in cases:
                await stack.enter_async_context(case.service)
            over = asyncio.Event()
            beside, slow = asyncio.create_task(undisturbed(good, over)), asyncio.create_task(slowness(daemon, over))
            await asyncio.gather(*map(harmful, harm))
            over.set()
            assert await beside < 2 * TIMEOUT + 1.0 + 4 * await slow
            return await checked(cases, developer)

    told = run(scenario, 60)
    assert daemon.resident_bytes() - before < SWOLLEN
    assert {name: told[name] for name, (words, _) in HARMFUL.items() if words not in told[name]} == {}
    # On a busy machine it may have been too slow once.
    assert [line for line in told["good"].splitlines() if "has said nothing" not in line] == []


def test_what_is_odd_and_still_an_answer(make_daemon: DaemonMaker) -> None:
    """Services that answer in ways of their own, and such as refuse in words that cannot be told: none of them is blamed."""
    odd = [Case(name, misdeed) for name, misdeed in HARMLESS.items()]
    rude = [Case(name, misdeed) for name, misdeed in REFUSING.items()]
    cases = [*odd, *rude]
    _, developer = daemon_with(make_daemon, cases, timeout=LONG, retry_for=LONG)

    async def scenario() -> dict[str, str]:
        async with AsyncExitStack() as stack:
            for case in cases:
                await stack.enter_async_context(case.service)
            await asyncio.gather(*map(harmless, odd), *map(refusing, rude))
            return await checked(cases, developer)

    told = run(scenario, 60)
    of_views = told.pop("a view for nobody").splitlines()
    assert [line.partition(") ")[2] for line in of_views] == ["shows a view to nobody: there is no player in seat 63, 4294967295"]
    assert [told[case.name] for case in odd if case.name in told] == [""] * (len(odd) - 1)
