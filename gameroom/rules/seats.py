"""The players of a lock-step play: who counts, who is away, who is to be dropped (docs/protocol/lockstep.md, lag, loss, leaving).

    PLAYS ── drop ──> DROPPED ── a packet inside the window ──> RETURNING ── the next master ──> PLAYS
      │                  │  ^                                       │
      │                  │  └────────── its connection goes ────────┤
      └─────── leave ────┴────────────────── leave ─────────────────┴──> LEFT

Only those who PLAY are waited for.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from enum import Enum
from typing import Any

from gameroom.errors import BadState, Forbidden


class Status(Enum):
    """How a player takes part."""

    PLAYS = "plays"
    DROPPED = "dropped"
    RETURNING = "returning"
    LEFT = "left"


PLAYS, DROPPED, RETURNING, LEFT = Status.PLAYS, Status.DROPPED, Status.RETURNING, Status.LEFT


class Seats:
    """The players of one play, by seat. Times are in seconds."""

    def __init__(self, seats: Collection[int], connected: Collection[int], now: float) -> None:
        self.status = dict.fromkeys(sorted(seats), PLAYS)
        self.connected = set(connected)
        self._trouble = {seat: now for seat in seats if seat not in self.connected}
        self._proposals: dict[int, set[int]] = {}
        self.deserted: float | None = None if self.connected else now
        """Since when no player is connected."""

    def having(self, status: Status) -> list[int]:
        return [seat for seat, present in self.status.items() if present is status]

    def remember(self, events: Iterable[Mapping[str, Any]], now: float) -> None:
        """What the `system` events of a recording say of who takes part."""
        for event in events:
            for name, status in (("dropped", DROPPED), ("rejoined", PLAYS), ("left", LEFT)):
                if event.get(name) in self.status:
                    self.become(event[name], status, now)

    def connect(self, seat: int, lagging: bool) -> None:
        """A player has a connection again; one that is waited for as well is still in trouble until its packet comes."""
        self.connected.add(seat)
        self.deserted = None
        if not lagging:
            self._recovered(seat)

    def disconnect(self, seat: int, now: float) -> None:
        """A player's last connection is gone."""
        self.connected.discard(seat)
        if self.status[seat] is PLAYS:
            self._trouble.setdefault(seat, now)
        if not self.connected:
            self.deserted = now

    def become(self, seat: int, status: Status, now: float) -> None:
        """A player drops, returns or leaves; what was proposed or counted against it is void."""
        self.status[seat] = status
        self._recovered(seat)
        for proposers in self._proposals.values():
            proposers.discard(seat)
        if status is LEFT and seat in self.connected:
            self.disconnect(seat, now)

    def lagging(self, awaited: Iterable[int], now: float) -> None:
        """These are lagging; the others who are connected are not."""
        late = set(awaited)
        for seat in late:
            self._trouble.setdefault(seat, now)
        for seat in [seat for seat in self._trouble if seat not in late and seat in self.connected]:
            self._recovered(seat)

    def _recovered(self, seat: int) -> None:
        self._trouble.pop(seat, None)
        self._proposals.pop(seat, None)

    def overdue(self, now: float, drop_after: float) -> list[int]:
        """Who has been away or lagging for too long, while somebody is there to carry on without it."""
        if not self._trouble:
            return []
        late = [seat for seat, since in self._trouble.items() if now - since >= drop_after and self.status[seat] is PLAYS]
        return late if late and any(seat not in self._trouble for seat in self.connected) else []

    def propose(self, by: int, seat: int, awaited: Collection[int]) -> None:
        """A player proposes to drop another.

        Raises `Forbidden` for one who does not play itself, `BadState` for a seat that is neither away nor lagging.
        """
        if self.status[by] is not PLAYS:
            raise Forbidden("you are dropped yourself; you take part again once you have caught up")
        if self.status.get(seat) is not PLAYS or by == seat or (seat in self.connected and seat not in awaited):
            raise BadState(f"seat {seat} is neither away nor lagging; only such players can be dropped")
        self._proposals.setdefault(seat, set()).add(by)

    def carried(self) -> list[int]:
        """Whom all other connected players have proposed to drop."""
        voters = {seat for seat in self.connected if self.status[seat] is PLAYS}
        return [seat for seat, proposers in self._proposals.items() if voters - {seat} and proposers >= voters - {seat}]
