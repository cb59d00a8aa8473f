"""What the lobby tells without being asked: order, forms, and whose it is."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gameroom.doors import lobby_pushes
from gameroom.doors.lobby_pushes import LobbySeat, News, Unheard
from gameroom.interfaces import IConnection
from gameroom.wire.room_messages import Outgoing
from tests.doors.lobby_world import Peer, World


class Listener:
    """A subscription that notes what it is told, and does something at the first time."""

    def __init__(self, then: Any = None) -> None:
        self.told: list[tuple[str, bool]] = []
        self.then = then

    def room_changed(self, room: Any, closed: bool, line: bytes) -> None:
        self.told.append((room.room_id, closed))
        then, self.then = self.then, None
        if then is not None:
            then()


class NewsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.news = News(registry=self.world.registry, presence=self.world.presence, clock=self.world.clock, limits=lambda: self.world.limits)
        self.host = self.world.peer("host")

    def test_change_that_comes_of_telling(self) -> None:
        """Everybody hears of changes in the same order, also where hearing of one makes the next."""
        first: Listener = Listener(lambda: self.world.registry.leave(first.told[0][0], "host"))
        second = Listener()
        for listener in (first, second):
            self.news.rooms(listener, True)  # type: ignore[arg-type]
        self.host.send("CREATE_ROOM", game_id=self.world.game_id(self.host))
        self.assertEqual([False, True], [closed for _, closed in second.told])
        self.assertEqual(first.told, second.told)

    def test_entries_go_with_their_rooms(self) -> None:
        """What is kept of a room to be listed is let go with the room."""
        room_id = self.world.room(self.host)
        self.news.entry(self.world.registry.here(room_id))
        self.assertEqual([room_id], list(self.news._entries))
        self.host.ok("LEAVE_ROOM", room_id=room_id)
        self.assertEqual({}, self.news._entries)


class WholeListTests(SynchronousTestCase):
    """LIST_ROOMS as it is kept ready is what would be made anew."""

    def setUp(self) -> None:
        self.world = World()
        self.host, self.guest = self.world.peer("host"), self.world.peer("guest")

    def listed(self, peer: Peer) -> list[dict[str, Any]]:
        """The list, which a page of it that is made for this request alone must be, too."""
        whole = peer.ok("LIST_ROOMS")["rooms"]
        self.assertEqual(whole, peer.ok("LIST_ROOMS", limit=200)["rooms"])
        self.assertEqual(whole, peer.ok("LIST_ROOMS")["rooms"])
        return whole  # type: ignore[no-any-return]

    def test_every_change(self) -> None:
        """A room that is made, joined, left or gone is seen so at once."""
        self.assertEqual(self.listed(self.guest), [])
        room_id = self.world.room(self.host)
        self.assertEqual([room["players"] for room in self.listed(self.guest)], [["host"]])
        self.guest.ok("JOIN_ROOM", room_id=room_id)
        self.assertEqual([room["players"] for room in self.listed(self.guest)], [["host", "guest"]])
        self.host.ok("START_ROOM", room_id=room_id)
        self.assertEqual([room["status"] for room in self.listed(self.host)], ["PLAYING"])
        self.host.ok("LEAVE_ROOM", room_id=room_id)
        self.assertEqual([room["host"] for room in self.listed(self.guest)], ["guest"])
        self.guest.ok("LEAVE_ROOM", room_id=room_id)
        self.assertEqual(self.listed(self.host), [])

    def test_token_that_is_looked_up(self) -> None:
        """Also where the database has to be asked first who asks."""
        self.world.room(self.host)
        ready = self.listed(self.host)
        memory = self.world.accounts._sessions._memory
        for account_id in tuple(memory._of_account):
            memory.forget(account_id)
        self.assertEqual(len(memory), 0)
        self.assertEqual(self.host.ok("LIST_ROOMS")["rooms"], ready)

    def test_newest_first(self) -> None:
        """Newest first, and no more than a page."""
        made = [self.world.room(self.world.peer(f"host{number}")) for number in range(3)]
        self.assertEqual([room["room_id"] for room in self.listed(self.guest)], made[::-1])
        self.patch(lobby_pushes, "PAGE", 2)
        self.world.room(self.host)
        self.assertEqual(len(self.guest.ok("LIST_ROOMS")["rooms"]), 2)

    def test_private_rooms(self) -> None:
        """Who is in a private room sees it, and nobody else does, whoever asked before."""
        public = self.world.room(self.host)
        private = self.world.room(self.guest, public=False)
        for peer, rooms in ((self.host, [public]), (self.guest, [private, public]), (self.host, [public])):
            self.assertEqual([room["room_id"] for room in self.listed(peer)], rooms)
        self.guest.ok("LEAVE_ROOM", room_id=private)
        self.assertEqual([room["room_id"] for room in self.listed(self.guest)], [public])


class SeatTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.alice = self.world.peer("alice")
        self.room_id = self.world.room(self.alice)
        self.room = self.world.registry.here(self.room_id)
        self.alice.ok("SUBSCRIBE", rooms=True)
        [self.seat] = self.room.refereed.connections("alice")
        self.alice.pushed()

    def test_connections(self) -> None:
        """A lobby connection is one of its member's, beside others, and hears text alone."""
        self.assertIsInstance(self.seat, LobbySeat)
        for connection in (self.seat, Unheard(self.alice.protocol.conversation)):
            self.assertTrue(verifyObject(IConnection, connection))
            self.assertEqual(("lobby", False, False), (connection.door, connection.exclusive, connection.binary))

    def test_as_they_are(self) -> None:
        """A message goes out as the room wrote it, in one line whatever white space is in it; binary ones do not."""
        for data in (b'{"type":"game","body":1.0}', b'{"type":"game",\r\n"body":\n1.0}'):
            self.seat.deliver(Outgoing(data))
            self.assertEqual([{"room_id": self.room_id, "body": {"type": "game", "body": 1.0}}], self.alice.pushed("ROOM_MESSAGE"))
        self.seat.deliver(Outgoing(b"\x01\x02", binary=True))
        self.assertEqual([], self.alice.pushed())

    def test_history(self) -> None:
        """History comes at the reader's pace and before what is said meanwhile; binary pieces are left out."""
        pieces = [Outgoing.json({"n": 1}), Outgoing(b"\x01", binary=True), Outgoing.json({"n": 2}), None]
        self.alice.pause()
        self.seat.catch_up(iter(pieces).__next__)
        self.seat.deliver(Outgoing.json({"n": 3}))
        self.assertEqual([], self.alice.pushed())
        self.alice.resume()
        self.assertEqual([1, 2, 3], [push["body"]["n"] for push in self.alice.pushed("ROOM_MESSAGE")])

    def test_storm(self) -> None:
        """Who floods the room past all bounds is out of it and loses the connection."""
        self.room.floods.clear()
        self.world.limits = type(self.world.limits)(messages_per_second=1)
        for number in range(35):
            self.alice.send("ROOM_MESSAGE", room_id=self.room_id, body={"type": "ping", "t": number})
        self.assertTrue(self.alice.transport.write_lost)
        self.assertFalse(self.room.refereed.is_connected("alice"))

    def test_comes_back(self) -> None:
        """Who leaves a room and comes again is welcomed again."""
        bob = self.world.peer("bob")
        bob.ok("SUBSCRIBE", rooms=True)
        welcomes = 0
        for _ in range(2):
            bob.ok("JOIN_ROOM", room_id=self.room_id)
            self.world.clock.advance(0)
            welcomes += [push["body"]["type"] for push in bob.pushed("ROOM_MESSAGE")].count("welcome")
            bob.ok("LEAVE_ROOM", room_id=self.room_id)
            bob.pushed()
        self.assertEqual(2, welcomes)

    def test_two_accounts_on_one_connection(self) -> None:
        """Who speaks is whose token it is, whoever listens; and who subscribes later on the same connection takes its place."""
        peer, alices = self.alice, self.alice.token
        other = self.world.peer("bob")
        other.ok("JOIN_ROOM", room_id=self.room_id)
        peer.pushed()
        peer.token = other.token
        peer.ok("CHAT", room_id=self.room_id, text="hi")
        self.assertEqual(["bob"], [push["from"] for push in peer.pushed("CHAT")])
        peer.ok("SUBSCRIBE", presence=True)
        self.assertFalse(self.room.refereed.is_connected("alice"))
        other.ok("CHAT", room_id=self.room_id, text="ho")
        self.assertEqual([], peer.pushed())
        peer.token = alices
        peer.ok("WHOAMI")


class UnheardTests(SynchronousTestCase):
    def test_hears_nothing(self) -> None:
        """What a room says to a connection that has not asked goes nowhere."""
        peer: Peer = World().peer("alice")
        unheard = Unheard(peer.protocol.conversation)
        unheard.deliver(Outgoing(b"{}"))
        unheard.catch_up(lambda: self.fail("nobody wants to hear this"))
        unheard.close(None)
        self.assertEqual([], peer.pushed())
        peer.ok("PING")
