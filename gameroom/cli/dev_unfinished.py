"""Uploads that were begun from here and are not finished, so that one whose files have changed since can be dropped.

The server tells an upload's id to whoever begins it, and to nobody else.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import attrs
import orjson


@attrs.frozen
class Unfinished:
    """A file of upload ids by server, game and version. It is a convenience: where it cannot be read or written nothing is remembered."""

    path: Path

    def of(self, server: str) -> dict[str, str]:
        """The ids by `game_id version`."""
        try:
            kept = orjson.loads(self.path.read_bytes())[server]
            return {str(key): str(value) for key, value in kept.items()}
        except (OSError, ValueError, LookupError, TypeError, AttributeError):
            return {}

    def remember(self, server: str, game_id: str, version: str, upload_id: str) -> None:
        with self._changing(server) as kept:
            kept[f"{game_id} {version}"] = upload_id

    def forget(self, server: str, game_id: str, version: str) -> str | None:
        """The id that it had."""
        if f"{game_id} {version}" not in self.of(server):
            return None
        with self._changing(server) as kept:
            return kept.pop(f"{game_id} {version}")

    def forget_all(self, server: str) -> list[str]:
        """The ids that there were."""
        if not self.of(server):
            return []
        with self._changing(server) as kept:
            ids = list(kept.values())
            kept.clear()
        return ids

    @contextmanager
    def _changing(self, server: str) -> Iterator[dict[str, str]]:
        try:
            everything = orjson.loads(self.path.read_bytes())
        except (OSError, ValueError):
            everything = {}
        kept = self.of(server)
        yield kept
        beside = self.path.with_name(f"{self.path.name}.{secrets.token_hex(4)}")
        with suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(orjson.dumps({**(everything if isinstance(everything, dict) else {}), server: kept}))
            beside.replace(self.path)
