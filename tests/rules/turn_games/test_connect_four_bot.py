"""The computer player of Connect Four against a solver that tries everything, on a model of its own."""

from __future__ import annotations

import random
from collections.abc import Iterator

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.turn_games import connect_four_bot as bot
from gameroom.rules.turn_games.connect_four import ConnectFour
from tests.rules.turn_games.connect_four_model import CELLS, LINES, THROUGH, Cell, Discs, Model, after, open_cells, solved

LUCK = (0.0, 0.5, 0.999)


def positions(chance: random.Random, discs: int) -> Iterator[Model]:
    """Positions with so many discs that nobody has won yet; whoever is to move."""
    while True:
        model = Model(chance.choice((1, 2)))
        while model.number < discs:
            player = model.player
            if model.drop(chance.randrange(7)) and model.lines(player):
                break
        else:
            yield model


def sides(model: Model) -> tuple[Discs, Discs]:
    return frozenset(model.discs[model.player]), frozenset(model.discs[3 - model.player])


def thought(model: Model, level: int, luck: float) -> int:
    """The last word of the computer player."""
    return list(bot.think({"board": model.board}, model.player, level, luck))[-1]


def cells(discs: Discs) -> int:
    return bot.bitboards(["".join("1" if (column, row) in discs else "2" for row in range(6)) for column in range(7)], 1)[0]


class SolverTests(SynchronousTestCase):
    def hold(self, model: Model, level: int, depth: int) -> int:
        """What it chooses is as good as anything within that depth; gives what that is worth."""
        own, other = sides(model)
        best = solved(own, other, depth)
        for luck in LUCK:
            column = thought(model, level, luck)
            cell = next(cell for cell in open_cells(own, other) if cell[0] == column)
            self.assertEqual(after(own, other, cell, depth), best, f"{model.board} for {model.player} at level {level}: {column}")
        return best

    def test_late_positions(self) -> None:
        """With nine cells and fewer left it plays perfectly: it wins as soon, and loses as late, as can be."""
        chance = random.Random(7)
        values = []
        for empty in (9, 8, 7, 6, 5, 4, 3, 2, 1):
            late = positions(chance, 42 - empty)
            values += [self.hold(next(late), level=6, depth=empty) for _ in range(20)]
        self.assertGreater(sum(value > 1 for value in values), 20)
        self.assertGreater(sum(value < 0 for value in values), 20)
        self.assertGreater(sum(value == 0 for value in values), 20)

    def test_within_its_depth(self) -> None:
        """In any position, each level sees every win and every loss that can be forced in so many plies."""
        chance = random.Random(8)
        values = []
        for level, depth, tries in ((1, 1, 60), (2, 2, 60), (3, 4, 20)):
            values += [self.hold(next(positions(chance, chance.randrange(6, 30))), level, depth) for _ in range(tries)]
        self.assertGreater(sum(value > 0 for value in values), 10)
        self.assertGreater(sum(value < 0 for value in values), 3)

    def test_six_plies(self) -> None:
        """The same for level 4, in the middle of a game."""
        chance = random.Random(9)
        for _ in range(5):
            self.hold(next(positions(chance, 22)), level=4, depth=6)
            solved.cache_clear()

    def test_quick(self) -> None:
        """What takes no time takes a win, and keeps the other from one."""
        chance = random.Random(10)
        for _ in range(60):
            model = next(positions(chance, chance.randrange(8, 40)))
            own, other = sides(model)
            column = bot.quick({"board": model.board}, model.player, 0.5)
            cell = next(cell for cell in open_cells(own, other) if cell[0] == column)
            self.assertEqual(after(own, other, cell, 2), solved(own, other, 2))


def plain(own: int, mask: int, horizon: int, known: dict[tuple[int, int], int]) -> int:
    """What a search is worth that leaves nothing out, with the same guesses at its end."""
    if (own, mask) not in known:
        free = bot.free_of(mask)
        known[own, mask] = _plain(own, mask, free, horizon, known)
    return known[own, mask]


def _plain(own: int, mask: int, free: int, horizon: int, known: dict[tuple[int, int], int]) -> int:
    if not free:
        return 0
    if bot.winning(own, mask) & free:
        return bot.WIN - mask.bit_count() - 1
    if not bot.safe(own ^ mask, mask, free):
        return mask.bit_count() + 2 - bot.WIN
    if mask.bit_count() >= horizon:
        return bot.guess(own, mask)
    return max(-plain(own ^ mask, mask | cell, horizon, known) for cell in bot.cells_of(free))


class SearchTests(SynchronousTestCase):
    def test_nothing_is_lost(self) -> None:
        """Cutting off, and keeping what was found, change neither the value nor which columns are as good."""
        chance = random.Random(13)
        for discs in [*range(4, 32, 2)] * 2:
            model = next(positions(chance, discs))
            self.compare(*bot.bitboards(model.board, model.player), depth=6)

    def test_a_bound_is_no_value(self) -> None:
        """Here one column too many is as good, if what is known to be no better is taken for what it is worth."""
        self.compare(*bot.bitboards(["21", "", "", "1", "2", "", "1"], 2), depth=7)

    def compare(self, own: int, mask: int, depth: int) -> None:
        horizon = mask.bit_count() + depth
        known: dict[tuple[int, int], int] = {}
        values = {}
        for cell in bot.cells_of(bot.free_of(mask)):
            wins = bot.winning(own, mask) & cell
            values[cell.bit_length() // 7] = bot.WIN - mask.bit_count() - 1 if wins else -plain(own ^ mask, mask | cell, horizon, known)
        value, best = bot.Search(horizon=horizon).root(own, mask)
        self.assertEqual((value, sorted(best)), (max(values.values()), [column for column in sorted(values) if values[column] == value]))


class BitboardTests(SynchronousTestCase):
    @given(st.lists(st.text("12", max_size=6), min_size=7, max_size=7))
    def test_winning(self, board: list[str]) -> None:
        """The empty cells that would make four in a row are those that do in the model, and no others."""
        taken = {(column, row): disc for column, discs in enumerate(board) for row, disc in enumerate(discs)}
        own = {cell for cell, disc in taken.items() if disc == "1"}
        expected = frozenset(cell for cell in CELLS if cell not in taken and any(line <= own | {cell} for line in THROUGH[cell]))
        self.assertEqual(bot.winning(*bot.bitboards(board, 1)), cells(expected))

    def test_each_line(self) -> None:
        """Any three of each of the 69 lines; in a column, the lower three."""
        for line in LINES:
            for cell in line:
                if (cell[0], cell[1] + 1) not in line:
                    three = cells(line - {cell})
                    self.assertEqual(bot.winning(three, three) & cells(line), cells(frozenset({cell})))

    @given(st.integers(0, 2**32))
    def test_safe(self, seed: int) -> None:
        """Safe are the cells after which the other cannot win at once."""
        model = next(positions(random.Random(seed), seed % 42))
        own, other = sides(model)
        free: list[Cell] = open_cells(own, other)
        expected = [cell for cell in free if not any(after(other, own | {cell}, reply, 1) for reply in open_cells(own | {cell}, other))]
        mask = cells(own) | cells(other)
        self.assertEqual(bot.safe(cells(other), mask, cells(frozenset(free))), cells(frozenset(expected)))


class PlayingTests(SynchronousTestCase):
    def test_deeper_and_deeper(self) -> None:
        """It tells what it has after each depth, and is done at once where all is decided."""
        empty = ConnectFour.new((1, 2), 1).view(1)
        self.assertEqual(len(list(bot.think(empty, 1, 4, 0.0))), bot.DEPTHS[3])
        self.assertEqual(list(bot.think({"board": ["111", "222", "", "", "", "", ""]}, 1, 6, 0.0)), [0])
        self.assertEqual(list(bot.think({"board": ["111", "222", "", "", "", "", ""]}, 2, 6, 0.0)), [1])
        one_left = ["112212", "221121", "112212", "221121", "112212", "221121", "11221"]
        self.assertEqual(list(bot.think({"board": one_left}, 2, 6, 0.0)), [6])

    def test_luck(self) -> None:
        """Luck chooses between what is as good; all of that is chosen at times, and without it always the same."""
        view = {"board": ["121212", "212121", "", "", "", "212121", "121212"]}
        _, best = bot.Search(horizon=25).root(*bot.bitboards(view["board"], 1))
        chosen = {list(bot.think(view, 1, 1, luck / 20))[-1] for luck in range(20)}
        self.assertEqual(chosen, set(best))

    def test_stronger(self) -> None:
        """Level 4 beats level 1 far more often than not, whoever begins."""
        chance = random.Random(11)
        points = [self.play(first, chance) for first in (1, 2) * 5]
        self.assertGreater(sum(points), 3)

    def play(self, first: int, chance: random.Random) -> int:
        """1 where player 1, at level 4, wins; -1 where it loses."""
        model = Model(first)
        while not model.lines(3 - model.player) and model.number < 42:
            model.drop(thought(model, 4 if model.player == 1 else 1, chance.random()))
        return 1 if model.lines(1) else -1 if model.lines(2) else 0
