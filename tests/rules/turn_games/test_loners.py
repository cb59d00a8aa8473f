"""Loners: rounds against a model, what stays hidden, and how it ends."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.turn_games import GONE, TIME, Moved
from gameroom.rules.turn_games.loners import Loner, Loners


def game_of(scores: Mapping[int, int], turn: int = 1) -> Loners:
    return Loners(loners=tuple(Loner(player=player, score=score) for player, score in scores.items()), turn=turn, last=((1, 1),) if turn > 1 else ())


def locked(game: Loners, player: int, number: int) -> Moved:
    """The player walks to that number and locks it."""
    while (cursor := game.view(player)["cursor"]) != number - 1:
        game = loners(game.move(player, "left" if number - 1 < cursor else "right"))
    return game.move(player, "drop")


def loners(moved: Moved) -> Loners:
    assert isinstance(moved.game, Loners)
    return moved.game


def played(game: Loners, *numbers: int) -> Loners:
    """One round, in which the players pick these."""
    for player, number in zip(game.players, numbers, strict=True):
        game = loners(locked(game, player, number))
    return game


def scores(game: Loners) -> list[int]:
    return [entry["score"] for entry in game.board()["board"]]


class RoundsTests(SynchronousTestCase):
    def test_as_the_model(self) -> None:
        """200 games of random picks, locked in any order: rounds, scores and the end are as in a model."""
        chance = random.Random(12)
        ends = set()
        for number in range(200):
            players = sorted(chance.sample(range(1, 9), number % 6 + 3))
            game, points, rounds = Loners.new(players, players[0]), dict.fromkeys(players, 0), 0
            while game.over is None:
                picks = {player: chance.choice((1, 1, 2, 3, 4, 5, 6, 7)) for player in players}
                for player in chance.sample(players, len(players)):
                    game = loners(locked(game, player, picks[player]))
                alone = [pick for pick in range(1, 8) if sum(other == pick for other in picks.values()) == 1]
                for player in players:
                    points[player] += alone[0] if alone and picks[player] == alone[0] else 0
                rounds += 1
                self.assertEqual((game.turn, scores(game)), (rounds + 1, list(points.values())))
                self.assertEqual(game.over is not None, max(points.values()) >= 15 or rounds == 30)
            best = [player for player in players if points[player] == max(points.values())]
            self.assertEqual((game.over.reason, game.over.winner), ("won", best[0]) if len(best) == 1 else ("draw", None))
            ends.add((game.over.reason, rounds == 30))
        self.assertIn(("won", False), ends)

    def test_a_round(self) -> None:
        """Others hear that one has locked, not what; with the last of them all hear what was picked, and are asked again."""
        game = Loners.new((1, 2, 3), 1)
        self.assertEqual((game.to_move, game.turn), ((1, 2, 3), 1))
        first = locked(game, 2, 1)
        board: list[dict[str, Any]] = [{"player": player, "score": 0, "locked": player == 2} for player in (1, 2, 3)]
        self.assertEqual(first.answer, {"event": "move_received", "cursor": 0, "board": board})
        self.assertEqual(first.event, {"event": "board", "board": board, "last": None})
        self.assertEqual((first.asked, first.game.to_move), ((), (1, 3)))
        self.assertRaises(BadState, first.game.move, 2, "left")
        last = locked(loners(locked(loners(first), 1, 5)), 3, 4)
        picks = [{"player": 1, "pick": 5}, {"player": 2, "pick": 1}, {"player": 3, "pick": 4}]
        board = [{"player": player, "score": int(player == 2), "locked": False} for player in (1, 2, 3)]
        self.assertEqual(last.event, {"event": "board", "board": board, "last": {"turn": 1, "picks": picks, "scorer": 2, "points": 1}})
        self.assertEqual((last.asked, last.game.turn), ((1, 2, 3), 2))
        self.assertEqual([last.game.view(player)["cursor"] for player in (1, 2, 3, None)], [4, 0, 3, None])

    def test_nobody_alone(self) -> None:
        """Where each number was picked twice nobody scores."""
        game = played(Loners.new((1, 2, 5, 6), 1), 3, 3, 7, 7)
        self.assertEqual(scores(game), [0, 0, 0, 0])
        self.assertEqual({**game.board()["last"], "picks": None}, {"turn": 1, "picks": None, "scorer": None, "points": 0})

    @given(st.lists(st.integers(1, 7), min_size=2, max_size=2), st.integers(0, 2))
    def test_hidden(self, numbers: list[int], moves: int) -> None:
        """Whatever one has picked, or where its cursor stands, nobody else sees a difference."""
        seen = []
        for number in numbers:
            aside = Loners.new((1, 2, 3), 1)
            for _ in range(moves if number == numbers[0] else 0):
                moved = aside.move(1, "left")
                self.assertIsNone(moved.event)
                aside = loners(moved)
            moved = locked(aside, 1, number)
            seen.append((moved.event, [moved.game.view(player) for player in (2, 3, None)], moved.game.board()))
            self.assertEqual(moved.game.view(1)["pick"], number)
        self.assertEqual(seen[0], seen[1])


class EndsTests(SynchronousTestCase):
    def test_the_goal(self) -> None:
        """With 15 points it is won."""
        game = played(game_of({1: 12, 2: 3, 3: 11}), 3, 4, 4)
        assert game.over is not None
        points = [{"player": 1, "score": 15}, {"player": 2, "score": 3}, {"player": 3, "score": 11}]
        self.assertEqual(game.over.event, {"event": "game_over", "reason": "won", "winner": 1, "scores": points})
        self.assertIsNone(played(game_of({1: 12, 2: 3, 3: 11}), 2, 4, 4).over)

    def test_the_last_round(self) -> None:
        """After 30 rounds the highest score wins; several who have it share the first place."""
        self.assertIsNone(played(game_of({1: 5, 2: 5, 3: 0}, turn=29), 1, 1, 1).over)
        for numbers, winner, reason, shared in (((1, 1, 1), None, "draw", [1, 2]), ((1, 2, 2), 1, "won", None)):
            over = played(game_of({1: 5, 2: 5, 3: 0}, turn=30), *numbers).over
            assert over is not None
            self.assertEqual((over.reason, over.winner, over.more.get("shared")), (reason, winner, shared))

    def test_one_is_out(self) -> None:
        """The others play on, and are asked at once where only that one was waited for."""
        game = loners(locked(loners(locked(loners(locked(Loners.new((1, 2, 3, 4), 1), 1, 2)), 2, 2)), 4, 6))
        moved = game.forfeit(3, GONE)
        self.assertEqual((moved.game.players, moved.asked, moved.game.turn, moved.game.over), ((1, 2, 4), (1, 2, 4), 2, None))
        self.assertEqual(scores(loners(moved)), [0, 0, 6])
        self.assertEqual(moved.event, moved.game.board())
        early = Loners.new((1, 2, 3, 4), 1).forfeit(3, TIME)
        self.assertEqual((early.asked, early.game.turn), ((), 1))
        self.assertRaises(BadState, early.game.forfeit, 3, GONE)
        self.assertRaises(BadState, early.game.move, 3, "drop")
        self.assertEqual(early.game.view(3)["cursor"], None)

    def test_too_few_are_left(self) -> None:
        """Fewer than three do not play on: nobody has won where one has left; the highest score wins where the clock ran out."""
        for points, reason, winner, shared in (
            ({1: 4, 2: 9, 3: 0}, GONE, None, None),
            ({1: 4, 2: 9, 3: 0}, TIME, 2, None),
            ({1: 4, 2: 4, 3: 9}, TIME, None, [1, 2]),
        ):
            game = loners(game_of(points).forfeit(3, reason))
            assert game.over is not None
            self.assertEqual((game.over.reason, game.over.winner, game.over.more.get("shared")), (reason, winner, shared))
            self.assertEqual(Loners.from_json(game.to_json()), game)


class KeptTests(SynchronousTestCase):
    def test_games_that_cannot_be(self) -> None:
        """What was never written by `to_json` is refused."""
        good = played(Loners.new((1, 2, 3), 1), 1, 2, 3).to_json()
        self.assertEqual(Loners.from_json(good).to_json(), good)
        rows = good["loners"]
        changes: tuple[dict[str, Any], ...] = (
            {"loners": []},
            {"loners": rows[::-1]},
            {"loners": [*rows, rows[0]]},
            {"loners": [[1, 7, None, 0], *rows[1:]]},
            {"loners": [[1, 2, 4, 0], *rows[1:]]},
            {"loners": [[1, 0, 1, 0], [2, 0, 1, 0], [3, 0, 1, 0]]},
            {"loners": [[1, 0, None, -1], *rows[1:]]},
            {"turn": 0},
            {"turn": 32},
            {"turn": 1},
            {"last": []},
            {"last": [[1, 8]]},
            {"out": "won"},
        )
        for change in changes:
            self.assertRaises(InvalidRequest, Loners.from_json, {**good, **change})
