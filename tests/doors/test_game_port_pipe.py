"""A play at a GameServer: game-port connections become pipes to it (docs/protocol/game-port.md, "AuthProxy")."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.error import ConnectionRefusedError
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.streams import LINGER_SECONDS
from gameroom.entrance import Guest
from gameroom.gameservers.link import ServerLink
from gameroom.gameservers.values import Participant
from gameroom.interfaces import IPipeConnection
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, to_bytes
from gameroom.wire.room_messages import Outgoing
from tests.doors.game_port_world import GameWorld, Native
from tests.gameservers.world import TOKEN, Endpoint, Wire
from tests.rooms import Bundle, NotingReferee, OneGame

MOVE = to_bytes(40, b"move", 0)


class AtServer(NotingReferee):
    """A referee whose play is at a GameServer that the test plays."""

    waits_for_ready = False
    keeps_seats = False

    def __init__(self, room: Any, endpoint: Endpoint, clock: Any) -> None:
        super().__init__(room)
        self.at_server = False
        self._endpoint, self._clock = endpoint, clock
        self.links: dict[str, ServerLink] = {}

    def begun(self) -> None:
        self.at_server = True
        for user_id in self.room.seated:
            for connection in self.room.connections(user_id):
                self.bring(user_id, connection)

    def welcomed(self, user_id: str, connection: Any, hello: Any) -> None:
        self.bring(user_id, connection)

    def bring(self, user_id: str, connection: Any) -> None:
        old, after = self.links.get(user_id), None
        if old is not None:
            old.close()
            after = old.gone()
        member = self.room.member(user_id)
        if IPipeConnection.providedBy(connection):
            entrant = Participant(seat=member.seat, id=member.user_id, name=member.name)
            link = ServerLink(endpoint=self._endpoint, clock=self._clock, token=TOKEN, entrant=entrant, after=after)
            self.links[user_id] = link
            connection.enter(link)

    def end(self) -> None:
        self.at_server = False
        for link in self.links.values():
            link.finish()
        self.links.clear()


class PipeTestCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = world = GameWorld()
        catalogue = OneGame()
        catalogue.the = Bundle(hosting="server", min_players=1, max_players=3, lockstep={}, engine=None)
        self.endpoint = Endpoint()
        world.registry._catalogue = catalogue  # type: ignore[assignment]
        world.registry._referees = {"server": self.referee}
        self.host = world.native()
        self.code = self.host.ask(wire.HOST, game_id="game", name="Ada")["party_code"]
        [self.room] = world.registry.everything()
        self.host.heard()

    def referee(self, room: Any) -> AtServer:
        self.the_referee = AtServer(room, self.endpoint, self.world.clock)
        return self.the_referee

    def start(self) -> None:
        self.host.say(wire.START)

    def admitted(self, **said: Any) -> Wire:
        """The GameServer lets in whoever waits, and says so."""
        server = self.endpoint.connected()
        names = [name for name, _ in server.said()]
        self.assertEqual(names, ["TYPE", "CLIENT_AUTH"])
        server.say(wire.CONNECTED, **said)
        return server

    def in_pipe(self) -> Wire:
        self.start()
        server = self.admitted()
        self.host.heard()
        return server


class EnteringTests(PipeTestCase):
    def test_from_a_waiting_room(self) -> None:
        """Members of a room that starts hear that it runs, then CONNECTED in their encoding, and then what the GameServer says."""
        guest = self.world.native(en=PROTOBUF)
        guest.ask(wire.JOIN, party_code=self.code, name="Bob")
        self.host.heard(), guest.heard()
        self.host.raw(wire.encode(wire.START, {}) + MOVE + MOVE[:3])
        self.assertEqual(self.host.types()[-1], "state")
        self.assertFalse(self.host.transport.reading)
        server = self.endpoint.connected()
        self.assertEqual(server.said()[1], ("CLIENT_AUTH", {"id": self.room.value.players[0].user_id, "seat": 0, "name": "Ada", "token": TOKEN}))
        server.send(wire.encode(wire.CONNECTED, {"details": {"map": "small"}}) + wire.encode(wire.GAME_CONFIG, {"speed": 3}))
        (_, connected), (config, _) = self.host.heard()
        self.assertEqual(
            (connected["status"], connected["hosting"], connected["details"], connected["seat"], connected["party_code"], config),
            ("PLAYING", "server", {"map": "small"}, 0, self.code, "GAME_CONFIG"),
        )
        self.assertEqual(server.value(), MOVE + MOVE[:3])
        server.clear()
        self.host.raw(MOVE[3:])
        self.assertEqual(server.value(), MOVE[3:])
        guest.types()
        other = self.admitted()
        [envelope] = guest.envelopes()
        self.assertEqual((envelope.en, wire.decode(envelope)["seat"]), (PROTOBUF, 1))
        other.send(to_bytes(33, b"to Bob"))
        self.assertEqual([envelope.data for envelope in guest.envelopes()], [b"to Bob"])
        self.assertEqual(self.host.heard(), [])

    def test_into_a_play(self) -> None:
        """AUTH of a player in a play brings no CONNECTED and no welcome of ours: the GameServer's is the first."""
        token, old = self.host.token, self.in_pipe()
        self.host.lose()
        again = self.world.native()
        again.raw(wire.encode(wire.AUTH, {"id": token}, PROTOBUF) + MOVE)
        self.assertEqual(again.heard(), [])
        old.hang_up()
        server = self.admitted()
        [envelope] = again.envelopes()
        self.assertEqual((envelope.type, envelope.en, "seat_token" in wire.decode(envelope)), (wire.CONNECTED, PROTOBUF, False))
        self.assertEqual(server.value(), MOVE)

    @settings(max_examples=30, deadline=None)
    @given(st.lists(st.integers(0, 60), max_size=6))
    def test_any_split(self, cuts: list[int]) -> None:
        """However AUTH and what stands behind it arrive, the GameServer gets the latter, whole and once."""
        self.setUp()
        token = self.host.token
        self.in_pipe()
        self.host.lose()
        self.the_referee.links.clear()
        again = self.world.native()
        auth = wire.encode(wire.AUTH, {"id": token})
        data, at = auth + 4 * MOVE, 0
        for cut in [*sorted(cuts), len(auth) + 5]:
            again.raw(data[at:cut])
            at = max(at, cut)
        server = self.admitted()
        again.raw(data[at:])
        self.assertEqual(server.value(), 4 * MOVE)
        self.assertEqual(again.types(), ["CONNECTED"])

    def test_dropped_messages(self) -> None:
        """What the room says is dropped from when a connection enters."""
        self.start()
        self.host.heard()
        self.room.audience.refresh()
        self.room.chat(self.room.value.players[0].user_id, "hi")
        self.admitted()
        self.room.chat(self.room.value.players[0].user_id, "hi")
        self.assertEqual(self.host.types(), ["CONNECTED"])

    def test_viewer(self) -> None:
        """Who looks on has no way to a GameServer: 105."""
        viewer = self.successResultOf(self.world.registry.join(self.room.room_id, Guest("Vic"), "viewer"))
        self.in_pipe()
        self.assertEqual(self.world.native().code(wire.AUTH, id=viewer.token), 105)

    def test_late(self) -> None:
        """Nobody joins a party that plays."""
        self.in_pipe()
        self.assertEqual(self.world.native().code(wire.JOIN, party_code=self.code), 105)


class RefusedTests(PipeTestCase):
    def test_unreachable(self) -> None:
        """105, the member is away, and the client may try again on the same connection; only so much of what it says is read."""
        token = self.host.token
        self.start()
        self.host.heard()
        self.endpoint.refused(ConnectionRefusedError())
        self.assertEqual(self.host.types(), [105])
        user_id = self.room.value.players[0].user_id
        self.assertEqual(self.room.audience.of(user_id), ())
        self.assertTrue(self.host.transport.reading)
        self.assertEqual(self.host.code(wire.START), 105)
        self.host.say(wire.AUTH, id=token)
        self.admitted()
        self.assertEqual(self.host.types(), ["CONNECTED"])

    def test_told_meanwhile(self) -> None:
        """What the room says while the link is opened is dropped; when the connection is of no room any more, that is over."""
        self.start()
        self.host.heard()
        protocol = self.host.protocol
        for tell in (protocol.deliver, protocol.outlet.deliver):
            tell(Outgoing(b"{}"))
        protocol.catch_up(lambda: self.fail("pulled for a GameServer's client"))
        self.assertEqual(self.host.heard(), [])
        self.endpoint.refused(ConnectionRefusedError())
        self.assertEqual(self.host.types(), [105])
        protocol.outlet.deliver(Outgoing(b'{"type":"x"}'))
        self.assertEqual(self.host.types(), ["x"])

    def test_silent(self) -> None:
        """After ten seconds without a word: 105."""
        self.start()
        self.host.heard()
        self.endpoint.connected()
        self.world.clock.advance(10)
        self.assertEqual(self.host.types(), [105])

    def test_its_own_error(self) -> None:
        """The GameServer's own ERROR, in the client's encoding."""
        native = self.world.native(en=PROTOBUF)
        native.ask(wire.JOIN, party_code=self.code, name="Bob")
        self.host.lose()
        native.heard()
        self.start_by_host()
        native.heard()
        self.endpoint.connected().say(wire.ERROR, code=102, message="you are too good for us")
        [envelope] = native.envelopes()
        self.assertEqual((envelope.en, wire.decode(envelope)), (PROTOBUF, {"code": 102, "message": "you are too good for us"}))

    def start_by_host(self) -> None:
        self.successResultOf(self.world.registry.start_room(self.room.room_id, self.room.value.host or ""))

    def test_over_meanwhile(self) -> None:
        """A play that ends while the link is opened: 105, and the next AUTH finds a room that waits."""
        token = self.host.token
        self.start()
        self.host.heard()
        self.room.refereed.over("finished")
        self.assertEqual(self.host.types(), [105])
        self.assertEqual(self.host.ask(wire.AUTH, id=token)["status"], "WAITING")
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_gone_meanwhile(self) -> None:
        """A client that goes away while the link is opened leaves no link behind."""
        self.start()
        self.host.lose()
        self.assertEqual(self.endpoint.cancelled, 1)
        self.assertEqual(self.world.port.connections, {})

    def test_kicked_meanwhile(self) -> None:
        """Before CONNECTED an ERROR can still be told."""
        guest = self.world.native()
        guest.ask(wire.JOIN, party_code=self.code, name="Bob")
        self.start()
        guest.heard()
        host, bob = (player.user_id for player in self.room.value.players)
        self.successResultOf(self.world.registry.kick(self.room.room_id, host, bob))
        self.assertEqual((guest.types(), guest.transport.write_lost), ([102], True))
        self.assertEqual(self.endpoint.cancelled, 1)

    def test_ended_before_the_start(self) -> None:
        """A connection that is just ending when the play begins enters nothing, and its link is closed."""
        self.host.half_close()
        self.host.protocol.end("done")
        link = ServerLink(endpoint=self.endpoint, clock=self.world.clock, token=TOKEN, entrant=Participant(seat=0, id="ada", name="Ada"))
        self.host.protocol.enter(link)
        self.successResultOf(link.gone())
        self.assertEqual(self.endpoint.waiting, [])

    def test_slow_to_read(self) -> None:
        """What was said before has to be read before CONNECTED, and only then is there a pipe."""
        self.host.pause()
        self.start_by_host()
        server = self.admitted()
        self.assertEqual((self.host.heard(), server.value()), ([], b""))
        self.host.resume()
        self.assertEqual(self.host.types()[-1], "CONNECTED")
        self.host.raw(MOVE)
        self.assertEqual(server.value(), MOVE)

    def test_sent_away_before_the_pipe(self) -> None:
        """Who is sent away between CONNECTED and the pipe is told nothing into the midst of it."""
        self.host.pause()
        self.start_by_host()
        self.admitted()
        self.room.close("test")
        self.host.resume()
        self.assertEqual((self.host.types()[-1], self.host.transport.write_lost), ("CONNECTED", True))
        self.assertIs(self.host.protocol, self.host.first)


class InThePipeTests(PipeTestCase):
    def ended(self, native: Native) -> None:
        """The client's connection is closed behind what is queued, and nothing of ours was written to it."""
        self.assertEqual(native.transport.value(), b"")
        self.assertTrue(native.transport.write_lost)
        native.protocol.writeConnectionLost()
        native.half_close()
        self.assertTrue(native.transport.lost)
        native.lose()

    def test_takeover(self) -> None:
        """A newer connection: the old one is closed without a word, and its link before the new CLIENT_AUTH."""
        server = self.in_pipe()
        again = self.world.native()
        again.say(wire.AUTH, id=self.host.token)
        self.assertTrue(server.disconnecting)
        self.assertEqual(self.endpoint.waiting, [])
        server.hang_up()
        self.ended(self.host)
        self.admitted()
        self.assertEqual(again.types(), ["CONNECTED"])
        self.assertEqual(len(self.room.audience.of(self.room.value.players[0].user_id)), 1)

    def test_gone(self) -> None:
        """A client that is gone is away, as at other doors."""
        server = self.in_pipe()
        self.host.lose(cleanly=False)
        server.hang_up()
        self.assertIn(("disconnected", self.room.value.players[0].user_id), self.the_referee.told)
        self.assertEqual(self.world.port.connections, {})
        self.assertEqual(self.world.counted("gameroom_closed_total", door="game", reason="lost"), 1)

    def test_server_gone(self) -> None:
        """A GameServer that hangs up: the connection ends behind what it said."""
        server = self.in_pipe()
        server.send(MOVE)
        server.hang_up()
        self.assertEqual(self.host.transport.value(), MOVE)
        self.host.transport.clear()
        self.ended(self.host)

    def test_over(self) -> None:
        """At the end of the play what the GameServer still says is passed on; the next AUTH finds a room that waits."""
        server = self.in_pipe()
        self.room.refereed.over("finished")
        server.send(MOVE)
        self.assertEqual(self.host.transport.value(), MOVE)
        self.host.transport.clear()
        server.hang_up()
        self.ended(self.host)
        self.assertEqual(self.world.native().ask(wire.AUTH, id=self.host.token)["status"], "WAITING")

    def test_left_by_another_door(self) -> None:
        """Who leaves by another door, or whose room is gone, is closed without an envelope into the game."""
        server = self.in_pipe()
        self.room.close("test")
        server.hang_up()
        self.ended(self.host)

    def test_going_down(self) -> None:
        """At the daemon's end pipes are closed, at the latest after the grace."""
        server = self.in_pipe()
        done = self.world.port.stop()
        self.assertTrue(server.disconnecting)
        self.world.clock.advance(LINGER_SECONDS)
        self.assertTrue(self.host.transport.aborted)
        server.hang_up()
        self.host.lose()
        self.successResultOf(done)

    def test_going_down_with_a_client_that_does_not_close(self) -> None:
        """It is not waited for: whoever stops the daemon a second time wants it gone."""
        self.in_pipe()
        self.world.port.stop()
        self.assertFalse(self.host.transport.lost)
        self.host.protocol.writeConnectionLost()
        self.assertTrue(self.host.transport.lost)

    def test_half_close(self) -> None:
        """A client that has said its all before the link was open: the GameServer gets it, and the end behind it."""
        self.host.raw(wire.encode(wire.START, {}) + MOVE)
        self.host.half_close()
        self.assertFalse(self.host.transport.lost)
        server = self.admitted()
        self.assertEqual(server.value(), MOVE)
        # The transport says so again when it is read again.
        self.host.half_close()
        self.assertTrue(server.half_closed)
        server.send(to_bytes(35, b"the answer", JSON))
        self.assertEqual(self.host.envelopes()[-1].data, b"the answer")
