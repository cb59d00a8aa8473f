"""What members of a service room say under an id acts once, and what is told is durable, whatever the database and a kill do."""

from __future__ import annotations

from typing import Any

import orjson

from gameroom.errors import BadState
from gameroom.room_receipts import MOST_PROMISED
from gameroom.store import DatabaseUnavailable, service_games
from gameroom.wire.game_service import Joined, Left, Message
from tests.held import HeldDatabase
from tests.referees.service_world import ServiceTestCase, ledger


class OnceTests(ServiceTestCase):
    """Over a database that answers when the test says so."""

    def database(self) -> Any:
        self.held = HeldDatabase(holding=False)
        return self.held

    def setUp(self) -> None:
        super().setUp()
        self.start()
        self.held.holding = True

    def killed(self, *, committed: bool) -> None:
        """In the moment in which something is being stored."""
        if committed:
            self.held.fail_after_commit(DatabaseUnavailable("it is killed"))
        self.house.registry.stop()
        self.held._held, self.held.holding = [], False
        super().restart()
        self.ada, self.bert = self.connect("Ada", self.ada.token), self.connect("Bert", self.bert.token)
        self.hush()

    def stored(self) -> Any:
        row: Any = self.successResultOf(self.held.database.interact(service_games.load, self.room.room_id))
        return orjson.loads(row.held.state)

    def test_stored_then_told(self) -> None:
        """Nobody hears of what is not stored, and the next update waits; then everyone hears, and the sender is answered last."""
        self.ada.say("game", id=1, body="a")
        self.bert.say("game", id=1, body="b")
        self.assertEqual(len(self.services.updates), 2)
        self.assertEqual((self.ada.connection.take(), self.bert.connection.take()), ([], []))
        self.held.release()
        self.assertEqual([each["type"] for each in self.ada.connection.take()], ["game", "game", "ack"])
        self.assertEqual([each["type"] for each in self.bert.connection.take()], ["game", "game"])
        self.assertEqual(self.services.updates[-1].event, Message(1, b'"b"', True))

    def test_killed_behind_the_commit(self) -> None:
        """It was stored, and nobody was told: the repeat is answered, and does nothing. `last_id` knows it."""
        self.ada.say("game", id=4, body="a")
        self.killed(committed=True)
        asked = len(self.services.updates)
        [welcome] = self.connect("Ada", self.ada.token).heard("welcome")
        self.assertEqual(welcome["last_id"], 4)
        self.ada = self.connect("Ada", self.ada.token)
        self.ada.connection.take()
        self.ada.say("game", id=4, body="a")
        self.assertEqual(self.ada.connection.take(), [{"type": "ack", "reply_to": 4}])
        self.assertEqual(self.stored().count("0:a"), 1)
        self.assertEqual([update.event for update in self.services.updates[asked:] if isinstance(update.event, Message)], [])

    def test_killed_before_the_commit(self) -> None:
        """It was asked, and not stored: it has not happened, and the repeat does it, under the same number."""
        self.ada.say("game", id=4, body="a")
        number = self.services.updates[-1].sequence
        self.killed(committed=False)
        self.assertEqual(self.stored()[:2], ["started", "left:0:away"])
        self.assertEqual(self.services.updates[2].sequence, number)
        self.ada.say("game", id=4, body="a")
        self.assertEqual(self.ada.connection.take()[-1], {"type": "ack", "reply_to": 4})
        self.assertEqual(self.stored().count("0:a"), 1)

    def test_rejected_and_killed(self) -> None:
        """That it was rejected is remembered, too."""
        self.ada.say("game", id=4, body="no")
        self.killed(committed=True)
        self.services.updates = []
        self.ada.say("game", id=4, body="no")
        self.assertEqual(self.ada.connection.take(), [{"type": "error", "code": 105, "message": "no", "reply_to": 4}])
        self.assertEqual(self.services.updates, [])

    def test_database_away(self) -> None:
        """It is tried again until it is stored, with the service's first answer; what waits goes on behind it."""
        self.ada.say("game", id=1, body="a")
        self.ada.say("game", id=2, body="b")
        for fail in (self.held.fail, self.held.fail_after_commit, self.held.fail):
            fail(DatabaseUnavailable("it is away"))
            self.assertEqual((self.ada.connection.take(), len(self.services.updates)), ([], 2))
            self.wait(2)
            self.assertEqual(self.held.waiting, ["save"])
        self.held.holding = False
        self.held.release_all()
        self.assertEqual([each["reply_to"] for each in self.ada.heard("ack")], [1, 2])
        self.assertEqual(self.stored(), ["started", "0:a", "0:b"])

    def test_asked_again(self) -> None:
        """Repeats of what is under way are answered when it is, over whatever connection; of many, the newest."""
        self.ada.say("game", id=1, body="a")
        again = self.connect("Ada", self.ada.token)
        again.connection.take()
        for _ in range(MOST_PROMISED + 1):
            again.say("game", id=1, body="a")
        self.held.holding = False
        self.held.release_all()
        answers = [each["type"] for each in again.connection.take() if each.get("reply_to") == 1]
        self.assertEqual(answers, ["error"] + ["ack"] * MOST_PROMISED)
        self.assertEqual(self.stored(), ["started", "0:a"])

    def test_who_comes_back_begins_anew(self) -> None:
        """Whoever has left and comes back is somebody else: ids begin anew, also after a restart."""
        self.held.holding = False
        self.bert.say("game", id=9, body="b")
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.ada.say("game", id=1, body="end")
        self.bert = self.member("Bert")
        self.restart()
        self.ada, self.bert = self.connect("Ada", self.ada.token), self.connect("Bert", self.bert.token)
        [welcome] = self.bert.heard("welcome")
        self.assertEqual(welcome["last_id"], 0)
        self.start()
        self.bert.say("game", id=1, body="b")
        self.assertEqual(self.bert.connection.take()[-1], {"type": "ack", "reply_to": 1})

    def test_memory(self) -> None:
        """What is pushed out of memory is read when it is needed: by the next update, and for who comes; nobody hears older things behind newer."""
        self.held.holding = False
        self.bert.say("game", id=1, body="b")
        self.states.forget(self.room.room_id)
        self.held.holding = True
        bert = self.connect("Bert", self.bert.token)
        self.assertEqual(self.held.waiting, ["load"])
        self.assertEqual([each for each in bert.connection.take() if each["type"] == "game"], [])
        self.ada.say("game", id=1, body="a")
        self.assertEqual(self.held.waiting, ["load", "load"])
        self.held.release(1)
        self.held.release(1)
        self.assertEqual(self.bodies(bert), [{"n": 3, "what": "0:a"}, {"you": 1}])
        self.held.release()
        self.assertEqual(self.bodies(bert), [])
        self.assertEqual(self.stored(), ["started", "1:b", "0:a"])

    def test_memory_and_a_database_that_is_away(self) -> None:
        """Who waits for what is not in memory gets it when the database is there again."""
        self.states.forget(self.room.room_id)
        bert = self.connect("Bert", self.bert.token)
        self.held.fail(DatabaseUnavailable("it is away"))
        self.held.holding = False
        self.wait(1)
        self.assertEqual(self.bodies(bert), [{"n": 1, "what": "started"}, {"you": 1}])

    def test_everyone_is_away_after_a_kill(self) -> None:
        """Who was there is away from now on, and is told of as back; who left while nobody looked has left."""
        self.ada.say("game", id=1, body="a")
        self.services.updates = []
        self.killed(committed=True)
        self.assertEqual(self.events(), [Left(0, "away"), Left(1, "away"), Joined(0), Joined(1)])
        self.services.play = None
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.services.waiting = []
        self.restart()
        self.services.play_on(ledger)
        self.assertEqual([update.event for update in self.services.updates[-2:]], [Left(0, "away"), Left(1, "left")])

    def test_start_given_up(self) -> None:
        """A start that is given up while it is being stored is stored all the same, and the next one's number is behind it."""
        self.held.holding = False
        self.ada.say("game", id=1, body="end")
        self.held.holding = True
        number = self.services.updates[-1].sequence
        started = self.house.registry.start_room(self.room.room_id, "Ada")
        while self.held.waiting != ["begin"]:
            self.held.release()
        self.room.starting._beginning.cancel()  # type: ignore[union-attr]
        begin = self.held._held.pop(0)
        self.held.holding = False
        self.held.release_all()
        self.failureResultOf(started, BadState)
        self.held.holding = True
        again = self.house.registry.start_room(self.room.room_id, "Ada")
        self.held.holding = False
        self.held.release_all()
        self.assertNoResult(again)
        self.held.database.interact(begin.work, *begin.args).addBoth(begin.done.callback)
        self.successResultOf(again)
        self.assertEqual([update.sequence for update in self.services.updates[-2:]], [number + 1, number + 2])
