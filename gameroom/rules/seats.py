"""The players of a lock-step play: who counts, who is away, who is to be dropped (docs/protocol/lockstep.md, lag, loss, leaving).

    PLAYS ── drop ──> DROPPED ── a packet inside the window ──> RETURNING ── the next master ──> PLAYS
      │                  │  ^                                       │
      │                  │  └────────── its connection goes ────────┤
      └─────── leave ────┴────────────────── leave ─────────────────┴──> LEFT

Who is EVICTED, from any of these but LEFT, stays so: it is a viewer. Only those who PLAY are waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Any, Final

from gameroom.errors import BadState, Forbidden


class Status(Enum):
    """How a player takes part."""

    PLAYS = "plays"
    DROPPED = "dropped"
    RETURNING = "returning"
    LEFT = "left"
    EVICTED = "evicted"


PLAYS: Final = Status.PLAYS
DROPPED: Final = Status.DROPPED
RETURNING: Final = Status.RETURNING
LEFT: Final = Status.LEFT
EVICTED: Final = Status.EVICTED
GONE = (LEFT, EVICTED)
"""They do not come back."""
PARTS = {"dropped": DROPPED, "rejoined": PLAYS, "left": LEFT, "evicted": EVICTED}
"""The `system` events of a master that say how a player takes part from then on."""


class Seats:
    """The players of one play, by seat. Times are in seconds."""

    def __init__(self, seats: Collection[int], connected: Collection[int], now: float) -> None:
        self.status = dict.fromkeys(sorted(seats), PLAYS)
        self.connected = set(connected)
        self._trouble = {seat: now for seat in seats if seat not in self.connected}
        self._missed: dict[int, int] = {}
        """By seat: the newest generation that was mastered without it, for those of whom no other was since."""
        self._proposals: dict[int, set[int]] = {}
        self.deserted: float | None = None if self.connected else now
        """Since when no player is connected."""

    def having(self, status: Status) -> list[int]:
        return [seat for seat, present in self.status.items() if present is status]

    def gone(self) -> bool:
        """Whether nobody is left who might play."""
        return all(present in GONE for present in self.status.values())

    def remember(self, events: Iterable[Mapping[str, Any]], now: float) -> None:
        """What the `system` events of a recording say of who takes part."""
        for event in events:
            for name, status in PARTS.items():
                if event.get(name) in self.status:
                    self.become(event[name], status, now)

    def connect(self, seat: int, lagging: bool) -> None:
        """A player has a connection again; one that is waited for or missed as well is still in trouble until its packet comes."""
        if self.status[seat] in GONE:
            return
        self.connected.add(seat)
        self.deserted = None
        if not lagging and seat not in self._missed:
            self._recovered(seat)

    def disconnect(self, seat: int, now: float) -> None:
        """A player's last connection is gone."""
        self.connected.discard(seat)
        if self.status[seat] is PLAYS:
            self._trouble.setdefault(seat, now)
        if not self.connected and self.deserted is None:
            self.deserted = now

    def become(self, seat: int, status: Status, now: float) -> None:
        """A player drops, returns, leaves or is evicted; what was proposed or counted against it is void."""
        self.status[seat] = status
        self._recovered(seat)
        for proposers in self._proposals.values():
            proposers.discard(seat)
        if status in GONE and seat in self.connected:
            self.disconnect(seat, now)

    def lagging(self, awaited: Iterable[int], now: float) -> None:
        """These are lagging; the others who are connected are not."""
        late = set(awaited)
        for seat in late:
            self._trouble.setdefault(seat, now)
        for seat in [seat for seat in self._trouble if seat not in late and seat in self.connected]:
            self._recovered(seat)

    def missed(self, missing: Iterable[int], generation: int, now: float) -> None:
        """That generation is mastered without these: they are in trouble until one is mastered with them."""
        self.in_time(generation)
        for seat in missing:
            self._trouble.setdefault(seat, now)
            self._missed[seat] = generation

    def in_time(self, generation: int) -> None:
        """That generation is the next to be mastered: who was not missed in the newest is in trouble no longer, if it is there."""
        for seat in [seat for seat, newest in self._missed.items() if newest < generation - 1]:
            del self._missed[seat]
            if seat in self.connected:
                self._recovered(seat)

    @property
    def troubled(self) -> bool:
        """Whether any player is away, lagging or missed."""
        return bool(self._trouble)

    def in_trouble(self, seat: int) -> bool:
        """Whether that player is away, lagging or missed."""
        return seat in self._trouble

    def _recovered(self, seat: int) -> None:
        self._trouble.pop(seat, None)
        self._missed.pop(seat, None)
        self._proposals.pop(seat, None)

    def overdue(self, now: float, drop_after: float) -> list[int]:
        """Who has been away, lagging or missed for too long, while somebody is there to carry on without it."""
        if not self._trouble:
            return []
        late = [seat for seat, since in self._trouble.items() if now - since >= drop_after and self.status[seat] is PLAYS]
        return late if late and any(seat not in self._trouble for seat in self.connected) else []

    def propose(self, by: int, seat: int, awaited: Collection[int]) -> None:
        """A player proposes to drop another.

        Raises `Forbidden` for one who does not play itself, `BadState` for a seat that is neither away, missed nor lagging.
        """
        if self.status[by] is EVICTED:
            raise Forbidden("you are no longer a player of this play")
        if self.status[by] is not PLAYS:
            raise Forbidden("you are dropped yourself; you take part again once you have caught up")
        if self.status.get(seat) is not PLAYS or by == seat or (seat in self.connected and seat not in awaited and seat not in self._missed):
            raise BadState(f"seat {seat} is neither away nor lagging; only such players can be dropped")
        self._proposals.setdefault(seat, set()).add(by)

    def carried(self) -> list[int]:
        """Whom all other connected players have proposed to drop."""
        voters = {seat for seat in self.connected if self.status[seat] is PLAYS}
        return [seat for seat, proposers in self._proposals.items() if voters - {seat} and proposers >= voters - {seat}]
