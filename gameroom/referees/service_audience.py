"""Who is told what in one play of a service room, and who is brought up to date."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred

from gameroom.interfaces import IRoom
from gameroom.referees.service_books import Books
from gameroom.referees.service_told import messages, outgoing
from gameroom.rules.service_game import Held, Outcome, ServiceGame
from gameroom.wire.room_messages import Outgoing


class ServiceAudience:
    """The members' connections in one play.

    Whoever comes gets the last broadcasts and the last views of its seat, and only then what is told from now on.
    """

    def __init__(self, room: IRoom, game: ServiceGame, books: Books) -> None:
        self._room = room
        self._game = game
        self._books = books
        self._behind: list[tuple[str, Any]] = []
        """user_ids and connections that came while what they are to get was not in memory."""
        self._loading = False

    def tell(self, outcome: Outcome) -> None:
        """What came of an update is durable: broadcasts to everyone, then to each seat its views."""
        behind = [connection for _, connection in self._behind]
        for said in outcome.broadcast:
            message = outgoing(said)
            for connection in self._room.everyone():
                if connection not in behind:
                    _deliver(connection, message)
        users = {player.seat: player.id for player in self._game.players}
        for view in outcome.views:
            message = outgoing(view)
            for connection in self._room.connections(users.get(view.seat, "")):
                if connection not in behind:
                    _deliver(connection, message)

    def welcome(self, user_id: str, connection: Any) -> None:
        """One has come: bring it up to date, at its pace."""
        self._behind.append((user_id, connection))
        self.bring_up()

    def part(self, connection: Any) -> None:
        """One has gone."""
        self._behind = [(user_id, each) for user_id, each in self._behind if each is not connection]

    @property
    def waits(self) -> bool:
        """Whether somebody is to be brought up to date yet."""
        return bool(self._behind)

    def bring_up(self) -> None:
        """Give those who wait for it what was shown last, where that can be had; called again after each update, and at each look at the room."""
        if not self._behind:
            return
        held = self._books.here
        if held is None:
            self._load()
            return
        behind, self._behind = self._behind, []
        for user_id, connection in behind:
            if connection in self._room.connections(user_id):
                self._give(user_id, connection, held)

    def _load(self) -> None:
        if self._loading:
            return
        self._loading = True
        # What goes wrong is tried again; the play's next update says so too.
        Deferred.fromCoroutine(self._books.held()).addBoth(self._loaded)

    def _loaded(self, _: object) -> None:
        self._loading = False
        if self._books.here is not None:
            self.bring_up()

    def _give(self, user_id: str, connection: Any, held: Held) -> None:
        player = self._game.player(user_id)
        views = () if player is None else held.shown.views(player.seat)
        shown = [each for each in messages(held.shown.broadcasts(), views) if connection.binary or not each.binary]
        if shown:
            waiting = iter(shown)
            connection.catch_up(lambda: next(waiting, None))


def _deliver(connection: Any, message: Outgoing) -> None:
    if connection.binary or not message.binary:
        connection.deliver(message)
