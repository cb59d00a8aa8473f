"""Three people, three real browsers: a game that comes out differently, somebody who comes late, and who may sit where."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import Select

from tests.system.browser import PASSWORD, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon, DaemonMaker
from tests.system.web import Web

Table = tuple[Browser, Browser, Browser]
OWN_STATES = {
    "running": {
        "states": {
            "iterating": {"on": {"menu": "running.paused.main_menu"}},
            "paused": {"states": {"main_menu": {"on": {"resume": {"target": "running.iterating", "by": "all"}}}}},
        }
    }
}


@pytest.fixture
def patient_daemon(make_daemon: DaemonMaker) -> Daemon:
    """With times that a slow machine with three browsers keeps."""
    return make_daemon(settings={"rooms": {"reconnect_window": 120.0, "room_ttl": 240.0}, "lockstep": {"drop_after": 240.0, "lag_after": 3.0}})


@pytest.fixture
def trio(patient_daemon: Daemon) -> Iterator[Table]:
    """Ada, who opened the room and is its host, Grace on a phone, and Linus."""
    base = f"http://{LOOPBACK}:{patient_daemon.web_port}"
    with ExitStack() as stack:
        ada, grace, linus = (stack.enter_context(Browser(base, *phone)) for phone in ((), (PHONE,), ()))
        url = ada.open_room("Ada-Lovelace")
        grace.join(url, "Grace")
        linus.join(url, "Linus")
        yield ada, grace, linus


def begin(table: tuple[Browser, ...], seconds: int) -> None:
    """Agree on a length, and be ready."""
    table[0].configure(seconds=seconds, bots=0, arena="rooms")
    for one in table:
        one.until(lambda one: one.in_game(f"return client.configuration.seconds === {seconds}"), "the set-up has arrived")
    for one in table:
        one.press("Ready")
    for one in table:
        one.until(lambda one: one.in_game("return client.running"), "the play has begun")
        one.keep_pace()


def text(one: Browser, element_id: str) -> str:
    return one.driver.find_element(By.ID, element_id).text


def says(one: Browser, element_id: str, words: str) -> None:
    """Wait until it is to be read there."""
    one.until(lambda one: words in text(one, element_id), f"{words!r} is said", 40)


def assert_same_from(generation: int, table: tuple[Browser, ...], least: int) -> None:
    """From there on all of them have the same hashes."""
    first, *others = ({each: value for each, value in one.hashes().items() if each >= generation} for one in table)
    for other in others:
        both = first.keys() & other.keys()
        assert len(both) >= least
        assert {each: first[each] for each in both} == {each: other[each] for each in both}


def spoil(one: Browser) -> None:
    """One tile changed behind the engine's back."""
    one.in_game("engine.tiles[250] ^= 1")


def test_the_host_puts_right_who_has_gone_wrong_and_then_goes_on_without(trio: Table, pictures: Path) -> None:
    """Everyone reads who differs and in what; by the host's click all have the same state again; by another one somebody only watches."""
    ada, grace, linus = trio
    begin(trio, seconds=90)
    grace.reached(60)
    spoil(grace)
    for one in (ada, linus):
        says(one, "waiting", "Grace's game has come out differently since generation")
        says(one, "waiting", "in “floor”")
    says(grace, "waiting", "Your game has come out differently")
    says(linus, "waiting", "Waiting for the host, Ada-Lovelace, to say what shall be done")
    says(ada, "waiting", "Grace gets your and Linus's game as it is now, and plays on.")
    for one, where in ((ada, "host"), (grace, "phone"), (linus, "other")):
        one.screenshot(pictures, f"diverged-{where}")
        assert one.overflow() <= 0
    assert [one.named("button", "Put them right") is None for one in trio] == [False, True, True]
    stopped = ada.generation()
    ada.press("Put them right")
    for one in trio:
        one.reached(stopped + 40)
        says(one, "happened", "put right")
    assert ada.driver.execute_script("return document.activeElement.tagName") == "IFRAME", "her keys steer the game again"
    assert_same_from(stopped + 1, trio, least=30)
    assert grace.in_game("return client.seat") == 1
    ada.screenshot(pictures, "put-right-host")
    spoil(grace)
    stopped = ada.generation()
    ada.press("Go on without them")
    says(grace, "happened", "You are watching")
    says(linus, "happened", "Grace had another game than the others, and only watches from now on.")
    for one in trio:
        one.reached(stopped + 60)
    assert_same_from(stopped + 20, trio, least=30)
    assert grace.in_game("return [client.seat, client.evicted]") == [None, True]
    grace.screenshot(pictures, "evicted-phone")
    grace.driver.refresh()
    grace.until(lambda one: one.in_game("return client.evicted"), "she is told so again")
    says(grace, "happened", "You are watching")
    reached = ada.generation()
    grace.reached(reached + 20)
    assert_same_from(reached, trio, least=10)


def test_a_room_that_puts_its_players_right_by_itself(patient_daemon: Daemon, pictures: Path) -> None:
    """Nobody is asked for anything, and a short notice says what has happened."""
    web, base = Web(patient_daemon.web_port), f"http://{LOOPBACK}:{patient_daemon.web_port}"
    game = web.game("Wet Paint")
    url = f"{base}/join/{web.create(web.register(), engine={'game_id': game}, on_divergence='resync', states=OWN_STATES)}"
    with Browser(base) as ada, Browser(base) as grace, Browser(base, PHONE, dark=True) as linus:
        table = (ada, grace, linus)
        for one, name in zip(table, ("Ada", "Grace", "Linus"), strict=True):
            one.join(url, name)
        begin(table, seconds=60)
        ada.reached(40)
        stopped = ada.generation()
        spoil(linus)
        says(linus, "happened", "Your game had come out differently. It has been put right: play on.")
        says(ada, "happened", "The games agree again: Linus was put right.")
        for one in table:
            one.reached(stopped + 40)
        assert_same_from(stopped + 30, table, least=5)
        # The game's own pause: one asks for it, and all must want to go on.
        ada.in_game("client.transition('menu')")
        for one in table:
            says(one, "waiting", "The game is paused: main menu.")
        linus.screenshot(pictures, "paused-phone")
        stood = ada.generation()
        for one in table:
            one.in_game("client.transition('resume')")
        for one in table:
            one.reached(stood + 20)
            one.until(lambda one: not one.driver.find_element(By.ID, "waiting").is_displayed(), "it goes on")
        assert_same_from(stood, table, least=10)


def test_whoever_comes_late_begins_with_a_state(patient_daemon: Daemon, pictures: Path) -> None:
    """More than a thousand generations after the beginning, a viewer and a player whose page is loaded anew run none of those before it."""
    base = f"http://{LOOPBACK}:{patient_daemon.web_port}"
    with Browser(base) as ada, Browser(base) as grace:
        url = ada.open_room("Ada-Lovelace")
        grace.join(url, "Grace")
        begin((ada, grace), seconds=120)
        for one in (ada, grace):
            one.hurry()
        for one in (ada, grace):
            one.reached(1100, within=120)
        for one in (ada, grace):
            one.in_game("client.rate = 60")
        with Browser(base, PHONE) as viewer:
            viewer.driver.get(url)
            viewer.press("Watch")
            viewer.reached(1120)
            began = min(viewer.hashes())
            # The newest that was there: on a busy machine members take their time to give one.
            assert began > 100, "it has begun with a state"
            viewer.reached(began + 60)
            viewer.screenshot(pictures, "late-viewer-phone")
            assert_same_from(began, (ada, viewer), least=40)
            assert viewer.severe() == []
        reached = ada.generation()
        grace.driver.refresh()
        ada.reached(reached + 40)
        grace.reached(reached + 40)
        assert grace.in_game("return client.seat") == 1
        assert min(grace.hashes()) > 100
        assert_same_from(reached + 1, (ada, grace), least=20)


def test_everyone_must_want_to_go_on_without_somebody(trio: Table, pictures: Path) -> None:
    """It is said who is waited for, since when, and who must want it too; when all who are there do, the play goes on."""
    ada, grace, linus = trio
    begin(trio, seconds=60)
    grace.reached(40)
    grace.driver.get("about:blank")
    for one in (ada, linus):
        one.until(lambda one: re.search(r"Waiting for Grace for \d+ s", text(one, "waiting")), "it is said who is waited for, and since when")
        says(one, "waiting", "Both of you must want it.")
        assert one.driver.find_element(By.CSS_SELECTOR, "#waiting [role=timer]").text.endswith(" s"), "nobody is read each second"
    for one, where in ((ada, "desktop"), (linus, "other")):
        one.screenshot(pictures, f"lagging-{where}")
    ada.press("Go on without Grace")
    says(ada, "waiting", "You want it; Linus must want it too.")
    stood = ada.generation()
    linus.press("Go on without Grace")
    for one in (ada, linus):
        one.reached(stood + 20)
        one.until(lambda one: not one.driver.find_element(By.ID, "waiting").is_displayed(), "nobody is waited for")
    assert_same_from(stood, (ada, linus), least=10)


def test_a_room_is_made_with_options(daemon: Daemon, pictures: Path) -> None:
    """What is chosen under Advanced is the room's; what is not is the game's."""
    base = f"http://{LOOPBACK}:{daemon.web_port}"
    with Browser(base) as one, Browser(base, PHONE, dark=True) as phone:
        for each, where in ((one, "desktop"), (phone, "phone")):
            each.driver.get(base + "/")
            each.until(lambda each: each.named("button", "Play Wet Paint"), "the game is there")
            each.driver.find_element(By.XPATH, "//li[.//button[@aria-label='Play Wet Paint']]//summary").click()
            each.until(lambda each: each.shown(".advanced select"), "what can be chosen is there")
            each.screenshot(pictures, f"advanced-{where}")
            assert each.overflow() <= 0
        asked = "const real = fetch; window.fetch = (url, options) => (url === '/create' && (window.asked = options.body), real(url, options));"
        one.driver.execute_script(asked)
        card = one.until(lambda one: one.named("button", "Play Wet Paint"), "the game is there").find_element(By.XPATH, "./ancestor::li")
        for select, choice in zip(card.find_elements(By.TAG_NAME, "select"), (None, "put it right", None, "600 turns later"), strict=True):
            assert select.accessible_name
            if choice:
                Select(select).select_by_visible_text(choice)
        one.press("Play Wet Paint")
        one.fill("Username", "Ada-Lovelace")
        one.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
        # The page goes on to the room as soon as it is made: what was asked is looked at where it stays.
        one.driver.execute_script(
            "const before = window.fetch;"
            "window.fetch = (url, options) => (url === '/create' ? (before(url, options), new Promise(() => {})) : before(url, options));"
        )
        one.press("Create account")
        body = one.until(lambda one: one.driver.execute_script("return window.asked"), "a room is asked for")
        assert {key: value for key, value in json.loads(body).items() if key != "engine"} == {"on_divergence": "resync", "viewer_delay": 600}
        one.until(
            lambda one: one.driver.execute_script("return fetch('/rooms').then((answer) => answer.json()).then(({rooms}) => rooms.length)"),
            "it is made",
        )


def test_who_watches_may_sit_where_a_seat_is_free_and_the_host_may_send_people_away(patient_daemon: Daemon) -> None:
    """By the keyboard's reach: both are buttons with a name."""
    base = f"http://{LOOPBACK}:{patient_daemon.web_port}"
    with Browser(base) as ada, Browser(base) as grace:
        grace.driver.get(ada.open_room("Ada-Lovelace"))
        grace.fill("Name", "Grace")
        grace.press("Watch")
        grace.press("Sit")
        grace.until(lambda one: one.named("button", "Ready"), "she has a seat")
        assert grace.named("button", "Sit") is None
        assert grace.named("button", "Kick Ada-Lovelace") is None
        ada.press("Kick Grace")
        grace.until(lambda one: one.shown("#gone"), "she is told")
        assert grace.driver.find_element(By.ID, "gone-title").text == "You were sent away"
        ada.until(lambda one: one.named("button", "Kick Grace") is None, "she is not in the roster any more")


def test_a_page_opened_by_another_name_than_the_server_s_own_connects(make_daemon: DaemonMaker) -> None:
    """The server calls itself by a name that this browser does not reach; the page's own host is the same server."""
    daemon = make_daemon(options=("--public-host", "gameroom.invalid"))
    with Browser(f"http://localhost:{daemon.web_port}") as one:
        one.open_room("Ada-Lovelace")
        one.until(lambda one: one.driver.execute_script("return room.state === 'welcomed'"), "it is connected")
