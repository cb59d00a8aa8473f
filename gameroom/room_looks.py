"""When each room is looked at: when it wants to be, at most some ten times a second, and a few rooms at a time.

Theory. A room says until when it needs no look (`LivingRoom.rests_until`), and whatever cannot wait for that wakes it. To see that a room rests takes
next to nothing, so no timer is moved when a deadline is: rounds come by all rooms, and nearly all of them rest.
Looking at one takes microseconds, and at thousands of them it would hold everybody's game up for as long as several turns of
the reactor. So a round through all rooms is spread over `TICK`: a step comes by a tenth of them at most (or `LEAST`), and by no further one after
`LONGEST`. Steps are due by how far the round has come; the next of one that is late comes when everything else has had its turn.
A round comes by each room once: two times are `TICK` apart while no rooms come or go, and never more than twice that, but for what the
whole reactor is late. By so much at most a room is looked at later than it wants to be.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

if TYPE_CHECKING:
    from gameroom.room import LivingRoom

TICK: Final = 0.1
"""Seconds of a round."""
REST: Final = 1.0
"""Seconds that a room may rest. What is looked at then is no deadline: connections that are gone without a word, memory that nobody uses."""
STEPS: Final = 10
"""In so many steps a round is done, unless these take too long. More of them would be shorter, but each wakes the process up."""
LEAST: Final = 100
"""Rooms for which a step is worth its while."""
LONGEST: Final = 0.002
"""Seconds after which a step looks at no further room."""


class RoomLooks:
    """Looks at the deadlines of all rooms, from `start` to `stop`."""

    _log = Logger()

    def __init__(self, rooms: Callable[[], Iterable[LivingRoom]], clock: IReactorTime) -> None:
        """`rooms()` are those that there are now; the next round comes by who comes during one."""
        self._rooms, self._clock = rooms, clock
        self._round: list[LivingRoom] = []
        self._next = 0
        """The place in the round of the room that is the next to be come by."""
        self._begun = 0.0
        self._call: IDelayedCall | None = None

    def start(self) -> None:
        """The first round is `TICK` from now."""
        self._call = self._clock.callLater(TICK, self._begin)

    def stop(self) -> None:
        """Look at none any more. Again is fine, also from within a look."""
        self._round, self._next = [], 0
        if self._call is not None:
            if self._call.active():
                self._call.cancel()
            self._call = None

    def _begin(self) -> None:
        self._begun = self._clock.seconds()
        self._round, self._next = list(self._rooms()), 0
        self._step()

    def _step(self) -> None:
        now = self._clock.seconds()
        latest = now + REST
        upto = min(self._next + max(LEAST, -(-len(self._round) // STEPS)), len(self._round))
        while self._next < upto and self._call is not None:
            room = self._round[self._next]
            self._next += 1
            # It rests until later than it may where the clock was set back.
            if now < room.rests_until <= latest:
                continue
            try:
                room.tick(now)
            except Exception:
                self._log.failure("looking at the deadlines of room {room_id} failed", room_id=room.room_id)
            # Also where the clock was set back meanwhile.
            if not 0.0 <= self._clock.seconds() - now < LONGEST:
                break
        if self._call is not None:
            self._see_to_the_next()

    def _see_to_the_next(self) -> None:
        size = len(self._round)
        over = self._next >= size
        if over:
            self._round = []
        due = self._begun + (TICK if over else TICK * self._next / size)
        wait = due - self._clock.seconds()
        self._call = self._clock.callLater(min(max(wait, 0.0), TICK), self._begin if over else self._step)
