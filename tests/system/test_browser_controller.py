"""Turn games in real browsers: phones with three buttons, a big screen, and one room link for all of them."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.system.browser import DESKTOP, OUTCOMES, PASSWORD, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker
from tests.system.web import Web

TELEVISION = (1920, 1080)
PATIENT = {"rooms": {"reconnect_window": 120.0, "room_ttl": 240.0}}
LYING = "return document.getAnimations().every((one) => one.playState !== 'running')"
ANSWERED = "return !room.unanswered.kept.length"
CURSOR = "const at = document.querySelector('.number[data-cursor] .digit'); return at ? Number(at.textContent) : 0"
STILL = {"features": [{"name": "prefers-reduced-motion", "value": "reduce"}]}
CLOCKS = """
globalThis.clocks = new Set();
const note = () => document.querySelectorAll(".seats .clock").forEach((one) => clocks.add(one.textContent));
new MutationObserver(note).observe(document, { subtree: true, childList: true, characterData: true });
"""
"""Notes what the clocks have shown."""
STRETCH = "return [innerWidth, innerHeight]"


def room_of(daemon: Daemon, game: str, **fields: object) -> str:
    """A room of a game that ships with the daemon; gives its URL."""
    web = Web(daemon.web_port)
    return f"http://{LOOPBACK}:{daemon.web_port}/join/{web.create(web.register(), engine={'game_id': web.game(game)}, **fields)}"


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


def ended(one: Browser, outcome: str) -> None:
    one.until(lambda one: one.status() == outcome, f"it is over: {outcome}")


def text_of(one: Browser, selector: str) -> str:
    """What stands in the first of these."""
    return str(one.driver.find_element(By.CSS_SELECTOR, selector).text)


def drop_by_hand(one: Browser, way: str = "", steps: int = 0) -> None:
    """Press Left or Right so often, then Drop."""
    awaited(one)
    for _ in range(steps):
        one.press(way)
        one.until(lambda one: one.driver.execute_script(ANSWERED), "the press is answered")
    before = board(one)
    one.press("Drop")
    one.until(lambda one: board(one) != before or one.status(), "the disc is dropped")


def drop_by_keys(one: Browser, *keys: str) -> None:
    """Arrows, then space."""
    awaited(one)
    before = board(one)
    for key in (*keys, Keys.SPACE):
        ActionChains(one.driver).send_keys(key).pause(0.1).perform()
    one.until(lambda one: board(one) != before or one.status(), "the disc is dropped")


def test_two_phones_and_a_screen_play_to_a_win(make_daemon: DaemonMaker, pictures: Path) -> None:
    """By clicks and by keys, from one link; a third is told that it is full; a reload and a step back take up where it was; then once more."""
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
            ended(one, outcome)
            one.until(lambda one: len(one.driver.find_elements(By.CSS_SELECTOR, ".four .won")) == 4, "the line is shown")
            one.screenshot(pictures, f"four-{where}-3-over")
            assert one.overflow() <= 0
        for one, outcome in ((ada, "You won"), (wall, "Ada won")):
            one.driver.refresh()
            ended(one, outcome)
            assert len(one.driver.find_elements(By.CSS_SELECTOR, ".four .won")) == 4, "a reload has not forgotten it"
        assert [one.named("button", "Play again") is None for one in (ada, grace, wall)] == [False, False, True]

        ada.press("Play again")
        ada.until(lambda one: turn(one) == "Waiting for Grace to be ready.", "the other is waited for")
        ada.driver.refresh()
        ada.until(lambda one: turn(one) == "Waiting for Grace to be ready.", "who has asked for another is not shown the last again")
        grace.press("Play again")
        awaited(grace)
        assert [one.status() for one in (ada, grace, wall)] == ["", "", ""]
        for one in (ada, wall):
            one.until(lambda one: turn(one) == "Grace's turn", "the other one begins")
            assert board(one) == "The board is empty."
        assert [one.severe() for one in (ada, grace, wall)] == [[], [], []]


def ask_for_bot(one: Browser, level: str) -> None:
    """The host gives a free seat to a computer player."""
    one.until(lambda one: one.named("button", "Add a computer player"), "one can ask for it")
    Select(one.driver.find_element(By.ID, "bot-level")).select_by_visible_text(level)
    one.press("Add a computer player")


def play_on(one: Browser) -> None:
    """Drop wherever there is room, until it is over."""
    while not one.until(lambda one: one.status() or (live(one) == [True] * 3 and "go on"), "it is one's turn, or over").startswith(("You", "Draw")):
        one.press("Drop")
        one.until(lambda one: one.driver.execute_script(ANSWERED), "the press is answered")
        if "is full" in one.driver.find_element(By.ID, "notice").text:
            one.press("Right")
            one.until(lambda one: one.driver.execute_script(ANSWERED), "the press is answered")


def test_a_game_with_a_computer(make_daemon: DaemonMaker, pictures: Path) -> None:
    """The host adds it and it plays at once; with less movement nothing moves; it is there for the next game too."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Connect Four")
    with Browser(url.partition("/join")[0], PHONE) as ada:
        ada.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", STILL)
        take_seat(ada, url, "Ada")
        ask_for_bot(ada, "Beginner")
        drop_by_keys(ada, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT, Keys.ARROW_LEFT)
        awaited(ada)
        assert "1: red" in board(ada)
        assert "Computer dropped in column" in told(ada)
        assert ada.driver.execute_script("return document.getAnimations().length") == 0
        ada.screenshot(pictures, "four-bot-plays")
        play_on(ada)
        assert ada.status() in OUTCOMES
        ada.screenshot(pictures, "four-bot-over")
        ada.press("Play again")
        awaited(ada)
        assert board(ada).count("yellow") == 1, "the computer began"
        assert ada.severe() == []


def test_somebody_is_away_and_somebody_leaves(make_daemon: DaemonMaker, pictures: Path) -> None:
    """Who is away is waited for, and that is said; when the other leaves it is over, and a computer may have the seat."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Connect Four")
    base = url.partition("/join")[0]
    with Browser(base, PHONE) as ada, Browser(base, PHONE, dark=True) as grace:
        take_seat(ada, url, "Ada")
        take_seat(grace, url, "Grace")
        drop_by_hand(ada)
        awaited(grace)
        grace.driver.get("about:blank")
        ada.until(lambda one: turn(one) == "Grace is away. The game waits.", "she is missed")
        ada.screenshot(pictures, "four-away")
        grace.driver.back()
        drop_by_keys(grace)
        awaited(ada)
        assert board(ada) == "Board, columns from the bottom. 4: red, yellow."
        grace.press("Leave")
        grace.driver.switch_to.alert.accept()
        ada.until(lambda one: one.status() == "The game was left", "it is over")
        ada.until(lambda one: one.driver.find_element(By.ID, "because").text == "Grace left.", "it is said why")
        ada.screenshot(pictures, "four-left")
        ask_for_bot(ada, "Easy")
        ada.press("Play again")
        ada.until(lambda one: "yellow" in board(one), "the computer has begun")
        awaited(ada)
        assert [ada.severe(), grace.severe()] == [[], []]


def test_the_server_is_killed_in_mid_game(make_daemon: DaemonMaker) -> None:
    """The pages come back by themselves and go on where it was, a move that was pressed meanwhile included."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Connect Four")
    base = url.partition("/join")[0]
    with Browser(base) as ada, Browser(base, PHONE) as grace:
        take_seat(ada, url, "Ada")
        take_seat(grace, url, "Grace")
        drop_by_keys(ada, Keys.ARROW_LEFT)
        awaited(grace)
        # Pressed while nobody is there to hear it, before the page knows.
        assert daemon.process is not None
        daemon.process.send_signal(signal.SIGSTOP)
        grace.press("Drop")
        daemon.kill9()
        grace.until(lambda one: live(one) == [False] * 3, "without a connection nothing can be pressed")
        daemon.start_again()
        for one in (ada, grace):
            one.until(lambda one: board(one) == "Board, columns from the bottom. 3: red. 4: yellow.", "it went on, and the drop was done once")
        drop_by_keys(ada)
        awaited(grace)
        assert turn(grace) == "Your turn"


def test_from_the_front_page(make_daemon: DaemonMaker, pictures: Path) -> None:
    """Who opens a room of a turn game is asked whether this is the big screen; its clocks may be chosen; who leaves is back at the start."""
    daemon = make_daemon(settings=PATIENT)
    base = f"http://{LOOPBACK}:{daemon.web_port}"
    with Browser(base, PHONE) as ada:
        ada.driver.get(base + "/")
        card = ada.until(lambda one: one.named("button", "Play Connect Four"), "the game is there").find_element(By.XPATH, "./ancestor::li")
        card.find_element(By.TAG_NAME, "summary").click()
        clock = ada.until(lambda one: card.find_element(By.XPATH, ".//label[starts-with(., 'Time for a turn')]/select"), "it can be chosen")
        Select(clock).select_by_visible_text("30 s")
        assert ada.overflow() <= 0
        ada.press("Play Connect Four")
        ada.fill("Username", "Ada-Lovelace")
        ada.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
        ada.press("Create account")
        ada.until(lambda one: one.named("button", "Use as the big screen"), "it is asked")
        ada.screenshot(pictures, "four-door-account")
        ada.press("Join")
        ada.until(lambda one: one.shown("#table"), "she is in")
        ask_for_bot(ada, "Beginner")
        awaited(ada)
        assert re.fullmatch("0:30|0:[0-2][0-9]", text_of(ada, ".seats .clock"))
        ada.press("Leave")
        ada.driver.switch_to.alert.accept()
        ada.until(lambda one: one.named("button", "Play Connect Four"), "the front page is back")
        assert ada.severe() == []


def test_a_clock_runs_out(make_daemon: DaemonMaker, pictures: Path) -> None:
    """Where the room has clocks they are shown, and who lets time pass has lost."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Connect Four", move_seconds=8)
    base = url.partition("/join")[0]
    with Browser(base, PHONE) as ada, Browser(base) as grace:
        for one in (ada, grace):
            one.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": CLOCKS})
        take_seat(ada, url, "Ada")
        take_seat(grace, url, "Grace")
        for one, where in ((ada, "phone"), (grace, "desktop")):
            one.screenshot(pictures, f"four-clock-{where}")
        for one, outcome in ((ada, "You lost"), (grace, "You won")):
            ended(one, outcome)
            assert {f"0:0{seconds}" for seconds in range(1, 8)} & set(one.driver.execute_script("return [...clocks]")), "the time has run"
            assert one.driver.find_element(By.ID, "because").text == "The clock ran out."
            assert one.severe() == []


def pick(one: Browser, number: int) -> None:
    """Take this number in a round of Loners."""
    awaited(one)
    while (at := one.driver.execute_script(CURSOR)) != number:
        one.press("Left" if at > number else "Right")
        one.until(lambda one: one.driver.execute_script(ANSWERED), "the press is answered")
    one.press("Drop")
    one.until(lambda one: one.driver.execute_script(ANSWERED), "the pick is taken")


def scores(one: Browser) -> list[int]:
    return [int(place.text.split()[0]) for place in one.driver.find_elements(By.CSS_SELECTOR, ".seats .score")]


def test_three_play_loners(make_daemon: DaemonMaker, pictures: Path) -> None:
    """All choose at the same time and see nothing of each other's choices; the screen shows what came of each round, to the end."""
    daemon = make_daemon(settings=PATIENT)
    url = room_of(daemon, "Loners")
    base = url.partition("/join")[0]
    with Browser(base, PHONE) as ada, Browser(base, PHONE, dark=True) as grace, Browser(base) as mary, Browser(base, TELEVISION, dark=True) as wall:
        hang_up(wall, url)
        people = {"Ada": ada, "Grace": grace, "Mary": mary}
        for name, one in people.items():
            take_seat(one, url, name)
        wall.until(lambda one: "Mary" in text_of(one, ".seats"), "all are in")
        ada.screenshot(pictures, "loners-phone-1-waits")
        wall.screenshot(pictures, "loners-screen-1-waits")
        for one in people.values():
            one.press("Ready")
        pick(ada, 2)
        ada.until(lambda one: turn(one) == "You picked 2. Waiting for Grace and Mary", "she waits for the others")
        assert live(ada) == [False] * 3
        wall.until(lambda one: turn(one) == "Round 1: waiting for Grace and Mary", "the screen waits for them too")
        assert wall.driver.find_elements(By.CSS_SELECTOR, "[data-picked]") == []
        ada.driver.refresh()
        ada.until(lambda one: turn(one) == "You picked 2. Waiting for Grace and Mary", "a reload has forgotten nothing")
        pick(grace, 2)
        pick(mary, 6)
        for one in (*people.values(), wall):
            one.until(lambda one: scores(one) == [0, 0, 6], "Mary was alone")
            assert "Mary: 6 points (Ada and Grace 2, Mary 6)." in told(one)
        for one, where in ((ada, "phone"), (grace, "phone-dark"), (mary, "desktop"), (wall, "screen")):
            one.screenshot(pictures, f"loners-{where}-2-plays")
            assert one.overflow() <= 0
        for _ in range(2):
            for one, number in ((ada, 7), (grace, 7), (mary, 6)):
                pick(one, number)
        for one, outcome, where in ((ada, "You lost", "phone"), (mary, "You won", "desktop"), (wall, "Mary won", "screen")):
            ended(one, outcome)
            assert scores(one) == [0, 0, 18]
            one.screenshot(pictures, f"loners-{where}-3-over")
            assert one.overflow() <= 0
        assert [one.severe() for one in (*people.values(), wall)] == [[]] * 4
