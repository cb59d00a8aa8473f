"""Computer players in controller rooms."""

from __future__ import annotations

from typing import Any, ClassVar

from gameroom.rules.room import PLAYING, SETUP
from gameroom.store.errors import DatabaseUnavailable
from tests.referees.controller_world import ControllerCase


class BotCase(ControllerCase):
    """Ada with a computer, which Bob has made room for."""

    level: ClassVar[int] = 4

    def setUp(self) -> None:
        super().setUp()
        self.bob.ask("leave")
        self.bob = self.vic
        self.forget()

    def add(self, **fields: Any) -> Any:
        answer = self.ada.ask("add_bot", **fields)
        return answer.get("code", answer["type"])

    @property
    def bots(self) -> list[Any]:
        return [member for member in self.room.value.players if member.bot is not None]


class AddTests(BotCase):
    def test_add(self) -> None:
        """It takes the lowest free seat, is there and ready, and everybody sees its level; the game starts when the others are ready."""
        self.assertEqual(self.add(level=4), "ack")
        [bot] = self.bots
        self.assertEqual((bot.name, bot.seat, bot.bot, bot.ready), ("Computer", 1, 4, True))
        self.ada.somebody.say("hello", token=self.ada.somebody.token)
        welcome = next(message for message in self.ada.heard() if message["type"] == "welcome")
        [entry] = [player for player in welcome["room"]["players"] if player["name"] == "Computer"]
        self.assertEqual((entry["bot"], entry["connected"], entry["ready"], entry["host"]), (4, True, True, False))
        self.assertEqual(self.room.value.phase, SETUP)
        self.ada.do("ready")
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_refused(self) -> None:
        """A level that there is not is 100, somebody else than the host is 102, and without a free seat it is 105."""
        for level in (0, 99, "3", None, True):
            self.assertEqual(self.add(level=level), 100, level)
        self.assertEqual(self.vic.ask("add_bot", level=1)["code"], 102)
        self.add()
        self.assertEqual(self.add(level=1), 105)

    def test_without_any(self) -> None:
        """A server that has none says so."""
        self.room.referee._thinking = None  # type: ignore[attr-defined]
        self.assertEqual(self.add(level=1), 105)

    def test_sent_away(self) -> None:
        """The host may send it away, for a person."""
        self.add(level=1)
        self.ada.ask("kick", user_id=self.bots[0].user_id)
        self.assertEqual(self.bots, [])
        self.assertEqual(self.vic.do("join"), {"player": 2})

    def test_it_is_nobody(self) -> None:
        """It is never host, and a room where nobody else is left is gone."""
        self.add(level=1)
        self.ada.ask("leave")
        self.assertIsNone(self.room.value.host)
        self.assertFalse(self.room.closing)
        self.vic.ask("leave")
        self.assertTrue(self.room.closing)

    def test_all_away(self) -> None:
        """A room where everybody else is away is gone after a while."""
        self.add(level=1)
        for each in (self.ada, self.vic):
            self.gone(each)
        self.wait(130)
        self.assertTrue(self.room.closing)


class PlayTests(BotCase):
    def setUp(self) -> None:
        super().setUp()
        self.add(level=4)
        self.ada.do("ready")
        self.forget()

    def test_moves(self) -> None:
        """It is asked when it is its turn; its cursor and its disc are told as anybody's."""
        self.assertEqual(self.thinking.asked, [])
        self.ada.do("drop")
        self.assertEqual([asked[:3] for asked in self.thinking.asked], [("connect-four", 2, 4)])
        self.wait(1)
        self.assertEqual(len(self.thinking.asked), 1)
        self.thinking.drop(5)
        last = {"player": 2, "column": 5, "row": 0}
        board = ["", "", "", "1", "", "2", ""]
        told = [{"event": "cursor", "player": 2, "cursor": 5}, {"event": "board", "board": board, "last": last}]
        self.assertEqual(self.ada.told(), [*told, {"event": "request_move", "board": board, "cursor": 3, "turn": 3}])
        self.assertEqual(self.vic.told()[1:], told)

    def test_rematch(self) -> None:
        """It is ready for the next game at once, and begins it."""
        for _ in range(3):
            self.drop(self.ada, 0)
            self.thinking.drop(1)
        self.drop(self.ada, 0)
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertEqual(self.thinking.asked, [])
        self.ada.do("ready")
        self.thinking.drop(6)
        self.assertEqual(self.drop(self.ada, 6)["board"][6], "21")

    def test_killed(self) -> None:
        """After a restart it thinks anew."""
        self.ada.do("drop")
        self.restart()
        self.wait(1)
        self.thinking.drop(0)
        self.assertEqual(self.drop(self.ada, 0)["board"][0], "21")

    def test_it_wins_while_nothing_can_be_kept(self) -> None:
        """A move fails, and with it the win that a computer has made of it meanwhile: the game is over, and nobody makes another of it."""
        for column in (0, 1, 2):
            self.drop(self.ada, column)
            self.thinking.drop(6)
        self.forget()
        held = self.hold()
        self.ada.somebody.say("game", id=50, body={"do": "drop"})
        self.wait(1)
        self.thinking.drop(6)
        held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        [answer] = [message for message in self.ada.heard() if "reply_to" in message]
        self.assertEqual((answer["reply_to"], answer["code"]), (50, 199))
        self.flushLoggedErrors(DatabaseUnavailable)
        self.assertEqual(self.ada.again("game", 51, body={"do": "drop"})["code"], 105)
        for _ in range(3):
            self.wait(1)
            while held:
                held.pop(0).callback(None)
        self.assertEqual(self.room.value.phase, SETUP)
        told = [each for each in self.vic.told() if isinstance(each, dict)]
        self.assertEqual([each["event"] for each in told], ["board", "game_over"])
        self.assertEqual((told[0]["board"], told[1]["winner"]), (["1", "1", "11", "", "", "", "2222"], 2))
        self.assertEqual(self.thinking.asked, [])

    def test_the_game_ends_meanwhile(self) -> None:
        """What it thinks about is given up when the game is over."""
        self.ada.do("drop")
        [thought] = [asked[3] for asked in self.thinking.asked]
        self.ada.do("leave")
        self.assertTrue(thought.called)
        self.assertEqual(self.room.value.phase, SETUP)


class LonersTests(ControllerCase):
    """Three who choose at the same time, one of them a computer."""

    game = "loners"
    seats = 4

    def setUp(self) -> None:
        super().setUp()
        self.ada.ask("add_bot", level=2)
        self.begin()

    def test_a_round(self) -> None:
        """All are asked at once; nobody hears what the others do but that they have locked; the last one learns with all what came of it."""
        self.assertEqual([asked[:3] for asked in self.thinking.asked], [("loners", 3, 2)])
        self.drop(self.bob, 0)
        self.assertEqual(self.ada.events(), ["board"])
        self.thinking.drop(6)
        self.forget()
        self.drop(self.ada, 1)
        told = self.ada.told()
        self.assertEqual([each["event"] for each in told], ["board", "request_move"])
        self.assertEqual(told[0]["last"]["scorer"], 2)
        self.assertEqual(self.bob.events(), ["board", "request_move"])
        self.assertEqual(self.thinking.asked[0][1], 3)

    def test_start(self) -> None:
        """With more than two everybody is told who plays."""
        self.restart()
        [start] = [message["body"] for message in self.ada.heard() if message.get("body", {}).get("event") == "game_start"]
        self.assertEqual(
            (start["color"], start["opponent"], [player["name"] for player in start["players"]]), ("red", None, ["Ada", "Bob", "Computer"])
        )

    def test_one_leaves(self) -> None:
        """With four of them, one may leave and the others go on."""
        self.bob.do("leave")
        self.assertIn("game_over", self.ada.events())
        self.ada.ask("add_bot", level=1)
        self.assertEqual(self.vic.do("join"), {"player": 4})
        self.ada.do("ready")
        self.forget()
        self.vic.do("leave")
        self.assertEqual((self.room.value.phase, self.ada.events()), (PLAYING, ["board"]))
        for _ in range(2):
            self.thinking.drop(self.thinking.asked[0][1])
        self.assertEqual(self.drop(self.ada, 0)["event"], "move_received")


class GoneTests(ControllerCase):
    """Loners for four."""

    game = "loners"
    seats = 4

    def test_it_cannot_be_kept(self) -> None:
        """That a player is out is tried again until it is kept, and the others go on."""
        for _ in range(2):
            self.ada.ask("add_bot", level=1)
        self.begin()
        held = self.hold()
        self.bob.somebody.say("leave")
        held.pop(0).callback(None)
        held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        self.assertEqual(self.play.table.game.players, (1, 2, 3, 4))
        for _ in range(3):
            self.wait(1)
            while held:
                held.pop(0).callback(None)
        self.assertEqual((self.play.table.game.players, self.room.value.phase), ((1, 3, 4), PLAYING))

    def test_nobody_is_left(self) -> None:
        """Computers do not play on in a room that is gone."""
        for each in (self.bob, self.vic):
            each.somebody.say("leave")
        for _ in range(3):
            self.ada.ask("add_bot", level=1)
        self.ada.do("ready")
        for place in (1, 2, 3):
            self.thinking.drop(place)
        self.ada.somebody.say("leave")
        self.assertTrue(self.room.closing)
        self.assertEqual(self.thinking.asked, [])


class ClockCase(ControllerCase):
    """Time for turns."""

    options: ClassVar[dict[str, Any]] = {"move_seconds": 20.0}

    def setUp(self) -> None:
        super().setUp()
        self.begin()


class MoveClockTests(ClockCase):
    def test_lost(self) -> None:
        """Who lets it run out has lost."""
        self.wait(19)
        self.ada.do("left")
        self.wait(2)
        self.assertIn({"event": "game_over", "reason": "time", "winner": 2}, self.ada.told())
        self.assertEqual(self.room.value.phase, SETUP)

    def test_in_time(self) -> None:
        """Each turn has the whole time, and everybody is told of it."""
        for player in (self.ada, self.bob) * 3:
            self.wait(15)
            player.do("drop")
        self.assertEqual(self.room.value.phase, PLAYING)
        hands = [{"player": player, "running": player == 1, "move_seconds": 20.0} for player in (1, 2)]
        self.assertEqual(self.vic.told()[-1], {"event": "clock", "players": hands})

    def test_away(self) -> None:
        """It stands while its player is away, and after a restart until the player is there."""
        self.wait(15)
        self.gone(self.ada)
        self.assertFalse(self.vic.told()[-1]["players"][0]["running"])
        self.wait(50)
        self.ada = self.back(self.ada)
        self.assertTrue(self.vic.told()[-1]["players"][0]["running"])
        self.wait(4)
        self.assertEqual(self.room.value.phase, PLAYING)
        self.wait(2)
        self.assertEqual(self.room.value.phase, SETUP)

    def test_killed(self) -> None:
        """After a restart it runs when its player is there."""
        self.restart()
        self.assertTrue(self.ada.told()[-1]["players"][0]["running"])
        self.wait(21)
        self.assertEqual(self.room.value.phase, SETUP)


class TotalClockTests(ClockCase):
    options: ClassVar[dict[str, Any]] = {"total_seconds": 30.0, "increment_seconds": 5.0}

    def test_total(self) -> None:
        """Turns take from the total and each gives a little back; that is kept over a restart."""
        self.wait(20)
        self.ada.do("drop")
        self.wait(2)
        self.bob.do("drop")
        self.restart()
        clock = self.vic.told()[-1]["players"]
        self.assertEqual([hand["total_seconds"] for hand in clock], [15.0, 33.0])
        self.wait(16)
        self.assertIn({"event": "game_over", "reason": "time", "winner": 2}, self.bob.told())


class TakeOverTests(ClockCase):
    options: ClassVar[dict[str, Any]] = {"move_seconds": 20.0, "on_timeout": "bot", "bot_level": 99}

    def test_bot(self) -> None:
        """Where the room says so a computer plays on, at its best level if the one asked for is above it; the player may look on."""
        self.wait(21)
        self.assertIn({"event": "bot", "player": 1, "level": 6}, self.ada.told())
        self.assertEqual([asked[:3] for asked in self.thinking.asked], [("connect-four", 1, 6)])
        self.assertEqual(self.ada.do("drop"), 105)
        self.thinking.drop(2)
        self.assertEqual(self.bob.do("drop")["board"], ["", "", "1", "2", "", "", ""])
        self.assertEqual(len(self.thinking.asked), 1)
        self.restart()
        self.assertNotIn("request_move", self.ada.events())
        self.wait(1)
        self.assertEqual(len(self.thinking.asked), 1)

    def test_it_has_no_clock(self) -> None:
        """The computer that plays on has no clock, though the player looks on."""
        self.wait(21)
        self.thinking.drop(2)
        self.bob.do("drop")
        self.forget()
        self.wait(50)
        self.assertEqual((self.room.value.phase, self.bob.events()), (PLAYING, []))
