"""The registry of rooms, over a real schema in memory, and over a database that answers when it is told."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.entrance import Guest
from gameroom.errors import BadState, Conflict, Forbidden, InvalidRequest, NotFound, RateLimited, Unauthorized
from gameroom.room import LivingRoom
from gameroom.rules.room import PLAYING, SETUP, STARTING, remove, set_ready
from gameroom.rules.room_options import RoomRequest
from gameroom.rules.sessions import token_hash
from gameroom.store import DatabaseUnavailable
from gameroom.store import rooms as table
from gameroom.wire.room_messages import Hello
from tests.held import HeldDatabase
from tests.rooms import House, NotingConnection, NotingReferee, account

ANNA, BERT, CLEO = account("Anna"), account("Bert"), account("Cleo")


class RegistryTestCase(SynchronousTestCase):
    """A house, and short ways to do things in it."""

    def setUp(self) -> None:
        self.house = House(reconnect_window=60, room_ttl=120)
        self.registry = self.house.registry
        self.successResultOf(self.registry.start())

    def room(self, host: Any = None, **fields: Any) -> LivingRoom:
        return self.successResultOf(self.registry.create(self.house.request(**fields), host))

    def join(self, room: LivingRoom, who: Any, wish: str = "any") -> Any:
        return self.successResultOf(self.registry.join(room.room_id, who, wish))

    def connect(self, room: LivingRoom, user_id: str, door: str = "web", **hello: Any) -> NotingConnection:
        connection = NotingConnection(door)
        room.audience.attach(user_id, connection, reply_to=None, hello=Hello(**hello))
        return connection

    def ready(self, room: LivingRoom, *user_ids: str) -> None:
        for user_id in user_ids:
            self.successResultOf(room.apply(set_ready, user_id, True, None))

    def playing(self) -> tuple[LivingRoom, NotingConnection, NotingConnection]:
        """A room in which Anna and Bert play."""
        room = self.room(ANNA)
        self.join(room, BERT)
        connections = self.connect(room, "Anna"), self.connect(room, "Bert")
        self.ready(room, "Anna", "Bert")
        self.assertEqual(room.value.phase, PLAYING)
        return room, *connections

    def told(self) -> list[Any]:
        """What the newest room's referee was told since the last look."""
        referee = self.house.referees[-1]
        told, referee.told = referee.told, []
        return told

    def restarted(self) -> LivingRoom:
        """The only room, after the daemon was killed and started again."""
        self.successResultOf(self.registry.stop())
        self.house = self.house.restarted(reconnect_window=60, room_ttl=120)
        self.registry = self.house.registry
        self.successResultOf(self.registry.start())
        [room] = self.registry.everything()
        return room


class MakersTests(RegistryTestCase):
    """From where rooms are made."""

    def made(self, address: str, **how: Any) -> LivingRoom:
        return self.successResultOf(self.registry.create(self.house.request(), address=address, **how))

    def test_rooms_of_one_address(self) -> None:
        """An address has so many rooms at a time, of whichever accounts; others are not bounded by it, and a room that is gone makes room."""
        self.house.limits = attrs.evolve(self.house.limits, rooms_per_address=2)
        first = self.made("2001:db8::1")
        self.assertEqual(first.made_from, first.refereed.made_from)
        self.made("2001:db8::2", host=ANNA)
        for host in (None, BERT):
            error = self.failureResultOf(self.registry.create(self.house.request(), host, "2001:db8::3"), BadState).value
            self.assertIn("made from your address", error.message)
        self.made("192.0.2.1")
        first.close("test")
        self.made("2001:db8::4")

    def test_not_made(self) -> None:
        """A room that comes to nothing is not counted, nor is one whose maker is nobody's address."""
        self.house.limits = attrs.evolve(self.house.limits, rooms_per_address=1)
        for _ in range(3):
            self.failureResultOf(self.registry.create(RoomRequest(game_id="none", fields={}), address="192.0.2.1"), NotFound)
            self.made("")
        self.made("192.0.2.1")


class CreatingTests(RegistryTestCase):
    def test_of_a_game(self) -> None:
        """The host sits in seat 0, and the room is what the bundle and the request say."""
        room = self.room(ANNA, input_delay=5)
        self.assertEqual(room.lobby_entry(), {**room.lobby_entry(), "host": "Anna", "players": ["Anna"], "status": "WAITING", "version": "1.0.0"})
        self.assertEqual((room.options.input_delay, room.options.min_players, room.options.max_players), (5, 2, 4))
        self.assertEqual(room.join_view()["engine"]["page"], "/play/game/1.0.0/index.html")
        self.assertEqual(self.registry.seat_of("anna"), room.room_id)

    def test_of_an_engine(self) -> None:
        """A room of an engine of one's own has no game, and a seed that was drawn where none was given."""
        request = RoomRequest.from_json({"engine": {"source": "export {}", "media_type": "text/javascript"}})
        room = self.successResultOf(self.registry.create(request))
        self.assertEqual((room.lobby_entry()["game_id"], room.lobby_entry()["host"]), ("", ""))
        self.assertIn(room.options.seed, range(2**32))
        self.assertEqual(room.join_view()["engine"], {"url": f"/join/{room.room_id}/engine", "media_type": "text/javascript"})

    def test_where_programs_come_in(self) -> None:
        """A room that a GameServer plays is shown with the game port; others are played where they are shown."""
        self.assertNotIn("game_port", self.room(ANNA).join_view())
        house = House(kinds={"server": NotingReferee})
        house.catalogue.the = attrs.evolve(house.catalogue.the, hosting="server")
        shown = self.successResultOf(house.registry.create(house.request(), BERT)).join_view()
        self.assertEqual((shown["game_host"], shown["game_port"]), ("play.example", 7002))

    def test_refused(self) -> None:
        """Unknown games, games that are offline or that nobody hosts here, and hosts who sit elsewhere."""
        self.failureResultOf(self.registry.create(RoomRequest(game_id="none")), NotFound)
        self.failureResultOf(self.registry.create(self.house.request(max_players=9)), InvalidRequest)
        self.room(ANNA)
        self.failureResultOf(self.registry.create(self.house.request(), ANNA), BadState)
        game = self.house.catalogue.the
        for unplayable in (attrs.evolve(game, status="OFFLINE"), attrs.evolve(game, hosting="server")):
            self.house.catalogue.the = unplayable
            self.failureResultOf(self.registry.create(self.house.request()), BadState)

    def test_a_refused_host_is_free(self) -> None:
        """A room that could not be made keeps nobody's seat."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(), ANNA)
        self.failureResultOf(house.registry.create(house.request(), ANNA), BadState)
        held.fail(OSError("disk full"))
        self.failureResultOf(making, OSError)
        self.assertIsNone(house.registry.seat_of("anna"))

    def test_party(self) -> None:
        """A party code finds its room however it is typed; an address that guesses is stopped, others are not."""
        room = self.room(ANNA)
        code = room.value.party_code
        self.assertIs(self.successResultOf(self.registry.find_party(f" {code[:3].lower()}-{code[3:]}", "1.2.3.4")), room)
        for _ in range(3):
            self.failureResultOf(self.registry.find_party("BBBBBB", "1.2.3.4"), NotFound)
        failure = self.failureResultOf(self.registry.find_party(code, "1.2.3.4"), RateLimited)
        self.assertEqual(failure.value.retry_after, 60)
        self.successResultOf(self.registry.find_party(code, "5.6.7.8"))
        self.house.clock.advance(30)
        failure = self.failureResultOf(self.registry.find_party(code, "1.2.3.4"), RateLimited)
        self.assertEqual(failure.value.retry_after, 30)

    def test_lists(self) -> None:
        """Public rooms and one's own, newest first."""
        first, hidden, last = self.room(), self.room(ANNA, public=False), self.room()
        self.assertEqual(self.successResultOf(self.registry.rooms()), [last, first])
        self.assertEqual(self.successResultOf(self.registry.rooms(ANNA)), [last, hidden, first])
        self.assertEqual(self.successResultOf(self.registry.rooms(BERT)), [last, first])


class JoiningTests(RegistryTestCase):
    def test_one_seat_for_an_account(self) -> None:
        """Who is seated cannot take another seat, may watch elsewhere, and is free after leaving."""
        one, other = self.room(ANNA), self.room()
        self.failureResultOf(self.registry.join(other.room_id, ANNA), BadState)
        self.assertTrue(self.join(other, ANNA, "viewer").viewer)
        self.successResultOf(self.registry.leave(one.room_id, "Anna"))
        self.successResultOf(self.registry.sit(other.room_id, "Anna"))
        self.assertEqual(self.registry.seat_of("anna"), other.room_id)

    def test_again(self) -> None:
        """Joining where one sits keeps the seat, gives a new token and makes the old one void."""
        room = self.room(ANNA)
        first, second = self.join(room, ANNA), self.join(room, ANNA)
        self.assertEqual((first.seat, second.seat), (0, 0))
        self.assertEqual(room.by_token(second.token).user_id, "Anna")
        self.assertRaises(Unauthorized, room.by_token, first.token)
        self.assertRaises(Unauthorized, room.by_token, "")
        found, member = self.registry.by_seat_token(second.token)
        self.assertEqual((found, member.user_id), (room, "Anna"))
        for wrong in (first.token, "", "é", "x" * 1000):
            self.assertRaises(Unauthorized, self.registry.by_seat_token, wrong)
        self.successResultOf(self.registry.leave(room.room_id, "Anna"))
        self.assertRaises(Unauthorized, self.registry.by_seat_token, second.token)

    def test_guests(self) -> None:
        """Guests have ids of their own; their names are nobody's account and no other member's."""
        room = self.room()
        plain, named = self.join(room, Guest()), self.join(room, Guest(" Zoë "))
        self.assertEqual(plain.name, plain.user_id)
        self.assertEqual(named.name, "Zoë")
        for taken in ("Alice", "zoë"):
            self.failureResultOf(self.registry.join(room.room_id, Guest(taken)), Conflict)
        self.failureResultOf(self.registry.join(room.room_id, Guest("\u202eevil")), InvalidRequest)

    def test_kicked(self) -> None:
        """Who was kicked hears why and cannot come back."""
        room = self.room(ANNA)
        self.join(room, BERT)
        connection = self.connect(room, "Bert")
        self.failureResultOf(self.registry.kick(room.room_id, "Bert", "Anna"), Forbidden)
        self.successResultOf(self.registry.kick(room.room_id, "Anna", "Bert"))
        self.assertIsInstance(connection.closed[0], Forbidden)
        self.failureResultOf(self.registry.join(room.room_id, BERT), Forbidden)

    def test_two_at_once_for_one_seat(self) -> None:
        """While one join is being written another sees its seat as taken."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(max_players=1, min_players=1))
        held.release_all()
        room = self.successResultOf(making)
        first = house.registry.join(room.room_id, ANNA, "player")
        second = house.registry.join(room.room_id, BERT, "player")
        self.failureResultOf(second, BadState)
        self.assertNoResult(first)
        held.release_all()
        self.assertEqual(self.successResultOf(first).seat, 0)

    def test_one_account_into_two_rooms_at_once(self) -> None:
        """An account that joins two rooms in the same moment gets one seat."""
        held = HeldDatabase()
        house = House(held)
        rooms = []
        for _ in range(2):
            making = house.registry.create(house.request())
            held.release_all()
            rooms.append(self.successResultOf(making))
        first = house.registry.join(rooms[0].room_id, ANNA)
        self.failureResultOf(house.registry.join(rooms[1].room_id, ANNA), BadState)
        held.fail(OSError("disk full"))
        self.failureResultOf(first, OSError)
        self.assertFalse(rooms[0].has("Anna"))
        second = house.registry.join(rooms[1].room_id, ANNA)
        held.release_all()
        self.assertEqual(self.successResultOf(second).seat, 0)

    def test_last_one_out(self) -> None:
        """A room whose last member has left is gone at once, also from where it was kept, and watchers hear it once."""
        heard: list[Any] = []
        room = self.room(ANNA)
        self.registry.watch(lambda changed, closed: heard.append((changed, closed)))
        self.successResultOf(self.registry.leave(room.room_id, "Anna"))
        self.failureResultOf(self.registry.get(room.room_id), NotFound)
        self.failureResultOf(self.registry.find_party(room.value.party_code, "1.1.1.1"), NotFound)
        self.assertEqual(heard, [(room, True)])
        self.assertEqual(self.house.restarted().registry.everything(), [])


class AwayTests(RegistryTestCase):
    def test_window(self) -> None:
        """A dropped connection keeps its seat for the window, and not for longer."""
        room = self.room()
        self.join(room, ANNA)
        self.join(room, BERT)
        self.connect(room, "Anna")
        gone = self.connect(room, "Bert")
        room.audience.detach("Bert", gone)
        self.house.clock.pump([1] * 59)
        self.assertTrue(room.has("Bert"))
        self.house.clock.pump([1] * 2)
        self.assertFalse(room.has("Bert"))
        self.assertTrue(room.has("Anna"))
        self.assertIsNone(self.registry.seat_of("bert"))

    def test_back_in_time(self) -> None:
        """Who comes back within the window has a whole window again."""
        room = self.room(ANNA)
        self.house.clock.pump([1] * 50)
        room.audience.detach("Anna", self.connect(room, "Anna"))
        self.house.clock.pump([1] * 50)
        self.assertTrue(room.has("Anna"))

    def test_lobby_is_enough_while_it_waits(self) -> None:
        """An account with a lobby connection is connected in a room that waits."""
        room = self.room(ANNA)
        leave = self.house.presence.arrive("anna", "Anna", "lobby")
        self.assertTrue(room.join_view()["players"][0]["connected"])
        self.house.clock.pump([1] * 200)
        self.assertTrue(room.has("Anna"))
        leave()
        self.house.clock.pump([1] * 61)
        self.failureResultOf(self.registry.get(room.room_id), NotFound)

    def test_empty_room(self) -> None:
        """A room that nobody ever came to is closed after room_ttl."""
        room = self.room()
        self.house.clock.pump([1] * 119)
        self.successResultOf(self.registry.get(room.room_id))
        self.house.clock.pump([1] * 2)
        self.failureResultOf(self.registry.get(room.room_id), NotFound)

    def test_taken_over(self) -> None:
        """A newer connection at the web door takes over; one at the lobby stays beside it."""
        room = self.room(ANNA)
        lobby, old, new = self.connect(room, "Anna", "lobby"), self.connect(room, "Anna"), self.connect(room, "Anna")
        self.assertIsInstance(old.closed[0], BadState)
        self.assertEqual((lobby.closed, new.closed), ([], []))
        room.audience.detach("Anna", old)
        room.audience.detach("Anna", new)
        self.assertTrue(room.refereed.is_connected("Anna"))


class StartingTests(RegistryTestCase):
    def test_by_itself(self) -> None:
        """A lock-step room begins when enough players are connected and ready, and its members hear of it in order."""
        room = self.room(ANNA)
        self.join(room, BERT)
        anna, bert = self.connect(room, "Anna"), self.connect(room, "Bert")
        self.ready(room, "Anna")
        anna.take()
        self.ready(room, "Bert")
        self.assertEqual(anna.types(), ["players", "state"])
        self.assertEqual([what[0] for what in self.told()], ["begin", "begun"])
        self.assertEqual((room.value.status, [player.user_id for player in room.value.locked]), ("PLAYING", ["Anna", "Bert"]))
        self.assertIn("state", bert.types())

    def test_not_without_one_who_is_away(self) -> None:
        """Ready but not there is not enough."""
        room = self.room(ANNA)
        self.join(room, BERT)
        self.connect(room, "Anna")
        self.ready(room, "Anna", "Bert")
        self.assertEqual(room.value.phase, SETUP)
        self.connect(room, "Bert")
        self.assertEqual(room.value.phase, PLAYING)

    def test_host_starts(self) -> None:
        """The host's start locks the players at once; the play begins when they are ready; asking again is fine."""
        room = self.room(ANNA)
        self.failureResultOf(self.registry.start_room(room.room_id, "Anna"), BadState)
        self.join(room, BERT)
        self.failureResultOf(self.registry.start_room(room.room_id, "Bert"), Forbidden)
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        self.assertEqual((room.value.phase, room.lobby_entry()["status"], room.refereed.state), (STARTING, "PLAYING", "setup"))
        self.assertTrue(self.join(room, CLEO).viewer)
        self.successResultOf(room.refereed.configure({"map": 1}, "Anna"))
        self.connect(room, "Anna")
        self.connect(room, "Bert")
        self.ready(room, "Anna", "Bert")
        self.assertEqual(room.value.phase, PLAYING)
        self.assertEqual([what[0] for what in self.told()].count("begin"), 1)

    def test_offline_meanwhile(self) -> None:
        """A game that went offline starts no more; that is for the host to hear, and what plays already goes on."""
        room = self.room(ANNA)
        self.join(room, BERT)
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, status="OFFLINE")
        self.failureResultOf(self.registry.start_room(room.room_id, "Bert"), Forbidden)
        self.failureResultOf(self.registry.start_room(room.room_id, "Anna"), BadState)
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, status="ONLINE")
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        self.house.catalogue.the = attrs.evolve(self.house.catalogue.the, status="OFFLINE")
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))

    def test_too_few_left(self) -> None:
        """When a locked player leaves and too few stay, the lock is lifted at once and others can come again."""
        room = self.room(ANNA)
        self.join(room, BERT)
        anna = self.connect(room, "Anna")
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        anna.take()
        self.successResultOf(self.registry.leave(room.room_id, "Bert"))
        self.assertEqual((room.value.phase, room.value.status), (SETUP, "WAITING"))
        self.assertIn({"type": "state", "state": "setup", "reason": "start_failed"}, anna.take())
        self.assertEqual(self.join(room, CLEO).seat, 1)

    def test_start_fails(self) -> None:
        """Locked players who do not come lose their seats; with too few left the lock is lifted and members hear why."""
        room = self.room(ANNA)
        self.join(room, BERT)
        anna = self.connect(room, "Anna")
        self.ready(room, "Anna")
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        anna.take()
        self.house.clock.pump([1] * 61)
        self.assertEqual((room.value.phase, room.has("Bert"), room.has("Anna")), (SETUP, False, True))
        self.assertIn({"type": "state", "state": "setup", "reason": "start_failed"}, anna.take())

    def test_start_goes_on_without_late_ones(self) -> None:
        """Where enough are left, the play begins without those who did not come."""
        room = self.room(ANNA)
        for who in (BERT, CLEO):
            self.join(room, who)
        for user_id in ("Anna", "Bert"):
            self.connect(room, user_id)
        self.ready(room, "Anna", "Bert")
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        self.house.clock.pump([1] * 61)
        self.assertEqual((room.value.phase, room.has("Cleo")), (PLAYING, False))

    def test_referee_cannot_begin(self) -> None:
        """When the referee cannot begin, the room is in setup again, members hear it, and they may try again."""
        room = self.room(ANNA)
        self.join(room, BERT)
        anna = self.connect(room, "Anna")
        self.connect(room, "Bert")
        slow: Deferred[None] = Deferred()
        self.house.referees[-1].beginning = slow
        self.ready(room, "Anna", "Bert")
        anna.take()
        slow.errback(OSError("disk full"))
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertIn("start_failed", [message.get("reason") for message in anna.take()])
        self.assertEqual(room.value.phase, SETUP)
        self.house.referees[-1].beginning = None
        self.assertFalse(any(member.ready for member in room.value.members))
        self.ready(room, "Anna", "Bert")
        self.assertEqual(room.value.phase, PLAYING)

    def test_somebody_leaves_while_it_begins(self) -> None:
        """A slow start neither begins with one who is gone, nor begins twice."""
        room = self.room(ANNA)
        self.join(room, BERT)
        self.connect(room, "Anna")
        self.connect(room, "Bert")
        slow: Deferred[None] = Deferred()
        self.house.referees[-1].beginning = slow
        self.ready(room, "Anna", "Bert")
        self.successResultOf(self.registry.leave(room.room_id, "Bert"))
        slow.callback(None)
        self.assertEqual(room.value.phase, SETUP)
        self.assertEqual([what[0] for what in self.told()], ["begin", "end"])


class PlayingTests(RegistryTestCase):
    def test_locked_players_keep_their_seats(self) -> None:
        """Away in a play is told to the referee and costs no seat, as long as somebody is there."""
        room, _, bert = self.playing()
        self.told()
        room.audience.detach("Bert", bert)
        self.house.clock.pump([1] * 100)
        self.assertTrue(room.has("Bert"))
        self.connect(room, "Bert", play_id="p", last_generation=3)
        self.assertEqual(self.told(), [("disconnected", "Bert"), ("welcomed", "Bert", 3), ("connected", "Bert")])

    def test_chat(self) -> None:
        """In a play the referee may give what is said in its own time; in setup it is not asked."""
        room, anna, bert = self.playing()
        for connection in (anna, bert):
            connection.take()
        for text in ("aloud", "psst"):
            room.chat("Anna", text)
        self.assertEqual([message["text"] for message in bert.take()], ["aloud"])
        room.refereed.over("finished")
        bert.take()
        room.chat("Anna", "psst")
        self.assertEqual([message["text"] for message in bert.take()], ["psst"])

    def test_leaving(self) -> None:
        """Who leaves in a play is gone, and the referee knows the seat."""
        room, _, bert = self.playing()
        self.successResultOf(self.registry.leave(room.room_id, "Bert"))
        self.assertIn(("left", "Bert", 1, "left"), self.told())
        self.assertEqual(bert.closed, [None])

    def test_over(self) -> None:
        """After a play the party is in setup again, nobody is ready, and can play again."""
        room, anna, _ = self.playing()
        play_id = room.value.play_id
        anna.take()
        room.refereed.over("finished", {"winner": 0})
        room.refereed.over("finished", {"winner": 1})
        messages = anna.take()
        self.assertEqual(messages[0], {"type": "over", "reason": "finished", "play_id": play_id, "results": {"winner": 0}})
        self.assertEqual([message["type"] for message in messages], ["over", "state", "players"])
        self.assertEqual((room.value.status, room.value.play_id), ("WAITING", None))
        self.ready(room, "Anna", "Bert")
        self.assertNotEqual(room.value.play_id, play_id)

    def test_windows_begin_when_it_is_over(self) -> None:
        """Who was away in the play has a whole window from its end."""
        room, _, bert = self.playing()
        room.audience.detach("Bert", bert)
        self.house.clock.pump([1] * 50)
        room.refereed.over("finished")
        self.house.clock.pump([1] * 50)
        self.assertTrue(room.has("Bert"))
        self.house.clock.pump([1] * 11)
        self.assertFalse(room.has("Bert"))

    def test_all_gone(self) -> None:
        """A play that nobody is connected to is closed after room_ttl, with its room."""
        room, anna, bert = self.playing()
        room.audience.detach("Anna", anna)
        room.audience.detach("Bert", bert)
        self.house.clock.pump([1] * 119)
        self.successResultOf(self.registry.get(room.room_id))
        self.house.clock.pump([1] * 2)
        self.failureResultOf(self.registry.get(room.room_id), NotFound)
        self.assertIn(("end",), self.told())

    def test_recordings_are_for_those_who_played(self) -> None:
        """Who was there may read the play; others may not; of an unknown play nothing is known."""
        room, _, _ = self.playing()
        viewer = self.join(room, CLEO)
        play_id = room.value.play_id or ""
        for asked, answer in (
            ({"account_key": "anna"}, True),
            ({"account_key": "nobody"}, False),
            ({"token_hash": token_hash(viewer.token)}, True),
        ):
            self.assertEqual(self.successResultOf(self.registry.may_read_play(play_id, **asked)), answer)
        self.assertIsNone(self.successResultOf(self.registry.may_read_play("none", account_key="anna")))


class RestartTests(RegistryTestCase):
    def test_killed_behind_the_last_one(self) -> None:
        """A room whose last member left just before the daemon was killed does not come back; one that nobody came to yet does."""
        new = self.room()
        left = self.room(ANNA)
        after = remove(left.value, ["Anna"])
        self.successResultOf(self.house.database.interact(table.save, left.value, after))
        house = self.house.restarted()
        self.successResultOf(house.registry.start())
        self.assertEqual([room.room_id for room in house.registry.everything()], [new.room_id])
        self.assertEqual([room.room_id for room in self.successResultOf(self.house.database.interact(table.load_all))], [new.room_id])

    def test_setup(self) -> None:
        """Seats, host, configuration, revision, tokens and bans survive; windows count from readiness."""
        room = self.room(ANNA)
        bert = self.join(room, BERT)
        self.join(room, CLEO)
        self.successResultOf(self.registry.kick(room.room_id, "Anna", "Cleo"))
        self.successResultOf(room.refereed.configure({"map": "big"}, "Anna"))
        value = room.value
        self.successResultOf(self.registry.stop())
        self.house.clock.advance(1000)
        again = self.restarted()
        self.assertEqual(again.value, value)
        self.assertEqual(again.by_token(bert.token).seat, 1)
        self.assertIs(self.registry.by_seat_token(bert.token)[0], again)
        self.assertEqual(self.registry.seat_of("bert"), room.room_id)
        self.house.clock.pump([1] * 50)
        self.assertTrue(again.has("Bert"))

    def test_play(self) -> None:
        """A play is taken up with the same players, everyone away."""
        self.playing()
        room = self.restarted()
        self.assertEqual(self.told(), [("restore", ["Anna", "Bert"])])
        self.assertEqual(room.value.phase, PLAYING)
        self.connect(room, "Anna")
        self.assertEqual(self.told(), [("welcomed", "Anna", None), ("connected", "Anna")])

    def test_play_that_is_lost(self) -> None:
        """A play that cannot be taken up is over, and its party can play again."""
        self.playing()
        house = self.house.restarted()
        made = house._referee

        def broken(room: Any) -> Any:
            referee = made(room)
            referee.restoring = ValueError("no recording")
            return referee

        house.registry._referees = {"lockstep": broken}
        self.successResultOf(house.registry.start())
        self.assertEqual([room.value.phase for room in house.registry.everything()], [SETUP])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_start_that_was_under_way(self) -> None:
        """A room that was starting goes on starting, and gives up after a window as it would have."""
        room = self.room(ANNA)
        self.join(room, BERT)
        self.successResultOf(self.registry.start_room(room.room_id, "Anna"))
        again = self.restarted()
        anna = self.connect(again, "Anna")
        self.house.clock.pump([1] * 61)
        self.assertEqual(again.value.phase, SETUP)
        self.assertIn("start_failed", [message.get("reason") for message in anna.take()])


class DrainTests(RegistryTestCase):
    def test_drain(self) -> None:
        """Nothing new begins; what plays is waited for; members are told."""
        room, anna, _ = self.playing()
        anna.take()
        drained = self.registry.drain()
        self.assertEqual(anna.take()[0]["reason"], "going_down")
        self.assertNoResult(drained)
        self.failureResultOf(self.registry.create(self.house.request()), BadState)
        room.refereed.over("finished")
        self.successResultOf(drained)
        self.failureResultOf(self.registry.start_room(room.room_id, "Anna"), BadState)
        self.ready(room, "Anna", "Bert")
        self.assertEqual(room.value.phase, SETUP)

    def test_nothing_plays(self) -> None:
        """Where nothing plays there is nothing to wait for."""
        self.successResultOf(self.registry.drain())


class DurabilityTests(SynchronousTestCase):
    def test_told_when_durable(self) -> None:
        """A change is told and answered when it is durable and not before; several make one transaction."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(), ANNA)
        held.release_all()
        room = self.successResultOf(making)
        connection = NotingConnection()
        room.audience.attach("Anna", connection, reply_to=None, hello=Hello())
        connection.take()
        changes = [room.refereed.configure({"n": n}, "Anna") for n in range(3)]
        self.assertEqual((connection.take(), room.value.configuration), ([], {}))
        held.release()
        self.assertEqual([message["revision"] for message in connection.take()], [1])
        held.release()
        self.assertEqual([message["revision"] for message in connection.take()], [2, 3])
        for change in changes:
            self.successResultOf(change)
        self.assertEqual((room.value.configuration, held.waiting), ({"n": 2}, []))

    def test_taken_back(self) -> None:
        """What could not be saved is taken back, with what was built on it; later changes work again."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(), ANNA)
        held.release_all()
        room = self.successResultOf(making)
        first, second = room.refereed.configure({"a": 1}, "Anna"), room.refereed.configure({"b": 1}, "Anna")
        held.fail(OSError("disk full"))
        self.failureResultOf(first, OSError)
        self.failureResultOf(second, OSError)
        third = room.refereed.configure({"c": 1}, "Anna")
        held.release_all()
        self.successResultOf(third)
        self.assertEqual((room.value.configuration, room.value.revision), ({"c": 1}, 1))

    def test_nothing_new_is_confirmed_with_what_it_rests_on(self) -> None:
        """Saying again what is just being saved is acknowledged when that is saved, and fails with it."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(), ANNA)
        held.release_all()
        room = self.successResultOf(making)
        first, second = (room.apply(set_ready, "Anna", True, None) for _ in range(2))
        self.assertNoResult(second)
        held.fail(OSError("disk full"))
        self.failureResultOf(first, OSError)
        self.failureResultOf(second, OSError)

    def test_closed_while_somebody_joins(self) -> None:
        """A join that is saved when its room is gone already leaves no seat behind."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request())
        held.release_all()
        room = self.successResultOf(making)
        joining = house.registry.join(room.room_id, ANNA)
        room.close("a test says so")
        held.release_all()
        self.failureResultOf(joining, NotFound)
        self.assertIsNone(house.registry.seat_of("anna"))
        self.assertEqual(held.waiting, [])

    def test_last_one_leaves_while_somebody_joins(self) -> None:
        """A join behind the last one's leaving is told that the room is gone."""
        held = HeldDatabase()
        house = House(held)
        making = house.registry.create(house.request(), ANNA)
        held.release_all()
        room = self.successResultOf(making)
        leaving, joining = house.registry.leave(room.room_id, "Anna"), house.registry.join(room.room_id, BERT)
        held.release_all()
        self.successResultOf(leaving)
        self.failureResultOf(joining, NotFound)
        self.assertIsNone(house.registry.seat_of("bert"))

    def test_gone_while_the_database_is_away(self) -> None:
        """A room that could not be deleted is deleted once the database is back; until then its members' seats would be taken."""
        held = HeldDatabase()
        house = House(held)
        starting = house.registry.start()
        making = house.registry.create(house.request(), ANNA)
        held.release_all()
        self.successResultOf(starting)
        self.successResultOf(making).close("a test says so")
        for _ in range(2):
            held.fail(DatabaseUnavailable("away"))
            self.assertEqual(held.waiting, [])
            house.clock.advance(1)
        again = house.registry.create(house.request(), ANNA)
        held.release_all()
        self.successResultOf(again)

    def test_not_known_whether_it_was_saved(self) -> None:
        """Where the database was lost while it committed, what is kept becomes again what is told, by itself."""
        held = HeldDatabase()
        house = House(held)
        starting = house.registry.start()
        making = [house.registry.create(house.request()) for _ in range(2)]
        held.release_all()
        self.successResultOf(starting)
        room, other = (self.successResultOf(made) for made in making)
        joining = house.registry.join(room.room_id, ANNA)
        held.fail_after_commit(DatabaseUnavailable("lost while it committed"))
        self.failureResultOf(joining, DatabaseUnavailable)
        self.assertFalse(room.has("Anna"))
        house.clock.advance(1)
        self.assertEqual(len(held.waiting), 1)
        held.release_all()
        house.clock.pump([0.1] * 20)
        self.assertEqual(held.waiting, [])
        joining = house.registry.join(other.room_id, ANNA)
        held.release_all()
        self.assertEqual(self.successResultOf(joining).seat, 0)
        kept = self.successResultOf(held.database.interact(table.load_all))
        self.assertEqual({value.room_id: value for value in kept}, {room.room_id: room.value, other.room_id: other.value})

    def test_the_end_of_a_play_is_tried_again(self) -> None:
        """A play whose end could not be saved is over as soon as it can be, and is over once."""
        held = HeldDatabase(holding=False)
        house = House(held)
        self.successResultOf(house.registry.start())
        room = self.successResultOf(house.registry.create(house.request(), ANNA))
        self.successResultOf(house.registry.join(room.room_id, BERT))
        connections = [NotingConnection(), NotingConnection()]
        for user_id, connection in zip(("Anna", "Bert"), connections, strict=True):
            room.audience.attach(user_id, connection, reply_to=None, hello=Hello())
            self.successResultOf(room.apply(set_ready, user_id, True, None))
        held.holding = True
        connections[0].take()
        room.refereed.over("finished")
        held.fail(DatabaseUnavailable("the disk is full"))
        self.assertEqual((room.value.phase, connections[0].take()), (PLAYING, []))
        held.holding = False
        house.clock.pump([0.1] * 15)
        self.assertEqual(connections[0].types().count("over"), 1)
        self.assertEqual(room.value.phase, SETUP)
