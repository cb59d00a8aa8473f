"""How one play of a service room goes on: an update is asked, and what comes of it is stored (docs/protocol/game-service.md, "How a room is played").

Theory. `ServiceGame` knows what waits, what is in flight and what is durable, and one coroutine carries it on.
Whatever goes wrong on the way (no service to be had, a database that is away) ends that coroutine where it is; a tick soon after begins it anew,
and it goes on with the same update, or with the same answer. So nothing is lost, nothing is done twice, and nobody but this room waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import GameroomError
from gameroom.interfaces import IRoom
from gameroom.referees.service_books import Books, NotYetError
from gameroom.referees.service_lease import RoomService
from gameroom.referees.service_silence import Silence
from gameroom.referees.service_turns import Turn, Turns
from gameroom.rules.service_game import Outcome, ServiceGame
from gameroom.store import DatabaseUnavailable

if TYPE_CHECKING:
    from gameroom.gameservices.services import ServiceLease

AGAIN: Final = 1.0
"""Seconds until what could not be stored, read or asked is tried again."""
LEASE_AGAIN: Final = 5.0
"""Seconds until a service that could not be had is asked for again."""


class ServiceCourse:
    """The course of one play, until it is halted.

    `stored(outcome)` is called when what came of an update is durable. Of an update that ends the play nothing is stored here:
    `finished(outcome)` is called, and the course is over.
    """

    _log = Logger()

    def __init__(
        self,
        room: IRoom,
        game: ServiceGame,
        *,
        service: RoomService,
        books: Books,
        turns: Turns,
        stored: Callable[[Outcome], None],
        finished: Callable[[Outcome], None],
    ) -> None:
        self.over = False
        """Nothing more is asked: the play has ended, or its end is being stored."""
        options = room.options
        self._whose = options.game_id, options.version
        self._about: dict[str, Any] = {"play_id": game.kept.play_id, "room_id": room.room_id}
        self._room = room
        self._game = game
        self._service = service
        self._books = books
        self._turns = turns
        self._turn: Turn | None = None
        """Had from before the state is read until what came of it is stored."""
        self._stored = stored
        self._finished = finished
        self._silence = Silence(room, service)
        self._awaited: Deferred[Any] | None = None
        """A turn, or an answer."""
        self._going = False
        """Whether the coroutine runs."""
        self._fallen = ""
        """Why it did not come to its end the last time."""
        self._again_at = 0.0

    def go_on(self) -> None:
        """Ask what waits, unless that is being done."""
        if not self._going and not self.over and self._room.now() >= self._again_at:
            self._going = True
            self._room.wake()
            Deferred.fromCoroutine(self._carry_on()).addCallbacks(self._arrived, self._fell)

    def tick(self, now: float) -> None:
        """Try again what went wrong, and see how long the service is silent."""
        if self.over:
            return
        self._silence.tick(now)
        if self._fallen or self._game.waits:
            self.go_on()

    @property
    def busy(self) -> bool:
        """Whether something is on its way, or is to be tried again: then `tick` may have something to do at any time."""
        return self._going or bool(self._fallen) or self._game.waits

    def welcome(self, connection: Any) -> None:
        """One has come: tell it why nothing goes on, where that is so."""
        self._silence.tell(connection)

    def halt(self) -> None:
        """Nothing more is asked. Again is fine."""
        self.over = True
        if self._awaited is not None:
            self._awaited.cancel()
        self._give_back()

    def _arrived(self, _: None) -> None:
        self._going, self._fallen = False, ""

    def _fell(self, failure: Failure) -> None:
        self._going = False
        if self._game.asked is None:
            self._give_back()
        if self.over:
            return
        self._again_at = max(self._again_at, self._room.now() + AGAIN)
        why = failure.getErrorMessage()
        if failure.check(GameroomError, DatabaseUnavailable, NotYetError) is None:
            self._log.failure("play {play_id} of room {room_id} broke; it is taken up again", failure, **self._about)
        elif why != self._fallen and not self._service.ending:
            self._log.error("play {play_id} of room {room_id} does not go on just now: {why}", why=why, **self._about)
        self._fallen = why or "?"

    async def _carry_on(self) -> None:
        while await self._step():
            pass

    async def _step(self) -> bool:
        """Ask for one update, and store what came of it. Whether there may be more."""
        if self._game.answered is None:
            lease = await self._lease()
            if self.over or not await self._ask(lease):
                return False
        outcome = self._game.answered
        assert outcome is not None
        if outcome.answer.finished is not None:
            self.over = True
            self._finished(outcome)
            self._give_back()
            return False
        await self._books.save(outcome)
        if not self.over:
            self._stored(outcome)
        self._give_back()
        return self._game.waits and not self.over

    async def _lease(self) -> ServiceLease:
        try:
            lease = await self._service.lease()
        except GameroomError as error:
            if not self.over:
                self._again_at = self._room.now() + LEASE_AGAIN
                self._silence.refused(error.message)
            raise
        if self._game.asked is None and not self.over:
            self._silence.answered()
        return lease

    async def _ask(self, lease: ServiceLease) -> bool:
        """Whether something was asked and answered."""
        game = self._game
        if game.asked is None:
            if not game.waits:
                return False
            await self._take_turn()
            held = await self._books.held()
            if self.over:
                return False
            game.ask(held)
        assert game.asked is not None
        self._silence.asked()
        self._awaited = asking = lease.ask(game.asked.update)
        try:
            answer = await asking
        except GameroomError:
            # This lease is good for nothing any more.
            self._service.release()
            raise
        finally:
            self._awaited = None
        if self.over:
            return False
        game.take(answer, int(self._room.now() * 1000))
        self._silence.answered()
        return True

    async def _take_turn(self) -> None:
        """A room whose turn does not come waits for its service as much as those before it."""
        assert self._turn is None
        self._awaited = taking = self._turns.take(self._whose, self._books.update_bytes)
        if not taking.called:
            self._silence.asked()
        try:
            self._turn = await taking
        finally:
            self._awaited = None

    def _give_back(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give_back()
