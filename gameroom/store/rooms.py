"""Rooms, their members, and what was played, in the database.

Every function is for `database.interact`. The values are those of `gameroom.rules.room`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
import orjson

from gameroom.errors import BadState
from gameroom.interfaces import ICursor, Row
from gameroom.rules.room import Member, Room, RoomOptions
from gameroom.store.reviews import note_player

_OPTIONS = frozenset(field.name for field in attrs.fields(RoomOptions))
_CHANGING = ("party_code", "phase", "play_id", "configuration", "revision", "host", "banned", "next_joined", "setup_state")


async def insert(cursor: ICursor, room: Room, node: str) -> None:
    """Keep a new room, held by `node`.

    Raises `UniqueViolation` on `rooms(party_code)` for a code that a living room has, and on
    `members(account)` for an account that is seated elsewhere.
    """
    await cursor.execute(
        """
        INSERT INTO rooms
            (room_id, node, party_code, created_ms, phase, play_id, options, configuration, revision, host, banned, next_joined, setup_state)
        VALUES
            (:room_id, :node, :party_code, :created_ms, :phase, :play_id, :options, :configuration, :revision, :host, :banned, :next_joined,
            :setup_state)
        """,
        {
            "room_id": room.room_id,
            "node": node,
            "created_ms": room.created_ms,
            "options": _json(attrs.asdict(room.options, recurse=False)),
            **{column: _column(room, column) for column in _CHANGING},
        },
    )
    for member in room.members:
        await _insert_member(cursor, room.room_id, member)


async def save(cursor: ICursor, before: Room, after: Room) -> None:
    """Turn the room as it is kept, `before`, into `after`, writing only what differs; its options never do.

    Raises `UniqueViolation` as `insert` does.
    """
    changed = {column: _column(after, column) for column in _CHANGING if _differs(before, after, column)}
    if changed:
        assignments = ", ".join(f"{column} = :{column}" for column in changed)
        await cursor.execute(f"UPDATE rooms SET {assignments} WHERE room_id = :room_id", {"room_id": after.room_id, **changed})
    if before.members != after.members:
        await _save_members(cursor, before, after)


async def _save_members(cursor: ICursor, before: Room, after: Room) -> None:
    """Whoever still stands in the old order is changed; the others leave, and come anew behind them."""
    old = {member.user_id: (place, member) for place, member in enumerate(before.members)}
    staying = []
    last = -1
    for member in after.members:
        place = old[member.user_id][0] if member.user_id in old else -1
        if place <= last:
            break
        staying.append(member)
        last = place
    kept = {member.user_id for member in staying}
    # Those who leave go first, so that a seat's account is free before it is taken again.
    for user_id in old:
        if user_id not in kept:
            params = {"room_id": after.room_id, "user_id": user_id}
            await cursor.execute("DELETE FROM members WHERE room_id = :room_id AND user_id = :user_id", params)
    for member in staying:
        if member != old[member.user_id][1]:
            await _update_member(cursor, after.room_id, member)
    for member in after.members[len(staying) :]:
        await _insert_member(cursor, after.room_id, member)


async def rewrite(cursor: ICursor, room: Room) -> None:
    """Turn the room as it is kept into `room`, whatever is kept; a room that is not there stays away."""
    assignments = ", ".join(f"{column} = :{column}" for column in _CHANGING)
    params = {"room_id": room.room_id, **{column: _column(room, column) for column in _CHANGING}}
    kept = await cursor.execute(f"UPDATE rooms SET {assignments} WHERE room_id = :room_id RETURNING room_id", params)
    await cursor.execute("DELETE FROM members WHERE room_id = :room_id", {"room_id": room.room_id})
    for member in room.members if kept else ():
        await _insert_member(cursor, room.room_id, member)


async def delete(cursor: ICursor, room_id: str) -> None:
    """Forget a room and its members; what was played in it stays."""
    await cursor.execute("DELETE FROM rooms WHERE room_id = :room_id", {"room_id": room_id})


async def end(cursor: ICursor, room_id: str, play_id: str | None, ended_ms: int, reason: str) -> None:
    """Forget a room, whose play is over with it."""
    await delete(cursor, room_id)
    if play_id is not None:
        await end_play(cursor, play_id, ended_ms, reason)


async def load_all(cursor: ICursor, node: str | None = None) -> list[Room]:
    """The rooms that `node` holds, or all there are, oldest first."""
    of_node = "" if node is None else "WHERE node = :node"
    rows = await cursor.execute(
        f"""
        SELECT room_id, party_code, created_ms, phase, play_id, options, configuration, revision, host, banned, next_joined, setup_state
        FROM rooms {of_node} ORDER BY created_ms, room_id
        """,
        {"node": node},
    )
    # Not with a WHERE IN of all the ids: there may be more of them than a statement takes.
    found = await cursor.execute(
        f"""
        SELECT room_id, user_id, name, account, seat, token_hash, joined, ready, locked, bot FROM members
        WHERE room_id IN (SELECT room_id FROM rooms {of_node}) ORDER BY room_id, place
        """,
        {"node": node},
    )
    members: dict[str, list[Member]] = {}
    for room_id, *member in found:
        members.setdefault(room_id, []).append(_member(member))
    return [_room(row, members.get(row[0], ())) for row in rows]


async def begin_play(cursor: ICursor, play_id: str, room: Room, started_ms: int) -> None:
    """Keep that a play began, that the room's members may read its recording, and that its players have had the game."""
    await cursor.execute(
        "INSERT INTO plays (play_id, room_id, game_id, started_ms) VALUES (:play_id, :room_id, :game_id, :started_ms)",
        {"play_id": play_id, "room_id": room.room_id, "game_id": room.options.game_id, "started_ms": started_ms},
    )
    for member in room.members:
        await add_play_member(cursor, play_id, member)
        if member.account and member.seat is not None and room.options.game_id:
            await note_player(cursor, room.options.game_id, member.account)


async def add_play_member(cursor: ICursor, play_id: str, member: Member) -> None:
    """One who came to a play later, or has a new seat token, may read its recording too."""
    await cursor.execute(
        """
        INSERT INTO play_members (play_id, user_id, account, token_hash) VALUES (:play_id, :user_id, :account, :token_hash)
        ON CONFLICT (play_id, user_id) DO UPDATE SET account = excluded.account, token_hash = excluded.token_hash
        """,
        {"play_id": play_id, "user_id": member.user_id, "account": member.account, "token_hash": member.token_hash},
    )


async def end_play(cursor: ICursor, play_id: str, ended_ms: int, reason: str) -> None:
    """Keep that a play is over; the first reason stays."""
    await cursor.execute(
        "UPDATE plays SET ended_ms = :ended_ms, reason = :reason WHERE play_id = :play_id AND ended_ms IS NULL",
        {"play_id": play_id, "ended_ms": ended_ms, "reason": reason},
    )


async def may_read_play(cursor: ICursor, play_id: str, account: str = "", token_hash: str = "") -> bool | None:
    """Whether this account, or the seat token of this hash, was in the play; None where there is no such play.

    Raises `BadState` for a viewer who is held back, while the play is on: its recording is ahead of what that viewer may see.
    """
    if "\0" in play_id:
        # It comes out of a URL, and PostgreSQL takes no NUL in a text.
        return None
    rows = await cursor.execute(
        """
        SELECT m.account, m.token_hash, r.options, s.locked FROM plays AS p
        LEFT JOIN play_members AS m ON m.play_id = p.play_id
        LEFT JOIN rooms AS r ON r.room_id = p.room_id AND p.ended_ms IS NULL
        LEFT JOIN members AS s ON s.room_id = p.room_id AND s.user_id = m.user_id
        WHERE p.play_id = :play_id
        """,
        {"play_id": play_id},
    )
    if not rows:
        return None
    of_this = [row[2:] for row in rows if (account and account == row[0]) or (token_hash and token_hash == row[1])]
    if of_this and not any(locked or not _holds_back(options) for options, locked in of_this):
        raise BadState("the viewers of this play are held back: its recording can be read when it is over")
    return bool(of_this)


def _holds_back(options: str | None) -> bool:
    """Whether viewers of a room with these options see its play later than it is played; None is a play that is over."""
    return options is not None and orjson.loads(options).get("viewer_delay", 0) > 0


async def forget_plays(cursor: ICursor, ended_before_ms: int) -> list[str]:
    """Forget the plays that were over before then; gives their ids, so that their recordings can go too."""
    rows = await cursor.execute("DELETE FROM plays WHERE ended_ms < :before RETURNING play_id", {"before": ended_before_ms})
    return [play_id for (play_id,) in rows]


def _column(room: Room, column: str) -> Any:
    """What stands in this column for the room."""
    if column == "configuration":
        return _json(room.configuration)
    if column == "banned":
        return _json(sorted(room.banned))
    return getattr(room, column)


def _differs(before: Room, after: Room, column: str) -> bool:
    if column == "configuration":
        # Not by ==, to which 1, 1.0 and true are the same; and most often it is the very same object.
        return before.configuration is not after.configuration and _json(before.configuration) != _json(after.configuration)
    return bool(getattr(before, column) != getattr(after, column))


def _room(row: Row, members: Iterable[Member]) -> Room:
    room_id, party_code, created_ms, phase, play_id, options, configuration, revision, host, banned, next_joined, setup_state = row
    return Room(
        room_id=room_id,
        party_code=party_code,
        created_ms=created_ms,
        options=RoomOptions(**{key: value for key, value in orjson.loads(options).items() if key in _OPTIONS}),
        members=tuple(members),
        host=host,
        phase=phase,
        play_id=play_id,
        configuration=orjson.loads(configuration),
        revision=revision,
        banned=frozenset(orjson.loads(banned)),
        next_joined=next_joined,
        setup_state=setup_state,
    )


def _member(row: list[Any]) -> Member:
    user_id, name, account, seat, token_hash, joined, ready, locked, bot = row
    return Member(
        user_id=user_id,
        name=name,
        account=account,
        seat=seat,
        token_hash=token_hash,
        joined=joined,
        ready=bool(ready),
        locked=bool(locked),
        bot=bot,
    )


async def _insert_member(cursor: ICursor, room_id: str, member: Member) -> None:
    await cursor.execute(
        """
        INSERT INTO members (room_id, user_id, place, name, account, seat, token_hash, joined, ready, locked, bot)
        VALUES (:room_id, :user_id, (SELECT COALESCE(MAX(place), 0) + 1 FROM members WHERE room_id = :room_id),
            :name, :account, :seat, :token_hash, :joined, :ready, :locked, :bot)
        """,
        {"room_id": room_id, **attrs.asdict(member)},
    )


async def _update_member(cursor: ICursor, room_id: str, member: Member) -> None:
    await cursor.execute(
        """
        UPDATE members SET name = :name, account = :account, seat = :seat, token_hash = :token_hash, joined = :joined,
            ready = :ready, locked = :locked, bot = :bot
        WHERE room_id = :room_id AND user_id = :user_id
        """,
        {"room_id": room_id, **attrs.asdict(member)},
    )


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()
