"""One play of a service room: what happens in it, and what is told of it (docs/protocol/game-service.md, "How a room is played")."""

from __future__ import annotations

from collections.abc import Callable, Collection
from math import inf
from typing import Any

from twisted.internet.defer import Deferred

from gameroom.errors import BadState
from gameroom.interfaces import ITurnRoom
from gameroom.referees.service_audience import ServiceAudience
from gameroom.referees.service_books import Books, refusal, step_of
from gameroom.referees.service_course import ServiceCourse
from gameroom.referees.service_lease import RoomService
from gameroom.referees.service_queues import Queues
from gameroom.referees.service_told import Ticket, results_of
from gameroom.referees.service_turns import Turns
from gameroom.rules.service_game import Held, Outcome, ServiceGame
from gameroom.store import service_games

FINISHED, ABANDONED, LOST = "finished", "abandoned", "lost"
"""Why a play is over: its service has said so; its players have all left; nothing is kept of it."""


class ServicePlay:
    """A play that is on. `ended(how)` is told `play_id`, `reason` and `results` when its end is durable, before members are."""

    def __init__(
        self,
        room: ITurnRoom,
        game: ServiceGame,
        *,
        service: RoomService,
        books: Books,
        turns: Turns,
        queues: Queues,
        ended: Callable[[dict[str, Any]], None],
    ) -> None:
        self.game = game
        self.audience = ServiceAudience(room, game, books)
        self._room = room
        self._service = service
        self._books = books
        self._queues, self._whose = queues, room.options.game_id
        self._ended = ended
        self._course = ServiceCourse(room, game, service=service, books=books, turns=turns, stored=self._stored, finished=self._finish)

    # How it begins and ends.

    def begun(self) -> None:
        """What came of the play's first update is durable, and so is that it plays: tell that."""
        outcome = self.game.answered
        assert outcome is not None
        for player in self.game.players:
            # Who came while it began was not told to us; who went will be.
            if self._room.is_connected(player.id):
                self.game.came(player.id, self._now_ms())
        if outcome.answer.finished is not None:
            self._course.halt()
            self._finish(outcome)
        else:
            self._stored(outcome)
            self._course.go_on()

    def restored(self, here: Collection[str], held: Held) -> None:
        """After a restart: these are still in the play, everyone is away, and this is what the room holds."""
        self._books.put(held)
        now_ms = self._now_ms()
        for player in self.game.players:
            if player.id in here:
                self.game.went(player.id, now_ms)
            else:
                self.game.gone(player.id, "left", now_ms)
        if self.game.players:
            self._course.go_on()
        else:
            self.stop(ABANDONED)

    def stop(self, reason: str, results: Any = None) -> None:
        """It is over, and not by what its service answers now."""
        if not self._course.over:
            self._course.halt()
            how = self._how(reason, results)
            work = (service_games.end, (self._room.room_id, how))
            self._room.finish(reason, results, work, lambda: self._ended(how))

    def end(self) -> None:
        """Nothing more happens here."""
        self._course.halt()
        self._books.forget()
        for ticket in self.game.end():
            ticket.settle(_over())

    def _how(self, reason: str, results: Any) -> dict[str, Any]:
        return {"play_id": self.game.kept.play_id, "reason": reason, "results": results}

    # What happens.

    def say(self, ticket: Ticket, data: bytes, text: bool) -> Deferred[None]:
        """A member has sent something. Fires when what came of it is durable and was told; raises as `ServiceGame.say`, and as `Queues.check`."""
        if self._course.over:
            raise _over()
        self._queues.check(self._whose, len(data))
        self.game.say(ticket.user_id, data, text, self._now_ms(), ticket)
        self._queues.enter(self._whose, len(data), ticket.done)
        self._course.go_on()
        return ticket.done

    def welcome(self, user_id: str, connection: Any) -> None:
        """A member has come, behind its welcome: bring it up to date."""
        self._course.welcome(connection)
        self.audience.welcome(user_id, connection)

    def came(self, user_id: str) -> None:
        """A player has a connection again."""
        self.game.came(user_id, self._now_ms())
        self._course.go_on()

    def went(self, user_id: str) -> None:
        """A player is away."""
        self.game.went(user_id, self._now_ms())
        self._course.go_on()

    def left(self, user_id: str, reason: str) -> None:
        """A player is gone for good."""
        self.game.gone(user_id, reason, self._now_ms())
        if self.game.players:
            self._course.go_on()
        else:
            self.stop(ABANDONED)

    def tick(self, now: float) -> None:
        """Timers, and what is to be tried again."""
        if not self._course.over:
            self.game.tick(self._now_ms())
            self.audience.bring_up()
            self._course.tick(now)

    def rests_until(self, now: float) -> float:
        """Until when `tick` has nothing to do: while nothing is on its way, only the game's timer is waited for."""
        if self._course.over:
            return inf
        if self._course.busy or self.audience.waits:
            return now
        timer_ms = self.game.kept.timer_ms
        return inf if timer_ms is None else timer_ms / 1000

    def _now_ms(self) -> int:
        return int(self._room.now() * 1000)

    # What comes of it.

    def _stored(self, outcome: Outcome) -> None:
        """It is durable: tell it. Whoever is answered has heard before what came of it."""
        self.game.settled()
        if outcome.held is not None:
            self._books.put(outcome.held)
        self.audience.tell(outcome)
        if nowhere := {view.seat for view in outcome.answer.views} - {view.seat for view in outcome.views}:
            self._service.shows_nobody(nowhere)
        if outcome.ticket is not None:
            outcome.ticket.settle(refusal(outcome))
        self.audience.bring_up()

    def _finish(self, outcome: Outcome) -> None:
        """The service has ended the play."""
        assert outcome.answer.finished is not None
        results = results_of(outcome.answer.finished)
        how = self._how(FINISHED, results)

        def told() -> None:
            self._stored(outcome)
            self._ended(how)

        self._room.finish(FINISHED, results, (service_games.save, (self._room.room_id, step_of(outcome, how))), told)


def _over() -> BadState:
    return BadState("the play is over; nothing came of this")
