"""A whole referee, its recording on a real disk and its members' connections, under any interleaving of what may happen.

The rules have machines of their own (tests/rules): this one holds what members are given, and what a kill leaves.
"""

from __future__ import annotations

import json

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import Forbidden
from gameroom.referees.lockstep_lane import SeatLane
from gameroom.rules.lockstep import ITERATING
from gameroom.rules.seats import PLAYS
from gameroom.wire.lockstep import CommandPacket
from tests.referees.lockstep_crowd import Crowded, as_frame, as_message
from tests.referees.lockstep_killable import Killable

LONG, ALONE, TOGETHER = "long", "short, packet by packet", "short, all at once"
WAYS = st.sampled_from([LONG, LONG, ALONE, TOGETHER])
"""How packets come to the play."""


class Crowd(Killable):
    """Clients, a network that delivers what it likes when it likes, and a daemon that is killed."""

    # What clients do.

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 3), most=st.integers(1, 8))
    def reads(self, choice: int, most: int) -> None:
        """Some of what is on its way reaches a client."""
        self.client(choice).take(most)

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 2), lost=st.booleans(), way=WAYS)
    def sends(self, choice: int, lost: bool, way: str) -> None:
        """A client sends what its window has room for; some of it may get lost. What comes the short way may come in one read."""
        client = self.client(choice)
        if client.connection is None:
            return
        lane = None if way == LONG else self.world.referee.lane(client.name)
        for packet in client.packets():
            if lost and packet.generation % 2:
                client.sent = packet.generation
            elif self.on and client.seat is not None:
                self.send(client, packet, lane)
            if lane is not None and way == ALONE:
                lane.end()
        if lane is not None:
            lane.end()

    def send(self, client: Crowded, packet: CommandPacket, lane: SeatLane | None) -> None:
        assert client.seat is not None
        late = packet.generation < self.play.generation
        # What is on its way as history is not given once more.
        repeated = late and client.connection not in self.stage.audience.coming
        if not late and self.play.seats.status[client.seat] is PLAYS:
            self.taken.setdefault((client.seat, packet.generation), client.commands(packet))
        try:
            self.give(client, packet, lane)
        except Forbidden:
            # Put out, and it has not read so yet.
            assert self.ever_wrong
            client.seat = None
        else:
            client.went(packet, repeated)

    def give(self, client: Crowded, packet: CommandPacket, lane: SeatLane | None) -> None:
        if lane is not None:
            data = as_frame(packet) if self.binary else json.dumps(as_message(packet)).encode()
            assert lane.take(data, self.binary, self.world.clock.seconds()), "it is open, and that is a packet"
        elif self.binary:
            self.world.referee.packet(client.name, as_frame(packet), client.connection)
        else:
            self.world.referee.text(client.name, as_message(packet), client.connection)

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 2))
    def says_it_again(self, choice: int) -> None:
        """Nothing has come for long: a client sends its window once more."""
        client = self.client(choice)
        client.sent = min(client.sent, client.applied - 1)

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 3))
    def answers(self, choice: int) -> None:
        """A client gives what it was asked for."""
        client = self.client(choice)
        if client.connection is None:
            return
        message = client.snapshot()
        for said in [*client.out, *([] if message is None else [message])]:
            if self.on:
                self.say(client, said)
        client.out = []

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 3), most=st.integers(1, 3))
    def history(self, choice: int, most: int) -> None:
        """A reader has room for more."""
        connection = self.client(choice).connection
        for _ in range(most):
            if connection is not None:
                connection.read()

    @precondition(lambda self: self.on)
    @rule(turns=st.integers(1, 6), first=st.integers(0, 2), disk=st.booleans(), way=WAYS)
    def plays_on(self, turns: int, first: int, disk: bool, way: str = LONG) -> None:
        """For some turns everything arrives at once, unless the disk takes its time; one is always the first to send, and another the last."""
        for _ in range(turns):
            for choice in (first, (first + 1) % 3, (first + 2) % 3, 3):
                self.history(choice, 3)
                self.reads(choice, 50)
                if choice < 3 and self.on:
                    self.sends(choice, lost=False, way=way)
            if self.on and disk:
                self.disk_is_done()

    # Who is there.

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 3))
    def goes(self, choice: int) -> None:
        """A connection is gone, with all that was on its way."""
        client = self.client(choice)
        if client.connection is not None:
            client.connection = None
            self.world.go(client.name)

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 3), anew=st.booleans(), snapshots=st.booleans(), reads=st.booleans())
    def comes(self, choice: int, anew: bool, snapshots: bool, reads: bool) -> None:
        """A member is there again, or takes over from its own connection; with what it has, or from a page that is loaded anew."""
        client = self.client(choice)
        if client.name not in self.world.room.members:
            return
        if anew:
            client.forget()
        last = client.applied - 1 if client.applied else None
        if self.world.referee.welcome_fields(client.name):
            client.seat = None
        client.arrive(self.world.come(client.name, client.play_id, last, snapshots=snapshots, reads=reads))

    @precondition(lambda self: self.on)
    @rule()
    def all_come(self) -> None:
        """Everybody who is away is there again, with what it has."""
        for choice in range(4):
            if self.client(choice).connection is None:
                self.comes(choice, False, True, True)

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 2), sure=st.integers(0, 9))
    def leaves(self, choice: int, sure: int) -> None:
        """A player is gone for good; that is rare."""
        room, client = self.world.room, self.client(choice)
        if sure or client.name not in room.members:
            return
        del room.members[client.name]
        room.here.pop(client.name, None)
        client.connection, client.seat = None, None
        room.host = next((member.user_id for member in room.members.values() if member.seat is not None), None)
        self.world.referee.left(client.name, choice, "left")

    @precondition(lambda self: self.on)
    @rule(by=st.integers(0, 2), seat=st.integers(0, 2))
    def proposes(self, by: int, seat: int) -> None:
        """To go on without another."""
        if self.client(by).connection is not None:
            self.say(self.client(by), {"type": "drop", "seat": seat})

    # What the play is in.

    @precondition(lambda self: self.on and self.world.room.options.states)
    @rule(choice=st.integers(0, 2), event=st.sampled_from(["menu", "resume"]))
    def pauses(self, choice: int, event: str) -> None:
        """The engine's own paused state begins, or ends."""
        if self.client(choice).connection is not None:
            self.say(self.client(choice), {"type": "transition", "event": event})

    @precondition(lambda self: self.on)
    @rule(choice=st.integers(0, 2), sure=st.integers(0, 3))
    def goes_wrong(self, choice: int, sure: int) -> None:
        """An engine is not what it should be from now on."""
        if not sure:
            self.client(choice).wrong, self.ever_wrong = "wrong", True

    @precondition(lambda self: self.on)
    @rule(how=st.sampled_from(["evict", "resync"]))
    def host_resolves(self, how: str) -> None:
        """The host says what is to be done about a divergence."""
        host = self.world.room.host
        if host is not None and self.clients[host].connection is not None:
            self.say(self.clients[host], {"type": "resolve", "how": how})

    @precondition(lambda self: self.on)
    @rule(seconds=st.sampled_from([0.1, 0.6, 1.1, 6.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        """Deadlines are looked at."""
        self.world.wait(seconds)

    @precondition(lambda self: not self.on)
    @rule()
    def after_the_end(self) -> None:
        """It stays over."""

    # All is well in the end.

    def teardown(self) -> None:
        if hasattr(self, "world"):
            if self.on:
                self.all_is_well()
            self.afterwards(self.world.referee)
            self.disk.stop()

    def all_is_well(self) -> None:
        """Everybody comes, and everything arrives: all are given everything, and every command that was acknowledged is in a master."""
        for turn in range(60):
            if not self.on or self.is_well():
                return
            self.all_come()
            for client in self.clients.values():
                if client.connection is not None:
                    client.connection.read_all()
            for choice in range(4):
                self.says_it_again(min(choice, 2))
                self.pauses(min(choice, 2), "resume")
            self.plays_on(3, turn % 3, True, (LONG, ALONE, TOGETHER)[turn % 3])
            for choice in range(4):
                self.answers(choice)
            if self.on:
                # Where the host was put out itself and the others are of two minds, it can only give up.
                self.host_resolves("abort" if turn > 40 else "resync" if turn % 2 else "evict")
            self.all_are_given_the_same()
            if self.on:
                self.time_passes(1.1)
        raise AssertionError(f"in {self.play.state}, with {[(client.name, client.applied, client.unseen()) for client in self.clients.values()]}")

    def is_well(self) -> bool:
        """Everybody who plays is close behind the newest master, and knows of all of its commands what became of them."""
        play, players = self.play, [client for client in self.clients.values() if client.seat is not None and client.connection is not None]
        playing = set(play.seats.having(PLAYS))
        near = all(client.seat in playing and play.generation - client.applied <= 2 * client.delay for client in players)
        return near and play.state == ITERATING and not any(client.unseen() for client in players)


class CrowdTests(SynchronousTestCase):
    """The machine above."""

    def test_any_interleaving(self) -> None:
        """What members are given is gapless and the same for all, and is what was recorded, whatever happens to them, the disk and the daemon."""
        run_state_machine_as_test(Crowd, settings=settings(max_examples=60, stateful_step_count=50, deadline=None))
