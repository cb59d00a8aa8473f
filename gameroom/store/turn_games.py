"""The turn games that rooms play, in the database: one row for each room, rewritten with each move.

Every function is for `database.interact`.
"""

from __future__ import annotations

from typing import Any

import orjson

from gameroom.interfaces import ICursor
from gameroom.store import transactions
from gameroom.store.transactions import Answered


async def save(cursor: ICursor, room_id: str, state: dict[str, Any], answered: Answered | None = None) -> None:
    """Keep how far the room's game has come, with what the move that did it is answered.

    A room that is gone stays away.
    """
    rows = await cursor.execute(
        """
        INSERT INTO turn_games (room_id, state) SELECT room_id, :state FROM rooms WHERE room_id = :room_id
        ON CONFLICT (room_id) DO UPDATE SET state = excluded.state RETURNING room_id
        """,
        {"room_id": room_id, "state": orjson.dumps(state).decode()},
    )
    if answered is not None and rows:
        await transactions.remember(cursor, room_id, answered)


async def load(cursor: ICursor, room_id: str) -> dict[str, Any] | None:
    """What `save` kept last; None where nothing was played in the room."""
    rows = await cursor.execute("SELECT state FROM turn_games WHERE room_id = :room_id", {"room_id": room_id})
    return orjson.loads(rows[0][0]) if rows else None
