"""The rules of a lock-step play under any interleaving of what may happen, where all engines are right."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.rules.lockstep_machine import Lockstep


class LockstepRulesTests(SynchronousTestCase):
    """The machine without divergences."""

    def test_any_interleaving(self) -> None:
        """Masters are gapless, hold what was acknowledged exactly once and by seat, and wait for nobody who is dropped."""
        run_state_machine_as_test(Lockstep, settings=settings(max_examples=150, stateful_step_count=60, deadline=None))
