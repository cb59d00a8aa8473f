"""What players say of games, and who has had which game, in the database.

Every function is for `database.interact`.
"""

from __future__ import annotations

import attrs

from gameroom.errors import Forbidden
from gameroom.interfaces import ICursor
from gameroom.store.catalogue import unknown_game


@attrs.frozen(kw_only=True)
class Review:
    """What one player says of one game."""

    player: str
    """The username, as typed."""
    score: int
    comment: str
    created_ms: int
    """Different for each review of a game."""


async def put(cursor: ICursor, game_id: str, account_id: str, review: Review) -> Review:
    """Keep a player's only review of a game, in the place of an earlier one; gives it with the moment that is kept.

    Raises `NotFound` where there is no such game.
    """
    # The first statement holds the game: who reviews it at the same time waits until this is kept.
    held = await cursor.execute(
        "UPDATE games SET score_count = score_count WHERE game_id = :game_id RETURNING score_sum, score_count", {"game_id": game_id}
    )
    if not held:
        raise unknown_game()
    [(score_sum, score_count)] = held
    of_this = {"game_id": game_id, "account_id": account_id}
    earlier = await cursor.execute("DELETE FROM reviews WHERE game_id = :game_id AND account_id = :account_id RETURNING score, created_ms", of_this)
    [(newest,)] = await cursor.execute("SELECT MAX(created_ms) FROM reviews WHERE game_id = :game_id", {"game_id": game_id})
    # A clock that was put back, or stands still, makes no two of them equal.
    created_ms = max(review.created_ms, (newest or 0) + 1, *(before + 1 for _, before in earlier))
    await cursor.execute(
        "INSERT INTO reviews (game_id, account_id, score, comment, created_ms) VALUES (:game_id, :account_id, :score, :comment, :created_ms)",
        {**of_this, "score": review.score, "comment": review.comment, "created_ms": created_ms},
    )
    await cursor.execute(
        "UPDATE games SET score_sum = :score_sum, score_count = :score_count WHERE game_id = :game_id",
        {
            "game_id": game_id,
            "score_sum": score_sum + review.score - sum(score for score, _ in earlier),
            "score_count": score_count + 1 - len(earlier),
        },
    )
    return attrs.evolve(review, created_ms=created_ms)


async def put_as_player(cursor: ICursor, game_id: str, account_id: str, review: Review, account_key: str) -> Review:
    """As `put`, for who has had the game. Raises `Forbidden` for others."""
    await require_game(cursor, game_id)
    if not await has_had(cursor, game_id, account_key):
        raise Forbidden("only who has downloaded or played a game may review it here; do that first")
    return await put(cursor, game_id, account_id, review)


async def newest(cursor: ICursor, game_id: str, limit: int, before_ms: int | None = None) -> list[Review]:
    """The game's reviews, newest first; those from before this moment, where one is given."""
    before = "" if before_ms is None else "AND r.created_ms < :before_ms"
    rows = await cursor.execute(
        f"""
        SELECT a.username, r.score, r.comment, r.created_ms FROM reviews AS r
        JOIN accounts AS a ON a.account_id = r.account_id
        WHERE r.game_id = :game_id {before} ORDER BY r.created_ms DESC LIMIT :limit
        """,
        {"game_id": game_id, "limit": limit, "before_ms": before_ms},
    )
    return [Review(player=player, score=score, comment=comment, created_ms=created_ms) for player, score, comment, created_ms in rows]


async def newest_of_game(cursor: ICursor, game_id: str, limit: int, before_ms: int | None = None) -> list[Review]:
    """As `newest`. Raises `NotFound` where there is no such game."""
    await require_game(cursor, game_id)
    return await newest(cursor, game_id, limit, before_ms)


async def note_player(cursor: ICursor, game_id: str, account_key: str) -> None:
    """Keep that this player has had the game: downloaded it, or played it. A game that is gone is no matter."""
    await cursor.execute(
        """
        INSERT INTO game_players (game_id, account) SELECT game_id, :account FROM games WHERE game_id = :game_id
        ON CONFLICT (game_id, account) DO NOTHING
        """,
        {"game_id": game_id, "account": account_key},
    )


async def has_had(cursor: ICursor, game_id: str, account_key: str) -> bool:
    """Whether this player has downloaded or played the game."""
    params = {"game_id": game_id, "account": account_key}
    return bool(await cursor.execute("SELECT 1 FROM game_players WHERE game_id = :game_id AND account = :account", params))


async def require_game(cursor: ICursor, game_id: str) -> None:
    """Raises `NotFound` where there is no such game."""
    if not await cursor.execute("SELECT 1 FROM games WHERE game_id = :game_id", {"game_id": game_id}):
        raise unknown_game()
