"""Two people, two real browsers, one daemon: the built-in game from the front page to its end."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By

from tests.system.browser import OUTCOMES, PHONE, ROUND, Browser
from tests.system.harness import LOOPBACK, Daemon

Table = tuple[Browser, Browser]


@pytest.fixture
def table(room_daemon: Daemon) -> Iterator[Table]:
    """Ada, who opened the room, and Grace, a guest on a phone, both seated; the match will be short and without bots."""
    base = f"http://{LOOPBACK}:{room_daemon.web_port}"
    with ExitStack() as stack:
        ada, grace = stack.enter_context(Browser(base)), stack.enter_context(Browser(base, PHONE, dark=True))
        grace.join(ada.open_room("Ada-Lovelace"), "Grace")
        yield ada, grace


def begin(table: Table, seconds: int, *, steady: bool = True) -> None:
    """Agree on a length, and be ready; turns that are `steady` are of one length."""
    ada, grace = table
    ada.configure(seconds=seconds, bots=0, arena="pillars")
    for one in table:
        one.until(lambda one: one.in_game(f"return client.configuration.seconds === {seconds}"), "the set-up has arrived")
    ada.press("Ready")
    grace.press("Ready")
    for one in table:
        one.until(lambda one: one.in_game("return client.running"), "the play has begun")
        if steady:
            one.keep_pace()


def hurry(*pages: Browser) -> None:
    """What a test is about has happened: the rest of the match need not take its time."""
    for one in pages:
        one.hurry()


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
    begin(table, seconds=15)
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
    begin(table, seconds=40)
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
    hurry(*table)
    finish(table)
    assert_equal_hashes(table, least=400)


def test_a_daemon_that_is_killed_in_mid_game_and_started_again_costs_no_generation(table: Table, room_daemon: Daemon) -> None:
    """Both pages come back by themselves and go on where they stood, without being loaded anew."""
    begin(table, seconds=40)
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
    hurry(*table)
    finish(table)
    assert_equal_hashes(table, least=300)


def test_the_others_go_on_without_somebody_who_is_away_and_take_them_back(table: Table) -> None:
    """One closes the page, the other presses a button and plays on, a third watches from the beginning; whoever comes back plays again."""
    ada, grace = table
    begin(table, seconds=40)
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
        hurry(*table, viewer)
        finish(table)
        outcome = {"Ada-Lovelace won", "Grace won", "Draw between Ada-Lovelace and Grace"}
        viewer.until(lambda one: one.status() in outcome, "the viewer has seen the end as well")
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
    begin(table, seconds=10, steady=False)
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
