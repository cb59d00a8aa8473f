"""The referee of a controller room: who plays, what each is told, and that it is told once."""

from __future__ import annotations

from typing import Any, ClassVar
from unittest.mock import patch

import attrs
from twisted.python.failure import Failure
from zope.interface.verify import verifyObject

from gameroom.interfaces import IReferee, ITurnRoom
from gameroom.rules.room import PLAYING, SETUP
from gameroom.store.errors import DatabaseUnavailable
from tests.referees.controller_world import Controller, ControllerCase

EMPTY = [""] * 7


class JoinTests(ControllerCase):
    """How a game comes about."""

    def test_interface(self) -> None:
        """It is a referee, and its room is what such a referee needs."""
        self.assertTrue(verifyObject(IReferee, self.room.referee))
        self.assertTrue(verifyObject(ITurnRoom, self.room.refereed))

    def test_join(self) -> None:
        """Who joins gets a number and is ready; with two the game starts, and the first player is asked to move. A third is told that it is full."""
        self.forget()
        self.assertEqual(self.vic.do("join"), {"full": True})
        self.assertEqual(self.ada.do("join"), {"player": 1})
        self.assertEqual((self.ada.told(), self.room.value.phase), ([], SETUP))
        self.assertEqual(self.bob.do("join"), {"player": 2})
        self.assertEqual(self.room.value.phase, PLAYING)
        request = {"event": "request_move", "board": EMPTY, "cursor": 3, "turn": 1}
        self.assertEqual(self.ada.told(), ["state", {"event": "game_start", "color": "red", "opponent": "Bob"}, request])
        self.assertEqual(self.bob.told(), ["state", {"event": "game_start", "color": "yellow", "opponent": "Ada"}])
        self.assertEqual(self.vic.do("join"), {"full": True})
        self.assertEqual(self.bob.do("join"), {"player": 2})

    def test_a_viewer_is_told_once(self) -> None:
        """Viewers get each event once and without an id: who plays in which colour, the board, cursors."""
        self.begin()
        for each in (self.ada, self.bob, self.vic):
            each.somebody.connection.take()
        self.restart()
        heard = self.vic.heard()
        self.assertTrue(all("id" not in message for message in heard))
        [start] = [message["body"] for message in heard if message.get("body", {}).get("event") == "game_start"]
        players = [{"player": 1, "color": "red", "name": "Ada"}, {"player": 2, "color": "yellow", "name": "Bob"}]
        self.assertEqual(start["players"], players)
        self.drop(self.ada, 2)
        last = {"player": 1, "column": 2, "row": 0}
        board = {"event": "board", "board": ["", "", "1", "", "", "", ""], "last": last}
        self.assertEqual(self.vic.told(), [{"event": "cursor", "player": 1, "cursor": 2}, board])
        self.wait(20)
        self.assertEqual(self.vic.heard(), [])

    def test_a_free_seat(self) -> None:
        """A viewer who joins takes a seat that is free, and is ready."""
        self.assertEqual(self.bob.ask("leave"), {"type": "ack", "reply_to": 1})
        self.forget()
        self.ada.do("join")
        self.assertEqual(self.vic.do("join"), {"player": 2})
        self.assertEqual(self.vic.events(), ["state", "game_start"])
        self.assertEqual(self.room.value.member(self.vic.user_id).seat, 1)

    def test_ready_and_start(self) -> None:
        """`ready` in either form does as well, and so does the host's start."""
        self.assertEqual(self.ada.do("ready"), "ack")
        self.assertEqual(self.bob.ask("ready", ready=True)["type"], "ack")
        self.assertEqual(self.room.value.phase, PLAYING)
        self.win(self.ada, self.bob)
        self.assertEqual(self.ada.ask("start")["type"], "ack")
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_wrong(self) -> None:
        """What a controller cannot say is 100; moves outside of a game, and of a viewer, are 105."""
        for body in (None, "left", {}, {"do": 5}, {"do": "jump"}):
            self.assertEqual(self.ada.ask("game", body=body)["code"], 100, body)
        self.assertEqual(self.ada.ask("finish")["code"], 100)
        self.assertEqual(self.ada.do("drop"), 105)
        self.begin()
        self.assertEqual(self.vic.do("drop"), 105)
        self.assertEqual(self.vic.do("leave"), 105)
        self.ada.somebody.conversation.binary(b"\x01")
        self.assertEqual([message["code"] for message in self.ada.heard()], [100])

    def test_unknown_game(self) -> None:
        """A game that this server has no rules of is not begun, and everybody keeps the seat."""
        self.room.referee._room.options = attrs.evolve(self.room.options, turn_game="chess")  # type: ignore[attr-defined]
        for answer in (self.ada.do("join"), self.ada.do("ready"), self.ada.ask("start")["code"]):
            self.assertEqual(answer, 105)
        self.assertEqual(self.room.value.phase, SETUP)


class MoveTests(ControllerCase):
    """A game goes its way."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_moves(self) -> None:
        """A button is answered with cursor and board; the other hears of it, and is asked when it is its turn."""
        self.assertEqual(self.ada.do("left"), {"event": "move_received", "cursor": 2, "board": EMPTY})
        board = ["", "", "1", "", "", "", ""]
        self.assertEqual(self.ada.do("drop"), {"event": "move_received", "cursor": 2, "board": board})
        self.assertEqual(self.ada.told(), [])
        told = {"event": "board", "board": board, "last": {"player": 1, "column": 2, "row": 0}}
        request = {"event": "request_move", "board": board, "cursor": 3, "turn": 2}
        self.assertEqual(self.bob.told(), [{"event": "cursor", "player": 1, "cursor": 2}, told, request])

    def test_out_of_turn(self) -> None:
        """105 for one whose turn it is not, and for a full column; it is still the same turn."""
        self.assertEqual(self.bob.do("drop"), 105)
        for player in (self.ada, self.bob) * 3:
            self.drop(player, 3)
        self.forget()
        self.assertEqual(self.ada.do("drop"), 105)
        self.assertEqual(self.ada.do("left")["cursor"], 2)
        self.assertEqual(self.ada.do("drop")["board"][2], "1")

    def test_won(self) -> None:
        """The end is told with its line, then the play is over and nobody is ready; the other one begins the next."""
        self.win(self.ada, self.bob)
        line = [[0, row] for row in range(4)]
        over = {"event": "game_over", "reason": "won", "winner": 1, "line": line}
        self.assertEqual(self.ada.told(), [over, "over", "state"])
        self.assertEqual(self.bob.told()[1:], [over, "over", "state"])
        self.assertEqual([member.ready for member in self.room.value.members], [False] * 3)
        self.assertEqual(self.ada.do("drop"), 105)
        self.bob.do("ready")
        self.ada.do("ready")
        self.assertEqual(self.ada.events(), ["state", "game_start"])
        self.assertEqual(self.bob.events(), ["state", "game_start", "request_move"])
        self.win(self.bob, self.ada)
        self.assertEqual(self.bob.told()[0]["winner"], 2)
        self.begin()
        self.assertEqual(self.drop(self.ada, 3)["cursor"], 3)

    def test_over(self) -> None:
        """`over` carries the reason and who has won."""
        self.win(self.ada, self.bob)
        [over] = [message for message in self.vic.heard() if message["type"] == "over"]
        self.assertEqual((over["reason"], over["results"]), ("won", {"winner": 1}))

    def test_leave(self) -> None:
        """Who leaves is answered and is a viewer from then on; for the other the game is over, and the room waits for players once more."""
        self.assertEqual(self.ada.do("leave"), "ack")
        over = {"event": "game_over", "reason": "left", "winner": None}
        self.assertEqual(self.bob.told(), [over, "over", "state"])
        self.assertEqual((self.room.value.phase, [member.name for member in self.room.value.players]), (SETUP, ["Bob"]))
        self.assertEqual(self.room.value.host, "Bob")
        self.assertFalse(self.room.value.member("Bob").ready)
        self.assertTrue(all("id" not in message for message in self.ada.heard()))
        self.assertEqual(self.vic.do("join"), {"player": 1})
        self.assertEqual(self.ada.do("join"), {"full": True})

    def test_leave_the_room(self) -> None:
        """The room's own leave, and being kicked, end the game as well."""
        leaves = (lambda: self.bob.ask("leave"), lambda: self.ada.ask("kick", user_id=self.bob.user_id))
        for name, leave in zip(("Cy", "Dan"), leaves, strict=True):
            leave()
            self.assertIn({"event": "game_over", "reason": "left", "winner": None}, self.ada.told())
            self.assertIsNone(self.room.value.find(self.bob.user_id))
            self.bob = Controller(self.member(name, "player"))
            self.begin()

    def test_away(self) -> None:
        """A player who is away does not lose: the game waits for the window, and is then over as if that one had left."""
        self.gone(self.bob)
        self.drop(self.ada, 3)
        self.wait(50)
        self.bob = self.back(self.bob)
        self.assertEqual(self.bob.events(), ["welcome", "game_start", "board", "request_move"])
        self.drop(self.bob, 3)
        self.assertIn("request_move", self.ada.events())
        self.gone(self.bob)
        self.wait(59)
        self.assertEqual(self.ada.told(), [])
        self.wait(2)
        self.assertEqual(self.ada.told(), [{"event": "game_over", "reason": "left", "winner": None}, "over", "state"])
        self.assertEqual([(member.name, member.ready) for member in self.room.value.players], [("Ada", False)])

    def test_welcome(self) -> None:
        """`welcome` tells how the game stands, to a player and to a viewer; null outside of one."""
        self.drop(self.ada, 2)
        known = {"board": ["", "", "1", "", "", "", ""], "turn": 2, "to_move": 2}
        [welcome] = [message for message in self.back(self.ada).heard() if message["type"] == "welcome"]
        self.assertEqual(welcome["game"], {"player": 1, "color": "red", "opponent": "Bob", "cursor": 2, **known})
        self.assertEqual(welcome["last_id"], self.ada.number)
        [welcome] = [message for message in self.back(self.vic).heard() if message["type"] == "welcome"]
        self.assertEqual(
            {**welcome["game"], "players": None}, {"player": None, "color": None, "opponent": None, "cursor": 3, **known, "players": None}
        )
        self.bob.do("leave")
        self.assertIsNone(next(message for message in self.back(self.ada).heard() if message["type"] == "welcome")["game"])

    def last_game(self, controller: Controller) -> Any:
        return next(message for message in self.back(controller).heard() if message["type"] == "welcome")["last_game"]

    def test_welcome_after_the_end(self) -> None:
        """`welcome` tells how the last game has ended, over a restart too, until the next one begins."""
        self.assertIsNone(self.last_game(self.ada))
        self.win(self.ada, self.bob)
        ended = self.last_game(self.bob)
        self.assertEqual((ended["player"], ended["color"], ended["to_move"]), (2, "yellow", None))
        self.assertEqual(ended["game_over"]["winner"], 1)
        self.assertEqual([each["name"] for each in ended["players"]], ["Ada", "Bob"])
        self.assertEqual([self.last_game(self.vic)[of] for of in ("player", "board", "game_over")], [None, ended["board"], ended["game_over"]])
        self.restart()
        self.assertEqual(self.last_game(self.bob), ended)
        self.forget()
        self.begin()
        self.assertIsNone(self.last_game(self.ada))


class TransactionTests(ControllerCase):
    """What is said under an id."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_one_at_a_time(self) -> None:
        """A player who does not answer is told one thing, again and again; the rest waits, the newest of its kind alone."""
        self.bob.answers = False
        self.bob.somebody.connection.take()
        self.ada.do("left")
        [first] = self.bob.heard()
        self.assertEqual(first["body"]["event"], "cursor")
        self.ada.do("left")
        self.ada.do("left")
        self.ada.ask("chat", text="hi")
        self.ada.do("right")
        self.assertEqual(self.bob.heard(), [])
        self.wait(4)
        self.assertEqual(self.bob.heard(), [])
        self.wait(7)
        self.assertEqual(self.bob.heard(), [first, first])
        self.bob.answers = True
        self.bob.somebody.say("ack", reply_to=first["id"])
        told = self.bob.heard()
        self.assertEqual([message["type"] for message in told], ["chat", "game"])
        self.assertEqual(told[1]["body"]["cursor"], 1)
        self.assertEqual([message["id"] for message in told], sorted(message["id"] for message in told))

    def test_a_request_that_is_out_of_date(self) -> None:
        """Who has moved before it heard that it is its turn is not asked for that any more."""
        self.bob.answers = False
        self.drop(self.ada, 3)
        [board] = self.bob.heard()
        self.drop(self.bob, 3)
        self.bob.answers = True
        self.bob.somebody.say("ack", reply_to=board["id"])
        self.assertEqual(self.bob.events(), [])
        self.drop(self.ada, 3)
        self.assertEqual(self.bob.events(), ["board", "request_move"])

    def test_connected_anew_with_a_move_under_way(self) -> None:
        """Who moves before it has heard how the game stands is not told an older board behind the answer."""
        self.drop(self.ada, 3)
        self.forget()
        again = self.back(self.bob)
        again.answers = False
        begun = next(message for message in again.heard() if "id" in message)
        self.assertEqual(again.do("drop")["board"][3], "12")
        again.answers = True
        again.somebody.say("ack", reply_to=begun["id"])
        self.assertEqual(again.events(), [])
        self.drop(self.ada, 3)
        self.assertEqual([message["body"]["event"] for message in again.heard()], ["board", "request_move"])

    def test_answers_of_all_kinds(self) -> None:
        """Any message that says what it answers is an answer: an error, and a message of its own, too."""
        self.bob.answers = False
        for number, answer in enumerate(({"type_": "ack"}, {"type_": "error", "code": 100}, {"type_": "ping", "t": 1, "id": 70})):
            self.ada.do("left" if number % 2 else "right")
            [told] = [message for message in self.bob.heard() if "id" in message]
            self.bob.somebody.say(**answer, reply_to=told["id"])  # type: ignore[arg-type]
        self.ada.do("right")
        self.assertEqual(len([message for message in self.bob.heard() if "id" in message]), 1)

    def test_a_repeat(self) -> None:
        """A message that comes again is answered as the first time and acts once, and so are refusals; an old one is 105."""
        first = self.ada.ask("game", body={"do": "left"})
        for _ in range(3):
            self.assertEqual(self.ada.again("game", self.ada.number, body={"do": "left"}), first)
        self.assertEqual(self.ada.do("left")["cursor"], 1)
        refused = self.bob.ask("game", body={"do": "drop"})
        self.ada.do("drop")
        self.assertEqual(self.bob.again("game", self.bob.number, body={"do": "drop"}), refused)
        self.assertEqual(self.bob.do("drop")["board"][3], "2")
        for _ in range(70):
            self.ada.ask("chat", text="x")
        self.assertEqual(self.ada.again("game", 2, body={"do": "left"})["code"], 105)
        self.forget()
        self.assertEqual(self.ada.again("chat", self.ada.number, text="x")["type"], "ack")
        self.assertEqual(self.bob.told(), [])

    def test_hello(self) -> None:
        """At hello what was not answered comes first, under its id; then the present, with a new request."""
        self.ada.answers = False
        self.drop(self.ada, 3)
        self.drop(self.bob, 3)
        [board] = [message for message in self.ada.heard() if "id" in message]
        self.assertEqual(board["body"]["event"], "board")
        self.gone(self.ada)
        ada = self.back(self.ada)
        welcome, again = ada.heard()
        self.assertEqual((welcome["type"], again), ("welcome", board))
        ada.answers = True
        ada.somebody.say("ack", reply_to=board["id"])
        told = ada.heard()
        self.assertEqual([message["body"]["event"] for message in told], ["game_start", "board", "request_move"])
        self.assertLess(board["id"], told[0]["id"])

    def test_hello_is_no_repeat(self) -> None:
        """A hello with an id, any id, is answered by a welcome."""
        for _ in range(2):
            answer = self.ada.again("hello", 1, token=self.ada.somebody.token)
            self.assertEqual((answer["type"], answer["last_id"]), ("welcome", self.ada.number))

    def test_two_connections(self) -> None:
        """A player at two doors hears all at both, and the first answer counts."""
        lobby = self.back(self.bob, door="lobby")
        lobby.heard()
        self.bob.heard()
        self.bob.answers = lobby.answers = False
        self.ada.do("left")
        [one], [other] = self.bob.heard(), lobby.heard()
        self.assertEqual(one, other)
        lobby.somebody.say("ack", reply_to=one["id"])
        self.bob.somebody.say("ack", reply_to=one["id"])
        self.ada.do("left")
        [two] = self.bob.heard()
        self.assertLess(one["id"], two["id"])

    def test_chat(self) -> None:
        """What is said reaches players under an id and viewers without, once."""
        self.vic.ask("chat", text="hello")
        [said] = self.ada.heard()
        self.assertEqual((said["text"], said["type"], "id" in said), ("hello", "chat", True))
        [said] = self.vic.heard()
        self.assertNotIn("id", said)

    def test_without_an_id(self) -> None:
        """What is said without an id acts each time, and is answered where there is something to say."""
        self.ada.somebody.say("game", body={"do": "left"})
        self.ada.somebody.say("game", body={"do": "left"})
        self.assertEqual([message["body"]["cursor"] for message in self.ada.heard()], [2, 1])


class DurableTests(ControllerCase):
    """Kept before it is told."""

    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_told_when_it_is_kept(self) -> None:
        """Nobody hears of a move, nor the one who made it, before it is durable; its repeat waits with it."""
        held = self.hold()
        self.ada.somebody.say("game", id=10, body={"do": "drop"})
        self.ada.somebody.say("game", id=10, body={"do": "drop"})
        self.assertEqual([each.heard() for each in self.all], [[], [], []])
        held.pop(0).callback(None)
        self.assertEqual([message["reply_to"] for message in self.ada.heard()], [10, 10])
        self.assertEqual(self.bob.events(), ["board", "request_move"])

    def test_it_cannot_be_kept(self) -> None:
        """A move that is not kept has not happened: its sender is told that we failed, and may try it again under the same id."""
        held = self.hold()
        self.ada.somebody.say("game", id=10, body={"do": "left"})
        self.ada.somebody.say("game", id=11, body={"do": "drop"})
        while held:
            held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        answers = self.ada.heard()
        self.assertEqual([(answer["reply_to"], answer["code"]) for answer in answers], [(10, 199), (11, 199)])
        self.flushLoggedErrors(DatabaseUnavailable)
        self.ada.somebody.say("game", id=10, body={"do": "left"})
        held.pop(0).callback(None)
        self.assertEqual([message["body"]["cursor"] for message in self.ada.heard()], [2])
        self.assertEqual(self.bob.events(), ["cursor"])

    def test_the_end_cannot_be_kept(self) -> None:
        """The end of a game is tried again until it is kept, and told then."""
        for _ in range(3):
            self.drop(self.ada, 0)
            self.drop(self.bob, 1)
        self.forget()
        held = self.hold()
        self.ada.somebody.say("game", id=60, body={"do": "drop"})
        held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        self.assertEqual(self.bob.heard(), [])
        for _ in range(3):
            self.wait(1)
            while held:
                held.pop(0).callback(None)
        self.assertIn("game_over", self.bob.events())
        self.assertEqual([message["reply_to"] for message in self.ada.heard() if "reply_to" in message], [60])

    def test_killed(self) -> None:
        """A daemon that was killed goes on with the game as it stood; ids go on; a move that was answered is answered again and acts once."""
        self.drop(self.ada, 3)
        self.bob.do("left")
        moved = self.bob.ask("game", body={"do": "drop"})
        highest = max(message.get("id", 0) for message in self.ada.heard())
        self.restart()
        self.assertEqual(self.bob.again("game", self.bob.number, body={"do": "drop"}), moved)
        heard = self.ada.heard()
        [welcome] = [message for message in heard if message["type"] == "welcome"]
        known = {"player": 1, "color": "red", "opponent": "Bob", "cursor": 3, "turn": 3, "to_move": 1}
        self.assertEqual(welcome["game"], {**known, "board": ["", "", "2", "1", "", "", ""]})
        self.assertEqual(welcome["last_id"], self.ada.number)
        self.assertEqual([message["body"]["event"] for message in heard if "body" in message], ["game_start", "board", "request_move"])
        self.assertLess(highest, min(message["id"] for message in heard if "id" in message))
        self.assertEqual(self.drop(self.ada, 3)["board"], ["", "", "2", "11", "", "", ""])

    def test_killed_between_games(self) -> None:
        """Who begins is known after a restart, too."""
        self.win(self.ada, self.bob)
        self.restart()
        self.forget()
        self.begin()
        self.assertEqual(self.ada.do("drop"), 105)
        self.assertEqual(self.bob.do("drop")["cursor"], 3)

    def test_killed_at_the_end(self) -> None:
        """Who may not have heard of the end, because the daemon was killed, is told of it after the start; who plays no more is not."""
        self.ada.answers = self.bob.answers = False
        for _ in range(3):
            self.drop(self.ada, 0)
            self.drop(self.bob, 1)
        self.drop(self.ada, 0)
        self.ada.answers = self.bob.answers = True
        self.restart()
        for each in (self.ada, self.bob):
            self.assertEqual([name for name in each.events() if name != "welcome"], ["game_over", "over"])
        self.assertEqual(self.vic.events(), ["welcome"])
        self.bob.do("leave")
        self.restart()
        self.assertEqual([self.ada.events(), self.bob.events()], [["welcome", "game_over", "over"], ["welcome"]])

    def test_killed_while_one_leaves(self) -> None:
        """Killed between a player's going and the end that follows from it: the game is over after the start."""
        held = self.hold()
        self.bob.somebody.say("leave", id=50)
        held.pop(0).callback(None)
        self.house.database.interact = type(self.house.database).interact.__get__(self.house.database)
        self.gone(self.ada)
        self.house = self.house.restarted(reconnect_window=60, room_ttl=120)
        self.sell()
        self.successResultOf(self.house.registry.start())
        [self.room] = self.house.registry.everything()
        self.assertEqual(self.room.value.phase, SETUP)
        self.ada = self.back(self.ada)
        self.assertIn({"event": "game_over", "reason": "left", "winner": None}, self.ada.told())

    def test_killed_before_the_end_was_sure(self) -> None:
        """The end was kept, which nobody knew, and the room was kept as one that plays: after a restart the game is over all the same."""
        for _ in range(3):
            self.drop(self.ada, 0)
            self.drop(self.bob, 1)
        interact = self.house.database.interact

        def lost(work: Any, *args: Any) -> Any:
            return interact(work, *args).addCallback(lambda _: Failure(DatabaseUnavailable("lost while it committed")))

        with patch.object(self.house.database, "interact", lost):
            self.ada.somebody.say("game", id=60, body={"do": "drop"})
        self.wait(1)
        self.assertEqual(self.room.value.phase, PLAYING)
        self.restart()
        self.wait(1)
        self.assertEqual(self.room.value.phase, SETUP)
        self.assertEqual(self.bob.events().count("game_over"), 1)

    def test_many_ids(self) -> None:
        """Ids are set aside in time, over restarts as well: none comes twice."""
        seen: list[int] = []
        for _ in range(3):
            for _ in range(400):
                self.vic.somebody.say("chat", text="x")
                self.house.clock.advance(0.1)
                self.ada.read()
                self.bob.read()
            seen += [message["id"] for message in self.ada.heard() if "id" in message]
            self.bob.heard()
            self.vic.heard()
            self.restart()
        self.assertEqual(len(set(seen)), len(seen))
        self.assertEqual(seen, sorted(seen))
        self.assertGreater(len(seen), 1000)


class NoViewersTests(ControllerCase):
    options: ClassVar[dict[str, Any]] = {"viewers": False}

    def setUp(self) -> None:
        self.patch(ControllerCase, "member", _no_viewers(ControllerCase.member))
        super().setUp()

    def test_leave(self) -> None:
        """Where a room takes no viewers, who leaves the game hears that, and is gone."""
        self.ada.do("join")
        self.bob.do("join")
        self.assertEqual(self.bob.do("leave"), "ack")
        self.assertIsNone(self.room.value.find(self.bob.user_id))
        self.assertIn("game_over", self.ada.events())


def _no_viewers(member: Any) -> Any:
    def come(self: ControllerCase, name: str, wish: str = "any", door: str = "web") -> Any:
        return self.ada.somebody if wish == "viewer" else member(self, name, wish, door)

    return come
