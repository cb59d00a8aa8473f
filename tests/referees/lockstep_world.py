"""A room, connections and a disk for the tests of the lock-step referee."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from gameroom.errors import GameroomError, NotFound
from gameroom.interfaces import IConnection, IRoom
from gameroom.listeners import Outlet
from gameroom.metrics import Metrics
from gameroom.referees.lockstep import LockstepReferee
from gameroom.rules.room import Member, Player, RoomOptions
from gameroom.rules.states import SETUP, beginning
from gameroom.settings import LockstepSettings
from gameroom.store.recordings import Recordings
from gameroom.wire.lockstep import BINARY, decode_masters
from gameroom.wire.room_messages import Hello, Outgoing, Outgoings

PLAY = "11111111-2222-4333-8444-555555555555"
START = 1_800_000_000.0


@implementer(IConnection)
class FakeConnection:
    """Keeps what it is given; history waits until the reader wants it."""

    exclusive = True
    outlet: Outlet | None = None

    def __init__(self, *, binary: bool = True, reads: bool = True) -> None:
        self.door = "web" if binary else "lobby"
        self.binary = binary
        self.reads = reads
        self.got: list[Outgoing] = []
        self.closed: list[GameroomError | None] = []
        self._waiting: list[Outgoing | Callable[[], Outgoing | None]] = []

    def deliver_all(self, outgoings: Outgoings) -> None:
        for outgoing in outgoings.messages:
            self.deliver(outgoing)

    def deliver(self, outgoing: Outgoing) -> None:
        (self._waiting or self.got).append(outgoing)

    def catch_up(self, source: Callable[[], Outgoing | None]) -> None:
        self._waiting.append(source)
        while self.reads and self._waiting:
            self.read()

    def read(self) -> None:
        """The reader has room for more."""
        if self._waiting:
            head = self._waiting[0]
            outgoing = head if isinstance(head, Outgoing) else head()
            if outgoing is not None:
                self.got.append(outgoing)
            if outgoing is None or outgoing is head:
                self._waiting.pop(0)

    def read_all(self) -> None:
        """The reader keeps up from now on."""
        self.reads = True
        while self._waiting:
            self.read()

    def close(self, error: GameroomError | None) -> None:
        self.closed.append(error)

    # What the tests ask.

    def story(self) -> list[str]:
        """What has come of start, snapshots, masters and the end, in order, as `start`, `snapshot 7`, `8-12`, `over`."""
        told: list[str] = []
        for outgoing in self.got:
            found = FakeConnection()
            found.got = [outgoing]
            generations = found.generations()
            if generations:
                first, last = generations[0], generations[-1]
                if told and told[-1].rpartition("-")[2] == str(first - 1):
                    told[-1] = f"{told[-1].partition('-')[0]}-{last}"
                else:
                    told.append(f"{first}-{last}")
            elif not outgoing.binary:
                message = json.loads(outgoing.data)
                if message["type"] in ("start", "snapshot", "divergence", "chat"):
                    told.append(f"snapshot {message['generation']}" if message["type"] == "snapshot" else message["type"])
        return told

    def texts(self, kind: str) -> list[dict[str, Any]]:
        messages = [json.loads(outgoing.data) for outgoing in self.got if not outgoing.binary]
        return [message for message in messages if message["type"] == kind]

    def generations(self) -> list[int]:
        """Of every master that has come, batches included, in order."""
        found: list[int] = []
        for outgoing in self.got:
            if outgoing.binary:
                frames = [outgoing.data] if outgoing.data[0] == 2 else decode_masters(outgoing.data)[1]
                found += [BINARY.read_master(frame).generation for frame in frames]
            else:
                message = json.loads(outgoing.data)
                masters = [message] if message["type"] == "master" else message.get("masters", [])
                assert message["type"] != "masters" or message["from"] == masters[0]["generation"]
                found += [master["generation"] for master in masters]
        return found


@implementer(IRoom)
class FakeRoom:
    """A room that keeps what its referee does."""

    def __init__(self, options: RoomOptions, clock: Clock) -> None:
        self.room_id = "99999999-2222-4333-8444-555555555555"
        self.options = options
        self.made_from = "192.0.2.1"
        self.configuration: dict[str, Any] = {"map": "small"}
        self.revision = 1
        self.host: str | None = "ann"
        self.members = {name: Member(user_id=name, name=name, seat=seat) for name, seat in (("ann", 0), ("bob", 1), ("vic", None))}
        self.here: dict[str, list[FakeConnection]] = {name: [FakeConnection()] for name in self.members}
        self.states: list[tuple[str, list[str] | None]] = []
        self.ended: list[tuple[str, Any]] = []
        self.patches: list[tuple[Mapping[str, Any], str]] = []
        self.setup_state = beginning(options.states, SETUP)
        self.last_over: Outgoing | None = None
        self.saving: Deferred[None] = succeed(None)
        """What is waited for where a state of setup is entered."""
        self._clock = clock

    def connected_fields(self, user_id: str, details: Any = None) -> dict[str, Any]:
        raise NotImplementedError("no GameServer plays here")

    def now(self) -> float:
        return float(self._clock.seconds())

    def member(self, user_id: str) -> Member:
        if user_id not in self.members:
            raise NotFound(f"{user_id} is not in this room")
        return self.members[user_id]

    def is_connected(self, user_id: str) -> bool:
        return bool(self.here.get(user_id))

    def connections(self, user_id: str) -> Sequence[FakeConnection]:
        return tuple(self.here.get(user_id, ()))

    def everyone(self) -> Iterable[FakeConnection]:
        return [connection for connections in self.here.values() for connection in connections]

    def broadcast(self, outgoing: Outgoing) -> None:
        for connection in self.everyone():
            connection.deliver(outgoing)

    def tell(self, user_id: str, outgoing: Outgoing) -> None:
        for connection in self.connections(user_id):
            connection.deliver(outgoing)

    def configure(self, patch: Mapping[str, Any], by: str) -> Deferred[None]:
        self.patches.append((patch, by))
        return succeed(None)

    @property
    def seated(self) -> list[str]:
        return [member.user_id for member in self.members.values() if member.seat is not None]

    def enter(self, state: str) -> Deferred[None]:
        before, self.setup_state = self.setup_state, state

        def taken_back(failure: Failure) -> Failure:
            self.setup_state = before
            return failure

        return self.saving.addCallbacks(lambda _: self.show_state(state), taken_back)

    def show_state(self, state: str, reason: str | None = None, members: Sequence[str] | None = None, message: str | None = None) -> None:
        self.states.append((state, None if members is None else list(members)))

    def wake(self) -> None: ...

    def over(self, reason: str, results: Any = None) -> None:
        self.ended.append((reason, results))


class RefereeCase(SynchronousTestCase):
    """A room with two players, ann (its host) and bob, and a viewer, vic; with `third` there is cat as well, who plays."""

    third = False
    options: ClassVar[Mapping[str, Any]] = {}
    settings = LockstepSettings()

    def setUp(self) -> None:
        self.lay(**self.options)

    def lay(self, **options: Any) -> None:
        """A room with these options, and nothing of any other."""
        self.clock = Clock()
        self.clock.advance(START)
        self.folder = Path(self.mktemp())
        self.threads: list[tuple[Deferred[Any], Callable[..., Any], tuple[Any, ...]]] | None = None
        self.recordings = Recordings(self.folder, clock=self.clock, defer_to_thread=self.in_thread)
        self.metrics = Metrics()
        self.room = FakeRoom(RoomOptions(engine={"url": "https://example.org/e.js"}, seed=5, **options), self.clock)
        if self.third:
            self.room.members["cat"] = Member(user_id="cat", name="cat", seat=2)
            self.room.here["cat"] = [FakeConnection()]
        self.referee = self.make()
        self.players = [Player(seat=seat, user_id=name, name=name) for seat, name in enumerate(("ann", "bob", "cat")[: 2 + self.third])]

    def make(self) -> LockstepReferee:
        return LockstepReferee(self.room, recordings=self.recordings, settings=self.settings, metrics=self.metrics, room_ttl=120.0, clock=self.clock)

    def in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """At once, or, where `threads` is a list, when `release` is called."""
        if self.threads is None:
            return maybeDeferred(function, *args)
        deferred: Deferred[Any] = Deferred()
        self.threads.append((deferred, function, args))
        return deferred

    def release(self) -> None:
        held, self.threads = self.threads or [], []
        for deferred, function, args in held:
            maybeDeferred(function, *args).chainDeferred(deferred)

    def begin(self) -> None:
        self.successResultOf(self.referee.begin(PLAY, self.players))
        self.referee.begun()

    def say(self, user_id: str, message: dict[str, Any]) -> Any:
        return self.referee.text(user_id, message, self.room.here[user_id][0])

    def send(self, user_id: str, generation: int, commands: Sequence[Any] = (), **fields: Any) -> Any:
        message = {"type": "commands", "generation": generation, "latency": 50, "framerate": 60, "commands": list(commands)}
        return self.say(user_id, message | fields)

    def turns(self, first: int, last: int) -> None:
        """All players play these generations, the last included."""
        for generation in range(first, last + 1):
            for player in self.players:
                self.send(player.user_id, generation, [f"{player.user_id} {generation}"])

    def hashed(self, first: int, last: int, **different: str) -> None:
        """All players play these generations and report the hash of the generation two before: `h<generation>`, but for those named here."""
        for generation in range(first, last + 1):
            for player in self.players:
                value = different.get(player.user_id, f"h{generation - 2}")
                fields: dict[str, Any] = {"checksum": {"generation": generation - 2, "value": value}} if generation >= 2 else {}
                self.send(player.user_id, generation, **fields)

    def come(
        self, user_id: str, play_id: str | None = None, last_generation: int | None = None, *, snapshots: bool = True, **kind: bool
    ) -> FakeConnection:
        """A new connection takes over, as `LivingRoom.attach` does it."""
        connection = FakeConnection(**kind)
        first = not self.room.here.get(user_id)
        self.room.here[user_id] = [connection]
        self.referee.welcomed(user_id, connection, Hello(play_id=play_id, last_generation=last_generation, snapshots=snapshots))
        if first:
            self.referee.connected(user_id)
        return connection

    def go(self, user_id: str) -> None:
        self.room.here[user_id] = []
        self.referee.disconnected(user_id)

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.recordings.path(PLAY).read_bytes().splitlines()]

    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.referee.tick(self.clock.seconds())
