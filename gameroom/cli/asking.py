"""Asks for names and passwords, where there is a terminal to ask at."""

from __future__ import annotations

import os
import sys

import click

from gameroom.cli.output import fail

VARIABLE = "GAMEROOM_PASSWORD"


def username(given: str | None) -> str:
    """What was given, else what is typed."""
    if given is not None:
        return given
    if not sys.stdin.isatty():
        fail("say the username")
    return str(click.prompt("Username", err=True))


def password(from_stdin: bool, *, twice: bool) -> str:
    """It is never an argument, where everybody on the machine could read it. `twice`: a new one, which is typed twice."""
    if from_stdin:
        return _line(sys.stdin.readline())
    if VARIABLE in os.environ:
        return os.environ[VARIABLE]
    if not sys.stdin.isatty():
        fail(f"there is no terminal to ask for the password; give it by --password-stdin or {VARIABLE}")
    return str(click.prompt("Password", hide_input=True, confirmation_prompt=twice, err=True))


def _line(text: str) -> str:
    password = text.removesuffix("\n").removesuffix("\r")
    if not password:
        fail("there is no password on standard input")
    return password
