"""What members of a room say under an id acts once, however often it comes (docs/protocol/controller.md, "Transactions").

The answers that outlive the daemon are stored by whoever makes what was said durable (`gameroom.store.transactions`); here they are known.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred

from gameroom.errors import GameroomError, RateLimited, ServerError, error_of
from gameroom.rules.transactions import Receiver, Repeat, UnderWay
from gameroom.store import DatabaseUnavailable
from gameroom.store.transactions import Answered

Answer = dict[str, Any] | None
ACK: Final[dict[str, Any]] = {"type": "ack"}
MOST_PROMISED: Final = 16
"""So many repeats of a message wait for its answer: the newest, since those before may be of connections that are gone."""


class Receipts:
    """Who said what in one room, and what it was answered."""

    def __init__(self) -> None:
        self._receivers: dict[str, Receiver] = {}
        self._promised: dict[tuple[str, int], list[Deferred[Answer]]] = {}

    def restore(self, answers: Iterable[Answered]) -> dict[str, int]:
        """Know these from before. Gives the highest id that each member has used."""
        found: dict[str, dict[int, dict[str, Any]]] = {}
        for answered in answers:
            found.setdefault(answered.user_id, {})[answered.id] = answered.answer
        self._receivers = {user_id: Receiver(by_id) for user_id, by_id in found.items()}
        return {user_id: receiver.last_id for user_id, receiver in self._receivers.items()}

    def forget(self, user_id: str) -> bool:
        """The member is gone for good, and whoever comes under that name begins anew. Whether anything was known."""
        return self._receivers.pop(user_id, None) is not None

    def once(self, user_id: str, message_id: int, act: Callable[[], Any]) -> Any:
        """A member has said something under this id; `act()` does it, unless it was done, and gives the answer as `RoomConversation.perform` does.

        Gives, or fires with, the same answer each time. Raises, or fails with, what it was refused with.
        """
        receiver = self._receivers.get(user_id)
        if receiver is None:
            receiver = self._receivers[user_id] = Receiver()
        taken = receiver.take(message_id)
        if isinstance(taken, Repeat):
            return _told(taken.answer)
        if isinstance(taken, UnderWay):
            return self._promise(user_id, message_id)
        return self._act(user_id, message_id, receiver, act)

    def _promise(self, user_id: str, message_id: int) -> Deferred[Answer]:
        promised = self._promised.setdefault((user_id, message_id), [])
        promise: Deferred[Answer] = Deferred()
        promised.append(promise)
        if len(promised) > MOST_PROMISED:
            again = f"message {message_id} is on its way, and you have sent it again more often than it can be answered"
            promised.pop(0).errback(RateLimited(again, retry_after=1))
        return promise

    def _act(self, user_id: str, message_id: int, receiver: Receiver, act: Callable[[], Any]) -> Any:
        settle = partial(self._settle, user_id, message_id, receiver)
        try:
            result = act()
        except Exception as error:
            settle(error)
            raise
        if isinstance(result, Deferred):
            return result.addCallbacks(settle, lambda failure: settle(failure.value) or failure)
        return settle(result)

    def _settle(self, user_id: str, message_id: int, receiver: Receiver, result: Any) -> Any:
        """Remember what came of a message, and tell those who have asked again meanwhile; gives `result`, or None for an error."""
        promised = self._promised.pop((user_id, message_id), ())
        if isinstance(result, BaseException):
            if _stands(result):
                assert isinstance(result, GameroomError)
                receiver.done(message_id, {"type": "error", "code": result.code, "message": result.message, **result.payload})
            else:
                receiver.failed(message_id)
            for promise in promised:
                promise.errback(result)
            return None
        receiver.done(message_id, ACK if result is None else result)
        for promise in promised:
            promise.callback(result)
        return result


def _stands(error: BaseException) -> bool:
    """Whether this is the answer for good; else a repeat is tried anew."""
    return isinstance(error, GameroomError) and not isinstance(error, ServerError | RateLimited | DatabaseUnavailable)


def _told(answer: dict[str, Any]) -> Answer:
    """An answer that was given before, given again. Raises the error that it was."""
    if answer["type"] == "error":
        more = {name: value for name, value in answer.items() if name not in ("type", "code", "message")}
        raise error_of(answer["code"], answer["message"], more)
    return None if answer == ACK else answer
