"""Relay games in real browsers: a board that two people draw on, and a game without a page."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.actions import interaction
from selenium.webdriver.common.actions.pointer_input import PointerInput
from selenium.webdriver.common.by import By

from tests.system.browser import PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.store import upload
from tests.system.web import Web

BOARD = Path(__file__).parents[2] / "examples" / "drawing-board"


def packed(files: dict[str, bytes]) -> bytes:
    """A ZIP of these."""
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return whole.getvalue()


def room_of(daemon: Daemon, data: bytes) -> str:
    """A room of a game that was just uploaded; gives its URL."""
    web, game_id = Web(daemon.web_port), upload(daemon, data)
    room_id = web.create(web.register(), engine={"game_id": game_id}, seed=7)
    return f"http://{LOOPBACK}:{daemon.web_port}/join/{room_id}"


def draw(one: Browser, kind: str, *moves: tuple[int, int]) -> None:
    """A line on the board, from its middle."""
    one.driver.switch_to.frame(one.driver.find_element(By.TAG_NAME, "iframe"))
    try:
        pen = ActionChains(one.driver, duration=20, devices=[PointerInput(kind, "pen")])
        pen.move_to_element(one.driver.find_element(By.TAG_NAME, "canvas")).click_and_hold()
        for x, y in moves:
            pen.move_by_offset(x, y)
        pen.release().perform()
    finally:
        one.driver.switch_to.default_content()


def points(one: Browser) -> set[tuple[int, int]]:
    """What the page has on its board."""
    flat = one.in_game("return lines().map((line) => line.slice(1))")
    return {(line[at], line[at + 1]) for line in flat for at in range(0, len(line) - 1, 2)}


def connected(one: Browser) -> None:
    one.until(lambda one: one.in_game("return relay.you !== null"), "the game is connected")


def test_two_people_draw_on_one_board(room_daemon: Daemon, pictures: Path) -> None:
    """What one draws, by mouse or finger, before the match and in it, the other has; who comes later or anew gets the picture; the host ends it."""
    url = room_of(room_daemon, packed({path.name: path.read_bytes() for path in BOARD.iterdir()}))
    base = url.partition("/join")[0]
    with Browser(base) as ada, Browser(base, PHONE) as grace:
        for one, name in ((ada, "Ada"), (grace, "Grace")):
            one.join(url, name)
            connected(one)
        draw(ada, interaction.POINTER_MOUSE, (60, 30), (-30, 40))
        grace.until(lambda one: points(one) and points(one) == points(ada), "what Ada has drawn is on Grace's board")
        before = points(ada)
        draw(grace, interaction.POINTER_TOUCH, (-40, 20), (20, 20))
        ada.until(lambda one: points(one) > before and points(one) == points(grace), "what Grace has drawn is on Ada's board")

        ada.press("Start")
        for one in (ada, grace):
            one.until(lambda one: one.in_game("return relay.playing"), "the match is on")
        assert grace.named("button", "End the match") is None
        draw(ada, interaction.POINTER_MOUSE, (10, -40))
        grace.until(lambda one: points(one) == points(ada), "it goes on in the match")
        for one, where in ((ada, "desktop"), (grace, "phone")):
            one.screenshot(pictures, f"relay-{where}")
            assert one.overflow() <= 0

        grace.driver.refresh()
        connected(grace)
        grace.until(lambda one: points(one) == points(ada), "who comes anew gets the picture")
        ada.press("End the match")
        for one in (ada, grace):
            one.until(lambda one: one.status() == "The match is over", "both are told")
            assert one.shown("#watch-again") is None
        ada.press("Play again")
        ada.until(lambda one: one.named("button", "Ready"), "it can be played again")
        assert [ada.severe(), grace.severe()] == [[], []]


def test_a_game_without_a_page(room_daemon: Daemon) -> None:
    """A file that is no bundle has a room to meet in: how it is played, ready, chat, and an end for what a program says there."""
    url = room_of(room_daemon, b"#!/bin/sh\necho a game of its own\n")
    web = Web(room_daemon.web_port)
    with Browser(url.partition("/join")[0]) as ada, LobbyPeer(room_daemon.lobby_port) as program:
        ada.join(url, "Ada")
        card = ada.until(lambda one: one.shown("#frame-place .card"), "it is said how it is played")
        assert "gameroom play" in card.text
        room_id = url.rpartition("/")[2]
        token = program.good("REGISTER_PLAYER", {"username": "program", "password": PASSWORD})["session_token"]
        assert web.ask("GET", f"/join/{room_id}")["hosting"] == "relay"
        program.good("JOIN_ROOM", {"room_id": room_id}, token)
        program.good("SUBSCRIBE", {"rooms": True}, token)
        ada.until(lambda one: "program" in one.driver.find_element(By.ID, "roster").text, "the program is there")
        ada.press("Start")
        ada.press("End the match")
        ada.until(lambda one: one.status() == "The match is over", "it is over")
        program.good("PING")
        told = [push["payload"]["body"]["type"] for push in program.pushes if push["type"] == "ROOM_MESSAGE"]
        assert [kind for kind in told if kind in ("start", "over")] == ["start", "over"]
        assert ada.severe() == []
