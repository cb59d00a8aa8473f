"""The game port: who comes in, and what is carried out (docs/protocol/game-port.md)."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.streams import LINGER_SECONDS
from gameroom.entrance import Guest
from gameroom.errors import BadState
from gameroom.rules.party_codes import ALPHABET
from gameroom.rules.room_options import RoomRequest
from gameroom.settings import Limits
from gameroom.wire import game_port as wire
from gameroom.wire.envelope import JSON, PROTOBUF, to_bytes
from tests.doors.game_port_world import GameWorld


class PartyTests(SynchronousTestCase):
    """HOST and JOIN."""

    def setUp(self) -> None:
        self.world = GameWorld(code_misses=3)
        self.host = self.world.native()

    def test_host_and_join(self) -> None:
        """A guest hosts a party and gets its code; another joins with that, however typed, and both hear of each other."""
        hosted = self.host.ask(wire.HOST, game_id=self.world.game, name="Ada")
        room = self.world.registry.here(hosted["room_id"])
        self.assertEqual(
            {name: hosted[name] for name in ("game_id", "version", "hosting", "status", "seat", "players", "max_players", "party_code", "details")},
            {
                "game_id": self.world.game,
                "version": "1.0.0",
                "hosting": "lockstep",
                "status": "WAITING",
                "seat": 0,
                "players": [{"seat": 0, "name": "Ada"}],
                "max_players": 3,
                "party_code": room.value.party_code,
                "details": {"name": "Dots", "description": "Join the dots.", "game_type": "multi"},
            },
        )
        code = hosted["party_code"]
        guest = self.world.native("192.0.2.2")
        joined = guest.ask(wire.JOIN, party_code=f" {code[:3].lower()}-{code[3:]}", name="Bob")
        self.assertEqual((joined["seat"], [player["name"] for player in joined["players"]]), (1, ["Ada", "Bob"]))
        self.assertNotEqual(joined["seat_token"], hosted["seat_token"])
        [players] = [message for message in self.host.heard() if message["type"] == "players" and len(message["players"]) == 2][-1:]
        self.assertEqual([player["connected"] for player in players["players"]], [True, True])
        self.assertEqual(room.value.host, room.value.players[0].user_id)

    def test_nameless(self) -> None:
        """Without a name a guest is `guest-` and four characters that can be told apart."""
        hosted = self.host.ask(wire.HOST, game_id=self.world.game)
        [player] = hosted["players"]
        self.assertRegex(player["name"], f"^guest-[{ALPHABET}]{{4}}$")
        guest = self.world.native()
        names = [player["name"] for player in guest.ask(wire.JOIN, party_code=hosted["party_code"])["players"]]
        self.assertEqual(len(set(names)), 2)

    def test_nameless_draws_again(self) -> None:
        """A name that somebody has is drawn anew; where all are taken that is said, and no room is left behind."""
        drawn = iter([b"\0" * 12, b"\0" * 12, b"\1" * 12])
        self.world.port.seats._random_bytes = lambda n: next(drawn)
        code = self.host.ask(wire.HOST, game_id=self.world.game)["party_code"]
        joined = self.world.native().ask(wire.JOIN, party_code=code)
        self.assertEqual([player["name"] for player in joined["players"]], ["guest-BBBB", "guest-CCCC"])
        self.world.port.seats._random_bytes = lambda n: b"\0" * 12
        self.assertEqual(self.world.native().code(wire.JOIN, party_code=code), 104)

    def test_accounts(self) -> None:
        """With a session token the account is seated, under its own name whatever name was said, and is seen at this door."""
        ada = self.world.peer("ada")
        hosted = self.host.ask(wire.HOST, game_id=self.world.game, version="1.0.0", id=ada.token, name="\0" * 99)
        self.assertEqual(hosted["players"], [{"seat": 0, "name": "ada"}])
        self.assertEqual(self.world.registry.seat_of("ada"), hosted["room_id"])
        ada.lose()
        self.assertIn("ada", self.world.presence.online())
        self.host.lose()
        self.assertNotIn("ada", self.world.presence.online())

    def test_refused(self) -> None:
        """Nothing that HOST or JOIN refuses leaves a room or a seat, and the connection may try again."""
        taken = self.world.peer("ada")
        developer = self.successResultOf(self.world.accounts.register("developer", "dora", "correct horse", "192.0.2.9"))
        old = taken.token
        taken.token = None
        new = taken.ok("LOGIN_PLAYER", username="ada", password="correct horse")["session_token"]
        game = self.world.game
        for fields, code in (
            ({"game_id": "nope"}, 103),
            ({"game_id": ""}, 103),
            ({"game_id": game, "version": "9.9.9"}, 103),
            ({"game_id": game, "name": "x" * 25}, 100),
            ({"game_id": game, "name": ""}, 100),
            ({"game_id": game, "name": "a\u202eb"}, 100),
            ({"game_id": game, "name": "Ada"}, 104),
            ({"game_id": game, "id": old}, 105),
            ({"game_id": game, "id": developer}, 102),
            ({"game_id": game, "id": "x" * 43}, 101),
        ):
            self.assertEqual(self.host.code(wire.HOST, **fields), code, fields)
        self.assertEqual(self.world.registry.everything(), [])
        hosted = self.host.ask(wire.HOST, game_id=game, name="Zoe")
        code = hosted["party_code"]
        other = self.world.native("192.0.2.2")
        for fields, expected in (({"name": "Zoe"}, 104), ({"name": "\n"}, 100), ({"id": old}, 105), ({"id": developer}, 102)):
            self.assertEqual(other.code(wire.JOIN, party_code=code, **fields), expected, fields)
        room = self.world.registry.here(hosted["room_id"])
        self.assertEqual(len(room.value.members), 1)
        self.assertEqual(other.ask(wire.JOIN, party_code=code, id=new)["seat"], 1)

    def test_suspended(self) -> None:
        """A suspended account gets 102 for its session."""
        ada = self.world.peer("ada")
        self.successResultOf(self.world.accounts.suspend("player", "ada"))
        self.assertEqual(self.host.code(wire.AUTH, id=ada.token), 102)

    def test_codes(self) -> None:
        """Unknown codes are 103; after too many, all of that address are 106 for a minute, the right one too, and nobody else's."""
        code = self.host.ask(wire.HOST, game_id=self.world.game)["party_code"]
        guesser = self.world.native("198.51.100.7")
        self.assertEqual([guesser.code(wire.JOIN, party_code=wrong) for wrong in ("BBBBBB", "", "x" * 99)], [103] * 3)
        another = self.world.native("198.51.100.7")
        another.say(wire.JOIN, party_code=code)
        [(_, error)] = another.heard()
        self.assertEqual((error["code"], error["retry_after"]), (106, 60.0))
        self.assertEqual(self.world.native("192.0.2.9").ask(wire.JOIN, party_code=code)["seat"], 1)
        self.world.clock.advance(60)
        self.assertEqual(self.world.native("198.51.100.7").ask(wire.JOIN, party_code=code)["seat"], 2)

    def test_behind_a_proxy(self) -> None:
        """Where a proxy speaks PROXY protocol wrong codes count to whom it speaks for."""
        code = self.host.ask(wire.HOST, game_id=self.world.game)["party_code"]
        guesser = self.world.native("10.0.0.1", peer_address="198.51.100.7")
        self.assertEqual([guesser.code(wire.JOIN, party_code="BBBBBB") for _ in range(4)], [103, 103, 103, 106])
        self.assertEqual(self.world.native("10.0.0.1", peer_address="198.51.100.8").ask(wire.JOIN, party_code=code)["seat"], 1)

    def test_full(self) -> None:
        """A party without a free seat is 105."""
        code = self.host.ask(wire.HOST, game_id=self.world.game)["party_code"]
        others = [self.world.native() for _ in range(2)]
        self.assertEqual([other.ask(wire.JOIN, party_code=code)["seat"] for other in others], [1, 2])
        self.assertEqual(self.world.native().code(wire.JOIN, party_code=code), 105)

    def test_elsewhere(self) -> None:
        """An account that is seated in one room gets no second, and keeps the first."""
        ada = self.world.peer("ada")
        first = self.host.ask(wire.HOST, game_id=self.world.game, id=ada.token)["room_id"]
        self.assertEqual(self.world.native().code(wire.HOST, game_id=self.world.game, id=ada.token), 105)
        self.assertEqual(self.world.registry.seat_of("ada"), first)
        self.assertEqual(len(self.world.registry.everything()), 1)

    def test_gone_while_hosting(self) -> None:
        """A guest whose connection ends before the room is there could never come back to it: the room is not kept. An account can."""
        waiting: list[Deferred[None]] = []
        detail = self.world.catalogue.detail

        def held(game_id: str) -> Any:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: detail(game_id))

        self.world.catalogue.detail = held  # type: ignore[method-assign]
        self.host.say(wire.HOST, game_id=self.world.game, name="Ada")
        self.assertEqual(len(self.world.registry.everything()), 1)
        self.host.lose()
        waiting.pop().callback(None)
        self.assertEqual(self.world.registry.everything(), [])
        native, ada = self.world.native(), self.world.peer("ada")
        native.say(wire.HOST, game_id=self.world.game, id=ada.token)
        native.lose()
        waiting.pop().callback(None)
        [room] = self.world.registry.everything()
        self.assertEqual([player.user_id for player in room.value.players], ["ada"])

    def test_seating_fails(self) -> None:
        """A room whose host could not be seated is gone, and the host is told why."""
        self.world.registry.join = lambda *_: (_ for _ in ()).throw(BadState("not now"))  # type: ignore[method-assign]
        self.assertEqual(self.host.code(wire.HOST, game_id=self.world.game), 105)
        self.assertEqual(self.world.registry.everything(), [])


class MakersTests(SynchronousTestCase):
    def test_rooms_of_one_address(self) -> None:
        """What guests HOST counts to their address, also when they are gone; past its limit 105."""
        world = GameWorld(rooms_per_address=2)
        for _ in range(2):
            native = world.native()
            native.ask(wire.HOST, game_id=world.game)
            native.lose()
        self.assertEqual(world.native().code(wire.HOST, game_id=world.game), 105)
        self.assertIn("seat_token", world.native("192.0.2.9").ask(wire.HOST, game_id=world.game))


class AuthTests(SynchronousTestCase):
    """AUTH: by a session token, or by a seat token."""

    def setUp(self) -> None:
        self.world = GameWorld()
        self.ada = self.world.peer("ada")
        self.room_id = self.world.room(self.ada)
        self.room = self.world.registry.here(self.room_id)

    def test_session_token(self) -> None:
        """An account's session token finds its room; no seat token is told."""
        connected = self.world.native().ask(wire.AUTH, id=self.ada.token)
        self.assertEqual((connected["room_id"], connected["seat"], "seat_token" in connected), (self.room_id, 0, False))

    def test_seat_token(self) -> None:
        """A seat token finds its seat, of a guest or of an account."""
        joined = self.successResultOf(self.world.registry.join(self.room_id, Guest("Bob"), "player"))
        self.assertEqual(self.world.native().ask(wire.AUTH, id=joined.token)["seat"], 1)
        mine = self.successResultOf(self.world.registry.join(self.room_id, self.world.accounts.identify_now(self.ada.token).account))  # type: ignore[union-attr]
        self.ada.lose()
        native = self.world.native()
        self.assertEqual(native.ask(wire.AUTH, id=mine.token)["seat"], 0)
        self.assertIn("ada", self.world.presence.online())

    def test_viewer(self) -> None:
        """Who looks on has a seat token, too, and no seat."""
        joined = self.successResultOf(self.world.registry.join(self.room_id, Guest("Vic"), "viewer"))
        for en in (JSON, PROTOBUF):
            self.assertNotIn("seat", self.world.native(en=en).ask(wire.AUTH, id=joined.token))

    def test_no_room(self) -> None:
        """A good token without a room is 105, ends the clock, and the client may HOST on the same connection."""
        bob, native = self.world.peer("bob"), self.world.native()
        self.assertEqual(native.code(wire.AUTH, id=bob.token), 105)
        self.world.clock.advance(60)
        self.assertEqual(native.code(wire.START), 105)
        self.assertEqual(native.ask(wire.HOST, game_id=self.world.game, id=bob.token)["seat"], 0)

    def test_bad_ids(self) -> None:
        """The third bad ID closes the connection; other errors do not count."""
        native = self.world.native()
        self.assertEqual([native.code(wire.AUTH, id=bad) for bad in ("x" * 43, "é")], [101, 101])
        self.assertEqual([native.code(wire.JOIN, party_code="BBBBBB") for _ in range(3)], [103] * 3)
        self.assertFalse(native.transport.write_lost)
        self.assertEqual(native.code(wire.AUTH, id=""), 101)
        self.assertTrue(native.transport.write_lost)
        native.say(wire.AUTH, id=self.ada.token)
        self.assertEqual(native.heard(), [])

    def test_a_seat_that_is_gone(self) -> None:
        """A guest is not told of a log-in that it never had, alone: the token may have been a seat's."""
        guest = self.world.native()
        guest.ask(wire.HOST, game_id=self.world.game)
        guest.say(wire.LEAVE)
        native = self.world.native()
        native.say(wire.AUTH, id=guest.token)
        [(_, error)] = native.heard()
        self.assertEqual(error["code"], 101)
        self.assertIn("its seat is gone", error["message"])

    def test_bad_ids_later(self) -> None:
        """Who has shown a good token is not sent away for bad ones."""
        native = self.world.native()
        native.code(wire.AUTH, id=self.world.peer("bob").token)
        self.assertEqual([native.code(wire.AUTH, id="x") for _ in range(5)], [101] * 5)
        self.assertFalse(native.transport.write_lost)

    def test_old_tokens(self) -> None:
        """A superseded session is 105; a seat token that a newer one replaced is 101, and so is one of a room that is gone."""
        joined = self.successResultOf(self.world.registry.join(self.room_id, Guest("Bob"), "player"))
        token, self.ada.token = self.ada.token, None
        self.ada.ok("LOGIN_PLAYER", username="ada", password="correct horse")
        self.assertEqual(self.world.native().code(wire.AUTH, id=token), 105)
        member = self.room.value.member(joined.user_id)
        self.successResultOf(self.world.registry.leave(self.room_id, member.user_id))
        self.assertEqual(self.world.native().code(wire.AUTH, id=joined.token), 101)
        another = self.successResultOf(self.world.registry.join(self.room_id, Guest("Cid"), "player"))
        self.room.close("test")
        self.assertEqual(self.world.native().code(wire.AUTH, id=another.token), 101)
        self.assertEqual(self.world.registry._tokens, {})

    def test_twice(self) -> None:
        """AUTH, HOST and JOIN while seated are 105."""
        native = self.world.native()
        native.ask(wire.AUTH, id=self.ada.token)
        for said in (
            lambda: native.code(wire.AUTH, id=self.ada.token),
            lambda: native.code(wire.HOST, game_id=self.world.game),
            lambda: native.code(wire.JOIN, party_code=self.room.value.party_code),
        ):
            self.assertEqual(said(), 105)

    def test_takeover(self) -> None:
        """A newer connection takes over from the older one, which hears 105 and is closed; the member stays connected."""
        old, new = self.world.native(), self.world.native()
        old.ask(wire.AUTH, id=self.ada.token)
        old.heard()
        new.ask(wire.AUTH, id=self.ada.token, en=PROTOBUF)
        self.assertEqual(old.types(), [105])
        self.assertTrue(old.transport.write_lost)
        old.lose()
        self.world.clock.advance(0.1)
        new.say_room(type_="ping", t=1)
        self.assertEqual(new.heard()[-1], {"type": "pong", "t": 1})
        self.assertEqual(len(self.room.audience.of("ada")), 1)

    def test_encoding(self) -> None:
        """Answers come in the encoding of what they answer; what answers nothing is JSON."""
        native = self.world.native()
        for en in (PROTOBUF, JSON):
            native.say(wire.AUTH, en, id="x")
            [envelope] = native.envelopes()
            self.assertEqual((envelope.type, envelope.en, wire.decode(envelope)["code"]), (wire.ERROR, en, 101))
        native.say(wire.AUTH, PROTOBUF, id=self.ada.token)
        connected, welcome = native.envelopes()[:2]
        self.assertEqual((connected.en, wire.decode(connected)["details"]["name"], welcome.en), (PROTOBUF, "Dots", JSON))
        self.room.close("test")
        self.assertEqual([(each.type, each.en) for each in native.envelopes()], [(wire.ERROR, JSON)])

    def test_own_engine(self) -> None:
        """A room of an engine of one's own has details with nothing in them."""
        self.ada.ok("LEAVE_ROOM", room_id=self.room_id)
        request = RoomRequest(engine={"url": "https://example.org/e.js"})
        account: Any = self.world.accounts.identify_now(self.ada.token)
        self.successResultOf(self.world.registry.create(request, account.account))
        connected = self.world.native().ask(wire.AUTH, id=self.ada.token)
        self.assertEqual((connected["game_id"], connected["details"]), ("", {"name": "", "description": "", "game_type": ""}))

    def test_waits_for_the_database(self) -> None:
        """While AUTH waits nothing further is carried out, and nothing further is read; then all of it is, in order."""
        native = self.world.native()
        identify = self.world.accounts.identify
        waiting: list[Deferred[None]] = []

        def held(token: Any, role: Any = "player") -> Any:
            waiting.append(Deferred())
            return waiting[-1].addCallback(lambda _: identify(token, role))

        self.world.accounts.identify = held  # type: ignore[method-assign]
        native.raw(wire.encode(wire.AUTH, {"id": self.ada.token}) + to_bytes(wire.PING, b"x") + to_bytes(wire.ROOM, b'{"type":"ping","id":4}'))
        self.assertEqual((native.heard(), native.transport.reading), ([], False))
        waiting.pop().callback(None)
        self.assertEqual(native.types(), ["CONNECTED", "welcome", "PONG", "pong"])
        self.assertTrue(native.transport.reading)

    def test_too_late(self) -> None:
        """Ten seconds in all, however busy; then ERROR 101, and the end."""
        native = self.world.native()
        for _ in range(9):
            self.world.clock.advance(1)
            native.raw(to_bytes(wire.PING, b""))
        self.assertEqual(native.types(), ["PONG"] * 9)
        self.world.clock.advance(1)
        self.assertEqual(native.types(), [101])
        self.assertTrue(native.transport.write_lost)
        self.world.clock.advance(LINGER_SECONDS)
        self.assertTrue(native.transport.aborted)
        native.lose()
        self.assertEqual(self.world.counted("gameroom_closed_total", door="game", reason="never authorized"), 1)

    def test_seconds(self) -> None:
        """The configuration's word counts, and a good AUTH ends the clock."""
        self.world.limits = Limits(unauthenticated_seconds=2.0)
        idle, native = self.world.native(), self.world.native()
        native.ask(wire.AUTH, id=self.ada.token)
        native.heard()
        self.world.clock.advance(2)
        self.assertEqual((idle.types(), native.types()), ([101], []))
