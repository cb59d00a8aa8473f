"""gameroom.doors.web.routes_reviews: reviews, versions and bundles for players."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from gameroom.doors.turns import PIECE
from gameroom.doors.web.routes_reviews import _disposition
from gameroom.downloads import UnreadableFile
from gameroom.settings import StoreSettings
from tests.doors.web.test_routes_developer import DeveloperCase
from tests.doors.web.test_routes_rooms import BROWSER
from tests.doors.web.world import Response, WebWorld, read_responses, request


class GamePageTests(DeveloperCase):
    """GET /games/<game_id>."""

    def test_page(self) -> None:
        """A browser gets a page that says nothing of the game by itself, others JSON; both say that answers differ."""
        game_id = self.world.game_id()
        page = self.world.ask("GET", f"/games/{game_id}?utm_source=x", headers=BROWSER)
        self.assertEqual((page.status, page.headers["content-type"], page.headers["vary"]), (200, "text/html; charset=utf-8", "Accept"))
        self.assertNotIn(b"Dots", page.body)
        self.assertIn("script-src 'self';", page.headers["content-security-policy"])
        detail = self.world.ask("GET", f"/games/{game_id}")
        self.assertEqual((detail.json["name"], detail.headers["vary"]), ("Dots", "Accept"))

    def test_no_such_game(self) -> None:
        """A browser is told by a page, others by a problem document."""
        page = self.world.ask("GET", "/games/none", headers=BROWSER)
        self.assertEqual((page.status, page.headers["content-type"]), (404, "text/html; charset=utf-8"))
        self.problem(self.world.ask("GET", "/games/none"), 404, 103)

    def test_latest(self) -> None:
        """As LATEST_VERSION; without a version, 103."""
        latest = self.world.ask("GET", f"/games/{self.world.game_id()}/versions/latest").json
        self.assertEqual((set(latest), latest["version"]), ({"version", "size_bytes", "checksum", "hosting", "page"}, "1.0.0"))
        self.assertEqual((latest["hosting"], latest["page"]), ("lockstep", True))
        self.problem(self.world.ask("GET", f"/games/{self.new_game()}/versions/latest"), 404, 103)


class ReviewTests(DeveloperCase):
    """Reviews."""

    def setUp(self) -> None:
        super().setUp()
        self.path = f"/games/{self.world.game_id()}/reviews"

    def review(self, token: str, score: Any = 4, comment: Any = "Fine.") -> Response:
        self.world.clock.advance(1)
        return self.world.ask("POST", self.path, {"score": score, "comment": comment}, token=token)

    def test_flow(self) -> None:
        """A review is listed with its time and counts in the average; a player's second takes the place of the first."""
        bob = self.world.register("bob")
        for token, score in ((self.alice, 1), (bob, 5), (self.alice, 4)):
            self.assertEqual(self.review(token, score, f"{score}\nof 5").status, 204)
        found = self.world.ask("GET", self.path).json["reviews"]
        self.assertEqual([(one["player"], one["score"], one["comment"]) for one in found], [("alice", 4, "4\nof 5"), ("bob", 5, "5\nof 5")])
        self.assertEqual(self.world.ask("GET", f"/games/{self.world.game_id()}").json["avg_score"], 4.5)

    def test_in_parts(self) -> None:
        """`limit` and `before` go through the list."""
        for number in range(5):
            self.review(self.world.register(f"player{number}"), comment=str(number))
        seen: list[str] = []
        before = ""
        for _ in range(3):
            found = self.world.ask("GET", f"{self.path}?limit=2{before}").json["reviews"]
            seen += [one["comment"] for one in found]
            before = f"&before={found[-1]['created_at'].replace('+', '%2B')}"
        self.assertEqual(seen, ["4", "3", "2", "1", "0"])

    def test_refusals(self) -> None:
        """No session 101, a developer's 102, an unknown game 103; what is no review 100 with a pointer."""
        self.problem(self.world.ask("POST", self.path, {"score": 1, "comment": ""}), 401, 101)
        self.problem(self.review(self.dev), 403, 102)
        self.problem(self.world.ask("POST", "/games/none/reviews", {"score": 1, "comment": ""}, token=self.alice), 404, 103)
        self.problem(self.world.ask("GET", "/games/none/reviews"), 404, 103)
        for body, pointer in [
            ({"score": 6, "comment": ""}, "/score"),
            ({"score": True, "comment": ""}, "/score"),
            ({"score": 3}, "/comment"),
            ({"score": 3, "comment": "é" * 2000}, "/comment"),
            ({"score": 3, "comment": "", "player": "bob"}, "/player"),
        ]:
            self.assertEqual(self.problem(self.world.ask("POST", self.path, body, token=self.alice), 400, 100)["pointer"], pointer)
        self.problem(self.review(self.alice, comment="a\x07b"), 400, 100)
        self.problem(self.world.ask("GET", f"{self.path}?before=yesterday"), 400, 100)
        self.assertEqual(self.world.ask("GET", self.path).json["reviews"], [])


class DownloadTests(DeveloperCase):
    """Bundles as files."""

    def setUp(self) -> None:
        super().setUp()
        self.data = bytes(range(256)) * 2048  # eight pieces
        self.game = self.new_game("Pöng / 2")
        self.publish(self.game, "1.0.0", self.data)
        self.path = f"/games/{self.game}/bundle"
        self.tag = f'"{hashlib.sha256(self.data).hexdigest()}"'

    def fetch(self, path: str = "", method: str = "GET", **headers: str) -> Response:
        """An answer that may take many turns of the reactor."""
        peer = self.world.peer()
        peer.raw(request(method, path or self.path, token=self.alice, headers=headers))
        data = b""
        for _ in range(len(self.data) // PIECE + 2):
            data += peer.take()
            self.world.clock.advance(0)
        [response] = read_responses(data, heads_only=method == "HEAD")
        peer.lose()
        return response

    def knows(self, account: str = "alice") -> bool:
        return bool(self.successResultOf(self.world.reviews.knows(account, self.game)))

    def test_whole(self) -> None:
        """The file as it was uploaded, as a download with a name; its ETag is its SHA-256, and no cache shares it."""
        found = self.fetch()
        self.assertEqual((found.status, found.body, found.headers["etag"]), (200, self.data, self.tag))
        self.assertEqual(found.headers["content-type"], "application/octet-stream")
        self.assertEqual(found.headers["content-length"], str(len(self.data)))
        self.assertEqual(found.headers["cache-control"], "private, no-cache")
        self.assertEqual(
            found.headers["content-disposition"], "attachment; filename=\"P-ng-2-1.0.0.bin\"; filename*=UTF-8''P%C3%B6ng%20-%202-1.0.0.bin"
        )

    def test_zip(self) -> None:
        """A ZIP is one, also of a game that came with the daemon."""
        [dots] = [game for game in self.world.ask("GET", "/games").json["games"] if game["name"] == "Dots"]
        found = self.fetch(f"/games/{dots['game_id']}/bundle")
        self.assertEqual((found.headers["content-type"], found.body[:2]), ("application/zip", b"PK"))

    def test_by_version(self) -> None:
        """A version by its name, also one that was yanked; unknown ones are 103."""
        self.publish(self.game, "2.0.0", b"two")
        for version, data in (("1.0.0", self.data), ("2.0.0", b"two")):
            self.assertEqual(self.fetch(f"/games/{self.game}/versions/{version}/bundle").body, data)
        self.assertEqual(self.fetch().body, b"two")
        self.developer_asks("POST", f"/games/{self.game}/versions/2.0.0/yank")
        self.assertEqual(self.fetch().body, self.data)
        self.assertEqual(self.fetch(f"/games/{self.game}/versions/2.0.0/bundle").body, b"two")
        self.problem(self.fetch(f"/games/{self.game}/versions/3.0.0/bundle"), 404, 103)

    def test_parts(self) -> None:
        """A download goes on where it was, as long as it is the same file; who has it already is told so."""
        half = len(self.data) // 2
        rest = self.fetch(Range=f"bytes={half}-", **{"If-Range": self.tag})
        self.assertEqual((rest.status, rest.body, rest.headers["etag"]), (206, self.data[half:], self.tag))
        self.assertEqual(rest.headers["content-range"], f"bytes {half}-{len(self.data) - 1}/{len(self.data)}")
        self.assertEqual(self.fetch(Range=f"bytes={half}-", **{"If-Range": '"another"'}).status, 200)
        self.assertEqual(self.fetch(Range=f"bytes={len(self.data)}-").status, 416)
        again = self.fetch(**{"If-None-Match": self.tag})
        self.assertEqual((again.status, again.body), (304, b""))
        self.assertEqual(self.fetch(**{"If-None-Match": '"another"', "If-Modified-Since": "Fri, 01 Jan 2100 00:00:00 GMT"}).status, 200)

    def test_refusals(self) -> None:
        """No session 101, a developer's 102, an unknown game 103, one without a version 103, one that is OFFLINE 105."""
        self.problem(self.world.ask("GET", self.path), 401, 101)
        self.problem(self.world.ask("GET", self.path, token=self.dev), 403, 102)
        self.problem(self.world.ask("GET", "/games/none/bundle", token=self.alice), 404, 103)
        self.problem(self.world.ask("GET", f"/games/{self.new_game('Other')}/bundle", token=self.alice), 404, 103)
        self.developer_asks("PATCH", f"/games/{self.game}", {"status": "OFFLINE"})
        self.problem(self.world.ask("GET", self.path, token=self.alice), 409, 105)

    def test_damaged(self) -> None:
        """A file that is cut short on our disk is our fault: 199, which the log explains. One that is gone is 103; nobody has downloaded either."""
        path = self.successResultOf(self.world.catalogue.stored(self.game)).path
        path.chmod(0o644)
        path.write_bytes(self.data[:-1])
        self.problem(self.fetch(), 500, 199)
        self.assertEqual(len(self.flushLoggedErrors(UnreadableFile)), 1)
        path.parent.chmod(0o755)
        path.unlink()
        self.problem(self.fetch(), 404, 103)
        self.assertFalse(self.knows())

    def test_counts(self) -> None:
        """Who has had a file to its end has downloaded the game: not by its head, its first half, or half of the answer."""
        half = len(self.data) // 2
        for method, headers in (("HEAD", {}), ("GET", {"Range": f"bytes=0-{half}"}), ("GET", {"If-None-Match": self.tag})):
            self.fetch(method=method, **headers)
            self.assertFalse(self.knows())
        peer = self.world.peer()
        peer.raw(request("GET", self.path, token=self.alice))
        self.assertLess(len(peer.take()), len(self.data) // 2)
        peer.lose()
        self.world.clock.pump([0] * 20)
        self.assertFalse(self.knows())
        self.fetch(Range=f"bytes={half}-")
        self.assertTrue(self.knows())
        self.assertFalse(self.knows("bob"))

    def test_only_players_review(self) -> None:
        """Where only players may review, a download makes one."""
        self.world.close()
        self.world = WebWorld(store=StoreSettings(reviews="players"))
        self.addCleanup(self.world.close)
        self.alice = self.world.register("alice")
        self.game = self.world.game_id()
        self.path, review = f"/games/{self.game}/bundle", {"score": 5, "comment": ""}
        self.problem(self.world.ask("POST", f"/games/{self.game}/reviews", review, token=self.alice), 403, 102)
        self.fetch()
        self.assertEqual(self.world.ask("POST", f"/games/{self.game}/reviews", review, token=self.alice).status, 204)

    def test_names(self) -> None:
        """Whatever a game is called, the header is one line of ASCII, and no name leads out of a folder."""
        for name in ('a"; x=1', "..", "/etc/passwd", "\u202eexe", "名前", "%0d%0a", "x" * 64):
            header = _disposition(f"{name}-1.0.0.zip")
            self.assertRegex(header, re.compile(r"attachment; filename=\"[A-Za-z0-9._+-]+\"; filename\*=UTF-8''[A-Za-z0-9._~%-]+"))
            self.assertNotIn("%2F", header)
