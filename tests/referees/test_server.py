"""The referee of server rooms: how plays begin at a GameServer, who gets there by which door, and how they end."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from zope.interface.verify import verifyObject

from gameroom import room_views
from gameroom.errors import BadState, Forbidden, NotFound, ServerError
from gameroom.gameservers.values import ServerOrder
from gameroom.interfaces import IReferee
from gameroom.rules.room import PLAYING, SETUP, STARTING
from gameroom.wire import game_port
from tests.gameservers.world import Wire
from tests.referees.server_world import FOLDER, ServerCase
from tests.rooms import account

CONFIG = game_port.encode(game_port.GAME_CONFIG, {"map": "hills"})


TOO_FEW = "too many players have left; start again when enough are here"


class StartCase(ServerCase):
    """Ada by the web, Bert by the game port, Cleo by the lobby, and Vera who watches."""

    def setUp(self) -> None:
        super().setUp()
        self.ada, self.bert, self.cleo = self.member("Ada"), self.member("Bert", door="game"), self.member("Cleo", door="lobby")
        self.vera = self.member("(Vera)", "viewer")

    @property
    def where(self) -> tuple[str, str, int]:
        return self.room.value.phase, self.room.latest.phase, self.gameservers.running


class StartTests(StartCase):
    """A play begins, or does not."""

    def test_interface(self) -> None:
        """It is a referee."""
        self.assertTrue(verifyObject(IReferee, self.room.referee))
        self.assertFalse(self.room.referee.at_server)

    def test_order(self) -> None:
        """The GameServer is started for these players, with what the bundle says; the start is answered when it is ready, and state comes before."""
        self.gameservers.patient = True
        self.ada.connection.take()
        self.ada.say("start", id=7)
        self.assertEqual(self.where, (STARTING, STARTING, 1))
        [(server, _)] = self.gameservers.starting
        order = server.order
        self.assertIsInstance(order, ServerOrder)
        self.assertEqual((order.room_id, order.game_id, order.version, order.folder), (self.room.room_id, "game", "1.0.0", FOLDER))
        self.assertEqual((order.max_players, order.server.config), (3, {"map": "hills"}))
        self.assertEqual([(each.seat, each.id, each.name) for each in order.players], [(0, "Ada", "Ada"), (1, "Bert", "Bert"), (2, "Cleo", "Cleo")])
        self.assertEqual(self.ada.heard("state", "ack"), [])
        self.gameservers.ready()
        self.assertEqual(self.where, (PLAYING, PLAYING, 1))
        self.assertEqual(self.ada.heard("state", "ack"), [{"type": "state", "state": "running"}, {"type": "ack", "reply_to": 7}])
        self.assertTrue(self.room.referee.at_server)

    def test_by_all_ready(self) -> None:
        """When all are ready it starts as well; nobody sits down meanwhile, and an unready word changes nothing any more."""
        self.gameservers.patient = True
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Cleo"))
        self.assertEqual([one.ask("ready", ready=True)["type"] for one in (self.ada, self.bert)], ["ack", "ack"])
        self.assertEqual(self.where, (STARTING, STARTING, 1))
        self.assertEqual(self.vera.ask("sit")["code"], 105)
        self.assertEqual(self.ada.ask("ready", ready=False)["type"], "ack")
        self.gameservers.ready()
        self.assertEqual(self.where, (PLAYING, PLAYING, 1))

    def test_asked_again(self) -> None:
        """By another connection, or twice: one start, and the same answer to each."""
        self.gameservers.patient = True
        asked = [self.house.registry.start_room(self.room.room_id, "Ada") for _ in range(3)]
        self.assertEqual(len(self.gameservers.starting), 1)
        for each in asked:
            self.assertNoResult(each)
        self.gameservers.ready()
        self.assertEqual([self.successResultOf(each) for each in asked], [self.room] * 3)
        self.assertEqual(self.successResultOf(self.house.registry.start_room(self.room.room_id, "Ada")), self.room)
        self.assertEqual(len(self.gameservers.servers), 1)
        self.failureResultOf(self.house.registry.start_room(self.room.room_id, "Bert"), Forbidden)

    def test_it_does_not_get_ready(self) -> None:
        """Everyone who asked is told the sentence, the others hear it with the state; the room is in setup, and it may be tried again."""
        self.gameservers.patient = True
        asked = [self.house.registry.start_room(self.room.room_id, "Ada") for _ in range(2)]
        self.bert.connection.take()
        error = ServerError("the game's server did not get ready within 10 s; try again, or tell the game's developer", incident="i-1")
        self.gameservers.fail(error)
        self.assertEqual([self.failureResultOf(each, ServerError).value for each in asked], [error] * 2)
        self.assertEqual(self.bert.heard("state"), [{"type": "state", "state": "setup", "reason": "start_failed", "message": error.message}])
        self.assertEqual(self.where, (SETUP, SETUP, 0))
        self.assertFalse(any(member.ready or member.locked for member in self.room.value.members))
        self.ada.say("start", id=8)
        self.gameservers.fail(error)
        answer = [each for each in self.ada.connection.take() if each.get("reply_to") == 8]
        self.assertEqual(answer, [{"type": "error", "code": 199, "message": error.message, "incident": "i-1", "reply_to": 8}])
        self.gameservers.patient = False
        self.play(self.ada)

    def test_a_fault_of_ours(self) -> None:
        """Is 199 with an incident, and tells nothing of itself."""
        self.gameservers.patient = True
        self.ada.say("start", id=8)
        self.gameservers.fail(ZeroDivisionError("a secret of ours"))
        [answer] = [each for each in self.ada.connection.take() if each.get("reply_to") == 8]
        self.assertEqual((answer["code"], "secret" in answer["message"], bool(answer["incident"])), (199, False, True))
        self.assertEqual(self.where, (SETUP, SETUP, 0))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 2)

    def test_no_programs_here(self) -> None:
        """Where programs cannot be run nothing is locked, nobody can be ready, and the developer is told once for each reason."""
        self.gameservers.refuses = BadState("this server cannot run programs: bwrap is not installed")
        for _ in range(2):
            self.assertEqual(self.ada.ask("start")["code"], 105)
            self.assertEqual(self.bert.ask("ready", ready=True)["code"], 105)
        self.assertEqual(self.where, (SETUP, SETUP, 0))
        [(game_id, line)] = self.logged
        self.assertEqual(game_id, "game")
        self.assertIn(f"room {self.room.room_id} (version 1.0.0) could not start: this server cannot run programs", line)

    def test_too_few(self) -> None:
        """`min_players` of the bundle are needed."""
        for name in ("Bert", "Cleo"):
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))
        self.assertEqual(self.ada.ask("start")["code"], 105)
        self.assertEqual(self.where, (SETUP, SETUP, 0))

    def test_going_down(self) -> None:
        """While the daemon drains nothing starts."""
        self.house.registry.drain()
        self.assertEqual(self.ada.ask("start")["code"], 105)
        self.assertEqual(self.where, (SETUP, SETUP, 0))

    def test_the_game_goes_offline_meanwhile(self) -> None:
        """START is refused then; a room that was ready while it was online begins."""
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, status="OFFLINE")
        self.assertEqual(self.ada.ask("start")["code"], 105)
        for one in (self.ada, self.bert, self.cleo):
            one.ask("ready", ready=True)
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_no_server_in_it(self) -> None:
        """A version without a GameServer is told as what it is."""
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, server=None)
        answer = self.ada.ask("start")
        self.assertEqual((answer["code"], "brings no GameServer" in answer["message"]), (105, True))
        self.assertEqual(self.where, (SETUP, SETUP, 0))


class AbandonedStartTests(StartCase):
    """Somebody is gone while the GameServer gets ready."""

    def setUp(self) -> None:
        super().setUp()
        self.gameservers.patient = True
        self.asked = self.house.registry.start_room(self.room.room_id, "Ada")

    def go(self, *names: str) -> None:
        for name in names:
            self.successResultOf(self.house.registry.leave(self.room.room_id, name))

    def test_enough_are_left(self) -> None:
        """It begins with those who are left, and the GameServer is told who they are."""
        self.go("Cleo")
        server = self.gameservers.ready()
        self.successResultOf(self.asked)
        self.assertEqual((self.where, server.told), ((PLAYING, PLAYING, 1), [["Ada", "Bert"]]))

    def test_the_host_leaves(self) -> None:
        """Another is host; who asked hears that it is on."""
        self.go("Ada")
        server = self.gameservers.ready()
        self.successResultOf(self.asked)
        self.assertEqual((self.room.value.host, self.where, server.told), ("Bert", (PLAYING, PLAYING, 1), [["Bert", "Cleo"]]))

    def test_too_few_are_left(self) -> None:
        """The program is ended at once, and not when it gets ready."""
        self.go("Cleo", "Bert")
        self.assertEqual((self.where, self.gameservers.cancelled), ((SETUP, SETUP, 0), 1))
        self.assertIn("too many players have left", self.failureResultOf(self.asked, BadState).value.message)
        self.assertEqual(self.ada.heard("state"), [{"type": "state", "state": "setup", "reason": "start_failed", "message": TOO_FEW}])

    def test_everybody_leaves(self) -> None:
        """The room is gone, and so is the program."""
        self.successResultOf(self.house.registry.leave(self.room.room_id, self.vera.user_id))
        self.go("Cleo", "Bert", "Ada")
        self.assertEqual((self.gameservers.running, self.gameservers.cancelled, self.house.registry.everything()), (0, 1, []))
        self.failureResultOf(self.asked, BadState)

    def test_the_room_is_closed(self) -> None:
        """By time, say: whoever asked is told, and the program is ended."""
        self.room.close("nobody was connected for too long")
        self.assertEqual((self.gameservers.running, self.gameservers.cancelled), (0, 1))
        self.failureResultOf(self.asked, NotFound)

    def test_the_daemon_goes_down(self) -> None:
        """What GameServers end then is told as that."""
        self.successResultOf(self.house.registry.stop())
        self.gameservers.starting[0][1].cancel()
        self.assertIn("going down", self.failureResultOf(self.asked, BadState).value.message)

    def test_a_restart(self) -> None:
        """Killed while it started: nobody waits for that any more, so it is in setup again."""
        self.gameservers.starting.clear()
        self.assertEqual(self.room.value.phase, STARTING)
        self.restart()
        self.assertEqual((self.where, self.room.refereed.state), ((SETUP, SETUP, 0), "setup"))
        ada = self.again(self.ada)
        self.assertEqual([each["type"] for each in ada.connection.take()], ["welcome", "players"])


class SlowDatabaseTests(StartCase):
    """What happens while the start is being saved."""

    def setUp(self) -> None:
        super().setUp()
        self.gameservers.patient = True

    def start(self) -> Deferred[Any]:
        """The GameServer is ready, and that the room plays is being saved."""
        asked: Deferred[Any] = self.house.registry.start_room(self.room.room_id, "Ada")
        self.held.holding = True
        self.gameservers.ready()
        self.assertEqual((self.room.value.phase, self.room.latest.phase), (STARTING, PLAYING))
        return asked

    def release(self) -> None:
        self.held.holding = False
        self.held.release_all()

    def test_it_ends_before_it_is_told(self) -> None:
        """The play begins, and is over with that reason."""
        asked = self.start()
        self.server.over("server_crashed")
        self.cleo.connection.take()
        self.release()
        self.successResultOf(asked)
        told = [each.get("reason", each.get("state")) for each in self.cleo.heard("state", "over")]
        self.assertEqual((told, self.where), (["running", "server_crashed", "server_crashed"], (SETUP, SETUP, 0)))

    def test_it_cannot_be_saved(self) -> None:
        """The GameServer is ended, and who asked is told; the room is in setup."""
        asked = self.start()
        self.held.holding = False
        self.held.fail(OSError("disk full"))
        self.failureResultOf(asked, OSError)
        self.assertEqual(self.where, (SETUP, SETUP, 0))
        self.flushLoggedErrors(OSError)

    def test_the_lock_cannot_be_saved(self) -> None:
        """Nothing was started yet."""
        self.held.holding = True
        asked = [self.house.registry.start_room(self.room.room_id, "Ada") for _ in range(2)]
        self.assertEqual(self.where, (SETUP, STARTING, 0))
        self.held.holding = False
        self.held.fail(OSError("disk full"))
        for each in asked:
            self.failureResultOf(each, OSError)
        self.assertEqual(self.where, (SETUP, SETUP, 0))

    def test_somebody_leaves_in_the_same_transaction(self) -> None:
        """The GameServer is told when the play has begun, and nobody waits for them."""
        asked = self.house.registry.start_room(self.room.room_id, "Ada")
        self.held.holding = True
        coming = self.house.registry.join(self.room.room_id, account("Dora"), "viewer")
        self.gameservers.ready()
        leaving = self.house.registry.leave(self.room.room_id, "Cleo")
        self.assertEqual(self.held.waiting, ["_write"])
        self.release()
        self.successResultOf(asked)
        self.successResultOf(coming)
        self.successResultOf(leaving)
        self.assertEqual((self.where, self.server.told), ((PLAYING, PLAYING, 1), [["Ada", "Bert"]]))

    def test_the_room_is_closed(self) -> None:
        """While it is being saved: who asked is told, and the program is ended."""
        asked = self.start()
        self.room.close("nobody was connected for too long")
        self.failureResultOf(asked, NotFound)
        self.release()
        self.assertEqual((self.gameservers.running, self.house.registry.everything()), (0, []))


class WaysCase(StartCase):
    """The play is on."""

    def setUp(self) -> None:
        super().setUp()
        self.play(self.ada)

    def let_in(self, **connected: Any) -> dict[str, Wire]:
        """The GameServer lets everybody in who waits: by name."""
        found = {}
        while self.server.endpoint.waiting:
            who, wire = self.server.lets_in(**connected)
            found[who] = wire
        return found

    def framed(self, somebody: Any) -> list[tuple[str, Any]]:
        return somebody.connection.envelopes()  # type: ignore[no-any-return]

    def frames(self, somebody: Any, data: bytes) -> list[dict[str, Any]]:
        """Send a binary frame; what is refused."""
        somebody.heard("error")
        somebody.conversation.binary(data)
        return [each for each in somebody.connection.delivered if each.get("type") == "error"]


class WaysTests(WaysCase):
    """Who gets to the GameServer, and how."""

    def test_at_the_beginning(self) -> None:
        """Players at the web door and the game port are joined; lobby connections and viewers are not."""
        wires = self.let_in(details={"round": 1})
        self.assertEqual(set(wires), {"Ada", "Bert"})
        self.assertEqual(self.bert.connection.joined, [{"details": {"round": 1}}])
        [(name, connected)] = self.framed(self.ada)
        self.assertEqual(name, "CONNECTED")
        self.assertEqual(
            {**connected, "room_id": "", "party_code": ""},
            {
                "room_id": "",
                "game_id": "game",
                "version": "1.0.0",
                "hosting": "server",
                "status": "PLAYING",
                "seat": 0,
                "players": [{"seat": 0, "name": "Ada"}, {"seat": 1, "name": "Bert"}, {"seat": 2, "name": "Cleo"}],
                "max_players": 3,
                "party_code": "",
                "details": {"round": 1},
            },
        )
        self.assertEqual(self.framed(self.vera), [])

    def test_both_ways(self) -> None:
        """A frame of the member carries whole envelopes, of any type; of the GameServer's bytes each envelope is one frame, whatever their split."""
        wire = self.let_in()["Ada"]
        self.framed(self.ada)
        two = CONFIG + b"\x01\x81\x00\x01x"
        self.assertEqual(self.frames(self.ada, two), [])
        self.assertEqual(wire.value(), two)
        for byte in two:
            wire.send(bytes((byte,)))
        wire.send(two)
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["GAME_CONFIG", "type 32"] * 2)

    def test_who_comes_later(self) -> None:
        """Who had no connection is joined as soon as there is one; a text frame stays a room message."""
        self.let_in()
        cleo = self.again(self.cleo)
        self.assertEqual(set(self.let_in()), {"Cleo"})
        self.assertEqual([name for name, _ in self.framed(cleo)], ["CONNECTED"])
        cleo.say("chat", text="hello")
        self.assertEqual([each["text"] for each in self.vera.heard("chat")], ["hello"])

    def test_what_is_no_envelope(self) -> None:
        """Is 100, and nothing of it goes on; so is an empty frame."""
        wire = self.let_in()["Ada"]
        for data in (b"", b"\x01", b"\x02\x81\x00\x00", b"\x01\x81\x00\x02x", CONFIG + b"\x01\x81\x00", b"\x01\x81\x00\x01xy"):
            self.house.clock.advance(1)
            self.assertEqual([each["code"] for each in self.frames(self.ada, data)], [100], data)
            self.ada.connection.take()
        self.assertEqual(wire.value(), b"")

    def test_too_early(self) -> None:
        """Before CONNECTED, by a viewer, by a connection without a way, after the play: 105."""
        for somebody in (self.ada, self.vera, self.cleo):
            self.assertEqual([each["code"] for each in self.frames(somebody, CONFIG)], [105])
        self.let_in()
        self.assertEqual(self.frames(self.ada, CONFIG), [])
        self.server.over()
        self.ada.connection.take()
        [error] = self.frames(self.ada, CONFIG)
        self.assertEqual((error["code"], "nothing is played" in error["message"]), (105, True))

    def test_text(self) -> None:
        """`game` and the like are 100, with where it goes instead."""
        self.let_in()
        for kind in ("game", "finish", "nonsense"):
            answer = self.ada.ask(kind, body=1)
            self.assertEqual((answer["code"], "binary frames" in answer["message"]), (100, True))

    def test_away_and_back(self) -> None:
        """Its link is closed with the connection, and a new one has a link of its own."""
        wire = self.let_in()["Ada"]
        self.leave(self.ada)
        self.assertTrue(wire.disconnecting)
        wire.hang_up()
        ada = self.again(self.ada)
        self.assertEqual(set(self.let_in()), {"Ada"})
        self.assertEqual([name for name, _ in self.framed(ada)], ["CONNECTED"])
        self.assertEqual(self.framed(self.ada)[1:], [])

    def test_only_its_lobby_connection_is_left(self) -> None:
        """A page that goes takes its link along, though the member is still there by the lobby."""
        wire = self.let_in()["Ada"]
        self.again(self.ada, "lobby")
        self.leave(self.ada)
        self.assertTrue(wire.disconnecting)

    def test_only_its_lobby_connection_is_gone(self) -> None:
        """A page keeps its link when the member leaves the lobby."""
        wire = self.let_in()["Ada"]
        self.leave(self.again(self.ada, "lobby"))
        self.assertFalse(wire.disconnecting)
        self.ada.conversation.binary(CONFIG)
        self.assertEqual(wire.value(), CONFIG)

    def test_takeover(self) -> None:
        """From the game port to the web and back: the older way is closed, and the newer one waits until it is gone."""
        wires = self.let_in()
        bert = self.again(self.bert)
        self.assertEqual([error.code for error in self.bert.connection.closed], [105])
        self.assertEqual((self.bert.connection.ended, self.server.endpoint.waiting, wires["Bert"].disconnecting), (["close"], [], True))
        wires["Bert"].hang_up()
        [wire] = self.let_in().values()
        self.assertEqual([name for name, _ in self.framed(bert)], ["CONNECTED"])
        third = self.again(bert, "game")
        fourth = self.again(bert, "game")
        self.assertEqual((self.server.endpoint.waiting, third.connection.joined), ([], []))
        wire.hang_up()
        self.assertEqual((set(self.let_in()), third.connection.joined, fourth.connection.joined), ({"Bert"}, [], [{}]))

    def test_hello_again(self) -> None:
        """On the same connection: joined anew, after the link that it had is gone."""
        wire = self.let_in()["Ada"]
        self.ada.say("hello", token=self.ada.token)
        self.assertEqual((self.server.endpoint.waiting, wire.disconnecting), ([], True))
        wire.hang_up()
        self.let_in()
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["CONNECTED", "CONNECTED"])

    def test_the_game_server_ends_a_connection(self) -> None:
        """A page is told by an ERROR envelope behind all that came before, and says hello to be joined anew."""
        wires = self.let_in()
        wires["Ada"].send(CONFIG)
        wires["Ada"].hang_up()
        wires["Bert"].hang_up()
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["CONNECTED", "GAME_CONFIG", "ERROR"])
        self.assertEqual(self.bert.connection.ended, ["lost"])
        [error] = self.frames(self.ada, CONFIG)
        self.assertEqual((error["code"], "say hello" in error["message"]), (105, True))
        self.ada.say("hello", token=self.ada.token)
        self.assertEqual(set(self.let_in()), {"Ada"})
        self.assertEqual(self.frames(self.ada, CONFIG), [])

    def test_the_game_server_refuses(self) -> None:
        """With its own code and sentence, in a frame; hello tries again. At the game port it is the door's to say."""
        for _ in range(2):
            wire = self.server.endpoint.connected()
            wire.say(game_port.ERROR, code=102, message="not you")
            wire.hang_up()
        self.assertEqual(self.framed(self.ada), [("ERROR", {"code": 102, "message": "not you"})])
        self.assertEqual([(error.code, error.message) for error in self.bert.connection.refused], [(102, "not you")])
        self.ada.say("hello", token=self.ada.token)
        self.assertEqual(set(self.let_in()), {"Ada"})

    def test_out_of_reach(self) -> None:
        """105 after 10 s without CONNECTED; the play goes on."""
        self.wait(11)
        self.assertEqual([(name, said["code"]) for name, said in self.framed(self.ada)], [("ERROR", 105)])
        self.assertEqual([error.code for error in self.bert.connection.refused], [105])
        self.assertEqual(self.room.value.phase, PLAYING)

    def test_what_the_game_server_says_is_no_envelope(self) -> None:
        """That connection ends with 105, and nothing after it is passed on."""
        wire = self.let_in()["Ada"]
        wire.send(CONFIG + b"HTTP/1.1 400")
        wire.send(CONFIG)
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["CONNECTED", "GAME_CONFIG", "ERROR"])
        self.assertTrue(wire.disconnecting)
        self.assertEqual([each["code"] for each in self.frames(self.ada, CONFIG)], [105])

    def test_a_game_server_that_does_not_read(self) -> None:
        """Its clients' pages are made to wait, and go on when it reads, or is gone."""
        wire = self.let_in()["Ada"]
        assert wire.producer is not None
        wire.producer.pauseProducing()
        self.assertTrue(self.ada.connection.held)
        wire.producer.resumeProducing()
        self.assertFalse(self.ada.connection.held)
        wire.producer.pauseProducing()
        wire.hang_up()
        self.assertFalse(self.ada.connection.held)

    def test_a_page_that_does_not_read(self) -> None:
        """The GameServer's connection is paused for it; everything comes in its order, and what ends it comes last."""
        wire = self.let_in()["Ada"]
        connection = self.ada.connection
        connection.reads = False
        wire.send(CONFIG + CONFIG)
        self.assertTrue(wire.paused)
        connection.read(3)
        self.assertFalse(wire.paused)
        wire.send(CONFIG)
        self.assertTrue(wire.paused)
        wire.hang_up()
        connection.reads = True
        connection.read()
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["CONNECTED", "GAME_CONFIG", "GAME_CONFIG", "GAME_CONFIG", "ERROR"])


class EndTests(WaysCase):
    """How a play ends."""

    def test_finished(self) -> None:
        """Everybody hears it, with the results; what the GameServer still says reaches the players, and it is left to end by itself."""
        wires = self.let_in()
        self.framed(self.ada)
        for somebody in (self.ada, self.cleo, self.vera):
            somebody.connection.take()
        play_id = self.room.value.play_id
        self.server.over("finished", {"winners": [0]})
        over = {"type": "over", "reason": "finished", "play_id": play_id, "results": {"winners": [0]}}
        for somebody in (self.ada, self.cleo, self.vera):
            self.assertEqual(somebody.heard("over", "state"), [over, {"type": "state", "state": "setup", "reason": "finished"}])
        self.assertEqual((self.room.value.phase, self.server.wanted, self.room.referee.at_server), (SETUP, False, False))
        self.assertEqual((self.bert.connection.ended, wires["Ada"].half_closed, wires["Bert"].half_closed), (["finish"], True, True))
        wires["Ada"].send(CONFIG)
        wires["Ada"].hang_up()
        self.assertEqual([name for name, _ in self.framed(self.ada)], ["GAME_CONFIG"])
        self.house.clock.advance(5)
        self.assertTrue(wires["Bert"].disconnecting)

    def test_reasons(self) -> None:
        """Its other ends are told as what they are, and the party can play again."""
        for reason in ("server_ended", "server_crashed", "server_silent", "server_misbehaved"):
            self.let_in()
            self.server.over(reason)
            self.assertEqual([each["reason"] for each in self.cleo.heard("over")], [reason])
            self.assertEqual((self.room.value.phase, self.gameservers.running), (SETUP, 0))
            self.play(self.ada)

    def test_results_that_cannot_be_sent(self) -> None:
        """The play is over without them, and the developer reads why."""
        deep: Any = 1
        for _ in range(250):
            deep = [deep]
        self.server.over("finished", deep)
        [over] = self.cleo.heard("over")
        self.assertNotIn("results", over)
        self.assertIn("nested too deeply", self.logged[-1][1])

    def test_told_at_the_next_welcome(self) -> None:
        """Who was in a pipe, or away, hears it behind the next welcome, once; who heard it does not."""
        self.let_in()
        self.leave(self.bert)
        bert = self.again(self.bert, "game")
        cleo = self.again(self.cleo)
        self.let_in()
        self.leave(cleo)
        self.server.over("server_crashed")
        self.leave(bert)
        for old, door, told in ((bert, "game", ["over"]), (bert, "game", []), (cleo, "web", ["over"]), (self.ada, "web", [])):
            came = self.again(old, door)
            heard = [each for each in came.connection.take() if each["type"] in ("welcome", "over")]
            self.assertEqual([each["type"] for each in heard], ["welcome", *told], (old.user_id, door))
            self.assertEqual([each.get("reason") for each in heard[1:]], ["server_crashed"] * len(told))
        self.play(self.ada)
        self.server.over()
        self.assertEqual(self.room.refereed.last_over is None, False)

    def test_seats_are_freed(self) -> None:
        """By leaving, being sent away, or being away for too long: the link goes, and the GameServer is told who is left."""
        wires = self.let_in()
        self.assertEqual(self.ada.ask("kick", user_id="Cleo")["type"], "ack")
        self.assertEqual(self.server.told, [["Ada", "Bert"]])
        self.successResultOf(self.house.registry.leave(self.room.room_id, "Bert"))
        self.assertEqual((self.server.told[1:], self.bert.connection.ended), ([["Ada"]], ["close"]))
        self.assertTrue(wires["Bert"].disconnecting)
        self.assertEqual(self.room.value.phase, PLAYING)
        self.leave(self.ada)
        self.wait(60)
        self.assertEqual((self.room.value.phase, self.gameservers.running), (SETUP, 0))
        self.assertEqual([each["reason"] for each in self.vera.heard("over")], ["abandoned"])
        self.assertEqual(self.server.told[2:], [])

    def test_the_room_is_gone(self) -> None:
        """Everybody is away for too long: the GameServer is ended with the room."""
        self.let_in()
        for somebody in (self.ada, self.bert, self.cleo, self.vera):
            self.leave(somebody)
        self.room.close("nobody was connected for too long")
        self.assertEqual((self.house.registry.everything(), self.gameservers.running), ([], 0))

    def test_the_daemon_goes_down(self) -> None:
        """Ends that come then are no ends of plays."""
        self.let_in()
        self.successResultOf(self.house.registry.stop())
        self.cleo.connection.take()
        self.server.over("server_crashed")
        self.assertEqual((self.room.value.phase, self.cleo.heard("over")), (PLAYING, []))

    def test_a_restart(self) -> None:
        """The play is over: no GameServer outlives the daemon. Who played hears it behind the welcome, once, and the party can play again."""
        self.let_in()
        self.restart()
        self.assertEqual((self.room.value.phase, self.room.refereed.state), (SETUP, "setup"))
        for again in (["welcome", "over"], ["welcome"]):
            bert = self.again(self.bert, "game")
            told = [each for each in bert.connection.take() if each["type"] in ("welcome", "over")]
            self.assertEqual([each["type"] for each in told], again)
            self.assertEqual([each["reason"] for each in told[1:]], ["lost"] * (len(again) - 1))
        self.ada = self.again(self.ada)
        self.play(self.ada)
        self.assertEqual(self.room.value.phase, PLAYING)
        self.assertEqual(self.flushLoggedErrors(), [])


class DirectTests(StartCase):
    """Clients connect to the GameServer themselves."""

    connect_by = "direct"

    def test_where(self) -> None:
        """`state` and `welcome` say where, to everybody; nobody is joined, and START_ROOM and GET_ROOM name that place."""
        self.bert.connection.take()
        self.play(self.ada)
        place = {"game_host": "play.example", "game_port": 40000}
        for somebody in (self.bert, self.cleo, self.vera):
            self.assertEqual(somebody.heard("state"), [{"type": "state", "state": "running", **place}])
        self.assertEqual((self.room.referee.at_server, self.server.links), (False, []))
        [welcome] = self.again(self.vera).heard("welcome")
        self.assertEqual({name: welcome.get(name) for name in place}, place)
        self.assertEqual(self.room.played_at(), ("play.example", 40000))
        self.assertEqual({name: self.room.lobby_detail()[name] for name in place}, place)
        self.ada.connection.take()
        self.ada.conversation.binary(CONFIG)
        [error] = self.ada.heard("error")
        self.assertEqual((error["code"], "play.example:40000" in error["message"]), (105, True))

    def test_its_end(self) -> None:
        """Over as elsewhere; the place is named no more, and who was there has heard it."""
        self.play(self.ada)
        self.bert.connection.take()
        self.server.over("server_ended")
        self.assertEqual(self.bert.heard("over", "state")[1:], [{"type": "state", "state": "setup", "reason": "server_ended"}])
        self.assertEqual([each["type"] for each in self.again(self.bert, "game").heard("over", "welcome")], ["welcome"])
        self.assertNotIn("game_port", self.room.lobby_detail())


class ViewsTests(StartCase):
    """CONNECTED's fields, and where a room is played."""

    def status(self, user_id: str) -> Any:
        return room_views.connected(self.room, self.room.latest.member(user_id))["status"]

    def test_connected(self) -> None:
        """`PLAYING` is the pipe: a room that starts, and a viewer, read `WAITING`."""
        self.gameservers.patient = True
        statuses = [self.status("Ada")]
        self.house.registry.start_room(self.room.room_id, "Ada")
        statuses.append(self.status("Ada"))
        self.assertNotIn("game_host", self.room.lobby_detail())
        self.gameservers.ready()
        statuses += [self.status("Ada"), self.status(self.vera.user_id)]
        self.assertEqual(statuses, ["WAITING", "WAITING", "PLAYING", "WAITING"])
        self.assertEqual((self.room.lobby_detail()["game_host"], self.room.lobby_detail()["game_port"]), self.room.played_at())
        self.assertEqual(self.room.played_at(), ("play.example", 7002))
        vera = room_views.connected(self.room, self.room.latest.member(self.vera.user_id), {"name": "A game"}, "a-token")
        self.assertEqual(("seat" in vera, vera["seat_token"], vera["details"]), (False, "a-token", {"name": "A game"}))
        game_port.encode(game_port.CONNECTED, vera)
