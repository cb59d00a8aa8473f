"""The states of many service rooms, of which memory holds the ones that were needed last."""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

from gameroom.rules.service_game import Held

MOST_BYTES: Final = 256 << 20
"""Of all rooms together."""
EACH: Final = 512
"""Bytes that one costs whatever it holds."""


class KeptStates:
    """What rooms hold, as it is in the database. What is pushed out is read from there when it is needed."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._by_room: OrderedDict[str, tuple[Held, int]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._by_room)

    def get(self, room_id: str) -> Held | None:
        """What the room holds; None where that is not here."""
        found = self._by_room.get(room_id)
        if found is None:
            return None
        self._by_room.move_to_end(room_id)
        return found[0]

    def put(self, room_id: str, held: Held) -> None:
        """The room holds this, durably."""
        self.forget(room_id)
        size = held.size + EACH
        self._by_room[room_id] = held, size
        self.bytes += size
        while self.bytes > self._most:
            self.forget(next(iter(self._by_room)))

    def forget(self, room_id: str) -> None:
        """The room's play is over, or gone."""
        _, size = self._by_room.pop(room_id, (None, 0))
        self.bytes -= size
