"""What of a folder does not go into its bundle: `.gameroomignore` (docs/cli.md)."""

from __future__ import annotations

import re
from collections.abc import Iterable

import attrs

FILE = ".gameroomignore"
ALWAYS = (".*", "__pycache__/", "node_modules/")
"""Left out of themselves; a line with `!` in the file takes them back in."""


@attrs.frozen
class Pattern:
    """One line of the file."""

    text: str
    takes_in: bool
    """It began with `!`: what earlier lines left out goes in after all."""
    folders_only: bool
    expression: re.Pattern[str]

    def matches(self, path: str, is_folder: bool) -> bool:
        """Whether it speaks of this path from the bundle's root."""
        return (is_folder or not self.folders_only) and self.expression.fullmatch(path) is not None


def read(text: str) -> tuple[Pattern, ...]:
    """The patterns of a `.gameroomignore`, those that always hold before them."""
    return tuple(_pattern(line) for line in (*ALWAYS, *_lines(text)))


def leaves_out(patterns: Iterable[Pattern], path: str, is_folder: bool) -> bool:
    """Whether this file or folder stays out: the last pattern that speaks of it says so."""
    out = False
    for pattern in patterns:
        if pattern.matches(path, is_folder):
            out = not pattern.takes_in
    return out


def _lines(text: str) -> Iterable[str]:
    stripped = (line.strip() for line in text.removeprefix("\ufeff").splitlines())
    return (line for line in stripped if line and not line.startswith("#"))


def _pattern(line: str) -> Pattern:
    text = line.removeprefix("!")
    folders_only = text.endswith("/")
    bare = text.rstrip("/")
    # With a slash at its beginning or in its middle a pattern is meant from the root, else at any depth.
    anchored = "/" in bare
    expression = ("" if anchored else "(?:.*/)?") + _expression(bare.removeprefix("/"))
    return Pattern(line, line.startswith("!"), folders_only, re.compile(expression, re.DOTALL))


_PIECES = re.compile(r"/\*\*/|\*\*/|/\*\*|\*\*|\*|\?|\[[!^]?\]?[^\]/]*\]|.", re.DOTALL)


def _expression(glob: str) -> str:
    return "".join(_translated(piece.group()) for piece in _PIECES.finditer(glob))


def _translated(piece: str) -> str:
    """A piece of a pattern as a regular expression: no star but `**` goes over a slash."""
    known = {"/**/": "/(?:.*/)?", "**/": "(?:.*/)?", "/**": "/.*", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    if piece in known:
        return known[piece]
    if len(piece) > 2 and piece[0] == "[":
        negated = piece[1] in "!^"
        inside = piece[2 if negated else 1 : -1].replace("\\", "\\\\").replace("[", "\\[").replace("]", "\\]")
        return f"(?!/)[{'^' if negated else ''}{inside}]"
    return re.escape(piece)
