"""The built-in game in a room whose packets are binary, and watched again after that room has gone."""

from __future__ import annotations

import json

from selenium.webdriver.common.by import By

from tests.system.browser import ROUND, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.web import Web


def test_a_binary_match_watched_again_when_its_room_is_gone(daemon: Daemon) -> None:
    """Both have the same states to the end; an account of a player has the recording also without the room, and going back gives the same states."""
    web, base = Web(daemon.web_port), f"http://{LOOPBACK}:{daemon.web_port}"
    session = web.register("Ada-Lovelace")
    game = web.game("Wet Paint")
    room = web.create(session, engine={"game_id": game}, encoding="binary", configuration={"seconds": 10, "bots": 1, "arena": "rooms"})
    with Browser(base) as ada, Browser(base) as grace:
        ada.driver.get(base + "/static/favicon.svg")
        account = json.dumps({"username": "Ada-Lovelace", "token": session})
        ada.driver.execute_script("localStorage.setItem('gameroom.account', arguments[0])", account)
        ada.driver.get(f"{base}/join/{room}")
        ada.press("Join")
        grace.join(f"{base}/join/{room}", "Grace")
        for one in (ada, grace):
            one.press("Ready")
        for one in (ada, grace):
            one.until(lambda one: one.in_game("return client.running"), "the play has begun")
            one.keep_pace()
        ada.reached(40)
        ada.steer(*ROUND)
        for one in (ada, grace):
            one.until(lambda one: one.status(), "the play has ended", 60.0)
        hashes, others = ada.hashes(), grace.hashes()
        both = hashes.keys() & others.keys()
        assert len(both) > 100
        assert {each: hashes[each] for each in both} == {each: others[each] for each in both}
        link = str(ada.driver.find_element(By.ID, "watch-again").get_attribute("href"))
        for one in (grace, ada):
            one.press("Leave")
            one.until(lambda one: one.named("button", "Play Wet Paint"), "the front page is there")
        assert web.request("GET", f"/join/{room}")[0] == 404

        ada.driver.get(link)
        ada.until(lambda one: one.named("button", "Pause"), "it plays")
        ada.press("Pause")
        last = max(hashes)
        ada.driver.execute_script("room.seek(room.recorded.length - 1)")
        ada.reached(last - 5)
        # Back to the middle, by a state that was kept on the way; what came of it is no other than in the match.
        ada.driver.execute_script("room.seek(room.recorded.said.find(({generation}) => generation === arguments[0]).t)", last * 3 // 4)
        ada.until(lambda one: one.generation() == last * 3 // 4, "it is back")
        again = ada.hashes()
        assert again
        assert {each: again[each] for each in again} == {each: hashes[each] for each in again}
        assert ada.severe() == []
