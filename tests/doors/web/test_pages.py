"""gameroom.doors.web.pages, policy and streams: what browsers are served, and what it may do there."""

from __future__ import annotations

import gzip
import re
from io import BytesIO
from pathlib import Path
from typing import Any, cast
from urllib.parse import urljoin

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from gameroom.doors.turns import PIECE, Turns
from gameroom.doors.web.pages import media_type
from gameroom.doors.web.policy import is_host, page_policy, sandbox_policy
from gameroom.doors.web.streams import RecordingResource
from tests.doors.web.test_routes_rooms import BROWSER, RoomCase
from tests.doors.web.world import Peer, read_responses, request


class PageTests(RoomCase):
    """The pages."""

    def test_index(self) -> None:
        """`/` is a page for everybody, under a policy that lets only our own scripts run."""
        for headers in ({}, BROWSER):
            page = self.world.ask("GET", "/", headers=headers)
            self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"))
            self.assertEqual((page.headers["vary"], page.headers["cache-control"]), ("Accept", "no-store"))
            policy = page.headers["content-security-policy"]
            self.assertIn("script-src 'self';", policy)
            self.assertIn("frame-ancestors 'none'", policy)
            self.assertNotIn("unsafe", policy)

    def test_room(self) -> None:
        """A room is a page for a browser and JSON for others, at both URLs, and says that answers differ."""
        room_id = self.world.create(self.alice)
        for path in (f"/join/{room_id}", f"/join?game_id={room_id}", f"/join/{room_id}?utm_source=x"):
            page = self.world.ask("GET", path, headers=BROWSER)
            self.assertEqual((page.status, page.headers["content-type"]), (200, "text/html; charset=utf-8"), path)
            self.assertEqual((page.headers["vary"], page.headers["cache-control"]), ("Accept", "no-store"))
            self.assertNotIn(room_id.encode(), page.body)
        for accept in ("*/*", "application/json", "application/json, text/html;q=0.9", "text/html;q=0, */*", ""):
            self.assertEqual(self.world.ask("GET", f"/join/{room_id}", headers={"Accept": accept}).json["room_id"], room_id, accept)

    def test_pages_load_what_is_there(self) -> None:
        """What the pages name below /static is served, with a type that a browser takes, and revalidated each time."""
        for page in ("/", f"/join/{self.world.create(self.alice)}"):
            body = self.world.ask("GET", page, headers=BROWSER).body.decode()
            names = {part.split('"')[0] for part in body.split('"/static/')[1:]}
            self.assertTrue(names)
            for name in names:
                asset = self.world.ask("GET", f"/static/{name}")
                self.assertEqual((asset.status, asset.headers["cache-control"]), (200, "no-cache"), name)
                self.assertNotEqual(asset.headers["content-type"], "application/octet-stream")

    def test_sdk(self) -> None:
        """The SDK is at two URLs, any page and the opaque frames of engines may import it, and it is sent anew only when it has changed."""
        for path in ("/gameroom.js", "/static/gameroom.js", "/gameroom.js?v=2"):
            sdk = self.world.ask("GET", path)
            self.assertEqual((sdk.status, sdk.headers["access-control-allow-origin"]), (200, "*"))
            self.assertEqual(sdk.headers["content-type"], "text/javascript; charset=utf-8")
            again = self.world.ask("GET", path, headers={"If-None-Match": f'"other", W/{sdk.headers["etag"]}'})
            self.assertEqual((again.status, again.body, again.headers["etag"]), (304, b"", sdk.headers["etag"]))

    def test_modules_of_the_sdk(self) -> None:
        """What it is made of is named from the root, so that it is found from both URLs, and frames of no origin may import each."""
        waiting, seen = ["/gameroom.js"], set[str]()
        while waiting:
            path = waiting.pop()
            seen.add(path)
            module = self.world.ask("GET", path)
            self.assertEqual((module.status, module.headers["access-control-allow-origin"]), (200, "*"), path)
            named = {urljoin(path, name) for name in re.findall(r'from "([^"]+)"', module.body.decode())}
            waiting += named - seen
        self.assertGreater(len(seen), 8)

    def test_only_what_is_there(self) -> None:
        """Nothing outside of the folder is served, however it is named."""
        for path in ("../site.py", "%2e%2e/site.py", "..%2fsite.py", "none.js", "..", "", ".", "a%00b", "a" * 3000):
            self.assertEqual(self.world.ask("GET", f"/static/{path}").status, 404, path)


class BundleTests(RoomCase):
    """Files of games."""

    def setUp(self) -> None:
        super().setUp()
        self.root = f"/play/{self.world.game_id()}/1.0.0/"

    def test_page(self) -> None:
        """The bundle's page is at its root, or where it stands in the bundle, so that its links hold."""
        led = self.world.ask("GET", self.root)
        self.assertEqual((led.status, led.headers["location"]), (302, "page/index.html"))
        page = self.world.ask("GET", self.root + "page/index.html")
        self.assertEqual((page.status, page.body), (200, b"<title>Dots</title>"))

    def test_sandbox(self) -> None:
        """Every file is under a sandboxing policy that lets it load its own bundle and the SDK, and modules load from an opaque origin."""
        served = self.world.ask("GET", self.root + "engine.js")
        self.assertEqual((served.body, served.headers["content-type"]), (b"export default null", "text/javascript; charset=utf-8"))
        self.assertEqual(served.headers["access-control-allow-origin"], "*")
        policy = served.headers["content-security-policy"]
        self.assertTrue(policy.startswith("sandbox allow-scripts"))
        self.assertNotIn("allow-same-origin", policy)
        self.assertIn(f"http://play.example:8080{self.root} ", policy)
        self.assertNotIn("play.example:8080/join", policy)
        self.assertNotIn("ws:", policy)

    def test_by_another_name(self) -> None:
        """Who knows this host by another name than the operator says can play too; what is no host is not named."""
        policy = self.world.ask("GET", self.root + "engine.js", headers={"Host": "localhost:8080"}).headers["content-security-policy"]
        for host in ("localhost:8080", "play.example:8080"):
            self.assertIn(f"http://{host}{self.root} ", policy)
        bad = self.world.ask("GET", self.root + "engine.js", headers={"Host": "x; script-src *"}).headers["content-security-policy"]
        self.assertNotIn("script-src *", bad)

    def test_not_there(self) -> None:
        """Unknown games, versions and files, and ways out of the bundle: 103."""
        game = self.root.split("/")[2]
        for path in (
            self.root + "none.js",
            self.root + "../../../etc/passwd",
            self.root + "%2e%2e/%2e%2e/x",
            f"/play/{game}/9.9.9/engine.js",
            f"/play/{game}/9.9.9/",
            "/play/none/1.0.0/engine.js",
            self.root + "page",
        ):
            self.assertEqual(self.world.ask("GET", path).status, 404, path)

    def test_unchanged(self) -> None:
        """A file that the browser has already is not sent again."""
        first = self.world.ask("GET", self.root + "engine.js")
        again = self.world.ask("GET", self.root + "engine.js", headers={"If-Modified-Since": first.headers["last-modified"]})
        self.assertEqual((again.status, again.body), (304, b""))
        old = self.world.ask("GET", self.root + "engine.js", headers={"If-Modified-Since": "Thu, 01 Jan 1970 00:00:00 GMT"})
        self.assertEqual(old.status, 200)

    def test_parts(self) -> None:
        """Parts of a file, as players of sound want them."""
        whole = b"export default null"
        for wanted, status, body in [
            ("bytes=0-5", 206, b"export"),
            ("bytes=15-", 206, b"null"),
            ("bytes=-4", 206, b"null"),
            ("bytes=-999", 200, whole),
            ("bytes=0-999", 200, whole),
            ("bytes=19-", 416, b""),
            ("bytes=-0", 416, b""),
            ("bytes=5-1", 200, whole),
            ("bytes=-", 200, whole),
            ("bytes=0-1,3-4", 200, whole),
            ("lines=1-2", 200, whole),
        ]:
            part = self.world.ask("GET", self.root + "engine.js", headers={"Range": wanted})
            self.assertEqual((part.status, part.body), (status, body), wanted)
        self.assertEqual(self.world.ask("GET", self.root + "engine.js", headers={"Range": "bytes=0-5"}).headers["content-range"], "bytes 0-5/19")

    def test_at_the_readers_pace(self) -> None:
        """A large file is read as the peer takes it, and others have their turn in between."""
        self.world.add_file("large.bin", b"x" * PIECE * 20)
        peer = self.world.peer()
        peer.raw(request("GET", self.root + "large.bin"))
        first = len(peer.take())
        self.assertLess(first, PIECE * 2)
        peer.transport.producer.pauseProducing()
        self.world.clock.advance(0)
        self.assertEqual(peer.take(), b"")
        peer.transport.producer.resumeProducing()
        taken = first % PIECE
        for _ in range(20):
            taken += len(peer.take())
            self.world.clock.advance(0)
        self.assertEqual(taken, first % PIECE + PIECE * 19)
        self.assertIsNone(peer.transport.producer and peer.transport.protocol._requestProducer)

    def test_a_reader_that_stops(self) -> None:
        """Who takes nothing for a minute loses the connection; who goes away leaves no file open."""
        self.world.add_file("large.bin", b"x" * PIECE * 20)
        peer = self.world.peer()
        peer.raw(request("GET", self.root + "large.bin"))
        peer.transport.producer.pauseProducing()
        self.world.clock.pump([1] * 59)
        self.assertFalse(peer.transport.disconnecting)
        self.world.clock.pump([1] * 2)
        self.assertTrue(peer.transport.disconnecting)
        peer.lose()
        self.assertEqual(self.flushLoggedErrors(), [])


class RecordingTests(RoomCase):
    """GET /plays/<play_id>."""

    PLAY = "5e0a7f0e-8a37-4f2e-8f5f-3f6d0d7b8f11"

    def setUp(self) -> None:
        super().setUp()
        self.lines = b"".join(b'{"type":"master","generation":%d}\n' % number for number in range(10_000))
        path = self.world.recordings.path(self.PLAY)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.lines)
        self.asked: list[tuple[str, str, str]] = []
        self.allowed: bool | None = True
        self.patch(self.world.registry, "may_read_play", self._may_read)

    async def _may_read(self, play_id: str, account: str = "", token_hash: str = "") -> bool | None:
        self.asked.append((play_id, account, token_hash))
        return self.allowed

    def fetch(self, **headers: str) -> tuple[Any, bytes]:
        peer = self.world.peer()
        peer.raw(request("GET", f"/plays/{self.PLAY}", token=self.alice, headers=headers))
        return self._whole(peer)

    def _whole(self, peer: Peer) -> tuple[Any, bytes]:
        data = b""
        for _ in range(20):
            data += peer.take()
            self.world.clock.advance(0)
        [response] = read_responses(data)
        return response, response.body

    def test_lines(self) -> None:
        """The recording as it is, for an account that played."""
        response, body = self.fetch()
        self.assertEqual((response.status, response.headers["content-type"]), (200, "application/x-ndjson"))
        self.assertEqual(body, self.lines)
        self.assertEqual(self.asked, [(self.PLAY, "alice", "")])

    def test_gzip(self) -> None:
        """Compressed where that is accepted."""
        for accepted in ("gzip", "br, gzip;q=0.5", "*"):
            response, body = self.fetch(**{"Accept-Encoding": accepted})
            self.assertEqual((response.headers["content-encoding"], gzip.decompress(body)), ("gzip", self.lines))
        for refused in ("identity", "gzip;q=0", ""):
            self.assertNotIn("content-encoding", self.fetch(**{"Accept-Encoding": refused})[0].headers)

    def test_torn(self) -> None:
        """A last line that is not whole is not served, compressed or not; other kinds of lines are."""
        lines = self.lines + b'{"t":5,"type":"dump","generation":3,"seat":1,"state":{"a":[1]}}\n{"t":6,"type":"state","state":"running.iterating"}\n'
        for torn in (b"", b'{"t":7,"type":"mas', b"x" * 200_000):
            self.world.recordings.path(self.PLAY).write_bytes(lines + torn)
            self.assertEqual(self.fetch()[1], lines)
            self.assertEqual(gzip.decompress(self.fetch(**{"Accept-Encoding": "gzip"})[1]), lines)

    def test_who(self) -> None:
        """An account that did not play: 102; no token, or one that is neither a session's nor a seat's: 101; no such play: 103."""
        self.allowed = False
        self.problem(self.world.ask("GET", f"/plays/{self.PLAY}", token=self.alice), 403, 102)
        self.problem(self.world.ask("GET", f"/plays/{self.PLAY}", token="seat"), 401, 101)
        self.problem(self.world.ask("GET", f"/plays/{self.PLAY}"), 401, 101)
        self.allowed = None
        self.problem(self.world.ask("GET", f"/plays/{self.PLAY}", token="seat"), 404, 103)

    def test_seat_token(self) -> None:
        """A seat token is looked up by its hash."""
        self.allowed = True
        self.assertEqual(self.world.ask("HEAD", f"/plays/{self.PLAY}", token="a-seat-token").status, 200)
        [(_, account, token_hash)] = self.asked
        self.assertEqual((account, len(token_hash)), ("", 64))

    def test_swept(self) -> None:
        """A play whose recording is no longer kept: 103."""
        self.world.recordings.path(self.PLAY).unlink()
        self.problem(self.world.ask("GET", f"/plays/{self.PLAY}", token=self.alice), 404, 103)


class PolicyTests(SynchronousTestCase):
    """What a policy says."""

    def test_hosts(self) -> None:
        """Hosts with and without ports, and nothing else."""
        for host in ("a.example", "a.example:8080", "127.0.0.1", "[::1]:8080", "under_score"):
            self.assertTrue(is_host(host), host)
        for text in ("", "a b", "a;b", "a,b", "a'b", "http://a", "a/b", "a:b", "a:", "ü.example", "a\n", "[x]"):
            self.assertFalse(is_host(text), text)

    def test_pages_connect_to_the_socket(self) -> None:
        """A page may open sockets to its own host, which `'self'` does not mean in every browser."""
        self.assertIn("connect-src 'self' ws://a.example:8080 wss://a.example:8080;", page_policy(["a.example:8080"]))

    def test_sandbox_is_one_line(self) -> None:
        """A policy is one header."""
        self.assertNotIn("\n", sandbox_policy(["a.example"], "/x/"))

    def test_media_types(self) -> None:
        """Types do not depend on the machine for what browsers are strict about."""
        self.assertEqual(media_type(Path("a.MJS")), "text/javascript; charset=utf-8")
        self.assertEqual(media_type(Path("a.wasm")), "application/wasm")
        self.assertEqual(media_type(Path("a.nonsense")), "application/octet-stream")


class StreamTests(SynchronousTestCase):
    """Sending."""

    def test_head_closes_the_file(self) -> None:
        """HEAD reads nothing, and leaves nothing open."""
        file, asked = BytesIO(b"x"), cast("Any", DummyRequest([b""]))
        asked.method = b"HEAD"
        RecordingResource(file, 1, Turns(Clock())).render(asked)
        self.assertTrue(file.closed)
