"""A server room under any interleaving of members, GameServers and time."""

from __future__ import annotations

from typing import Any

import attrs
import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule, run_state_machine_as_test
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import GameroomError, ServerError
from gameroom.rules.room import PLAYING, STARTING
from gameroom.wire import game_port
from tests.gameservers.world import Wire
from tests.referees.relay_world import Somebody
from tests.referees.server_world import TOKEN, FakeServer, ServerCase

NAMES = ("Ada", "Bert", "Cleo")
WHO = st.sampled_from(NAMES)
DOORS = st.sampled_from(("web", "web", "game", "game", "lobby"))


class World(ServerCase):
    """The room, without a test of its own."""

    __test__ = False

    def runTest(self) -> None: ...


class Machine(RuleBasedStateMachine):
    """Ada, Bert and Cleo come and go by any door; Vera watches, so that the room lives."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.world.setUp()
        self.world.gameservers.patient = True
        self.room = self.world.room
        self.tokens: dict[str, str] = {}
        self.here: list[Somebody] = []
        """Connections that are not lost, nor closed by the room."""
        self.wires: list[tuple[FakeServer, str, Wire]] = []
        """Whose connection a GameServer has accepted."""
        self.asked: list[Any] = []
        """What starts came to; None where they are not answered yet."""
        self.world.member("(Vera)", "viewer")

    def done(self, deferred: Deferred[Any]) -> None:
        """Whatever it is answered, it is answered by a word of ours."""
        answered: list[Any] = []
        deferred.addErrback(lambda failure: failure.trap(GameroomError)).addBoth(answered.append)
        assert len(answered) == 1
        assert not isinstance(answered[0], Failure), answered[0]

    # Members.

    @initialize(doors=st.tuples(DOORS, DOORS, DOORS), begun=st.sampled_from((True, True, True, False)))
    def everybody_is_here(self, doors: tuple[str, str, str], begun: bool) -> None:
        for name, door in zip(NAMES, doors, strict=True):
            came = self.world.member(name, "player", door)
            self.tokens[name] = came.token
            self.here.append(came)
        if begun:
            self.begins()
            self.accepts_all()

    @precondition(lambda self: self.room.latest.phase != PLAYING)
    @rule()
    def begins(self) -> None:
        """A start that comes to a play, where enough are here."""
        self.starts()
        if self.world.gameservers.starting:
            self.world.gameservers.ready()

    @rule(name=WHO)
    def joins(self, name: str) -> None:
        try:
            came = self.world.member(name, "player")
        except BaseException:  # the room plays
            assert self.room.value.find(name) is None
            return
        self.tokens[name] = came.token
        self.here.append(came)

    @rule(name=WHO, door=DOORS)
    def comes(self, name: str, door: str) -> None:
        if self.room.value.find(name) is not None and name in self.tokens:
            self.here.append(self.world.connect(name, self.tokens[name], door))

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9))
    def goes(self, which: int) -> None:
        self.here.pop(which % len(self.here)).conversation.lost()

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9))
    def says_hello_again(self, which: int) -> None:
        somebody = self.here[which % len(self.here)]
        somebody.say("hello", token=somebody.token)

    @precondition(lambda self: self.here)
    @rule(which=st.integers(0, 9))
    def sends(self, which: int) -> None:
        """What is sent goes to the member's own GameServer connection, or is refused."""
        somebody = self.here[which % len(self.here)]
        before = {id(wire): wire.value() for _, _, wire in self.wires}
        somebody.conversation.binary(b"\x01\x81\x00\x00")
        for _, name, wire in self.wires:
            if wire.value() != before[id(wire)]:
                assert (name, self.world.room.referee.at_server) == (somebody.user_id, True)

    @rule(name=WHO)
    def leaves(self, name: str) -> None:
        self.done(self.world.house.registry.leave(self.room.room_id, name))

    @rule(name=WHO)
    def is_sent_away(self, name: str) -> None:
        if (host := self.room.value.host) not in (None, name):
            self.done(self.world.house.registry.kick(self.room.room_id, host, name))
            # So that it may come again, and be sent away again.
            self.room.apply(lambda room: attrs.evolve(room, banned=frozenset()))

    @rule()
    def starts(self) -> None:
        place = len(self.asked)
        self.asked.append(None)

        def note(outcome: Any) -> None:
            self.asked[place] = outcome

        self.world.house.registry.start_room(self.room.room_id, self.room.value.host or "Ada").addBoth(note)

    @rule(name=WHO)
    def is_ready(self, name: str) -> None:
        if (member := self.room.latest.find(name)) is not None and member.seat is not None and self.room.latest.phase != PLAYING:
            self.done(self.room.set_ready(name, True))

    # GameServers.

    @precondition(lambda self: self.world.gameservers.starting)
    @rule(fails=st.sampled_from((False, False, False, True)))
    def gets_ready(self, fails: bool) -> None:
        if fails:
            self.world.gameservers.fail(ServerError("it did not get ready", incident="i"))
        else:
            self.world.gameservers.ready()

    @rule(says=st.sampled_from(("yes", "yes", "yes", "no", "nothing")))
    def accepts(self, says: str) -> None:
        """A GameServer accepts the connection that has waited longest; there is no older one of that client."""
        for server in self.world.gameservers.servers:
            if server.endpoint.waiting:
                self.accept(server, says)
                return

    def accept(self, server: FakeServer, says: str = "yes") -> None:
        wire = server.endpoint.connected()
        if not wire.value():
            return
        [(_, kind), (_, auth)] = wire.said()
        assert (kind, auth["token"]) == ({"type": "client"}, TOKEN)
        assert not [each for each in self.wires if each[0] is server and each[1] == auth["id"] and not each[2].gone], "the older one is not gone"
        if not wire.disconnecting:
            assert self.room.latest.member(auth["id"]).seat == auth["seat"]
        self.wires.append((server, auth["id"], wire))
        if says == "yes":
            wire.say(game_port.CONNECTED)
        elif says == "no":
            wire.say(game_port.ERROR, code=102, message="not you")

    @precondition(lambda self: self.world.gameservers.servers)
    @rule()
    def accepts_all(self) -> None:
        while self.world.server.endpoint.waiting:
            self.accept(self.world.server)

    @precondition(lambda self: self.wires)
    @rule(which=st.integers(0, 9), ours=st.sampled_from((True, True, False)))
    def hangs_up(self, which: int, ours: bool) -> None:
        """A connection is gone: one that we closed, or any."""
        wires = [wire for _, _, wire in self.wires if wire.disconnecting or not ours]
        if wires:
            wires[which % len(wires)].hang_up()

    @precondition(lambda self: self.world.gameservers.servers)
    @rule(reason=st.sampled_from(("finished", "server_ended", "server_crashed", "server_silent")))
    def server_ends(self, reason: str) -> None:
        self.world.server.over(reason)

    @rule(seconds=st.sampled_from((1, 1, 6, 11, 61)))
    def time_goes_by(self, seconds: int) -> None:
        for _ in range(seconds):
            self.world.house.clock.advance(1.0)
            for _, _, wire in self.wires:
                if wire.aborted:
                    wire.hang_up()

    # What holds.

    @invariant()
    def programs_are_those_of_plays(self) -> None:
        """There is one program while the room starts or plays, and none else."""
        phase = self.room.latest.phase
        assert self.world.gameservers.running == (phase in (STARTING, PLAYING)), (phase, self.world.gameservers.running)
        assert self.room.value.phase == phase
        assert (len(self.world.gameservers.starting) == 1) == (phase == STARTING)
        assert self.room.referee.at_server == (phase == PLAYING)

    @invariant()
    def starts_are_answered(self) -> None:
        """Nobody waits for a start that is not on; who was answered was told the truth or why not."""
        assert (None not in self.asked) or self.room.latest.phase == STARTING

    @invariant()
    def one_link_each(self) -> None:
        """A member has one living way to the GameServer at most, and only where it sits and has a connection that can carry it."""
        living = [name for server, name, wire in self.wires if server.wanted and not wire.disconnecting and not wire.gone]
        assert len(living) == len(set(living))
        for name in living:
            member = self.room.latest.find(name)
            assert member is not None
            assert member.locked
            assert any(connection.exclusive for connection in self.room.refereed.connections(name))

    @invariant()
    def nobody_is_held_for_nothing(self) -> None:
        assert not any(getattr(somebody.connection, "held", False) for somebody in self.here)

    def teardown(self) -> None:
        """Whoever is in a play and can be joined is, once older connections are gone and the GameServer accepts what waits."""
        if self.room.latest.phase != PLAYING:
            return
        server = self.world.server
        for name in [member.user_id for member in self.room.latest.players]:
            for connection in self.room.refereed.connections(name):
                if connection.exclusive:
                    self.room.referee.welcomed(name, connection, None)  # type: ignore[arg-type]
        for _ in range(6):
            for _, _, wire in self.wires:
                if wire.disconnecting or wire.aborted:
                    wire.hang_up()
            while server.endpoint.waiting:
                self.accept(server)
        living = {name for each, name, wire in self.wires if each is server and not wire.disconnecting and not wire.gone}
        expected = {
            member.user_id for member in self.room.latest.players if any(one.exclusive for one in self.room.refereed.connections(member.user_id))
        }
        assert living == expected, (living, expected)


class MachineTests(SynchronousTestCase):
    """Held by Hypothesis."""

    def test_any_interleaving(self) -> None:
        """Programs, links, phases and answers agree, whatever happens in whichever order."""
        run_state_machine_as_test(Machine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
