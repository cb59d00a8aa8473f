"""Which build this is: plain Python, or one whose packets run through compiled modules (docs/speed.md)."""

from __future__ import annotations

from importlib.machinery import EXTENSION_SUFFIXES
from importlib.util import find_spec
from typing import Final

OF_EACH_PACKET = "gameroom.rules.turns"
"""One of the modules that are compiled; all of them are, or none."""


def build() -> str:
    """`compiled`, or `python` where nothing is."""
    spec = find_spec(OF_EACH_PACKET)
    is_compiled = spec is not None and spec.origin is not None and spec.origin.endswith(tuple(EXTENSION_SUFFIXES))
    return "compiled" if is_compiled else "python"


IS_COMPILED: Final = build() == "compiled"
"""For modules that do some of their work otherwise then. They keep it as a `Final` of their own, which compiled code finds at once."""
