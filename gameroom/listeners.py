"""Connections that are told the same together: compiled code to compiled code, past their doors (docs/speed.md)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from typing import Any

from gameroom.wire.room_messages import Outgoings, Told


class Outlet:
    """Where what a member is told goes out: its door's, that gives it as `IConnection.outlet`."""

    __slots__ = ()

    def deliver(self, told: Told) -> None:
        """As the connection's own `deliver` and `deliver_all`. Never raises."""
        raise NotImplementedError


class Listeners:
    """Some connections, in the order in which they came. Who is told something may be added or gone meanwhile: that counts from the next on."""

    __slots__ = ("_others", "_outlet_of", "_outlets")

    def __init__(self, connections: Iterable[Any] = ()) -> None:
        self._outlet_of: dict[Any, Outlet | None] = {connection: connection.outlet for connection in connections}
        self._outlets: list[Outlet] = []
        self._others: list[Any] = []
        """The connections that have none."""
        self._line_up()

    def give(self, told: Told) -> None:
        """Tell it to all of them."""
        # Whoever is told may change who listens.
        outlets, others = self._outlets, self._others
        for outlet in outlets:
            outlet.deliver(told)
        for connection in others:
            if isinstance(told, Outgoings):
                connection.deliver_all(told)
            else:
                connection.deliver(told)

    def add(self, connection: Any) -> None:
        """One more."""
        self._outlet_of[connection] = connection.outlet
        self._line_up()

    def discard(self, connection: Any) -> None:
        """One less, where it is one of them."""
        if connection in self._outlet_of:
            del self._outlet_of[connection]
            self._line_up()

    def keep(self, present: Container[Any]) -> None:
        """Only those of them that are among these."""
        self._outlet_of = {connection: outlet for connection, outlet in self._outlet_of.items() if connection in present}
        self._line_up()

    def __contains__(self, connection: object) -> bool:
        return connection in self._outlet_of

    def __len__(self) -> int:
        return len(self._outlet_of)

    @property
    def connections(self) -> list[Any]:
        """All of them."""
        return list(self._outlet_of)

    def _line_up(self) -> None:
        # In new lists: `give` may be going through those that there were.
        self._outlets = [outlet for outlet in self._outlet_of.values() if outlet is not None]
        self._others = [connection for connection, outlet in self._outlet_of.items() if outlet is None]
