"""The rules of Liar's Dice: one function of the last state and what has happened."""

from __future__ import annotations

import copy
import importlib.util
import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from hypothesis import settings, strategies
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

import gameroom
from gameroom.wire import game_service as wire

FOLDER = Path(gameroom.__file__).parent / "games" / "liars-dice"


def _rules() -> Any:
    spec = importlib.util.spec_from_file_location("liars_dice", FOLDER / "service.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    # The kit is found beside it, as the program finds it.
    with mock.patch.object(sys, "path", [str(FOLDER), *sys.path]):
        spec.loader.exec_module(module)
    return module


rules = _rules()
kit = sys.modules["gameroom_service"]
NOW = 1_800_000_000_000
SEED = 8_123_456_789_012_345


class Table:
    """A match as gameroom keeps it: states go through JSON, and each update is worked out twice."""

    def __init__(self, seats: int = 3, config: Any = None, *, seed: int = SEED) -> None:
        self.now = NOW
        self.players = [kit.Player(seat, f"user{seat}", f"Player {seat}", True) for seat in range(seats)]
        self.state: Any = None
        self.table: Any = None
        self.hands: dict[int, list[int]] = {}
        self.results: Any = None
        self.timer_at: int | None = None
        self.happen("started", seed=seed, config=config)

    def happen(self, kind: str, **about: Any) -> Any:
        """Let something happen; gives what was said of it. Raises what the rules refuse."""
        first, second = (self._event(kind, about) for _ in range(2))
        state = rules.update(copy.deepcopy(self.state), first)
        assert (rules.update(copy.deepcopy(self.state), second), _told(second)) == (state, _told(first)), "the rules are no function"
        self.state = json.loads(json.dumps(state))
        [said] = first.broadcasts
        self.table = json.loads(said["data"])["table"]
        for view in first.views:
            self.hands[view["seat"]] = json.loads(view["data"])["hand"]["dice"]
        if first.timer_ms is not None:
            self.timer_at = self.now + first.timer_ms if first.timer_ms else None
        if first.finished is not None:
            self.results = json.loads(first.finished["results"])
        return first

    def _event(self, kind: str, about: dict[str, Any]) -> Any:
        return kit.Event(kind, players=self.players, now_ms=self.now, **copy.deepcopy(about))

    def says(self, seat: int, do: str, **more: Any) -> None:
        self.happen("message", seat=seat, body={"do": do, **more})

    def bids(self, count: int, face: int) -> None:
        self.says(self.table["at"], "bid", count=count, face=face)

    def time_is_up(self) -> None:
        assert self.timer_at is not None
        self.now = self.timer_at
        self.happen("timer", due_ms=self.timer_at)

    def away(self, seat: int) -> None:
        self._is(seat, False)
        self.happen("left", seat=seat, reason="away")

    def back(self, seat: int) -> None:
        self._is(seat, True)
        self.happen("joined", seat=seat)

    def leaves(self, seat: int, reason: str = "left") -> None:
        self.players = [player for player in self.players if player.seat != seat]
        self.happen("left", seat=seat, reason=reason)

    def _is(self, seat: int, connected: bool) -> None:
        self.players = [player._replace(connected=connected) if player.seat == seat else player for player in self.players]

    def dice(self) -> list[int]:
        return [player["dice"] for player in self.table["players"]]

    def truth(self, face: int) -> int:
        """How many there are, as nobody at the table can know."""
        return sum(die in (1, face) for player in rules.alive(self.state) for die in player["hand"])

    def deal(self, *hands: list[int]) -> None:
        """Put these under the cups instead."""
        for player, hand in zip(self.state["players"], hands, strict=True):
            player["hand"], player["dice"] = list(hand), len(hand)


def _told(event: Any) -> Any:
    return (event.broadcasts, event.views, event.timer_ms, event.finished)


class RoundTests(SynchronousTestCase):
    """Bids, calls and lost dice."""

    def refused(self, table: Table, seat: int, words: str, code: int = 105, **body: Any) -> None:
        before = copy.deepcopy(table.state)
        with pytest.raises(kit.Rejected, match=words) as refusal:
            table.happen("message", seat=seat, body=body)
        self.assertEqual((refusal.value.code, table.state), (code, before))

    def test_everybody_sees_their_own_dice(self) -> None:
        """Five each, shown to their seat alone, from 1 to 6, other ones for another seed or another deal."""
        table = Table(6)
        self.assertEqual(sorted(table.hands), [0, 1, 2, 3, 4, 5])
        self.assertTrue(all(len(hand) == 5 and hand == sorted(hand) and {*hand} <= {*range(1, 7)} for hand in table.hands.values()))
        self.assertEqual((table.table["total"], table.table["phase"], table.table["bids"]), (30, "bidding", []))
        self.assertNotEqual(table.hands, Table(6, seed=1).hands)
        self.assertEqual(table.hands, Table(6).hands)

    def test_dice_are_fair(self) -> None:
        """Each face about as often as any other, in thousands of dice."""
        found = rules.pick({"seed": SEED}, "fair", 6, 60_000)
        for face in range(1, 7):
            self.assertLess(abs(found.count(face) - 10_000), 500)

    def test_bids_rise_and_the_turn_goes_round(self) -> None:
        """More dice, or as many of a higher face; seat after seat, and back to the first."""
        table = Table(3)
        first = table.table["at"]
        for count, face in ((1, 4), (1, 6), (2, 2), (3, 2)):
            table.bids(count, face)
        self.assertEqual([made["seat"] for made in table.table["bids"]], [first, (first + 1) % 3, (first + 2) % 3, first])
        at = table.table["at"]
        for count, face in ((3, 2), (2, 6), (1, 3)):
            self.refused(table, at, "Go higher than 3 × 2", do="bid", count=count, face=face)

    def test_a_true_bid_costs_the_caller_a_die(self) -> None:
        """Ones count as any face."""
        table = Table(2)
        at = table.table["at"]
        table.deal([1, 1, 4], [4, 2, 6])
        table.bids(4, 4)
        table.says(1 - at, "call")
        reveal = table.table["reveal"]
        self.assertEqual((reveal["actual"], reveal["loser"], reveal["by"]), (4, 1 - at, 1 - at))
        self.assertEqual(reveal["hands"], {"0": [1, 1, 4], "1": [4, 2, 6]})
        self.assertEqual(sorted(table.dice()), [2, 3])

    def test_a_lie_costs_the_bidder_a_die(self) -> None:
        """Who has lost it begins the next round, with a die less."""
        table = Table(2)
        at = table.table["at"]
        table.deal([2, 2, 3], [3, 3, 6])
        table.bids(3, 2)
        table.says(1 - at, "call")
        self.assertEqual((table.table["reveal"]["loser"], table.table["phase"], table.table["at"]), (at, "reveal", None))
        table.says(0, "next")
        self.assertEqual((table.table["phase"], table.table["seen"]), ("reveal", [0]))
        table.says(1, "next")
        self.assertEqual((table.table["phase"], table.table["at"], table.table["round"]), ("bidding", at, 2))
        self.assertEqual(len(table.hands[at]), 2)

    def test_the_last_with_dice_wins(self) -> None:
        """Who has none is out and only looks on; the next in turn begins instead."""
        table = Table(3)
        table.deal([2], [2], [2, 2])
        while table.table["at"] != 0:
            table.bids(len(table.table["bids"]) + 1, 2)
        table.bids(4, 6)
        table.says(1, "call")
        self.assertEqual((table.table["reveal"]["loser"], table.table["reveal"]["out"], table.results), (0, True, None))
        self.refused(table, 0, "no dice left", do="next")
        for seat in (1, 2):
            table.says(seat, "next")
        self.assertEqual((table.table["at"], table.dice()), (1, [0, 1, 2]))
        table.deal([], [3], [2, 2])
        table.bids(1, 6)
        table.says(2, "call")
        self.assertEqual((table.table["phase"], table.table["winner"], table.results), ("over", 2, {"winners": [2], "rounds": 2}))
        self.assertIsNone(table.timer_at)

    def test_what_is_refused(self) -> None:
        """Each with words for a person, and nothing changes."""
        table = Table(2)
        at = table.table["at"]
        self.refused(table, at, "no bid yet", do="call")
        self.refused(table, 1 - at, "not your turn", do="bid", count=1, face=2)
        self.refused(table, at, "only 10 dice", do="bid", count=11, face=2)
        self.refused(table, at, "cups are down", do="next")
        for count, face in ((0, 2), (1, 1), (1, 7), (True, 2), (1.0, 2), ("1", 2), (None, None), (-1, 3)):
            self.refused(table, at, "from 2 to 6", 100, do="bid", count=count, face=face)
        bodies: list[Any] = [None, [], "call", 7, {}, {"do": "win"}, {"do": ["bid"]}]
        for body in bodies:
            with pytest.raises(kit.Rejected, match="say"):
                table.happen("message", seat=at, body=body)
        with pytest.raises(kit.Rejected, match="say"):
            table.happen("message", seat=at, data=b"\x01")
        table.bids(1, 2)
        table.says(1 - at, "call")
        self.refused(table, at, "cups are lifted", do="bid", count=9, face=2)

    def test_what_was_meant_for_another_turn_does_nothing(self) -> None:
        """A message that was long on its way does not act in a turn that its sender never saw."""
        table = Table(2)
        at, turn = table.table["at"], table.table["turn"]
        table.says(at, "bid", count=1, face=2, turn=turn)
        table.bids(1, 3)
        self.refused(table, at, "turn is over", do="call", turn=turn)
        table.says(at, "call", turn=table.table["turn"])

    def test_settings(self) -> None:
        """Dice and seconds come from the room's configuration; nonsense is told to who starts."""
        table = Table(2, {"dice": 1, "turn_seconds": 10, "theme": "felt"})
        self.assertEqual((table.dice(), table.table["allowed_ms"]), ([1, 1], 10_000))
        for config in ({"dice": 0}, {"dice": 9}, {"dice": True}, {"dice": "5"}, {"turn_seconds": 4}, {"turn_seconds": 1.5}):
            with pytest.raises(kit.Rejected, match="whole number"):
                Table(2, config)
        with pytest.raises(kit.Rejected, match="two players"):
            Table(1)

    def test_the_kit_answers_with_it(self) -> None:
        """As bytes, with what is random to each room by its seed alone."""
        players = tuple(wire.Player(**player._asdict()) for player in Table(2).players)
        started = wire.Started(config=b"{}", seed=SEED)
        about: dict[str, Any] = {"room_id": "r", "sequence": 1, "state": b"", "now_ms": NOW, "game_id": "g", "version": "1.0.0"}
        update = wire.Update(request=7, players=players, event=started, **about)
        state = wire.state_from_bytes(kit.answer(rules.update, wire.update_to_bytes(update)))
        self.assertEqual((state.rejected, state.timer_ms, [view.seat for view in state.views]), (None, 45_000, [0, 1]))
        [said] = state.broadcast
        self.assertNotIn(str(SEED).encode(), said.data)


class TimeTests(SynchronousTestCase):
    """Nobody waits for ever, and no match plays on by itself."""

    def test_time_runs_out(self) -> None:
        """With nothing to call the smallest bid is made, else the bid is called; then the cups stay up for a while."""
        table = Table(2)
        at = table.table["at"]
        table.time_is_up()
        self.assertEqual(table.now - NOW, 45_000)
        self.assertEqual(table.table["happened"], {"what": "bid", "seat": at, "count": 1, "face": 2, "late": True})
        table.time_is_up()
        self.assertEqual((table.table["reveal"]["by"], table.table["happened"]["late"]), (1 - at, True))
        self.assertEqual(table.table["until_ms"], table.now + 15_000)
        table.time_is_up()
        self.assertEqual((table.table["round"], table.table["until_ms"]), (2, table.now + 45_000))

    def test_who_is_away_has_less_time(self) -> None:
        """Fifteen seconds, and all that was left of theirs when they are back."""
        table = Table(2)
        at = table.table["at"]
        table.now += 5000
        table.away(at)
        self.assertEqual(table.timer_at, table.now + 15_000)
        table.now += 10_000
        table.back(at)
        self.assertEqual(table.timer_at, NOW + 45_000)
        table.away(1 - at)
        self.assertEqual(table.timer_at, NOW + 45_000)
        table.bids(1, 2)
        self.assertEqual(table.timer_at, table.now + 15_000)

    def test_nobody_is_here(self) -> None:
        """The clock stops when the last is away, as after a restart of the daemon, and begins anew with the first who is back."""
        table = Table(2)
        for seat in (0, 1):
            table.away(seat)
        self.assertEqual((table.timer_at, table.table["until_ms"]), (None, None))
        table.now += 3_600_000
        table.back(1)
        limit = 45_000 if table.table["at"] == 1 else 15_000
        self.assertEqual(table.timer_at, table.now + limit)
        with pytest.raises(kit.Rejected):
            Table(2).happen("joined", seat=9)

    def test_the_lifted_cups_wait_for_those_who_are_here(self) -> None:
        """Once they have seen them it goes on; who is away or goes away is not waited for."""
        table = Table(3)
        table.bids(1, 2)
        table.says(table.table["at"], "call")
        table.says(0, "next")
        table.away(1)
        self.assertEqual(table.table["phase"], "reveal")
        table.leaves(2, "kicked")
        self.assertEqual((table.table["phase"], table.table["round"]), ("bidding", 2))

    def test_who_leaves_takes_the_dice_along(self) -> None:
        """What was bid was bid on those, too: all shake again, it is the same round, and with one left the match is over."""
        table = Table(3)
        table.bids(1, 2)
        at, before = table.table["at"], dict(table.hands)
        table.leaves(at, "timeout")
        self.assertEqual((table.table["round"], table.table["bids"], table.table["total"]), (1, [], 10))
        self.assertEqual(table.table["at"], (at + 1) % 3)
        self.assertNotEqual({seat: table.hands[seat] for seat in range(3) if seat != at}, {seat: before[seat] for seat in range(3) if seat != at})
        other = table.table["at"]
        table.leaves(other)
        self.assertEqual(table.results["winners"], [3 - at - other])

    def test_who_is_out_may_go(self) -> None:
        """It changes nothing for the others but what is shown of them."""
        table = Table(3)
        table.deal([2], [3, 3], [3, 3])
        while table.table["at"] != 0:
            table.bids(len(table.table["bids"]) + 1, 2)
        table.bids(4, 6)
        table.says(1, "call")
        for seat in (1, 2):
            table.says(seat, "next")
        deal, timer = table.table["deal"], table.timer_at
        table.away(0)
        table.back(0)
        table.leaves(0)
        self.assertEqual((table.table["deal"], table.timer_at, table.table["players"][0]["left"]), (deal, timer, True))


class LiarsDiceMachine(RuleBasedStateMachine):
    """Whatever people do: dice only shrink, nothing hidden is told, the time runs or nobody is here, and the match ends."""

    table: Table

    @initialize(seats=strategies.integers(2, 6), dice=strategies.integers(1, 8), seed=strategies.integers(0, 2**53 - 1))
    def begin(self, seats: int, dice: int, seed: int) -> None:
        self.table = Table(seats, {"dice": dice}, seed=seed)
        self.sums = [sum(self.table.dice())]

    def on(self) -> bool:
        return self.table.results is None

    def do(self, act: Any) -> None:
        """Do it, also with other dice under the cups: what all are told is the same until the cups are lifted. After the end nothing happens."""
        if not self.on():
            return
        other = copy.deepcopy(self.table)
        for player in other.state["players"]:
            player["hand"] = [die % 6 + 1 for die in player["hand"]]
        try:
            act(self.table)
        except kit.Rejected:
            with pytest.raises(kit.Rejected):
                act(other)
            return
        act(other)
        if self.table.table["happened"]["what"] != "call":
            assert other.table == self.table.table, "the table tells something of hidden dice"
        self.sums.append(sum(self.table.dice()))

    @rule(data=strategies.data())
    def bid(self, data: strategies.DataObject) -> None:
        table = self.table.table
        last = table["bids"][-1] if table["bids"] else {"count": 1, "face": 1}
        count = data.draw(strategies.integers(last["count"], min(last["count"] + 3, max(table["total"], last["count"]))))
        face = data.draw(strategies.integers(2, 6))
        if table["phase"] == "bidding":
            self.do(lambda one: one.bids(count, face))

    @rule()
    def call(self) -> None:
        if self.table.table["phase"] == "bidding" and self.on():
            truth = {face: self.table.truth(face) for face in range(2, 7)}
            bids = self.table.table["bids"]
            before = self.table.dice()
            self.do(lambda one: one.says(one.table["at"], "call"))
            if bids:
                reveal = self.table.table["reveal"]
                assert reveal["actual"] == truth[bids[-1]["face"]]
                assert sum(before) - sum(self.table.dice()) == 1
                assert reveal["loser"] == (reveal["by"] if reveal["actual"] >= bids[-1]["count"] else bids[-1]["seat"])

    @rule(seat=strategies.integers(0, 5), do=strategies.sampled_from(["call", "next", "bid", "", None]), turn=strategies.integers(0, 3))
    def say(self, seat: int, do: Any, turn: int) -> None:
        self.do(lambda one: one.says(seat, do, **({"turn": turn} if turn else {})))

    @rule()
    def time(self) -> None:
        if self.table.timer_at is not None:
            self.do(lambda one: one.time_is_up())

    @rule(seat=strategies.integers(0, 5), way=strategies.sampled_from(["away", "back", "back", "left", "timeout"]))
    def come_or_go(self, seat: int, way: str) -> None:
        there = {player.seat: player.connected for player in self.table.players}
        if seat not in there or (way == "back") == there[seat] or (way != "back" and len(there) == 1):
            return
        self.table.now += 700
        self.do(lambda one: one.back(seat) if way == "back" else one.away(seat) if way == "away" else one.leaves(seat, way))

    @invariant()
    def dice_shrink(self) -> None:
        assert self.sums == sorted(self.sums, reverse=True)

    @invariant()
    def nothing_hidden_is_told(self) -> None:
        table = self.table.table
        text = json.dumps(table)
        assert f"{self.table.state['seed']}" not in text or self.table.state["seed"] < 1 << 40
        assert '"hand"' not in text
        assert (table["reveal"] is not None) == (table["phase"] != "bidding") or self.table.results is not None

    @invariant()
    def own_dice_are_shown(self) -> None:
        for player in rules.alive(self.table.state):
            if self.table.table["phase"] == "bidding":
                assert self.table.hands[player["seat"]] == player["hand"]
                assert len(player["hand"]) == player["dice"]

    @invariant()
    def time_runs(self) -> None:
        here = [player for player in rules.alive(self.table.state) if not player["away"]]
        assert (self.table.timer_at is not None) == (self.table.results is None and bool(here))
        assert self.table.timer_at == self.table.table["until_ms"]

    @invariant()
    def somebody_is_at_turn(self) -> None:
        table = self.table.table
        assert (table["at"] in {player["seat"] for player in rules.alive(self.table.state)}) == (table["phase"] == "bidding")
        assert (len(rules.alive(self.table.state)) == 1) == (self.table.results is not None)

    def teardown(self) -> None:
        """Left to itself, once somebody is here, it ends."""
        if not hasattr(self, "table") or not self.on():
            return
        for _ in range(3 * 50):
            if not self.on():
                return
            if self.table.timer_at is None:
                self.table.back(rules.alive(self.table.state)[0]["seat"])
            self.table.time_is_up()
        raise AssertionError("it does not end")


class LiarsDiceMachineTests(SynchronousTestCase):
    def test_whatever_people_do(self) -> None:
        """`LiarsDiceMachine`."""
        run_state_machine_as_test(LiarsDiceMachine, settings=settings(max_examples=30, stateful_step_count=30, deadline=None))
