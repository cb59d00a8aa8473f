"""Folders with games in them, as a developer has them."""

from __future__ import annotations

import hashlib
from pathlib import Path

GAME_TOML = """
[game]
name = "Dots"
description = "Join the dots."
game_type = "gui"
max_players = 4
version = "1.0.0"
[hosting]
kind = "lockstep"
min_players = 2
max_players = 4
[lockstep]
engine = "engine.js"
[client]
web = "index.html"
"""


def checksum_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def write(folder: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return folder


def dots(folder: Path, **files: str | bytes) -> Path:
    """A small lock-step game; more files by their names."""
    return write(folder, {"game.toml": GAME_TOML, "engine.js": "export const a = 1;\n" * 50, "index.html": "<!doctype html>", **files})
