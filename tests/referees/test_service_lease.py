"""How a room comes by its game's service where no more programs may run."""

from __future__ import annotations

from pathlib import Path

import attrs
from twisted.internet.defer import CancelledError, Deferred

from gameroom.errors import BadState
from gameroom.gameservices.services import ServiceLease
from gameroom.referees.service_lease import RoomService
from gameroom.rules.room import RoomOptions
from tests.gameservices.test_services import HERE, Case
from tests.gameservices.world import update
from tests.rooms import Bundle

MOST = 2


@attrs.frozen
class Room:
    """What a room's service knows of the room."""

    options: RoomOptions
    room_id: str = "r"
    made_from: str = "192.0.2.1"


class Catalogue:
    """Each game in it has a service of its own."""

    async def bundle(self, game_id: str, version: str, *, offline_too: bool) -> Bundle:
        return Bundle(game_id=game_id, version=version, hosting="service", service=HERE, folder=Path("/unpacked/x"))


class FullTests(Case):
    """Two programs may run at a time."""

    def setUp(self) -> None:
        super().setUp()
        required = self.house.programs.require

        def require(made_from: str = "") -> None:
            self.house.programs.refuses = BadState("as many as it may") if self.house.running >= MOST else None
            required(made_from)

        self.patch(self.house.programs, "require", require)

    def room(self, game_id: str) -> RoomService:
        return RoomService(
            Room(RoomOptions(game_id=game_id, version="1.0.0")),  # type: ignore[arg-type]
            services=self.house.services,
            catalogue=Catalogue(),  # type: ignore[arg-type]
            log=lambda game_id, text: None,
        )

    def lease(self, room: RoomService) -> Deferred[ServiceLease]:
        return Deferred.fromCoroutine(room.lease())

    def had(self, room: RoomService) -> ServiceLease:
        return self.successResultOf(self.lease(room))

    def gone(self) -> None:
        """What was ended is gone."""
        for program in self.house.programs.programs:
            if program.running and program.ends:
                program.gone("was ended")

    def test_lingering(self) -> None:
        """Services that no room needs are ended for one that is needed, which is had at the first try, and never are there more than may be."""
        for game_id in ("dice", "cards"):
            room = self.room(game_id)
            self.had(room)
            room.release()
        leasing = self.lease(self.room("go"))
        self.assertEqual([set(program.ends) for program in self.house.programs.programs], [{1.0}, {1.0}])
        self.assertNoResult(leasing)
        self.gone()
        self.assertEqual(self.house.running, 1)
        self.assertEqual(self.answers(self.successResultOf(leasing).ask(update())).sequence, 1)

    def test_needed(self) -> None:
        """One that a room needs is not, and then there is none to be had."""
        rooms = [self.room(game_id) for game_id in ("dice", "cards")]
        for room in rooms:
            self.had(room)
        self.failureResultOf(self.lease(self.room("go")), BadState)
        self.assertEqual([program.ends for program in self.house.programs.programs], [[], []])

    def test_two_for_one_place(self) -> None:
        """Where two wait for one place, the first has it."""
        self.had(self.room("dice"))
        room = self.room("cards")
        self.had(room)
        room.release()
        first, second = self.lease(self.room("go")), self.lease(self.room("chess"))
        self.gone()
        self.successResultOf(first)
        self.failureResultOf(second, BadState)

    def test_given_up(self) -> None:
        """A start that is given up while it waits takes no place, and what was ended is ended all the same."""
        for game_id in ("dice", "cards"):
            room = self.room(game_id)
            self.had(room)
            room.release()
        leasing = self.lease(self.room("go"))
        leasing.cancel()
        self.failureResultOf(leasing, CancelledError)
        self.gone()
        self.assertEqual((self.house.running, len(self.house.services._all)), (0, 0))

    def test_over_meanwhile(self) -> None:
        """Where the play is over when the place is free, nothing is kept of what was leased for it."""
        for game_id in ("dice", "cards"):
            room = self.room(game_id)
            self.had(room)
            room.release()
        late = self.room("go")
        leasing = self.lease(late)
        late.release()
        self.gone()
        self.failureResultOf(leasing, BadState)
        self.assertFalse(any(service._leases for service in self.house.services._all))

    def test_the_daemon_ends(self) -> None:
        """Nobody is kept waiting for a place that there will not be."""
        room = self.room("dice")
        self.had(room)
        self.house.services.stop()
        self.failureResultOf(self.lease(self.room("go")), BadState)
