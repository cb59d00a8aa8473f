"""Turn games in real browsers: phones with three buttons, a big screen, and one room link for all of them."""

from __future__ import annotations

from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import DESKTOP, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker
from tests.system.web import Web

TELEVISION = (1920, 1080)
PATIENT = {"rooms": {"reconnect_window": 30.0, "room_ttl": 60.0}}
LYING = "return document.getAnimations().every((one) => one.playState !== 'running')"
STRETCH = "return [innerWidth, innerHeight]"


def room_of(daemon: Daemon, game: str, **fields: object) -> str:
    """A room of a game that ships with the daemon; gives its URL."""
    web = Web(daemon.web_port)
    [game_id] = [entry["game_id"] for entry in web.ask("GET", "/games")["games"] if entry["name"] == game]
    return f"http://{LOOPBACK}:{daemon.web_port}/join/{web.create(web.register(), engine={'game_id': game_id}, **fields)}"


def take_seat(one: Browser, url: str, name: str) -> None:
    """Through the door, as a guest."""
    one.driver.get(url)
    one.fill("Name", name)
    one.press("Join")
    one.until(lambda one: one.shown("#table"), f"{name} is in")


def hang_up(one: Browser, url: str) -> None:
    """The screen on the wall, which is as large inside as it was asked to be."""
    width, height = one.driver.execute_script(STRETCH)
    one.driver.set_window_size(2 * TELEVISION[0] - width, 2 * TELEVISION[1] - height)
    one.driver.get(url)
    one.press("Use as the big screen")
    one.until(lambda one: one.shown("#table"), "the screen is there")


def turn(one: Browser) -> str:
    """Whose turn the page says that it is."""
    return one.driver.find_element(By.CSS_SELECTOR, "#table .turn").text


def live(one: Browser) -> list[bool]:
    """Which of Left, Drop and Right can be pressed."""
    return [bool(button.is_enabled()) for button in one.driver.find_elements(By.CSS_SELECTOR, ".pad-button")]


def board(one: Browser) -> str:
    """What a screen reader says of the board."""
    return str(one.driver.find_element(By.CSS_SELECTOR, ".four").get_attribute("aria-label"))


def told(one: Browser) -> str:
    """What the page has said of moves."""
    return str(one.driver.execute_script("return document.querySelector('#table [role=log]').textContent"))


def awaited(one: Browser) -> None:
    one.until(lambda one: live(one) == [True] * 3, "it is one's turn")


def drop_by_hand(one: Browser, way: str = "", steps: int = 0) -> None:
    """Press Left or Right so often, then Drop."""
    awaited(one)
    for _ in range(steps):
        before = one.driver.execute_script("return room.unanswered.kept.length")
        one.press(way)
        one.until(lambda one: one.driver.execute_script("return room.unanswered.kept.length") <= before, "the press is answered")
    one.press("Drop")
    one.until(lambda one: live(one) != [True] * 3 or one.status(), "the disc is dropped")


def drop_by_keys(one: Browser, *keys: str) -> None:
    """Arrows, then space."""
    awaited(one)
    for key in (*keys, Keys.SPACE):
        ActionChains(one.driver).send_keys(key).pause(0.1).perform()
    one.until(lambda one: live(one) != [True] * 3 or one.status(), "the disc is dropped")


def test_two_phones_and_a_screen_play_to_a_win(make_daemon: DaemonMaker, pictures: Path) -> None:
    """By clicks and by keys from one link; a third is told that it is full and watches; a reload and a step back take up where it was; both play again."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Connect Four")
    base = url.partition("/join")[0]
    with Browser(base, PHONE) as ada, Browser(base, DESKTOP, dark=True) as grace, Browser(base, TELEVISION) as wall:
        hang_up(wall, url)
        wall.until(lambda one: turn(one) == "Scan the code to join", "it asks people in")
        wall.screenshot(pictures, "four-screen-1-waits")
        ada.driver.get(url)
        ada.until(lambda one: one.named("button", "Join"), "the door is there")
        ada.screenshot(pictures, "four-phone-0-door")
        take_seat(ada, url, "Ada")
        ada.until(lambda one: turn(one) == "Waiting for 1 more player", "it is said who is missing")
        assert live(ada) == [False] * 3
        ada.screenshot(pictures, "four-phone-1-waits")
        take_seat(grace, url, "Grace")
        awaited(ada)
        assert turn(ada) == "Your turn"
        grace.until(lambda one: turn(one) == "Ada's turn", "she sees whose turn it is")
        assert live(grace) == [False] * 3
        wall.until(lambda one: turn(one) == "Ada's turn", "so does everybody")
        assert "You are red, against Grace" in told(ada)
        assert "You are yellow, against Ada" in told(grace)

        # Ada in column 3 by hand, Grace in column 5 by keyboard.
        drop_by_hand(ada, "Left", 1)
        drop_by_keys(grace, Keys.ARROW_RIGHT)
        drop_by_hand(ada)
        for one, where in ((ada, "phone"), (grace, "desktop"), (wall, "screen")):
            one.until(lambda one: board(one) == "Board, columns from the bottom. 3: red, red. 5: yellow.", "all have the same board")
            one.until(lambda one: one.driver.execute_script(LYING), "discs lie where they are")
            one.screenshot(pictures, f"four-{where}-2-plays")
            assert one.overflow() <= 0
        assert "Ada dropped in column 3, row 2." in told(grace)
        assert "You dropped in column 3, row 2." in told(ada)
        assert "Grace dropped in column 5, row 1." in told(wall)

        with Browser(base, PHONE, dark=True) as late:
            take_seat(late, url, "Late")
            late.until(lambda one: "The game is full" in one.driver.find_element(By.ID, "notice").text, "it is full, and that is said")
            late.until(lambda one: turn(one) == "Grace's turn", "one can watch")
            assert board(late) == board(ada)
            assert late.named("button", "Drop") is None
            late.screenshot(pictures, "four-phone-full")
            assert late.overflow() <= 0
            assert late.severe() == []

        grace.driver.refresh()
        awaited(grace)
        assert board(grace) == board(ada)
        drop_by_keys(grace)
        ada.driver.get(base + "/")
        ada.driver.back()
        drop_by_hand(ada)
        drop_by_keys(grace)
        drop_by_hand(ada)
        for one, outcome, where in ((ada, "You won", "phone"), (grace, "You lost", "desktop"), (wall, "Ada won", "screen")):
            one.until(lambda one, outcome=outcome: one.status() == outcome, "it is over")
            one.until(lambda one: len(one.driver.find_elements(By.CSS_SELECTOR, ".four .won")) == 4, "the line is shown")
            one.screenshot(pictures, f"four-{where}-3-over")
            assert one.overflow() <= 0
        assert [one.named("button", "Play again") is None for one in (ada, grace, wall)] == [False, False, True]

        ada.press("Play again")
        ada.until(lambda one: turn(one) == "Waiting for Grace to be ready.", "the other is waited for")
        grace.press("Play again")
        awaited(grace)
        assert [one.status() for one in (ada, grace, wall)] == ["", "", ""]
        for one in (ada, wall):
            one.until(lambda one: turn(one) == "Grace's turn", "the other one begins")
            assert board(one) == "The board is empty."
        assert [one.severe() for one in (ada, grace, wall)] == [[], [], []]
