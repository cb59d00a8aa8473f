"""The relay referee in a room: what one member sends the others get, and how a play of it begins and ends."""

from __future__ import annotations

from typing import Any

from zope.interface.verify import verifyObject

from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.relay import BODY_BYTES, MOST_NAMED, RESULTS_BYTES, RelayReferee
from gameroom.rules.room import PLAYING, SETUP
from tests.referees.relay_world import KindTestCase, Somebody


class RelayCase(KindTestCase):
    """Ada, Bert and Cleo in seats 0, 1 and 2, and Vera who watches."""

    def make(self, room: IRoom) -> IReferee:
        return RelayReferee(room)

    def setUp(self) -> None:
        super().setUp()
        self.ada, self.bert, self.cleo = (self.member(name) for name in ("Ada", "Bert", "Cleo"))
        self.vera = self.member("(Vera)", "viewer")
        self.all = (self.ada, self.bert, self.cleo, self.vera)
        self.forget()

    def forget(self) -> None:
        for each in self.all:
            each.connection.take()

    def play(self) -> None:
        self.assertEqual(self.ada.ask("start"), {"type": "ack", "reply_to": 7})
        self.assertEqual(self.room.value.phase, PLAYING)

    def games(self) -> list[list[Any]]:
        """The bodies and frames that each of the four has got."""
        return [[each["binary"] if "binary" in each else each["body"] for each in one.heard("game")] for one in self.all]

    def refused(self, who: Somebody, type_: str, **message: Any) -> int:
        answer = who.ask(type_, **message)
        self.assertEqual(answer["type"], "error", answer)
        return int(answer["code"])


class PassingTests(RelayCase):
    def test_interface(self) -> None:
        """It is a referee."""
        self.assertTrue(verifyObject(IReferee, self.room.referee))

    def test_to_the_others(self) -> None:
        """In setup as in a play, all others get it, viewers too, as it was, and from whom."""
        for body in ({"move": ["e4", None, 1.5]}, None, 0, "psst"):
            self.bert.say("game", body=body)
            self.assertEqual([one.heard("game") for one in (self.ada, self.cleo, self.vera)], [[{"type": "game", "body": body, "from": "Bert"}]] * 3)
            self.assertEqual(self.bert.connection.take(), [])
            if self.room.value.phase == SETUP:
                self.play()
                self.forget()

    def test_acknowledged(self) -> None:
        """With an id it is acknowledged."""
        self.assertEqual(self.vera.ask("game", body=1), {"type": "ack", "reply_to": 7})
        self.assertEqual(self.ada.heard("game"), [{"type": "game", "body": 1, "from": self.vera.user_id}])

    def test_named(self) -> None:
        """Those named get it and nobody else: each once, oneself too, and who is not here is passed over."""
        self.ada.say("game", body=1, to=["Bert", "Nobody", "Bert", self.vera.user_id])
        self.assertEqual(self.games(), [[], [1], [], [1]])
        self.ada.say("game", body=2, to=["Ada"])
        self.ada.say("game", body=3, to=[])
        self.ada.say("game", body=4, to=None)
        self.assertEqual(self.games(), [[2], [4], [4], [4]])

    def test_every_connection(self) -> None:
        """Each connection of the others gets it, and none of one's own; a lobby's gets no binary frame."""
        lobby = self.connect("Bert", self.bert.token, "lobby")
        lobby.connection.take()
        self.ada.say("game", body=1)
        self.ada.conversation.binary(b"x")
        self.assertEqual(self.games(), [[], [1, b"\0\0x"], [1, b"\0\0x"], [1, b"\0\0x"]])
        self.assertEqual(lobby.heard("game"), [{"type": "game", "body": 1, "from": "Ada"}])
        lobby.say("game", body=2)
        self.assertEqual((self.games(), lobby.heard("game")), ([[2], [], [2], [2]], []))

    def test_binary(self) -> None:
        """A binary frame reaches the others behind the sender's seat, in network order; also an empty one."""
        self.cleo.conversation.binary(b"\xff\x00")
        self.bert.conversation.binary(b"")
        self.assertEqual(self.games(), [[b"\0\x02\xff\0", b"\0\x01"], [b"\0\x02\xff\0"], [b"\0\x01"], [b"\0\x02\xff\0", b"\0\x01"]])

    def test_binary_of_a_viewer(self) -> None:
        """Who has no seat is told so, and nobody gets it; with a seat it goes."""
        self.vera.conversation.binary(b"x")
        [error] = self.vera.heard("error")
        self.assertEqual((error["code"], self.games()), (105, [[], [], [], []]))
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.assertEqual(self.vera.ask("sit")["type"], "ack")
        self.vera.conversation.binary(b"x")
        self.assertEqual(self.ada.heard("game"), [{"binary": b"\0\x01x"}])

    def test_sizes(self) -> None:
        """64 KiB and no more, of a body as JSON and of a frame; the largest of both arrive."""
        largest = "x" * (BODY_BYTES - 2)
        self.assertEqual(self.ada.ask("game", body=largest)["type"], "ack")
        self.ada.conversation.binary(bytes(BODY_BYTES))
        self.assertEqual(self.games()[1], [largest, bytes(2 + BODY_BYTES)])
        self.house.clock.advance(60)
        self.assertEqual(self.refused(self.ada, "game", body=largest + "x"), 100)
        self.ada.conversation.binary(bytes(BODY_BYTES + 1))
        self.assertEqual([each["code"] for each in self.ada.heard("error")], [100])
        self.assertEqual(self.games()[1], [])

    def test_malformed(self) -> None:
        """No body, a body that cannot be sent on, a list of no user_ids, a type that is none here: 100, and nobody hears of it."""
        deep: Any = 1
        for _ in range(250):
            deep = [deep]
        for message in ({}, {"body": deep}, {"body": 1, "to": "Bert"}, {"body": 1, "to": [1]}, {"body": 1, "to": ["x"] * (MOST_NAMED + 1)}):
            self.assertEqual(self.refused(self.ada, "game", **message), 100, list(message))
        self.assertEqual(self.refused(self.ada, "setup", patch={}), 100)
        self.assertEqual(self.games(), [[]] * 4)

    def test_floods(self) -> None:
        """Thirty at once, of whichever form, and what is beyond them is left out with 106; a storm ends the connection."""
        for number in range(15):
            self.ada.say("game", body=number)
            self.ada.conversation.binary(b"x")
        self.ada.say("game", body="too much")
        self.ada.conversation.binary(b"too much")
        self.assertEqual(len(self.games()[1]), 30)
        self.house.clock.advance(60)
        for _ in range(320):
            self.ada.conversation.binary(b"x")
        self.assertEqual([error.code for error in self.ada.connection.closed if error][:1], [106])
        self.assertEqual(len(self.games()[1]), 30)

    def test_large_frames(self) -> None:
        """A large frame counts as many."""
        for _ in range(10):
            self.ada.conversation.binary(bytes(40 << 10))
        self.assertEqual(len(self.games()[1]), 5)


class PlayTests(RelayCase):
    def test_begins(self) -> None:
        """The host's start is enough: everyone is told who plays, and with which seed."""
        self.play()
        for one in self.all[1:]:
            state, start = one.heard("state", "start")
            self.assertEqual(state, {"type": "state", "state": "running"})
            self.assertEqual((start["play_id"], start["seed"]), (self.room.value.play_id, self.room.options.seed))
            self.assertEqual(start["players"], [{"seat": seat, "user_id": name, "name": name} for seat, name in enumerate(("Ada", "Bert", "Cleo"))])

    def test_begins_when_all_are_ready(self) -> None:
        """All ready is a start too."""
        for one in (self.ada, self.bert, self.cleo):
            self.assertEqual(self.room.value.phase, SETUP)
            one.say("ready", ready=True)
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_who_comes_while_it_is_on(self) -> None:
        """Is told that it is, and gets nothing of what was said."""
        self.play()
        self.ada.say("game", body=1)
        late = self.member("(Late)")
        welcome, start = late.heard("welcome", "start", "game")
        self.assertEqual((welcome["room"]["state"], start["type"]), ("running", "start"))
        back = self.connect("Bert", self.bert.token)
        self.assertEqual([each["type"] for each in back.heard("welcome", "start", "game")], ["welcome", "start"])

    def test_finished_by_the_host(self) -> None:
        """The host ends it, with results or without; the room is in setup again, and can be played again."""
        for results in ({"winners": [1]}, None):
            self.play()
            self.forget()
            self.assertEqual(self.ada.ask("finish", **({} if results is None else {"results": results}))["type"], "ack")
            over, state = self.bert.heard("over", "state")
            self.assertEqual((over["reason"], over.get("results"), state["state"]), ("finished", results, "setup"))
            self.assertEqual((self.room.value.phase, self.member(f"(New {results})").heard("start")), (SETUP, []))
            self.assertEqual(self.refused(self.ada, "finish"), 105)

    def test_finished_by_nobody_else(self) -> None:
        """Another's word is 102, results that are none 100; a host's place is taken by the next."""
        self.play()
        self.assertEqual((self.refused(self.bert, "finish"), self.refused(self.vera, "finish")), (102, 102))
        for results in ([1], "x" * 9, {"x": "y" * RESULTS_BYTES}):
            self.assertEqual(self.refused(self.ada, "finish", results=results), 100)
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Ada"))
        self.assertEqual(self.bert.ask("finish")["type"], "ack")
        self.assertEqual(self.room.value.phase, SETUP)

    def test_the_last_player_is_gone(self) -> None:
        """With the last of its players the play ends, though somebody watches."""
        self.play()
        for name in ("Ada", "Bert"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        self.assertEqual(self.room.value.phase, PLAYING)
        self.cleo.conversation.lost()
        self.wait(61)
        [over] = self.vera.heard("over")
        self.assertEqual((over["reason"], self.room.value.phase, self.room.value.players), ("abandoned", SETUP, []))

    def test_away(self) -> None:
        """Who is away for the reconnect window loses the seat, and the others go on."""
        self.play()
        self.bert.conversation.lost()
        self.wait(59)
        self.assertIsNotNone(self.room.value.find("Bert"))
        self.wait(2)
        self.assertIsNone(self.room.value.find("Bert"))
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_restart(self) -> None:
        """The play is on after a restart; nothing that was said is there, and what is said from now on goes."""
        self.play()
        play_id = self.room.value.play_id
        self.ada.say("game", body=1)
        self.restart()
        self.assertEqual((self.room.value.phase, self.room.value.play_id), (PLAYING, play_id))
        ada, bert = self.connect("Ada", self.ada.token), self.connect("Bert", self.bert.token)
        welcome, start = bert.heard("welcome", "start", "game")
        self.assertEqual((welcome["room"]["state"], start["play_id"], len(start["players"])), ("running", play_id, 3))
        ada.conversation.binary(b"x")
        self.assertEqual(bert.heard("game"), [{"binary": b"\0\0x"}])
        self.assertEqual(ada.ask("finish")["type"], "ack")

    def test_restart_without_players(self) -> None:
        """Killed between the last one's leaving and the play's end, it is over."""
        self.play()
        self.patch(type(self.room.refereed), "over", lambda refereed, reason, results=None: None)
        for name in ("Ada", "Bert", "Cleo"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        self.assertEqual(self.room.value.phase, PLAYING)
        self._cleanups.pop()[0]()
        self.restart()
        self.assertEqual(self.room.value.phase, SETUP)
        self.flushLoggedErrors()
