"""What the rules of a lock-step play say is to be done, in order. It is by itself so that it can be compiled: each turn comes by here."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gameroom.rules.lockstep_values import Effect, Effects
from gameroom.rules.master import Master


class Agenda:
    """Of one play. `tell_masters` is given the masters that come together, `deeds` says by its type what is done about each other effect."""

    __slots__ = ("_busy", "_deeds", "_to_do", "on", "tell_masters")

    def __init__(self, deeds: dict[type, Callable[[Any], None]], tell_masters: Callable[[list[Master]], None]) -> None:
        self.tell_masters = tell_masters
        self.on = True
        """False once the play is over: nothing more is done."""
        self._deeds = deeds
        self._to_do: list[Effect] = []
        self._busy = False

    def tell(self, masters: list[Master]) -> None:
        """Only masters, that come together: as `do`."""
        if self._busy or self._to_do or not self.on:
            # What is left where something failed goes first.
            self.do(masters)
            return
        self._busy = True
        try:
            self.tell_masters(masters)
        finally:
            self._busy = False
        if self._to_do:
            self.do(())

    def do(self, effects: Effects) -> None:
        """What the rules have said, in order; nothing more once the play is over."""
        if not self.on:
            return
        to_do = self._to_do
        to_do.extend(effects)
        if self._busy:
            # A reader that is too slow is cut off while it is given something, and its going has effects of its own: they come after.
            return
        self._busy, done = True, 0
        try:
            while done < len(to_do) and self.on:
                effect = to_do[done]
                done += 1
                if not isinstance(effect, Master):
                    self._deeds[type(effect)](effect)
                    continue
                masters = [effect]
                while done < len(to_do) and isinstance(following := to_do[done], Master):
                    masters.append(following)
                    done += 1
                self.tell_masters(masters)
        finally:
            del to_do[:done]
            self._busy = False
