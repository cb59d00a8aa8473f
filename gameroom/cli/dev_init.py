"""`gameroom dev init`: a bundle to begin with."""

from __future__ import annotations

import html
import re
import unicodedata
from collections.abc import Callable
from pathlib import Path

import click
import orjson

from gameroom.cli.dev_ignore import FILE
from gameroom.cli.output import fail, print_json, shown
from gameroom.errors import InvalidRequest
from gameroom.rules import game_entry, manifest

TEMPLATES = Path(__file__).with_name("templates")
HOSTED = tuple(sorted(path.parent.name for path in TEMPLATES.glob("*/game.toml")))
"""The hosting kinds that a game can be begun for."""
PLACE = "{{name}}"
HIDDEN = {FILE.removeprefix("."): FILE}
"""Files whose names begin with a dot only where they are written."""


@click.command(short_help="Begin a game from a template.")
@click.argument("folder", type=click.Path(path_type=Path), required=False)
@click.option("--kind", metavar="KIND", default="lockstep", show_default=True, help=f"How its rooms are hosted: {' or '.join(HOSTED)}.")
@click.option("--name", metavar="NAME", help="The game's name; the folder's without this.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs.")
def init(folder: Path | None, kind: str, name: str | None, as_json: bool) -> None:
    """Write a small game that works into FOLDER, to make another one of; without FOLDER it is called after the game.

    No file is ever overwritten.
    """
    if folder is None and name is None:
        fail('say what the game is called: gameroom dev init --name "My Game"')
    target = folder if folder is not None else Path(slug(name or ""))
    said = name if name is not None else target.resolve().name.replace("-", " ").replace("_", " ").strip().title()
    _require(kind, said)
    written = _written(target, kind, said)
    if as_json:
        print_json({"folder": str(target), "kind": kind, "name": said, "files": written})
        return
    click.echo(f"{shown(said)} is in {shown(target)}: {', '.join(written)}")
    click.echo(f"Try it:     gameroom dev run {shown(target)}")
    if kind == "service":
        click.echo(f"Check it:   gameroom dev check-service {shown(target)}")
    click.echo(f"Publish it: gameroom dev push {shown(target)}")


def slug(name: str) -> str:
    """A folder's name after a game's: small letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain).strip("-") or "game"


def _require(kind: str, name: str) -> None:
    if kind not in HOSTED:
        fail(f"--kind: there is no hosting kind {kind}; choose {' or '.join(HOSTED)}")
    try:
        game_entry.name(name)
        manifest.parse(_filled("game.toml", (TEMPLATES / kind / "game.toml").read_text("utf-8"), name))
    except InvalidRequest as error:
        fail(f"--name: {error.message.removeprefix('game.toml: game.name ')}")


def _written(target: Path, kind: str, name: str) -> list[str]:
    """Write the template's files; gives their names."""
    # Whoever installs gameroom may have its Python files compiled.
    sources = sorted(path for path in (TEMPLATES / kind).rglob("*") if path.is_file() and path.parent.name != "__pycache__")
    places = {HIDDEN.get(source.name, source.relative_to(TEMPLATES / kind).as_posix()): source for source in sources}
    there = [place for place in places if (target / place).exists() or (target / place).is_symlink()]
    if there:
        fail(f"{target / there[0]} is there already, and nothing is overwritten; choose another folder")
    try:
        for place, source in places.items():
            (target / place).parent.mkdir(parents=True, exist_ok=True)
            with (target / place).open("x", encoding="utf-8", newline="\n") as file:
                file.write(_filled(place, source.read_text("utf-8"), name))
    except OSError as error:
        fail(f"{error.filename}: {error.strerror}")
    return list(places)


_FORMS: dict[str, Callable[[str], str]] = {
    # What JSON and TOML take as a string is the same, where there are no control characters.
    ".toml": lambda name: orjson.dumps(name).decode(),
    ".html": html.escape,
}


def _filled(place: str, text: str, name: str) -> str:
    form = _FORMS.get(Path(place).suffix)
    return text if form is None else text.replace(PLACE, form(name))
