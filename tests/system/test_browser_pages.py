"""What the pages say to whoever comes to the front page, logs in or stands at a room's door."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import PASSWORD, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.web import Web

GOING_DOWN = """
    const real = fetch;
    const answer = () => new Response('{"code": 105, "detail": "this server is going down"}', {status: 409});
    window.fetch = (url, options) => (url === "/create" ? Promise.resolve(answer()) : real(url, options));
"""
"""What a page that makes a room is answered by a daemon that drains."""


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
