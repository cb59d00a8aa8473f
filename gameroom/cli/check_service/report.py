"""What a check of a micro game service has found, for people and for programs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from textwrap import wrap
from typing import Any

import attrs
import click
from rich.filesize import decimal
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall

from gameroom.cli.check_service.cases import Counts
from gameroom.cli.check_service.findings import Example, Finding, Findings, described
from gameroom.cli.check_service.place import CLEARED
from gameroom.cli.check_service.speed import Speed
from gameroom.cli.check_service.words import DIFFERS, KINDS, RESTARTED, SPELLING
from gameroom.cli.output import WIDE, counted, shown

SHOWN = 2
"""Examples of each kind."""
_NARROWEST = 20
SAYS_EVERY = 0.5
"""Seconds."""


@attrs.frozen(kw_only=True)
class Report:
    """All of one check."""

    service: str
    """Its command or endpoint."""
    sandboxed: bool | None
    """None where it runs elsewhere."""
    answered_after: float | None
    """Seconds until the first answer; None where none came."""
    findings: Findings
    counts: Counts
    plays: int
    updates: int
    """That were answered, each counted once."""
    rounds: int
    """How often each was asked."""
    speed: Speed | None
    saved: Path | None
    """The file of the updates that show what was found."""
    saved_count: int
    output: tuple[str, ...]
    """The last lines that its program wrote."""

    @property
    def is_function(self) -> bool | None:
        """None where that could not be seen."""
        if self.rounds < 2 or not self.updates:
            return None
        return not any(self.findings.has(kind) for kind in (DIFFERS, RESTARTED, SPELLING))

    def to_json(self) -> dict[str, Any]:
        counts = self.counts
        return {
            "service": self.service,
            "sandboxed": self.sandboxed,
            "answered_after": self.answered_after,
            "function": self.is_function,
            "plays": self.plays,
            "updates": self.updates,
            "asked": counts.asked,
            "messages": {"known": counts.own_messages, "sent": counts.messages, "accepted": counts.accepted},
            "largest_state_bytes": counts.largest_state,
            "speed": None if self.speed is None else self.speed.to_json(),
            "wrong": [each.to_json() for each in self.findings.wrong],
            "odd": [each.to_json() for each in self.findings.odd],
            "saved": None if self.saved is None else str(self.saved),
            "output": list(self.output),
        }


@contextmanager
def counting(reactor: IReactorTime, asked: Callable[[], int]) -> Iterator[None]:
    """Inside, whoever looks at a terminal sees how far it is."""
    if not sys.stderr.isatty():
        yield
        return

    def say() -> None:
        click.echo(f"{CLEARED}{asked():,} asked", nl=False, err=True)

    saying = LoopingCall(say)
    saying.clock = reactor
    saying.start(SAYS_EVERY, now=False)
    try:
        yield
    finally:
        saying.stop()
        click.echo(CLEARED, nl=False, err=True)


def show(report: Report, again: str) -> None:
    """For people, as wide as their terminal. `again` is the command that asks the saved updates again."""
    _show_seen(report)
    for title, found in (("Wrong", report.findings.wrong), ("Odd", report.findings.odd)):
        for number, each in enumerate(found, 1):
            _show_finding(f"{title} {number}", each)
    if report.saved is not None:
        _say("")
        shows, them = ("shows", "it") if report.saved_count == 1 else ("show", "them")
        _say(f"{counted(report.saved_count, 'update')} that {shows} this: {report.saved}. To ask {them} again:")
        click.echo(f"  {shown(again)}")  # unbroken, so that it can be copied
    _say("")
    wrong = len(report.findings.wrong)
    if wrong:
        _say(f"{counted(wrong, 'thing')} wrong. docs/protocol/game-service.md says what a service is to do.")
    else:
        odd = len(report.findings.odd)
        _say("Nothing is wrong" + (f", and {counted(odd, 'thing')} odd." if odd else "."))


def _show_seen(report: Report) -> None:
    if report.answered_after is None:
        return
    counts = report.counts
    _say(f"Its first answer came after {_time(report.answered_after)}.")
    if report.updates:
        plays = f" of {counted(report.plays, 'play')}" if report.plays else ""
        _say(f"{counted(report.updates, 'update')}{plays}, each asked {report.rounds} times.")
    if counts.own_messages:
        _say(f"Of your {counted(counts.own_messages, 'message')} {counts.messages:,} were sent, and {counts.accepted:,} of those accepted.")
    if report.is_function:
        _say("It is a function: the same update has the same answer.")
    if counts.largest_state:
        _say(f"Its largest state has {decimal(counts.largest_state)}.")
    if report.speed is not None:
        _show_speed(report.speed)


def _show_speed(speed: Speed) -> None:
    _say(f"One at a time: {_time(speed.p50)} in the middle, {_time(speed.p99)} for 99 of 100, {_rate(speed.one)} updates/s.")
    connections = counted(speed.connections, "connection")
    _say(f"{speed.in_flight} at a time on {connections}: {_rate(speed.many)} updates/s.")


def _show_finding(title: str, finding: Finding) -> None:
    kind = KINDS[finding.kind]
    times = f" ({finding.count:,} times)" if finding.count > 1 else ""
    _say("")
    _say(f"{title}: {kind.what}{times}")
    for each in finding.examples[:SHOWN]:
        _show_example(each)
    _say(f"→ {kind.advice}", 2)


def _show_example(example: Example) -> None:
    _say(example.said, 2)
    if example.update is not None:
        _say(f"at {described(example.update)}", 4)


def _time(seconds: float) -> str:
    return f"{seconds * 1000:.2g} ms" if seconds < 0.0995 else f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _rate(a_second: float) -> str:
    return f"{a_second:,.0f}" if a_second >= 10 else f"{a_second:.1f}"


def _say(text: str, indent: int = 0) -> None:
    """A paragraph."""
    width = max(_NARROWEST, shutil.get_terminal_size((WIDE, 24)).columns)
    before = " " * indent
    for line in wrap(shown(text), width, initial_indent=before, subsequent_indent=before, break_on_hyphens=False) or [""]:
        click.echo(line)
