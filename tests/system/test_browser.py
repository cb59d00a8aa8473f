"""Two people, two real browsers, one daemon: the built-in game from the front page to its end."""

from __future__ import annotations

import os
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import PASSWORD, PHONE, ROUND, Browser
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker
from tests.system.web import Web

GUIDE = Path(__file__).parents[2] / "docs" / "gameroom-js.md"
OUTCOMES = {"You won", "You lost", "Draw"}
Table = tuple[Browser, Browser]
REACHING = """
    globalThis.reached = {};
    const reach = async (name, how) => (reached[name] = await Promise.resolve().then(how).then((value) => value ?? "reached", () => "refused"));
    reach("page", () => parent.document.title);
    reach("storage", () => localStorage.length);
    reach("rooms", () => fetch("BASE/rooms").then((answer) => answer.text()));
    reach("asking", () => fetch("BASE/rooms", { mode: "no-cors" }).then((answer) => answer.type));
"""
"""An engine that wants more than its game, of the daemon at BASE."""
GOING_DOWN = """
    const real = fetch;
    const answer = () => new Response('{"code": 105, "detail": "this server is going down"}', {status: 409});
    window.fetch = (url, options) => (url === "/create" ? Promise.resolve(answer()) : real(url, options));
"""
"""What a page that makes a room is answered by a daemon that drains."""


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Where screenshots go: `GAMEROOM_SCREENSHOTS`, to look at them."""
    return Path(os.environ.get("GAMEROOM_SCREENSHOTS") or tmp_path / "screenshots")


@pytest.fixture
def room_daemon(make_daemon: DaemonMaker) -> Daemon:
    """With times that a slow machine with two browsers keeps."""
    return make_daemon(settings={"rooms": {"reconnect_window": 30.0, "room_ttl": 60.0}, "lockstep": {"drop_after": 30.0}})


@pytest.fixture
def table(room_daemon: Daemon) -> Iterator[Table]:
    """Ada, who opened the room, and Grace, a guest on a phone, both seated; the match will be short and without bots."""
    base = f"http://{LOOPBACK}:{room_daemon.web_port}"
    with ExitStack() as stack:
        ada, grace = stack.enter_context(Browser(base)), stack.enter_context(Browser(base, PHONE, dark=True))
        grace.join(ada.open_room("Ada-Lovelace"), "Grace")
        yield ada, grace


def begin(table: Table, seconds: int) -> None:
    """Agree on a length, and be ready."""
    ada, grace = table
    ada.configure(seconds=seconds, bots=0, arena="pillars")
    for one in table:
        one.until(lambda one: one.in_game(f"return client.configuration.seconds === {seconds}"), "the set-up has arrived")
    ada.press("Ready")
    grace.press("Ready")
    for one in table:
        one.until(lambda one: one.in_game("return client.running"), "the play has begun")


def finish(table: Table, within: float = 60.0) -> None:
    """Both pages say how it ended, in the words of the specification."""
    for one in table:
        one.until(lambda one: one.status() in OUTCOMES, "the play has ended", within)
    outcomes = sorted(one.status() for one in table)
    assert outcomes in (["You lost", "You won"], ["Draw", "Draw"])


def assert_equal_hashes(table: Table, least: int) -> None:
    """Both pages went through the same generations, without a gap, to the same states."""
    ours, theirs = (one.hashes() for one in table)
    both = ours.keys() & theirs.keys()
    assert sorted(both) == list(range(len(both))), "no generation is missing"
    assert len(both) >= least
    assert {generation: ours[generation] for generation in both} == {generation: theirs[generation] for generation in both}
    for one in table:
        assert one.in_game("return document.getElementById('net').dataset.diverged === undefined")


def test_two_pages_play_the_game_to_its_end_with_equal_hashes(table: Table, pictures: Path) -> None:
    """From the front page to the outcome and back to the set-up; nothing is complained of in the console, and nothing is cut off on a phone."""
    ada, grace = table
    for one, where in ((ada, "desktop"), (grace, "phone")):
        one.screenshot(pictures, f"setup-{where}")
    begin(table, seconds=10)
    ada.reached(80)
    ada.steer(*ROUND)
    for one, where in ((ada, "desktop"), (grace, "phone")):
        one.screenshot(pictures, f"play-{where}")
        assert one.overflow() <= 0
    assert ada.in_game("return engine.painters[0].tiles") > 5
    finish(table)
    for one, where in ((ada, "desktop"), (grace, "phone")):
        one.screenshot(pictures, f"end-{where}")
        assert one.overflow() <= 0
    assert_equal_hashes(table, least=200)
    for one in table:
        one.press("Play again")
        one.until(lambda one: one.named("button", "Ready"), "the set-up is back")
        assert one.status() == ""
        assert one.severe() == []


def test_a_reload_and_a_step_back_in_mid_game_take_the_seat_up_again(table: Table) -> None:
    """The page replays what it missed and goes on; nobody is asked for a name, and the match ends with equal hashes."""
    ada, grace = table
    begin(table, seconds=20)
    grace.reached(90)
    grace.driver.refresh()
    ada.reached(150)
    grace.reached(150)
    ada.driver.get(ada.base + "/")
    ada.until(lambda one: one.named("link", "Return to the room"), "the front page knows of the seat")
    ada.driver.back()
    grace.reached(230)
    ada.reached(230)
    assert [one.in_game("return client.seat") for one in table] == [0, 1]
    finish(table)
    assert_equal_hashes(table, least=400)


def test_a_daemon_that_is_killed_in_mid_game_and_started_again_costs_no_generation(table: Table, room_daemon: Daemon) -> None:
    """Both pages come back by themselves and go on where they stood, without being loaded anew."""
    begin(table, seconds=15)
    for one in table:
        one.in_game("globalThis.neverLoadedAnew = true")
        one.reached(120)
    room_daemon.kill9()
    for one in table:
        one.until(lambda one: "connection was lost" in one.driver.find_element(By.ID, "notice").text, "the page says so")
    stood = [one.generation() for one in table]
    room_daemon.start_again()
    for one, generation in zip(table, stood, strict=True):
        one.reached(generation + 40)
        assert one.in_game("return globalThis.neverLoadedAnew")
    finish(table)
    assert_equal_hashes(table, least=300)


def test_the_others_go_on_without_somebody_who_is_away_and_take_them_back(table: Table) -> None:
    """One closes the page, the other presses a button and plays on, a third watches from the beginning; whoever comes back plays again."""
    ada, grace = table
    begin(table, seconds=30)
    grace.reached(90)
    room = grace.driver.current_url
    grace.driver.get("about:blank")
    ada.press("Go on without Grace")
    ada.until(lambda one: one.in_game("return engine.painters[1].auto"), "the engine steers for Grace")
    ada.reached(130)
    with Browser(ada.base) as viewer:
        viewer.driver.get(room)
        viewer.press("Watch")
        viewer.reached(140)
        grace.driver.back()
        ada.until(lambda one: one.in_game("return !engine.painters[1].auto"), "Grace steers again")
        finish(table)
        assert viewer.status() in {"Ada-Lovelace won", "Grace won", "Draw between Ada-Lovelace and Grace"}
        assert viewer.in_game("return client.seat") is None
        assert_equal_hashes((ada, viewer), least=500)
    assert_equal_hashes(table, least=500)


def test_a_game_that_comes_out_differently_stops_for_everyone_and_the_host_ends_it(table: Table) -> None:
    """One tile changed behind the engine's back is a divergence within a few turns; nobody goes on with a game that is not the others'."""
    ada, grace = table
    begin(table, seconds=30)
    grace.reached(80)
    grace.in_game("engine.tiles[5] ^= 1")
    for one in table:
        one.until(lambda one: "come out differently" in one.driver.find_element(By.ID, "waiting").text, "the page says so")
    stopped = ada.generation()
    assert grace.named("button", "End the game") is None
    ada.press("End the game")
    for one in table:
        one.until(lambda one: one.status() == "The match was ended", "it is over")
        one.press("Play again")
    assert ada.generation() <= stopped + 4


def test_latency_and_loss_made_up_by_the_sliders_cost_time_but_no_command(table: Table) -> None:
    """With 150 ms and one packet in eight lost the turns grow longer, what is lost is sent again, and the hashes stay equal."""
    ada, grace = table
    begin(table, seconds=10)
    before = ada.generation()
    grace.in_game(
        "for (const [id, value] of [['latency-slider', 150], ['loss-slider', 12]]) {"
        " const slider = document.getElementById(id); slider.value = value; slider.dispatchEvent(new Event('input')); }"
    )
    ada.until(lambda one: one.in_game("return client.iterationsPerCommand > 3"), "the room has made the turns longer")
    ada.steer(*ROUND)
    ada.reached(before + 20)
    finish(table, within=120)
    assert_equal_hashes(table, least=60)


def test_the_front_page_for_a_stranger(daemon: Daemon, pictures: Path) -> None:
    """Games, no rooms yet, a wrong code answered in a sentence; the same on a phone in the dark, with nothing cut off."""
    base = f"http://{LOOPBACK}:{daemon.web_port}"
    with Browser(base) as desktop, Browser(base, PHONE, dark=True) as phone:
        for one, where in ((desktop, "desktop"), (phone, "phone")):
            one.driver.get(base + "/")
            one.until(lambda one: one.named("button", "Play Wet Paint"), "the game is there")
            assert "gameroom" in one.driver.title
            one.screenshot(pictures, f"front-{where}")
            assert one.overflow() <= 0
            assert one.severe() == []
        desktop.fill("Party code", "bcdfgh")
        desktop.press("Go")
        desktop.until(lambda one: "No room has that code" in one.driver.find_element(By.ID, "code-problem").text, "the code is refused")


def test_accounts_by_keyboard(daemon: Daemon) -> None:
    """Enter logs in and makes no account of a mistyped name; the focus is never on what is not there any more; only an ended session is forgotten."""
    base = f"http://{LOOPBACK}:{daemon.web_port}"
    with Browser(base) as one:
        one.driver.get(base + "/")
        one.press("Log in")
        one.fill("Username", "Katherine")
        one.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD, Keys.ENTER)
        problem = one.driver.find_element(By.ID, "account-problem")
        one.until(lambda one: "unknown username" in problem.text, "there is no such account")
        one.press("Create account")
        one.until(lambda one: one.named("button", "Log out") and one.focused() == "log-out", "she is in")
        one.driver.execute_script(GOING_DOWN)
        one.press("Play Wet Paint")
        one.until(lambda one: "going down" in one.driver.find_element(By.ID, "games-problem").text, "she is told why there is no room")
        assert one.named("button", "Log out") is not None
        one.press("Log out")
        one.until(lambda one: one.focused() == "log-in", "she is out")


def test_a_session_that_has_ended_elsewhere(daemon: Daemon) -> None:
    """At a room's door it is said, and one goes in as a guest; a seat in another room ends no session."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    with Browser(base) as one:
        one.open_room("Dorothy")
        other = f"{base}/join/{web.create(web.register(), engine={'source': '', 'media_type': 'text/javascript'})}"
        one.driver.get(other)
        one.press("Join")
        one.until(lambda one: "another room" in one.driver.find_element(By.ID, "join-problem").text, "she is told where she is")
        assert "You join as Dorothy" in one.driver.find_element(By.ID, "as-account").text
        web.ask("POST", "/login", {"username": "Dorothy", "password": PASSWORD})
        one.press("Join")
        one.until(lambda one: "logged out" in one.driver.find_element(By.ID, "join-problem").text, "she is told that she is out")
        one.fill("Name", "Dot")
        one.press("Join")
        one.until(lambda one: one.named("button", "Ready") and one.focused() == "main", "she is in, and the keyboard is at the room")


def test_a_room_that_goes_while_somebody_stands_at_its_door(daemon: Daemon) -> None:
    """The page says so and shows a way on; who leaves is back at the front page, without a seat to return to."""
    base = f"http://{LOOPBACK}:{daemon.web_port}"
    with Browser(base) as host, Browser(base) as stranger:
        stranger.driver.get(host.open_room("hostess"))
        stranger.until(lambda one: one.named("textbox", "Name"), "the door is there")
        host.press("Leave")
        host.until(lambda one: one.named("button", "Play Wet Paint"), "the front page is back")
        stranger.until(lambda one: one.named("link", "To the games"), "there is a way on")
        assert stranger.driver.find_element(By.ID, "gone-title").text == "This room is gone"
        assert stranger.focused() == "gone-title"
        assert host.named("link", "Return to the room") is None


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
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.headers["Access-Control-Allow-Origin"] == "*"
        assert answer.headers.get_content_type() == "text/javascript"
