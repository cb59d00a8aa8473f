"""A micro game service is asked what a room would ask it, each update more than once, and what is wrong is gathered.

Everything is asked one by one first, so that what goes wrong is known to be of one update; then all of it again in another order, many at a time
on several connections; and of a program of ours once more when it was started anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from random import Random
from time import time
from typing import Any, Final

import attrs
from twisted.internet.defer import DeferredLock
from twisted.internet.task import deferLater

from gameroom.cli.check_service.answers import difference, oddities
from gameroom.cli.check_service.caller import Caller, Heartbeat, Reply
from gameroom.cli.check_service.cases import Case, Counts, Recorded
from gameroom.cli.check_service.findings import Findings
from gameroom.cli.check_service.lanes import Lane, side_by_side
from gameroom.cli.check_service.place import Make, Place
from gameroom.cli.check_service.plays import Plays
from gameroom.cli.check_service.words import (
    BROKEN_OFF,
    CLOSED,
    DIED,
    FAILED,
    FLOODS,
    IN_FLIGHT,
    RECORDED,
    REQUEST,
    RULES,
    SILENT,
    STARTS,
    TWICE,
    UNTRIED,
)
from gameroom.client.stream import ConnectionFailed
from gameroom.wire.game_service import Event, Message, Started, State, Update

CONNECTIONS: Final = 8
"""The most that a daemon opens."""
IN_FLIGHT_EACH: Final = 4
ALONE: Final = 4
"""Connections that take turns while one update is asked at a time."""
MOST_TROUBLE: Final = 8
"""Updates without an answer, after which it is not gone on."""
LATER: Final = 1.1
"""Seconds between the two times that something is asked, so that a clock is seen that counts in seconds."""
PATIENT: Final = 61.0
"""And one that counts in minutes."""


@attrs.define(kw_only=True)
class Checking:
    """One service under check. What is found is in `findings`."""

    reactor: Any
    place: Place
    timeout: float
    findings: Findings = attrs.field(factory=Findings)
    counts: Counts = attrs.field(factory=Counts)
    cases: list[Case] = attrs.field(factory=list)
    connections: int = CONNECTIONS
    """So many may be open."""
    in_flight_each: int = IN_FLIGHT_EACH
    """Updates on their way on each of them."""
    _random: Random = attrs.field(factory=lambda: Random(6))
    later: float = LATER
    """Seconds between the two times that something is asked, at least."""
    said: Sequence[Message] = ()
    """What players of the game send, as its developer has said: the rules may not fail at it. What was recorded may have been anything."""
    _own: set[tuple[bytes, bool]] = attrs.field(factory=set)
    _request: int = attrs.field(factory=lambda: int(time()) * 1_000_000)
    _callers: list[Caller] = attrs.field(factory=list)
    _heartbeat: Heartbeat = attrs.field(factory=Heartbeat)
    _connecting: DeferredLock = attrs.field(factory=DeferredLock)
    _differing: set[tuple[str, int]] = attrs.field(factory=set)
    """The updates that had another answer the second time."""
    _trouble: int = 0
    _last: Update | None = None

    # One update.

    def numbered(self, update: Update) -> Update:
        """The same, with a number of its own, as each that is sent has one."""
        self._request += 1
        return attrs.evolve(update, request=self._request)

    def caller(self) -> Caller:
        """What a connection is to be."""
        return Caller(self.reactor, timeout=self.timeout, heartbeat=self._heartbeat, stray=self._stray)

    async def connect(self, make: Make | None = None) -> Caller:
        """A new connection, of `make` or else `caller`; the program is started anew where it has ended. Raises `ConnectionFailed` and `BadState`."""
        await self._connecting.acquire()
        try:
            if self.place.ended:
                await self.place.again()
            try:
                return await self.place.connect(make or self.caller)
            except ConnectionFailed:
                if not await self.place.gone():
                    raise
                await self.place.again()
                return await self.place.connect(make or self.caller)
        finally:
            self._connecting.release()

    async def asked(self, update: Update, caller: Caller | None = None) -> Reply:
        """What comes of it alone, on this connection or a new one; what is wrong with it is not gathered yet."""
        self._last = update
        own = caller is None
        try:
            caller = caller or await self.connect()
        except ConnectionFailed as error:
            return Reply(seconds=0.0, trouble=CLOSED, said=str(error))
        try:
            self.counts.asked += 1
            return await caller.ask(self.numbered(update))
        finally:
            if own:
                caller.close()

    async def blamed(self, update: Update, reply: Reply) -> None:
        """Gather what is wrong where there was no answer. A program that has ended with it, or hangs, is started anew: others are not to blame."""
        why = await self.place.gone() if reply.trouble == CLOSED else ""
        if why:
            self.findings.add(DIED, f"its program {why}", update)
        else:
            self.findings.add(reply.trouble, reply.said, update, reply.data)
        self._trouble += 1
        if self.place.can_restart and (why or reply.trouble == SILENT):
            self._put_away()
            await self.place.again()

    def seen(self, update: Update, reply: Reply) -> None:
        """Gather what is wrong with an answer."""
        assert reply.state is not None
        for kind, said in oddities(update, reply.state):
            self.findings.add(RULES if kind == FAILED and self._happens(update.event) else kind, said, update, reply.data)

    def _happens(self, event: Event) -> bool:
        """Whether it does in games as they are meant to be played."""
        return not isinstance(event, Message) or any((event.data, event.text) == (each.data, each.text) for each in self.said)

    @property
    def hopeless(self) -> bool:
        """Whether so much went wrong that it is not gone on."""
        return self._trouble >= MOST_TROUBLE

    # One by one.

    async def one_by_one(self, recorded: Sequence[Recorded], plays: Plays, count: int, own: Sequence[Message]) -> None:
        """All that is recorded, and then `count` updates of plays."""
        self._own = {(each.data, each.text) for each in own}
        self.counts.own_messages = len(self._own)
        for each in recorded:
            if self.hopeless:
                break
            state = await self._first_time(each.update)
            if state is not None and each.state is not None and (found := difference(each.state, state, time())) is not None:
                self.findings.add(RECORDED, f"{found.field}: recorded is {found.one}, and now it is {found.other}", each.update)
        for _ in range(count):
            if self.hopeless:
                break
            update = plays.following()
            plays.answered(update, await self._first_time(update))
        self._put_away()
        if self.hopeless:
            self.findings.add(BROKEN_OFF, f"{self._trouble} updates had no answer")
        if self.counts.starts and not self.counts.started:
            self.findings.add(STARTS, self._why_rejected())
        elif count and not self.counts.accepted:
            known = "none is known" if not self._own else f"{self.counts.messages} were sent, and all rejected"
            self.findings.add(UNTRIED, f"messages of yours: {known}")

    async def _first_time(self, update: Update) -> State | None:
        """Its answer; None where there was none that counts."""
        reply = await self.asked(update, await self._turn())
        if reply.state is None:
            await self.blamed(update, reply)
            return None
        self.seen(update, reply)
        state = reply.state
        if state.sequence != update.sequence:
            return None
        self.cases.append(Case(update, state))
        self._count(update, state)
        return state

    async def _turn(self) -> Caller | None:
        """The connection whose turn it is; None where there is none."""
        self._callers = [each for each in self._callers if each.open]
        if len(self._callers) < min(ALONE, self.connections):
            try:
                self._callers.append(await self.connect())
            except ConnectionFailed:
                return None
        self._callers.append(self._callers.pop(0))
        return self._callers[-1]

    def _count(self, update: Update, state: State) -> None:
        event, good = update.event, state.rejected is None
        self.counts.largest_state = max(self.counts.largest_state, len(state.state))
        if isinstance(event, Started):
            self.counts.starts += 1
            self.counts.started += good
        elif isinstance(event, Message) and (event.data, event.text) in self._own:
            self.counts.messages += 1
            self.counts.accepted += good

    def _why_rejected(self) -> str:
        case = next(each for each in self.cases if isinstance(each.update.event, Started))
        return f"the first one: {case.state.rejected.message if case.state.rejected else ''}"

    # Again.

    async def again(self, *, restarted: bool = False) -> None:
        """All that was answered once more, in another order and many at a time; what is answered otherwise is gathered."""
        if restarted:
            await self.place.again()
        else:
            await deferLater(self.reactor, self.later)
        order = list(self.cases)
        self._random.shuffle(order)
        todo, suspects = deque(order), list[Case]()
        lanes = [Lane(self) for _ in range(self.connections)]
        try:
            await side_by_side(self._work(lane, todo, suspects, restarted) for lane in lanes for _ in range(self.in_flight_each))
        finally:
            for lane in lanes:
                lane.close()
        await self._ask_suspects(suspects, restarted)

    async def _work(self, lane: Lane, todo: deque[Case], suspects: list[Case], restarted: bool) -> None:
        while todo and len(suspects) < MOST_TROUBLE * IN_FLIGHT_EACH:
            case = todo.popleft()
            reply = await lane.ask(case.update)
            if reply.state is None:
                suspects.append(case)
            else:
                self._compare(case, reply, restarted)

    async def _ask_suspects(self, suspects: Sequence[Case], restarted: bool) -> None:
        """Those without an answer among others, alone: which of them are to blame?"""
        guilty = 0
        for case in suspects:
            if guilty >= MOST_TROUBLE // 2:
                return
            reply = await self.asked(case.update)
            if reply.state is None:
                guilty += 1
                await self.blamed(case.update, reply)
            else:
                self._compare(case, reply, restarted)
        for case in suspects if not guilty else ():
            self.findings.add(IN_FLIGHT, f"no answer of {len(suspects)} among up to {self.connections * self.in_flight_each} at a time", case.update)

    def _compare(self, case: Case, reply: Reply, restarted: bool) -> None:
        assert reply.state is not None
        self.seen(case.update, reply)
        found = difference(case.state, reply.state, time())
        if found is None:
            return
        key = (case.update.room_id, case.update.sequence)
        if not restarted:
            self._differing.add(key)
        elif key in self._differing:
            return  # it is not because of the new start
        self.findings.add(found.kind(restarted), str(found), case.update, reply.data)

    # What goes on beside.

    def _stray(self, kind: str, what: str) -> None:
        assert kind in (TWICE, FLOODS, REQUEST)
        self.findings.add(kind, what, self._last)

    def _put_away(self) -> None:
        for each in self._callers:
            each.close()
        self._callers = []
