"""A log of which the last lines are seen again and again is told once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import click
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import dev_run
from gameroom.cli.dev_overheard import Overheard
from gameroom.client.developer import DeveloperClient
from gameroom.rules.manifest import PLAIN, Manifest, Server, Service


class OverheardTests(SynchronousTestCase):
    @given(st.lists(st.lists(st.integers(0, 3).map(str), max_size=6), max_size=6), st.integers(6, 9))
    def test_each_line_is_told_once(self, batches: list[list[str]], most: int) -> None:
        """Where lines can be told apart, none is missing and none comes twice, however few of the last ones are seen."""
        overheard = Overheard()
        log: list[str] = []
        told: list[str] = []
        for batch in batches:
            log += [f"{len(log) + place} {text}" for place, text in enumerate(batch)]
            told += overheard.new(log[-most:])
        self.assertEqual(told, log)

    def test_more_than_is_seen_at_once(self) -> None:
        overheard = Overheard()
        overheard.new(["1 a", "2 b"])
        self.assertEqual(overheard.new(["7 c", "8 d"]), ["7 c", "8 d"])

    def test_the_same_again_is_nothing_new(self) -> None:
        overheard = Overheard()
        overheard.new(["1 a", "1 a"])
        self.assertEqual(overheard.new(["1 a", "1 a"]), [])


class _Door:
    def __init__(self) -> None:
        self.token: str | None = None
        self.lines: list[str] = []

    async def logs(self, game_id: str, lines: int) -> list[str]:
        return self.lines[-lines:]


class TrialTests(SynchronousTestCase):
    """`gameroom dev run` shows what a game's server or service writes: a traceback is seen where it was made."""

    def looked(self, manifest: Manifest, lines: list[str]) -> list[str]:
        door = _Door()
        said: list[tuple[str, bool]] = []
        door.lines = lines
        self.patch(DeveloperClient, "connect", lambda *_: _fired(door))
        self.patch(click, "echo", lambda text, err=False: said.append((text, err)))
        trial = dev_run.Trial(
            source=cast("Any", None),
            daemon=cast("Any", _Daemon()),
            reactor=MemoryReactorClock(),
            open_browser=False,
            as_json=False,
            manifest=manifest,
        )
        look = cast("Callable[[], Any]", trial._overhear)
        self.successResultOf(Deferred.fromCoroutine(look()))
        self.successResultOf(Deferred.fromCoroutine(look()))
        self.assertTrue(all(err for _, err in said))
        return [text for text, _ in said]

    def test_a_server(self) -> None:
        manifest = Manifest(bundle=True, kind="server", server=Server(command=("python3", "server.py")))
        self.assertEqual(self.looked(manifest, ["T1 Traceback", "T2   File"]), ["| Traceback", "|   File"])

    def test_a_service(self) -> None:
        """Of the bundle or elsewhere: of that one gameroom says itself what is wrong."""
        for service in (Service(command=("python3", "service.py")), Service(endpoint="tcp:rules.example:7100")):
            self.assertEqual(self.looked(Manifest(kind="service", service=service), ["T1 Traceback"]), ["| Traceback"])

    def test_none(self) -> None:
        self.assertEqual(self.looked(PLAIN, ["T1 Traceback"]), [])


class _Daemon:
    developer_port = 7001


def _fired(value: Any) -> Deferred[Any]:
    fired: Deferred[Any] = Deferred()
    fired.callback(value)
    return fired
