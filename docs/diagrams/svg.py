"""A few shapes of SVG. Coordinates are in pixels, from the upper left."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

Point = tuple[float, float]

STYLE = """
  svg { font: 14px system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
  .page { fill: #ffffff; }
  .box { fill: #f6f8fa; stroke: #8c959f; }
  .inner { fill: #ffffff; stroke: #8c959f; }
  .state { fill: #ddf4ff; stroke: #0969da; }
  .halt { fill: #ffebe9; stroke: #cf222e; }
  .own { fill: none; stroke: #8c959f; stroke-dasharray: 5 4; }
  .band { fill: #f6f8fa; }
  .line { fill: none; stroke: #57606a; stroke-width: 1.5; }
  .life { stroke: #d0d7de; stroke-width: 1.5; stroke-dasharray: 2 4; }
  .head { fill: #57606a; }
  text { fill: #1f2328; }
  .name { font-weight: 600; }
  .note { fill: #57606a; font-size: 12.5px; }
  .code { font-family: ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; font-size: 12.5px; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #131416; }
    .box { fill: #1c2128; stroke: #768390; }
    .inner { fill: #131416; stroke: #768390; }
    .state { fill: #12304f; stroke: #539bf5; }
    .halt { fill: #4a1d20; stroke: #f47067; }
    .own { stroke: #768390; }
    .band { fill: #1c2128; }
    .line { stroke: #adbac7; }
    .life { stroke: #444c56; }
    .head { fill: #adbac7; }
    text { fill: #e6edf3; }
    .note { fill: #adbac7; }
  }
"""

TIP = (
    '<defs><marker id="tip" viewBox="0 0 10 10" refX="9" refY="5" markerWidth="8" markerHeight="8" orient="auto">'
    '<path class="head" d="M0 1 L10 5 L0 9 z"/></marker></defs>'
)


def page(width: int, height: int, title: str, about: str, shapes: Sequence[str]) -> str:
    """A whole figure; `title` and `about` are for those who do not see it."""
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<desc>{escape(about)}</desc>",
        f"<style>{STYLE}</style>",
        TIP,
        f'<rect class="page" width="{width}" height="{height}" rx="10"/>',
        *shapes,
        "</svg>",
    ]
    return "\n".join(lines) + "\n"


def box(kind: str, x: float, y: float, width: float, height: float) -> str:
    return f'<rect class="{kind}" x="{x:g}" y="{y:g}" width="{width:g}" height="{height:g}" rx="8"/>'


def text(kind: str, at: Point, words: str, anchor: str = "start") -> str:
    return f'<text class="{kind}" x="{at[0]:g}" y="{at[1]:g}" text-anchor="{anchor}">{escape(words)}</text>'


def arrow(points: Sequence[Point]) -> str:
    """A line through these points with round corners, and a tip at its end."""
    (x, y), *rest = points
    path = [f"M{x:g} {y:g}"]
    for place, (corner_x, corner_y) in enumerate(rest[:-1]):
        next_x, next_y = rest[place + 1]
        before, after = _towards((corner_x, corner_y), (x, y)), _towards((corner_x, corner_y), (next_x, next_y))
        path.append(f"L{before[0]:g} {before[1]:g} Q{corner_x:g} {corner_y:g} {after[0]:g} {after[1]:g}")
        x, y = corner_x, corner_y
    path.append(f"L{rest[-1][0]:g} {rest[-1][1]:g}")
    return f'<path class="line" d="{" ".join(path)}" marker-end="url(#tip)"/>'


def _towards(corner: Point, other: Point, by: float = 8) -> Point:
    length = max(1.0, abs(other[0] - corner[0]) + abs(other[1] - corner[1]))
    return corner[0] + (other[0] - corner[0]) * by / length, corner[1] + (other[1] - corner[1]) * by / length
