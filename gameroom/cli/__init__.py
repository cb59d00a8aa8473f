"""The command line: `gameroom …`, for those who play, make games and operate a server."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any

import click

from gameroom import __version__
from gameroom.cli.output import shown
from gameroom.cli.reacting import INTERRUPTED

__all__ = ["main"]

GROUPS = ("dev", "play", "replay")
"""Each is in the module of its name, which is imported when it is asked for: none needs what the others do."""


class OneLineGroup(click.Group):
    """A group of commands that says what was wrong about how it was called in one line, as it says everything that is wrong."""

    def main(self, *args: Any, **extra: Any) -> Any:
        if not extra.pop("standalone_mode", True):
            return super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        try:
            status = super().main(*args, standalone_mode=False, **extra)  # type: ignore[call-overload]
        except click.exceptions.NoArgsIsHelpError as error:
            error.show()
            sys.exit(error.exit_code)
        except click.ClickException as error:
            click.echo(f"gameroom: {shown(_in_one_line(error))}", err=True)
            sys.exit(error.exit_code)
        except click.Abort:
            sys.exit(INTERRUPTED)
        sys.exit(status if isinstance(status, int) else 0)


class Groups(OneLineGroup):
    """That of all groups."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(GROUPS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in GROUPS:
            return None
        command: click.Command = getattr(import_module(f"{__name__}.{cmd_name}"), cmd_name)
        return command


def _in_one_line(error: click.ClickException) -> str:
    message = " ".join(error.format_message().split()).rstrip(".")
    context = getattr(error, "ctx", None)
    return message if context is None else f"{message}; {context.command_path} --help says how it is called"


@click.group(cls=Groups, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gameroom")
def main() -> None:
    """What one does with gameroom from a terminal; the daemon itself is `twistd gameroom`."""
