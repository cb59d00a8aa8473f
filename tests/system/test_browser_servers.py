"""Games that a GameServer plays, in real browsers: with a page of their own, and without one."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import PASSWORD, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.native import CONNECTED, GAME_CONFIG, HOST, JOIN, START, Native
from tests.system.store import upload
from tests.system.test_browser_controller import ended
from tests.system.test_browser_relay import packed
from tests.system.web import Web

TRAILS = Path(__file__).parents[2] / "examples" / "game-server-python"
TURN, FIELD = 32, 33
"""Of Trails."""
SLOWLY = {"width": 120, "height": 80, "steps_per_second": 2, "countdown_seconds": 1}
"""A field so large that nobody runs into anything before the test is through."""

WAITS = """
const [say, ...buttons] = ["say", "ready", "start"].map((id) => document.getElementById(id));
globalThis.waited = [];
new MutationObserver(() => say.dataset.busy !== undefined && waited.push([say.textContent, ...buttons.map((one) => one.disabled)]))
  .observe(say, { attributes: true });
"""
"""Notes what the page says, and which buttons it takes away, whenever it begins to wait for a GameServer."""

BY_PROGRAMS = b"""[hosting]
kind = "server"
max_players = 2

[server]
command = ["python3", "server.py"]
"""
DIRECT = BY_PROGRAMS + b'connect = "direct"\n'
SERVER = b'''"""Alone nobody plays: it takes its time and gives up. Of two, who speaks first has won."""
import json, os, socket, struct, sys, time

def say(to, type_, value):
    body = json.dumps(value).encode()
    to.sendall(struct.pack("!BBH", 1, type_ << 2 | 1, len(body)) + body)

def heard(of):
    head = of.recv(4, socket.MSG_WAITALL)
    if not head:
        return None, {}
    _, kind, length = struct.unpack("!BBH", head)
    return kind >> 2, json.loads(of.recv(length, socket.MSG_WAITALL) or b"{}")

listening = socket.socket(fileno=3)
if "GAMEROOM_PLAYERS" in os.environ:
    time.sleep(60)
control = listening.accept()[0]
heard(control)
_, told = heard(control)
if len(told["options"]["players"]) < 2:
    time.sleep(0.8)
    sys.exit("nobody to play with")
say(control, 13, {"state": "ready"})
while True:
    player = listening.accept()[0]
    heard(player)
    _, who = heard(player)
    say(player, 5, {})
    if who["name"] == "Native":
        heard(player)
        say(control, 13, {"state": "finished", "results": {"winner": who["seat"], "moves": 1}})
        time.sleep(60)
'''


def field(one: Browser) -> dict[str, Any] | None:
    """The newest picture of the field that this page has."""
    return one.in_game("return field()")  # type: ignore[no-any-return]


def head(one: Browser, seat: int) -> tuple[int, int]:
    """Where a player is, as this page has it."""
    letter = "ABCD"[seat]
    rows = (field(one) or {"rows": []})["rows"]
    return next((row.index(letter), y) for y, row in enumerate(rows) if letter in row)


def turn(one: Browser, way: str, steps: int = 1) -> None:
    """Tap an arrow of the page, and see that it is gone that way, so many steps at least."""
    before = head(one, 1)
    sign = {"Up": (0, -1), "Right": (1, 0), "Down": (0, 1)}[way]
    one.driver.switch_to.frame(one.driver.find_element(By.TAG_NAME, "iframe"))
    one.driver.find_element(By.CSS_SELECTOR, f"[aria-label={way}]").click()
    one.driver.switch_to.default_content()

    def gone(one: Browser) -> bool:
        x, y = head(one, 1)
        return (x - before[0]) * sign[0] + (y - before[1]) * sign[1] >= steps

    one.until(gone, f"it is gone {way}")


def test_two_pages_and_a_program_play_at_a_game_server(room_daemon: Daemon, pictures: Path) -> None:
    """By keys, by taps and by envelopes, to the end; a reload in the middle comes back to the same seat; then the set-up is there again."""
    files = {path.name: path.read_bytes() for path in TRAILS.iterdir() if path.is_file()}
    manifest = files["game.toml"].decode()
    for key, value in SLOWLY.items():
        manifest = re.sub(rf"(?m)^{key} = \d+", f"{key} = {value}", manifest)
    game_id = upload(room_daemon, packed({**files, "game.toml": manifest.encode()}), max_players=4)
    web = Web(room_daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": game_id})
    url = f"http://{LOOPBACK}:{room_daemon.web_port}/join/{room_id}"
    with (
        Browser(url.partition("/join")[0]) as ada,
        Browser(url.partition("/join")[0], PHONE, dark=True) as grace,
        Native(room_daemon.game_port) as native,
    ):
        for one, name in ((ada, "Ada"), (grace, "Grace")):
            one.join(url, name)
            one.until(lambda one: one.in_game("return game.you !== null"), "the game is connected")
        native.say(JOIN, {"party_code": web.ask("GET", f"/join/{room_id}")["party_code"], "name": "Native"})
        assert native.until(CONNECTED)["seat"] == 2
        grace.screenshot(pictures, "server-phone-1-waits")
        ada.press("Start")
        assert native.until_playing()["details"] == {"game": "trails"}
        assert native.until(GAME_CONFIG)["names"] == {"0": "Ada", "1": "Grace", "2": "Native"}
        native.say(TURN, {"to": "right"})
        while native.until(FIELD)["state"] != "playing":
            native.say(TURN, {"to": "right"})
        for one, seat in ((ada, 0), (grace, 1)):
            one.until(lambda one: (field(one) or {})["state"] == "playing", "it has begun")
            assert one.in_game("return [game.connected.seat, game.config.you, game.config.names]") == [
                seat,
                seat,
                {"0": "Ada", "1": "Grace", "2": "Native"},
            ]
        ada.steer(Keys.ARROW_DOWN)
        ada.until(lambda one: head(one, 0)[1] > 40, "Ada goes down")
        ada.steer(Keys.ARROW_RIGHT)
        grace.driver.refresh()
        grace.until(lambda one: (field(one) or {})["state"] == "playing", "the page is back in the play")
        assert grace.in_game("return game.connected.seat") == 1
        for one, where in ((ada, "desktop"), (grace, "phone")):
            one.screenshot(pictures, f"server-{where}-2-plays")
            assert one.overflow() <= 0
        native.say(TURN, {"to": "up"})
        # Up so far that it is seen to go down, before it meets its own trail.
        for way, steps in (("Up", 8), ("Right", 1), ("Down", 1)):
            turn(grace, way, steps)
        while (over := native.until(FIELD))["state"] != "over":
            pass
        assert over["winner"] == 0
        for one, outcome, where in ((ada, "You won", "desktop"), (grace, "You lost", "phone")):
            ended(one, outcome)
            one.screenshot(pictures, f"server-{where}-3-over")
            assert one.overflow() <= 0
        ada.press("Play again")
        ada.until(lambda one: one.named("button", "Ready"), "the set-up is back")
        assert [ada.severe(), grace.severe()] == [[], []]


def test_a_server_game_without_a_page(room_daemon: Daemon, pictures: Path) -> None:
    """Its pages say how it is played; the host's start says that it waits, and why it failed; programs play, and the page tells what came of it."""
    game_id = upload(room_daemon, packed({"game.toml": BY_PROGRAMS, "server.py": SERVER}))
    base = f"http://{LOOPBACK}:{room_daemon.web_port}"
    with Browser(base) as ada, Browser(base, PHONE, dark=True) as grace, Native(room_daemon.game_port) as native:
        ada.driver.get(f"{base}/games/{game_id}")
        ada.until(lambda one: "played with its own program" in one.driver.find_element(By.ID, "how").text, "its page says how it is played")
        ada.press("Play")
        ada.fill("Username", "Ada-Lovelace")
        ada.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
        ada.press("Create account")
        card = ada.until(lambda one: one.shown("#frame-place .card"), "the room says how it is played")
        code = ada.driver.find_element(By.ID, "party").text
        for said in ("gameroom play", code, f"{LOOPBACK}:{room_daemon.game_port}", "logged in as Ada-Lovelace"):
            assert said in card.text, card.text
        ada.screenshot(pictures, "programs-desktop-1-waits")

        ada.driver.execute_script(WAITS)
        ada.press("Start")
        ada.screenshot(pictures, "programs-desktop-2-starts")
        ada.until(lambda one: one.shown("#notice[data-bad]"), "it is said that it failed")
        assert "199" not in ada.driver.find_element(By.ID, "notice").text
        ada.screenshot(pictures, "programs-desktop-3-failed")
        assert ada.driver.execute_script("return globalThis.waited") == [["The game's server is getting ready…", True, True]]
        assert ada.shown("#say[data-busy]") is None

        grace.driver.get(ada.driver.current_url)
        grace.until(lambda one: one.named("button", "Watch") and not one.named("button", "Join"), "guests may look on")
        grace.screenshot(pictures, "programs-phone-1-door")
        grace.press("Watch")
        grace.until(lambda one: one.shown("#frame-place .card"), "she looks on")
        assert grace.named("button", "Sit") is None
        native.say(JOIN, {"party_code": code, "name": "Native"})
        native.until(CONNECTED)
        ada.until(lambda one: "Native" in one.driver.find_element(By.ID, "roster").text, "the program is there")
        ada.press("Start")
        native.until_playing()
        grace.until(lambda one: "Only its players see it" in one.driver.find_element(By.ID, "say").text, "the match is on")
        native.say(TURN, {})
        for one, outcome, where in ((ada, "You lost", "desktop"), (grace, "Native won", "phone")):
            ended(one, outcome)
            assert '"moves": 1' in one.driver.find_element(By.CSS_SELECTOR, "#frame-place .results").text
            one.screenshot(pictures, f"programs-{where}-4-over")
            assert one.overflow() <= 0

        watch_direct(room_daemon, grace, pictures)
        assert [ada.severe(), grace.severe()] == [[], []]


def watch_direct(daemon: Daemon, one: Browser, pictures: Path) -> None:
    """In direct mode clients connect to the GameServer themselves: while it plays the page says where."""
    game_id = upload(daemon, packed({"game.toml": DIRECT, "server.py": SERVER}))
    with Native(daemon.game_port) as native:
        native.say(HOST, {"game_id": game_id, "name": "Native"})
        one.driver.get(f"{one.base}/join/{native.until(CONNECTED)['room_id']}")
        one.press("Watch")
        one.until(lambda one: one.shown("#frame-place .card"), "the room is there")
        native.say(START, {})
        message = native.room_message()
        while message["type"] != "state" or message["state"] != "running":
            message = native.room_message()
        place = f"{message['game_host']}:{message['game_port']}"
        one.until(lambda one: place in one.driver.find_element(By.ID, "say").text, "it is said where")
        assert place in one.driver.find_element(By.ID, "frame-place").text
        one.screenshot(pictures, "programs-phone-5-direct")
        assert one.overflow() <= 0
