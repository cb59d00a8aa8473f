"""A service room under any interleaving: members that send, go and come back, a service and a database that fail, and a daemon that is killed.

What is held: the service is asked in order, each time from what is durable; what members hear is durable; what was acknowledged stands, once;
and in the end everything that was said has been acted on once, or refused.
"""

from __future__ import annotations

from typing import Any

import attrs
import hypothesis.strategies as st
import orjson
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, RateLimited
from gameroom.settings import ServiceSettings
from gameroom.store import DatabaseUnavailable, service_games
from gameroom.wire.game_service import Message, State, Timer, Update
from gameroom.wire.room_messages import Outgoing, Outgoings
from tests.held import HeldDatabase
from tests.referees.relay_world import Somebody
from tests.referees.service_world import ServiceTestCase, answer
from tests.rooms import NotingConnection

NAMES = ("Ada", "Bert")


def ledger(update: Update, timer_ms: int | None = None) -> State:
    """The state is every update that was not rejected; broadcasts are numbered. Messages that begin with `no` are rejected."""
    entries = orjson.loads(update.state) if update.state else []
    event = update.event
    what = orjson.loads(event.data) if isinstance(event, Message) else type(event).__name__
    if what.startswith("no"):
        return answer(update, rejected=(105, "no"))
    entries.append([update.sequence, what])
    views = [(player.seat, {"seat": player.seat, "n": len(entries)}) for player in update.players]
    return answer(update, entries, broadcast=[{"n": len(entries), "what": what}], views=views, timer_ms=timer_ms)


class Watching(NotingConnection):
    """Sees to it that what it is given is durable, and in order."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.heard = 0

    def deliver_all(self, outgoings: Outgoings) -> None:
        for outgoing in outgoings.messages:
            self.deliver(outgoing)

    def deliver(self, outgoing: Outgoing) -> None:
        super().deliver(outgoing)
        message = self.delivered[-1]
        if message["type"] != "game":
            return
        number = message["body"]["n"]
        entries = self.world.stored()
        assert len(entries) >= number, "it was told before it was stored"
        if "what" in message["body"]:
            assert entries[number - 1][1] == message["body"]["what"]
            assert self.heard in (0, number - 1), "a broadcast is missing, or came twice"
            self.heard = number
        else:
            assert number == self.heard, "a view comes behind its broadcast"


@attrs.define(eq=False)
class Client:
    """Says things under ids, and says them again, in order, until they are answered."""

    name: str
    somebody: Somebody
    token: str
    number: int = 0
    unanswered: dict[int, str] = attrs.field(factory=dict)
    acknowledged: list[str] = attrs.field(factory=list)
    refused: list[str] = attrs.field(factory=list)
    there: bool = True

    def say(self, text: str) -> None:
        self.number += 1
        self.unanswered[self.number] = text
        self.somebody.say("game", id=self.number, body=text)

    def again(self) -> None:
        for number, text in list(self.unanswered.items()):
            self.somebody.say("game", id=number, body=text)

    def read(self) -> None:
        for message in self.somebody.connection.take():
            if message.get("code") == RateLimited.code:
                # Of a repeat, whose answer comes all the same.
                continue
            text = self.unanswered.pop(message.get("reply_to"), None)
            if message["type"] == "ack" and text is not None:
                self.acknowledged.append(text)
            elif message["type"] == "error" and text is not None:
                assert message["code"] == 105, message
                self.refused.append(text)


class World(ServiceTestCase):
    """What the machine moves."""

    reconnect_window = room_ttl = 1e6

    def runTest(self) -> None: ...

    def database(self) -> HeldDatabase:
        self.held = HeldDatabase(holding=False)
        return self.held

    def sell(self) -> None:
        super().sell()
        self.house.limits = attrs.evolve(self.house.limits, messages_per_second=10000)

    def connection(self, door: str) -> Watching:
        return Watching(self)

    def setUp(self) -> None:
        self.clients: list[Client] = []
        super().setUp()
        self.services.settings = ServiceSettings(retry_for=3)
        self.services.play = ledger
        self.start()
        self.services.play, self.held.holding = None, True
        self.clients = [Client(one.user_id, one, one.token) for one in (self.ada, self.bert)]

    def come(self, client: Client) -> None:
        """Over a new connection; too often, and the room does not take it."""
        client.somebody = self.connect(client.name, client.token)
        client.there = any(message["type"] == "welcome" for message in client.somebody.connection.delivered)

    def stored(self) -> list[Any]:
        row: Any = self.successResultOf(self.held.database.interact(service_games.load, self.room.room_id))
        return [] if row is None else list(orjson.loads(row.held.state))

    def kept(self) -> Any:
        return self.successResultOf(self.held.database.interact(service_games.load, self.room.room_id))

    def kill(self) -> None:
        self.house.registry.stop()
        self.held._held, self.held.holding = [], False
        self.services.waiting = []
        self.states._most = 0 if len(self.stored()) % 2 else self.states._most
        self.house = self.house.restarted(reconnect_window=self.reconnect_window, room_ttl=self.room_ttl)
        self.sell()
        self.successResultOf(self.house.registry.start())
        [self.room] = self.house.registry.everything()
        self.held.holding = True
        for client in self.clients:
            client.there = False


class Machine(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.setUp()
        self.said = 0
        self.seen = len(self.world.services.updates)

    @rule(who=st.integers(0, 1), refused=st.booleans(), count=st.integers(1, 3))
    def says(self, who: int, refused: bool, count: int) -> None:
        client = self.world.clients[who]
        for _ in range(count if client.there else 0):
            self.said += 1
            client.say(f"{'no' if refused else 'do'}{self.said}")

    @rule(who=st.integers(0, 1))
    def says_again(self, who: int) -> None:
        if self.world.clients[who].there:
            self.world.clients[who].again()

    @rule(who=st.integers(0, 1))
    def goes(self, who: int) -> None:
        client = self.world.clients[who]
        if client.there:
            client.read()
            client.somebody.conversation.lost()
            client.there = False

    @rule(who=st.integers(0, 1))
    def comes(self, who: int) -> None:
        """Also over a connection that is there: the new one takes over."""
        client = self.world.clients[who]
        client.read()
        self.world.come(client)
        if client.there:
            client.again()

    @precondition(lambda self: self.world.services.waiting)
    @rule(timer_ms=st.sampled_from([None, None, 0, 50, 2000]))
    def answers(self, timer_ms: int | None) -> None:
        update, done = self.world.services.waiting.pop(0)
        done.callback(ledger(update, timer_ms))

    @precondition(lambda self: self.world.services.waiting)
    @rule()
    def is_closed(self) -> None:
        self.world.services.fail(BadState("the service is gone"))

    @rule(refuses=st.booleans())
    def is_refused(self, refuses: bool) -> None:
        self.world.services.refuses = BadState("no sandbox") if refuses else None

    @precondition(lambda self: self.world.held.waiting)
    @rule(how=st.sampled_from(["release", "release", "release", "fail", "fail_after_commit"]))
    def database(self, how: str) -> None:
        if how == "release":
            self.world.held.release()
        else:
            getattr(self.world.held, how)(DatabaseUnavailable("it is away"))

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0]))
    def time_goes(self, seconds: float) -> None:
        self.world.house.clock.pump([0.1] * round(seconds * 10))

    @rule()
    def memory_is_full(self) -> None:
        self.world.states.forget(self.world.room.room_id)

    @rule(committed=st.booleans(), heard=st.booleans())
    def killed(self, committed: bool, heard: bool) -> None:
        """What was being stored may be stored all the same, and what was told last may not have been heard."""
        if committed and self.world.held.waiting:
            self.world.held.fail_after_commit(DatabaseUnavailable("it is killed"))
        for client in self.world.clients if heard else ():
            client.read()
        self.world.kill()

    def check_invariants(self, *args: Any, **kwargs: Any) -> None:
        self.check()

    def check(self) -> None:
        updates = self.world.services.updates
        for update in updates[self.seen :]:
            self.asked(update)
        self.seen = len(updates)

    def asked(self, update: Update) -> None:
        """From what is durable, one after the other."""
        kept = self.world.kept()
        assert update.sequence == kept.kept.sequence + 1, (update.sequence, kept.kept.sequence)
        assert update.state == kept.held.state
        if isinstance(update.event, Timer):
            assert kept.kept.timer_ms == update.event.due_ms <= update.now_ms

    def teardown(self) -> None:
        """All is well again: whatever was not answered is said once more, and each thing has been done once, or refused."""
        world = self.world
        world.services.refuses = None
        for round_ in range(6):
            for client in world.clients:
                client.read()
                if round_ == 2 or not client.there:
                    world.house.clock.advance(60)
                    world.come(client)
                    client.again()
            while world.services.waiting or world.held.waiting:
                world.held.release_all()
                if world.services.waiting:
                    self.answers_one()
            world.house.clock.pump([0.1] * 60)
        done = [what for _, what in world.stored()]
        for client in world.clients:
            client.read()
            assert not client.unanswered, client.unanswered
            mine = [what for what in done if what in client.acknowledged]
            assert mine == sorted(client.acknowledged, key=_number_of), (mine, client.acknowledged)
            assert not set(client.refused) & set(done)
            assert all(what.startswith("no") for what in client.refused), client.refused
        said = [what for what in done if what.startswith("do")]
        assert sorted(said) == sorted(what for client in world.clients for what in client.acknowledged)
        numbers = [number for number, _ in world.stored()]
        assert numbers == sorted(set(numbers))
        assert world.room.refereed.state == "running"

    def answers_one(self) -> None:
        update, done = self.world.services.waiting.pop(0)
        done.callback(ledger(update, 0))


def _number_of(what: str) -> int:
    return int(what[2:])


class ServiceMachineTests(SynchronousTestCase):
    def test_machine(self) -> None:
        """Nothing lost, nothing twice, in order, and stored before it is told."""
        run_state_machine_as_test(Machine, settings=settings(max_examples=40, stateful_step_count=30, deadline=None))
