"""The computer player of Connect Four: alpha-beta on bitboards, one ply deeper each time.

A position is two integers, as in John Tromp's and Pascal Pons' solvers: a bit for each cell, seven for a column (six rows and one that stays empty),
bottom first. `own` has the discs of the one to move, `mask` all of them.
Four in a row are found by shifting and ANDing, for the whole board at once.

The value of a position is for the one to move. A win counts the more, the sooner it comes, a loss the less; what lies between is a guess.
Within its depth no win is missed and no loss walked into that can be avoided, and a loss that cannot be is put off for as long as it can be.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gameroom.rules.turn_games.connect_four import COLUMNS, ROWS

DEPTHS: Final = (1, 2, 4, 6, 8, 10)
"""How many plies each level looks ahead, from level 1."""
CELLS: Final = COLUMNS * ROWS
WIN: Final = 1000
"""Minus the number of discs that lie then. Guesses are smaller."""

_HEIGHT: Final = ROWS + 1
_BOTTOM: Final = sum(1 << column * _HEIGHT for column in range(COLUMNS))
_BOARD: Final = _BOTTOM * ((1 << ROWS) - 1)
_CENTRE: Final = ((1 << ROWS) - 1) << COLUMNS // 2 * _HEIGHT
_COLUMN_MASKS: Final = tuple(((1 << ROWS) - 1) << column * _HEIGHT for column in (3, 2, 4, 1, 5, 0, 6))
"""The best first: a column in the middle takes part in more lines."""


def think(view: Mapping[str, Any], player: int, level: int, luck: float) -> Iterator[int]:
    """Columns to drop at, each better thought over than the one before; the last is the answer.

    `view` is `ConnectFour.view` of the player whose turn it is. `luck`, from 0 up to 1, chooses between what is as good.
    """
    own, mask = bitboards(view["board"], player)
    for depth in range(1, DEPTHS[level - 1] + 1):
        value, best = Search(horizon=mask.bit_count() + depth).root(own, mask)
        yield best[int(luck * len(best))]
        if is_decided(value) or depth >= CELLS - mask.bit_count():
            return


def quick(view: Mapping[str, Any], player: int, luck: float) -> int:
    """What takes no time: a win, else what keeps the other from one, else near the middle."""
    return next(think(view, player, 1, luck))


def bitboards(board: list[str], player: int) -> tuple[int, int]:
    """`own` and `mask` of the board as controllers see it."""
    own = mask = 0
    for column, discs in enumerate(board):
        for row, disc in enumerate(discs):
            cell = 1 << column * _HEIGHT + row
            mask |= cell
            own |= cell if disc == str(player) else 0
    return own, mask


def free_of(mask: int) -> int:
    """The cells where a disc can be dropped now."""
    return (mask + _BOTTOM) & _BOARD


def is_decided(value: int) -> bool:
    """Whether this is no guess, but a win or a loss that is forced."""
    return abs(value) >= WIN - CELLS


def winning(discs: int, mask: int) -> int:
    """The empty cells, whether they can be reached yet or not, that would make four in a row of these discs.

    In a column only upwards, since discs lie on each other.
    """
    found = (discs << 1) & (discs << 2) & (discs << 3)
    for step in (_HEIGHT - 1, _HEIGHT, _HEIGHT + 1):
        pair = (discs << step) & (discs << 2 * step)
        found |= pair & (discs << 3 * step) | pair & (discs >> step)
        pair = (discs >> step) & (discs >> 2 * step)
        found |= pair & (discs >> 3 * step) | pair & (discs << step)
    return found & (_BOARD ^ mask)


def guess(own: int, mask: int) -> int:
    """Where the search ends: cells that would win count, and discs in the middle."""
    other = own ^ mask
    cells = winning(own, mask).bit_count() - winning(other, mask).bit_count()
    return 4 * cells + (own & _CENTRE).bit_count() - (other & _CENTRE).bit_count()


class Search:
    """One search to one depth. What was found of positions is kept, since many orders of moves lead to the same."""

    def __init__(self, *, horizon: int) -> None:
        self._horizon = horizon
        """With so many discs on the board it only guesses."""
        self._known: dict[tuple[int, int], tuple[int, int]] = {}
        """By position: its value is between these."""

    def root(self, own: int, mask: int) -> tuple[int, list[int]]:
        """The value, and the columns that are as good as that. There is one at least that is not full."""
        value, best = -2 * WIN, list[int]()
        for cell in cells_of(free_of(mask)):
            # A window that is open for what is as good: such a value is exact, a worse one is only known to be worse.
            found = self._after(own, mask, cell, value - 1)
            if found > value:
                value, best = found, []
            if found == value:
                best.append(cell.bit_length() // _HEIGHT)
        return value, best

    def _after(self, own: int, mask: int, cell: int, alpha: int) -> int:
        """The value of playing there, for the one who plays."""
        if winning(own, mask) & cell:
            return WIN - mask.bit_count() - 1
        return -self.value(own ^ mask, mask | cell, -2 * WIN, -alpha)

    def value(self, own: int, mask: int, alpha: int, beta: int) -> int:
        """The value of a position that nobody has won yet: exact between alpha and beta, else a bound beyond the nearer one."""
        discs, free = mask.bit_count(), free_of(mask)
        if not free:
            return 0
        if winning(own, mask) & free:
            return WIN - discs - 1
        moves = safe(own ^ mask, mask, free)
        if not moves:
            return discs + 2 - WIN
        if discs >= self._horizon:
            return guess(own, mask)
        return self._searched(own, mask, moves, alpha, beta)

    def _searched(self, own: int, mask: int, moves: int, alpha: int, beta: int) -> int:
        low, high = self._known.get((own, mask), (-2 * WIN, 2 * WIN))
        if low >= beta or low == high:
            return low
        if high <= alpha:
            return high
        best, floor = -2 * WIN, alpha
        for cell in sorted(cells_of(moves), key=lambda cell: -winning(own | cell, mask).bit_count()):
            best = max(best, -self.value(own ^ mask, mask | cell, -beta, -floor))
            floor = max(floor, best)
            if floor >= beta:
                break
        self._known[own, mask] = (best if best > alpha else low, best if best < beta else high)
        return best


def safe(other: int, mask: int, free: int) -> int:
    """The free cells after which the other cannot win at once. None where no move prevents it."""
    threats = winning(other, mask)
    forced = free & threats
    if forced & (forced - 1):
        return 0
    return (forced or free) & ~(threats >> 1)


def cells_of(free: int) -> Iterator[int]:
    """The cells, one for each column, from the middle outwards."""
    return (free & column for column in _COLUMN_MASKS if free & column)
