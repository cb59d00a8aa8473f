"""The developer door's shorter way for chunks: the same answers as the usual way, and what is counted is the same."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from unittest import mock

import attrs
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from gameroom.doors.line_conversation import LineConversation
from gameroom.doors.upload_conversation import UploadConversation
from gameroom.metrics import Metrics
from gameroom.wire import upload_lines
from tests.doors.developer_world import PublishingWorld, b64

SIZE = 4000
CHUNK = bytes(range(250)) * 4


class ShortWayTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.world = PublishingWorld(self.folder)
        self.ada, self.eve = self.world.developer("ada"), self.world.developer("eve")
        self.game_id = self.world.game(self.ada)
        self.versions = iter(range(1, 100))

    def begin(self) -> str:
        said = {"game_id": self.game_id, "version": f"{next(self.versions)}.0.0", "size_bytes": SIZE}
        return str(self.ada.ok("UPLOAD_BEGIN", **said)["upload_id"])

    def answer(self, peer: Any, line: bytes, *, short: bool) -> bytes:
        """What the line is answered, by this way and no other."""
        conversation = peer.protocol.conversation
        self.assertIsInstance(conversation, UploadConversation)
        with mock.patch.object(upload_lines, "read", upload_lines.read if short else lambda line: None):
            with mock.patch.object(LineConversation, "answer", autospec=True, side_effect=LineConversation.answer) as usual:
                answer = conversation.answer(line.strip())
            self.assertEqual(usual.called, not short)
        found: bytes = self.successResultOf(answer) if isinstance(answer, Deferred) else answer
        return found

    def test_same_answers(self) -> None:
        """Whatever is right or wrong with a chunk, both ways say the same."""
        ids = [self.begin(), self.begin()]
        cases: list[tuple[Any, dict[str, Any]]] = [
            (self.ada, {"seq": 0, "data_b64": b64(CHUNK)}),
            (self.ada, {"seq": 0, "data_b64": b64(CHUNK)}),
            (self.ada, {"seq": 0, "data_b64": b64(CHUNK[::-1])}),
            (self.ada, {"seq": 2, "data_b64": b64(CHUNK)}),
            (self.ada, {"seq": 1, "data_b64": b64(CHUNK * 4)}),
            (self.ada, {"seq": 1, "data_b64": b64(CHUNK * 300)}),
            (self.eve, {"seq": 1, "data_b64": b64(CHUNK)}),
            (self.ada, {"seq": 1, "data_b64": b64(CHUNK * 3)}),
        ]
        seen = []
        for peer, fields in cases:
            answers = {self.answer(peer, peer.line("UPLOAD_CHUNK", upload_id=ids[short], **fields), short=short) for short in (False, True)}
            self.assertEqual(len(answers), 1, answers)
            seen.append(int(answers.pop().partition(b'"code":')[2].partition(b",")[0]))
        self.assertEqual(seen, [0, 0, 120, 120, 105, 100, 102, 0])
        self.assertEqual([(self.folder / "uploads" / f"{upload_id}.part").read_bytes() for upload_id in ids], [CHUNK * 4] * 2)

    def test_unknown_upload(self) -> None:
        """One that has to be looked for is answered when it was, the same by both ways."""
        line = self.ada.line("UPLOAD_CHUNK", upload_id="11111111-2222-4333-8444-555555555555", seq=0, data_b64=b64(CHUNK))
        answers = {self.answer(self.ada, line, short=short) for short in (False, True)}
        self.assertEqual(len(answers), 1)
        self.assertIn(b'"code":105', answers.pop())

    def test_no_good_token(self) -> None:
        """A token that is not good is the usual way's to refuse."""
        upload_id = self.begin()
        self.ada.token = "x" * 43
        with mock.patch.object(LineConversation, "answer", autospec=True, side_effect=LineConversation.answer) as usual:
            self.assertEqual(self.ada.code("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=b64(CHUNK)), 101)
        self.assertEqual(usual.call_count, 1)

    def test_counted(self) -> None:
        """Metrics count chunks by their answers, whichever way they came."""
        upload_id = self.begin()
        conversation, metrics = self.ada.protocol.conversation, Metrics()
        conversation.desk = attrs.evolve(conversation.desk, metrics=metrics)
        for seq, short in ((0, True), (5, True), (0, False), (5, False)):
            self.answer(self.ada, self.ada.line("UPLOAD_CHUNK", upload_id=upload_id, seq=seq, data_b64=b64(CHUNK)), short=short)
        lines = [line for line in metrics.render().decode().splitlines() if "UPLOAD_CHUNK" in line and "_created" not in line]
        self.assertEqual(
            sorted((re.findall(r'code="(\d+)"', line)[0], line.split()[-1].removesuffix(".0")) for line in lines), [("0", "2"), ("120", "2")]
        )
