"""The sessions that a program keeps, so that nobody types a password twice: a file that only its user can read."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import click
import orjson


@attrs.frozen
class Kept:
    """Who is logged in, and by which token."""

    username: str
    token: str = attrs.field(repr=False)


def default_path() -> Path:
    """Where the command line keeps its sessions."""
    return Path(click.get_app_dir("gameroom")) / "sessions.json"


class Sessions:
    """Kept sessions by role (`player`, `developer`) and server. What cannot be read counts as nothing kept."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def get(self, role: str, server: str) -> Kept | None:
        entry = self._all().get(role, {}).get(server)
        if type(entry) is not dict or not entry.keys() >= {"username", "token"}:
            return None
        return Kept(str(entry["username"]), str(entry["token"]))

    def keep(self, role: str, server: str, kept: Kept) -> None:
        """Remember a session instead of the one there was. Raises OSError."""
        everything = self._all()
        everything.setdefault(role, {})[server] = attrs.asdict(kept)
        self._write(everything)

    def forget(self, role: str, server: str) -> None:
        """Raises OSError."""
        everything = self._all()
        if everything.get(role, {}).pop(server, None) is not None:
            self._write(everything)

    def _all(self) -> dict[str, dict[str, Any]]:
        try:
            value = orjson.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        if type(value) is not dict:
            return {}
        return {role: entries for role, entries in value.items() if type(entries) is dict}

    def _write(self, everything: dict[str, dict[str, Any]]) -> None:
        """In one step, and never readable for others."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        beside = self._path.with_name(f"{self._path.name}.{secrets.token_hex(4)}")
        try:
            descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with open(descriptor, "wb") as file:
                file.write(orjson.dumps(everything, option=orjson.OPT_INDENT_2))
            beside.replace(self._path)
        except OSError:
            with suppress(OSError):
                beside.unlink()
            raise
