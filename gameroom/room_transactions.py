"""The audience of a room whose messages are answered (docs/protocol/controller.md, "Transactions").

All that such a room says to a player goes out under an id, one after the other, over whatever connections the player has;
viewers hear each thing once, without an id.
What members say under an id acts once, however often it comes.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, Any

import orjson
from twisted.logger import Logger
from twisted.python.failure import Failure

from gameroom.errors import GameroomError
from gameroom.room_audience import RoomAudience
from gameroom.room_receipts import Receipts
from gameroom.rules.transactions import Ids, Sender, Sent
from gameroom.store import transactions as table
from gameroom.wire.room_messages import Hello, Outgoing

if TYPE_CHECKING:
    from gameroom.room import LivingRoom

_LATEST = frozenset(("players", "state"))
"""Types of messages of which the newest is enough."""
_LATEST_EVENTS = frozenset(("board", "clock", "game_start", "request_move"))
"""And events of a game."""


class TransactionalAudience(RoomAudience):
    """As any audience, but what players are told waits its turn and is told again until it is answered."""

    acts_once = True

    _log = Logger()

    def __init__(self, room: LivingRoom) -> None:
        super().__init__(room)
        self._ids = Ids()
        self._asking = False
        self._senders: dict[str, Sender] = {}
        self._receipts = Receipts()

    async def restore(self) -> None:
        """After a restart: go on behind the ids that may have been used, and know what moves were answered."""
        room = self._room
        ahead, answers = await room.around.database.interact(table.load, room.room_id)
        self._ids.forgotten(ahead)
        room.last_ids.update(self._receipts.restore(answers))
        self._look_for_ids()

    # What is told.

    def tell_all(self, outgoing: Outgoing) -> None:
        for member in self._room.latest.members:
            self.tell(member.user_id, outgoing)

    def tell(self, user_id: str, outgoing: Outgoing) -> None:
        member = self._room.latest.find(user_id)
        if member is None or member.seat is None:
            super().tell(user_id, outgoing)
            return
        if member.bot is not None:
            return
        message: dict[str, Any] = orjson.loads(outgoing.data)
        self._sender(user_id).put(message, _key_of(message))
        self._send_next(user_id)

    def attach(self, user_id: str, connection: Any, *, reply_to: int | None, hello: Hello) -> None:
        sender = self._senders.get(user_id)
        unanswered = sender.connected(self._room.now()) if sender is not None else None
        super().attach(user_id, connection, reply_to=reply_to, hello=hello)
        if unanswered is not None:
            # Behind the welcome, and before all else, which waits until this is answered.
            connection.deliver(_outgoing(unanswered))
        else:
            self._send_next(user_id)

    def refresh(self) -> None:
        seated = {member.user_id for member in self._room.latest.players}
        for user_id in self._senders.keys() - seated:
            del self._senders[user_id]
        super().refresh()

    def withdraw(self, user_id: str, event: str) -> None:
        """An event of this name that waits to be told to a player is out of date."""
        if (sender := self._senders.get(user_id)) is not None:
            sender.drop({event})

    def next_due(self, ttl: float, window: float) -> float:
        """As with any audience, but at once while somebody has not answered yet. No room rests for `AGAIN_AFTER`, so what is said wakes none."""
        if any(sender.unanswered is not None and self.of(user_id) for user_id, sender in self._senders.items()):
            return 0.0
        return super().next_due(ttl, window)

    def send_again(self) -> None:
        """Say once more what was not answered in time; called at each look at the room."""
        if not self._room.ledger.unsure:
            self._look_for_ids()
        now = self._room.now()
        for user_id, sender in self._senders.items():
            if self.of(user_id) and (sent := sender.again(now)) is not None:
                self._deliver(user_id, sent)

    def _sender(self, user_id: str) -> Sender:
        sender = self._senders.get(user_id)
        if sender is None:
            sender = self._senders[user_id] = Sender(self._ids.take)
        return sender

    def _send_next(self, user_id: str) -> None:
        sender = self._senders.get(user_id)
        if sender is None or not self.of(user_id):
            return
        if (sent := sender.next(self._room.now())) is not None:
            self._deliver(user_id, sent)
        self._look_for_ids()

    def _deliver(self, user_id: str, sent: Sent) -> None:
        super().tell(user_id, _outgoing(sent))

    # Ids.

    def _look_for_ids(self) -> None:
        """Set more ids aside where it is time to."""
        ahead, room = self._ids.wanted, self._room
        if ahead is None or self._asking or room.closing:
            return
        self._asking = True

        def kept(_: Any) -> None:
            self._asking = False
            self._ids.set_aside(ahead)
            for user_id in list(self._senders):
                self._send_next(user_id)

        def failed(failure: Failure) -> None:
            # The ledger has logged it; it is asked again when the database is there.
            self._asking = False

        room.change(room.latest, also=(table.set_aside, (room.room_id, ahead))).addCallbacks(kept, failed)

    # What is heard.

    def once(self, user_id: str, message: dict[str, Any], message_id: int | None, act: Callable[[], Any]) -> Any:
        """A member has said this; `act()` does it, unless it was done, and gives the answer as `RoomConversation.perform` does."""
        if type(reply_to := message.get("reply_to")) is int:
            self._answered(user_id, reply_to)
            if message["type"] == "error":
                return None
        if message["type"] == "ack":
            return None
        if message_id is None or message["type"] == "ping":
            return act()
        return self._receipts.once(user_id, message_id, act)

    def _answered(self, user_id: str, reply_to: int) -> None:
        sender = self._senders.get(user_id)
        if sender is not None and sender.answered(reply_to):
            self._send_next(user_id)

    def dismiss(self, user_id: str, error: GameroomError | None) -> None:
        super().dismiss(user_id, error)
        self._senders.pop(user_id, None)
        if self._receipts.forget(user_id) and not self._room.closing:
            room = self._room
            room.change(room.latest, also=(table.forget, (room.room_id, user_id))).addErrback(lambda failure: None)


def _key_of(message: dict[str, Any]) -> Hashable:
    """What a newer message stands in the place of, where it waits; None for what each counts."""
    kind = message["type"]
    if kind in _LATEST:
        return str(kind)
    if kind != "game" or not isinstance(message["body"], dict):
        return None
    body = message["body"]
    event = body.get("event")
    if event == "cursor":
        return "cursor", body.get("player")
    return event if event in _LATEST_EVENTS else None


def _outgoing(sent: Sent) -> Outgoing:
    return Outgoing.json({**sent.message, "id": sent.id})
