"""gameroom.doors.web.routes_rooms: every row about rooms."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web.routes_rooms import MADE_BYTES
from gameroom.settings import Addresses
from tests.doors.web.world import WebWorld

SOURCE = {"source": "export default 1", "media_type": "text/javascript"}
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


class RoomCase(SynchronousTestCase):
    """A web door and an account."""

    def setUp(self) -> None:
        self.world = WebWorld()
        self.addCleanup(self.world.close)
        self.alice = self.world.register("alice")

    def problem(self, response: Any, status: int, code: int) -> dict[str, Any]:
        """The problem document that this must be."""
        self.assertEqual((response.status, response.headers["content-type"]), (status, "application/problem+json"), response)
        document = response.json
        self.assertEqual((document["status"], document["code"]), (status, code))
        self.assertEqual({type(document[key]) for key in ("type", "title", "detail")}, {str})
        return dict(document)


class CreateTests(RoomCase):
    """POST and PUT /create."""

    def test_create(self) -> None:
        """A room of submitted content: 201 with Location, the URL, and the party code; both methods do."""
        for method in ("POST", "PUT"):
            response = self.world.ask(method, "/create", {"engine": SOURCE, "seed": 7, "configuration": {"map": 1}}, token=self.alice)
            self.assertEqual(response.status, 201)
            room_id = response.json["room_id"]
            self.assertEqual(UUID(room_id).version, 4)
            self.assertEqual(response.headers["location"], f"/join/{room_id}")
            self.assertEqual(response.json["join"], f"http://play.example:8080/join/{room_id}")
            self.assertRegex(response.json["party_code"], "^[BCDFGHJKLMNPQRSTVWXZ23456789]{6}$")
            shown = self.world.ask("GET", f"/join/{room_id}").json
            self.assertEqual((shown["seed"], shown["configuration"], shown["players"]), (7, {"map": 1}, []))

    def test_of_a_game(self) -> None:
        """With game_id the room is the bundle's, and what is given here overrides its [lockstep]."""
        engine = {"game_id": self.world.game_id()}
        room_id = self.world.ask("POST", "/create", {"engine": engine, "input_delay": 5, "public": False}, token=self.alice).json["room_id"]
        shown = self.world.ask("GET", f"/join/{room_id}").json
        self.assertEqual((shown["hosting"], shown["min_players"], shown["max_players"]), ("lockstep", 2, 3))
        self.assertEqual(shown["engine"]["game_id"], engine["game_id"])

    def test_needs_a_session(self) -> None:
        """Without a token, or with one that is none: 101. A superseded one: 105."""
        self.problem(self.world.ask("POST", "/create", {"engine": SOURCE}), 401, 101)
        self.problem(self.world.ask("POST", "/create", {"engine": SOURCE}, token="nonsense"), 401, 101)
        self.world.ask("POST", "/login", {"username": "alice", "password": "correct horse"})
        self.problem(self.world.ask("POST", "/create", {"engine": SOURCE}, token=self.alice), 409, 105)

    def test_another_scheme(self) -> None:
        """Authorization of another scheme than Bearer is told so."""
        response = self.world.ask("POST", "/create", {"engine": SOURCE}, headers={"Authorization": "Basic YWxpY2U6eA=="})
        self.assertIn("Bearer", self.problem(response, 401, 101)["detail"])
        self.assertTrue(response.headers["www-authenticate"].startswith("Bearer"))

    def test_faults_have_pointers(self) -> None:
        """What is wrong with the content is 100, with a JSON pointer to it."""
        for content, pointer in [
            ({}, "/engine"),
            ({"engine": SOURCE, "nonsense": 1}, "/nonsense"),
            ({"engine": SOURCE, "a/b~c": 1}, "/a~1b~0c"),
            ({"engine": {"url": "ftp://x"}}, "/engine/url"),
            ({"engine": SOURCE, "min_players": True}, "/min_players"),
            ({"engine": SOURCE, "seed": 1.5}, "/seed"),
            ([], ""),
            ("x", ""),
        ]:
            response = self.world.ask("POST", "/create", content, token=self.alice)
            self.assertEqual(self.problem(response, 400, 100)["pointer"], pointer, content)

    def test_content_in_bulk(self) -> None:
        """Rooms are kept for a while though nobody comes: what one address submits for them is limited, whatever its accounts, and others are not."""
        content = {"engine": {"source": "x" * 1_000_000, "media_type": "text/javascript"}}
        made = 0
        while (answer := self.world.ask("POST", "/create", content, token=self.alice)).status == 201:
            made += 1
        self.assertEqual((made, answer.status, answer.json["code"]), (MADE_BYTES // 1_000_100, 429, 106))
        self.assertEqual(self.world.ask("POST", "/create", content, token=self.world.register("Another")).status, 429)
        self.assertEqual(self.world.ask("POST", "/create", content, token=self.alice, address="192.0.2.99").status, 201)
        self.world.clock.advance(answer.json["retry_after"])
        self.assertEqual(self.world.ask("POST", "/create", content, token=self.alice).status, 201)

    def test_from_where(self) -> None:
        """A room knows the address that made it, for limits."""
        made = self.world.ask("POST", "/create", {"engine": SOURCE}, token=self.alice, address="192.0.2.77")
        self.assertEqual(self.world.registry.here(made.json["room_id"]).made_from, "192.0.2.77")

    def test_schemas_in_bulk(self) -> None:
        """A compiled `command_schema` takes more than its text."""
        content = {"engine": {"url": "https://example.org/e.js"}, "command_schema": {"title": "x" * 60_000}}
        answers = [self.world.ask("POST", "/create", content, token=self.alice).status for _ in range(9)]
        self.assertEqual(answers, [201] * 8 + [429])

    def test_unknown_game(self) -> None:
        """A game that is not there: 103."""
        self.problem(self.world.ask("POST", "/create", {"engine": {"game_id": "none"}}, token=self.alice), 404, 103)


class ShowTests(RoomCase):
    """GET /join."""

    def test_both_forms(self) -> None:
        """The path and the seed's query serve the same room, with all the fields that the specification names."""
        room_id = self.world.create(self.alice)
        by_path, by_query = self.world.ask("GET", f"/join/{room_id}"), self.world.ask("GET", f"/join?game_id={room_id}")
        self.assertEqual(by_path.json, by_query.json)
        named = "room_id party_code engine seed configuration revision state hosting players min_players max_players encoding"
        self.assertEqual(set(by_path.json), set(named.split()))
        self.assertEqual((by_path.headers["vary"], by_path.headers["cache-control"]), ("Accept", "no-store"))

    def test_unknown(self) -> None:
        """No such room: 103, as a page for a browser; without game_id: 100."""
        self.problem(self.world.ask("GET", "/join/5e0a7f0e-8a37-4f2e-8f5f-3f6d0d7b8f11"), 404, 103)
        self.problem(self.world.ask("GET", "/join/%00"), 404, 103)
        self.problem(self.world.ask("GET", "/join/%ff%fe"), 404, 103)
        self.problem(self.world.ask("GET", "/join"), 400, 100)
        page = self.world.ask("GET", "/join/nowhere", headers=BROWSER)
        self.assertEqual((page.status, page.headers["content-type"], page.headers["vary"]), (404, "text/html; charset=utf-8", "Accept"))
        self.assertIn(b"<title>", page.body)

    def test_source_is_not_in_it(self) -> None:
        """A submitted source is named by its URL; its text is served there, sandboxed and with CORS for its own opaque origin."""
        room_id = self.world.create(self.alice)
        engine = self.world.ask("GET", f"/join/{room_id}").json["engine"]
        self.assertEqual(engine, {"url": f"/join/{room_id}/engine", "media_type": "text/javascript"})
        served = self.world.ask("GET", engine["url"])
        self.assertEqual((served.body, served.headers["content-type"]), (b"export default 1", "text/javascript"))
        self.assertTrue(served.headers["content-security-policy"].startswith("sandbox allow-scripts"))
        self.assertNotIn("allow-same-origin", served.headers["content-security-policy"])
        self.assertEqual(served.headers["x-content-type-options"], "nosniff")
        self.assertEqual(served.headers["access-control-allow-origin"], "*")

    def test_no_source(self) -> None:
        """A room whose engine is elsewhere has no source here."""
        response = self.world.ask("POST", "/create", {"engine": {"url": "https://games.example/e.js"}}, token=self.alice)
        self.problem(self.world.ask("GET", f"/join/{response.json['room_id']}/engine"), 404, 103)

    def test_qr(self) -> None:
        """The join URL as an SVG picture."""
        room_id = self.world.create(self.alice)
        picture = self.world.ask("GET", f"/join/{room_id}/qr.svg")
        self.assertEqual((picture.status, picture.headers["content-type"]), (200, "image/svg+xml"))
        self.assertTrue(picture.body.startswith(b"<svg"))
        self.problem(self.world.ask("GET", "/join/nowhere/qr.svg"), 404, 103)


class JoinTests(RoomCase):
    """POST, PUT and DELETE /join."""

    def setUp(self) -> None:
        super().setUp()
        self.room_id = self.world.create(self.alice, max_players=2)

    def test_guests(self) -> None:
        """A guest is named by a UUID4, and shown as username or as that; seats are given from 0, the lowest first."""
        first = self.world.ask("PUT", f"/join?game_id={self.room_id}", {"username": "Bob"})
        self.assertEqual(first.status, 201)
        self.assertEqual(set(first.json), {"user_id", "name", "seat", "viewer", "token", "socket"})
        self.assertEqual((first.json["name"], first.json["seat"], first.json["viewer"]), ("Bob", 0, False))
        self.assertEqual(first.json["socket"], f"ws://play.example:8080/socket/{self.room_id}")
        self.assertEqual(UUID(first.json["user_id"]).version, 4)
        second = self.world.ask("POST", f"/join/{self.room_id}")
        self.assertEqual((second.status, second.json["name"], second.json["seat"]), (201, second.json["user_id"], 1))

    def test_account_keeps_its_seat(self) -> None:
        """Who is seated already gets the same seat and a new token; the old one is void."""
        first, again = self.world.join(self.room_id, self.alice), self.world.join(self.room_id, self.alice)
        self.assertEqual((first["user_id"], first["seat"]), ("alice", 0))
        self.assertEqual(again["seat"], 0)
        self.assertNotEqual(first["token"], again["token"])
        self.problem(self.world.ask("DELETE", f"/join/{self.room_id}", token=first["token"]), 401, 101)
        self.assertEqual(self.world.ask("DELETE", f"/join/{self.room_id}", token=again["token"]).status, 204)

    def test_as(self) -> None:
        """One may come as a viewer; as a player into a full room: 105; without a wish one gets what there is."""
        viewer = self.world.join(self.room_id, **{"as": "viewer"})
        self.assertEqual((viewer["seat"], viewer["viewer"]), (None, True))
        self.world.join(self.room_id, **{"as": "player"})
        self.world.join(self.room_id)
        self.problem(self.world.ask("POST", f"/join/{self.room_id}", {"as": "player"}), 409, 105)

    def test_one_seat_at_a_time(self) -> None:
        """An account that is seated elsewhere: 105."""
        self.world.join(self.room_id, self.alice)
        other = self.world.create(self.alice)
        self.problem(self.world.ask("POST", f"/join/{other}", {}, token=self.alice), 409, 105)

    def test_names(self) -> None:
        """A guest's name has 1 to 24 characters, none of them for control, and is nobody else's."""
        for name in ("", "x" * 25, 7, None, "a\nb", "a\u202eb"):
            response = self.world.ask("POST", f"/join/{self.room_id}", {"username": name})
            self.problem(response, 400, 100)
        self.problem(self.world.ask("POST", f"/join/{self.room_id}", {"username": "alice"}), 409, 104)
        self.world.join(self.room_id, username="Bob")
        self.problem(self.world.ask("POST", f"/join/{self.room_id}", {"username": "Bob"}), 409, 104)

    def test_faults(self) -> None:
        """Unknown fields, other wishes and bodies that are no objects are 100, with a pointer."""
        for body, pointer in [({"name": "x"}, "/name"), ({"as": "host"}, "/as"), ({"as": 1}, "/as"), ([1], ""), (None, None)]:
            response = self.world.ask("POST", f"/join/{self.room_id}", b"null" if body is None else body)
            self.assertEqual(self.problem(response, 400, 100)["pointer"], pointer or "")
        self.problem(self.world.ask("POST", "/join", {}), 400, 100)
        self.problem(self.world.ask("POST", "/join/nowhere", {}), 404, 103)
        self.problem(self.world.ask("POST", f"/join/{self.room_id}", {}, token="nonsense"), 401, 101)

    def test_leave(self) -> None:
        """The seat is free at once; without the seat token: 101."""
        self.problem(self.world.ask("DELETE", f"/join/{self.room_id}"), 401, 101)
        first, _ = self.world.join(self.room_id), self.world.join(self.room_id)
        response = self.world.ask("DELETE", f"/join/{self.room_id}", token=first["token"])
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertEqual(self.world.join(self.room_id)["seat"], 0)


class PartyTests(RoomCase):
    """GET /party/<code>."""

    def test_code(self) -> None:
        """303 to the room, however the code is typed."""
        room_id = self.world.create(self.alice)
        code = self.world.ask("GET", f"/join/{room_id}").json["party_code"]
        for typed in (code, code.lower()):
            response = self.world.ask("GET", f"/party/{typed}")
            self.assertEqual((response.status, response.headers["location"]), (303, f"/join/{room_id}"))

    def test_guessing(self) -> None:
        """Unknown: 103; an address that goes on guessing: 106 with the time to wait, in the document and as Retry-After."""
        for _ in range(self.world.limits.code_misses):
            self.problem(self.world.ask("GET", "/party/BBBBBB"), 404, 103)
        response = self.world.ask("GET", "/party/BBBBBB")
        document = self.problem(response, 429, 106)
        self.assertGreater(document["retry_after"], 0)
        self.assertGreaterEqual(int(response.headers["retry-after"]), document["retry_after"])
        self.problem(self.world.ask("GET", "/party/BBBBBB", address="192.0.2.2"), 404, 103)


class ListTests(RoomCase):
    """GET /rooms."""

    def test_list(self) -> None:
        """Public rooms, newest first, as in LIST_ROOMS and with the URL; private ones only for their members."""
        old, hidden = self.world.create(self.alice), self.world.create(self.alice, public=False)
        new = self.world.create(self.alice)
        self.world.join(hidden, self.alice)
        rooms = self.world.ask("GET", "/rooms").json["rooms"]
        self.assertEqual([room["room_id"] for room in rooms], [new, old])
        self.assertEqual(
            rooms[0],
            {
                "room_id": new,
                "game_id": "",
                "version": "",
                "host": "",
                "players": [],
                "status": "WAITING",
                "join_url": f"http://play.example:8080/join/{new}",
            },
        )
        own = self.world.ask("GET", "/rooms", token=self.alice).json["rooms"]
        self.assertEqual([room["room_id"] for room in own], [new, hidden, old])

    def test_pages_of_the_list(self) -> None:
        """`limit` and `before` go through the list; other parameters and values are 100."""
        ids = [self.world.create(self.alice) for _ in range(3)]
        first = self.world.ask("GET", "/rooms?limit=2").json["rooms"]
        self.assertEqual([room["room_id"] for room in first], [ids[2], ids[1]])
        rest = self.world.ask("GET", f"/rooms?limit=2&before={ids[1]}").json["rooms"]
        self.assertEqual([room["room_id"] for room in rest], [ids[0]])
        for query in ("limit=0", "limit=x", "limit=-1", "limit=1&limit=2", "limt=1", "limit=9999999999999999999999", "limit=%D9%A1"):
            self.problem(self.world.ask("GET", f"/rooms?{query}"), 400, 100)
        self.problem(self.world.ask("GET", "/rooms?before=none"), 404, 103)

    def test_one(self) -> None:
        """One public room as in GET_ROOM, with the URL; a private one is not there for others."""
        room_id, hidden = self.world.create(self.alice), self.world.create(self.alice, public=False)
        self.world.join(room_id, username="Bob")
        detail = self.world.ask("GET", f"/rooms/{room_id}").json
        self.assertEqual((detail["seats"], detail["host"], detail["max_players"]), ({"0": "Bob"}, "Bob", 8))
        self.assertEqual(detail["join_url"], f"http://play.example:8080/join/{room_id}")
        self.problem(self.world.ask("GET", f"/rooms/{hidden}"), 404, 103)
        self.problem(self.world.ask("GET", f"/rooms/{hidden}", token=self.alice), 404, 103)
        self.world.join(hidden, self.alice)
        self.assertEqual(self.world.ask("GET", f"/rooms/{hidden}", token=self.alice).status, 200)


class WhereTests(SynchronousTestCase):
    """By which URL members are told to come."""

    def told(self, addresses: Addresses, host: str) -> tuple[str, str]:
        world = WebWorld(addresses=addresses)
        self.addCleanup(world.close)
        token = world.register("alice")
        response = world.ask("POST", "/create", {"engine": SOURCE}, token=token, headers={"Host": host})
        room_id = response.json["room_id"]
        socket = world.ask("POST", f"/join/{room_id}", {}, headers={"Host": host}).json["socket"]
        return response.json["join"].removesuffix(f"/join/{room_id}"), socket.removesuffix(f"/socket/{room_id}")

    def test_configured(self) -> None:
        """What the operator has configured is told, whatever the caller has used."""
        self.assertEqual(self.told(Addresses(public_host="a.example", web_port=81), "b.example"), ("http://a.example:81", "ws://a.example:81"))
        self.assertEqual(self.told(Addresses(public_url="https://a.example"), "b.example"), ("https://a.example", "wss://a.example"))

    def test_not_configured(self) -> None:
        """Where nothing but the loopback is configured, others in the network are not sent to themselves: they keep the host that they used."""
        self.assertEqual(self.told(Addresses(), "192.168.1.7:8080"), ("http://192.168.1.7:8080", "ws://192.168.1.7:8080"))

    def test_not_a_host(self) -> None:
        """What is no host is not told to anybody, nor put into a policy."""
        for host in ("a.example; script-src *", "a b", "a/b", "u@a", "", "a:b"):
            self.assertEqual(self.told(Addresses(), host), ("http://127.0.0.1:8080", "ws://127.0.0.1:8080"), host)
