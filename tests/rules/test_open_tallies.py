"""gameroom.rules.open_tallies: beside a dictionary of the same."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.rules.open_tallies import NEAR, OpenTallies
from gameroom.rules.tally import Tally


class OpenTalliesTests(SynchronousTestCase):
    @given(st.lists(st.tuples(st.sampled_from(["add", "again", "remove"]), st.integers(0, 3 * NEAR)), max_size=60))
    def test_as_a_dictionary(self, steps: list[tuple[str, int]]) -> None:
        """Whatever is opened and closed, also once more, and however far apart: all that is open is found, by generation."""
        tallies, here, gone = OpenTallies(), dict[int, Tally](), dict[int, Tally]()
        for step, about in steps:
            if step == "remove" and about in here:
                gone[about] = tally = here.pop(about)
                tallies.remove(tally)
            elif step != "remove" and about not in here:
                here[about] = tally = gone.get(about, Tally(about, 0, 1)) if step == "again" else Tally(about, 0, 1)
                tallies.add(tally)
            self.assertEqual(tallies.listed(), [here[each] for each in sorted(here)])
            self.assertEqual([tallies.get(each) for each in range(4 * NEAR)], [here.get(each) for each in range(4 * NEAR)])
            self.assertEqual((tallies.count, {tally.open for tally in here.values()} - {True}), (len(here), set()))
            for each in range(4 * NEAR):
                self.assertEqual(tallies.has_before(each), any(about < each for about in here))
