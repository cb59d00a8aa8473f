"""What the parts of an upload cost alone, in this Python: base64, JSON, SHA-256 and the write, for the same bytes."""

from __future__ import annotations

import hashlib
import os
import tempfile
import time
from collections.abc import Callable

import orjson
import pybase64

MIB = 1 << 20


def costs(chunk_bytes: int, total: int) -> dict[str, float]:
    """CPU seconds of each part for `total` bytes in chunks of this size."""
    data = os.urandom(chunk_bytes)
    text = pybase64.b64encode(data).decode()
    line = orjson.dumps({"type": "UPLOAD_CHUNK", "token": "t" * 43, "payload": {"upload_id": "u" * 36, "seq": 123456, "data_b64": text}})
    sha256 = hashlib.sha256()
    chunks = total // chunk_bytes
    with tempfile.TemporaryFile() as file:
        written = iter(range(0, 1 << 60, chunk_bytes))
        parts: dict[str, Callable[[], object]] = {
            "JSON": lambda: orjson.loads(line),
            "base64": lambda: pybase64.b64decode(text, validate=True),
            "SHA-256": lambda: sha256.update(data),
            "write": lambda: os.pwrite(file.fileno(), data, next(written)),
        }
        return {name: _seconds(part, chunks) for name, part in parts.items()}


def _seconds(part: Callable[[], object], times: int) -> float:
    before = time.process_time()
    for _ in range(times):
        part()
    return time.process_time() - before
