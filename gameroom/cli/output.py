"""How the command line speaks: tables and text for people, JSON for programs, one line for what went wrong."""

from __future__ import annotations

import sys
from textwrap import fill
from typing import Any, NoReturn

import click
import orjson

WIDE = 240
"""Columns where nobody looks at a terminal: nothing is cut off or wrapped."""
UNBOUNDED = 100_000


def shown(value: Any) -> str:
    """Text that others have written, with nothing in it that a terminal obeys."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in str(value))


def compact(value: Any, longest: int = 120) -> str:
    """A value as JSON on one line, cut where it is long."""
    text = shown(value if isinstance(value, str) and value.startswith("(") else orjson.dumps(value).decode())
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def print_json(value: Any) -> None:
    click.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())


def counted(count: int, noun: str) -> str:
    """`1 error`, `2 errors`."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def print_table(columns: list[str], rows: list[list[Any]], *, folded: bool = False) -> None:
    """A table; columns that end with `#` are numbers.

    On a terminal that is too narrow for it each row is a paragraph; `folded`: long cells take several lines instead.
    """
    # It takes a tenth of the time of a command to import, and few print tables.
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column.removesuffix("#"), justify="right" if column.endswith("#") else "left", overflow="fold")
    for row in rows:
        table.add_row(*(Text(shown(cell)) for cell in row))
    out = sys.stdout
    console = Console(file=out, width=None if out.isatty() else WIDE, highlight=False)
    needed = console.measure(table, options=console.options.update(max_width=UNBOUNDED)).maximum
    if out.isatty() and needed > console.width and not folded:
        _print_paragraphs([column.removesuffix("#") for column in columns], rows, console.width)
    else:
        console.print(table)


def _print_paragraphs(columns: list[str], rows: list[list[Any]], width: int) -> None:
    """The first cell on a line of its own, so that it can be copied, and below it the others by name."""
    for first, *others in rows:
        about = "; ".join(f"{column} {shown(cell)}" for column, cell in zip(columns[1:], others, strict=True))
        click.echo(shown(first))
        click.echo(fill(about, width, initial_indent="    ", subsequent_indent="    "))


def fail(message: str) -> NoReturn:
    """One line for people; exit status 2."""
    click.echo(f"gameroom: {shown(message)}", err=True)
    raise SystemExit(2)
