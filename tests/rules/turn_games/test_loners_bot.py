"""The computer player of Loners."""

from __future__ import annotations

from collections import Counter
from math import comb

from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.turn_games.loners import HIGHEST, Loners
from gameroom.rules.turn_games.loners_bot import LEVELS, WEIGHTS, think


def gains(weights: tuple[int, ...], others: int) -> list[float]:
    """What each number brings on the average against so many who pick by these weights."""
    chances = [weight / sum(weights) for weight in weights]
    found, undecided, rest = [], {others: 1.0}, 1.0
    for number, chance in enumerate(chances, 1):
        share = min(1.0, chance / rest) if rest > 1e-9 else 1.0
        found.append(number * sum(likely * (1 - share) ** left for left, likely in undecided.items()))
        after: Counter[int] = Counter()
        for left, likely in undecided.items():
            for picked in range(left + 1):
                if picked != 1:  # one who is alone there wins before us
                    after[left - picked] += likely * comb(left, picked) * share**picked * (1 - share) ** (left - picked)  # type: ignore[assignment]
        undecided, rest = dict(after), rest - chance
    return found


class LonersBotTests(SynchronousTestCase):
    def test_weights(self) -> None:
        """Nobody who knows the weights of level 2 gains more than a few hundredths by it, however many play."""
        self.assertEqual(sorted(WEIGHTS), list(range(Loners.fewest, Loners.most + 1)))
        for players, weights in WEIGHTS.items():
            brought = gains(weights, players - 1)
            average = sum(weight * gain for weight, gain in zip(weights, brought, strict=True)) / sum(weights)
            self.assertLess(max(brought) / average, 1.05)
            even = gains((1,) * HIGHEST, players - 1)
            self.assertGreater(max(even) / (sum(even) / HIGHEST), 1.2)

    def test_picks(self) -> None:
        """Level 1 picks all numbers alike, level 2 by the weights; it sees that by the number of players."""
        view = Loners.new((2, 4, 5), 2).view(4)
        times = 7 * 101
        for level, weights in ((1, (1,) * HIGHEST), (LEVELS, WEIGHTS[3])):
            picked = Counter(list(think(view, 4, level, luck / times))[-1] for luck in range(times))
            for place, weight in enumerate(weights):
                self.assertAlmostEqual(picked[place], times * weight / sum(weights), delta=2)
