"""A controller room over a registry in memory, with controllers that answer what they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import attrs
from twisted.internet.defer import Deferred

from gameroom.interfaces import IReferee
from gameroom.referees.controller import ControllerReferee
from gameroom.rules.turn_games.bots import bot_of
from tests.referees.relay_world import KindTestCase, Somebody


class FakeThinking:
    """Moves when a test says so."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, int, int, Deferred[int]]] = []
        """Game, player, level, and what fires with the place."""

    def choose(self, game: str, view: Mapping[str, Any], *, player: int, level: int) -> Deferred[int]:
        bot_of(game, level)
        thought: Deferred[int] = Deferred()
        self.asked.append((game, player, level, thought))
        return thought

    def drop(self, place: int) -> None:
        """The first that was asked drops there."""
        self.asked.pop(0)[3].callback(place)


@attrs.define
class Controller:
    """A member that answers what comes with an id, and numbers what it says."""

    somebody: Somebody
    answers: bool = True
    number: int = 0
    unread: list[dict[str, Any]] = attrs.field(factory=list)

    @property
    def user_id(self) -> str:
        return self.somebody.user_id

    def read(self) -> None:
        """Take what has come, and answer it, until nothing comes any more."""
        while got := self.somebody.connection.take():
            self.unread += got
            for message in got:
                if self.answers and "id" in message:
                    self.somebody.say("ack", reply_to=message["id"])

    def heard(self) -> list[dict[str, Any]]:
        """What has come since the last look, but for rosters."""
        self.read()
        heard, self.unread = self.unread, []
        return [message for message in heard if message["type"] != "players"]

    def told(self) -> list[Any]:
        """As `heard`, but without ids: the bodies of `game` messages, and of others the types."""
        return [message.get("body", message["type"]) for message in self.heard() if "reply_to" not in message]

    def events(self) -> list[str]:
        """As `told`, but the names of events."""
        return [each if isinstance(each, str) else each.get("event", "?") for each in self.told()]

    def again(self, type_: str, number: int, **message: Any) -> dict[str, Any]:
        """Say something with this id, and give its answer."""
        self.read()
        before, self.unread = self.unread, []
        self.somebody.say(type_, id=number, **message)
        self.read()
        [answer] = [each for each in self.unread if each.get("reply_to") == number]
        self.unread = before + [each for each in self.unread if each is not answer]
        return answer

    def ask(self, type_: str, **message: Any) -> dict[str, Any]:
        """Say something with the next id, and give its answer."""
        self.number += 1
        return self.again(type_, self.number, **message)

    def do(self, what: str) -> Any:
        """Press a button, or say what else a controller says; the answer's body, or its code where it is an error."""
        answer = self.ask("game", body={"do": what})
        return answer["code"] if answer["type"] == "error" else answer.get("body", answer["type"])


class ControllerCase(KindTestCase):
    """A room of Connect Four with Ada, its host, and Bob, and with Vic, who watches; all are on the web."""

    kind = "controller"
    game: ClassVar[str] = "connect-four"
    seats: ClassVar[int] = 2
    options: ClassVar[dict[str, Any]] = {}

    def setUp(self) -> None:
        self.thinking = FakeThinking()
        super().setUp()
        self.ada, self.bob = Controller(self.member("Ada")), Controller(self.member("Bob", "player"))
        self.vic = Controller(self.member("(Vic)", "viewer"))

    @property
    def all(self) -> list[Controller]:
        return [self.ada, self.bob, self.vic]

    def make(self, room: Any) -> IReferee:
        return ControllerReferee(room, database=self.house.database, thinking=self.thinking)  # type: ignore[arg-type]

    def sell(self) -> None:
        game = self.house.catalogue.the
        lockstep = {"turn_game": self.game, **self.options}
        self.house.limits = attrs.evolve(self.house.limits, messages_per_second=1000)
        self.house.catalogue.the = attrs.evolve(game, hosting=self.kind, lockstep=lockstep, engine=None, min_players=2, max_players=self.seats)

    def begin(self) -> None:
        """Both are ready, and what they are told of it is forgotten."""
        self.ada.do("join")
        self.bob.do("join")
        self.forget()

    def forget(self) -> None:
        for each in self.all:
            each.heard()

    def drop(self, player: Controller, column: int) -> Any:
        """The player moves its cursor there and drops."""
        view = self.play.table.game.view(self.play.table.player_of(player.user_id))
        for _ in range(abs(column - view["cursor"])):
            player.do("left" if column < view["cursor"] else "right")
        return player.do("drop")

    @property
    def play(self) -> Any:
        return self.room.referee._play  # type: ignore[attr-defined]

    def win(self, first: Controller, second: Controller) -> None:
        """Who begins wins in its first column; what they are told of the end is yet to be heard."""
        for _ in range(3):
            self.drop(first, 0)
            self.drop(second, 1)
        self.forget()
        self.drop(first, 0)

    def back(self, controller: Controller, **changes: Any) -> Controller:
        """It connects anew, and knows what it knew."""
        somebody = controller.somebody
        return Controller(self.connect(somebody.user_id, somebody.token, **changes), controller.answers, controller.number)

    def gone(self, controller: Controller) -> None:
        """Its connection is lost."""
        controller.somebody.conversation.lost()

    def restart(self) -> None:
        """The daemon is killed, and all come back."""
        self.thinking = FakeThinking()
        super().restart()
        self.ada, self.bob, self.vic = map(self.back, self.all)

    def hold(self) -> list[Deferred[Any]]:
        """From now on transactions wait for the test."""
        held: list[Deferred[Any]] = []
        interact = self.house.database.interact

        def later(work: Any, *args: Any) -> Deferred[Any]:
            gate: Deferred[Any] = Deferred()
            held.append(gate)
            return gate.addCallback(lambda _: interact(work, *args))

        self.patch(self.house.database, "interact", later)
        return held
