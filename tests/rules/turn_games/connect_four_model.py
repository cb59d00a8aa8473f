"""Connect Four once more, as plainly as can be: a set of discs for each player, and all 69 lines there are."""

from __future__ import annotations

from functools import cache

Cell = tuple[int, int]

CELLS: list[Cell] = [(column, row) for column in range(7) for row in range(6)]
LINES: list[frozenset[Cell]] = [
    frozenset((column + dx * step, row + dy * step) for step in range(4))
    for column, row in CELLS
    for dx, dy in ((1, 0), (0, 1), (1, 1), (1, -1))
    if (column + dx * 3, row + dy * 3) in CELLS
]
THROUGH: dict[Cell, list[frozenset[Cell]]] = {cell: [line for line in LINES if cell in line] for cell in [*CELLS, (-1, -1)]}


class Model:
    """One game of it."""

    def __init__(self, first: int) -> None:
        self.player = first
        self.discs: dict[int, set[Cell]] = {1: set(), 2: set()}
        self.board = [""] * 7
        self.cursors = {1: 3, 2: 3}
        self.last: Cell = (-1, -1)

    def press(self, do: str) -> bool:
        """Whether it could be done."""
        cursor = self.cursors[self.player]
        if do == "left":
            self.cursors[self.player] = cursor - 1 if cursor > 0 else 0
        elif do == "right":
            self.cursors[self.player] = cursor + 1 if cursor < 6 else 6
        else:
            return self.drop(cursor)
        return True

    def drop(self, column: int) -> bool:
        if len(self.board[column]) == 6:
            return False
        self.last = (column, len(self.board[column]))
        self.discs[self.player].add(self.last)
        self.board[column] += str(self.player)
        self.player = 3 - self.player
        return True

    def lines(self, player: int) -> list[frozenset[Cell]]:
        """Those with the newest disc."""
        return [line for line in THROUGH[self.last] if line <= self.discs[player]]

    @property
    def number(self) -> int:
        return len(self.discs[1]) + len(self.discs[2])


Discs = frozenset[Cell]


def open_cells(own: Discs, other: Discs) -> list[Cell]:
    """Where one can drop."""
    return [next(cell for row in range(6) if (cell := (column, row)) not in own | other) for column in range(7) if (column, 5) not in own | other]


@cache
def solved(own: Discs, other: Discs, depth: int) -> int:
    """By trying everything: above 0 where the one to move wins within so many plies, below 0 where it loses, and the farther from 0 the sooner."""
    if depth == 0:
        return 0
    return max((after(own, other, cell, depth) for cell in open_cells(own, other)), default=0)


def after(own: Discs, other: Discs, cell: Cell, depth: int) -> int:
    """The same for dropping there."""
    if any(line <= own | {cell} for line in THROUGH[cell]):
        return depth
    return -solved(other, own | {cell}, depth - 1)
