"""What members of a service room are told: what its service said, as room messages (docs/protocol/game-service.md, "How a room is played")."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import attrs
import orjson
from twisted.internet.defer import Deferred

from gameroom.errors import BadState, GameroomError, error_of
from gameroom.gameservers.values import one_line
from gameroom.store.transactions import Answered
from gameroom.wire.game_service import Finished, Rejected, Said, View
from gameroom.wire.room_messages import Outgoing

CODES: Final = frozenset((100, 102, 103, 104, 105))
"""Those with which a service may reject; any other is told as 105."""


@attrs.frozen(eq=False)
class Ticket:
    """What a member's message is answered by. `done` fires with None when it is stored, and fails with what it was refused with."""

    user_id: str
    id: int | None
    done: Deferred[None] = attrs.field(factory=Deferred)

    def answered(self, error: GameroomError | None) -> Answered | None:
        """What is kept of the answer; None for a message without an id."""
        if self.id is None:
            return None
        return Answered(user_id=self.user_id, id=self.id, answer={"type": "ack"} if error is None else error_message(error))

    def settle(self, error: GameroomError | None) -> None:
        """Tell the sender."""
        if error is None:
            self.done.callback(None)
        else:
            self.done.errback(error)


def error_message(error: GameroomError) -> dict[str, Any]:
    """As a room message."""
    return {"type": "error", "code": error.code, "message": error.message, **error.payload}


def error_of_rejected(rejected: Rejected) -> GameroomError:
    """As the sender is told it."""
    message = one_line(rejected.message) or "the game does not take this"
    return error_of(rejected.code if rejected.code in CODES else BadState.code, message, {})


def outgoing(said: Said | View) -> Outgoing:
    """As it goes to members."""
    # Text was read and written compactly when it came.
    return Outgoing(b'{"type":"game","body":' + said.data + b"}") if said.text else Outgoing(said.data, binary=True)


def messages(*shown: Iterable[Said | View]) -> Iterator[Outgoing]:
    """One after the other."""
    return (outgoing(said) for several in shown for said in several)


def results_of(finished: Finished) -> Any:
    """None for none."""
    return orjson.loads(finished.results) if finished.results else None
