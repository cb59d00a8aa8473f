"""The table for a person, and what the goals say to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import attrs
from contest import AUTOBAHN, CASES, COLYSEUS, EAGER, LIMIT, OURS, PLAIN, PORT, WS, Case, Results
from measuring import Figures, median_of, spread_of

BUSY = 0.9
"""A core of which less is used than this is not what limits."""
REFERENCES = {COLYSEUS: "× Colyseus", WS: "× ws", AUTOBAHN: "× autobahn", LIMIT: "× C", EAGER: "× C eager"}
NOTES = """\
CPU µs: of the server, for each master that reached a client. Ratios: of masters/s in closed loop (more is better), of CPU µs where the load is
paced (less is better). p50, p99: turn latency. server, load: how much of its core each used; * in closed loop something else than its core limited
the server (other programs, the load, its disk): its masters/s are too low, and ratios to it are of CPU µs. idle kB: resident memory of the server
for each connection that waits; with room: from a fresh server on, so with its seat and its share of the room."""

Medians = Mapping[str, Figures]
"""By server."""


def medians_of(results: Results, case: Case) -> dict[str, Figures]:
    return {server: median_of(runs) for server, runs in results.runs.get(case.key, {}).items()}


def text_of(results: Results) -> str:
    """Everything: what it was measured on, a table for each work, the goals."""
    lines = [
        f"{results.about.get('cpu', '')}, {results.about.get('system', '')}; {results.about.get('date', '')}; runs: {results.about.get('runs', '')}"
    ]
    lines += [f"{server}: {versions}" for server, versions in results.versions.items()]
    lines += [f"{server} is left out: {reason}" for server, reason in results.left_out.items()]
    for case in CASES.values():
        if case.key in results.runs:
            lines += ["", *table_of(results, case)]
    return "\n".join([*lines, "", NOTES, "", *verdicts(results)])


def table_of(results: Results, case: Case) -> Iterator[str]:
    """A row of cells for each server under a head, as wide as its columns need."""
    medians = medians_of(results, case)
    head = ["", "masters/s", "spread", "CPU µs", *REFERENCES.values(), "p50 ms", "p99 ms", "server", "load", "idle kB", "with room"]
    rows = [head] + [[server, *cells_of(results, case, server)] for server in medians]
    widths = [max(len(row[place]) for row in rows) for place in range(len(head))]
    yield str(case)
    for row in rows:
        yield "  ".join([row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))])


def cells_of(results: Results, case: Case, server: str) -> Iterator[str]:
    medians = medians_of(results, case)
    figures = medians[server]
    yield f"{figures.masters_per_second:,.0f}"
    yield f"{spread_of(results.runs[case.key][server]):.0%}"
    yield f"{figures.cpu_microseconds:.2f}"
    yield from (_cell(ratio(case, medians, server, other)) for other in REFERENCES)
    yield f"{figures.latency_p50 * 1e3:.2f}"
    yield f"{figures.latency_p99 * 1e3:.2f}"
    yield f"{figures.server_busy:.0%}{'*' if _short(case, figures) else ' '}"
    yield f"{figures.load_busy:.0%}"
    yield f"{figures.bytes_per_idle_connection / 1e3:.1f}"
    yield f"{figures.bytes_per_seated_connection / 1e3:.1f}"


def markdown_of(results: Results) -> str:
    """Our own rows as the README quotes them."""
    others = (COLYSEUS, WS, AUTOBAHN, LIMIT)
    lines = ["| work | masters/s | " + " | ".join(REFERENCES[other] for other in others) + " |", "|---|---:|" + "---:|" * len(others)]
    for case in CASES.values():
        medians = medians_of(results, case)
        for build, name in ((OURS, ""), (PORT, ", game port"), (PLAIN, ", plain Python")):
            if build in medians:
                compared = " | ".join(_cell(ratio(case, medians, build, other)) for other in others)
                what = f"{case}{name}{' (CPU time)' if case.rate else ''}"
                lines.append(f"| {what} | {medians[build].masters_per_second:,.0f} | {compared} |")
    return "\n".join(lines)


def _cell(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def ratio(case: Case, medians: Medians, server: str, other: str) -> float | None:
    """How many times the other's figure the server's is; None where one of them was not measured.

    One whose core was not what limited it could do more than it did, so it counts with what it would do by the CPU time that it takes.
    """
    if server not in medians or other not in medians:
        return None
    ours, theirs = medians[server], medians[other]
    if case.rate:
        return ours.cpu_microseconds / theirs.cpu_microseconds
    if _short(case, theirs):
        return theirs.cpu_microseconds / ours.cpu_microseconds
    return ours.masters_per_second / theirs.masters_per_second


def _short(case: Case, figures: Figures) -> bool:
    return not case.rate and figures.server_busy < BUSY


@attrs.frozen
class Goal:
    """What is asked of gameroom at some work: its ratio to another at least (or, where `most`, at most) this."""

    kind: str
    case: str
    other: str
    bound: float
    most: bool = False
    of: str = OURS
    """Whose ratio."""


GOALS = (
    Goal("floor", "50x4", COLYSEUS, 1.3),
    Goal("floor", "50x4", WS, 1.0),
    Goal("floor", "50x4", AUTOBAHN, 3.3),
    Goal("aim", "50x4", COLYSEUS, 1.8),
    Goal("aim", "50x4", LIMIT, 0.65),
    Goal("aim", "50x4", EAGER, 0.65),
    Goal("floor", "50x4", LIMIT, 0.6, of=PORT),
    Goal("floor", "50x4", EAGER, 0.6, of=PORT),
    Goal("aim", "50x4", LIMIT, 0.75, of=PORT),
    Goal("aim", "50x4", EAGER, 0.75, of=PORT),
    Goal("floor", "250x4", COLYSEUS, 1.7),
    Goal("aim", "250x4", COLYSEUS, 2.1),
    Goal("floor", "10x16", COLYSEUS, 1.25),
    Goal("aim", "10x16", LIMIT, 0.65),
    Goal("aim", "10x16", EAGER, 0.65),
    Goal("floor", "2x64", COLYSEUS, 1.25),
    Goal("aim", "2x64", LIMIT, 0.65),
    Goal("aim", "2x64", EAGER, 0.65),
    Goal("floor", "paced", COLYSEUS, 0.75, most=True),
    Goal("aim", "paced", LIMIT, 2.2, most=True),
)
IDLE = {"floor": 6.0, "aim": 2.5}
"""kB for each connection that waits."""


def verdicts(results: Results) -> Iterator[str]:
    """A line for each goal: whether it is met (with a question mark where a core was not whole), what was asked, what was measured."""
    for goal in GOALS:
        case = CASES[goal.case]
        medians = medians_of(results, case)
        value = ratio(case, medians, goal.of, goal.other)
        sure = not any(server in medians and _short(case, medians[server]) for server in (goal.of, goal.other))
        what = "" if goal.of == OURS else f"{goal.of}: "
        what += f"{'CPU ' if case.rate else ''}{'≤' if goal.most else '≥'} {goal.bound:g} × {goal.other}"
        met = value is not None and (value <= goal.bound if goal.most else value >= goal.bound)
        yield _verdict(goal.kind, case, what, met, value, sure=sure)
    paced = medians_of(results, CASES["paced"])
    ours, theirs = (paced[server].latency_p50 * 1e3 if server in paced else None for server in (OURS, WS))
    known = ours is not None and theirs is not None
    yield _verdict(
        "floor", CASES["paced"], f"p50 in ms ≤ Node ws's {_cell(theirs)}", bool(ours and theirs and ours <= theirs), ours if known else None
    )
    # Of a thousand connections, since memory comes in pages.
    many = medians_of(results, CASES["250x4"]).get(OURS)
    idle = many.bytes_per_idle_connection / 1e3 if many else None
    for kind, bound in IDLE.items():
        yield _verdict(kind, CASES["250x4"], f"idle connection in kB ≤ {bound:g}", idle is not None and idle <= bound, idle)


def _verdict(kind: str, case: Case, what: str, met: bool, value: float | None, *, sure: bool = True) -> str:
    said = "unknown" if value is None else ("met" if met else "MISSED") + ("" if sure else "?")
    return f"{said:<8} {kind:<6} {case}: {what}: {_cell(value) or 'not measured'}"
