"""A member whose envelopes are binary frames: any envelopes, any split, at any pace, in both directions."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.gameservers.frames import FramedMember, check_envelopes
from gameroom.gameservers.link import FINISH_SECONDS, ServerLink
from gameroom.wire import game_port
from gameroom.wire.envelope import Envelope
from tests.gameservers.world import ADA, TOKEN, Endpoint, Wire
from tests.referees.server_world import FramedConnection

ENVELOPES = st.lists(st.builds(Envelope, st.integers(0, 63), st.binary(max_size=300), st.integers(0, 3)), min_size=1, max_size=8)
FIELDS: dict[str, Any] = {
    "room_id": "r",
    "game_id": "g",
    "version": "1.0.0",
    "hosting": "server",
    "seat": 0,
    "players": [],
    "max_players": 2,
    "party_code": "",
    "status": "PLAYING",
}


class Visit:
    """A member's connection, its link, and the GameServer's end of it, once it is let in."""

    def __init__(self, *, fields: Any = None) -> None:
        self.clock, self.endpoint = Clock(), Endpoint()
        self.connection = FramedConnection()
        self.link = ServerLink(endpoint=self.endpoint, clock=self.clock, token=TOKEN, entrant=ADA)
        self.member = FramedMember(self.connection, self.link, fields or (lambda details: {**FIELDS, "details": details}))
        self.member.open()

    def let_in(self, early: bytes = b"") -> Wire:
        wire = self.endpoint.connected()
        wire.clear()
        wire.send(game_port.encode(game_port.CONNECTED, {}) + early)
        return wire

    @property
    def frames(self) -> list[bytes]:
        return [each["binary"] for each in self.connection.delivered]


class CheckTests(SynchronousTestCase):
    @given(ENVELOPES)
    def test_whole_envelopes(self, envelopes: list[Envelope]) -> None:
        """Any number of them are taken, whatever they hold."""
        check_envelopes(b"".join(envelope.to_bytes() for envelope in envelopes))

    @given(ENVELOPES, st.data())
    def test_parts(self, envelopes: list[Envelope], data: Any) -> None:
        """With a byte too few or too many, or of another version, they are not."""
        whole = b"".join(envelope.to_bytes() for envelope in envelopes)
        last = len(envelopes[-1].to_bytes())
        cut = data.draw(st.integers(1, last - 1))
        for wrong in (whole[:-cut], whole + b"\x01\x81\x00", b"\x02" + whole[1:], b""):
            if wrong != whole[:-last]:
                self.assertRaises(InvalidRequest, check_envelopes, wrong)


class FramedTests(SynchronousTestCase):
    @given(ENVELOPES, st.data())
    def test_any_split_at_any_pace(self, envelopes: list[Envelope], data: Any) -> None:
        """Each envelope is one frame, in order, CONNECTED first; and little waits for a member who reads nothing."""
        visit = Visit()
        stream = b"".join(envelope.to_bytes() for envelope in envelopes)
        at = data.draw(st.integers(0, len(stream)))
        visit.connection.reads = False
        wire = visit.let_in(stream[:at])
        while at < len(stream) or wire.paused:
            if wire.paused:
                visit.connection.read(data.draw(st.integers(1, 3)))
            else:
                end = data.draw(st.integers(at + 1, len(stream)))
                wire.send(stream[at:end])
                at = end
        visit.connection.read(100)
        self.assertEqual(visit.frames[1:], [envelope.to_bytes() for envelope in envelopes])
        visit.member.send(stream)
        self.assertEqual(wire.value(), stream)

    def test_last_words(self) -> None:
        """After the play what the GameServer says reaches a member who reads slowly, too; then the connection is closed, without a word of ours."""
        visit = Visit()
        wire = visit.let_in()
        visit.connection.reads = False
        words = Envelope(40, b"{}").to_bytes()
        wire.send(words)
        visit.member.finish()
        self.assertEqual((wire.half_closed, wire.paused, wire.producer), (True, True, None))
        visit.connection.read(5)
        self.assertFalse(wire.paused)
        wire.send(words)
        visit.connection.read(5)
        visit.clock.advance(FINISH_SECONDS)
        self.assertTrue(wire.disconnecting)
        wire.hang_up()
        self.assertEqual(visit.frames[1:], [words, words])

    def test_closed_on_the_way(self) -> None:
        """A member who is gone before CONNECTED is told nothing, and holds nothing."""
        visit = Visit()
        visit.member.close()
        self.assertEqual((visit.frames, visit.clock.getDelayedCalls()), ([], []))
        self.successResultOf(visit.link.gone())

    def test_our_fault(self) -> None:
        """Is 199 for the member, a line in the log, and the end of that connection."""

        def fields(details: Any) -> dict[str, Any]:
            raise ZeroDivisionError("a secret of ours")

        visit = Visit(fields=fields)
        wire = visit.let_in()
        [frame] = visit.frames
        self.assertEqual((frame[1] >> 2, b'"code":199' in frame, b"secret" in frame), (game_port.ERROR, True, False))
        self.assertTrue(wire.disconnecting)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
