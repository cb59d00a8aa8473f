"""Divergences under any interleaving: clients go wrong or silent, answer rightly, wrongly, late or never, and the host does what it likes."""

from __future__ import annotations

from typing import Any

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import precondition, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState
from gameroom.rules.lockstep import DIVERGED, HELD
from gameroom.rules.lockstep_values import AskSnapshot, Divergence, Evict, Restore, Warn
from gameroom.rules.seats import PLAYS
from tests.rules.lockstep_machine import Lockstep


class Disputes(Lockstep):
    """The machine with engines that go wrong."""

    def begin_disputes(self) -> None:
        self.asked: dict[int, int] = {}  # by seat: of which generation
        self.answers: dict[int, tuple[int, int]] = {}  # by seat: generation and taint
        self.divergences = 0
        self.to_evict: list[int] = []

    def __init__(self) -> None:
        super().__init__()
        self.begin_disputes()

    # What the rules do is checked here.

    def out_of_order(self, effect: Any) -> None:
        if isinstance(effect, Divergence):
            self.check_divergence(effect.fields)
        elif isinstance(effect, AskSnapshot):
            assert self.play.seats.status[effect.seat] is PLAYS
            assert effect.seat in self.play.seats.connected
            assert effect.generation == len(self.recording) - 1, "the newest is asked for"
            self.asked[effect.seat] = effect.generation
        elif isinstance(effect, Restore):
            self.check_restore(effect)
        elif isinstance(effect, Evict):
            assert self.to_evict.pop(0) == effect.seat, "with the master that says so"
            self.clients[effect.seat].connected = False
        else:
            assert isinstance(effect, Warn)
            assert self.clients[effect.seat].silent or self.ever_silent, "who leaves nothing out is not warned"

    ever_silent = False

    def check_divergence(self, fields: dict[str, Any]) -> None:
        assert self.state == DIVERGED
        self.divergences += 1
        told = [seat for group in fields["groups"] for seat in group["seats"]]
        assert len(told) == len(set(told))
        assert len(fields["groups"]) > 1, "somebody differs"
        assert set(told) <= {seat for seat, client in self.clients.items() if client.connected}
        assert fields["generation"] % self.interval == 0
        assert fields["last_agreed"] is None or fields["last_agreed"] < fields["generation"] < len(self.recording)

    def check_restore(self, effect: Restore) -> None:
        assert self.state == DIVERGED
        assert effect.giver not in effect.seats
        assert effect.seats
        generation, taint = self.answers[effect.giver]
        assert effect.generation == generation == len(self.recording) - 1, "nothing is mastered before they have it"
        for seat in effect.seats:
            assert self.play.seats.status[seat] is PLAYS
            self.clients[seat].taint = taint
            self.clients[seat].have = generation + 1

    def check_master(self, effect: Any) -> None:
        super().check_master(effect)
        self.to_evict += [event["evicted"] for event in self.packets.read_master(effect.data).system if "evicted" in event]

    def check_agreed(self, generation: int, value: Any) -> None:
        others = [self.hash_of(generation, taint) for taint in range(3)]
        assert not any(self.play.vouched(generation, other) for other in others if other != value), "the master tells what is agreed"

    def do(self, effects: Any) -> None:
        super().do(effects)
        assert self.over or not self.to_evict

    # What goes wrong.

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 4), taint=st.integers(0, 2))
    def goes_wrong(self, choice: int, taint: int) -> None:
        """An engine's state becomes wrong, or another wrong, or right by chance; what it makes from now on tells."""
        self.clients[self.pick(choice)].taint = taint
        self.ever_wrong = True

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 4), silent=st.booleans())
    def goes_silent(self, choice: int, silent: bool) -> None:
        """A client leaves its hashes out, or no longer."""
        self.clients[self.pick(choice)].silent = silent
        self.ever_silent = self.ever_wrong = True

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 4))
    def reloads(self, choice: int) -> None:
        """A client begins anew and plays all masters again: its state is right."""
        seat = self.pick(choice)
        client = self.clients[seat]
        if not self.gone(seat) and client.connected:
            self.connection_lost(choice)
            if not self.over:
                client.taint = 0
                client.made = {generation: packet for generation, packet in client.made.items() if generation < len(self.recording)}
                self.connection_back(choice)

    @precondition(lambda self: not self.over and self.asked)
    @rule(choice=st.integers(0, 4), how=st.sampled_from(["right", "right", "wrong", "cannot", "older"]))
    def answer(self, choice: int, how: str) -> None:
        """Somebody who was asked answers, early or late."""
        seat = sorted(self.asked)[choice % len(self.asked)]
        generation, client = self.asked.pop(seat), self.clients[seat]
        if not client.connected:
            return
        if how == "older":
            generation -= 1
        self.answers[seat] = generation, client.taint
        value = {"wrong": self.hash_of(generation, 77), "cannot": None}.get(how, self.hash_of(generation, client.taint))
        self.do(self.play.snapshot_given(seat, generation, value, self.now))

    @precondition(lambda self: not self.over)
    @rule(choice=st.integers(0, 5), how=st.sampled_from(["evict", "resync"]))
    def host_resolves(self, choice: int, how: str) -> None:
        """The host says something, who may be nobody's seat."""
        self.resolve(how, None if choice == 5 else self.pick(choice))

    def resolve(self, how: str, host: int | None) -> bool:
        before = set(self.play.awaited())
        try:
            effects = self.play.resolve(how, host, self.now)
        except BadState:
            return False
        if host is not None:
            assert self.play.seats.having(PLAYS), (before, "somebody is left")
        self.do(effects)
        return True

    # All is well in the end.

    def teardown(self) -> None:
        if hasattr(self, "play"):
            self.all_is_well()

    def all_is_well(self) -> None:
        if self.state == HELD and not self.over:
            self.hold_or_release()
        for choice in range(len(self.clients)):
            seat = self.pick(choice)
            self.clients[seat].silent = False
            if not self.over and not self.gone(seat) and not self.clients[seat].connected:
                self.connection_back(choice)
        quiet = 0
        for turn in range(200):
            if self.over or quiet == 5:
                break
            told, next_one = self.divergences, len(self.recording)
            self.everybody_does_its_part(("resync", "evict") if turn % 2 else ("evict", "resync"))
            quiet = quiet + 1 if self.divergences == told and len(self.recording) > next_one else 0
        if self.over:
            return
        assert quiet == 5, f"no way out: {self.play.state}"
        playing = self.play.seats.having(PLAYS)
        assert playing
        assert self.state != DIVERGED
        assert len({self.clients[seat].taint for seat in playing}) == 1, "all who play agree"

    def everybody_does_its_part(self, ways: tuple[str, ...]) -> None:
        """Packets come, askers are answered, and where that does not help the host gives its state, or puts out, or gives up."""
        self.play_on(self.interval + self.delay)
        self.time_passes(1.1)
        while self.asked and not self.over:
            self.answer(0, "right")
        if not self.over and self.state == DIVERGED:
            self.time_passes(6.0)
        if self.over or self.state != DIVERGED or self.asked:
            return
        players = [seat for seat in self.play.seats.having(PLAYS) if self.clients[seat].connected]
        if not any(self.resolve(how, host) for how in ways for host in [None, *players]):
            self.do(self.play.resolve("abort", None, self.now))


class DisputeRulesTests(SynchronousTestCase):
    """The machine above."""

    def test_any_interleaving(self) -> None:
        """Masters stay gapless and whole, who is asked can answer, and from every divergence all come to agree again."""
        run_state_machine_as_test(Disputes, settings=settings(max_examples=100, stateful_step_count=50, deadline=None))
