"""Connect Four against a model that knows nothing of how it is done."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import orjson
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, InvalidRequest
from gameroom.rules.turn_games import GONE, TIME, Over, request_move
from gameroom.rules.turn_games.connect_four import ConnectFour
from tests.rules.turn_games.connect_four_model import LINES, Model

GAMES = 5000


def drops(*columns: int, first: int = 1) -> ConnectFour:
    """A game in which these columns were chosen in turn."""
    game = ConnectFour.new((1, 2), first)
    for column in columns:
        game = drop(game, column)
    return game


def drop(game: ConnectFour, column: int) -> ConnectFour:
    [player] = game.to_move
    while (cursor := game.view(player)["cursor"]) != column:
        game = press(game, player, "left" if column < cursor else "right")
    return press(game, player, "drop")


def press(game: ConnectFour, player: int, do: str) -> ConnectFour:
    moved = game.move(player, do).game
    assert isinstance(moved, ConnectFour)
    return moved


class RandomGamesTests(SynchronousTestCase):
    def test_as_the_model(self) -> None:
        """5,000 games of random presses: board, cursors, whose turn it is, full columns, lines and draws are as the model's."""
        chance = random.Random(4)
        seen = [self.play(chance, number % 2 + 1) for number in range(GAMES)]
        self.assertEqual({(over.reason, over.winner) for over, _ in seen}, {("won", 1), ("won", 2), ("draw", None)})
        self.assertGreater(len({str(over.more) for over, _ in seen}), 60)
        self.assertGreater(sum(refused for _, refused in seen), 1000)

    def play(self, chance: random.Random, first: int) -> tuple[Over, int]:
        """One game; how it ended, and how often a column was full."""
        model, game, refused = Model(first), ConnectFour.new((1, 2), first), 0
        while (over := game.over) is None:
            do = chance.choice(("left", "right", "drop", "drop"))
            player, fits = model.player, model.press(do)
            if not fits:
                self.assertRaises(BadState, game.move, player, do)
                refused += 1
                continue
            moved = game.move(player, do)
            assert isinstance(moved.game, ConnectFour)
            game = moved.game
            self.assertEqual(moved.answer, {"event": "move_received", "cursor": model.cursors[player], "board": model.board})
            if do == "drop":
                self.assertEqual((game.turn, moved.asked), (model.number + 1, () if game.over else (model.player,)))
                self.assertEqual(bool(game.over), bool(model.lines(player)) or model.number == 42)
        self.check_end(model, over)
        return over, refused

    def check_end(self, model: Model, over: Over) -> None:
        last = 3 - model.player
        if over.reason == "draw":
            self.assertEqual((model.number, model.lines(last), over.winner, over.more), (42, [], None, {}))
        else:
            self.assertEqual(over.winner, last)
            self.assertIn(frozenset(map(tuple, over.more["line"])), model.lines(last))


class LinesTests(SynchronousTestCase):
    def test_every_line(self) -> None:
        """Each of the 69 lines wins, for either player, whichever of its discs is dropped last; three of it do not."""
        tried = 0
        for line, player in product(LINES, (1, 2)):
            for cell in line:
                if any((cell[0], cell[1] + above) in line for above in (1, 2, 3)):
                    continue  # the upper ones of a column are dropped after it
                columns = [self.column(line - {cell}, column, player) for column in range(7)]
                columns[cell[0]] = columns[cell[0]].ljust(cell[1], "x")
                discs = sum(map(len, columns))
                game = ConnectFour(columns=tuple(columns), first=player if discs % 2 == 0 else 3 - player)
                self.assertIsNone(game.over)
                game = drop(game, cell[0])
                self.assertEqual(game.over, Over(reason="won", winner=player, more={"line": sorted(map(list, line))}))
                tried += 1
        self.assertEqual((len(LINES), tried), (69, 2 * (4 * (24 + 24) + 21)))

    def column(self, cells: frozenset[tuple[int, int]], column: int, player: int) -> str:
        """Up to the highest of the cells, on discs of nobody."""
        rows = {row for other, row in cells if other == column}
        return "".join(str(player) if row in rows else "x" for row in range(max(rows, default=-1) + 1))

    def test_longer_than_four(self) -> None:
        """Of five and more in a row, four with the newest disc are told."""
        game = drops(0, 0, 1, 1, 2, 2, 4, 4, 5, 5, 6, 6, 3)
        assert game.over is not None
        line = game.over.more["line"]
        self.assertEqual(line, [[0, 0], [1, 0], [2, 0], [3, 0]])


class ConnectFourTests(SynchronousTestCase):
    def test_a_new_game(self) -> None:
        """Red begins the first, with the cursor in the middle of an empty board."""
        game = ConnectFour.new((1, 2), 1)
        self.assertEqual(game.view(1), {"board": [""] * 7, "cursor": 3, "turn": 1, "to_move": 1})
        self.assertEqual(game.board(), {"event": "board", "board": [""] * 7, "last": None})
        self.assertEqual(request_move(game, 1), {"event": "request_move", "board": [""] * 7, "cursor": 3, "turn": 1})
        self.assertEqual((ConnectFour.colors, ConnectFour.fewest, ConnectFour.most), (("red", "yellow"), 2, 2))
        self.assertEqual(ConnectFour.new((1, 2), 2).to_move, (2,))

    def test_what_a_move_tells(self) -> None:
        """The one who moves gets its cursor and the board, the other what has changed; with the drop it is the other's turn."""
        game = drops(3)
        aside = game.move(2, "left")
        self.assertEqual(aside.answer, {"event": "move_received", "cursor": 2, "board": ["", "", "", "1", "", "", ""]})
        self.assertEqual((aside.event, aside.asked), ({"event": "cursor", "player": 2, "cursor": 2}, ()))
        down = aside.game.move(2, "drop")
        board = ["", "", "2", "1", "", "", ""]
        self.assertEqual(down.answer, {"event": "move_received", "cursor": 2, "board": board})
        self.assertEqual(down.event, {"event": "board", "board": board, "last": {"player": 2, "column": 2, "row": 0}})
        self.assertEqual(down.asked, (1,))

    def test_the_cursor(self) -> None:
        """It stops at the edges, of which nobody else need hear; it is the player's own, and stays where it was."""
        game = ConnectFour.new((1, 2), 1)
        for expected in (2, 1, 0):
            game = press(game, 1, "left")
            self.assertEqual(game.view(1)["cursor"], expected)
        at_edge = game.move(1, "left")
        self.assertEqual((at_edge.answer["cursor"], at_edge.event), (0, None))
        game = press(press(game, 1, "drop"), 2, "drop")
        self.assertEqual([game.view(player)["cursor"] for player in (1, 2, None)], [0, 3, 0])
        game = drop(drop(game, 6), 6)
        self.assertEqual(game.cursors, (6, 6))
        self.assertEqual(press(game, 1, "right").cursors, (6, 6))

    def test_what_cannot_be_done(self) -> None:
        """Not one's turn, a full column, another button; the same player may move after each."""
        game = drops(0, 0, 0, 0, 0, 0)
        for player, do, error in ((2, "drop", BadState), (2, "left", BadState), (3, "drop", BadState), (1, "up", InvalidRequest)):
            self.assertRaises(error, game.move, player, do)
        full = self.assertRaises(BadState, game.move, 1, "drop")
        self.assertIn("column 1 is full", full.message)
        self.assertEqual(game.to_move, (1,))
        self.assertEqual(drop(game, 1).to_move, (2,))

    def test_the_winning_drop(self) -> None:
        """Nobody is asked to move, nothing can be done any more, and `game_over` names the line."""
        game = drops(0, 1, 0, 1, 0, 1)
        moved = press(press(press(game, 1, "left"), 1, "left"), 1, "left") if game.view(1)["cursor"] else game
        won = moved.move(1, "drop")
        assert won.game.over is not None
        line = [[0, row] for row in range(4)]
        self.assertEqual(won.game.over.event, {"event": "game_over", "reason": "won", "winner": 1, "line": line})
        self.assertEqual((won.asked, won.game.to_move, won.game.view(1)["to_move"]), ((), (), None))
        for player in (1, 2):
            self.assertRaises(BadState, won.game.move, player, "left")
        self.assertRaises(BadState, won.game.forfeit, 1, GONE)

    def test_one_is_out(self) -> None:
        """Who leaves has not lost; who lets the clock run out has."""
        ends: list[Any] = [drops(3).forfeit(1, reason).game.over for reason in (GONE, TIME)]
        self.assertEqual([over.event for over in ends], [{"event": "game_over", "reason": r, "winner": w} for r, w in (("left", None), ("time", 2))])
        self.assertRaises(BadState, drops(3).forfeit, 3, GONE)

    def test_positions_that_cannot_be(self) -> None:
        """What was never written by `to_json` is refused."""
        good = drops(3, 3, 2).to_json()
        self.assertEqual(ConnectFour.from_json(orjson.loads(orjson.dumps(good))), drops(3, 3, 2))
        for change in (
            {"first": 2},
            {"first": True},
            {"columns": ["", "", "1", "13", "", "", ""]},
            {"columns": ["", "", "1", "12", "", ""]},
            {"columns": ["1212121", "", "", "", "", "", ""]},
            {"cursors": [3]},
            {"cursors": [3, 7]},
            {"cursors": [True, 3]},
            {"last": None},
            {"last": [1, 3, 1]},
            {"last": [2, 3, 1]},
            {"last": [1, 2]},
            {"out": [3, "left"]},
            {"out": [1, "won"]},
            {"out": 1},
        ):
            self.assertRaises(InvalidRequest, ConnectFour.from_json, {**good, **change})
