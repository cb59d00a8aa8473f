"""The lobby's connections: lines, half-close, pipelining, back-pressure, limits."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, UNIXAddress
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IHalfCloseableProtocol, IProtocolFactory, IPushProducer
from twisted.internet.testing import StringTransport
from twisted.logger import capturedLogs, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gameroom.doors.line_protocol import LINGER_SECONDS
from gameroom.doors.rounds import SLICE, Rounds
from gameroom.wire.lines import INTERRUPT
from tests.doors.lobby_world import TCP, Peer, World
from tests.doors.test_rounds import Reactor
from tests.held import HeldDatabase

PING = b'{"type":"PING"}\n'
PONG = b'{"status":"ok","code":0,"message":"ok","payload":{}}\n'


def codes(peer: Peer) -> list[int]:
    return [answer["code"] for answer in peer.answers()]


class ConnectionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_interfaces(self) -> None:
        """Endpoints can listen with it, and Twisted knows what its connections can do."""
        self.assertTrue(verifyObject(IProtocolFactory, self.world.lobby))
        peer = self.world.peer()
        self.assertTrue(verifyObject(IHalfCloseableProtocol, peer.protocol))
        self.assertTrue(verifyObject(IPushProducer, peer.protocol))

    def test_tuned(self) -> None:
        """Small answers are not held back, and vanished clients are found."""
        transport = self.world.peer().transport
        self.assertEqual((True, True), (transport.no_delay, transport.keep_alive))

    def test_other_transports(self) -> None:
        """It works on what is no TCP, as a Unix socket."""
        protocol = self.world.lobby.buildProtocol(UNIXAddress("/run/x"))
        assert protocol is not None
        transport = StringTransport()
        protocol.makeConnection(transport)
        protocol.dataReceived(PING)
        self.assertEqual(PONG, transport.value())
        protocol.dataReceived(b"x" * 20_000 + b"\n")
        self.assertTrue(transport.disconnecting)

    def test_many_from_one_address(self) -> None:
        """Past `connections_per_address` a connection is refused, others' are not, and one that goes makes room."""
        world = World(connections_per_address=2)
        peers = [world.peer(), world.peer()]
        address = IPv4Address("TCP", "192.0.2.1", 5)
        self.assertIsNone(world.lobby.buildProtocol(address))
        world.peer(address="192.0.2.2")
        peers[0].lose()
        world.peer()
        self.assertIsNone(world.lobby.buildProtocol(address))

    def test_behind_a_proxy(self) -> None:
        """Limits count for the address that the PROXY protocol tells, which is known with the first byte."""
        world = World(connections_per_address=2, login_tries=1)
        first, second = (Peer(world.lobby, "10.0.0.1", "192.0.2.1") for _ in range(2))
        first.ok("PING")
        second.ok("PING")
        third = Peer(world.lobby, "10.0.0.1", "192.0.2.1")
        third.send("PING")
        self.assertEqual(([], True), (third.answers(), third.transport.aborted))
        third.lose()
        other = Peer(world.lobby, "10.0.0.1", "192.0.2.2")
        tries = [
            peer.code("LOGIN_PLAYER", username=f"{name}-x", password="wrong horse")
            for name, peer in zip("abcde", [first, second] * 2 + [first], strict=True)
        ]
        self.assertEqual([101, 101, 101, 101, 106], tries)
        self.assertEqual(101, other.code("LOGIN_PLAYER", username="alice", password="wrong horse"))
        first.lose()
        Peer(world.lobby, "10.0.0.1", "192.0.2.1").ok("PING")

    def test_counted(self) -> None:
        """Open connections, why they ended and what waits for them are counted."""
        peer = self.world.peer("alice")
        peer.ok("SUBSCRIBE", rooms=True)
        slow = self.world.peer()
        peer.pause()
        self.world.room(self.world.peer("bob"))
        slow.lose()
        text = self.world.metrics.render().decode()
        self.assertIn('gameroom_connections{door="lobby"} 2.0', text)
        self.assertIn('gameroom_closed_total{door="lobby",reason="done"} 1.0', text)
        self.assertGreater(peer.protocol.outbox.queued_bytes, 0)
        self.assertIn(f'gameroom_queued_bytes{{door="lobby"}} {peer.protocol.outbox.queued_bytes}.0', text)

    def test_nothing_is_left_behind(self) -> None:
        """A connection that is gone leaves no timer and no presence."""
        before = len(self.world.clock.getDelayedCalls())
        peer = self.world.peer("alice")
        self.world.peer().lose()
        peer.lose()
        self.world.clock.advance(5)
        self.assertEqual(before, len(self.world.clock.getDelayedCalls()))
        self.assertEqual(({}, []), (self.world.lobby.connections, self.world.presence.online()))

    def test_a_line_for_each_connection(self) -> None:
        """A connection has one line in the log, with the address, how long it was here and why it ended."""
        with capturedLogs() as events:
            peer = self.world.peer()
            self.world.clock.advance(2)
            peer.lose()
        self.assertEqual([formatEvent(event) for event in events], ["lobby connection of 192.0.2.1 ended after 2.0 s: done"])


class PipeliningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_one_write(self) -> None:
        """The answers to what came in one read go out in one write."""
        peer = self.world.peer()
        writes: list[bytes] = []
        self.patch(peer.transport, "write", writes.append)
        peer.raw(PING * 50)
        self.assertEqual([PONG * 50], writes)

    def test_again(self) -> None:
        """Who polls sends the same read again and again, and each is carried out: what was true the last time may not be so any more."""
        peer = self.world.peer("alice")
        asking, leaving = peer.line("WHOAMI"), peer.line("LOGOUT")
        for _ in range(3):
            peer.raw(asking)
        self.assertEqual([0, 0, 0], codes(peer))
        peer.raw(leaving)
        for _ in range(3):
            peer.raw(asking)
        self.assertEqual([0, 101, 101, 101], codes(peer))
        for size in range(1, len(PING)):
            peer.raw(PING[:size])
            peer.raw(PING[size:])
            peer.raw(PING)
        self.assertEqual([0, 0] * (len(PING) - 1), codes(peer))

    def test_again_for_the_last_time(self) -> None:
        """The same bad token three times ends the connection, as three different ones do."""
        peer = self.world.peer()
        for _ in range(3):
            peer.raw(b'{"type":"WHOAMI","token":"never issued"}\n')
        self.assertEqual([101, 101, 101], codes(peer))
        peer.raw(PING)
        self.assertEqual([], codes(peer))

    def test_again_waits(self) -> None:
        """A repeated read waits as others do, behind what waits already and for a peer that does not read."""
        peer = self.world.peer("alice")
        login = b'{"type":"LOGIN_PLAYER","payload":{"username":"alice","password":"correct horse"}}\n'
        peer.raw(PING)
        self.world.hashing.held = True
        peer.raw(login)
        peer.raw(PING)
        self.assertEqual([0], codes(peer))
        self.world.hashing.go_on()
        peer.raw(PING)
        self.assertEqual([0, 0, 0], codes(peer))
        peer.protocol.pauseProducing()
        peer.raw(PING)
        self.assertEqual([], codes(peer))
        peer.protocol.resumeProducing()
        self.assertEqual([0], codes(peer))

    def test_in_order(self) -> None:
        """Answers come in the order of the requests, also where one has to wait; what follows it is not begun before."""
        peer = self.world.peer("alice")
        self.world.hashing.held = True
        peer.raw(PING + b'{"type":"LOGIN_PLAYER","payload":{"username":"alice","password":"correct horse"}}\n' + peer.line("WHOAMI") + PING)
        self.assertEqual([{}], [answer["payload"] for answer in peer.answers()])
        self.world.hashing.go_on()
        # The log-in superseded the token that the next request was sent with.
        self.assertEqual([0, 105, 0], codes(peer))

    def test_token_looked_up(self) -> None:
        """A token that has to be looked up first is waited for; what follows stays behind it."""
        database = HeldDatabase(holding=False)
        world = World(database)
        alice = world.peer("alice")
        token, room_id = alice.token, world.room(alice)
        # After a restart of the daemon nothing is remembered.
        again = World(database)
        peer, other = again.peer(), again.peer()
        peer.token = other.token = token
        database.holding = True
        peer.raw(peer.line("WHOAMI") + peer.line("GET_ROOM", x=1) + PING)
        other.send("SUBSCRIBE", rooms=True)
        self.assertEqual([], codes(peer))
        other.lose()
        database.holding = False
        database.release_all()
        self.assertEqual([0, 100, 0], codes(peer))
        self.assertEqual({"online_players": ["alice"]}, peer.ok("LIST_PLAYERS"))
        peer.lose()
        self.assertEqual([], again.presence.online())
        # Who was gone when the SUBSCRIBE came to its turn is in no room.
        self.assertFalse(again.registry.here(room_id).refereed.is_connected("alice"))

    def test_waits_with_its_sender(self) -> None:
        """While a request waits, what comes is not read any further, and then it is."""
        peer = self.world.peer()
        self.world.hashing.held = True
        peer.send("REGISTER_PLAYER", username="alice", password="correct horse")
        self.assertEqual("producing", peer.transport.producerState)
        peer.raw(PING)
        self.assertEqual("paused", peer.transport.producerState)
        self.world.hashing.go_on()
        self.assertEqual("producing", peer.transport.producerState)
        self.assertEqual([0, 0], codes(peer))

    @settings(deadline=None, max_examples=50, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.integers(0, 400), max_size=12))
    def test_any_split(self, cuts: list[int]) -> None:
        """However the bytes of requests are split, they are answered the same."""
        lines = [
            PING.strip(),
            b"",
            b'{"type":"HELP"}\r',
            b"nonsense",
            b'{"type":"PING","payload":{"x":1}}',
            b"[1]",
            b'{"type":"NOPE"}',
            b"\xff\xfd\x03" + PING.strip(),
        ]
        stream = b"\n".join(lines) + b"\n"
        peer = self.world.peer()
        peer.raw(stream)
        whole = peer.transport.value()
        other = self.world.peer()
        places = sorted(min(cut, len(stream)) for cut in cuts)
        for start, end in zip([0, *places], [*places, len(stream)], strict=True):
            other.raw(stream[start:end])
        self.assertEqual(whole, other.transport.value())
        self.assertEqual([0, 0, 100, 100, 100, 100, 0], codes(peer))

    @settings(deadline=None, max_examples=50)
    @given(st.lists(st.binary(max_size=80).filter(lambda data: INTERRUPT not in data), max_size=5))
    def test_garbage(self, garbage: list[bytes]) -> None:
        """Whatever somebody sends, each line of it is answered 100 at most, and they and others are served on."""
        peer, other = self.world.peer(), self.world.peer()
        for data in garbage:
            peer.raw(data)
            self.assertEqual({}, other.ok("PING"))
        peer.raw(b"\n")
        self.assertLessEqual(set(codes(peer)), {100})
        self.assertEqual({}, peer.ok("PING"))
        peer.lose()
        other.lose()


class PageTests(SynchronousTestCase):
    def test_golden_bytes(self) -> None:
        """The exchange in docs/protocol/lobby.md is what is said, byte for byte."""
        page = (Path(__file__).parents[2] / "docs" / "protocol" / "lobby.md").read_bytes()
        [exchange] = re.findall(rb"```text\n(.*?)```", page, re.DOTALL)
        said = [line.split(b" ", 1) for line in exchange.splitlines()]
        peer = World().peer()
        self.assertGreater(len(said), 6)
        for (_, request), (_, answer) in zip(said[::2], said[1::2], strict=True):
            peer.raw(request + b"\n")
            self.assertEqual(answer + b"\n", peer.transport.value())
            peer.transport.clear()


class TelnetTests(SynchronousTestCase):
    def test_interrupt(self) -> None:
        """After Ctrl-C telnet shows nothing until its timing mark is answered; then the session goes on as before."""
        peer = World().peer()
        peer.raw(b"\xff\xf4\xff\xfd\x06")
        self.assertEqual(b"\xff\xfc\x06", peer.transport.value())
        peer.transport.clear()
        peer.raw(b'{"type":"PING"}\r\n')
        self.assertEqual(PONG, peer.transport.value())

    def test_nonsense(self) -> None:
        """Who types what is no request is told how to ask for help."""
        peer = World().peer()
        peer.raw(b"help\r\n")
        self.assertIn('{"type": "HELP"}', peer.answers()[0]["message"])


class HalfCloseTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()

    def test_all_answers_then_the_end(self) -> None:
        """`printf … | nc`: all answers, then the connection ends."""
        peer = self.world.peer()
        peer.raw(PING * 20)
        peer.protocol.readConnectionLost()
        self.assertEqual(([0] * 20, True), (codes(peer), peer.transport.lost))

    def test_last_line_without_its_end(self) -> None:
        """What a person forgot to end by a newline is a request all the same."""
        peer = self.world.peer()
        peer.raw(PING.strip())
        peer.protocol.readConnectionLost()
        self.assertEqual(([0], True), (codes(peer), peer.transport.lost))

    def test_while_one_waits(self) -> None:
        """The end waits for an answer that takes its time, and for those after it."""
        peer = self.world.peer()
        self.world.hashing.held = True
        peer.raw(peer.line("REGISTER_PLAYER", username="alice", password="correct horse") + PING)
        peer.protocol.readConnectionLost()
        self.assertFalse(peer.transport.lost)
        self.world.hashing.go_on()
        self.assertEqual(([0, 0], True), (codes(peer), peer.transport.lost))

    def test_slow_reader(self) -> None:
        """The end waits for a reader that takes its time."""
        peer = self.world.peer()
        peer.pause()
        peer.raw(PING)
        peer.protocol.readConnectionLost()
        self.assertEqual(([], False), (codes(peer), peer.transport.lost))
        peer.resume()
        self.assertEqual(([0], True), (codes(peer), peer.transport.lost))

    def test_without_a_word(self) -> None:
        """Who says nothing and goes is let go."""
        peer = self.world.peer()
        peer.protocol.readConnectionLost()
        self.assertTrue(peer.transport.lost)


class BackPressureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(queue_bytes=2000)

    def test_answers_wait(self) -> None:
        """Who does not read is not read from, and nothing of theirs is carried out; then it goes on."""
        peer = self.world.peer("alice")
        peer.pause()
        self.assertEqual("paused", peer.transport.producerState)
        peer.raw(peer.line("CREATE_ROOM", game_id="x") + PING * 3)
        self.assertEqual([], codes(peer))
        self.assertFalse(peer.protocol.outbox.queued_bytes)
        peer.resume()
        self.assertEqual("producing", peer.transport.producerState)
        self.assertEqual([103, 0, 0, 0], codes(peer))

    def test_stops_at_once(self) -> None:
        """Requests that are here already are left alone as soon as the transport is full."""
        peer = self.world.peer()
        help_size = len(json.dumps(peer.ok("HELP")))
        transport = peer.transport
        write = transport.write

        def full(data: bytes) -> None:
            write(data)
            if len(transport.value()) > 100_000:
                peer.pause()

        self.patch(transport, "write", full)
        peer.raw(b'{"type":"HELP"}\n' * 500)
        self.assertLess(len(transport.value()), 200_000)
        peer.answers()
        answered = 0
        while peer.protocol.outbox.paused:
            peer.resume()
            self.assertLess(len(transport.value()), 200_000 + help_size)
            answered += len(peer.answers())
        self.assertGreater(answered, 400)

    def test_answer_under_way(self) -> None:
        """An answer that comes while the reader does not read waits, whatever its size, and does not count."""
        self.world = World(queue_bytes=10)
        peer = self.world.peer()
        self.world.hashing.held = True
        peer.send("REGISTER_PLAYER", username="alice", password="correct horse")
        peer.pause()
        self.world.hashing.go_on()
        self.assertEqual([], codes(peer))
        peer.resume()
        self.assertEqual(([0], False), (codes(peer), peer.transport.lost))

    def test_pushes_queue(self) -> None:
        """Only pushes queue, in order; past `queue_bytes` that connection is cut and the others go on."""
        slow, quick, host = self.world.peer("slow"), self.world.peer("quick"), self.world.peer("host")
        for peer in (slow, quick):
            peer.ok("SUBSCRIBE", rooms=True)
        slow.pause()
        rooms = []
        for _ in range(2):
            rooms.append(self.world.room(host))
            host.ok("LEAVE_ROOM", room_id=rooms[-1])
        self.assertEqual([], slow.pushed())
        slow.resume()
        self.assertEqual(sorted(rooms), sorted({push["room"]["room_id"] for push in slow.pushed("ROOM_UPDATED")}))
        slow.pause()
        for _ in range(20):
            host.ok("LEAVE_ROOM", room_id=self.world.room(host))
        self.assertTrue(slow.transport.aborted)
        self.assertFalse(quick.transport.lost)
        self.assertGreaterEqual(len(quick.pushed("ROOM_UPDATED")), 44)
        slow.lose()
        self.assertIn('reason="too slow"', self.world.metrics.render().decode())


class LimitTests(SynchronousTestCase):
    def test_line_too_long(self) -> None:
        """A line over the limit is answered 100 after what came before it; then the connection ends, politely."""
        world = World(line_bytes=1000)
        peer = world.peer("alice")
        peer.answers()
        peer.raw(PING + b"x" * 1001 + b"\n" + PING)
        self.assertEqual([0, 100], codes(peer))
        self.assertTrue(peer.transport.write_lost)
        self.assertFalse(peer.transport.lost)
        peer.raw(PING * 3)
        self.assertEqual([], codes(peer))
        world.clock.advance(LINGER_SECONDS)
        self.assertTrue(peer.transport.aborted)

    def test_no_end_in_sight(self) -> None:
        """It need not be ended to be too long."""
        world = World(line_bytes=1000)
        peer = world.peer("alice")
        peer.answers()
        for _ in range(11):
            peer.raw(b"x" * 100)
        self.assertEqual([100], codes(peer))
        peer.protocol.readConnectionLost()
        self.assertTrue(peer.transport.lost)
        peer.lose()
        world.clock.advance(60)
        self.assertFalse(peer.transport.aborted)

    def test_strangers_lines(self) -> None:
        """Before the first valid token a line may have `unauthenticated_bytes`, from its answer on `line_bytes`."""
        world = World()
        stranger = world.peer()
        stranger.raw(b"x" * 16385 + b"\n")
        self.assertEqual(([100], True), (codes(stranger), stranger.transport.write_lost))
        peer = world.peer()
        long = b'{"type":"NOPE","payload":{"x":"' + b"x" * 500_000 + b'"}}\n'
        peer.raw(peer.line("REGISTER_PLAYER", username="alice", password="correct horse") + long + PING)
        self.assertEqual([0, 100, 0], codes(peer))

    def test_strangers_time(self) -> None:
        """Without a valid token a connection ends after a minute in all, whatever it says meanwhile."""
        world = World()
        silent, busy, known = world.peer(), world.peer(), world.peer("alice")
        for _ in range(59):
            world.clock.advance(1)
            busy.ok("PING")
        self.assertFalse(silent.transport.write_lost)
        world.clock.advance(1)
        self.assertEqual([True, True, False], [peer.transport.write_lost for peer in (silent, busy, known)])
        world.clock.advance(1000)
        known.ok("PING")

    def test_configured_time(self) -> None:
        """`unauthenticated_seconds` says otherwise."""
        world = World(unauthenticated_seconds=5.0)
        peer = world.peer()
        world.clock.advance(4)
        self.assertFalse(peer.transport.write_lost)
        world.clock.advance(1)
        self.assertTrue(peer.transport.write_lost)

    def test_lost_while_waiting(self) -> None:
        """A request whose sender has gone is carried out to its end, and nobody is present or told."""
        world = World()
        peer = world.peer()
        world.hashing.held = True
        peer.send("REGISTER_PLAYER", username="alice", password="correct horse")
        peer.lose()
        world.hashing.go_on()
        self.assertEqual((b"", []), (peer.transport.value(), world.presence.online()))
        world.peer().ok("LOGIN_PLAYER", username="alice", password="correct horse")


class EndingTests(SynchronousTestCase):
    def test_linger_is_only_for_those_who_still_send(self) -> None:
        """Who has half-closed already is not waited for."""
        world = World()
        peer = world.peer()
        peer.pause()
        peer.raw(b"x" * 20_000 + b"\n")
        peer.protocol.readConnectionLost()
        peer.resume()
        self.assertEqual(([100], True, False), (codes(peer), peer.transport.lost, peer.transport.write_lost))

    def test_who_never_reads_the_end(self) -> None:
        """A stranger who takes no answers is cut off, whether we end the connection or they do."""
        world = World()
        talker, leaver, silent = world.peer(), world.peer(), world.peer()
        for peer in (talker, leaver, silent):
            peer.pause()
            peer.raw(PING)
        talker.resume()
        talker.pause()
        talker.raw(b"x" * 20_000 + b"\n")
        leaver.protocol.readConnectionLost()
        world.clock.advance(60)
        self.assertEqual([False, False, False], [peer.transport.aborted for peer in (talker, leaver, silent)])
        world.clock.advance(LINGER_SECONDS)
        self.assertEqual([True, True, True], [peer.transport.aborted for peer in (talker, leaver, silent)])

    def test_going_down(self) -> None:
        """The door's end: what is under way is answered, nothing else is begun, and it is over when all are gone."""
        world = World()
        idle, busy, slow = world.peer("idle"), world.peer(), world.peer("slow")
        slow.pause()
        slow.raw(PING)
        world.hashing.held = True
        busy.raw(busy.line("REGISTER_PLAYER", username="busy", password="correct horse") + PING)
        idle.answers()
        stopped = world.lobby.stop()
        self.assertEqual([True, False, False], [peer.transport.lost for peer in (idle, busy, slow)])
        world.hashing.go_on()
        self.assertEqual(([0], True), (codes(busy), busy.transport.lost))
        idle.raw(PING)
        self.assertEqual([], codes(idle))
        idle.lose()
        busy.lose()
        self.assertNoResult(stopped)
        world.clock.advance(LINGER_SECONDS)
        self.assertTrue(slow.transport.aborted)
        slow.lose()
        self.successResultOf(stopped)
        self.successResultOf(world.lobby.stop())
        self.assertIn('reason="going down"', world.metrics.render().decode())

    def test_peer_shuts_its_reading_side(self) -> None:
        """A peer that takes no more is let go."""
        world = World()
        peer = world.peer("alice")
        peer.protocol.writeConnectionLost()
        self.assertTrue(peer.transport.lost)

    def test_reactor_order(self) -> None:
        """A transport that pauses its producer from inside of write finds it in order."""

        class Full(TCP):
            def write(self, data: bytes) -> None:
                super().write(data)
                producer: Any = self.producer
                producer.pauseProducing()

        world = World()
        protocol: Any = world.lobby.buildProtocol(IPv4Address("TCP", "192.0.2.1", 5))
        transport = Full(peerAddress=IPv4Address("TCP", "192.0.2.1", 5))
        protocol.makeConnection(transport)
        protocol.dataReceived(PING * 2)
        protocol.dataReceived(PING)
        self.assertEqual(PONG * 2, transport.value())
        protocol.resumeProducing()
        self.assertEqual(PONG * 3, transport.value())
        protocol.connectionLost(Failure(ConnectionDone()))


class FloodTests(SynchronousTestCase):
    """Requests without number do not take all of the reactor's time: other peers, and rooms, have theirs between them."""

    def setUp(self) -> None:
        self.world = World()
        self.reactor = Reactor()
        rounds = self.world.lobby.rounds = Rounds(self.reactor)
        rounds.seconds = self.seconds
        self.now = 0.0

    def seconds(self) -> float:
        """Each look at the time takes a little."""
        self.now += SLICE / 10
        return self.now

    def pongs(self, peer: Peer) -> int:
        return int(peer.transport.value().count(PONG))

    def test_many_at_once(self) -> None:
        """A peer that pipelines has some answers now and all of them in the rounds to come; meanwhile others are answered at once."""
        flooding, other = self.world.peer(), self.world.peer()
        flooding.raw(PING * 500)
        first = self.pongs(flooding)
        self.assertTrue(0 < first < 20, first)
        other.raw(PING)
        self.assertEqual(self.pongs(other), 1)
        rounds = 0
        while self.pongs(flooding) < 500:
            before = self.pongs(flooding)
            self.reactor.round()
            self.assertTrue(0 < self.pongs(flooding) - before < 100)
            rounds += 1
        self.assertGreater(rounds, 5)
        self.assertEqual(self.pongs(flooding), 500)

    def test_many_peers(self) -> None:
        """What all of them are given in a round is no more than what one is."""
        peers = [self.world.peer() for _ in range(50)]
        for peer in peers:
            peer.raw(PING * 20)
        self.assertLess(sum(map(self.pongs, peers)), 200)
        for _ in range(100):
            self.reactor.round()
        self.assertEqual({self.pongs(peer) for peer in peers}, {20})

    def test_waits_with_its_sender(self) -> None:
        """Who has not had its turn is not read further."""
        peer = self.world.peer()
        peer.raw(PING * 50)
        peer.raw(PING * 50)
        self.assertEqual(peer.transport.producerState, "paused")
        for _ in range(20):
            self.reactor.round()
        self.assertEqual((self.pongs(peer), peer.transport.producerState), (100, "producing"))

    def test_half_close(self) -> None:
        """Who has said all that it has to say is answered to the end, and the connection ends then."""
        peer = self.world.peer()
        peer.raw(PING * 50)
        peer.protocol.readConnectionLost()
        self.assertFalse(peer.transport.lost)
        for _ in range(20):
            self.reactor.round()
        self.assertEqual((self.pongs(peer), peer.transport.lost), (50, True))

    def test_lost(self) -> None:
        """A peer that is gone when its turn comes is answered nothing."""
        peer = self.world.peer()
        peer.raw(PING * 50)
        answered = self.pongs(peer)
        peer.protocol.connectionLost(Failure(ConnectionDone()))
        self.reactor.round()
        self.assertEqual(self.pongs(peer), answered)
