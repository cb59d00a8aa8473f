"""The short way from what is read at a connection to a play: bytes to packets, and nothing besides (docs/speed.md).

A lane takes what comes for as long as it is plain, and gives back the rest, which then goes the long way: to the protocol.
It is the protocol that has a lane, says when it may be used, and hears of what is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gameroom.doors.frames import plain_frame
from gameroom.referees.lockstep_lane import SeatLane
from gameroom.wire.room_parts import plain_room_message

AT_ONCE: Final = 64
"""So many messages of one connection are taken before the others have their turn."""


class Lane:
    """Of one connection. `refuse(error)` is called for each packet that is refused; messages have `longest` bytes at most."""

    def __init__(self, seat: SeatLane, longest: int, refuse: Callable[[Exception], None]) -> None:
        self.seat = seat
        self.longest = longest
        self._refuse = refuse
        self.plain = False
        """Whether the connection is in order, and what comes next begins with what begins a message."""
        self.heard = False
        """Whether anything came; for the protocol, to be looked at and taken back."""
        self.had_enough = False
        """Whether it is others' turn now, before what was left is taken; for the protocol, to be looked at and taken back."""

    def take(self, data: bytes) -> bytes:
        """Give what the play takes of it to the play, and give back what is left. Never raises."""
        seat = self.seat
        if not self.plain or not seat.open:
            return data
        self.heard = True
        at = self._take(data, seat, seat.now())
        self._end()
        return b"" if at == len(data) else data[at:]

    def _take(self, data: bytes, seat: SeatLane, now: float) -> int:
        """Gives how much of it was taken."""
        at, end, left = 0, len(data), AT_ONCE
        while at < end and self.plain:
            if not left:
                self.plain, self.had_enough = False, True
                break
            left -= 1
            payload, is_binary, after = self._message(data, at)
            if not after:
                break
            try:
                if not seat.take(payload, is_binary, now):
                    break
            except Exception as error:
                self._refused(error)
            at = after
        return at

    def _message(self, data: bytes, at: int) -> tuple[bytes, bool, int]:
        """The message that begins there, whether it is binary, and where it ends; that is 0 where there is none to be taken."""
        raise NotImplementedError

    def _refused(self, error: Exception) -> None:
        # Masters that were made before are told before.
        self._end()
        self._refuse(error)

    def _end(self) -> None:
        try:
            self.seat.end()
        except Exception as error:
            self._refuse(error)


class FrameLane(Lane):
    """Of a web socket: from plain frames."""

    def _message(self, data: bytes, at: int) -> tuple[bytes, bool, int]:
        return plain_frame(data, at, self.longest)


class EnvelopeLane(Lane):
    """Of a connection at the game port: from envelopes that are whole room messages."""

    def _message(self, data: bytes, at: int) -> tuple[bytes, bool, int]:
        return plain_room_message(data, at, self.longest)
