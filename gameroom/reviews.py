"""What players say of games, and who may (docs/protocol/lobby.md, "Reviews").

Three lines in a program of one's own, whose database has been started:

>>> reviews = Reviews(database=database, clock=reactor)
>>> await reviews.add(account, game_id, 5, "Well made.")
>>> await reviews.list(game_id)
"""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import InvalidRequest
from gameroom.interfaces import IDatabase
from gameroom.rules.sessions import Account
from gameroom.rules.times import milliseconds_of, rfc3339
from gameroom.rules.usernames import plain_text
from gameroom.settings import StoreSettings
from gameroom.store import reviews as sql
from gameroom.store.catalogue import unknown_game

SCORES = range(1, 5 + 1)
COMMENT_BYTES = 2048
MOST_LISTED = 200


class Reviews:
    """The reviews of all games, one for each player and game. Doors share one of these.

    With `settings.reviews` of `players` only who has downloaded or played a game may review it.
    """

    _log = Logger()

    def __init__(self, *, database: IDatabase, clock: IReactorTime, settings: StoreSettings | None = None) -> None:
        self._database = database
        self._clock = clock
        self._only_players = (settings or StoreSettings()).reviews == "players"

    @deferring
    async def add(self, account: Account, game_id: str, score: int, comment: str) -> dict[str, Any]:
        """ADD_REVIEW: this player's review of the game, in the place of an earlier one. Fires with it, as LIST_REVIEWS has it.

        Fails with `InvalidRequest`, `NotFound` or `Forbidden`.
        """
        review = sql.Review(player=account.username, score=_score(score), comment=_comment(comment), created_ms=self._now_ms())
        _require_text(game_id)
        if self._only_players:
            kept = await self._database.interact(sql.put_as_player, game_id, account.account_id, review, account.key)
        else:
            kept = await self._database.interact(sql.put, game_id, account.account_id, review)
        return entry(kept)

    @deferring
    async def list(self, game_id: str, limit: int = MOST_LISTED, before: str | None = None) -> list[dict[str, Any]]:
        """LIST_REVIEWS: the newest first, at most 200; `before` is the `created_at` of the last one of the list before.

        A game that is OFFLINE has its reviews too. Fails with `NotFound`, and with `InvalidRequest` where `before` is no time.
        """
        before_ms = None if before is None else _moment(before)
        _require_text(game_id)
        found = await self._database.interact(sql.newest_of_game, game_id, min(limit, MOST_LISTED), before_ms)
        return [entry(review) for review in found]

    @deferring
    async def downloaded(self, account_key: str, game_id: str) -> None:
        """This player has downloaded the game. Fires when that is kept; where it cannot be kept the log says so, and it fires all the same."""
        try:
            await self._database.interact(sql.note_player, game_id, account_key)
        except Exception:
            self._log.failure("it was not kept that {player} has downloaded {game_id}", player=account_key, game_id=game_id)

    @deferring
    async def knows(self, account_key: str, game_id: str) -> bool:
        """Fires with whether this player has downloaded or played the game."""
        return "\0" not in game_id and await self._database.interact(sql.has_had, game_id, account_key)

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)


def entry(review: sql.Review) -> dict[str, Any]:
    """An entry of LIST_REVIEWS."""
    return {**sample(review), "created_at": rfc3339(review.created_ms)}


def sample(review: sql.Review) -> dict[str, Any]:
    """An entry of `reviews_sample`."""
    return {"player": review.player, "score": review.score, "comment": review.comment}


def _score(score: int) -> int:
    if score not in SCORES:
        raise InvalidRequest(f'"score" must be {SCORES[0]} to {SCORES[-1]}', pointer="/score")
    return score


def _comment(comment: str) -> str:
    text = plain_text(comment, COMMENT_BYTES, newlines=True)
    if len(text.encode()) > COMMENT_BYTES:
        raise InvalidRequest(f"a comment has up to {COMMENT_BYTES} bytes in UTF-8; shorten it", pointer="/comment")
    return text


def _moment(before: str) -> int:
    moment = milliseconds_of(before)
    if moment is None:
        raise InvalidRequest('"before" must be the created_at of a review')
    return moment


def _require_text(game_id: str) -> None:
    """No id holds a NUL, and PostgreSQL would not take one."""
    if "\0" in game_id:
        raise unknown_game()
