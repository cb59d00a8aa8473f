"""What members of a service room were shown last, for those who come back (docs/protocol/game-service.md, "How a room is played").

Pure values: no clock and no I/O.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import attrs

from gameroom.wire.game_service import Said, State, View, shown_from_bytes, state_to_bytes
from gameroom.wire.prefixed import Frames, framed

ALL: Final = -1
"""The place of what everybody was shown, beside those of the seats."""
MOST_BYTES: Final = 4 << 20
"""Of what is kept; one answer alone may have a fourth of it."""


@attrs.frozen
class Shown:
    """All broadcasts of the last update that had any, and of each seat all views of the last update that had one for it.

    `parts` has them as the bytes of a GameState each, by seat or `ALL`, the oldest first.
    """

    parts: dict[int, bytes] = attrs.field(factory=dict)

    @property
    def size(self) -> int:
        """In bytes."""
        return sum(len(part) for part in self.parts.values())

    def after(self, answer: State, seats: Collection[int]) -> Shown:
        """With what an answer shows, in a play that these seats are in.

        Where it would be too much, what was shown longest ago is forgotten.
        """
        new = {seat: part for seat, part in _parts_of(answer).items() if seat == ALL or seat in seats}
        old = {seat: part for seat, part in self.parts.items() if seat not in new and (seat == ALL or seat in seats)}
        size = sum(len(part) for part in (*old.values(), *new.values()))
        for seat in list(old):
            if size <= MOST_BYTES:
                break
            size -= len(old.pop(seat))
        return Shown({**old, **new})

    def broadcasts(self) -> tuple[Said, ...]:
        """What everybody was shown last."""
        part = self.parts.get(ALL)
        return () if part is None else shown_from_bytes(part)[0]

    def views(self, seat: int) -> tuple[View, ...]:
        """What the player in this seat was shown last."""
        part = self.parts.get(seat)
        return () if part is None else shown_from_bytes(part)[1]

    def to_bytes(self) -> bytes:
        return b"".join(framed(part) for part in self.parts.values())

    @classmethod
    def from_bytes(cls, data: bytes) -> Shown:
        """What `to_bytes` gave."""
        parts = {}
        for part in Frames(len(data)).feed(data):
            _, views = shown_from_bytes(part)
            parts[views[0].seat if views else ALL] = part
        return cls(parts)


def _parts_of(answer: State) -> dict[int, bytes]:
    parts = {}
    if answer.broadcast:
        parts[ALL] = state_to_bytes(State(request=0, sequence=0, broadcast=answer.broadcast))
    by_seat: dict[int, list[View]] = {}
    for view in answer.views:
        by_seat.setdefault(view.seat, []).append(view)
    for seat, views in by_seat.items():
        parts[seat] = state_to_bytes(State(request=0, sequence=0, views=tuple(views)))
    return parts
