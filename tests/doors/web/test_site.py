"""gameroom.doors.web.site: what holds for every answer, CORS, and where requests go."""

from __future__ import annotations

from twisted.internet.defer import fail
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.web import WebSite
from gameroom.settings import WebSettings
from tests.doors.web.test_routes_rooms import BROWSER, RoomCase
from tests.doors.web.world import Response, WebWorld, read_responses, request

FRIEND = "https://friend.example"


class EveryAnswerTests(RoomCase):
    """Headers, methods, and what is not there."""

    def test_headers(self) -> None:
        """Every answer says what browsers may do with it, and not by whose library it was made."""
        for path in ("/rooms", "/nothing", "/", "/gameroom.js", "/socket/x", "/login"):
            headers = self.world.ask("GET", path).headers
            self.assertEqual((headers["x-content-type-options"], headers["server"]), ("nosniff", "gameroom"), path)
            self.assertIn("referrer-policy", headers)
            self.assertRegex(headers["content-security-policy"], "default-src 'none'.*frame-ancestors 'none'")
            self.assertNotIn("access-control-allow-credentials", headers)
            self.assertNotIn("set-cookie", headers)

    def test_not_allowed(self) -> None:
        """A method that a path does not take: 405 with those that it takes."""
        for method, path, allowed in [
            ("DELETE", "/rooms", "GET, HEAD"),
            ("GET", "/create", "POST, PUT"),
            ("PATCH", "/join/x", "DELETE, GET, HEAD, POST, PUT"),
            ("BREW", "/", "GET, HEAD"),
        ]:
            response = self.world.ask(method, path)
            self.problem(response, 405, 100)
            self.assertEqual(response.headers["allow"], allowed)

    def test_not_there(self) -> None:
        """No such path: a problem document, or a page for a browser."""
        for path in ("/nothing", "/rooms/", "/static/../site.py", "/join/x/y", "/%2e%2e/x"):
            self.assertIn(self.world.ask("GET", path).status, (404, 308), path)
        self.problem(self.world.ask("GET", "/nothing"), 404, 103)
        page = self.world.ask("GET", "/nothing", headers=BROWSER)
        self.assertEqual((page.status, page.headers["content-type"]), (404, "text/html; charset=utf-8"))

    def test_redirects_stay_here(self) -> None:
        """A path with a slash too many or too few leads to the right one on this host, whatever Host was sent."""
        game_id = self.world.game_id()
        response = self.world.ask("GET", f"/play/{game_id}/1.0.0", headers={"Host": "evil.example"})
        self.assertEqual((response.status, response.headers["location"]), (308, f"/play/{game_id}/1.0.0/"))
        for path in ("//evil.example/", "//evil.example//rooms", "/\\evil.example"):
            location = self.world.ask("GET", path).headers.get("location", "/")
            self.assertFalse(location.startswith(("//", "/\\", "http")), (path, location))

    def test_head(self) -> None:
        """HEAD answers the same headers as GET, without the body."""
        for path in ("/rooms", "/nothing", "/gameroom.js", f"/play/{self.world.game_id()}/1.0.0/engine.js"):
            head, get = self.world.ask("HEAD", path), self.world.ask("GET", path)
            self.assertEqual((head.status, head.headers, head.body), (get.status, get.headers, b""), path)

    def test_our_fault(self) -> None:
        """What fails in here is 199 with an incident; the log has it under that, and the answer nothing of it."""
        self.patch(self.world.registry, "rooms", lambda account=None: fail(ZeroDivisionError("a secret of ours")))
        response = self.world.ask("GET", "/rooms")
        document = self.problem(response, 500, 199)
        self.assertNotIn(b"secret", response.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertRegex(document["incident"], "^[0-9a-f-]{36}$")

    def test_headers_of_any_bytes(self) -> None:
        """No header is our fault, whatever bytes it has: one that counts is refused, and others are as good as not there."""
        for name in ("Accept", "Origin", "X-Forwarded-For", "If-None-Match", "Accept-Encoding", "Content-Type"):
            for path in ("/rooms", "/", "/gameroom.js", "/nothing"):
                [response] = self.sent(f"GET {path} HTTP/1.1\r\n{name}: \xff\xfe\r\n\r\n")
                self.assertEqual(response.status, 404 if path == "/nothing" else 200, (name, path))
        [response] = self.sent("GET /rooms HTTP/1.1\r\nAuthorization: Bearer \xff\xfe\r\n\r\n")
        self.problem(response, 401, 101)
        [response] = self.sent("GET / HTTP/1.1\r\nHost: \xff\xfe\r\n\r\n")
        self.problem(response, 400, 100)
        [response] = self.sent("GET /socket/x HTTP/1.1\r\nUpgrade: \xff\r\n\r\n")
        self.problem(response, 426, 100)

    def sent(self, text: str) -> list[Response]:
        """What is answered to these bytes."""
        peer = self.world.peer()
        peer.raw(text.encode("latin-1"))
        return read_responses(peer.take())

    def test_first_line(self) -> None:
        """A status has its name behind it, also where Twisted knows none."""
        peer = self.world.peer()
        peer.raw(request("GET", "/socket/x"))
        self.assertTrue(peer.take().startswith(b"HTTP/1.1 426 Upgrade Required\r\n"))

    def test_a_line_for_each_connection(self) -> None:
        """A connection has one line in the log, whatever was asked on it, and nothing of that."""
        with capturedLogs() as events:
            peer = self.world.peer()
            for _ in range(3):
                peer.raw(request("GET", "/rooms", token="a-secret"))
            self.world.clock.advance(2)
            peer.lose()
        self.assertEqual([formatEvent(event) for event in events], ["web connection of 192.0.2.1 ended after 2.0 s"])

    def test_counted(self) -> None:
        """Requests are counted by route and code."""
        self.world.ask("GET", "/rooms")
        self.world.ask("GET", "/join/nowhere")
        text = self.world.metrics.render()
        self.assertIn(b'gameroom_requests_total{code="0",door="web",type="rooms"} 1.0', text)
        self.assertIn(b'gameroom_requests_total{code="103",door="web",type="show"} 1.0', text)


class CorsTests(SynchronousTestCase):
    """Other sites' pages."""

    def setUp(self) -> None:
        self.world = WebWorld(WebSettings(origins=(FRIEND,)))
        self.addCleanup(self.world.close)

    def test_configured_origin(self) -> None:
        """A configured origin may read answers, errors too; caches are told that answers differ."""
        for path in ("/rooms", "/nothing", "/join/nowhere"):
            headers = self.world.ask("GET", path, headers={"Origin": FRIEND}).headers
            self.assertEqual(headers["access-control-allow-origin"], FRIEND)
            self.assertIn("Origin", headers["vary"])

    def test_others(self) -> None:
        """Any other may not."""
        for origin in ("https://evil.example", "null", "https://friend.example.evil.example", "*", ""):
            headers = self.world.ask("GET", "/rooms", headers={"Origin": origin}).headers
            self.assertNotIn("access-control-allow-origin", headers)
            self.assertIn("Origin", headers["vary"])

    def test_preflight(self) -> None:
        """A preflight allows the path's methods, with Authorization and JSON, to a configured origin alone."""
        asking = {"Origin": FRIEND, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        response = self.world.ask("OPTIONS", "/join/x", headers=asking)
        self.assertEqual((response.status, response.body), (204, b""))
        self.assertEqual(response.headers["access-control-allow-origin"], FRIEND)
        self.assertEqual(response.headers["access-control-allow-methods"], "DELETE, GET, HEAD, POST, PUT, OPTIONS")
        self.assertEqual(response.headers["access-control-allow-headers"], "Authorization, Content-Type, If-None-Match, If-Range, Prefer, Range")
        for path, methods in (("/developer/games/x", "GET, HEAD, PATCH, OPTIONS"), ("/developer/uploads/x/chunks/0", "PUT, OPTIONS")):
            self.assertEqual(self.world.ask("OPTIONS", path, headers=asking).headers["access-control-allow-methods"], methods)
        stranger = self.world.ask("OPTIONS", "/join/x", headers={**asking, "Origin": "https://evil.example"})
        self.assertEqual([name for name in stranger.headers if name.startswith("access-control")], [])
        self.assertEqual(self.world.ask("OPTIONS", "/nothing").status, 404)

    def test_none_configured(self) -> None:
        """Without configured origins there is no CORS at all."""
        world = WebWorld()
        self.addCleanup(world.close)
        headers = world.ask("GET", "/rooms", headers={"Origin": FRIEND}).headers
        self.assertNotIn("access-control-allow-origin", headers)


class WithoutTheStoreTests(SynchronousTestCase):
    """A web door in a program that has rooms and no developers."""

    def test_routes(self) -> None:
        """What developers and reviewers do is not there, everything else is."""
        world = WebWorld()
        self.addCleanup(world.close)
        site = WebSite(
            registry=world.registry,
            accounts=world.accounts,
            catalogue=world.catalogue,
            recordings=world.recordings,
            addresses=world.addresses,
            clock=world.clock,
            limits=lambda: world.limits,
        )
        there = {route.name for route in site.api.routes}
        without = {route.name for route in world.site.api.routes} - there
        self.assertLess({"create", "games", "bundle", "index"}, there)
        self.assertLess({"reviews", "own_games", "begin_upload", "login_developer", "developer_page"}, without)
