"""Where recordings are, by their play_ids."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PLAY_ID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def path_in(folder: Path, play_id: str) -> Path:
    """The recording of a play in a folder of recordings, whether there is one or not."""
    return folder / play_id[:2] / f"{play_id}.ndjson"
