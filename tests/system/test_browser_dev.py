"""What `gameroom dev init` writes is pushed, and two people play it in their browsers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from selenium.webdriver.common.keys import Keys

from tests.system.browser import OUTCOMES, PASSWORD, Browser
from tests.system.developer import Developer
from tests.system.harness import LOOPBACK, Daemon
from tests.system.test_browser_controller import awaited, board, drop_by_hand, take_seat, text_of


@pytest.fixture
def people(room_daemon: Daemon) -> Iterator[tuple[Browser, Browser]]:
    base = f"http://{LOOPBACK}:{room_daemon.web_port}"
    with ExitStack() as stack:
        yield stack.enter_context(Browser(base)), stack.enter_context(Browser(base))


def published(room_daemon: Daemon, folder: Path, kind: str, ann: Browser) -> None:
    """A new game of this kind is published, and Ann opens a room of it on the page that the push names."""
    developer = Developer(room_daemon, folder)
    developer.done("register", "developer")
    developer.done("init", "game", "--kind", kind, "--name", "Test Game")
    if kind == "service":
        # Nobody here picks against the clock.
        rules = developer.folder / "game" / "service.py"
        rules.write_text(rules.read_text().replace("SECONDS = 30 ", "SECONDS = 300 "))
    ann.driver.get(developer.said("push", "game")["play_url"])
    ann.press("Play")
    ann.fill("Username", "ann")
    ann.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
    ann.press("Create account")
    ann.until(lambda one: "/join/" in one.driver.current_url, "the room is there")


def together(room_daemon: Daemon, folder: Path, kind: str, people: tuple[Browser, Browser]) -> tuple[Browser, Browser]:
    """Ann has a room of a new game, Bob comes by the room's link, and both are ready."""
    ann, bob = people
    published(room_daemon, folder, kind, ann)
    ann.until(lambda one: one.named("button", "Ready"), "she is in")
    bob.join(ann.driver.current_url, "Bob")
    for one in (ann, bob):
        one.press("Ready")
    return ann, bob


def ended(ann: Browser, bob: Browser) -> list[str]:
    for one in (ann, bob):
        one.until(lambda one: one.status() in OUTCOMES, "the play has ended", 60)
    assert [ann.severe(), bob.severe()] == [[], []]
    return [ann.status(), bob.status()]


def test_a_lockstep_game(room_daemon: Daemon, tmp_path: Path, people: tuple[Browser, Browser], pictures: Path) -> None:
    """Both steer, both pages have the same states to the end, and who wins is said."""
    ann, bob = together(room_daemon, tmp_path / "developer", "lockstep", people)
    for one in people:
        one.until(lambda one: one.in_game("return client.running"), "the play has begun")
    ann.steer(Keys.ARROW_RIGHT)
    bob.steer("w")
    for one in people:
        one.until(lambda one: one.in_game("return game.runners[0].dx === 1 && game.runners[1].dy === -1"), "both run")
    ann.screenshot(pictures, "template-lockstep")
    for one in people:
        one.hurry()
    outcomes = ended(ann, bob)
    assert outcomes in (["You won", "You lost"], ["You lost", "You won"], ["Draw", "Draw"])
    assert ann.in_game("return client.finished") == bob.in_game("return client.finished") is not None
    # Each may have some masters to go when it is told the end, and is then done.
    last, other = ann.in_game("return client.newest"), bob.in_game("return client.newest")
    assert last["generation"] != other["generation"] or last == other


def test_a_relay_game(room_daemon: Daemon, tmp_path: Path, people: tuple[Browser, Browser], pictures: Path) -> None:
    """What one does the other sees, a page that is loaded anew knows how far everyone is, and who is first has won."""
    ann, bob = together(room_daemon, tmp_path / "developer", "relay", people)
    for one in people:
        one.until(lambda one: one.in_game("return client.playing"), "the play has begun")
    ann.in_game("for (let i = 0; i < 39; i++) document.getElementById('run').click()")
    bob.in_game("document.body.focus()")
    bob.steer(Keys.SPACE, Keys.SPACE)
    for one in people:
        one.until(lambda one: one.in_game("return [...steps]") == [[0, 39], [1, 2]], "both see both")
    bob.screenshot(pictures, "template-relay")
    bob.driver.refresh()
    bob.until(lambda one: one.in_game("return [...steps]") == [[0, 39], [1, 2]], "how far everyone is is known again")
    ann.in_game("document.getElementById('run').click()")
    assert ended(ann, bob) == ["You won", "You lost"]
    assert bob.in_game("return document.getElementById('say').textContent") == "ann won"


def test_a_service_game(room_daemon: Daemon, tmp_path: Path, people: tuple[Browser, Browser], pictures: Path) -> None:
    """What one picks nobody else is told before all have picked, a page that is loaded anew knows its own, and who is closest wins."""
    ann, bob = together(room_daemon, tmp_path / "developer", "service", people)
    for one in people:
        one.until(lambda one: one.in_game("return client.playing && !document.getElementById('pick').hidden"), "the play has begun")
    assert picked(ann) == "Pick it"
    bob.in_game("globalThis.told = []; client.on('game', ({ body }) => told.push(JSON.stringify(body)))")
    pick(ann, 17)
    ann.until(lambda one: picked(one) == "You picked 17. Change it", "Ann's page has her number")
    bob.until(lambda one: one.in_game("return told.length") == 2, "Bob's page was told that there is one, and what his own is")
    table, own = map(json.loads, bob.in_game("return told"))
    assert (own, table["picked"], table["last"], sorted(table)) == ({"mine": None}, ["0"], None, ["last", "picked", "points", "until"])
    ann.driver.refresh()
    ann.until(lambda one: picked(one) == "You picked 17. Change it", "what she picked is known again")
    ann.screenshot(pictures, "template-service")
    pick(bob, 60)
    for one in people:
        one.until(lambda one: one.in_game("return document.getElementById('last').textContent").endswith(": ann 17, Bob 60."), "all is shown")
    for _ in range(2):
        pick(ann, 17)
        ann.until(lambda one: picked(one) != "Pick it", "Ann has picked")
        pick(bob, 60)
        ann.until(lambda one: picked(one) == "Pick it" or not one.in_game("return client.playing"), "the round is over")
    assert ended(ann, bob) == ["You won", "You lost"]
    assert bob.in_game("return document.getElementById('say').textContent") == "ann won!"


def pick(one: Browser, number: int) -> None:
    one.in_game(f"document.getElementById('number').value = {number}; document.getElementById('go').click()")


def picked(one: Browser) -> str:
    return str(one.in_game("return document.getElementById('go').textContent"))


def test_a_turn_game(room_daemon: Daemon, tmp_path: Path, people: tuple[Browser, Browser], pictures: Path) -> None:
    """Two play it with gameroom's own pages, and the clock of its game.toml runs."""
    ann, bob = people
    published(room_daemon, tmp_path / "developer", "controller", ann)
    ann.press("Join")
    ann.until(lambda one: one.shown("#table"), "she is in")
    take_seat(bob, str(ann.driver.current_url), "Bob")
    drop_by_hand(ann)
    awaited(bob)
    assert board(bob) == "Board, columns from the bottom. 4: red."
    assert text_of(ann, ".seats .clock").startswith("0:")
    bob.screenshot(pictures, "template-controller")
    drop_by_hand(bob, "Left", 1)
    ann.until(lambda one: board(one) == "Board, columns from the bottom. 3: yellow. 4: red.", "both have the same board")
    assert [ann.severe(), bob.severe()] == [[], []]
