"""Who of a room's members is there: their connections, and since when the others are away."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

from gameroom.errors import BadState


class Attendance:
    """The welcomed connections (`IConnection`) of one room's members, by user_id."""

    def __init__(self) -> None:
        self._connections: dict[str, list[Any]] = {}
        self._away_since: dict[str, float] = {}

    def __iter__(self) -> Iterator[Any]:
        """Every connection; safe against connections that go meanwhile."""
        return iter([connection for connections in self._connections.values() for connection in connections])

    def of(self, user_id: str) -> tuple[Any, ...]:
        """The member's connections, oldest first."""
        return tuple(self._connections.get(user_id, ()))

    def arrive(self, user_id: str, connection: Any) -> list[Any]:
        """A connection has come. Gives the exclusive ones that it takes over from; they are no longer of this room."""
        present = self._connections.setdefault(user_id, [])
        replaced = [old for old in present if old.exclusive and connection.exclusive and old is not connection]
        self._connections[user_id] = [old for old in present if old not in replaced and old is not connection] + [connection]
        return replaced

    def depart(self, user_id: str, connection: Any) -> bool:
        """A connection is gone. Whether it was the member's last."""
        present = self._connections.get(user_id, [])
        if connection not in present:
            return False
        present.remove(connection)
        if present:
            return False
        del self._connections[user_id]
        return True

    def dismiss(self, user_id: str) -> tuple[Any, ...]:
        """The member is gone for good. Gives the connections that it had."""
        self._away_since.pop(user_id, None)
        return tuple(self._connections.pop(user_id, ()))

    def note(self, now: float, absent: Iterable[str], present: Iterable[str]) -> None:
        """Start the clocks of those who are away, and stop those of the others."""
        for user_id in present:
            self._away_since.pop(user_id, None)
        for user_id in absent:
            self._away_since.setdefault(user_id, now)

    def restart_clocks(self, now: float) -> None:
        """Everybody who is away is away from now on."""
        self._away_since = dict.fromkeys(self._away_since, now)

    def overdue(self, now: float, window: float) -> list[str]:
        """The members who have been away for `window` seconds or longer."""
        if not self._away_since:
            return []
        return [user_id for user_id, since in self._away_since.items() if now - since >= window]

    def next_overdue(self, window: float) -> float:
        """When the next will have been away for `window` seconds; infinity where nobody is away."""
        return min(self._away_since.values(), default=inf) + window


TAKEN_OVER = BadState("a newer connection has taken over this seat")
