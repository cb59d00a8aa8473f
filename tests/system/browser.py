"""A headless Chromium with a profile of its own for each person of a test, and what a person does with the pages."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any

from selenium import webdriver
from selenium.common.exceptions import WebDriverException
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

from tests.system.harness import BUSY, free_port

DESKTOP, PHONE = (1280, 860), (360, 740)
SWITCHES = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--no-default-browser-check",
)
PASSWORD = "correct horse battery"
OUTCOMES = {"You won", "You lost", "Draw"}
STEADY = "client.measure = () => {}; client.framerate = 60; Object.defineProperty(client.room, 'latency', { get: () => 5, set: () => {} });"
HURRY = f"client.rate = 1000; {STEADY}"


class Screen:
    """A Chromium with a profile of its own."""

    def __init__(self, size: tuple[int, int], dark: bool) -> None:
        self.kind = size, dark
        self._size = size
        self._profile = tempfile.mkdtemp(prefix="gameroom-browser-")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for switch in (*SWITCHES, f"--user-data-dir={self._profile}", f"--window-size={size[0]},{size[1]}"):
            options.add_argument(switch)
        if dark:
            options.add_argument("--blink-settings=preferredColorScheme=0")
        if size == PHONE:
            metrics = {"width": size[0], "height": size[1], "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver"), port=free_port()))
        self.driver.set_script_timeout(120)

    def forget(self, base: str) -> None:
        """Be as if it were new for whoever comes to these pages: an empty tab that knows nobody. What a test set for its page is gone with it."""
        driver = self.driver
        used = driver.window_handles
        # A quarter of what a new window takes.
        driver.switch_to.new_window("tab")
        fresh = driver.current_window_handle
        for handle in used:
            driver.switch_to.window(handle)
            driver.close()
        driver.switch_to.window(fresh)
        if self._size != PHONE:
            driver.set_window_size(*self._size)
        driver.delete_network_conditions()
        driver.execute_cdp_cmd("Browser.setDownloadBehavior", {"behavior": "default"})
        driver.execute_cdp_cmd("Storage.clearDataForOrigin", {"origin": base, "storageTypes": "all"})
        driver.execute_cdp_cmd("Network.clearBrowserCookies", {})
        driver.execute_cdp_cmd("Network.clearBrowserCache", {})
        driver.get_log("browser")

    def close(self) -> None:
        self.driver.quit()
        shutil.rmtree(self._profile, ignore_errors=True)


class Screens:
    """Those that nobody is at: a Chromium takes more than a second of CPU time to start and to end."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._idle: list[Screen] = []

    def take(self, size: tuple[int, int], dark: bool) -> Screen:
        for screen in self._idle:
            if screen.kind == (size, dark):
                self._idle.remove(screen)
                return screen
        return Screen(size, dark)

    def give_back(self, screen: Screen, base: str) -> None:
        """Keep it for others, in place of that which was used longest ago."""
        try:
            screen.forget(base)
        except WebDriverException:
            screen.close()
            return
        self._idle.append(screen)
        if len(self._idle) > self._most:
            self._idle.pop(0).close()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()


screens = Screens(4)
"""Those of this process; whoever uses them closes them in the end."""


class Browser:
    """One person at one screen. As a context manager it is open inside, and forgotten with its profile outside."""

    def __init__(self, base: str, size: tuple[int, int] = DESKTOP, *, dark: bool = False) -> None:
        self.base = base
        self._screen = screens.take(size, dark)
        self.driver = self._screen.driver

    def __enter__(self) -> Browser:
        return self

    def __exit__(self, kind: type[BaseException] | None, problem: BaseException | None, trace: TracebackType | None) -> None:
        if problem is None:
            screens.give_back(self._screen, self.base)
        else:
            self._screen.close()

    # -- looking

    def until(self, happened: Callable[[Browser], Any], what: str, within: float = 45.0) -> Any:
        """Wait for it, and give what it gave; so long on a machine that has nothing else to do, and longer on a busy one."""
        within *= BUSY
        return WebDriverWait(self.driver, within, poll_frequency=0.1, ignored_exceptions=[Exception]).until(
            lambda _: happened(self), f"{within} s have gone by until {what}"
        )

    def shown(self, selector: str) -> WebElement | None:
        """The element, if it is to be seen."""
        found = [element for element in self.driver.find_elements(By.CSS_SELECTOR, selector) if element.is_displayed()]
        return found[0] if found else None

    def named(self, role: str, name: str) -> WebElement | None:
        """What a screen reader calls so, if it is to be seen."""
        tags = {"button": "button", "textbox": "input", "link": "a"}[role]
        for element in self.driver.find_elements(By.TAG_NAME, tags):
            if element.is_displayed() and element.accessible_name == name and element.aria_role == role:
                return element
        return None

    def press(self, name: str, role: str = "button") -> None:
        self.until(lambda one: one.named(role, name), f"there is {role} {name!r}").click()

    def fill(self, name: str, text: str) -> None:
        self.until(lambda one: one.named("textbox", name), f"there is textbox {name!r}").send_keys(text)

    def status(self) -> str:
        """What role=status says of the play that ended."""
        return self.driver.find_element(By.CSS_SELECTOR, "[role=status]").text

    def in_game(self, script: str) -> Any:
        """What a script gives inside the game's frame."""
        self.driver.switch_to.frame(self.driver.find_element(By.TAG_NAME, "iframe"))
        try:
            return self.driver.execute_script(script)
        finally:
            self.driver.switch_to.default_content()

    def generation(self) -> int:
        """The newest generation that this page has begun."""
        return int(self.in_game("return globalThis.client ? client.begun - 1 : -1"))

    def reached(self, generation: int, within: float = 60.0) -> None:
        self.until(lambda one: one.generation() >= generation, f"generation {generation} is reached", within)

    def hurry(self) -> None:
        """Let this page run its turns as fast as it can; it still says that it holds 60 iterations a second, so that turns stay short."""
        self.in_game(HURRY)

    def keep_pace(self) -> None:
        """Let this page say that it holds 60 iterations a second, on a good line.

        On a busy machine turns would grow long else, and a match have few of them.
        """
        self.in_game(STEADY)

    def hashes(self) -> dict[int, str]:
        """The state's hash after each generation, as this page computed it."""
        return {int(generation): str(value) for generation, value in self.in_game("return [...client.hashes]")}

    def focused(self) -> str:
        """The id of what the keyboard is at."""
        return str(self.driver.execute_script("return document.activeElement.id"))

    def severe(self) -> list[str]:
        """What the console complains of, refused policies included."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]

    def overflow(self) -> int:
        """By how many pixels the page is wider than its window."""
        return int(self.driver.execute_script("return document.documentElement.scrollWidth - innerWidth"))

    def screenshot(self, folder: Path, name: str) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{name}.png"
        assert self.driver.save_screenshot(str(path))
        return path

    # -- doing

    def open_room(self, username: str) -> str:
        """From the front page, with a new account, into a room of the built-in game; gives its URL."""
        self.driver.get(self.base + "/")
        self.press("Play Wet Paint")
        self.fill("Username", username)
        self.until(lambda one: one.shown("#password"), "a password is asked for").send_keys(PASSWORD)
        self.press("Create account")
        self.until(lambda one: one.named("button", "Ready"), "the room is there")
        return str(self.driver.current_url)

    def join(self, url: str, name: str) -> None:
        """As a guest, by the link."""
        self.driver.get(url)
        self.fill("Name", name)
        self.press("Join")
        self.until(lambda one: one.named("button", "Ready"), f"{name} has a seat")

    def configure(self, **patch: Any) -> None:
        """Change the set-up in the game's frame, as its controls do."""
        self.until(lambda one: one.in_game("return client.room.state === 'welcomed'"), "the game is connected")
        self.in_game(f"client.configure({patch!r})")

    def steer(self, *keys: str) -> None:
        """Keys, as typed."""
        actions = webdriver.ActionChains(self.driver)
        for key in keys:
            actions.send_keys(key).pause(0.15)
        actions.perform()


ROUND = (Keys.ARROW_UP, Keys.ARROW_RIGHT, Keys.ARROW_DOWN, Keys.ARROW_LEFT, Keys.SPACE)
