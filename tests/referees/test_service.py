"""Rooms of micro game services: what happens is asked, what comes of it is stored and then told, and nothing is lost or done twice."""

from __future__ import annotations

import orjson
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import BadState, RateLimited
from gameroom.referees.service import MESSAGE_BYTES
from gameroom.referees.service_states import EACH, KeptStates
from gameroom.rules.room import PLAYING, SETUP
from gameroom.rules.service_game import MOST_MESSAGES, Held
from gameroom.settings import ServiceSettings
from gameroom.wire.game_service import Joined, Left, Message, Started, Timer
from tests.referees.service_world import ServiceTestCase, answer, ledger


class PlayTests(ServiceTestCase):
    """A play from its start to its end."""

    def test_start(self) -> None:
        """It begins with `started`, which has the configuration and a seed of its own; members are told the state, and then what the service said."""
        self.ada.say("start")
        [update] = self.services.updates
        assert isinstance(update.event, Started)
        self.assertEqual((update.sequence, update.state, update.game_id, update.version), (1, b"", "game", "1.0.0"))
        self.assertEqual([(one.seat, one.id, one.connected) for one in update.players], [(0, "Ada", True), (1, "Bert", True)])
        self.assertEqual(orjson.loads(update.event.config), {})
        self.assertTrue(0 <= update.event.seed < 2**53)
        self.assertEqual(self.room.value.phase, PLAYING)
        told = [each for each in self.bert.connection.take() if each["type"] in ("state", "game")]
        self.assertEqual([each["type"] for each in told], ["state", "game", "game"])
        self.assertEqual(told[0]["state"], "running")
        self.assertEqual([each["body"] for each in told[1:]], [{"n": 1, "what": "started"}, {"you": 1}])

    def test_message(self) -> None:
        """What a member says is asked with the state before, and answered behind what came of it."""
        self.start()
        self.bert.say("game", id=1, body={"a": [1, None]})
        update = self.services.updates[-1]
        self.assertEqual((update.sequence, update.event, orjson.loads(update.state)), (2, Message(1, b'{"a":[1,null]}', True), ["started"]))
        self.assertEqual(
            [each.get("body", each["type"]) for each in self.bert.connection.take()], [{"n": 2, "what": "1:{'a': [1, None]}"}, {"you": 1}, "ack"]
        )

    def test_end(self) -> None:
        """The service ends the play: what it shows, the answer, `over` with results, and the room is in setup; later everybody can read it."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="end")
        self.services.play_on()
        told = self.ada.connection.take()
        self.assertEqual([each["type"] for each in told if each["type"] != "players"], ["game", "ack", "over", "state"])
        over = next(each for each in told if each["type"] == "over")
        self.assertEqual((over["reason"], over["results"]), ("finished", {"so": 1}))
        self.assertEqual((self.room.value.phase, self.services.leased), (SETUP, 0))
        last = {"play_id": over["play_id"], "reason": "finished", "results": {"so": 1}}
        for _ in range(2):
            [welcome] = self.connect("Bert", self.bert.token).heard("welcome")
            self.assertEqual(welcome["last_play"], last)
            self.restart()
        self.ada = self.connect("Ada", self.ada.token)
        self.bert = self.connect("Bert", self.bert.token)
        self.start()
        self.assertEqual(self.services.updates[-1].sequence, 3)

    def test_restart(self) -> None:
        """After a kill the play is where it was: everyone is away, comes back, and gets what was shown last."""
        self.start()
        self.bert.say("game", id=5, body=1)
        self.events()
        self.restart()
        self.assertEqual(self.events(), [Left(0, "away"), Left(1, "away")])
        bert = self.connect("Bert", self.bert.token)
        [welcome] = bert.heard("welcome")[:1]
        self.assertEqual((welcome["last_id"], welcome["last_play"]), (5, None))
        self.assertEqual(self.events(), [Joined(1)])


class RulesTests(ServiceTestCase):
    """Who may say what, and who hears it."""

    def test_refused(self) -> None:
        """Nothing is played: 105; a viewer, and who sat down since: 102; no body, too large, another type: 100."""
        viewer = self.member("Vi", "viewer")
        self.assertEqual(self.ada.ask("game", body=1)["code"], 105)
        self.assertEqual(viewer.ask("game", body=1)["code"], 102)
        self.start()
        for message, code in (({}, 100), ({"body": "x" * MESSAGE_BYTES}, 100), ({"body": "x" * (MESSAGE_BYTES - 2)}, None)):
            self.ada.connection.take()
            self.ada.say("game", **message)
            self.assertEqual([each["code"] for each in self.ada.heard("error")], [code] if code else [])
        self.wait(5)
        self.ada.say("finish")
        self.ada.conversation.binary(bytes(MESSAGE_BYTES + 1))
        self.assertEqual([each["code"] for each in self.ada.heard("error")], [100, 100])
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        bert = self.member("Bert", "viewer")
        self.assertEqual(bert.ask("game", body=1)["code"], 102)
        viewer.conversation.binary(b"x")
        self.assertEqual([each["code"] for each in viewer.heard("error")], [102])

    def test_hidden(self) -> None:
        """Broadcasts go to everyone, views to one seat and to nobody where there is no such seat; bytes only where they can be carried."""
        viewer, lobby = self.member("Vi", "viewer"), self.connect("Ada", self.ada.token, "lobby")
        self.start()
        self.services.play = lambda update: answer(update, 1, broadcast=["all", b"\0all"], views=[(0, "a"), (1, b"\1"), (1, "b"), (2, "c"), (9, "d")])
        for one in (viewer, lobby):
            one.connection.take()
        self.bert.say("game", body=None)
        heard = [
            [each["body"] if "body" in each else each.get("binary") for each in one.connection.take()] for one in (self.ada, self.bert, viewer, lobby)
        ]
        self.assertEqual(heard, [["all", b"\0all", "a"], ["all", b"\0all", b"\1", "b"], ["all", b"\0all"], ["all", "a"]])
        self.bert.say("game", body=None)
        self.assertEqual([line.partition(") ")[2] for line in self.logged], ["shows a view to nobody: there is no player in seat 2, 9"])
        self.services.play = lambda update: answer(update, 2, views=[(0, "a2")])
        self.ada.conversation.binary(b"\7")
        self.assertEqual(self.services.updates[-1].event, Message(0, b"\7", False))
        ada, bert, vi = (self.connect(one.user_id, one.token) for one in (self.ada, self.bert, viewer))
        heard = [[each.get("binary", each.get("body")) for each in one.heard("game")] for one in (ada, bert, vi)]
        self.assertEqual(heard, [["all", b"\0all", "a2"], ["all", b"\0all", b"\1", "b"], ["all", b"\0all"]])

    def test_rejected(self) -> None:
        """The sender alone is told, in one line and with a code that may be told; nothing changes, and the number is gone."""
        self.start()
        self.services.play = lambda update: answer(update, rejected=(199, "not\nyour\x1b[31m turn"))
        self.assertEqual(self.ada.ask("game", body=1), {"type": "error", "code": 105, "message": "not your\ufffd[31m turn", "reply_to": 7})
        self.services.play = lambda update: answer(update, 9, broadcast=["seen"], views=[(0, "x")], rejected=(102, ""))
        self.ada.conversation.binary(b"x")
        self.assertEqual(self.ada.connection.take(), [{"type": "error", "code": 102, "message": "the game does not take this"}])
        self.assertEqual(self.bert.connection.take(), [])
        self.services.play = ledger
        self.ada.say("game", body="a")
        self.assertEqual((self.services.updates[-1].sequence, self.services.updates[-1].state), (4, b'["started"]'))

    def test_rejected_start(self) -> None:
        """The room is in setup again, all are told why, and the number is gone."""
        self.services.play = lambda update: answer(update, rejected=(103, "no such board"))
        self.assertEqual(self.ada.ask("start"), {"type": "error", "code": 103, "message": "no such board", "reply_to": 7})
        [state] = self.bert.heard("state")
        self.assertEqual((state["reason"], state["message"]), ("start_failed", "no such board"))
        self.assertEqual((self.room.value.phase, self.services.leased), (SETUP, 0))
        self.services.play = ledger
        self.start()
        self.assertEqual(self.services.updates[-1].sequence, 2)

    def test_no_service(self) -> None:
        """It cannot be had: the start says why, and so does the developer's log, once."""
        self.services.refuses = BadState("this server runs no programs")
        for _ in range(2):
            self.assertEqual(self.ada.ask("start")["message"], "this server runs no programs")
        self.assertEqual([line.partition(")")[2] for line in self.logged], [" cannot be played: this server runs no programs"])

    def test_much_waits(self) -> None:
        """1,000 messages wait, or 1 MiB; then 106. What others do is not counted, and it goes on in order."""
        self.start()
        self.services.play = None
        game = self.room.referee._play.game  # type: ignore[attr-defined]
        for number in range(MOST_MESSAGES):
            game.say("Ada", b"1", True, number, None)
        with self.assertRaises(RateLimited):
            game.say("Bert", b"1", True, 0, None)
        self.assertEqual(self.bert.ask("game", body=1)["code"], 106)
        self.bert.conversation.lost()
        self.services.play_on()
        self.wait(1)
        self.assertEqual(self.services.updates[-1].event, Left(1, "away"))
        self.services.play = None
        self.ada.say("game", body=1)
        for _ in range(16):
            game.say("Ada", bytes(1 << 16), False, 0, None)
        with self.assertRaises(RateLimited):
            game.say("Ada", b"1", True, 0, None)

    def test_abandoned(self) -> None:
        """The last player leaves while the service is asked: it is over, and nothing more is asked; viewers hear it."""
        viewer = self.member("Vi", "viewer")
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body=1)
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Ada"))
        [over] = viewer.heard("over")
        self.assertEqual((over["reason"], self.services.waiting, self.services.leased), ("abandoned", [], 0))
        [welcome] = self.connect("Vi", viewer.token).heard("welcome")
        self.assertEqual(welcome["last_play"], {"play_id": over["play_id"], "reason": "abandoned", "results": None})

    def test_ended_at_once(self) -> None:
        """A play that is over with its first answer begins and ends; also where the daemon is killed between."""
        self.services.play = lambda update: answer(update, 1, broadcast=["hi"], finished=None)
        self.ada.ask("start")
        told = [each["type"] for each in self.bert.connection.take()]
        self.assertEqual([each for each in told if each not in ("players", "welcome")], ["state", "game", "over", "state"])
        self.assertEqual(self.room.value.phase, SETUP)

    def test_what_waits_at_the_end(self) -> None:
        """It is answered with 105: nothing came of it."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="end")
        self.bert.say("game", id=1, body="late")
        self.services.play_on()
        [error] = self.bert.heard("error")
        self.assertEqual((error["code"], error["reply_to"]), (105, 1))


class TimeTests(ServiceTestCase):
    """Timers, and a service that is silent."""

    def asks(self, timer_ms: int | None) -> None:
        self.services.play = lambda update: answer(update, 1, timer_ms=timer_ms)

    def test_timer(self) -> None:
        """It fires once, when it is due; absent leaves it, 0 takes it back, another takes its place."""
        self.asks(2000)
        self.start()
        due = int(self.room.now() * 1000) + 2000
        self.asks(None)
        self.house.clock.pump([0.1] * 10)
        self.ada.say("game", body=1)
        self.house.clock.pump([0.1] * 15)
        timers = [update for update in self.services.updates if isinstance(update.event, Timer)]
        self.assertEqual([(update.event, due <= update.now_ms <= due + 200) for update in timers], [(Timer(due), True)])
        self.wait(5)
        for instead in (0, 60000):
            self.asks(1000)
            self.ada.say("game", body=1)
            self.asks(instead)
            self.ada.say("game", body=1)
            self.services.updates = []
            self.wait(5)
            self.assertEqual(self.services.updates, [])

    def test_timer_that_waits(self) -> None:
        """One that is due while something else is asked, and is replaced by its answer, is not asked."""
        self.asks(1000)
        self.start()
        self.services.play = None
        self.ada.say("game", body=1)
        self.wait(2)
        self.services.reply(1, timer_ms=5000)
        self.assertEqual(self.services.waiting, [])
        self.ada.say("game", body=1)
        self.wait(6)
        self.services.reply(1)
        self.assertIsInstance(self.services.waiting[0][0].event, Timer)
        self.services.reply(rejected=(105, "no"))
        self.wait(3)
        self.assertEqual(self.services.waiting, [])

    def test_timer_and_restart(self) -> None:
        """It goes on over a restart, and fires at once where it was due meanwhile."""
        self.asks(5000)
        self.start()
        self.asks(None)
        self.wait(2)
        self.restart()
        self.wait(2)
        self.assertFalse([update for update in self.services.updates if isinstance(update.event, Timer)])
        self.house.clock.rightNow += 3600
        self.wait(1)
        self.assertEqual(len([update for update in self.services.updates if isinstance(update.event, Timer)]), 1)

    def test_silent(self) -> None:
        """After `retry_for` the room is paused with a sentence, and so it is for who comes; with the answer it goes on, and nothing is lost."""
        self.services.settings = ServiceSettings(retry_for=10)
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="a")
        self.bert.say("game", id=1, body="b")
        self.wait(9)
        self.assertEqual(self.ada.heard("state"), [])
        self.services.leases[-1].problem = "the game's service ended with status 1 and is started again"
        self.wait(3)
        paused = {"type": "state", "state": "running.paused", "reason": "service_silent", "message": self.services.leases[-1].problem}
        self.assertEqual(self.ada.heard("state"), [paused])
        self.bert = self.connect("Bert", self.bert.token)
        welcome, told = self.bert.heard("welcome", "state")
        self.assertEqual((welcome["room"]["state"], told), ("running.paused", paused), "behind the welcome, why nothing goes on")
        self.services.play_on()
        self.assertEqual(self.bert.heard("state"), [{"type": "state", "state": "running"}])
        self.assertEqual(self.connect("Bert", self.bert.token).heard("state"), [], "it goes on, so there is nothing to tell")
        self.assertEqual(self.ada.heard("state", "ack"), [{"type": "state", "state": "running"}, {"type": "ack", "reply_to": 1}])
        self.assertEqual([each for each in self.events() if isinstance(each, Message)], [Message(0, b'"a"', True), Message(1, b'"b"', True)])

    def test_closed(self) -> None:
        """A lease that is good for nothing any more is given back, and another one asked the same."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="a")
        update = self.services.waiting[0][0]
        self.services.fail(BadState("closed"))
        self.assertEqual((self.services.leased, self.services.waiting), (0, []))
        self.wait(2)
        self.assertEqual((self.services.leased, self.services.waiting[0][0]), (1, update))

    def test_the_daemon_ends(self) -> None:
        """What is in flight then is given up, and that is no line for each room in the log, nor in the developers'."""
        self.start()
        self.services.play = None
        self.ada.say("game", id=1, body="a")
        self.services.stopped, self.services.refuses = True, BadState("this server is shutting down")
        with capturedLogs() as said:
            self.services.fail(BadState("closed"))
            self.wait(10)
        self.assertEqual(([each for each in said if each["log_level"] >= LogLevel.warn], self.logged), ([], []))

    def test_refused_after_a_restart(self) -> None:
        """The service cannot be had any more: the room is paused and not over, and goes on when it can."""
        self.start()
        self.services.refuses = BadState("this endpoint is not allowed here")
        self.restart()
        ada = self.connect("Ada", self.ada.token)
        welcome, told = ada.heard("welcome", "state")
        self.assertEqual((welcome["room"]["state"], told["message"]), ("running.paused", "this endpoint is not allowed here"))
        self.assertEqual(self.room.value.phase, PLAYING)
        ada.say("game", id=1, body="a")
        self.services.refuses = None
        self.wait(6)
        self.assertEqual(ada.heard("state", "ack"), [{"type": "state", "state": "running"}, {"type": "ack", "reply_to": 1}])

    def test_goes_and_comes(self) -> None:
        """A player who flutters while the service is silent costs so much and no more, and in the end it knows where the player is."""
        self.start()
        self.services.play = None
        self.ada.say("game", body=1)
        game = self.room.referee._play.game  # type: ignore[attr-defined]
        for number in range(101):
            (game.came if number % 2 else game.went)("Bert", number)
        self.services.updates = []
        self.services.play_on()
        moves = [type(update.event) for update in self.services.updates if isinstance(update.event, Joined | Left)]
        self.assertEqual((len(moves) <= 32, moves[::2], moves[-1]), (True, [Left] * len(moves[::2]), Left))


class KeptStatesTests(SynchronousTestCase):
    def test_least_recently_used(self) -> None:
        """What was needed longest ago goes; what is too large for all of it stays nowhere."""
        kept = KeptStates(3 * EACH + 100)
        for room in "abc":
            kept.put(room, Held(bytes(30)))
        self.assertIsNotNone(kept.get("a"))
        kept.put("d", Held(bytes(30)))
        self.assertEqual([kept.get(room) is not None for room in "abcd"], [True, False, True, True])
        kept.put("e", Held(bytes(5000)))
        self.assertEqual((len(kept), kept.bytes), (0, 0))
