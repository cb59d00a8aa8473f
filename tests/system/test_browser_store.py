"""The store in a browser: a developer's game gets there, players find it, take it home and say what they think."""

from __future__ import annotations

import hashlib
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from tests.system.browser import PASSWORD, PHONE, Browser
from tests.system.harness import LOOPBACK, Daemon
from tests.system.web import Refused, Web

MARKUP = "<img src=x onerror=alert(1)>"
DROP = """
    const [zone, input] = [document.querySelector("#drop"), document.createElement("input")];
    input.type = "file";
    input.id = "to-drop";
    input.addEventListener("change", () => {
        const data = new DataTransfer();
        data.items.add(input.files[0]);
        for (const name of ["dragenter", "dragover", "drop"])
            zone.dispatchEvent(new DragEvent(name, {dataTransfer: data, bubbles: true, cancelable: true}));
        input.remove();
    });
    document.body.append(input);
"""
"""Lets the driver give a file to an input of its own, and drops what it was given."""


def bundle(folder: Path, name: str, **files: str) -> Path:
    """A ZIP with these files; `toml` is its game.toml."""
    path = folder / name
    with zipfile.ZipFile(path, "w") as archive:
        for file, content in files.items():
            archive.writestr("game.toml" if file == "toml" else f"{file}.js", content)
    return path


def noise(folder: Path, name: str, size: int) -> Path:
    """A file that nothing can be guessed of."""
    path = folder / name
    path.write_bytes(os.urandom(size))
    return path


def come_in(one: Browser, username: str) -> None:
    """The dialog that is open, with a new account."""
    one.fill("Username", username)
    one.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
    one.press("Create account")
    one.until(lambda one: one.driver.find_element(By.ID, "who").text == username, f"{username} is in")


def become_developer(one: Browser, username: str) -> None:
    one.driver.get(one.base + "/developer")
    one.press("Get started")
    come_in(one, username)


def create_game(one: Browser, name: str, description: str) -> str:
    """Gives the game's id."""
    one.press("New game")
    one.fill("Name", name)
    one.driver.find_element(By.ID, "new-description").send_keys(description)
    one.press("Create game")
    one.until(lambda one: one.driver.find_element(By.ID, "game-name").text == name, "the game is there")
    return str(one.driver.current_url).partition("#")[2]


def choose(one: Browser, path: Path) -> None:
    one.driver.find_element(By.ID, "file").send_keys(str(path))


def resume(one: Browser, version: str, path: Path) -> None:
    one.driver.find_element(By.CSS_SELECTOR, f"[aria-label='Resume version {version}']").send_keys(str(path))


def text(one: Browser, element: str) -> str:
    return one.driver.find_element(By.ID, element).text


@contextmanager
def line_of(one: Browser, bytes_a_second: int, *, offline: bool = False) -> Iterator[None]:
    """A slow line to the server, or none."""
    speed = {"download_throughput": 10_000_000, "upload_throughput": bytes_a_second}
    one.driver.set_network_conditions(offline=offline, latency=5, **speed)
    yield
    one.driver.delete_network_conditions()


def at_least(one: Browser, share: float) -> bool:
    """Whether so much of an upload is there, and not yet all."""
    script = "const bar = document.querySelector('#upload-bar'); return bar.value >= arguments[0] && bar.value < 1"
    return text(one, "upload-how").startswith("Uploading") and bool(one.driver.execute_script(script, share))


def outside(one: Browser) -> list[str]:
    """The buttons that stick out of their cards."""
    script = """
        return [...document.querySelectorAll(".card button")].filter((button) => {
            const [own, card] = [button, button.closest(".card")].map((element) => element.getBoundingClientRect());
            return own.width && (own.right > card.right || own.left < card.left);
        }).map((button) => button.textContent);
    """
    return list(one.driver.execute_script(script))


def test_from_a_file_to_a_review(daemon: Daemon, tmp_path: Path, pictures: Path) -> None:
    """A developer drops a file and sees it go up; it is in the store at once; a player takes it home and reviews it, and another reads that."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    game = noise(tmp_path, "pong.bin", 6 << 20)
    with Browser(base) as dev, Browser(base) as player, Browser(base, PHONE, dark=True) as other:
        become_developer(dev, "dora")
        dev.screenshot(pictures, "developer-new-desktop")
        game_id = create_game(dev, f"Pong {MARKUP}", f"Two bats and a ball.\nFor two. {MARKUP}")
        assert "goes online by itself" in text(dev, "status-say")
        dev.driver.execute_script(DROP)
        dev.driver.find_element(By.ID, "to-drop").send_keys(str(game))
        dev.until(lambda one: "pong.bin, 6.3 MB" in text(one, "file-name"), "the file is taken")
        assert dev.driver.find_element(By.ID, "upload-version").get_attribute("value") == "1.0.0"
        # So slow that it is seen on its way.
        with line_of(dev, 500_000):
            dev.press("Upload")
            dev.until(lambda one: at_least(one, 0.15) and "B/s" in text(one, "upload-how"), "it goes up")
            dev.screenshot(pictures, "developer-upload-desktop")
        dev.until(lambda one: text(one, "upload-say") == "Version 1.0.0 is published.", "it is published")
        dev.until(lambda one: one.shown("#status[aria-checked=true]"), "the game is online")
        dev.until(lambda one: "latest" in text(one, "versions"), "the version is listed")
        assert dev.driver.find_element(By.ID, "upload-version").get_attribute("value") == "1.0.1"
        dev.screenshot(pictures, "developer-desktop")
        assert dev.overflow() <= 0
        assert dev.severe() == []
        latest = web.ask("GET", f"/games/{game_id}/versions/latest")
        assert latest["checksum"] == hashlib.sha256(game.read_bytes()).hexdigest()

        for one, where in ((player, "desktop"), (other, "phone")):
            one.driver.get(base + "/")
            one.until(lambda one: one.named("link", f"Pong {MARKUP}"), "the game is in the store")
            one.screenshot(pictures, f"store-{where}")
            one.press(f"Pong {MARKUP}", "link")
            one.until(lambda one: text(one, "version") == "Version 1.0.0, 6.3 MB", "its page is there")
            assert text(one, "description") == f"Two bats and a ball.\nFor two. {MARKUP}"
            one.screenshot(pictures, f"game-{where}")
            assert one.overflow() <= 0
            play, description = (one.driver.find_element(By.ID, name).rect["y"] for name in ("play", "description"))
            assert play < description, "however much a developer has written, one need not scroll to play"

        downloads = tmp_path / "downloads"
        player.driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "allow", "downloadPath": str(downloads)})
        player.press("Download")
        come_in(player, "pam")
        player.until(
            lambda _: (downloads / "Pong -img src=x onerror=alert(1)--1.0.0.bin").is_file() or list(downloads.glob("*.bin")), "it is downloaded"
        )
        [fetched] = downloads.glob("*.bin")
        assert fetched.read_bytes() == game.read_bytes()

        stars = player.driver.find_elements(By.CSS_SELECTOR, "#review-form input")
        stars[0].send_keys(Keys.SPACE, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT)
        player.driver.find_element(By.ID, "comment").send_keys(f"Well bounced. {MARKUP}\nAgain!")
        player.press("Post review")
        player.until(lambda one: "Thank you" in text(one, "review-say") and "★ 4.0" in text(one, "about"), "the review is there")
        other.driver.refresh()
        other.until(lambda one: f"Well bounced. {MARKUP}" in text(one, "reviews"), "another sees it")
        assert other.driver.find_element(By.CSS_SELECTOR, "#reviews .stars").accessible_name == "4 of 5"
        other.driver.execute_script("document.querySelector('#reviews-title').scrollIntoView()")
        other.screenshot(pictures, "reviews-phone")
        player.screenshot(pictures, "reviews-desktop")
        assert other.overflow() <= 0

        player.until(lambda one: one.named("button", "Replace your review"), "she may change her mind")
        stars = player.driver.find_elements(By.CSS_SELECTOR, "#review-form input")
        stars[3].send_keys(Keys.ARROW_RIGHT)
        player.press("Replace your review")
        player.until(lambda one: "★ 5.0" in text(one, "about"), "she has")
        assert len(player.driver.find_elements(By.CSS_SELECTOR, "#reviews > li")) == 1

        dev.driver.find_element(By.ID, "status").click()
        dev.until(lambda one: one.shown("#status[aria-checked=false]"), "the game is offline")
        player.driver.refresh()
        player.until(lambda one: one.shown("#offline"), "its page says so")
        assert not player.driver.find_element(By.ID, "play").is_enabled()
        for one in (player, other):
            assert one.severe() == []


def test_an_upload_that_is_interrupted(daemon: Daemon, tmp_path: Path, pictures: Path) -> None:
    """A lost line is waited for; after a reload the same file goes on where it was; what is cancelled is gone."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    game = noise(tmp_path, "large.bin", 12 << 20)
    with Browser(base, PHONE) as dev:
        become_developer(dev, "dora")
        game_id = create_game(dev, "Large", "")
        choose(dev, game)
        with line_of(dev, 800_000):
            dev.press("Upload")
            dev.until(lambda one: at_least(one, 0.15), "some of it is there")
        with line_of(dev, 0, offline=True):
            dev.until(lambda one: "goes on by itself" in text(one, "upload-problem"), "the line is lost, and that is said")
            dev.screenshot(pictures, "developer-waiting-phone")
        with line_of(dev, 800_000):
            dev.until(lambda one: text(one, "upload-problem") == "" and at_least(one, 0.3), "it goes on by itself")
            dev.driver.execute_script("addEventListener('beforeunload', (event) => event.stopImmediatePropagation(), true)")
            dev.driver.refresh()
            dev.driver.switch_to.alert.accept() if _asked(dev) else None
            dev.until(lambda one: "% of 13 MB, begun" in text(one, "unfinished-uploads"), "it is listed")
            dev.driver.execute_script("document.querySelector('#upload-title').scrollIntoView()")
            dev.screenshot(pictures, "developer-unfinished-phone")
            assert dev.overflow() <= 0
            assert outside(dev) == []
            resume(dev, "1.0.0", noise(tmp_path, "small.bin", 100))
            assert "small.bin is another file" in text(dev, "upload-problem")
            resume(dev, "1.0.0", game)
            dev.until(lambda one: at_least(one, 0.25), "it begins where it was")
        dev.until(lambda one: "is published" in text(one, "upload-say"), "it is there")
        dev.until(lambda one: "latest" in text(one, "versions"), "the version is listed")
        assert outside(dev) == []
        assert web.ask("GET", f"/games/{game_id}/versions/latest")["checksum"] == hashlib.sha256(game.read_bytes()).hexdigest()

        choose(dev, game)
        with line_of(dev, 500_000):
            dev.press("Upload")
            dev.until(lambda one: at_least(one, 0.05), "another version goes up")
            dev.press("Cancel")
            dev.until(lambda one: text(one, "upload-say") == "Cancelled.", "it is cancelled")
        assert dev.shown("#unfinished") is None
        token = dev.driver.execute_script("return JSON.parse(localStorage['gameroom.developer']).token")
        assert len(web.ask("GET", f"/developer/games/{game_id}/versions", None, token)["versions"]) == 1


def test_an_upload_that_was_begun_elsewhere(daemon: Daemon, tmp_path: Path) -> None:
    """Another browser, or a file that is another by now: what is unfinished is listed where it is in the way, and one discards it."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    game = noise(tmp_path, "pong.bin", 1000)
    with Browser(base) as dev:
        become_developer(dev, "dora")
        game_id = create_game(dev, "Pong", "")
        token = dev.driver.execute_script("return JSON.parse(localStorage['gameroom.developer']).token")
        for version in ("1.0.0", "2.0.0"):
            web.ask("POST", f"/developer/games/{game_id}/uploads", {"version": version, "size_bytes": 1000, "checksum": "0" * 64}, token)
        choose(dev, game)
        dev.press("Upload")
        dev.until(lambda one: "unfinished upload" in text(one, "upload-problem"), "it is in the way")
        resume(dev, "2.0.0", game)
        dev.until(lambda one: "version 2.0.0 has an unfinished upload" in text(one, "upload-problem"), "it is of another file of that size")
        dev.press("Discard version 1.0.0")
        dev.until(lambda one: not one.named("button", "Discard version 1.0.0"), "it is gone")
        assert [one["version"] for one in web.ask("GET", "/developer/uploads", None, token)["uploads"]] == ["2.0.0"]
        dev.press("Discard version 2.0.0")
        dev.until(lambda one: one.shown("#unfinished") is None, "and the other one")
        dev.press("Upload")
        dev.until(lambda one: "2.0.0 is published" in text(one, "upload-say"), "nothing is in the way any more")
        assert web.ask("GET", "/developer/uploads", None, token) == {"uploads": []}


def _asked(one: Browser) -> bool:
    """Whether the browser asks if the page may be left."""
    try:
        return bool(one.driver.switch_to.alert)
    except Exception:
        return False


def test_what_developers_are_told(daemon: Daemon, tmp_path: Path, pictures: Path) -> None:
    """A faulty bundle in the server's words; a version that is there already; yank; a session that ended elsewhere."""
    base, web = f"http://{LOOPBACK}:{daemon.web_port}", Web(daemon.web_port)
    faulty = bundle(tmp_path, "faulty.zip", toml='[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "engine.js"\n')
    good = bundle(tmp_path, "good.zip", toml='[hosting]\nkind = "relay"\nmin_players = 2\n')
    with Browser(base) as dev:
        become_developer(dev, "dora")
        game_id = create_game(dev, "Chess", "")
        choose(dev, faulty)
        dev.press("Upload")
        dev.until(lambda one: "engine.js" in text(one, "upload-problem"), "it is said what is missing")
        dev.screenshot(pictures, "developer-faulty-desktop")
        choose(dev, good)
        dev.press("Upload")
        dev.until(lambda one: "is published" in text(one, "upload-say"), "the other one is there")
        choose(dev, bundle(tmp_path, "next.zip", toml='[game]\nversion = "3.1.4"\n[hosting]\nkind = "relay"\n'))
        dev.until(lambda one: one.driver.find_element(By.ID, "upload-version").get_attribute("value") == "3.1.4", "its version is proposed")
        choose(dev, good)
        dev.until(lambda one: one.driver.find_element(By.ID, "upload-version").get_attribute("value") == "1.0.1", "this one says nothing of it")
        version = dev.driver.find_element(By.ID, "upload-version")
        version.clear()
        version.send_keys("1.0")
        dev.press("Upload")
        dev.until(lambda one: "already uploaded" in text(one, "upload-problem"), "a version is uploaded once")

        dev.press("Yank version 1.0.0")
        dev.press("Yank version 1.0.0 for ever?")
        dev.until(lambda one: "yanked" in text(one, "versions"), "it is yanked")
        with pytest.raises(Refused):
            web.ask("GET", f"/games/{game_id}/versions/latest")

        description = dev.driver.find_element(By.ID, "description")
        description.send_keys("Sixteen each.")
        dev.press("Save")
        dev.until(lambda one: text(one, "about-say") == "Saved.", "it is saved")
        assert web.ask("GET", f"/games/{game_id}")["description"] == "Sixteen each."

        web.ask("POST", "/developer/login", {"username": "dora", "password": PASSWORD})
        dev.press("Save")
        dev.until(lambda one: "logged out" in text(one, "account-why"), "she is told that she is out")
        # Her name still stands there.
        dev.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD, Keys.ENTER)
        dev.until(lambda one: one.shown("#inside") and text(one, "game-name") == "Chess", "she is where she was")
        assert [line for line in dev.severe() if "Failed to load resource" not in line] == []
