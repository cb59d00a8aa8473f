"""One turn game in a room: each move is made durable, and then told (docs/protocol/controller.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gameroom.errors import BadState
from gameroom.interfaces import ITurnRoom
from gameroom.rules.room import Player
from gameroom.rules.turn_games import GONE, Body, Moved, Over, request_move
from gameroom.rules.turn_table import TurnTable
from gameroom.store import turn_games
from gameroom.store.transactions import Answered
from gameroom.wire.room_messages import Outgoing


def of_game(body: Body) -> Outgoing:
    """A `game` message of the room."""
    return Outgoing.json({"type": "game", "body": body})


class TurnPlay:
    """A game that is being played in a room. `table` is what the next move starts from; what was told of it is durable."""

    def __init__(self, room: ITurnRoom, table: TurnTable) -> None:
        self.table = table
        self._room = room
        self._kept = table

    # What happens.

    def press(self, user_id: str, do: str, message_id: int | None) -> Deferred[Body]:
        """A member presses a button. Fires with the answer once the move is durable; raises as `ITurnGame.move`, and `BadState` for a viewer."""
        player = self.table.player_of(user_id)
        if player is None:
            raise BadState("only players may move; you are watching")
        moved = self.table.game.move(player, do)
        answer = {"type": "game", "body": moved.answer}
        answered = None if message_id is None else Answered(user_id=user_id, id=message_id, answer=answer)
        return self._take(moved, player, answer, answered)

    def gone(self, user_id: str) -> None:
        """A player is gone for good."""
        self._forfeit(self.table.player_of(user_id), GONE)

    def missing(self, players: Sequence[Player]) -> None:
        """After a restart: these are still there, and it may not have been noticed that another is gone."""
        there = {player.user_id for player in players}
        for seated in self.table.seats:
            if seated.user_id not in there:
                self._forfeit(seated.player, GONE)

    def _forfeit(self, player: int | None, reason: str) -> None:
        game = self.table.game
        if player is not None and game.over is None and player in game.players:
            self._take(game.forfeit(player, reason), player, {}, None)

    def _take(self, moved: Moved, player: int, answer: Body, answered: Answered | None) -> Deferred[Body]:
        """Keep what a move did; then answer it and tell the others."""
        after = attrs.evolve(self.table, game=moved.game)
        done: Deferred[Body] = Deferred()

        def told() -> None:
            self._kept = after
            done.callback(answer)
            self._tell(after, moved, player)

        work = (turn_games.save, (self._room.room_id, after.to_json(), answered))
        self.table = after
        over = moved.game.over
        if over is None:
            self._room.keep(work, told).addErrback(self._take_back, done)
        else:
            self._room.finish(over.reason, {"winner": over.winner}, work, told)
        return done

    def _take_back(self, failure: Failure, done: Deferred[Body]) -> None:
        """It could not be saved, nor could what was worked out from it."""
        self.table = self._kept
        done.errback(failure)

    # What is told.

    def tell_start(self) -> None:
        """The game has begun."""
        table = self.table
        for member in self._room.members:
            self._room.tell(member.user_id, of_game(table.game_start(member.user_id)))
            if table.player_of(member.user_id) is None:
                self._room.tell(member.user_id, of_game(table.game.board()))
        self._ask(table, table.game.to_move)

    def tell_present(self, user_id: str, connection: Any) -> None:
        """Tell one who has come how it stands: a viewer over this connection, a player as everything."""
        table = self._kept
        player = table.player_of(user_id)
        if player is None and self._room.member(user_id).viewer:
            for body in (table.game_start(user_id), table.game.board()):
                connection.deliver(of_game(body))
            return
        self._room.tell(user_id, of_game(table.game_start(user_id)))
        self._room.tell(user_id, of_game(table.game.board()))
        if player in table.game.to_move:
            self._ask(table, [player])

    def welcome(self, user_id: str) -> Body:
        """`welcome.game`."""
        return self._kept.welcome(user_id)

    def _tell(self, table: TurnTable, moved: Moved, player: int) -> None:
        if moved.event is not None:
            # Where several choose at once, the one who ends a round learns with the others what came of it.
            ended = len(table.seats) > 2 and (player in moved.asked or table.game.over is not None)
            mover = table.user_of(player) if moved.answer and not ended else None
            outgoing = of_game(moved.event)
            for member in self._room.members:
                if member.user_id != mover:
                    self._room.tell(member.user_id, outgoing)
        self._ask(table, moved.asked)
        if table.game.over is not None:
            self._tell_over(table.game.over)

    def _tell_over(self, over: Over) -> None:
        self._room.broadcast(of_game(over.event))

    def _ask(self, table: TurnTable, players: Iterable[int]) -> None:
        for player in players:
            self._room.tell(table.user_of(player), of_game(request_move(table.game, player)))
