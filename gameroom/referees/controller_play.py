"""One turn game in a room: each move is made durable, and then told (docs/protocol/controller.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from math import inf
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from gameroom.errors import BadState
from gameroom.interfaces import ITurnRoom
from gameroom.referees.controller_bots import Bots
from gameroom.rules.room import Player
from gameroom.rules.turn_clock import TurnClock
from gameroom.rules.turn_games import GONE, TIME, Body, Moved, Over, request_move
from gameroom.rules.turn_games.bots import presses
from gameroom.rules.turn_table import TurnTable
from gameroom.store import turn_games
from gameroom.store.transactions import Answered
from gameroom.wire.room_messages import Outgoing

if TYPE_CHECKING:
    from gameroom.thinking import Thinking


def _is_asked_again(failure: object) -> None:
    """It could not be saved, as the ledger has logged; the room's next look at the time tries it anew."""


def of_game(body: Body) -> Outgoing:
    """A `game` message of the room."""
    return Outgoing.json({"type": "game", "body": body})


def tell_end(room: ITurnRoom, table: TurnTable) -> None:
    """Tell players how their last game has ended: they may not have heard it when the daemon was killed."""
    over = table.game.over
    if over is None:
        return
    play_over = {"type": "over", "reason": over.reason, "play_id": table.play_id, "results": {"winner": over.winner}}
    for seated in table.seats:
        if seated.user_id in room.seated:
            room.tell(seated.user_id, of_game(over.event))
            room.tell(seated.user_id, Outgoing.json(play_over))


class TurnPlay:
    """A game that is being played in a room. `table` is what the next move starts from; what was told of it is durable.

    `thinking` moves for computer players; it may be None where there are none.
    """

    def __init__(self, room: ITurnRoom, table: TurnTable, thinking: Thinking | None = None) -> None:
        self.table = table
        self._room = room
        self._kept = table
        self._gone: set[str] = set()
        self._bots = None if thinking is None else Bots(thinking, room.options.turn_game, self._press_all)

    # What happens.

    def press(self, user_id: str, do: str, message_id: int | None) -> Deferred[Body]:
        """A member presses a button. Fires with the answer once the move is durable; raises as `ITurnGame.move`, and `BadState` for a viewer."""
        player = self.table.player_of(user_id)
        if player is None:
            raise BadState("only players may move; you are watching")
        if self.table.seat(player).bot is not None:
            raise BadState("your time has run out; a computer plays on for you in this game")
        moved = self.table.game.move(player, do)
        answer = {"type": "game", "body": moved.answer}
        answered = None if message_id is None else Answered(user_id=user_id, id=message_id, answer=answer)
        return self._take([moved], player, answer, answered)

    def _press_all(self, player: int, place: int) -> None:
        """A computer player drops at this place."""
        game, moves = self.table.game, []
        if player not in game.to_move:
            return
        for do in presses(game, player, place):
            moves.append(game.move(player, do))
            game = moves[-1].game
        # Of the way there the last step is enough to be told.
        self._take(moves[-2:], player, {}, None).addErrback(_is_asked_again)

    def gone(self, user_id: str) -> None:
        """A player is gone for good."""
        self._gone.add(user_id)
        self._forfeit(self.table.player_of(user_id), GONE)

    def missing(self, players: Sequence[Player]) -> None:
        """After a restart: these are still there, and it may not have been noticed that another is gone, or that the game is over."""
        over = self.table.game.over
        if over is not None:
            self._keep(self.table, lambda: self._tell_over(over), {}, None)
            return
        there = {player.user_id for player in players}
        for seated in self.table.seats:
            if seated.user_id not in there:
                self.gone(seated.user_id)

    def _forfeit(self, player: int | None, reason: str) -> None:
        game = self.table.game
        if player is not None and game.over is None and player in game.players:
            self._take([game.forfeit(player, reason)], None, {}, None).addErrback(_is_asked_again)

    def _take(self, moves: Sequence[Moved], player: int | None, answer: Body, answered: Answered | None) -> Deferred[Body]:
        """Keep what moves of a player did; then answer them and tell the others. No player is for what nobody has pressed."""
        game = moves[-1].game
        after = self.table.after(game, self._room.now(), self._there())
        return self._keep(after, lambda: self._tell(after, moves, player), answer, answered)

    def _keep(self, after: TurnTable, tell: Callable[[], None], answer: Body, answered: Answered | None) -> Deferred[Body]:
        done: Deferred[Body] = Deferred()

        def told() -> None:
            self._kept = after
            done.callback(answer)
            tell()

        work = (turn_games.save, (self._room.room_id, after.to_json(), answered))
        self.table = after
        over = after.game.over
        if over is None:
            self._room.keep(work, told).addErrback(self._take_back, done)
        else:
            self._room.finish(over.reason, {"winner": over.winner}, work, told)
        return done

    def _take_back(self, failure: Failure, done: Deferred[Body]) -> None:
        """It could not be saved, nor what was worked out from it; but an end of the game the room saves later, with all before it."""
        if self.table.game.over is None:
            self.table = self._kept
        done.errback(failure)

    # Time.

    def came(self, user_id: str) -> None:
        """A player is there again."""
        player = self.table.player_of(user_id)
        if player is not None and self.table.seat(player).bot is None:
            self._turn_hand(player, TurnClock.resumed)

    def went(self, user_id: str) -> None:
        """A player is away, and all wait."""
        player = self.table.player_of(user_id)
        if player is not None:
            self._turn_hand(player, TurnClock.paused)

    def tick(self, now: float) -> None:
        """Who has run out of time loses, or a computer plays on."""
        self._ask_bots()
        for user_id in self._gone:
            # Mostly for nothing: unless that could not be saved, they are out of the game.
            self._forfeit(self.table.player_of(user_id), GONE)
        clock = self.table.clock
        if clock is None or self.table.game.over is not None:
            return
        for player in clock.run_out(now):
            if player not in self.table.game.to_move:
                continue
            if self._room.options.on_timeout == "bot" and self._bots is not None:
                self._take_over(player, now)
            else:
                self._forfeit(player, TIME)

    def rests_until(self, now: float) -> float:
        """When the next player's time is over. What else `tick` does is done once more: it could not be saved, and no room rests until it could."""
        clock = self.table.clock
        return inf if clock is None or self.table.game.over is not None else clock.runs_out_at()

    def _take_over(self, player: int, now: float) -> None:
        assert self._bots is not None
        level = self._bots.level(self._room.options.bot_level)
        after = self.table.taken_over(player, level, now)

        def tell() -> None:
            self._room.broadcast(of_game({"event": "bot", "player": player, "level": level}))
            self._tell_clock(after)
            self._ask_bots()

        self._keep(after, tell, {}, None).addErrback(_is_asked_again)

    def _turn_hand(self, player: int, turn: Callable[[TurnClock, int, float], TurnClock]) -> None:
        """Where it is the player's turn its hand stops, or runs on; that is not written until the next move is."""
        now = self._room.now()

        def turned(table: TurnTable) -> TurnTable:
            if table.clock is None or player not in table.game.to_move:
                return table
            return attrs.evolve(table, clock=turn(table.clock, player, now))

        before, self._kept, self.table = self._kept, turned(self._kept), turned(self.table)
        if before is not self._kept:
            self._tell_clock(self._kept)

    def _there(self) -> list[str]:
        return [seated.user_id for seated in self.table.seats if self._room.is_connected(seated.user_id)]

    # What is told.

    def tell_start(self) -> None:
        """The game has begun."""
        table = self.table = self._kept = self.table.started(self._room.now(), self._there())
        for member in self._room.members:
            self._room.tell(member.user_id, of_game(table.game_start(member.user_id)))
            if table.player_of(member.user_id) is None:
                self._room.tell(member.user_id, of_game(table.game.board()))
        self._ask(table, table.game.to_move)
        self._tell_clock(table)
        self._ask_bots()

    def end(self) -> None:
        """Nothing more happens here."""
        if self._bots is not None:
            self._bots.end()
            # What was being kept is still told, and asks nobody.
            self._bots = None

    def tell_present(self, user_id: str, connection: Any) -> None:
        """Tell one who has come how it stands: a viewer over this connection, a player as everything."""
        table = self._kept
        player = table.player_of(user_id)
        if player is None and self._room.member(user_id).viewer:
            for body in (table.game_start(user_id), table.game.board(), *self._clock_event(table)):
                connection.deliver(of_game(body))
            return
        self._room.tell(user_id, of_game(table.game_start(user_id)))
        self._room.tell(user_id, of_game(table.game.board()))
        if player in table.game.to_move:
            self._ask(table, [player])
        for body in self._clock_event(table):
            self._room.tell(user_id, of_game(body))

    def welcome(self, user_id: str) -> Body:
        """`welcome.game`."""
        return self._kept.welcome(user_id)

    def _tell(self, table: TurnTable, moves: Sequence[Moved], player: int | None) -> None:
        asked, over = moves[-1].asked, table.game.over
        # Where several choose at once, the one who ends a round learns with the others what came of it.
        all_hear = player is None or (len(table.seats) > 2 and (player in asked or over is not None))
        mover = None if all_hear or player is None else table.user_of(player)
        for event in (moved.event for moved in moves):
            if event is not None:
                self._tell_others(mover, of_game(event))
        if mover is not None and player not in table.game.to_move:
            # Nor is it told a board from before its move, which its answer has shown.
            for name in ("request_move", "board"):
                self._room.withdraw(mover, name)
        self._ask(table, asked)
        if over is not None:
            self._tell_over(over)
        elif asked:
            self._tell_clock(table)
            self._ask_bots()

    def _tell_others(self, mover: str | None, outgoing: Outgoing) -> None:
        for member in self._room.members:
            if member.user_id != mover:
                self._room.tell(member.user_id, outgoing)

    def _tell_over(self, over: Over) -> None:
        self._room.broadcast(of_game(over.event))

    def _ask(self, table: TurnTable, players: Iterable[int]) -> None:
        for player in players:
            if table.seat(player).bot is None:
                self._room.tell(table.user_of(player), of_game(request_move(table.game, player)))

    def _clock_event(self, table: TurnTable) -> list[Body]:
        if table.clock is None:
            return []
        # Computers have a limit of their own.
        people = [player for player in table.game.players if table.seat(player).bot is None]
        return [table.clock.event(people, self._room.now())]

    def _tell_clock(self, table: TurnTable) -> None:
        for body in self._clock_event(table):
            self._room.broadcast(of_game(body))

    def _ask_bots(self) -> None:
        if self._bots is not None and self.table.game.over is None:
            self._bots.consider(self.table)
