"""What a micro game service under check is asked, and what of that was seen."""

from __future__ import annotations

import attrs

from gameroom.wire.game_service import State, Update


@attrs.frozen(kw_only=True)
class Recorded:
    """An update of a file, and the answer that is recorded beside it."""

    update: Update
    state: State | None


@attrs.frozen
class Case:
    """An update that was answered, and how."""

    update: Update
    state: State


@attrs.define
class Counts:
    """What was seen, beside what is wrong."""

    asked: int = 0
    """Updates, each as often as it was asked."""
    starts: int = 0
    started: int = 0
    messages: int = 0
    """Of the developer's own."""
    accepted: int = 0
    """Of those."""
    own_messages: int = 0
    """That were known."""
    largest_state: int = 0
