"""The command line: `gameroom …`, for those who play, make games and operate a server."""

from __future__ import annotations

import click

from gameroom import __version__
from gameroom.cli.dev import dev
from gameroom.cli.play import play
from gameroom.cli.replay import replay

__all__ = ["main"]


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gameroom")
def main() -> None:
    """What one does with gameroom from a terminal; the daemon itself is `twistd gameroom`."""


main.add_command(dev)
main.add_command(play)
main.add_command(replay)
