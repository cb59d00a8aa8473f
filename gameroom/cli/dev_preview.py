"""What would be sent, looked at before anything is: packed, checked by the server's rules, and shown."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import click
from rich.filesize import decimal

from gameroom.cli.dev_pack import CannotPack, Packed, described, pack
from gameroom.cli.output import counted, print_table, shown
from gameroom.errors import InvalidRequest
from gameroom.rules.manifest import GameEntry, Manifest
from gameroom.settings import Limits
from gameroom.store.bundle_check import examine

LARGEST = 8
"""So many files are shown; all of them with --all, and as JSON."""
MOST_NAMED = 5


class Faulty(Exception):
    """The server would not take it; one line with the file and the reason."""


@attrs.frozen(kw_only=True)
class Inside:
    """A file of the bundle."""

    path: str
    size_bytes: int
    packed_bytes: int


@attrs.frozen(kw_only=True)
class Preview:
    """What a push would send."""

    source: Path
    packed: Packed
    manifest: Manifest
    entry: GameEntry | None
    """`[game]` of its game.toml."""
    files: tuple[Inside, ...]
    """None where it is no ZIP."""

    def to_json(self) -> dict[str, Any]:
        said = self.manifest
        return {
            "source": str(self.source),
            "bundle": said.bundle,
            "kind": said.kind,
            "min_players": said.min_players,
            "max_players": said.max_players,
            "game": None if self.entry is None else attrs.asdict(self.entry),
            "size_bytes": self.packed.size_bytes,
            "unpacked_bytes": self.unpacked_bytes,
            "checksum": self.packed.checksum,
            "files": [attrs.asdict(each) for each in self.files],
            "left_out": list(self.packed.left_out),
        }

    @property
    def unpacked_bytes(self) -> int:
        return sum(each.size_bytes for each in self.files) if self.files else self.packed.size_bytes


@contextmanager
def prepared(source: Path) -> Iterator[Preview]:
    """A folder packed, or a file as it is, checked. The packed file is there only inside. Raises `CannotPack` and `Faulty`."""
    with TemporaryDirectory(prefix="gameroom-") as scratch:
        yield preview(source, Path(scratch) / "bundle.zip")


def preview(source: Path, target: Path) -> Preview:
    """Packs a folder into `target`, takes a file as it is, and checks it. Raises `CannotPack` and `Faulty`."""
    if source.is_dir():
        packed = pack(source, target)
    elif source.is_file():
        packed = described(source)
    else:
        raise CannotPack(f"{source}: there is no such file or folder")
    try:
        said, entry = examine(packed.path, Limits())
    except InvalidRequest as error:
        raise Faulty(error.message) from error
    files = _inside(packed.path) if zipfile.is_zipfile(packed.path) else ()
    return Preview(source=source, packed=packed, manifest=said, entry=entry, files=files)


def _inside(path: Path) -> tuple[Inside, ...]:
    with zipfile.ZipFile(path) as archive:
        entries = (info for info in archive.infolist() if not info.is_dir())
        return tuple(Inside(path=info.filename, size_bytes=info.file_size, packed_bytes=info.compress_size) for info in entries)


def show(found: Preview, *, everything: bool = False, version: bool = True) -> None:
    """The preview for people. `version`: with that of game.toml, which a push may not take."""
    said, packed = found.manifest, found.packed
    players = str(said.max_players) if said.min_players == said.max_players else f"{said.min_players} to {said.max_players}"
    if found.entry is not None:
        name = f"{found.entry.name} {found.entry.version}" if version else found.entry.name
        click.echo(f"{shown(name)}: {shown(said.kind)}, {players} players")
    elif said.bundle:
        click.echo(f"{shown(found.source)}: {shown(said.kind)}, {players} players")
    else:
        click.echo(f"{shown(found.source)}: has no game.toml, so it is handed out as it is, and its rooms are relay rooms")
    if found.files:
        _show_files(found, everything)
    click.echo(f"{decimal(packed.size_bytes)} to send, SHA-256 {packed.checksum}")


def _show_files(found: Preview, everything: bool) -> None:
    by_size = sorted(found.files, key=lambda each: (-each.size_bytes, each.path))
    listed = by_size if everything else by_size[:LARGEST]
    print_table(["file", "size#", "packed#"], [[each.path, decimal(each.size_bytes), decimal(each.packed_bytes)] for each in listed])
    rest = f"; the {len(listed)} largest are shown, --all shows all" if len(listed) < len(by_size) else ""
    click.echo(f"{counted(len(by_size), 'file')}, {decimal(found.unpacked_bytes)} unpacked{rest}")
    out = found.packed.left_out
    if out:
        named = ", ".join(map(shown, out if everything else out[:MOST_NAMED]))
        more = "" if everything or len(out) <= MOST_NAMED else f" and {len(out) - MOST_NAMED} more"
        click.echo(f"left out: {named}{more}")
