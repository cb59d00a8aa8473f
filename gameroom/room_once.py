"""The audience of a room in which what is for the game acts once, also over a restart of the daemon (docs/protocol/rooms.md, "Service rooms")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gameroom.errors import GameroomError
from gameroom.room_audience import RoomAudience
from gameroom.room_receipts import Receipts
from gameroom.store import transactions as table
from gameroom.store.transactions import Answered

if TYPE_CHECKING:
    from gameroom.interfaces import ICursor
    from gameroom.room import LivingRoom


class OnceAudience(RoomAudience):
    """As any audience, but a `game` message under an id acts once, however often it comes. The referee keeps what it is answered."""

    acts_once = True

    def __init__(self, room: LivingRoom) -> None:
        super().__init__(room)
        self._receipts = Receipts()

    async def restore(self) -> None:
        """After a restart: know what was acted on."""
        answers = await self._room.around.database.interact(_load, self._room.room_id)
        self._room.last_ids.update(self._receipts.restore(answers))

    def once(self, user_id: str, message: dict[str, Any], message_id: int | None, act: Callable[[], Any]) -> Any:
        """A member has said this; see `Receipts.once`."""
        if message_id is None or message["type"] != "game":
            return act()
        return self._receipts.once(user_id, message_id, act)

    def dismiss(self, user_id: str, error: GameroomError | None) -> None:
        super().dismiss(user_id, error)
        room = self._room
        if self._receipts.forget(user_id) and not room.closing:
            room.change(room.latest, also=(table.forget, (room.room_id, user_id))).addErrback(lambda failure: None)


async def _load(cursor: ICursor, room_id: str) -> list[Answered]:
    await table.forget_strangers(cursor, room_id)
    return (await table.load(cursor, room_id))[1]
