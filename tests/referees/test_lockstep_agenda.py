"""gameroom.referees.lockstep_agenda: in order, once, and whatever fails."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from gameroom.referees.lockstep_agenda import Agenda
from gameroom.rules.lockstep_values import Over, Resend
from gameroom.rules.master import Master


def masters(*generations: int) -> list[Master]:
    return [Master(generation, b"", 0.0) for generation in generations]


class AgendaTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.done: list[Any] = []
        self.on_resend: Callable[[Resend], object] = lambda asked: None
        self.agenda = Agenda({Resend: self.resend, Over: self.over}, self.tell)

    def tell(self, told: list[Master]) -> None:
        self.done.append([master.generation for master in told])

    def resend(self, asked: Resend) -> None:
        self.done.append(asked)
        self.on_resend(asked)

    def over(self, ended: Over) -> None:
        self.done.append("over")
        self.agenda.on = False

    def test_together(self) -> None:
        """Masters that stand next to each other are told together."""
        asked = Resend(0, 2)
        self.agenda.do([*masters(0, 1), asked, *masters(2)])
        self.agenda.tell(masters(3, 4))
        self.assertEqual(self.done, [[0, 1], asked, [2], [3, 4]])

    def test_meanwhile(self) -> None:
        """What comes of what is done comes after, whichever way it comes and wherever it is done."""
        asked, again = Resend(0, 2), Resend(1, 2)
        self.on_resend = lambda each: self.agenda.tell(masters(5)) if each is asked else None
        self.agenda.do([asked, *masters(4)])
        self.assertEqual(self.done, [asked, [4, 5]])

        def and_ask(told: list[Master]) -> None:
            self.tell(told)
            self.agenda.do([again])

        self.agenda.tell_masters = and_ask
        self.agenda.tell(masters(6))
        self.assertEqual(self.done[2:], [[6], again])

    def test_failure(self) -> None:
        """What stood behind something that fails is done first of all the next time, by either way."""
        for next_time in (self.agenda.do, self.agenda.tell):
            self.done.clear()
            self.on_resend = lambda asked: 1 / 0
            self.assertRaises(ZeroDivisionError, self.agenda.do, [Resend(0, 5), *masters(5)])
            next_time(masters(6))
            self.assertEqual(self.done[1:], [[5, 6]])

    def test_over(self) -> None:
        """Nothing more is done, by either way."""
        self.agenda.do([Over("finished", None), *masters(0)])
        self.agenda.tell(masters(1))
        self.agenda.do(masters(2))
        self.assertEqual(self.done, ["over"])
