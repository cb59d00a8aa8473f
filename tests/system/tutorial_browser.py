"""Who sits at a browser while others sit at telnets: the steps of a tutorial that are done there."""

from __future__ import annotations

from selenium.webdriver.common.by import By

from tests.system.browser import Browser


class Person:
    """One with a browser, which is started with the first step."""

    def __init__(self) -> None:
        self._browser: Browser | None = None

    def do(self, steps: str) -> None:
        """Steps with `; ` between them, each one word and what it is about: see `_step`."""
        for step in steps.strip().split("; "):
            what, _, about = step.partition(" ")
            self._step(what, about)

    def close(self) -> None:
        if self._browser is not None:
            self._browser.__exit__(None, None, None)

    def _step(self, what: str, about: str) -> None:
        """`open URL`, `call-oneself NAME`, `press BUTTON`, `read TEXT`: wait until it is said whose turn it is, or how the game has ended."""
        one = self._browser = self._browser or Browser("")
        match what:
            case "open":
                one.driver.get(about)
            case "call-oneself":
                one.fill("Name", about)
            case "press":
                one.until(lambda one: (button := one.named("button", about)) and button.is_enabled(), f"{about} can be pressed")
                one.press(about)
                one.until(lambda one: one.driver.execute_script("return !globalThis.room?.unanswered?.kept.length"), "the press is answered")
            case "read":
                one.until(lambda one: about in (one.status(), _turn(one)), f"the page says {about!r}")
            case _:
                raise ValueError(f"a tutorial has no step {what!r}")


def _turn(one: Browser) -> str:
    """Whose turn the page says that it is."""
    return one.driver.find_element(By.CSS_SELECTOR, "#table .turn").text
