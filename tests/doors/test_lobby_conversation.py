"""What a lobby peer may say, and what it is answered."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.line_conversation import Desk
from gameroom.registry import Guest
from gameroom.store import DatabaseUnavailable
from gameroom.wire.lobby import LOBBY
from tests.doors.lobby_world import Peer, World


class AccountTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.peer = self.world.peer()

    def test_register_and_log_in(self) -> None:
        """Both answer a session token; the name typed is shown; a newer log-in supersedes, with 105 on any connection."""
        first = self.peer.ok("REGISTER_PLAYER", username="Alice", password="correct horse")
        self.assertEqual(["session_token"], list(first))
        self.peer.token = first["session_token"]
        self.assertEqual({"username": "Alice", "role": "player", "room_id": None}, self.peer.ok("WHOAMI"))
        other = self.world.peer()
        other.token = other.ok("LOGIN_PLAYER", username="alice", password="correct horse")["session_token"]
        self.assertEqual("Alice", other.ok("WHOAMI")["username"])
        for peer in (self.peer, self.world.peer()):
            peer.token = first["session_token"]
            self.assertEqual([105, 105], [peer.code("WHOAMI"), peer.code("WHOAMI")])

    def test_log_in_refused(self) -> None:
        """An unknown user and a wrong password have the same answer; a taken name is 104, a bad one 100."""
        self.peer.ok("REGISTER_PLAYER", username="alice", password="correct horse")
        wrong = self.peer.ask("LOGIN_PLAYER", username="alice", password="wrong horse")
        self.assertEqual((101, {}), (wrong["code"], wrong["payload"]))
        self.assertEqual(wrong, self.peer.ask("LOGIN_PLAYER", username="nobody", password="wrong horse"))
        self.assertEqual(104, self.peer.code("REGISTER_PLAYER", username="ALICE", password="correct horse"))
        self.assertEqual(100, self.peer.code("REGISTER_PLAYER", username="a/b", password="correct horse"))

    def test_rate_limited(self) -> None:
        """106 carries `retry_after` and nothing else."""
        self.world.limits = type(self.world.limits)(login_tries=1)
        answers = [self.peer.ask("LOGIN_PLAYER", username="bob", password="wrong horse") for _ in range(2)]
        self.assertEqual(106, answers[-1]["code"])
        self.assertEqual(["retry_after"], list(answers[-1]["payload"]))

    def test_log_out(self) -> None:
        """From its answer on the token is 101."""
        peer = self.world.peer("alice")
        peer.ok("LOGOUT")
        self.assertEqual(101, peer.code("LOGOUT"))

    def test_change_password(self) -> None:
        """The session that asked goes on, the old password does not."""
        peer = self.world.peer("alice")
        self.assertEqual(101, peer.code("CHANGE_PASSWORD", old_password="wrong horse", new_password="battery staple"))
        peer.ok("CHANGE_PASSWORD", old_password="correct horse", new_password="battery staple")
        peer.ok("WHOAMI")
        self.assertEqual(101, self.peer.code("LOGIN_PLAYER", username="alice", password="correct horse"))
        self.peer.ok("LOGIN_PLAYER", username="alice", password="battery staple")

    def test_presence(self) -> None:
        """A connection that used an account's token makes it present, once, until the connection or the session ends."""
        alice = self.world.peer("alice")
        bob = self.world.peer("Bob")
        second = self.world.peer()
        second.token = alice.token
        self.assertEqual({"online_players": ["Bob", "alice"]}, second.ok("LIST_PLAYERS"))
        alice.lose()
        self.assertEqual({"online_players": ["Bob", "alice"]}, bob.ok("LIST_PLAYERS"))
        second.lose()
        self.assertEqual({"online_players": ["Bob"]}, bob.ok("LIST_PLAYERS"))
        carol = self.world.peer("carol")
        carol.ok("LOGOUT")
        self.assertEqual({"online_players": ["Bob"]}, bob.ok("LIST_PLAYERS"))

    def test_two_accounts_on_one_connection(self) -> None:
        """The token says who asks: one connection may be used by several."""
        alice = self.world.peer("alice")
        token = alice.token
        alice.token = alice.ok("REGISTER_PLAYER", username="bob", password="correct horse")["session_token"]
        self.assertEqual("bob", alice.ok("WHOAMI")["username"])
        alice.token = token
        self.assertEqual("alice", alice.ok("WHOAMI")["username"])
        self.assertEqual(["alice", "bob"], alice.ok("LIST_PLAYERS")["online_players"])

    def test_without_token(self) -> None:
        """HELP and PING need none, and a bad one does not disturb them or a log-in."""
        self.peer.token = "nonsense"
        self.assertEqual({}, self.peer.ok("PING"))
        self.assertEqual(set(LOBBY.commands), {entry["type"] for entry in self.peer.ok("HELP")["commands"]})
        self.peer.ok("REGISTER_PLAYER", username="alice", password="correct horse")


class OrderOfChecksTests(SynchronousTestCase):
    """JSON, envelope and type; token; payload; existence; ownership; state."""

    def setUp(self) -> None:
        self.world = World(unauthenticated_tries=1000)
        self.alice = self.world.peer("alice")

    def answer(self, line: bytes) -> dict[str, Any]:
        peer = self.world.peer()
        peer.raw(line + b"\n")
        [answer] = peer.answers()
        self.assertEqual({"status", "code", "message", "payload"}, answer.keys())
        self.assertFalse(peer.transport.lost)
        return answer

    def test_envelope_before_token(self) -> None:
        """What is no request is 100, whatever its token."""
        for line in (
            b"x",
            b"[]",
            b'{"type":"NOPE","token":"x"}',
            b'{"type":"WHOAMI","token":5}',
            b'{"type":"WHOAMI","x":1}',
            b'{"type":"WHOAMI","payload":5}',
        ):
            self.assertEqual(100, self.answer(line)["code"], line)

    def test_token_before_payload(self) -> None:
        """Without a good token a bad payload is not looked at: 101, 105 or 102."""
        self.assertEqual(101, self.answer(b'{"type":"GET_ROOM","payload":{"x":1}}')["code"])
        self.assertEqual(101, self.answer(b'{"type":"GET_ROOM","token":"","payload":{"x":1}}')["code"])
        self.assertEqual(101, self.answer(b'{"type":"GET_ROOM","token":"nonsense","payload":{"x":1}}')["code"])
        old = self.alice.token
        self.alice.ok("LOGIN_PLAYER", username="alice", password="correct horse")
        self.alice.token = old
        self.assertEqual(105, self.alice.code("GET_ROOM", x=1))
        token = self.successResultOf(self.world.accounts.register("developer", "dev", "correct horse", "192.0.2.9"))
        self.alice.token = token
        self.assertEqual(102, self.alice.code("GET_ROOM", x=1))

    def test_payload_before_existence(self) -> None:
        """A wrong field is 100 though the room does not exist either."""
        self.assertEqual(100, self.alice.code("GET_ROOM", room_id="nope", x=1))
        self.assertEqual(100, self.alice.code("GET_ROOM", room_id=5))
        self.assertEqual(100, self.alice.code("GET_ROOM"))
        self.assertEqual(100, self.alice.code("WHOAMI", x=1))
        self.assertEqual(100, self.alice.code("KICK", room_id="nope"))

    def test_existence_before_ownership_and_state(self) -> None:
        """An unknown room or game is 103 for every command that names one."""
        for type_, more in (
            ("GET_ROOM", {}), ("JOIN_ROOM", {}), ("LEAVE_ROOM", {}), ("START_ROOM", {}), ("KICK", {"player": "x"}), ("CHAT", {"text": "x"}),
            ("ROOM_MESSAGE", {"body": {}}),
        ):  # fmt: skip
            self.assertEqual(103, self.alice.code(type_, room_id="nope", **more), type_)
        for game_id in ("nope", "", "\0", "ä" * 100):
            self.assertEqual(103, self.alice.code("GET_GAME_DETAIL", game_id=game_id))
            self.assertEqual(103, self.alice.code("LATEST_VERSION", game_id=game_id))
            self.assertEqual(103, self.alice.code("CREATE_ROOM", game_id=game_id))
        self.assertEqual(103, self.alice.code("JOIN_PARTY", party_code="BBBBBB"))
        self.assertEqual(103, self.alice.code("LIST_ROOMS", before="nope"))

    def test_ownership_before_state(self) -> None:
        """Not the host is 102 though the room could not start either; not a member is 102 for what members say."""
        room_id = self.world.room(self.alice)
        bob = self.world.peer("bob")
        self.assertEqual(102, bob.code("START_ROOM", room_id=room_id))
        self.assertEqual(102, bob.code("KICK", room_id=room_id, player="alice"))
        self.assertEqual(103, bob.code("KICK", room_id=room_id, player="nobody"))
        self.assertEqual(102, bob.code("CHAT", room_id=room_id, text="x"))
        self.assertEqual(102, bob.code("ROOM_MESSAGE", room_id=room_id, body={"type": "ready", "ready": True}))
        self.assertEqual(105, self.alice.code("START_ROOM", room_id=room_id))
        self.assertEqual(105, bob.code("LEAVE_ROOM", room_id=room_id))

    def test_three_strangers_tries(self) -> None:
        """Three answers 101 before the first valid token end the connection after the third; other errors do not count."""
        self.world.limits = type(self.world.limits)()
        peer = self.world.peer()
        codes = [peer.code("WHOAMI"), peer.code("PING"), peer.code("NOPE"), peer.code("LOGIN_PLAYER", username="x", password="wrong horse")]
        self.assertEqual(([101, 0, 100, 101], False), (codes, peer.transport.write_lost))
        peer.raw(peer.line("WHOAMI") + peer.line("PING"))
        self.assertEqual([101], [answer["code"] for answer in peer.answers()])
        self.assertTrue(peer.transport.write_lost)

    def test_known_peer_may_err(self) -> None:
        """After a valid token any number of 101 is just answered."""
        self.world.limits = type(self.world.limits)()
        token = self.alice.token
        self.alice.token = "nonsense"
        self.assertEqual({101}, {self.alice.code("WHOAMI") for _ in range(10)})
        self.alice.token = token
        self.alice.ok("WHOAMI")

    def test_every_command_is_carried_out(self) -> None:
        """A command without what carries it out, or the other way round, is found when the door is made."""
        desk = self.alice.protocol.conversation.desk
        self.assertRaises(
            ValueError, Desk, **{**{name: getattr(desk, name) for name in ("door", "role", "table", "accounts", "limits", "arrive")}, "handlers": {}}
        )


class RepeatedTests(SynchronousTestCase):
    """A peer that says the same again is understood as before, for as long as that is so."""

    def setUp(self) -> None:
        self.world = World()
        self.alice = self.world.peer("alice")

    def test_another_token(self) -> None:
        """The token that stands in the line counts, not the one of the line before."""
        bob = self.world.peer("bob")
        self.assertEqual(self.alice.ok("WHOAMI")["username"], "alice")
        self.alice.token, mine = bob.token, self.alice.token
        self.assertEqual(self.alice.ok("WHOAMI")["username"], "bob")
        self.alice.token = mine
        self.assertEqual(self.alice.ok("WHOAMI")["username"], "alice")

    def test_session_that_ends(self) -> None:
        """What was answered once is not answered once the session has ended, though the line is the same."""
        for _ in range(3):
            self.assertEqual(self.alice.code("LIST_ROOMS"), 0)
        again = self.world.peer()
        again.ok("LOGIN_PLAYER", username="alice", password="correct horse")
        self.assertEqual([self.alice.code("LIST_ROOMS") for _ in range(3)], [105, 105, 105])

    def test_refused_again(self) -> None:
        """What was refused is refused again, and counted each time."""
        for _ in range(3):
            self.assertEqual(self.alice.code("PING", extra=1), 100)
            self.assertEqual(self.alice.code("PING"), 0)
        shown = self.world.metrics.render().decode()
        for code in ("100", "0"):
            self.assertIn(f'gameroom_requests_total{{code="{code}",door="lobby",type="PING"}} 3.0', shown)

    def test_forgotten(self) -> None:
        """Nothing of it is kept when the connection is gone, and long lines are not kept at all."""
        conversation = self.alice.protocol.conversation
        self.alice.raw(b'{"type":"PING"' + b" " * 300 + b"}\n")
        self.assertNotIn(b" " * 300, conversation._same_line)
        self.alice.ok("PING")
        self.assertIsNotNone(conversation._same)
        self.alice.lose()
        self.assertIsNone(conversation._same)


class FailureTests(SynchronousTestCase):
    def test_incident(self) -> None:
        """An error of ours is 199 with an incident that finds the traceback in the log, and tells nothing of it."""
        world = World()
        peer = world.peer("alice")
        self.patch(world.presence, "online", lambda: 1 // 0)
        self.patch(world.registry, "rooms", lambda account: fail(DatabaseUnavailable("postgres://secret is gone")))
        for type_, payload, error in (("LIST_PLAYERS", {}, ZeroDivisionError), ("LIST_ROOMS", {"limit": 5}, DatabaseUnavailable)):
            answer = peer.ask(type_, **payload)
            self.assertEqual((199, {"incident": "incident-1"}), (answer["code"], answer["payload"]))
            self.assertNotIn("secret", str(answer))
            [failure] = self.flushLoggedErrors(error)
            self.assertIsNotNone(failure.getTraceback())
        peer.ok("PING")

    def test_nested_too_deeply(self) -> None:
        """A body that can be read but not be passed on is refused as the sender's fault."""
        world = World()
        alice = world.peer("alice")
        room_id = world.room(alice)
        alice.ok("SUBSCRIBE", rooms=True)
        body: dict[str, Any] = {}
        for _ in range(900):
            body = {"a": body}
        # Built by hand: what writes the requests of these tests does not go so deep either.
        inner = b'{"a":' * 900 + b"{}" + b"}" * 900
        line = alice.line("ROOM_MESSAGE", room_id=room_id, body={"x": 0}).replace(b'{"x":0}', inner)
        alice.answers()
        alice.raw(line)
        self.assertEqual([100], [answer["code"] for answer in alice.answers()])

    def test_counted(self) -> None:
        """Requests are counted by declared type and code; a stranger's words are no type."""
        world = World()
        peer = world.peer()
        peer.ask("PING")
        peer.ask("MY_OWN_WORD")
        text = world.metrics.render().decode()
        self.assertIn('gameroom_requests_total{code="0",door="lobby",type="PING"} 1.0', text)
        self.assertNotIn("MY_OWN_WORD", text)


class RoomTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.alice = self.world.peer("Alice")
        self.bob = self.world.peer("bob")

    def test_games(self) -> None:
        """LIST_GAMES, GET_GAME_DETAIL and LATEST_VERSION have just the seed's fields."""
        [game] = self.alice.ok("LIST_GAMES")["games"]
        self.assertEqual({"game_id", "name", "status", "latest_version", "avg_score"}, game.keys())
        self.assertEqual(("Dots", "ONLINE", "1.0.0", None), (game["name"], game["status"], game["latest_version"], game["avg_score"]))
        detail = self.alice.ok("GET_GAME_DETAIL", game_id=game["game_id"])
        wanted = {"game_id", "name", "description", "game_type", "max_players", "status", "latest_version", "avg_score", "reviews_sample"}
        self.assertEqual(wanted, detail.keys())
        latest = self.alice.ok("LATEST_VERSION", game_id=game["game_id"])
        self.assertEqual({"version", "size_bytes", "checksum"}, latest.keys())
        self.assertEqual("1.0.0", latest["version"])
        self.assertGreater(latest["size_bytes"], 0)
        self.assertRegex(latest["checksum"], "^[0-9a-f]{64}$")
        self.assertEqual([], self.alice.ok("LIST_GAMES", before=game["game_id"], limit=5)["games"])
        self.assertEqual(100, self.alice.code("LIST_GAMES", limit=0))

    def test_seeds_flow(self) -> None:
        """Create, list, join, start, leave: with the seed's fields and no others."""
        game_id = self.world.game_id(self.alice)
        created = self.alice.ok("CREATE_ROOM", game_id=game_id)
        self.assertEqual("192.0.2.1", self.world.registry.here(created["room_id"]).made_from)
        room_id = created["room_id"]
        self.assertEqual({"room_id": room_id, "version": "1.0.0"}, created)
        self.assertEqual(created, self.bob.ok("JOIN_ROOM", room_id=room_id))
        self.assertEqual(created, self.bob.ok("JOIN_ROOM", room_id=room_id))
        entry = {"room_id": room_id, "game_id": game_id, "version": "1.0.0", "host": "Alice", "players": ["Alice", "bob"], "status": "WAITING"}
        self.assertEqual({"rooms": [entry]}, self.bob.ok("LIST_ROOMS"))
        self.assertEqual(room_id, self.bob.ok("WHOAMI")["room_id"])
        started = {"room_id": room_id, "game_host": "play.example", "game_port": 8080, "version": "1.0.0"}
        self.assertEqual([started, started], [self.alice.ok("START_ROOM", room_id=room_id) for _ in range(2)])
        self.assertEqual({"rooms": [{**entry, "status": "PLAYING"}]}, self.bob.ok("LIST_ROOMS"))
        self.assertEqual({}, self.bob.ok("LEAVE_ROOM", room_id=room_id))
        self.assertEqual(105, self.bob.code("LEAVE_ROOM", room_id=room_id))
        self.assertIsNone(self.bob.ok("WHOAMI")["room_id"])

    def test_one_seat(self) -> None:
        """Who sits elsewhere may neither create nor join."""
        first, second = self.world.room(self.alice), self.world.room(self.bob)
        self.assertEqual(105, self.alice.code("JOIN_ROOM", room_id=second))
        self.assertEqual(105, self.alice.code("CREATE_ROOM", game_id=self.world.game_id(self.alice)))
        self.assertEqual([second, first], [room["room_id"] for room in self.alice.ok("LIST_ROOMS")["rooms"]])

    def test_full(self) -> None:
        """A full room is 105."""
        room_id = self.world.room(self.alice)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.world.peer("carol").ok("JOIN_ROOM", room_id=room_id)
        self.assertEqual(105, self.world.peer("dave").code("JOIN_ROOM", room_id=room_id))

    def test_party(self) -> None:
        """A party code leads to its room, in any case; wrong ones are limited by address."""
        room_id = self.world.room(self.alice, public=False)
        self.assertEqual([], self.bob.ok("LIST_ROOMS")["rooms"])
        self.assertEqual(room_id, self.alice.ok("LIST_ROOMS")["rooms"][0]["room_id"])
        room = self.alice.ok("GET_ROOM", room_id=room_id)["room"]
        self.assertEqual(({"0": "Alice"}, 3, "lockstep"), (room["seats"], room["max_players"], room["hosting"]))
        self.assertTrue(room["join_url"].endswith(room_id))
        self.assertEqual(room_id, self.bob.ok("JOIN_PARTY", party_code=room["party_code"].lower())["room_id"])
        codes = [self.bob.code("JOIN_PARTY", party_code="BBBBB2") for _ in range(25)]
        self.assertEqual({103, 106}, set(codes))

    def test_kick(self) -> None:
        """The host sends members away, by name too; they may not come back, and nobody else is kicked."""
        room_id = self.world.room(self.alice)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.alice.ok("KICK", room_id=room_id, player="bob")
        self.assertEqual(102, self.bob.code("JOIN_ROOM", room_id=room_id))
        self.assertEqual(103, self.alice.code("KICK", room_id=room_id, player="nobody"))
        self.successResultOf(self.world.registry.join(room_id, Guest("Gus")))
        self.assertEqual(
            ["Alice", "Gus"], self.alice.ok("GET_ROOM", room_id=room_id)["room"]["seats"] and self.alice.ok("LIST_ROOMS")["rooms"][0]["players"]
        )
        self.alice.ok("KICK", room_id=room_id, player="Gus")
        self.assertEqual(["Alice"], self.alice.ok("LIST_ROOMS")["rooms"][0]["players"])

    def test_pages(self) -> None:
        """`limit` and `before` walk through the list, newest first."""
        rooms = [self.world.room(self.world.peer(f"player{number}")) for number in range(5)]
        first = [room["room_id"] for room in self.alice.ok("LIST_ROOMS", limit=2)["rooms"]]
        rest = [room["room_id"] for room in self.alice.ok("LIST_ROOMS", before=first[-1], limit=1000)["rooms"]]
        self.assertEqual(rooms[::-1], first + rest)
        self.assertEqual([], self.alice.ok("LIST_ROOMS", before=rooms[0])["rooms"])

    def test_seat_token_stays_good(self) -> None:
        """Joining at the lobby does not void the seat token that a page of the same member holds."""
        room_id = self.world.room(self.alice)
        session = self.successResultOf(self.world.accounts.identify(self.bob.token))
        joined = self.successResultOf(self.world.registry.join(room_id, session.account))
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.assertEqual("bob", self.world.registry.here(room_id).by_token(joined.token).user_id)

    def test_unheard_room_message(self) -> None:
        """Without SUBSCRIBE a room message is carried out and refusals are answered; what needs to be heard is not taken."""
        room_id = self.world.room(self.alice)
        self.alice.ok("ROOM_MESSAGE", room_id=room_id, body={"type": "ready", "ready": True})
        self.assertTrue(self.world.registry.here(room_id).latest.member("Alice").ready)
        self.assertEqual(100, self.alice.code("ROOM_MESSAGE", room_id=room_id, body={"type": "ready", "ready": 1}))
        self.assertEqual(100, self.alice.code("ROOM_MESSAGE", room_id=room_id, body={}))
        self.assertEqual(105, self.alice.code("ROOM_MESSAGE", room_id=room_id, body={"type": "hello"}))
        self.assertEqual([], self.alice.pushed())

    def test_chat_refused(self) -> None:
        """Text that no chat may hold is 100; too much chat is 106, and a storm of it ends the connection."""
        room_id = self.world.room(self.alice)
        for text in ("", "x" * 501, "a\x07b", "\u202eabc"):
            self.assertEqual(100, self.alice.code("CHAT", room_id=room_id, text=text))
        self.world.limits = type(self.world.limits)(messages_per_second=1)
        bob = self.bob
        bob.ok("JOIN_ROOM", room_id=room_id)
        codes = [bob.code("CHAT", room_id=room_id, text="hi") for _ in range(29)]
        self.assertEqual([0, 0, 0, 106], codes[:4])
        self.assertFalse(bob.transport.write_lost)
        for _ in range(3):
            bob.send("CHAT", room_id=room_id, text="hi")
        self.assertTrue(bob.transport.write_lost)

    def test_nobody_else_pays(self) -> None:
        """A request that waits holds up only its own connection."""
        held: Deferred[list[Any]] = Deferred()
        rooms = self.world.registry.rooms
        self.patch(self.world.registry, "rooms", lambda account: held if account.username == "Alice" else rooms(account))
        self.alice.answers()
        self.alice.raw(self.alice.line("LIST_ROOMS", limit=5) + self.alice.line("PING"))
        self.assertEqual([], self.alice.answers())
        self.bob.ok("LIST_ROOMS", limit=5)
        held.callback([])
        self.assertEqual([{"rooms": []}, {}], [answer["payload"] for answer in self.alice.answers()])


class PushTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.alice = self.world.peer("alice")
        self.bob = self.world.peer("bob")

    def settle(self) -> None:
        self.world.clock.advance(0)

    def statuses(self, peer: Peer) -> list[tuple[list[str], str]]:
        self.settle()
        return [(push["room"]["players"], push["room"]["status"]) for push in peer.pushed("ROOM_UPDATED")]

    def test_none_unasked(self) -> None:
        """Who does not ask is told nothing."""
        room_id = self.world.room(self.alice)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.bob.ok("CHAT", room_id=room_id, text="hi")
        self.world.clock.advance(2)
        self.assertEqual(([], []), (self.alice.pushed(), self.bob.pushed()))

    def test_room_updated(self) -> None:
        """Each change of a public room is told once, from its making to its end, never backwards, also to those who are in it."""
        for peer in (self.alice, self.bob):
            peer.ok("SUBSCRIBE", rooms=True)
        room_id = self.world.room(self.alice)
        carol = self.world.peer("carol")
        carol.ok("JOIN_ROOM", room_id=room_id)
        self.alice.ok("START_ROOM", room_id=room_id)
        self.alice.ok("LEAVE_ROOM", room_id=room_id)
        carol.ok("LEAVE_ROOM", room_id=room_id)
        wanted = [(["alice"], "WAITING"), (["alice", "carol"], "WAITING"), (["alice", "carol"], "PLAYING"), (["carol"], "PLAYING")]
        for peer in (self.alice, self.bob):
            self.settle()
            entries = [push["room"] for push in peer.pushed("ROOM_UPDATED")]
            self.assertEqual({("room_id", "game_id", "version", "host", "players", "status")}, {tuple(entry) for entry in entries})
            self.assertEqual({room_id}, {entry["room_id"] for entry in entries})
            told = [(entry["players"], entry["status"]) for entry in entries]
            self.assertEqual((wanted, "CLOSED"), (told[:4], told[-1][1]))
            self.assertEqual(1, [status for _, status in told].count("CLOSED"))

    def test_private_rooms(self) -> None:
        """Others' private rooms are told to nobody; one's own are, with their end."""
        for peer in (self.alice, self.bob):
            peer.ok("SUBSCRIBE", rooms=True)
        room_id = self.world.room(self.alice, public=False)
        carol = self.world.peer("carol")
        carol.ok("JOIN_ROOM", room_id=room_id)
        carol.ok("LEAVE_ROOM", room_id=room_id)
        self.alice.ok("LEAVE_ROOM", room_id=room_id)
        self.assertEqual(["WAITING", "WAITING", "WAITING", "CLOSED"], [status for _, status in self.statuses(self.alice)])
        self.assertEqual([], self.bob.pushed())

    def test_private_room_left(self) -> None:
        """Who has left a private room hears no more of it, not even its end."""
        room_id = self.world.room(self.alice, public=False)
        self.bob.ok("SUBSCRIBE", rooms=True)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.bob.ok("LEAVE_ROOM", room_id=room_id)
        self.statuses(self.bob)
        self.alice.ok("LEAVE_ROOM", room_id=room_id)
        self.assertEqual([], self.statuses(self.bob))

    def test_welcome_and_room_messages(self) -> None:
        """In a room with `rooms` on one is welcomed first, then hears what the room says, and what one's messages are answered."""
        room_id = self.world.room(self.alice)
        self.assertEqual([], self.alice.pushed())
        self.alice.ok("SUBSCRIBE", rooms=True)
        first, *_ = self.alice.pushed("ROOM_MESSAGE")
        self.assertEqual((room_id, "welcome", "alice"), (first["room_id"], first["body"]["type"], first["body"]["you"]["user_id"]))
        self.alice.ok("ROOM_MESSAGE", room_id=room_id, body={"type": "ping", "t": 5, "id": 7})
        self.assertEqual([{"room_id": room_id, "body": {"type": "pong", "t": 5, "reply_to": 7}}], self.alice.pushed("ROOM_MESSAGE"))
        self.alice.ok("ROOM_MESSAGE", room_id=room_id, body={"type": "nonsense", "ready": 1})
        self.alice.ok("ROOM_MESSAGE", room_id=room_id, body={"type": 1})
        self.assertEqual([100], [push["body"]["code"] for push in self.alice.pushed("ROOM_MESSAGE")])
        self.alice.ok("SUBSCRIBE", rooms=False)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.settle()
        self.assertEqual([], self.alice.pushed())

    def test_welcome_on_joining(self) -> None:
        """Who subscribed before is welcomed when they take a seat, and may speak in the same breath."""
        room_id = self.world.room(self.alice)
        self.bob.ok("SUBSCRIBE", rooms=True)
        self.bob.answers()
        self.bob.raw(
            self.bob.line("JOIN_ROOM", room_id=room_id) + self.bob.line("ROOM_MESSAGE", room_id=room_id, body={"type": "ping", "t": 1, "id": 1})
        )
        self.assertEqual([0, 0], [answer["code"] for answer in self.bob.answers()])
        self.settle()
        types = [push["body"]["type"] for push in self.bob.pushed("ROOM_MESSAGE")]
        self.assertEqual((["welcome"], 1, 1), (types[:1], types.count("welcome"), types.count("pong")))

    def test_chat(self) -> None:
        """CHAT comes back as CHAT to all members who listen, the sender too, and not as a room message as well."""
        room_id = self.world.room(self.alice)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        for peer in (self.alice, self.bob):
            peer.ok("SUBSCRIBE", rooms=True)
            self.settle()
            peer.pushed()
        self.alice.answers()
        self.alice.ok("CHAT", room_id=room_id, text='hi "you"')
        self.bob.ok("ROOM_MESSAGE", room_id=room_id, body={"type": "chat", "text": "yo"})
        for peer in (self.alice, self.bob):
            chats = [push for push in peer.pushed() if "text" in push or push.get("body", {}).get("type") == "chat"]
            said = [{"room_id": room_id, "from": "alice", "text": 'hi "you"'}, {"room_id": room_id, "from": "bob", "text": "yo"}]
            self.assertEqual(said, chats)

    def test_kicked(self) -> None:
        """Who is kicked is told why, hears no more of the room, and stays connected."""
        room_id = self.world.room(self.alice)
        self.bob.ok("SUBSCRIBE", rooms=True)
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.settle()
        self.bob.pushed()
        self.alice.ok("KICK", room_id=room_id, player="bob")
        self.settle()
        self.assertEqual([102], [push["body"]["code"] for push in self.bob.pushed("ROOM_MESSAGE")])
        self.alice.ok("CHAT", room_id=room_id, text="gone")
        self.assertEqual([], self.bob.pushed("CHAT", "ROOM_MESSAGE"))
        self.bob.ok("PING")

    def test_ends_with_the_session(self) -> None:
        """LOGOUT or a newer log-in ends the pushes; the connection stays."""
        for way in ("LOGOUT", "superseded"):
            peer = self.world.peer(f"carol-{way}")
            peer.ok("SUBSCRIBE", rooms=True, presence=True)
            if way == "LOGOUT":
                peer.ok("LOGOUT")
            else:
                self.bob.ok("LOGIN_PLAYER", username=f"carol-{way}", password="correct horse")
            peer.pushed()
            self.alice.ok("LEAVE_ROOM", room_id=self.world.room(self.alice))
            self.world.clock.advance(2)
            self.assertEqual([], peer.pushed())
            self.assertEqual({}, peer.ok("PING"))

    def test_absent_stays(self) -> None:
        """An absent field stays as it is; false turns off."""
        self.bob.ok("SUBSCRIBE", rooms=True)
        self.bob.ok("SUBSCRIBE")
        self.bob.ok("SUBSCRIBE", presence=True)
        self.world.room(self.alice)
        self.assertEqual(1, len(self.statuses(self.bob)))
        self.bob.ok("SUBSCRIBE", rooms=False)
        self.world.room(self.world.peer("carol"))
        self.assertEqual([], self.statuses(self.bob))
        self.assertEqual(100, self.bob.code("SUBSCRIBE", rooms=1))

    def test_presence(self) -> None:
        """Who comes and goes is told at most once a second, and who did both within it not at all."""
        self.alice.ok("SUBSCRIBE", presence=True)
        self.world.clock.advance(2)
        self.alice.pushed()
        carol, dave = self.world.peer("carol"), self.world.peer("dave")
        dave.lose()
        self.bob.lose()
        self.assertEqual([], self.alice.pushed())
        self.world.clock.advance(1)
        self.assertEqual([{"online": ["carol"], "offline": ["bob"]}], self.alice.pushed("PLAYER_PRESENCE"))
        carol.lose()
        self.alice.ok("SUBSCRIBE", presence=False)
        self.world.clock.advance(1)
        self.assertEqual([], self.alice.pushed())

    def test_lost_connections_are_forgotten(self) -> None:
        """A connection that is gone is told nothing and is no longer in its room."""
        room_id = self.world.room(self.alice)
        self.alice.ok("SUBSCRIBE", rooms=True, presence=True)
        self.assertTrue(self.world.registry.here(room_id).refereed.is_connected("alice"))
        self.alice.lose()
        self.assertFalse(self.world.registry.here(room_id).refereed.is_connected("alice"))
        self.alice.answers()
        self.bob.ok("JOIN_ROOM", room_id=room_id)
        self.world.clock.advance(2)
        self.assertEqual([], self.alice.answers())

    def test_answers_before_what_is_newer(self) -> None:
        """An answer given before a push is sent before it, so that what a client shows never runs backwards."""
        self.alice.ok("SUBSCRIBE", rooms=True)
        game_id = self.world.game_id(self.alice)
        self.alice.answers()
        self.alice.raw(self.alice.line("LIST_ROOMS") + self.alice.line("CREATE_ROOM", game_id=game_id))
        first, second, *_ = self.alice.transport.value().splitlines()
        self.assertIn(b'"rooms":[]', first)
        self.assertIn(b"ROOM_UPDATED", second)
