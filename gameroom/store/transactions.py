"""What must not be lost of the messages in a room whose messages are answered: the ids that were used, and answers to moves.

Every function is for `database.interact`.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from gameroom.interfaces import ICursor
from gameroom.rules.transactions import BLOCK, REMEMBERED


@attrs.frozen(kw_only=True)
class Answered:
    """What a member's message was answered."""

    user_id: str
    id: int
    answer: dict[str, Any]


async def load(cursor: ICursor, room_id: str) -> tuple[int, list[Answered]]:
    """Up to which id the room's may have been used, and the answers that are remembered, by rising id."""
    params = {"room_id": room_id}
    ahead = await cursor.execute("SELECT ahead FROM message_ids WHERE room_id = :room_id", params)
    answers = await cursor.execute("SELECT user_id, id, answer FROM answers WHERE room_id = :room_id ORDER BY id", params)
    found = [Answered(user_id=user_id, id=number, answer=orjson.loads(answer)) for user_id, number, answer in answers]
    return ahead[0][0] if ahead else BLOCK, found


async def set_aside(cursor: ICursor, room_id: str, ahead: int) -> None:
    """From now on ids up to this one may be used."""
    await cursor.execute(
        """
        INSERT INTO message_ids (room_id, ahead) VALUES (:room_id, :ahead)
        ON CONFLICT (room_id) DO UPDATE SET ahead = excluded.ahead
        """,
        {"room_id": room_id, "ahead": ahead},
    )


async def remember(cursor: ICursor, room_id: str, answered: Answered) -> None:
    """Keep an answer, and no longer those that are too old."""
    params = {"room_id": room_id, "user_id": answered.user_id, "id": answered.id}
    await cursor.execute(
        """
        INSERT INTO answers (room_id, user_id, id, answer) VALUES (:room_id, :user_id, :id, :answer)
        ON CONFLICT (room_id, user_id, id) DO UPDATE SET answer = excluded.answer
        """,
        {**params, "answer": orjson.dumps(answered.answer).decode()},
    )
    await cursor.execute(
        "DELETE FROM answers WHERE room_id = :room_id AND user_id = :user_id AND id <= :id",
        {**params, "id": answered.id - REMEMBERED},
    )


async def forget(cursor: ICursor, room_id: str, user_id: str) -> None:
    """The member is gone for good."""
    await cursor.execute("DELETE FROM answers WHERE room_id = :room_id AND user_id = :user_id", {"room_id": room_id, "user_id": user_id})


async def forget_strangers(cursor: ICursor, room_id: str) -> None:
    """Keep no longer what those were answered who are no members of the room any more."""
    await cursor.execute(
        """
        DELETE FROM answers WHERE room_id = :room_id
        AND user_id NOT IN (SELECT user_id FROM members WHERE room_id = :room_id)
        """,
        {"room_id": room_id},
    )
