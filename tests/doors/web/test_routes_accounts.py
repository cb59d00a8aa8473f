"""gameroom.doors.web.routes_accounts."""

from __future__ import annotations

from gameroom.settings import WebSettings
from tests.doors.web.test_routes_rooms import RoomCase
from tests.doors.web.world import WebWorld

ALICE = {"username": "alice", "password": "correct horse"}


class AccountTests(RoomCase):
    """Register, log in, log out."""

    def test_flow(self) -> None:
        """Register answers 201, login 200, each a session token alone; logout 204, and then the token is unknown."""
        registered = self.world.ask("POST", "/register", {"username": "bob", "password": "correct horse"})
        self.assertEqual((registered.status, set(registered.json)), (201, {"session_token"}))
        logged_in = self.world.ask("POST", "/login", {"username": "bob", "password": "correct horse"})
        self.assertEqual((logged_in.status, set(logged_in.json)), (200, {"session_token"}))
        token = logged_in.json["session_token"]
        self.assertEqual(self.world.ask("POST", "/logout", token=token).status, 204)
        self.problem(self.world.ask("POST", "/logout", token=token), 401, 101)
        self.problem(self.world.ask("POST", "/logout"), 401, 101)

    def test_refusals(self) -> None:
        """Taken name 104, wrong password 101, bad name or password 100."""
        self.problem(self.world.ask("POST", "/register", ALICE), 409, 104)
        self.problem(self.world.ask("POST", "/login", {**ALICE, "password": "wrong horse"}), 401, 101)
        self.problem(self.world.ask("POST", "/login", {**ALICE, "username": "nobody"}), 401, 101)
        self.problem(self.world.ask("POST", "/register", {"username": "..", "password": "correct horse"}), 400, 100)
        self.problem(self.world.ask("POST", "/register", {"username": "carol", "password": "short"}), 400, 100)

    def test_fields(self) -> None:
        """Missing, unknown and mistyped fields are 100 with a pointer, and no password comes back in it."""
        for body, pointer in [
            ({"username": "carol"}, "/password"),
            ({**ALICE, "admin": True}, "/admin"),
            ({**ALICE, "username": 7}, "/username"),
            ({**ALICE, "password": ["hunter2hunter2"]}, "/password"),
        ]:
            response = self.world.ask("POST", "/register", body)
            self.assertEqual(self.problem(response, 400, 100)["pointer"], pointer)
            self.assertNotIn(b"hunter2", response.body)

    def test_strict_json(self) -> None:
        """What is no strict JSON is 100: NaN, a lone surrogate, depth without end, half an object, not UTF-8, nothing."""
        for body in (b'{"username": NaN}', b'{"username": "\\ud800"}', b"[" * 100_000, b'{"username": ', b"\xff\xfe", b""):
            self.problem(self.world.ask("POST", "/login", body, headers={"Content-Type": "application/json"}), 400, 100)

    def test_media_type(self) -> None:
        """A body of another type than JSON is 415, as a form of another site would send it; a body without a type is taken as JSON."""
        body = b'{"username": "alice", "password": "correct horse"}'
        for media_type in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            self.problem(self.world.ask("POST", "/login", body, headers={"Content-Type": media_type}), 415, 100)
        self.assertEqual(self.world.ask("POST", "/login", body, headers={"Content-Type": "application/json; charset=utf-8"}).status, 200)
        self.assertEqual(self.world.ask("POST", "/login", body).status, 200)

    def test_body_where_none_is_read(self) -> None:
        """A request that takes no body says so."""
        self.problem(self.world.ask("POST", "/logout", {"x": 1}, token=self.alice), 400, 100)

    def test_throttle_counts_the_clients_address(self) -> None:
        """Log-in tries count for the address of the peer, or behind a trusted proxy for the one that it names."""
        world = WebWorld(WebSettings(trusted_proxies=("10.0.0.1",)), login_tries=1)
        self.addCleanup(world.close)

        def tries(peer: str, forwarded: str) -> list[int]:
            found = []
            for number in range(6):
                body = {"username": f"user{number}-{forwarded}", "password": "correct horse"}
                found.append(world.ask("POST", "/login", body, address=peer, headers={"X-Forwarded-For": forwarded}).status)
            return found

        self.assertEqual(tries("10.0.0.1", "198.51.100.1"), [401] * 4 + [429] * 2)
        self.assertEqual(tries("10.0.0.1", "198.51.100.2")[:2], [401] * 2)
        self.assertEqual(tries("192.0.2.9", "198.51.100.3"), [401] * 4 + [429] * 2)
        self.assertEqual(world.ask("POST", "/login", ALICE, address="192.0.2.9", headers={"X-Forwarded-For": "198.51.100.4"}).status, 429)
