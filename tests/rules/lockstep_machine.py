"""The rules of a lock-step play against a simple model, under any interleaving of what may happen: the machine without divergences."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from gameroom.errors import BadState, Forbidden
from gameroom.rules.lockstep import DIVERGED, HELD, ITERATING, LAGGING, Play
from gameroom.rules.lockstep_values import Over, Past, Repeat, Resend, StateChange, Terms
from gameroom.rules.master import Master
from gameroom.rules.seats import DROPPED, EVICTED, GONE, LEFT, PLAYS, RETURNING
from gameroom.wire.lockstep import BINARY, JSON, CommandPacket
from tests.rules.lockstep_client import TERMS, Client


class Lockstep(RuleBasedStateMachine):
    """Clients, a network that loses what it likes, and a model that knows who counts and what was acknowledged."""

    ever_wrong = False

    @initialize(players=st.integers(1, 5), binary=st.booleans(), terms=TERMS)
    def begin(self, players: int, binary: bool, terms: Terms) -> None:
        self.now = 1000.0
        self.rests = 0.0
        self.terms, self.delay, self.interval = terms, terms.input_delay, terms.checksum_interval
        self.packets = BINARY if binary else JSON
        # Seats need not be without gaps.
        self.clients = {2 * seat: Client() for seat in range(players)}
        self.play = Play(terms=self.terms, packets=self.packets, seats=list(self.clients), connected=list(self.clients), now=self.now)
        self.recording: list[bytes] = []
        self.taken: dict[tuple[int, int], bytes] = {}  # by seat and generation: what was acknowledged and is not mastered
        self.counting = set(self.clients)  # as the masters tell
        self.over = False
        self.state = ITERATING
        self.numbers = 0
        self.agreed = -1
        self.iterations = 3

    # What the rules do is checked here.

    def do(self, effects: Any) -> None:
        for effect in effects:
            assert not self.over, "nothing comes after the end"
            if isinstance(effect, Master):
                self.check_master(effect)
            elif isinstance(effect, Over):
                self.over = True
            elif isinstance(effect, StateChange):
                self.state = effect.state
                assert (effect.state == LAGGING) == bool(effect.seats)
            elif isinstance(effect, Repeat):
                assert effect.generation < len(self.recording)
            elif isinstance(effect, Resend):
                assert (effect.seat, effect.generation) not in self.taken, "what is here is not asked for"
            else:
                self.out_of_order(effect)
        self.forget_the_gone()
        assert self.over or self.state == self.play.state

    def out_of_order(self, effect: Any) -> None:
        raise AssertionError(f"{effect}, though everybody's hashes are right and complete")

    def check_master(self, effect: Master) -> None:
        assert self.state == ITERATING, "no master while it is paused"
        assert effect.generation == len(self.recording), "no generation is missing or twice"
        master = self.packets.read_master(effect.data)
        assert master.generation == effect.generation
        self.recording.append(effect.data)
        self.counting -= {event[name] for event in master.system for name in ("dropped", "left", "evicted") if name in event}
        missed = {seat for event in master.system for seat in event.get("missed", ())}
        assert not missed or self.terms.patience is not None
        assert not any((seat, effect.generation) in self.taken for seat in missed), "who has sent is not missed"
        due = {seat: self.taken.pop((seat, effect.generation)) for seat in self.counting - missed}
        assert list(master.commands.items()) == [(seat, due[seat]) for seat in sorted(due) if due[seat]]
        self.counting |= {event["rejoined"] for event in master.system if "rejoined" in event}
        if master.checksum is not None:
            assert self.agreed <= master.checksum[0] < effect.generation
            assert master.checksum[0] % self.interval == 0
            self.check_agreed(*master.checksum)
            self.agreed = master.checksum[0]

    def check_agreed(self, generation: int, value: Any) -> None:
        assert value == self.hash_of(generation)

    def forget_the_gone(self) -> None:
        for seat, generation in list(self.taken):
            if self.play.seats.status[seat] in (DROPPED, LEFT, EVICTED):
                del self.taken[seat, generation]

    def hash_of(self, generation: int, taint: int = 0) -> Any:
        number = generation * 7919 + taint * 10**9
        return number if self.packets.binary else str(number)

    def gone(self, seat: int) -> bool:
        return self.play.seats.status[seat] in GONE

    def pick(self, choice: int) -> int:
        return sorted(self.clients)[choice % len(self.clients)]

    # What clients do.

    def make(self, seat: int, generation: int) -> CommandPacket:
        client = self.clients[seat]
        if generation not in client.made:
            self.numbers += 1
            text = b"[%d]" % self.numbers if self.numbers % 3 else b""
            # The newest that it has applied; one packet is made for each master, so none is left out.
            about = generation - self.delay
            report = about >= 0 and about % self.interval == 0 and not client.silent
            value = self.hash_of(about, client.taint) if report else 0
            client.made[generation] = CommandPacket(generation, 40.0 * (generation % 4), 60.0, about if report else -1, value, text)
        return client.made[generation]

    def arrives(self, seat: int, generation: int) -> None:
        packet, next_one = self.make(seat, generation), self.play.generation
        status = self.play.seats.status[seat]
        first = next_one if status is PLAYS else next_one + 1 if status in (DROPPED, RETURNING) else generation + 1
        if first <= generation:
            self.taken.setdefault((seat, generation), packet.commands)
        before = len(self.recording)
        effects = self.play.receive(seat, packet, self.now)
        if generation < before:
            assert effects[0] == Repeat(seat, generation), "a repeat is answered by its master"
            assert len(effects) == 1 or status is DROPPED, "and by nothing else, unless somebody comes back"
        self.do(effects)

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3), ahead=st.integers(0, 4), lost=st.booleans())
    def send(self, choice: int, ahead: int, lost: bool) -> None:
        """A packet inside a client's window, made when its time has come; some are lost."""
        seat = self.pick(choice)
        client = self.clients[seat]
        generation = client.have + ahead % self.delay
        if not client.connected or self.gone(seat):
            return
        for earlier in range(client.have, generation + 1):
            self.make(seat, earlier)
        if not lost:
            self.arrives(seat, generation)

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3))
    def send_window(self, choice: int) -> None:
        """A client has all masters and sends its whole window, as after a welcome."""
        seat = self.pick(choice)
        client = self.clients[seat]
        if client.connected and not self.gone(seat):
            client.have = len(self.recording)
            for generation in range(client.have, client.have + self.delay):
                if not self.over and not self.gone(seat):
                    self.arrives(seat, generation)

    @precondition(lambda self: not self.over)
    @rule(count=st.integers(1, 5))
    def play_on(self, count: int) -> None:
        """For some turns nothing is lost and everybody who is there plays."""
        for _ in range(count):
            for seat in self.clients:
                if not self.over:
                    self.send_window(sorted(self.clients).index(seat))

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3), masters=st.integers(1, 6))
    def masters_come(self, choice: int, masters: int) -> None:
        """Some masters reach a client."""
        client = self.clients[self.pick(choice)]
        if client.connected:
            client.have = min(len(self.recording), client.have + masters)

    @precondition(lambda self: not self.over and self.recording)
    @rule(choice=st.integers(0, 3), back=st.integers(1, 5))
    def repeat(self, choice: int, back: int) -> None:
        """A packet for a generation that is mastered already."""
        seat = self.pick(choice)
        generation = max(0, len(self.recording) - back)
        if self.clients[seat].connected and not self.gone(seat):
            self.arrives(seat, generation)

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3), beyond=st.integers(0, 3))
    def too_far(self, choice: int, beyond: int) -> None:
        """A packet past the window is refused and changes nothing."""
        seat = self.pick(choice)
        if self.play.seats.status[seat] is EVICTED:
            return
        packet = CommandPacket(len(self.recording) + self.delay + beyond, 40.0, 60.0, -1, 0, b"[0]")
        try:
            self.play.receive(seat, packet, self.now)
        except BadState:
            return
        raise AssertionError("taken, though it is too far ahead")

    # Who is there.

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3))
    def connection_lost(self, choice: int) -> None:
        """A client is away."""
        seat = self.pick(choice)
        if self.clients[seat].connected and not self.gone(seat):
            self.clients[seat].connected = False
            self.do(self.play.disconnected(seat, self.now))

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3))
    def connection_back(self, choice: int) -> None:
        """A client is there again, with all masters."""
        seat = self.pick(choice)
        if not self.clients[seat].connected and not self.gone(seat):
            self.clients[seat].connected = True
            self.clients[seat].have = len(self.recording)
            self.do(self.play.connected(seat, self.now))

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 3))
    def leave(self, choice: int) -> None:
        """A player is gone for good."""
        seat = self.pick(choice)
        self.clients[seat].connected = False
        self.do(self.play.left(seat, self.now))

    @precondition(lambda self: not self.over)
    @rule(by=st.integers(0, 3), choice=st.integers(0, 3))
    def propose_drop(self, by: int, choice: int) -> None:
        """A player wants to go on without another."""
        proposer, seat = self.pick(by), self.pick(choice)
        if not self.clients[proposer].connected:
            return
        fair = not self.clients[seat].connected or (self.state == LAGGING and (seat, len(self.recording)) not in self.taken)
        try:
            self.do(self.play.propose_drop(proposer, seat, self.now))
        except BadState:
            assert not fair or proposer == seat or self.play.seats.status[seat] is not PLAYS or self.state == DIVERGED
        except Forbidden:
            assert self.play.seats.status[proposer] is not PLAYS
        else:
            assert fair or self.terms.patience is not None, "only who is away or lagging can be dropped"

    @precondition(lambda self: not self.over)
    @rule(seconds=st.sampled_from([0.1, 0.6, 1.1, 4.0, 11.0]))
    def time_passes(self, seconds: float) -> None:
        """Deadlines are looked at."""
        self.now += seconds
        had, next_one = set(self.taken), len(self.recording)
        before = dict(self.play.seats.status)
        resting = self.now < self.rests and self.play.state is ITERATING
        effects = self.play.tick(self.now)
        assert not (resting and effects), "it rests, so this need not have been looked for"
        self.rests = self.play.rests_until(self.now)
        self.do(effects)
        for seat, status in self.play.seats.status.items():
            if status is DROPPED and before[seat] is PLAYS and self.terms.patience is None:
                assert not self.clients[seat].connected or (seat, next_one) not in had, "nobody is dropped who is there and has sent"

    @precondition(lambda self: not self.over)
    @rule()
    def killed(self) -> None:
        """The daemon is killed and started again: there is the recording, and nothing else."""
        masters = [self.packets.read_master(data) for data in self.recording]
        past = Past(events=[event for master in masters for event in master.system])
        if masters:
            past = Past(generation=len(masters), iterations=masters[-1].iterations_per_command, checksum=masters[-1].checksum, events=past.events)
        self.rests = 0.0
        self.play = Play(terms=self.terms, packets=self.packets, seats=list(self.clients), connected=(), now=self.now, past=past)
        self.state = self.play.state
        self.taken.clear()
        assert self.play.generation == len(self.recording)
        for client in self.clients.values():
            client.connected = False
            # A new life of a client: commands that are in no master are given anew.
            client.made = {generation: packet for generation, packet in client.made.items() if generation < len(self.recording)}

    # An engine's own pauses.

    @precondition(lambda self: not self.over)
    @rule()
    def hold_or_release(self) -> None:
        """The engine's own paused state begins, or ends."""
        if self.state == HELD:
            effects = self.play.release(self.now)
            self.state = ITERATING
            self.do(effects)
        else:
            self.play.hold(self.now)
            self.state = HELD

    @precondition(lambda self: self.over)
    @rule()
    def after_the_end(self) -> None:
        """It stays over."""

    # What always holds.

    @invariant()
    def never_diverged_by_itself(self) -> None:
        if hasattr(self, "play"):
            assert self.play.state != DIVERGED or self.ever_wrong

    @invariant()
    def nobody_waits_in_vain(self) -> None:
        """A master that could be made was made; a dropped or evicted player is never waited for."""
        if not hasattr(self, "play") or self.over:
            return
        playing = {seat for seat, status in self.play.seats.status.items() if status is PLAYS}
        missing = {seat for seat in playing if (seat, self.play.generation) not in self.taken}
        assert set(self.play.awaited()) == missing
        if self.state in (HELD, DIVERGED):
            return
        assert missing or not playing
        assert playing or not self.play.seats.having(RETURNING), "who wants to come back to an empty play is back at once"
        if self.state == LAGGING:
            assert missing or self.play.seats.connected == set()

    @invariant()
    def patience_ends(self) -> None:
        """While somebody is waited for whose generation has a packet, patience runs; it runs out where the deadline says."""
        if not hasattr(self, "play") or self.over:
            return
        deadline = self.play.next_deadline()
        assert deadline is None or (self.terms.patience is not None and self.state in (ITERATING, LAGGING) and self.play.awaited())
