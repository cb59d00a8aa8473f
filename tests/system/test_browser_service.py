"""Games whose rules are a micro game service, in real browsers: Liar's Dice on three phones, and a game without a page."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from selenium.webdriver.common.by import By

from tests.system.browser import PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.lobby import PASSWORD, LobbyPeer
from tests.system.store import upload
from tests.system.test_browser_relay import packed
from tests.system.web import Web

KIT = Path(__file__).parents[2] / "gameroom" / "games" / "liars-dice" / "gameroom_service.py"
OVERHEARD = """
const came = (globalThis.came = []);
globalThis.WebSocket = class extends WebSocket {
  constructor(...all) {
    super(...all);
    this.addEventListener("message", ({ data }) => came.push(data));
  }
};
"""
"""Notes all that a page's sockets get."""
FITS = "const { scrollHeight, scrollWidth } = document.documentElement; return [scrollHeight <= innerHeight, scrollWidth <= innerWidth, innerWidth]"
MANIFEST = b'[hosting]\nkind = "service"\nmin_players = 2\n\n[service]\ncommand = ["python3", "service.py"]\n'
SERVICE = b"""from gameroom_service import serve

def update(state, event):
    if event.kind == "message":
        event.finish({"winners": [event.seat], "word": event.body})
    return {}

serve(update)
"""
"""Whoever says anything has won."""


def table(one: Browser) -> dict[str, Any]:
    """The table as this page has it."""
    return one.in_game("return table()")  # type: ignore[no-any-return]


def hand(one: Browser) -> dict[str, Any]:
    return one.in_game("return hand()")  # type: ignore[no-any-return]


def tap(one: Browser, name: str) -> None:
    """A button in the game, by its name, once it can be tapped."""

    def tapped(one: Browser) -> bool:
        one.driver.switch_to.frame(one.driver.find_element(By.TAG_NAME, "iframe"))
        try:
            # Nothing tells what is accessible inside of a sandboxed frame.
            named = next(
                button for button in one.driver.find_elements(By.TAG_NAME, "button") if name in (button.get_attribute("aria-label"), button.text)
            )
            can = named.is_enabled()
            if can:
                named.click()
            return can
        finally:
            one.driver.switch_to.default_content()

    one.until(tapped, f"{name!r} can be tapped")


def said(one: Browser) -> str:
    """What a screen reader reads out in the game."""
    return str(one.in_game("return document.querySelector('[role=status]').textContent"))


def overheard(one: Browser) -> list[dict[str, Any]]:
    """What the game has said to this page, since it was loaded."""
    came = one.driver.execute_script("return came")
    messages = [json.loads(data) for data in came if isinstance(data, str)]
    return [message["body"] for message in messages if message["type"] == "game" and "body" in message]


def dealt(one: Browser) -> bool:
    return bool(one.in_game("return table()?.phase === 'bidding' && hand().deal === table().deal"))


def test_three_phones_play_liars_dice(room_daemon: Daemon, pictures: Path) -> None:
    """From the link to the winner, over a lost connection, a reload and a daemon that is killed; no page ever has another's dice."""
    web = Web(room_daemon.web_port)
    game_id = next(game["game_id"] for game in web.ask("GET", "/games")["games"] if game["name"] == "Liar's Dice")
    room_id = web.create(web.register(), engine={"game_id": game_id}, configuration={"dice": 1, "turn_seconds": 600})
    url = f"http://{LOOPBACK}:{room_daemon.web_port}/join/{room_id}"
    names = ["Ada", "Zoë <b>🎲</b>", "مريم"]
    with ExitStack() as stack:
        phones = [stack.enter_context(Browser(url.partition("/join")[0], PHONE, dark=dark)) for dark in (False, True, False)]
        for one, name in zip(phones, names, strict=True):
            one.driver.execute_cdp_cmd("Page.addScriptToEvaluateOnNewDocument", {"source": OVERHEARD})
            one.join(url, name)
            one.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", {"width": 360, "height": 640, "deviceScaleFactor": 2, "mobile": True})
        phones[0].screenshot(pictures, "dice-1-setup")
        for one in phones:
            one.press("Ready")
        for seat, one in enumerate(phones):
            one.until(dealt, "the dice are dealt")
            assert one.in_game("return game.you.seat") == seat
            assert one.driver.execute_script("return [innerWidth, innerHeight]") == [360, 640]
            assert one.in_game(FITS) == [True, True, 346]
        dice = [hand(one)["dice"] for one in phones]

        first = table(phones[0])["at"]
        second, third = ((first + more) % 3 for more in (1, 2))
        assert said(phones[first]) == "Round 1. Your turn: make the first bid."
        assert phones[second].in_game("return ['bid', 'call'].map((id) => document.getElementById(id).disabled)") == [True, True]
        face = max(2, dice[first][0])
        word = ["", "", "two", "three", "four", "five", "six"][face]
        tap(phones[first], f"Bid 1 {word}")
        phones[second].until(lambda one: "Your turn: bid higher, or call." in said(one), "the turn has gone on")
        for one, where in ((phones[second], "turn"), (phones[first], "waits")):
            one.screenshot(pictures, f"dice-2-{where}")

        # A phone's line is lost, a page is loaded anew, and the daemon is killed.
        phones[third].driver.execute_script("room.reopen()")
        phones[third].driver.refresh()
        phones[third].until(dealt, "the page is back")
        room_daemon.kill9()
        for one in phones:
            one.until(lambda one: "connection is lost" in said(one), "it is said in the game")
        phones[first].screenshot(pictures, "dice-3-killed")
        room_daemon.start_again()
        for one in phones:
            one.until(lambda one: one.in_game("return game.room.state === 'welcomed' && game.playing"), "it is back")
            one.until(lambda one: not any(player["away"] for player in table(one)["players"]), "all are")
        assert [hand(one)["dice"] for one in phones] == dice
        assert {table(one)["turn"] for one in phones} == {2}
        assert table(phones[0])["bids"] == [{"seat": first, "count": 1, "face": face}]

        # Nothing has told any of them what the others have.
        for seat, one in enumerate(phones):
            bodies = overheard(one)
            assert {tuple(body["hand"]["dice"]) for body in bodies if "hand" in body} == {tuple(dice[seat])}
            assert all(body["table"]["reveal"] is None for body in bodies if "table" in body)

        tap(phones[second], "More dice")
        tap(phones[second], f"Bid 3 {word}{'es' if word == 'six' else 's'}")
        tap(phones[third], "Call it a lie")
        for one in phones:
            one.until(lambda one: table(one)["phase"] == "reveal", "the cups are lifted")
            assert table(one)["reveal"]["hands"] == {str(seat): own for seat, own in enumerate(dice)}
            assert one.in_game(FITS)[:2] == [True, True]
        truth = sum(own[0] in (1, face) for own in dice)
        loser = third if truth == 3 else second
        assert f"There {'is' if truth == 1 else 'are'} {truth}" in said(phones[first])
        assert "You lose the last die and are out." in said(phones[loser])
        phones[loser].screenshot(pictures, "dice-4-reveal")
        rest = [seat for seat in range(3) if seat != loser]
        for seat in rest:
            tap(phones[seat], "Next round")
        for seat in rest:
            phones[seat].until(dealt, "the second round is dealt")
        bidder = table(phones[rest[0]])["at"]
        caller = next(seat for seat in rest if seat != bidder)
        tap(phones[bidder], "More dice")
        tap(phones[bidder], phones[bidder].in_game("return document.getElementById('bid').textContent"))
        tap(phones[caller], "Call it a lie")
        winner = phones[0].until(lambda one: table(one)["phase"] == "over" and [table(one)["winner"]], "somebody has won")[0]
        for seat, one in enumerate(phones):
            one.until(lambda one: one.status() in ("You won", "You lost"), "the page says so")
            assert one.status() == ("You won" if seat == winner else "You lost")
            assert "won!" in said(one)
            assert one.overflow() <= 0
        phones[winner].screenshot(pictures, "dice-5-over")
        phones[0].press("Play again")
        phones[0].until(lambda one: one.named("button", "Ready"), "it can be played again")
        assert phones[0].in_game("return document.body.dataset.phase") == "setup"
        for one in phones:
            assert [line for line in one.severe() if "ERR_CONNECTION" not in line and "WebSocket" not in line] == []


def test_a_service_game_without_a_page(room_daemon: Daemon) -> None:
    """Its room says how it is played, a program at the lobby plays, and the page tells what came of it."""
    game_id = upload(room_daemon, packed({"game.toml": MANIFEST, "service.py": SERVICE, "gameroom_service.py": KIT.read_bytes()}))
    web = Web(room_daemon.web_port)
    room_id = web.create(web.register(), engine={"game_id": game_id})
    url = f"http://{LOOPBACK}:{room_daemon.web_port}/join/{room_id}"
    with Browser(url.partition("/join")[0]) as ada, LobbyPeer(room_daemon.lobby_port) as program:
        ada.join(url, "Ada")
        card = ada.until(lambda one: one.shown("#frame-place .card"), "it is said how it is played")
        assert '{"type": "game", "body": …}' in card.text
        token = program.good("REGISTER_PLAYER", {"username": "program", "password": PASSWORD})["session_token"]
        program.good("JOIN_ROOM", {"room_id": room_id}, token)
        program.good("SUBSCRIBE", {"rooms": True}, token)
        program.good("ROOM_MESSAGE", {"room_id": room_id, "body": {"type": "ready", "ready": True}}, token)
        ada.press("Ready")
        ada.until(lambda one: one.driver.find_element(By.CSS_SELECTOR, "body[data-playing]"), "the match is on")
        program.good("ROOM_MESSAGE", {"room_id": room_id, "body": {"type": "game", "body": "hello", "id": 1}}, token)
        ada.until(lambda one: one.status() == "You lost", "it is over")
        assert '"word": "hello"' in ada.driver.find_element(By.CSS_SELECTOR, "#frame-place .results").text
        assert ada.severe() == []
