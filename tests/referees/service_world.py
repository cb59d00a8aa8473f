"""A room of a micro game service, which the test answers for."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

import attrs
import orjson
from twisted.internet.defer import Deferred, succeed
from zope.interface.verify import verifyObject

from gameroom.errors import BadState, GameroomError
from gameroom.gameservices.values import ServiceOrder
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.service import ServiceReferee
from gameroom.referees.service_queues import Queues
from gameroom.referees.service_states import KeptStates
from gameroom.referees.service_turns import Turns
from gameroom.rules.manifest import Service
from gameroom.settings import ServiceSettings
from gameroom.wire.game_service import Finished, Message, Rejected, Said, State, Timer, Update, View, state_from_bytes, state_to_bytes
from tests.referees.relay_world import KindTestCase, Somebody

Play = Callable[[Update], State]


def answer(update: Update, state: Any = None, **fields: Any) -> State:
    """What a service may answer: `state`, `broadcast` and what stands in `views` (seat, body) are JSON values; bytes are binary."""
    said = [Said(*_data(each)) for each in fields.pop("broadcast", ())]
    views = [View(seat, *_data(each)) for seat, each in fields.pop("views", ())]
    if "finished" in fields:
        fields["finished"] = Finished(b"" if fields["finished"] is None else orjson.dumps(fields["finished"]))
    if "rejected" in fields:
        fields["rejected"] = Rejected(*fields["rejected"])
    built = State(
        request=1, sequence=update.sequence, state=b"" if state is None else orjson.dumps(state), broadcast=tuple(said), views=tuple(views), **fields
    )
    return state_from_bytes(state_to_bytes(built))


def _data(value: Any) -> tuple[bytes, bool]:
    return (value, False) if isinstance(value, bytes) else (orjson.dumps(value), True)


def ledger(update: Update) -> State:
    """A game whose state is everything that happened, and that shows how much that is; `end` in a message ends it, and `no` is rejected."""
    before = orjson.loads(update.state) if update.state else []
    event = update.event
    if isinstance(event, Message):
        body = orjson.loads(event.data) if event.text else event.data.hex()
        if body == "no":
            return answer(update, rejected=(105, "no"))
        if body == "end":
            return answer(update, before, finished={"so": len(before)}, broadcast=["ended"])
        what = f"{event.seat}:{body}"
    elif isinstance(event, Timer):
        what = "timer"
    else:
        what = type(event).__name__.lower() + (f":{event.seat}:{getattr(event, 'reason', '')}" if hasattr(event, "seat") else "")
    after = [*before, what]
    return answer(
        update, after, broadcast=[{"n": len(after), "what": what}], views=[(player.seat, {"you": player.seat}) for player in update.players]
    )


class FakeLease:
    """What a room has of the fake services."""

    def __init__(self, services: FakeServices, order: ServiceOrder) -> None:
        self.order = order
        self.problem = ""
        self.released = False
        self._services = services

    def ask(self, update: Update) -> Deferred[State]:
        return self._services.asked(self, update)

    def ask_first(self, update: Update) -> Deferred[State]:
        return self._services.asked(self, update)

    def release(self) -> None:
        self.released = True


class FakeServices:
    """Answers updates by `play`, at once; where that is None the test does, with `reply`."""

    def __init__(self) -> None:
        self.settings = ServiceSettings()
        self.play: Play | None = ledger
        self.refuses: BadState | None = None
        self.stopped = False
        self.leases: list[FakeLease] = []
        self.waiting: list[tuple[Update, Deferred[State]]] = []
        self.updates: list[Update] = []
        """All that was asked."""

    @property
    def retry_for(self) -> float:
        return self.settings.retry_for

    @property
    def leased(self) -> int:
        return sum(not lease.released for lease in self.leases)

    def lease(self, order: ServiceOrder) -> FakeLease:
        if self.refuses is not None:
            raise self.refuses
        self.leases.append(FakeLease(self, order))
        return self.leases[-1]

    def room_made(self) -> Deferred[bool]:
        return succeed(False)

    def asked(self, lease: FakeLease, update: Update) -> Deferred[State]:
        assert not lease.released
        self.updates.append(update)

        def cancel(done: Deferred[State]) -> None:
            self.waiting = [each for each in self.waiting if each[1] is not done]

        done: Deferred[State] = Deferred(cancel)
        if self.play is not None:
            done.callback(self.play(update))
        else:
            self.waiting.append((update, done))
        return done

    def reply(self, state: Any = None, **fields: Any) -> Update:
        """Answer the update that waits longest."""
        update, done = self.waiting.pop(0)
        done.callback(answer(update, state, **fields))
        return update

    def play_on(self, play: Play = ledger) -> None:
        """Answer all that waits, and from now on at once."""
        self.play = play
        while self.waiting:
            update, done = self.waiting.pop(0)
            done.callback(play(update))

    def fail(self, error: GameroomError) -> None:
        """The oldest that waits comes to nothing: its service is closed."""
        self.waiting.pop(0)[1].errback(error)


class ServiceTestCase(KindTestCase):
    """A service room with Ada, its host, and Bert."""

    kind = "service"

    def setUp(self) -> None:
        self.services = FakeServices()
        self.states, self.turns, self.queues = KeptStates(), Turns(), Queues()
        self.logged: list[str] = []
        super().setUp()
        self.ada, self.bert = self.member("Ada"), self.member("Bert")

    def make(self, room: IRoom) -> IReferee:
        made = ServiceReferee(
            room,  # type: ignore[arg-type]
            services=self.services,  # type: ignore[arg-type]
            catalogue=self.house.catalogue,  # type: ignore[arg-type]
            database=self.house.database,
            random_bytes=Random(7).randbytes,
            log=lambda game_id, text: self.logged.append(text),
            states=self.states,
            turns=self.turns,
            queues=self.queues,
        )
        assert verifyObject(IReferee, made)
        return made

    def sell(self) -> None:
        super().sell()
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, service=Service(command=("x",)))

    def restart(self) -> None:
        self.services.waiting, self.states, self.turns, self.queues = [], KeptStates(), Turns(), Queues()
        super().restart()

    def start(self) -> None:
        """The play begins; what was said of that is not looked at."""
        assert self.ada.ask("start")["type"] == "ack"
        self.hush()

    def hush(self) -> None:
        for one in (self.ada, self.bert):
            one.connection.take()

    def bodies(self, one: Somebody) -> list[Any]:
        """Of `game` messages, and binary frames, since the last look."""
        return [each.get("binary", each.get("body")) for each in one.heard("game")]

    def events(self) -> list[Any]:
        """What the service was asked about, since the last look."""
        events = [update.event for update in self.services.updates]
        self.services.updates = []
        return events
