"""The conversation of a developer door: as any door's, with a shorter way for the chunks of uploads (docs/speed.md, "Transfers and requests")."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from gameroom.doors.line_conversation import SHORT, Desk, LineConversation
from gameroom.wire import lines, upload_lines

if TYPE_CHECKING:
    from gameroom.uploads import Uploads

_KIND = "UPLOAD_CHUNK"
_OK = lines.ok()


class UploadConversation(LineConversation):
    """One peer. What the shorter way does not take goes the usual one, with the same answers."""

    def __init__(self, desk: Desk, address: str, push: Callable[[bytes], None], uploads: Uploads) -> None:
        super().__init__(desk, address, push)
        self._uploads = uploads

    def answer(self, line: bytes) -> bytes | Deferred[bytes]:
        """See `LineConversation`."""
        chunk = upload_lines.read(line) if len(line) > SHORT else None
        session = None if chunk is None else self.desk.accounts.identify_now(chunk.token, self.desk.role)
        if chunk is None or session is None:
            return super().answer(line)
        self.adopt(session)
        try:
            written = self._uploads.chunk(session.account, chunk.upload_id, chunk.seq, chunk.data)
        except Exception as error:
            return self._refused(_KIND, error)
        return self._done(_KIND, _OK) if written is None else self._settle(self._finish_chunk(written))

    async def _finish_chunk(self, written: Deferred[None]) -> bytes:
        try:
            await written
        except Exception as error:
            return self._refused(_KIND, error)
        return self._done(_KIND, _OK)
