"""Two sides that answer each other's messages over a link that loses, repeats and breaks, and a room that is restarted."""

from __future__ import annotations

from collections import deque
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from gameroom.errors import BadState
from gameroom.rules.transactions import AGAIN_AFTER, REMEMBERED, Answer, Ids, New, Receiver, Repeat, Sender, Sent

KEYS = [None, None, None, "board", "players"]


class Side:
    """One side: what it has to say, and what it has done of what the other has said."""

    def __init__(self, settles_at_once: bool) -> None:
        self.ids = Ids()
        self.sender = Sender(self.ids.take)
        self.receiver = Receiver()
        self.said: list[tuple[Any, int]] = []
        """All that was to be said, by key and number, in order."""
        self.done: list[int] = []
        """What was done of the other's messages, in order."""
        self.kept: dict[int, Answer] = {}
        self.inbox: deque[tuple[str, int, int]] = deque()
        """On its way here: what it is, its id, and its number."""
        self.under_way: dict[int, int] = {}
        self.settles_at_once = settles_at_once
        self.ids_seen: list[int] = []


class Transactions(RuleBasedStateMachine):
    """Each message acts exactly once and in order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.number = 0
        self.room, self.controller = Side(settles_at_once=False), Side(settles_at_once=True)
        self.connected = False

    def other(self, side: Side) -> Side:
        return self.controller if side is self.room else self.room

    def transmit(self, side: Side, sent: Sent | None) -> None:
        if sent is not None and self.connected:
            self.other(side).inbox.append(("message", sent.id, sent.message["n"]))

    def push(self, side: Side) -> None:
        if self.connected:
            self.transmit(side, side.sender.next(self.now))

    sides = st.sampled_from(["room", "controller"])

    # What happens.

    @rule(name=sides, key=st.sampled_from(KEYS))
    def say(self, name: str, key: str | None) -> None:
        side = getattr(self, name)
        if side.sender.waiting > 40:
            return
        self.number += 1
        side.sender.put({"n": self.number}, key)
        side.said.append((key, self.number))
        self.push(side)

    @rule()
    def connect(self) -> None:
        """A new connection: what was on its way is lost."""
        self.connected = True
        for side in (self.room, self.controller):
            side.inbox.clear()
        for side in (self.room, self.controller):
            unanswered = side.sender.connected(self.now)
            self.transmit(side, unanswered)
            if unanswered is None:
                self.push(side)

    @rule()
    def disconnect(self) -> None:
        self.connected = False
        for side in (self.room, self.controller):
            side.inbox.clear()

    @precondition(lambda self: self.room.inbox or self.controller.inbox)
    @rule(name=sides)
    def lose(self, name: str) -> None:
        inbox = getattr(self, name).inbox
        if inbox:
            inbox.popleft()

    @precondition(lambda self: self.room.inbox or self.controller.inbox)
    @rule(name=sides)
    def come_twice(self, name: str) -> None:
        inbox = getattr(self, name).inbox
        if inbox:
            inbox.appendleft(inbox[0])

    @rule(name=sides, settle=st.booleans())
    def receive(self, name: str, settle: bool) -> None:
        side = getattr(self, name)
        if side.inbox:
            self.read(side, settle or side.settles_at_once)

    @rule(seconds=st.sampled_from([0.5, AGAIN_AFTER]))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        if self.connected:
            for side in (self.room, self.controller):
                self.transmit(side, side.sender.again(self.now))

    @precondition(lambda self: self.room.under_way)
    @rule(saved=st.booleans())
    def settle(self, saved: bool) -> None:
        """What the room was saving is saved, or cannot be."""
        number = next(iter(self.room.under_way))
        if saved:
            self.act(self.room, number)
        else:
            del self.room.under_way[number]
            self.room.receiver.failed(number)

    @rule()
    def restart(self) -> None:
        """The room is killed: it knows what it has kept, and what it wanted to say is lost."""
        self.disconnect()
        room = self.room
        ahead = room.ids.ahead
        room.ids = Ids()
        room.ids.forgotten(ahead)
        room.ids.set_aside(ahead + 50)
        room.sender = Sender(room.ids.take)
        room.receiver = Receiver(dict(list(room.kept.items())[-REMEMBERED:]))
        room.under_way.clear()
        room.said = [(key, number) for key, number in room.said if number in self.controller.done]

    def read(self, side: Side, settle: bool) -> None:
        kind, number, what = side.inbox.popleft()
        if kind == "answer":
            if side.sender.answered(number):
                self.push(side)
            return
        try:
            taken = side.receiver.take(number)
        except BadState:
            assert number <= side.receiver.last_id - REMEMBERED, "nobody asks for what is forgotten"
            return
        if isinstance(taken, New):
            side.under_way[number] = what
            if settle:
                self.act(side, number)
        elif isinstance(taken, Repeat):
            assert taken.answer == {"did": what}
            self.answer(side, number)

    def act(self, side: Side, number: int) -> None:
        what = side.under_way.pop(number)
        side.done.append(what)
        side.ids_seen.append(number)
        side.kept[number] = {"did": what}
        side.receiver.done(number, {"did": what})
        self.answer(side, number)

    def answer(self, side: Side, number: int) -> None:
        if self.connected:
            self.other(side).inbox.append(("answer", number, 0))

    # What always holds.

    @invariant()
    def once_and_in_order(self) -> None:
        for side in (self.room, self.controller):
            done = side.done
            assert done == sorted(set(done)), "each once, and in order"
            assert side.ids_seen == sorted(set(side.ids_seen)), "ids grow"

    def teardown(self) -> None:
        """With a link that holds, everything arrives in the end but what something newer has replaced."""
        self.connect()
        for _ in range(400):
            for side in (self.room, self.controller):
                while side.inbox:
                    self.read(side, True)
            while self.room.under_way:
                self.settle(True)
            if not any(side.inbox or side.sender.waiting or side.sender.unanswered for side in (self.room, self.controller)):
                break
            self.wait(AGAIN_AFTER)
        for side in (self.room, self.controller):
            said, done = self.other(side).said, set(side.done)
            for place, (key, number) in enumerate(said):
                replaced = key is not None and any(key == newer for newer, _ in said[place + 1 :])
                assert number in done or replaced, (key, number)
