"""gameroom.doors.web.routes_developer: what developers do with their games."""

from __future__ import annotations

from typing import Any

from tests.doors.web.test_routes_rooms import RoomCase
from tests.doors.web.world import Response

DESCRIBED = {"description": "Two bats\nand a ball.", "game_type": "gui", "max_players": 2}


class DeveloperCase(RoomCase):
    """A player and a developer."""

    def setUp(self) -> None:
        super().setUp()
        self.dev = self.world.developer("dora")

    def developer_asks(self, method: str, path: str, body: Any = None, token: str | None = None) -> Response:
        return self.world.ask(method, f"/developer{path}", body, token=token or self.dev)

    def new_game(self, name: str = "Pong", token: str | None = None) -> str:
        self.world.clock.advance(1)
        response = self.developer_asks("POST", "/games", {"name": name, **DESCRIBED}, token)
        self.assertEqual((response.status, response.headers["location"]), (201, f"/developer/games/{response.json['game_id']}"))
        return str(response.json["game_id"])

    def publish(self, game_id: str, version: str, data: bytes) -> None:
        """A version of a game, in one upload."""
        begun = self.developer_asks("POST", f"/games/{game_id}/uploads", {"version": version, "size_bytes": len(data)})
        upload = f"/uploads/{begun.json['upload_id']}"
        for seq in range(-(-len(data) // 262_144)):
            self.assertEqual(self.chunk(upload, seq, data[seq * 262_144 : (seq + 1) * 262_144]).status, 204)
        self.assertEqual(self.developer_asks("POST", f"{upload}/end").status, 200)

    def chunk(self, upload: str, seq: int, data: bytes, **headers: str) -> Response:
        headers.setdefault("Content-Type", "application/octet-stream")
        return self.world.ask("PUT", f"/developer{upload}/chunks/{seq}", data, token=self.dev, headers=headers)


class AccountTests(DeveloperCase):
    """Register, log in, log out as a developer."""

    def test_flow(self) -> None:
        """As players do, and apart from them: the same name may be both, and each token is for its own."""
        self.assertEqual(self.world.register("dora") != self.dev, True)
        again = self.developer_asks("POST", "/login", {"username": "dora", "password": "correct horse"})
        self.assertEqual((again.status, set(again.json)), (200, {"session_token"}))
        self.problem(self.developer_asks("GET", "/games"), 409, 105)
        self.dev = again.json["session_token"]
        self.assertEqual(self.developer_asks("GET", "/games").json, {"games": []})
        self.problem(self.world.ask("POST", "/developer/logout", token=self.alice), 403, 102)
        self.problem(self.world.ask("POST", "/logout", token=self.dev), 403, 102)
        self.assertEqual(self.developer_asks("POST", "/logout").status, 204)
        self.problem(self.developer_asks("POST", "/logout"), 401, 101)
        self.assertEqual(self.world.ask("GET", "/rooms", token=self.alice).status, 200)

    def test_names(self) -> None:
        """A taken name is 104, and so is that of the daemon's own developer."""
        for name in ("dora", "gameroom", "GameRoom"):
            self.problem(self.developer_asks("POST", "/register", {"username": name, "password": "correct horse"}), 409, 104)

    def test_every_row_wants_a_developer(self) -> None:
        """Nothing below /developer is done without a session, or with a player's."""
        for route in self.world.site.api.routes:
            if not route.path.startswith("/developer/") or route.auth == "none":
                continue
            self.assertEqual(route.auth, "developer session")
            path = route.path.replace("<seq>", "0")
            some = {"name": "x", **DESCRIBED, "version": "1.0.0", "size_bytes": 1}
            body: Any = (
                None if route.body is None else {field.name: some[field.name] for field in getattr(route.body, "fields", ()) if field.required}
            )
            body = b"x" if "chunks" in path else body
            for token, status, code in ((None, 401, 101), (self.alice, 403, 102)):
                self.problem(self.world.ask(route.methods[0], path, body, token=token), status, code)


class GameTests(DeveloperCase):
    """A developer's games."""

    def test_create(self) -> None:
        """A new game is one's own, offline and without a version; players do not see it."""
        game = self.new_game()
        mine = self.developer_asks("GET", "/games").json["games"]
        entry = {"game_id": game, "name": "Pong", "description": DESCRIBED["description"], "status": "OFFLINE", "latest_version": None}
        self.assertEqual(mine, [entry])
        self.assertEqual(self.developer_asks("GET", f"/games/{game}").json, self.world.ask("GET", f"/games/{game}").json)
        self.assertNotIn(game, [one["game_id"] for one in self.world.ask("GET", "/games").json["games"]])
        self.problem(self.developer_asks("POST", "/games", {"name": "Pong", **DESCRIBED}), 409, 104)

    def test_in_parts(self) -> None:
        """`limit` and `before` go through the lists of games and of versions."""
        games = [self.new_game(name) for name in ("One", "Two", "Three")]
        first = self.developer_asks("GET", "/games?limit=2").json["games"]
        self.assertEqual([one["game_id"] for one in first], games[:0:-1])
        self.assertEqual([one["name"] for one in self.developer_asks("GET", f"/games?before={games[1]}").json["games"]], ["One"])
        for version in ("1.0.0", "1.1.0", "1.2.0"):
            self.publish(games[0], version, b"x")
        path = f"/games/{games[0]}/versions"
        self.assertEqual([one["version"] for one in self.developer_asks("GET", f"{path}?limit=1&before=1.2.0").json["versions"]], ["1.1.0"])

    def test_change(self) -> None:
        """What is given changes and the rest stays; a status goes alone, so that all of a change is made or nothing."""
        game = self.new_game()
        path = f"/games/{game}"
        self.assertEqual(self.developer_asks("PATCH", path, {"max_players": 8}).status, 204)
        self.assertEqual(self.developer_asks("PATCH", path, {}).status, 204)
        detail = self.developer_asks("GET", path).json
        self.assertEqual((detail["max_players"], detail["description"]), (8, DESCRIBED["description"]))
        both = self.problem(self.developer_asks("PATCH", path, {"status": "OFFLINE", "max_players": 3}), 400, 100)
        self.assertEqual(both["pointer"], "/status")
        self.problem(self.developer_asks("PATCH", path, {"status": "ONLINE"}), 409, 105)
        self.assertEqual(self.developer_asks("GET", path).json["max_players"], 8)

    def test_status(self) -> None:
        """A first version brings a game online; its developer takes it off and puts it back."""
        game = self.new_game()
        self.publish(game, "1.0.0", b"anything")
        for status in ("ONLINE", "OFFLINE", "ONLINE"):
            self.assertEqual(self.developer_asks("PATCH", f"/games/{game}", {"status": status}).status, 204)
            listed = [one["game_id"] for one in self.world.ask("GET", "/games").json["games"]]
            self.assertEqual(game in listed, status == "ONLINE")

    def test_versions(self) -> None:
        """The highest first, with what a page shows of each; one that is yanked stays there and is never the latest."""
        game = self.new_game()
        for version in ("1.0.0", "1.10.0", "1.9.0"):
            self.publish(game, version, b"of " + version.encode())
        path = f"/games/{game}/versions"
        found = self.developer_asks("GET", path).json["versions"]
        self.assertEqual([(one["version"], one["is_latest"]) for one in found], [("1.10.0", True), ("1.9.0", False), ("1.0.0", False)])
        self.assertEqual(set(found[0]), {"version", "uploaded_at", "is_latest", "size_bytes", "checksum", "yanked"})
        self.assertEqual(self.developer_asks("POST", f"{path}/1.10.0/yank").status, 204)
        found = self.developer_asks("GET", path).json["versions"]
        self.assertEqual([(one["is_latest"], one["yanked"]) for one in found], [(False, True), (True, False), (False, False)])
        self.problem(self.developer_asks("POST", f"{path}/9.0.0/yank"), 404, 103)

    def test_logs(self) -> None:
        """What its programs wrote; as many lines as are asked for, the last ones."""
        game = self.new_game()
        self.world.logs.write(game, "one\ntwo\nthree\n")
        lines = self.developer_asks("GET", f"/games/{game}/logs?lines=2").json["lines"]
        self.assertEqual(len(lines), 2)
        self.assertIn("three", lines[-1])
        self.problem(self.developer_asks("GET", f"/games/{game}/logs?lines=0"), 400, 100)

    def test_somebody_elses(self) -> None:
        """Another developer's game is 102 in every way, an unknown one 103."""
        game, other = self.new_game(), self.world.developer("oscar")
        for method, path, body in [
            ("GET", "", None),
            ("PATCH", "", {"max_players": 3}),
            ("PATCH", "", {"status": "OFFLINE"}),
            ("GET", "/versions", None),
            ("POST", "/versions/1.0.0/yank", None),
            ("GET", "/logs", None),
            ("POST", "/uploads", {"version": "1.0.0", "size_bytes": 1}),
        ]:
            self.problem(self.developer_asks(method, f"/games/{game}{path}", body, other), 403, 102)
            self.problem(self.developer_asks(method, f"/games/none{path}", body), 404, 103)

    def test_fields(self) -> None:
        """What is missing, unknown or wrong in a body is 100, with a pointer to it."""
        good = {"name": "Pong", **DESCRIBED}
        for body, pointer in [
            ({**good, "max_players": 65}, "/max_players"),
            ({**good, "max_players": True}, "/max_players"),
            ({**good, "game_type": "Not A Type"}, "/game_type"),
            ({**good, "name": "x" * 65}, "/name"),
            ({**good, "description": "é" * 4000}, "/description"),
            ({**good, "status": "ONLINE"}, "/status"),
            (DESCRIBED, "/name"),
        ]:
            self.assertEqual(self.problem(self.developer_asks("POST", "/games", body), 400, 100)["pointer"], pointer)

    def test_page(self) -> None:
        """`/developer` is a page, under the policy of pages."""
        page = self.world.ask("GET", "/developer")
        self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
        self.assertIn("script-src 'self';", page.headers["content-security-policy"])
