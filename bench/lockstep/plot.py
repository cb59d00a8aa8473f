"""The plot: a bar for each server at each work, as SVG that can be read on light and on dark."""

from __future__ import annotations

from collections.abc import Iterator
from html import escape

from contest import CASES, COLYSEUS, LIMIT, OURS, Case, Results
from measuring import Figures
from report import medians_of, ratio

SHOWN = (LIMIT, "C eager", OURS, f"{OURS} compiled", f"{OURS} JSON", f"{OURS} epoll", "Node ws", COLYSEUS, "autobahn")
WIDTH, LABELS, VALUES = 760, 130, 170
BAR, GAP, HEAD, MARGIN = 16, 5, 44, 16
FULL = WIDTH - LABELS - VALUES - 2 * MARGIN

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .title { font-size: 13px; font-weight: 600 }
  .faint { fill: #59636e }
  .back { fill: #ffffff }
  .other { fill: #b6bfc9 }
  .ours { fill: #1a7f5a }
  .variant { fill: #7fc3a8 }
  .limit { fill: none; stroke: #8c959f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .faint { fill: #9198a1 }
    .back { fill: #0d1117 }
    .other { fill: #4d5662 }
    .ours { fill: #3fb98a }
    .variant { fill: #23634c }
    .limit { stroke: #7d8590 }
  }
"""


def svg_of(results: Results) -> str:
    """The whole picture."""
    body: list[str] = []
    y = MARGIN
    for case in CASES.values():
        medians = medians_of(results, case)
        shown = {server: medians[server] for server in SHOWN if server in medians}
        if shown:
            body += _panel(case, shown, y)
            y += HEAD + len(shown) * (BAR + GAP) + MARGIN
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{y}" viewBox="0 0 {WIDTH} {y}" role="img">'
    title = "<title>Lock-step rooms: gameroom beside its peers</title>"
    return "\n".join([head, title, f"<style>{STYLE}</style>", f'<rect class="back" width="{WIDTH}" height="{y}"/>', *body, "</svg>", ""])


def _panel(case: Case, shown: dict[str, Figures], top: int) -> Iterator[str]:
    what = (
        "CPU µs of the server for each delivered master; less is better"
        if case.rate
        else "masters delivered a second, server on one core; more is better"
    )
    yield _text(MARGIN, top + 14, str(case), "title")
    yield _text(MARGIN, top + 31, what, "faint")
    most = max(_value(case, figures) for figures in shown.values())
    for place, (server, figures) in enumerate(shown.items()):
        y = top + HEAD + place * (BAR + GAP)
        value = _value(case, figures)
        width = max(1, round(FULL * value / most))
        yield _text(MARGIN + LABELS - 8, y + 12, server, "title" if server == OURS else "", anchor="end")
        yield f'<rect class="{_kind(server)}" x="{MARGIN + LABELS}" y="{y}" width="{width}" height="{BAR}" rx="2"/>'
        times = ratio(case, shown, server, COLYSEUS)
        said = f"{value:,.1f}" if case.rate else f"{value:,.0f}"
        yield _text(MARGIN + LABELS + width + 6, y + 12, said + (f" · {times:.2f} × Colyseus" if times is not None and server != COLYSEUS else ""))


def _value(case: Case, figures: Figures) -> float:
    return figures.cpu_microseconds if case.rate else figures.masters_per_second


def _kind(server: str) -> str:
    if server == OURS:
        return "ours"
    if server.startswith(OURS):
        return "variant"
    return "limit" if server.startswith(LIMIT + " ") or server == LIMIT else "other"


def _text(x: int, y: int, text: str, kind: str = "", anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{x}" y="{y}" text-anchor="{anchor}">{escape(text)}</text>'
