"""How long a play's service has been silent: after a while its room is paused, and its members are told why."""

from __future__ import annotations

from typing import Any, Final

from gameroom.interfaces import IRoom
from gameroom.referees.service_lease import RoomService
from gameroom.wire.room_messages import Outgoing

RUNNING: Final = "running"
PAUSED: Final = "running.paused"
SILENT: Final = "service_silent"
"""Why it is paused."""


class Silence:
    """Of one play."""

    def __init__(self, room: IRoom, service: RoomService) -> None:
        self._room = room
        self._service = service
        self._since: float | None = None
        """From when an update is in flight."""
        self._paused = False
        self._why = ""
        """Why it is paused, as members were told."""

    def asked(self) -> None:
        """An update is in flight, or still is."""
        if self._since is None:
            self._since = self._room.now()

    def answered(self) -> None:
        """The service has answered, or nothing is wanted of it and it is there."""
        self._since = None
        if self._paused:
            self._paused = False
            self._room.show_state(RUNNING)

    def refused(self, why: str) -> None:
        """There is no service to be had."""
        if not self._paused:
            self._paused, self._why = True, why
            self._room.show_state(PAUSED, SILENT, message=why)

    def tell(self, connection: Any) -> None:
        """One has come: where the room is paused its welcome says so, but not why."""
        if self._paused:
            connection.deliver(Outgoing.json({"type": "state", "state": PAUSED, "reason": SILENT, "message": self._why}))

    def tick(self, now: float) -> None:
        """Look whether it is too long."""
        if self._since is not None and now - self._since >= self._service.retry_for:
            self.refused(self._service.problem)
