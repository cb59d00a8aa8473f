"""A match, watched again: the recording in the game's own page, with a player's controls."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import PHONE, ROUND, Browser
from tests.system.harness import LOOPBACK, Daemon

SEEK, SPEED = "#seek", "#speed"


@pytest.fixture(params=["desktop", "phone"])
def ada(request: pytest.FixtureRequest, daemon: Daemon) -> Iterator[Browser]:
    """Ada, at a screen in the light or on a phone in the dark."""
    phone = request.param == "phone"
    with Browser(f"http://{LOOPBACK}:{daemon.web_port}", *([PHONE] if phone else []), dark=phone) as browser:
        yield browser


def play(ada: Browser) -> tuple[dict[int, str], str]:
    """A match with Grace, who goes when it is over: the hashes of all its states, and how it ended."""
    with Browser(ada.base) as grace:
        grace.join(ada.open_room("Ada-Lovelace"), "Grace")
        ada.configure(seconds=10, bots=0, arena="pillars")
        for one in (ada, grace):
            one.until(lambda one: one.in_game("return client.configuration.seconds === 10"), "the set-up has arrived")
        for one in (ada, grace):
            one.press("Ready")
        for one in (ada, grace):
            one.until(lambda one: one.in_game("return client.running"), "the play has begun")
            one.keep_pace()
        ada.reached(60)
        ada.steer(*ROUND)
        ada.until(lambda one: one.status(), "the play has ended", 60.0)
    return ada.hashes(), ada.status()


def seek(ada: Browser, place: int) -> None:
    """As dragging and letting go does."""
    ada.driver.execute_script(
        "const seek = document.querySelector(arguments[0]); seek.value = arguments[1];"
        "seek.dispatchEvent(new Event('input')); seek.dispatchEvent(new Event('change'));",
        SEEK,
        place,
    )


def test_watched_again(ada: Browser, pictures: Path, request: pytest.FixtureRequest) -> None:
    """From the room by its link: the same states to the same end, slower and faster, back and on, by mouse and by keyboard."""
    where = request.node.callspec.id
    hashes, outcome = play(ada)
    ada.screenshot(pictures, f"replay-link-{where}")
    assert ada.overflow() <= 0
    ada.press("Watch it again", role="link")
    ada.driver.switch_to.window(ada.driver.window_handles[-1])
    ada.until(lambda one: one.named("button", "Pause"), "it plays")
    ada.reached(20)
    ada.screenshot(pictures, f"replay-{where}")
    assert ada.overflow() <= 0
    assert ada.in_game("return client.seat") is None

    # On, to the end: the same states as in the match.
    length = int(ada.driver.find_element(By.CSS_SELECTOR, SEEK).get_attribute("max") or 0)
    ada.driver.find_element(By.CSS_SELECTOR, SPEED).send_keys("8")
    assert ada.driver.execute_script("return room.speed") == 8
    ada.until(lambda one: one.named("button", "Play again"), "it has ended", 30.0)
    winner = {"You won": "Ada-Lovelace won", "You lost": "Grace won", "Draw": "Draw between Ada-Lovelace and Grace"}[outcome]
    assert ada.status() == winner
    ada.until(lambda one: max(one.hashes()) >= max(hashes), "the game has got there, and has ended that turn")
    again = ada.hashes()
    assert again.keys() >= {generation for generation in hashes if generation > max(hashes) - 100}
    assert {generation: again[generation] for generation in again.keys() & hashes.keys()} == {
        generation: hashes[generation] for generation in again.keys() & hashes.keys()
    }
    ada.screenshot(pictures, f"replay-end-{where}")

    # Back: the game begins anew, and is at that place at once.
    seek(ada, length // 2)
    ada.until(lambda one: 0.3 * max(hashes) < one.generation() < 0.8 * max(hashes), "it is half-way")
    assert "of 0:" in str(ada.driver.find_element(By.CSS_SELECTOR, SEEK).get_attribute("aria-valuetext"))

    # By keyboard, and slowly, so that it does not come to its end meanwhile.
    ada.driver.find_element(By.CSS_SELECTOR, SPEED).send_keys("0.5")
    assert ada.driver.execute_script("return room.speed") == 0.5
    body = ada.driver.find_element(By.TAG_NAME, "body")
    ada.driver.execute_script("document.activeElement.blur()")
    before = ada.driver.execute_script("return room.position")
    body.send_keys(Keys.ARROW_LEFT)
    assert ada.driver.execute_script("return room.position") < before
    body.send_keys(Keys.SPACE)
    ada.until(lambda one: one.named("button", "Pause"), "it plays again")
    body.send_keys(Keys.SPACE)
    ada.until(lambda one: one.named("button", "Play"), "it has stopped")
    assert ada.severe() == []


def test_not_for_others(daemon: Daemon) -> None:
    """Who did not play in it is told so, and sees nothing; nor is there anything for a play that never was."""
    with Browser(f"http://{LOOPBACK}:{daemon.web_port}") as eve:
        eve.driver.get(eve.base + "/replay/11111111-2222-4333-8444-555555555555")
        eve.until(lambda one: "Only those who played" in one.status(), "it is refused")
        assert eve.named("button", "Play") is not None
        assert not eve.driver.find_element(By.ID, "toggle").is_enabled()
        eve.open_room("Eve")
        eve.driver.get(eve.base + "/replay/11111111-2222-4333-8444-555555555555")
        eve.until(lambda one: "no such recording" in one.status(), "it is not there")
