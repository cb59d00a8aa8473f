"""What a member says to its room, and what the room answers (docs/protocol/rooms.md): a message with an id has an answer that names it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, error_of

PATIENCE: Final = 30.0
"""Seconds that a room may be silent about a message."""

START: Final = "start"
Message = dict[str, Any]


@attrs.define
class _Open:
    """A message that has no answer yet."""

    type: str
    answered: Deferred[Message]
    too_late: IDelayedCall


class RoomTalk:
    """The ids of one connection, both ways. `send(message)` says a message as it is."""

    def __init__(self, clock: IReactorTime, send: Callable[[Message], None]) -> None:
        self._clock = clock
        self._send = send
        self._open: dict[int, _Open] = {}
        self._last = 0
        self._heard = 0
        self._unanswered: int | None = None

    def say(self, message: Message) -> None:
        """A message that needs no answer, or is one itself."""
        if self._unanswered is not None and message.get("reply_to") == self._unanswered:
            self._unanswered = None
        self._send(message)

    def ask(self, message: Message, timeout: float = PATIENCE) -> Deferred[Message]:
        """A message with the next id. Fires with its answer, fails with the error that it is, or with `ConnectionFailed` after `timeout` seconds."""
        self._last += 1
        id_ = self._last
        too_late = self._clock.callLater(timeout, self._too_late, id_, timeout)
        answered: Deferred[Message] = Deferred(lambda _: self._forget(id_))
        self._open[id_] = _Open(str(message.get("type")), answered, too_late)
        self.say({**message, "id": id_})
        return answered

    def hear(self, message: Message, tell: Callable[[Message], None]) -> None:
        """A message of the room: an answer goes where it belongs, all else to `tell`.

        What comes with an id of the room's own is answered by `ack`, unless somebody has answered it while it was told.
        What comes again is not told again.
        """
        if message.get("type") == "welcome" and type(message.get("last_id")) is int:
            self._last = max(self._last, message["last_id"])
        if "reply_to" in message:
            self._answered(message)
            return
        id_ = message.get("id")
        if type(id_) is not int:
            tell(message)
            return
        self._unanswered = id_
        if id_ > self._heard:
            self._heard = id_
            tell(message)
        if self._unanswered is not None:
            self.say({"type": "ack", "reply_to": id_})

    def _answered(self, message: Message) -> None:
        pending = self._take(message["reply_to"])
        if pending is None:
            return
        if message.get("type") == "error" and type(message.get("code")) is int:
            pending.answered.errback(error_of(message["code"], str(message.get("message", "")), message))
        else:
            pending.answered.callback(message)

    def moved_on(self) -> None:
        """The play is elsewhere now: who asked for the start has their answer, and nobody else will have one."""
        for id_ in list(self._open):
            pending = self._take(id_)
            assert pending is not None
            if pending.type == START:
                pending.answered.callback({"type": "ack"})
            else:
                pending.answered.errback(BadState(f"the play has begun at the game's own server, and the room answers no {pending.type} here"))

    def fail(self, why: str) -> None:
        """There will be no answers."""
        for id_ in list(self._open):
            pending = self._take(id_)
            assert pending is not None
            pending.answered.errback(ConnectionFailed(why))

    def _forget(self, id_: int) -> None:
        self._take(id_)

    def _take(self, id_: Any) -> _Open | None:
        pending = self._open.pop(id_, None) if type(id_) is int else None
        if pending is not None and pending.too_late.active():
            pending.too_late.cancel()
        return pending

    def _too_late(self, id_: int, timeout: float) -> None:
        pending = self._open.pop(id_)
        pending.answered.errback(ConnectionFailed(f"the room has not answered {pending.type} within {timeout:g} seconds"))
