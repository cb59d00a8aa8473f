"""What is kept for long of a hash in sections, which may be 16 KiB."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import sha256
from typing import Final

import orjson


class Digest:
    """Equal to each hash that has the same sections, in any order, and to its digest. `text` is the SHA-256 of the sections."""

    __slots__ = ("text",)

    def __init__(self, sections: Mapping[str, str]) -> None:
        self.text: Final = sha256(orjson.dumps(sections, option=orjson.OPT_SORT_KEYS)).hexdigest()

    def __eq__(self, other: object) -> bool:
        if isinstance(other, dict):
            other = Digest(other)
        return isinstance(other, Digest) and self.text == other.text

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self.text)
