"""One server room, its players at the lobby, on a page and with a native client: what each door says of a play at a GameServer."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.websocket import RoomSocketFactory
from gameroom.entrance import Guest
from gameroom.errors import ServerError
from gameroom.interfaces import IReferee, IRoom
from gameroom.referees.server import ServerReferee
from gameroom.rules.manifest import Server
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import EnvelopeReader
from tests.doors.game_port_world import GameWorld, Native
from tests.doors.web.sockets import BINARY, SocketPeer, frame
from tests.gameservers.world import Wire
from tests.referees.server_world import FOLDER, FakeGameServers, FakeServer
from tests.rooms import Bundle, OneGame

MOVE = b'\x01\x81\x00\x07{"a":1}'
STATE = b"\x01\x85\x00\x02{}"
CONFIG = wire.encode(wire.GAME_CONFIG, {"map": "hills"})


class ServerRoom(SynchronousTestCase):
    """A host at the lobby, a guest on a page, and a guest with a native client."""

    connect = "proxy"

    def setUp(self) -> None:
        self.world = world = GameWorld()
        self.catalogue = OneGame()
        server = Server(command=("python3", "server.py"), connect=self.connect)
        self.catalogue.the = Bundle(hosting="server", max_players=3, lockstep={}, engine=None, folder=FOLDER, server=server)
        self.gameservers = FakeGameServers(world.clock)
        world.registry._catalogue, world.registry._referees = self.catalogue, {"server": self.referee}  # type: ignore[assignment]
        self.clock, self.site = world.clock, RoomSocketFactory(registry=world.registry, clock=world.clock, limits=lambda: world.limits)
        self.site.doStart()
        self.host = world.peer("host")
        self.room_id = self.host.ok("CREATE_ROOM", game_id="game")["room_id"]
        self.host.ok("SUBSCRIBE", rooms=True)
        self.room = world.registry.here(self.room_id)
        self.native = world.native()
        self.native.ask(wire.JOIN, party_code=self.room.value.party_code, name="Nat")
        self.native.heard()
        joined: Any = self.successResultOf(world.registry.join(self.room_id, Guest("Pagan"), "player"))
        self.page_id, self.page_token = joined.user_id, joined.token
        self.page = self.socket()
        self.host.pushed()

    def referee(self, room: IRoom) -> IReferee:
        return ServerReferee(
            room,
            gameservers=self.gameservers,  # type: ignore[arg-type]
            catalogue=self.catalogue,  # type: ignore[arg-type]
            addresses=self.world.addresses,
        )

    def socket(self) -> SocketPeer:
        peer = SocketPeer(self, "192.0.2.1")  # type: ignore[arg-type]
        assert peer.connect(f"/socket/{self.room_id}") == 101
        peer.say(type_="hello", token=self.page_token)
        self.assertEqual(peer.types()[0], "welcome")
        return peer

    @property
    def server(self) -> FakeServer:
        return self.gameservers.servers[-1]

    def let_in(self) -> dict[str, Wire]:
        wires = {}
        while self.server.endpoint.waiting:
            who, accepted = self.server.lets_in(details={"round": 1})
            wires[self.room.latest.member(who).name] = accepted
        return wires

    def play(self) -> tuple[Wire, Wire]:
        """The play begins: the GameServer's ends for the page and for the native client."""
        self.host.ok("START_ROOM", room_id=self.room_id)
        wires = self.let_in()
        return wires["Pagan"], wires["Nat"]

    def bodies(self, *types: str) -> list[dict[str, Any]]:
        """What the lobby has pushed of the room."""
        return [push["body"] for push in self.host.pushed("ROOM_MESSAGE") if push["body"]["type"] in types]


class ProxyTests(ServerRoom):
    """Joined by gameroom."""

    def test_a_play(self) -> None:
        """START_ROOM names the game port; both players get CONNECTED, then bytes and frames go both ways; the end reaches each in its way."""
        started = self.host.ok("START_ROOM", room_id=self.room_id)
        place = {"game_host": "play.example", "game_port": 7002}
        self.assertEqual(started, {"room_id": self.room_id, "version": "1.0.0", **place})
        self.assertEqual(self.host.ok("START_ROOM", room_id=self.room_id), started)
        shown = self.host.ok("GET_ROOM", room_id=self.room_id)["room"]
        self.assertEqual({name: shown[name] for name in ("status", *place)}, {"status": "PLAYING", **place})
        wires = self.let_in()
        page, native = wires["Pagan"], wires["Nat"]
        heard = [each for each in self.page.heard() if isinstance(each, bytes) or each["type"] == "state"]
        self.assertEqual(heard[0], {"type": "state", "state": "running"})
        told = self.connected(heard[1])
        [state, (name, fields)] = self.native.heard()[-2:]
        self.assertEqual((state, name), ({"type": "state", "state": "running"}, "CONNECTED"))
        for connected, seat in ((told, 2), (fields, 1)):
            self.assertEqual((connected["status"], connected["seat"], connected["details"]), ("PLAYING", seat, {"round": 1}))
        self.page.raw(frame(MOVE + STATE, BINARY))
        self.native.raw((MOVE + STATE)[:7])
        self.native.raw((MOVE + STATE)[7:])
        self.assertEqual([page.value(), native.value()], [MOVE + STATE] * 2)
        for each in (page, native):
            each.send(CONFIG + STATE)
        self.assertEqual([each for each in self.page.heard() if isinstance(each, bytes)], [CONFIG, STATE])
        self.assertEqual(self.native.transport.value(), CONFIG + STATE)
        self.native.transport.clear()
        self.host.ok("CHAT", room_id=self.room_id, text="hello")
        self.assertEqual((self.page.types(), self.native.transport.value()), (["chat"], b""))
        self.end(page, native)

    def connected(self, data: bytes) -> dict[str, Any]:
        reader = EnvelopeReader()
        reader.feed(data)
        envelope = reader.next()
        assert envelope is not None
        return wire.decode(envelope)

    def end(self, page: Wire, native: Wire) -> None:
        self.server.over("finished", {"winners": [2]})
        over = {"type": "over", "reason": "finished", "play_id": None, "results": {"winners": [2]}}
        [at_lobby] = self.bodies("over")
        [on_page] = [each for each in self.page.heard() if each["type"] == "over"]
        self.assertEqual([{**each, "play_id": None} for each in (at_lobby, on_page)], [over] * 2)
        for each in (page, native):
            each.send(STATE)
            each.hang_up()
        self.assertEqual([each for each in self.page.heard() if isinstance(each, bytes)], [STATE])
        self.assertEqual(self.native.transport.value(), STATE)
        again = self.world.native()
        again.say(wire.AUTH, id=self.native.token)
        (name, fields), welcome, told = again.heard()[:3]
        self.assertEqual((name, fields["status"], welcome["type"], {**told, "play_id": None}), ("CONNECTED", "WAITING", "welcome", over))

    def test_from_door_to_door(self) -> None:
        """The native client's seat taken up by a page and back: the GameServer sees one connection at a time."""
        _, native = self.play()
        self.page_token = self.native.token
        page = self.socket()
        self.assertEqual(self.server.endpoint.waiting, [])
        native.hang_up()
        wire_of_page = self.let_in()["Nat"]
        self.assertTrue([each for each in page.heard() if isinstance(each, bytes)])
        back = Native(self.world.port)
        back.say(wire.AUTH, id=self.native.token)
        self.assertEqual(self.server.endpoint.waiting, [])
        wire_of_page.hang_up()
        self.let_in()["Nat"].send(STATE)
        self.assertTrue(back.transport.value().endswith(STATE))

    def test_it_does_not_get_ready(self) -> None:
        """199 with the sentence for who asked, at each door; the others are told `start_failed` with it."""
        self.gameservers.patient = True
        self.host.send("START_ROOM", room_id=self.room_id)
        self.gameservers.fail(ServerError("the game's server did not get ready within 10 s", incident="i-1"))
        [answer] = self.host.answers()
        self.assertEqual((answer["code"], answer["message"]), (199, "the game's server did not get ready within 10 s"))
        failed = {"type": "state", "state": "setup", "reason": "start_failed", "message": answer["message"]}
        self.assertIn(failed, self.page.heard())
        self.assertIn(failed, self.native.heard())
        self.assertNotIn("game_host", self.host.ok("GET_ROOM", room_id=self.room_id)["room"])

    def test_started_twice(self) -> None:
        """By two connections of the host: one GameServer, and the same answer when it is ready."""
        self.gameservers.patient = True
        other = self.world.peer()
        other.token = self.host.token
        for peer in (self.host, other):
            peer.send("START_ROOM", room_id=self.room_id)
        self.assertEqual(len(self.gameservers.starting), 1)
        self.gameservers.ready()
        [one], [two] = self.host.answers(), other.answers()
        self.assertEqual((one, one["code"]), (two, 0))


class DirectTests(ServerRoom):
    """Clients connect to the GameServer themselves."""

    connect = "direct"

    def test_where(self) -> None:
        """Each door says where, and carries room messages on."""
        place = {"game_host": "play.example", "game_port": 40000}
        started = self.host.ok("START_ROOM", room_id=self.room_id)
        self.assertEqual({name: started[name] for name in place}, place)
        running = {"type": "state", "state": "running", **place}
        self.assertEqual(self.bodies("state"), [running])
        self.assertIn(running, self.page.heard())
        self.assertIn(running, self.native.heard())
        self.native.say_room(type_="chat", text="on my way")
        self.assertEqual(self.page.types(), ["chat"])
