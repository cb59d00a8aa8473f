"""Messages that are answered, with one on its way at a time (docs/protocol/controller.md, "Transactions").

The theory: the one side numbers what it says with ids that grow, says the next thing when the one before was answered,
and says it again, under the same id, for as long as there is no answer. The other side remembers the ids that it has had
with their answers: a repeat is answered as the first time and does nothing. So each message acts exactly once and in order,
whatever is lost or comes twice, and over any number of connections.
Pure values: no clock and no I/O; `now` is in seconds.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Any, Final, TypeAlias

import attrs

from gameroom.errors import BadState

AGAIN_AFTER: Final = 5.0
"""Seconds after which a message that was not answered is sent again."""
REMEMBERED: Final = 64
"""So many answers are kept for each controller."""
BLOCK: Final = 1000
"""So many ids are set aside at a time."""
MOST_WAITING: Final = 64
"""So many messages that do not replace each other may wait for one controller; then the oldest of them goes."""

Message: TypeAlias = dict[str, Any]
Answer: TypeAlias = dict[str, Any]


@attrs.frozen
class Sent:
    """A message on its way."""

    id: int
    message: Message
    key: Hashable = None


class Sender:
    """What one side says to one other, over all its connections.

    `new_id()` gives the next id, or None while there is none to be had; then nothing is sent until `next` is asked again.
    """

    def __init__(self, new_id: Callable[[], int | None]) -> None:
        self._new_id = new_id
        self._waiting: list[tuple[Hashable, Message]] = []
        self.unanswered: Sent | None = None
        """What was sent and not answered."""
        self._sent_at = 0.0

    @property
    def waiting(self) -> int:
        """How many messages wait to be sent."""
        return len(self._waiting)

    def put(self, message: Message, key: Hashable = None) -> None:
        """Something to be said, behind what waits already; what waits under the same key, unless that is None, is said no more."""
        if key is not None:
            self.drop({key})
        self._waiting.append((key, message))
        if key is None and sum(waiting is None for waiting, _ in self._waiting) > MOST_WAITING:
            del self._waiting[next(place for place, (waiting, _) in enumerate(self._waiting) if waiting is None)]

    def drop(self, keys: set[Hashable]) -> None:
        """What waits under these keys is out of date."""
        self._waiting = [(key, message) for key, message in self._waiting if key not in keys]

    def next(self, now: float) -> Sent | None:
        """What is to be sent now, to one who is connected: the next message, unless the one before was not answered."""
        if self.unanswered is not None or not self._waiting:
            return None
        number = self._new_id()
        if number is None:
            return None
        key, message = self._waiting.pop(0)
        self.unanswered, self._sent_at = Sent(number, message, key), now
        return self.unanswered

    def answered(self, reply_to: int) -> bool:
        """An answer has come. Whether it is the one that was waited for: then `next` may have something."""
        if self.unanswered is None or self.unanswered.id != reply_to:
            return False
        self.unanswered = None
        return True

    def connected(self, now: float) -> Sent | None:
        """There is a new connection. Gives what it must be sent before all else: what was not answered, again."""
        self._sent_at = now
        return self.unanswered

    def again(self, now: float) -> Sent | None:
        """What is to be sent once more, to one who is connected, because no answer came in time."""
        if self.unanswered is None or now - self._sent_at < AGAIN_AFTER:
            return None
        self._sent_at = now
        return self.unanswered


@attrs.frozen
class New:
    """This was not had before: act, and say `done` or `failed`."""


@attrs.frozen
class UnderWay:
    """This was had before and is being acted on: its answer comes."""


@attrs.frozen
class Repeat:
    """This was had before, and this is what it was answered."""

    answer: Answer


class Receiver:
    """What one side has had from one other, over all its connections."""

    def __init__(self, answers: Mapping[int, Answer] | None = None) -> None:
        """`answers` are those that are remembered, by id, from before."""
        self._answers = dict(sorted((answers or {}).items()))
        self._under_way: set[int] = set()
        self._failed: set[int] = set()
        self.last_id = max(self._answers, default=-1)
        """The highest id had; -1 for none."""

    def take(self, number: int) -> New | UnderWay | Repeat:
        """A message with this id has come. Raises `BadState` for one that is older than what is remembered."""
        if number > self.last_id or number in self._failed:
            self.last_id = max(number, self.last_id)
            self._failed.discard(number)
            self._under_way.add(number)
            return New()
        if number in self._under_way:
            return UnderWay()
        if number in self._answers:
            return Repeat(self._answers[number])
        raise BadState(f"message {number} is too old; ids grow, and the newest that came is {self.last_id}")

    def done(self, number: int, answer: Answer) -> None:
        """It was acted on, and answered with this."""
        self._under_way.discard(number)
        self._answers[number] = answer
        while len(self._answers) > REMEMBERED:
            del self._answers[next(iter(self._answers))]

    def failed(self, number: int) -> None:
        """Nothing has come of it; when it is repeated it is as new."""
        self._under_way.discard(number)
        self._failed.add(number)
        self._failed = {each for each in self._failed if each > self.last_id - REMEMBERED}


class Ids:
    """Ids that never come twice, also when all but what was kept is forgotten: so far ahead is kept before they are used."""

    def __init__(self, ahead: int = BLOCK) -> None:
        self._next = 1
        self.ahead = ahead
        """Ids up to this one may be used: it is kept that they may have been."""

    def forgotten(self, ahead: int) -> None:
        """All was forgotten but that ids up to `ahead` may have been used; nothing is to be had until more are set aside."""
        self._next, self.ahead = ahead + 1, ahead

    def take(self) -> int | None:
        """The next one; None where more must be set aside first."""
        if self._next > self.ahead:
            return None
        number, self._next = self._next, self._next + 1
        return number

    @property
    def wanted(self) -> int | None:
        """Up to which id more should be set aside now; None while there are enough."""
        return self.ahead + BLOCK if self.ahead - self._next < BLOCK // 2 else None

    def set_aside(self, ahead: int) -> None:
        """It is kept that ids up to this one may be used."""
        self.ahead = max(ahead, self.ahead)
