"""The games of service rooms, in the database: one row for each room, rewritten with each update that was answered.

Every function is for `database.interact`. A room that is gone stays away.
"""

from __future__ import annotations

from typing import Any

import attrs
import orjson

from gameroom.interfaces import ICursor
from gameroom.rules.service_game import Held, Kept
from gameroom.rules.service_shown import Shown
from gameroom.store import transactions
from gameroom.store.transactions import Answered
from gameroom.wire.game_service import Player


@attrs.frozen(kw_only=True)
class ServiceRow:
    """What is kept of a room."""

    kept: Kept
    held: Held
    ended: dict[str, Any] | None
    """How the last play that has ended did: `play_id`, `reason`, `results`."""


@attrs.frozen(kw_only=True)
class Step:
    """What came of one update."""

    kept: Kept
    held: Held | None
    """None where that is as before."""
    answered: Answered | None = None
    """What the message that it was is answered."""
    ended: dict[str, Any] | None = None
    """How the play has ended by it."""


async def begin(cursor: ICursor, room_id: str, kept: Kept, held: Held, ended: dict[str, Any] | None) -> None:
    """Keep what came of a play's first update, and no longer what those were answered who are no members any more."""
    await cursor.execute(
        """
        INSERT INTO service_games (room_id, play_id, sequence, state, players, shown, timer_ms, ended)
        SELECT room_id, :play_id, :sequence, :state, :players, :shown, :timer_ms, :ended FROM rooms WHERE room_id = :room_id
        ON CONFLICT (room_id) DO UPDATE SET play_id = excluded.play_id, sequence = excluded.sequence, state = excluded.state,
            players = excluded.players, shown = excluded.shown, timer_ms = excluded.timer_ms,
            ended = COALESCE(excluded.ended, service_games.ended)
        """,
        {"room_id": room_id, **_columns(kept), **_large(held), "ended": _json(ended)},
    )
    await transactions.forget_strangers(cursor, room_id)


async def save(cursor: ICursor, room_id: str, step: Step) -> None:
    """Keep what came of an update. Doing it again changes nothing, nor does doing it late, when the play has gone on or another has begun."""
    large = {} if step.held is None else _large(step.held)
    ended = {} if step.ended is None else {"ended": _json(step.ended)}
    columns: dict[str, Any] = {**_columns(step.kept), **large, **ended}
    assignments = ", ".join(f"{name} = :{name}" for name in columns)
    sql = f"""
        UPDATE service_games SET {assignments} WHERE room_id = :room_id AND play_id = :play_id AND sequence <= :sequence RETURNING room_id
    """
    rows = await cursor.execute(sql, {"room_id": room_id, **columns})
    if step.answered is not None and rows:
        await transactions.remember(cursor, room_id, step.answered)


async def end(cursor: ICursor, room_id: str, ended: dict[str, Any]) -> None:
    """Keep how a play has ended that the service did not end."""
    await cursor.execute("UPDATE service_games SET ended = :ended WHERE room_id = :room_id", {"room_id": room_id, "ended": _json(ended)})


async def load(cursor: ICursor, room_id: str) -> ServiceRow | None:
    """What is kept of a room; None where nothing was played in it."""
    rows = await cursor.execute(
        "SELECT play_id, sequence, state, players, shown, timer_ms, ended FROM service_games WHERE room_id = :room_id", {"room_id": room_id}
    )
    if not rows:
        return None
    play_id, sequence, state, players, shown, timer_ms, ended = rows[0]
    return ServiceRow(
        kept=Kept(
            play_id=play_id,
            sequence=sequence,
            players=tuple(Player(**player) for player in orjson.loads(players)),
            timer_ms=timer_ms,
        ),
        held=Held(bytes(state), Shown.from_bytes(bytes(shown))),
        ended=None if ended is None else orjson.loads(ended),
    )


async def last(cursor: ICursor, room_id: str) -> tuple[int, dict[str, Any] | None]:
    """The number of the room's last update, 0 for none; and how its last play that has ended did."""
    rows = await cursor.execute("SELECT sequence, ended FROM service_games WHERE room_id = :room_id", {"room_id": room_id})
    if not rows:
        return 0, None
    sequence, ended = rows[0]
    return sequence, None if ended is None else orjson.loads(ended)


def _columns(kept: Kept) -> dict[str, Any]:
    # By hand: attrs.asdict takes five times as long, and this is done for each update.
    players = [{"seat": player.seat, "id": player.id, "name": player.name, "connected": player.connected} for player in kept.players]
    return {"play_id": kept.play_id, "sequence": kept.sequence, "players": orjson.dumps(players).decode(), "timer_ms": kept.timer_ms}


def _large(held: Held) -> dict[str, Any]:
    return {"state": held.state, "shown": held.shown.to_bytes()}


def _json(value: dict[str, Any] | None) -> str | None:
    return None if value is None else orjson.dumps(value).decode()
