"""What a room remembers of the messages of its members, and what it forgets."""

from __future__ import annotations

from gameroom.store.errors import DatabaseUnavailable
from tests.referees.controller_world import Controller, ControllerCase


class TransactionalAudienceTests(ControllerCase):
    def setUp(self) -> None:
        super().setUp()
        self.begin()

    def test_remembered_over_a_restart(self) -> None:
        """The last 64 moves that were answered are repeats after a restart, too; what is older is 105."""
        for _ in range(70):
            self.ada.do("left")
        last = self.ada.number
        self.restart()
        for _ in range(2):
            self.assertEqual(self.ada.again("game", last - 63, body={"do": "drop"})["body"]["event"], "move_received")
        self.assertEqual(self.ada.again("game", last - 64, body={"do": "drop"})["code"], 105)
        self.assertEqual(self.play.table.game.turn, 1)

    def test_who_is_no_player_any_more(self) -> None:
        """Nobody waits for the answers of one who has become a viewer: it hears nothing again, and nothing of what waited for it."""
        self.bob.answers = False
        self.ada.do("left")
        self.ada.ask("chat", text="hi")
        self.assertEqual([message["type"] for message in self.bob.heard()], ["game"])
        self.bob.somebody.say("game", id=40, body={"do": "leave"})
        self.assertTrue(all("id" not in message for message in self.bob.heard()))
        self.ada.answers = False
        self.wait(12)
        self.assertEqual(self.bob.heard(), [])
        self.bob.answers = True
        self.bob.somebody.say("game", id=41, body={"do": "join"})
        self.assertNotIn("chat", [message["type"] for message in self.bob.heard()])

    def test_who_comes_anew(self) -> None:
        """Who has left the room and joins again begins its ids anew, also where the daemon was killed meanwhile."""
        self.ada.do("drop")
        self.assertEqual(self.bob.again("game", 50, body={"do": "left"})["type"], "game")
        self.bob.somebody.say("leave")
        self.bob = Controller(self.member("Bob", "player"))
        [welcome] = [message for message in self.bob.heard() if message["type"] == "welcome"]
        self.assertEqual(welcome["last_id"], 0)
        self.restart()
        self.assertEqual(self.bob.again("game", 1, body={"do": "join"})["body"], {"player": 2})

    def test_a_long_type(self) -> None:
        """A type that there cannot be is refused without being said again, so that nothing large is remembered."""
        answer = self.ada.ask("x" * 5000)
        self.assertEqual(answer["code"], 100)
        self.assertLess(len(answer["message"]), 100)

    def test_no_ids(self) -> None:
        """Where no more ids can be set aside, what is to be told waits; it is tried again, and told then."""
        held = self.hold()
        heard = 0
        for _ in range(1100):
            self.vic.somebody.say("chat", text="x")
            self.house.clock.advance(0.1)
            heard += len(self.bob.heard())
            while held:
                held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        self.assertLess(heard, 1000)
        for _ in range(3):
            self.wait(1)
            while held:
                held.pop(0).callback(None)
        self.assertGreater(len(self.bob.heard()), 50)

    def test_a_repeat_of_what_fails(self) -> None:
        """Who asks again while a move is being kept is answered with the first: that it could not be."""
        held = self.hold()
        for _ in range(2):
            self.ada.somebody.say("game", id=60, body={"do": "left"})
        self.assertEqual(self.ada.heard(), [])
        held.pop(0).errback(DatabaseUnavailable("the disk is full"))
        self.assertEqual([(answer["reply_to"], answer["code"]) for answer in self.ada.heard()], [(60, 199), (60, 199)])
        self.flushLoggedErrors(DatabaseUnavailable)
