"""A good state for those who have diverged: whom to ask for it, and which answer may be given on (docs/protocol/lockstep.md, hashes)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

ANSWER_WITHIN: Final = 5.0
"""Seconds after which another player is asked as well; what comes later is still taken."""


class Resync:
    """The state after one generation, asked of those who are right. Players are named by their seats.

    Where they have reported that generation, an answer must have that hash.
    Where they have not, two answers must be equal; one is enough of the only one who is right.
    """

    def __init__(self, generation: int, *, one_will_do: float) -> None:
        """Up to the time `one_will_do` their reports of that generation may still come, and nobody else is asked for want of them."""
        self.generation = generation
        self._one_will_do = one_will_do
        self._asked: dict[int, float] = {}
        self._answers: dict[int, Any] = {}
        """In the order in which they came; None for a player that cannot give its state."""

    def given(self, seat: int, generation: int, checksum: Any) -> None:
        """A player's answer: of which generation its state is, and its hash."""
        if seat in self._asked:
            self._answers.pop(seat, None)
            self._answers[seat] = checksum if generation == self.generation else None

    def giver(self, right: Collection[int], is_right: Callable[[Any], bool] | None) -> int | None:
        """Whose answer is good, the newest of them; None while there is none. `is_right` says whether that is the hash, where it is known."""
        good = [seat for seat, checksum in self._answers.items() if seat in right and checksum is not None]
        if is_right is not None:
            good = [seat for seat in good if is_right(self._answers[seat])]
        elif len(right) > 1:
            good = [seat for seat in good if self._like(seat, good) > 1]
        return good[-1] if good else None

    def _like(self, seat: int, seats: Collection[int]) -> int:
        return sum(self._answers[other] == self._answers[seat] for other in seats)

    def waits(self, right: Collection[int], now: float) -> int:
        """So many of them have been asked a short while ago and not answered."""
        return sum(now - asked < ANSWER_WITHIN for seat, asked in self._asked.items() if seat in right and seat not in self._answers)

    def ask(self, right: Sequence[int], is_right: Callable[[Any], bool] | None, now: float) -> list[int]:
        """Whom to ask now; `right` are in the order of preference."""
        for seat in [seat for seat in self._asked if seat not in right]:
            # It has gone. If it comes back it may be asked again.
            del self._asked[seat]
            self._answers.pop(seat, None)
        good = [seat for seat, checksum in self._answers.items() if checksum is not None]
        if is_right is None:
            needed = 1 if len(right) == 1 or now < self._one_will_do else 2
            there = max((self._like(seat, good) for seat in good), default=0)
        else:
            needed, there = 1, sum(is_right(self._answers[seat]) for seat in good)
        asking = [seat for seat in right if seat not in self._asked][: max(0, needed - there - self.waits(right, now))]
        self._asked.update(dict.fromkeys(asking, now))
        return asking
