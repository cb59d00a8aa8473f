"""Uploads under any interleaving, beside a plain model: the machine is tests/uploads_machine.py."""

from __future__ import annotations

from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from tests.uploads_machine import UploadMachine


class UploadHistoriesTests(SynchronousTestCase):
    """The whole of uploads, with their files and their database."""

    def test_any_history(self) -> None:
        """Whatever comes in whatever order, and wherever the daemon is killed: nothing that was answered is lost, and versions are whole."""
        run_state_machine_as_test(UploadMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None))
