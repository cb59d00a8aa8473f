"""The menus of `gameroom play`: screens, what may be chosen on them, and what is drawn anew when something has changed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from textwrap import fill
from typing import TYPE_CHECKING, Any, ClassVar, Final

import attrs
import click
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from gameroom.cli.output import print_table, shown
from gameroom.cli.play_terminal import Left, Terminal
from gameroom.cli.reacting import CannotDo, told
from gameroom.errors import GameroomError

if TYPE_CHECKING:
    from gameroom.cli.play_visit import Visit

REDRAWN_AFTER: Final = 0.2
"""Seconds in which further pushes are drawn together with the first."""
_AROUND: Final = 12
"""Lines of a terminal that a list leaves to its title and to what may be chosen."""
_FEWEST: Final = 5
_NARROWEST: Final = 30
"""Columns below which nothing is wrapped any more."""

Payload = dict[str, Any]


class Back(Exception):
    """To the screen before."""


async def back(_: str) -> None:
    """What every screen but the first offers."""
    raise Back


async def leave(_: str) -> None:
    raise Left


@attrs.frozen
class Choice:
    """Something to do on a screen. `act` is given what is typed behind the word."""

    word: str
    about: str
    act: Callable[[str], Awaitable[None]]


class Screen:
    """One screen. `load` asks the server, `draw` shows what it said; both may happen again at any time."""

    title: ClassVar[str] = ""

    def __init__(self, visit: Visit) -> None:
        self.visit = visit

    async def load(self) -> None:
        """Ask for what is to be shown."""

    def draw(self) -> None:
        """Show it, without the choices."""

    def choices(self) -> Sequence[Choice]:
        """What may be done here, in the order of their numbers; `back` is there by itself."""
        return ()

    def all_choices(self) -> Sequence[Choice]:
        """With the way out, which is the last one."""
        return (*self.choices(), Choice("back", "to what was before", back))

    @property
    def items(self) -> int:
        """How many entries the screen numbers itself; then numbers are theirs."""
        return 0

    async def pick(self, number: int) -> None:
        """Entry `number`, from 0, was chosen."""

    def concerns(self, push: str, payload: Mapping[str, Any]) -> bool:
        """Whether the screen is another one after this push."""
        return False


class Listing(Screen):
    """Entries with numbers, as many at a time as the terminal has room for. Numbers go on from page to page."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._first = 0

    @property
    def _most(self) -> int:
        """How many entries a page has."""
        size = self.visit.menu.terminal.size
        return max(self.items, 1) if size is None else max(size.lines - _AROUND, _FEWEST)

    @property
    def _shown(self) -> range:
        """Which entries this page has."""
        first = max(0, min(self._first, self.items - 1))
        first -= first % self._most
        return range(first, min(first + self._most, self.items))

    def choices(self) -> Sequence[Choice]:
        shown = self._shown
        choices = []
        if shown.stop < self.items:
            choices.append(Choice("more", f"those behind {shown.stop}, of {self.items}", lambda _: self._turn(shown.stop)))
        if shown.start > 0:
            choices.append(Choice("earlier", f"those before {shown.start + 1}", lambda _: self._turn(shown.start - self._most)))
        return choices

    async def _turn(self, first: int) -> None:
        self._first = first

    def print_entries(self, columns: list[str], rows: Sequence[list[Any]]) -> None:
        """`rows`: of all entries, without their numbers."""
        print_table(["#", *columns], [[number + 1, *rows[number]] for number in self._shown], folded=True)


class Menu:
    """Shows screens at a terminal and does what is chosen. `message` is said once, below the next screen."""

    def __init__(self, visit: Visit, terminal: Terminal) -> None:
        self._visit = visit
        self.terminal = terminal
        self.message = ""
        self._screen: Screen | None = None
        self._due: IDelayedCall | None = None
        self._loading: Deferred[None] | None = None
        self._again = False

    async def show(self, screen: Screen) -> None:
        """Show a screen until it is left. Raises `Left`, and what the visit cannot go on with."""
        while True:
            try:
                await self._once(screen)
            except Back:
                return
            except GameroomError as error:
                # Where it was about the session somebody logs in again, or leaves.
                self.message = "" if await self._visit.renewed(error) else told(error)
            except CannotDo as error:
                self.message = str(error)

    async def _once(self, screen: Screen) -> None:
        await screen.load()
        self._screen = screen
        self.terminal.draw(lambda: self._draw(screen))
        try:
            typed = (await self.terminal.ask("> ")).strip()
        finally:
            self._forget()
        self.message = ""
        await self._do(screen, screen.all_choices(), typed)

    def _draw(self, screen: Screen) -> None:
        if screen.title:
            click.echo(f"{screen.title}\n")
        screen.draw()
        click.echo()
        for number, choice in enumerate(screen.all_choices(), 1):
            self._draw_choice("" if screen.items else str(number), choice)
        if self.message:
            click.echo(f"\n{shown(self.message)}")

    def _draw_choice(self, number: str, choice: Choice) -> None:
        size = self.terminal.size
        text = f"{number:>3}  {choice.word:<10}{choice.about}"
        click.echo(text if size is None else fill(text, max(size.columns, _NARROWEST), subsequent_indent=" " * 15, break_on_hyphens=False))

    async def _do(self, screen: Screen, choices: Sequence[Choice], typed: str) -> None:
        if not typed:
            return
        if typed.isdecimal() and len(typed) < 6:
            await self._numbered(screen, choices, int(typed) - 1)
            return
        word, _, rest = typed.partition(" ")
        meant = [choice for choice in choices if choice.word == word.casefold()] or [
            choice for choice in choices if choice.word.startswith(word.casefold())
        ]
        if len(meant) != 1:
            self.message = f"{typed!r} is nothing that can be done here; type a number or a word of those above"
            return
        await meant[0].act(rest.strip())

    async def _numbered(self, screen: Screen, choices: Sequence[Choice], number: int) -> None:
        if not 0 <= number < (screen.items or len(choices)):
            self.message = f"there is no {number + 1} here"
        elif screen.items:
            await screen.pick(number)
        else:
            await choices[number].act("")

    async def ask(self, prompt: str, *, hidden: bool = False) -> str:
        """Ask for one line more. Raises `Left`."""
        return await self.terminal.ask(prompt, hidden=hidden)

    # What happens meanwhile.

    def heard(self, push: str, payload: Payload) -> None:
        """A push has come: the screen is drawn anew a moment later, if it is another one now."""
        screen = self._screen
        if screen is None or self._due is not None or not screen.concerns(push, payload):
            return
        if self._loading is None:
            self._due = self._visit.reactor.callLater(REDRAWN_AFTER, self._redraw, screen)
        else:
            self._again = True

    def _redraw(self, screen: Screen) -> None:
        self._due = None
        self._loading = Deferred.fromCoroutine(self._reload(screen))
        self._loading.addErrback(lambda _: None)

    async def _reload(self, screen: Screen) -> None:
        """Whoever looks on sees it; what is wrong is told when something is chosen."""
        gone = False
        try:
            await screen.load()
        except Back:
            gone = True
        finally:
            self._loading = None
        if self._screen is not screen or not self.terminal.asking:
            return
        if gone:
            self.terminal.note(shown(self.message))
        elif self.terminal.interactive:
            self.terminal.draw(lambda: self._draw(screen))
        if self._again and not gone:
            self._again = False
            self._due = self._visit.reactor.callLater(REDRAWN_AFTER, self._redraw, screen)

    def _forget(self) -> None:
        """Nobody looks at the screen any more."""
        self._screen = None
        self._again = False
        if self._due is not None:
            self._due.cancel()
            self._due = None
