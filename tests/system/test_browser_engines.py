"""Games that are not built in: that of the documentation, and engines from anywhere."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium.webdriver.common.by import By

from tests.system.browser import OUTCOMES, Browser
from tests.system.harness import LOOPBACK, PATIENCE, Daemon
from tests.system.web import Web

GUIDE = Path(__file__).parents[2] / "docs" / "gameroom-js.md"
REACHING = """
    globalThis.reached = {};
    const reach = async (name, how) => (reached[name] = await Promise.resolve().then(how).then((value) => value ?? "reached", () => "refused"));
    reach("page", () => parent.document.title);
    reach("storage", () => localStorage.length);
    reach("rooms", () => fetch("BASE/rooms").then((answer) => answer.text()));
    reach("asking", () => fetch("BASE/rooms", { mode: "no-cors" }).then((answer) => answer.type));
"""
"""An engine that wants more than its game, of the daemon at BASE."""


def test_the_example_of_the_sdk_s_page_is_a_game(room_daemon: Daemon) -> None:
    """Submitted to /create as it stands in the documentation, it is played by two pages to its end with equal hashes."""
    source = GUIDE.read_text().split("```html\n")[1].split("```")[0]
    web = Web(room_daemon.web_port)
    made = web.create(web.register("author"), engine={"source": source, "media_type": "text/html"}, min_players=2, max_players=2)
    base = f"http://{LOOPBACK}:{room_daemon.web_port}"
    with Browser(base) as one, Browser(base) as other:
        for browser, name in ((one, "One"), (other, "Other")):
            browser.join(f"{base}/join/{made}", name)
        for browser in (one, other):
            browser.press("Ready")
        one.until(lambda one: "[0," in one.in_game("return document.getElementById('view').textContent"), "the play has begun")
        one.driver.find_element(By.TAG_NAME, "iframe").send_keys("aaa")
        for browser in (one, other):
            browser.until(lambda browser: browser.status() in OUTCOMES, "the play has ended", 40)
        assert [one.severe(), other.severe()] == [[], []]


class OtherSite(BaseHTTPRequestHandler):
    """A web site that is not ours: `/engine.js` is a module, `/none.js` is not there, and all else a page. The query is what it reaches for."""

    def do_GET(self) -> None:
        path, _, base = self.path.partition("?")
        module, source = path.endswith(".js"), REACHING.replace("BASE", base)
        self.send_response(404 if path == "/none.js" else 200)
        self.send_header("Content-Type", "text/javascript" if module else "text/html")
        self.send_header("Access-Control-Allow-Origin", "*")
        self.end_headers()
        self.wfile.write((source if module else f'<body><script type="module">{source}</script>').encode())

    def log_message(self, format: str, *args: object) -> None: ...


@pytest.fixture
def other_site() -> Iterator[str]:
    """The URL of a web site that is not ours."""
    with ThreadingHTTPServer((LOOPBACK, 0), OtherSite) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://{LOOPBACK}:{server.server_port}"
        server.shutdown()
        thread.join()


def test_engines_from_anywhere_are_played_and_reach_nothing(daemon: Daemon, other_site: str) -> None:
    """A submitted module, and a module and a page of another site, are run in the frame; none of them reaches the room's page, storage or REST."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    session = web.register()
    submitted = {"source": REACHING.replace("BASE", base), "media_type": "text/javascript"}
    with Browser(base) as one:
        for engine in (submitted, {"url": f"{other_site}/engine.js?{base}"}, {"url": f"{other_site}/play?{base}"}):
            one.join(f"{base}/join/{web.create(session, engine=engine)}", "One")
            one.until(lambda one: len(one.in_game("return globalThis.reached ?? {}")) == 4, f"{engine} is run")
            reached = one.in_game("return reached")
            # What a page of another site may send is that site's to say; it hears nothing back.
            asking = "opaque" if "/play" in engine.get("url", "") else "refused"
            assert reached == {"page": "refused", "storage": "refused", "rooms": "refused", "asking": asking}
        one.join(f"{base}/join/{web.create(session, engine={'url': f'{other_site}/none.js'})}", "One")
        one.until(lambda one: "could not be loaded" in one.in_game("return document.body.textContent"), "it is said that the game is not there")


def test_the_sdk_is_served_to_frames_of_no_origin(daemon: Daemon) -> None:
    """A module in a sandboxed frame is fetched with CORS, from an origin that is null."""
    request = urllib.request.Request(f"http://{LOOPBACK}:{daemon.web_port}/static/gameroom.js", headers={"Origin": "null"})
    with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers.get_content_type() == "text/javascript"
