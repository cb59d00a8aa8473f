"""Runs Twisted's own tests over one reactor, in a process of its own, and prints what became of each as JSON.

    python tests/system/conformance.py twisted.internet.epollreactor.EPollReactor twisted.internet.test.test_tcp …

The reactor is what Twisted's `ReactorBuilder` builds for its tests, and the process's global one, on which the other tests run.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Sequence
from typing import Any
from unittest import TestCase

from twisted.internet.main import installReactor
from twisted.internet.test.reactormixins import ReactorBuilder
from twisted.python.reflect import namedAny
from twisted.trial.reporter import TestResult
from twisted.trial.runner import TestLoader, TrialSuite

ENDS_WITHIN = 20.0
"""Seconds that one test may take; Twisted's own limit is two minutes."""

SUFFIX = re.compile("_[A-Za-z]+ReactorTests")


class Outcomes(TestResult):
    """What became of each test, by its name without that of the reactor."""

    def __init__(self) -> None:
        super().__init__()
        self.of_test: dict[str, str] = {}
        self.why: dict[str, str] = {}

    def _became(self, test: TestCase, outcome: str, why: object = "") -> None:
        name = SUFFIX.sub("", test.id())
        # A test may both fail and log an error: the first of them counts.
        if self.of_test.get(name, "passed") == "passed":
            self.of_test[name] = outcome
            self.why[name] = str(why)

    def addSuccess(self, test: TestCase) -> None:
        super().addSuccess(test)
        self._became(test, "passed")

    def addSkip(self, test: TestCase, reason: str) -> None:
        super().addSkip(test, reason)
        self._became(test, "skipped", reason)

    def addFailure(self, test: TestCase, fail: Any) -> None:
        super().addFailure(test, fail)
        self._became(test, "failed", _traceback(fail))

    def addError(self, test: TestCase, error: Any) -> None:
        super().addError(test, error)
        self._became(test, "failed", _traceback(error))


def _traceback(problem: Any) -> object:
    return problem.getTraceback() if hasattr(problem, "getTraceback") else problem


def main(arguments: Sequence[str]) -> None:
    name, *modules = arguments
    factory = namedAny(name)
    # Twisted's tests know by this name what epoll itself cannot do.
    factory.__name__ = "EPollReactor"
    installReactor(factory())
    ReactorBuilder._reactors = [name]
    setattr(ReactorBuilder, "timeout", ENDS_WITHIN)  # noqa: B010  # trial looks for it here
    outcomes = Outcomes()
    TrialSuite([TestLoader().loadByNames(modules)]).run(outcomes)
    not_passed = {test: why for test, why in outcomes.why.items() if outcomes.of_test[test] == "failed"}
    json.dump({"outcomes": outcomes.of_test, "why": not_passed}, sys.stdout)


if __name__ == "__main__":
    main(sys.argv[1:])
