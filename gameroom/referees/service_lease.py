"""A service room's way to the service of its game: leased for a play, and leased anew where that came to nothing."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import TYPE_CHECKING, Final

from gameroom.errors import BadState, GameroomError
from gameroom.gameservices.values import ServiceOrder

if TYPE_CHECKING:
    from gameroom.catalogue import Catalogue
    from gameroom.gameservices.services import GameServices, ServiceLease
    from gameroom.interfaces import IRoom

MOST_NAMED: Final = 8
"""Seats that one line for a developer names."""
SILENT = "the game's service does not answer at the moment; the game goes on when it does"


class RoomService:
    """The service of one room. `log(game_id, text)` tells the game's developer why a room has none."""

    def __init__(self, room: IRoom, *, services: GameServices, catalogue: Catalogue, log: Callable[[str, str], None]) -> None:
        self._room = room
        self._services = services
        self._catalogue = catalogue
        self._log = log
        self._lease: ServiceLease | None = None
        self._releases = 0
        """How often it was released: what was being leased meanwhile is wanted no more."""
        self._refused = self._nowhere = ""
        """What the developer was told last: of why there is none, and of views."""

    @property
    def retry_for(self) -> float:
        """After so many seconds without an answer the room is paused."""
        return self._services.retry_for

    @property
    def ending(self) -> bool:
        """Whether the daemon ends: nothing is asked any more, and that is nobody's fault."""
        return self._services.stopped

    @property
    def problem(self) -> str:
        """Why the service does not answer, for those who play."""
        return (self._lease.problem if self._lease is not None else "") or SILENT

    async def lease(self) -> ServiceLease:
        """The lease of this play, had already or taken now. Raises a `GameroomError` with a sentence for a person where there is none to be had."""
        if self._lease is None:
            releases = self._releases
            try:
                lease = await self._leased(await self._order())
            except GameroomError as error:
                self._tell_developer(error)
                raise
            if releases != self._releases:
                lease.release()
                raise BadState("the play was over before its service was there")
            self._lease, self._refused = lease, ""
        return self._lease

    async def _leased(self, order: ServiceOrder) -> ServiceLease:
        """Where services that no room needs stand in the way, this waits until they are gone."""
        while True:
            try:
                return self._services.lease(order)
            except BadState:
                if not await self._services.room_made():
                    raise

    async def _order(self) -> ServiceOrder:
        options = self._room.options
        bundle = await self._catalogue.bundle(options.game_id, options.version, offline_too=True)
        if bundle.service is None:
            raise BadState("this version of the game names no micro game service; tell its developer")
        return ServiceOrder(
            game_id=options.game_id,
            version=options.version,
            folder=bundle.folder,
            service=bundle.service,
            made_from=self._room.made_from,
        )

    def shows_nobody(self, seats: Collection[int]) -> None:
        """The service has views for seats that nobody plays at: its developer should know, once."""
        nowhere = ", ".join(map(str, sorted(seats)[:MOST_NAMED]))
        if self._nowhere != nowhere:
            self._nowhere = nowhere
            self._write(f"shows a view to nobody: there is no player in seat {nowhere}")

    def _tell_developer(self, error: GameroomError) -> None:
        if self._refused != error.message and not self.ending:
            self._refused = error.message
            self._write(f"cannot be played: {error.message}")

    def _write(self, line: str) -> None:
        options = self._room.options
        self._log(options.game_id, f"room {self._room.room_id} (version {options.version}) {line}")

    def release(self) -> None:
        """It is needed no more, or good for nothing any more. Again is fine."""
        self._releases += 1
        lease, self._lease = self._lease, None
        if lease is not None:
            lease.release()
