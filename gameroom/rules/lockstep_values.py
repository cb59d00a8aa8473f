"""What goes into the rules of a lock-step play, and what comes out of them (`gameroom.rules.lockstep`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import attrs

from gameroom.rules.master import Master
from gameroom.rules.pace import FIRST_ITERATIONS
from gameroom.wire.lockstep import Checksum


class Repeat(NamedTuple):
    """Give that master to that player once more."""

    seat: int
    generation: int


class Resend(NamedTuple):
    """Ask that player for its packet of that generation."""

    seat: int
    generation: int


class StateChange(NamedTuple):
    """Tell everyone the state, and whom it is about."""

    state: str
    seats: tuple[int, ...] = ()


class Warn(NamedTuple):
    """Tell a player what its client does wrong (100)."""

    seat: int
    message: str


class Divergence(NamedTuple):
    """Record and tell everyone what diverged."""

    fields: dict[str, Any]


class AskSnapshot(NamedTuple):
    """Ask that player for the state after that generation: the others are to be given it."""

    seat: int
    generation: int


class Restore(NamedTuple):
    """Give those players the newest snapshot that `giver` has given, of that generation; they go on from it."""

    seats: tuple[int, ...]
    generation: int
    giver: int


class Evict(NamedTuple):
    """That player is a viewer from the master on that says so, and is to be brought up from a good snapshot."""

    seat: int


class Over(NamedTuple):
    """The play is over."""

    reason: str
    results: Any = None


Effect = Master | Repeat | Resend | StateChange | Warn | Divergence | AskSnapshot | Restore | Evict | Over
Effects = Sequence[Effect]
NOTHING: Effects = ()


@attrs.frozen(kw_only=True)
class Terms:
    """What a play is played by. Times are in seconds."""

    input_delay: int = 2
    checksum_interval: int = 1
    lag_after: float = 1.0
    drop_after: float = 60.0
    room_ttl: float = 120.0
    on_divergence: str = "halt"
    """`halt`, `evict` or `resync`."""
    patience: float | None = None
    """After so long a generation is sealed without the seats that are missing."""


@attrs.frozen(kw_only=True)
class Past:
    """What a recording says of a play that is taken up again."""

    generation: int = 0
    """The next to be mastered."""
    iterations: int = FIRST_ITERATIONS
    checksum: tuple[int, Checksum] | None = None
    """The newest agreed hash."""
    events: Sequence[Mapping[str, Any]] = ()
    """`system` events, in order: of each seat at least the newest that says how it takes part."""
