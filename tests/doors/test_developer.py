"""The developer door's connections, on real uploads: what a developer's program meets between its first line and a published version."""

from __future__ import annotations

import hashlib
import io
import re
import zipfile
from pathlib import Path
from typing import Any

import orjson
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.internet.interfaces import IProtocolFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from gameroom.wire.developer import DEVELOPER
from tests.doors.developer_world import PublishingWorld, b64
from tests.doors.lobby_world import Peer
from tests.system.tutorial import Names

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "developer.md"


ENDS_IT = {"LOGOUT", "CHANGE_PASSWORD", "REGISTER_DEV", "LOGIN_DEV"}
"""What would log Ada out."""


def codes(peer: Peer) -> list[int]:
    return [answer["code"] for answer in peer.answers()]


def zipped(**files: str) -> bytes:
    """A ZIP; `game__toml` is game.toml."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, text in files.items():
            archive.writestr(name.replace("__", "."), text)
    return buffer.getvalue()


class DeveloperDoorCase(SynchronousTestCase):
    """Ada has a game."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.world = PublishingWorld(self.folder)
        self.ada = self.world.developer("ada")
        self.game_id = self.world.game(self.ada)

    def begin(self, data: bytes, version: str = "1.0.0", **fields: Any) -> str:
        said = {"game_id": self.game_id, "version": version, "size_bytes": len(data), **fields}
        return str(self.ada.ok("UPLOAD_BEGIN", **said)["upload_id"])

    def upload(self, data: bytes, version: str = "1.0.0", **fields: Any) -> dict[str, Any]:
        """The whole way; what END answers."""
        upload_id = self.begin(data, version, **fields)
        self.ada.ok("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=b64(data))
        return self.ada.ask("UPLOAD_END", upload_id=upload_id)

    def published(self, version: str = "1.0.0") -> bytes:
        return self.world.files.path(self.game_id, version).read_bytes()


class ConnectionTests(DeveloperDoorCase):
    def test_interface(self) -> None:
        """Endpoints can listen with it."""
        self.assertTrue(verifyObject(IProtocolFactory, self.world.door))

    def test_golden_bytes(self) -> None:
        """The exchange in docs/protocol/developer.md is what is said, byte for byte but for tokens and ids."""
        found = re.search(r"Byte for byte.*?```text\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)
        assert found is not None
        said = [line[2:] for line in found[1].splitlines()]
        peer, names = self.world.developer(), Names()
        self.ada.ok("CHANGE_PASSWORD", old_password="correct horse", new_password="battery staple")
        self.assertGreater(len(said), 12)
        for request, answer in zip(said[::2], said[1::2], strict=True):
            # The page's Ada is not this one.
            peer.raw(names.to_live(request).replace('"username":"ada"', '"username":"ada2"').encode() + b"\n")
            live = peer.transport.value().decode()
            names.learn(orjson.loads(answer), orjson.loads(live))
            self.assertEqual(answer + "\n", names.to_page(live))
            peer.transport.clear()

    def test_lines_before_and_after_the_token(self) -> None:
        """The largest chunk fits into a line once a token was good; before, a stranger may say 16 KiB."""
        data = bytes(range(256)) * 1024
        upload_id = self.begin(data)
        stranger = self.world.developer()
        stranger.token = self.ada.token
        stranger.send("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=b64(data))
        self.assertEqual([100], codes(stranger))
        self.assertTrue(stranger.transport.write_lost)
        known = self.world.developer()
        known.token = self.ada.token
        self.assertEqual(0, known.ok("UPLOAD_STATUS", upload_id=upload_id)["next_seq"])
        known.ok("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=b64(data))
        known.ok("UPLOAD_END", upload_id=upload_id)
        self.assertEqual(data, self.published())

    def test_ahead_of_the_answers(self) -> None:
        """Chunks may be sent without waiting; after a faulty one the rest is told which one is missing."""
        data = bytes(100)
        upload_id = self.begin(data)
        lines = [self.ada.line("UPLOAD_CHUNK", upload_id=upload_id, seq=seq, data_b64=b64(bytes(10))) for seq in range(10)]
        self.ada.raw(b"".join([*lines[:3], lines[3].replace(b'="', b'?"'), *lines[4:]]))
        answers = self.ada.answers()
        self.assertEqual([0, 0, 0, 100, *[120] * 6], [answer["code"] for answer in answers])
        self.assertEqual([{"expected_seq": 3}] * 6, [answer["payload"] for answer in answers[4:]])
        self.ada.raw(b"".join(lines))
        self.assertEqual([0] * 10, codes(self.ada))
        self.assertEqual({"version": "1.0.0", "is_latest": True}, self.ada.ok("UPLOAD_END", upload_id=upload_id))

    def test_chunk_makes_no_deferred(self) -> None:
        """The hot path: a chunk of an upload that is open here has its answer at once."""
        upload_id = self.begin(bytes(4096))
        self.ada.ok("UPLOAD_STATUS", upload_id=upload_id)
        for seq in range(4):
            line = self.ada.line("UPLOAD_CHUNK", upload_id=upload_id, seq=seq, data_b64=b64(bytes(1024)))
            self.assertEqual(b'{"status":"ok","code":0,"message":"ok","payload":{}}\n', self.ada.protocol.conversation.answer(line))

    def test_a_shell_that_hangs_up(self) -> None:
        """`… | nc -N` gets all its answers, also that of an END."""
        upload_id = self.begin(b"abc")
        self.ada.raw(self.ada.line("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64="YWJj") + self.ada.line("UPLOAD_END", upload_id=upload_id))
        self.ada.protocol.readConnectionLost()
        self.assertEqual([0, 0], codes(self.ada))
        self.assertTrue(self.ada.transport.lost)

    def test_counted(self) -> None:
        """An operator sees this door's connections and requests beside the lobby's."""
        self.ada.ok("PING")
        told = self.world.metrics.render().decode()
        self.assertRegex(told, r'requests_total\{[^}]*door="developer"[^}]*type="PING"[^}]*\} 1')


class NonsenseTests(DeveloperDoorCase):
    def test_nothing_is_our_fault(self) -> None:
        """Whatever is in the fields, the answer says what is wrong with it: never 199, and the connection goes on."""
        upload_id = self.begin(bytes(9))
        self.world.publish(self.game_id, "0.0.1")
        texts: list[Any] = ["", "\0", "a\0b", "\uffff", "%s", "':x", "../..", "1.0.0", "x" * 200, "YWJj"]
        odd = [*texts, 0, -1, 1, 2**63, 2**64 - 1, 1e300, None, True, [], {}]
        known: dict[str, list[Any]] = {
            "game_id": [self.game_id],
            "upload_id": [upload_id],
            "version": ["0.0.1", "3.0.0"],
            "seq": [0],
            "before": [self.game_id],
        }
        told: set[int] = set()

        @settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
        @given(st.data())
        def say(data: st.DataObject) -> None:
            command = data.draw(st.sampled_from([command for command in DEVELOPER if command.type not in ENDS_IT]))
            payload: dict[str, Any] = {}
            for field in command.fields:
                if not field.optional or data.draw(st.booleans()):
                    values = st.sampled_from(odd) | st.text(max_size=5)
                    payload[field.name] = data.draw(st.sampled_from(known[field.name]) | values if field.name in known else values)
            told.add(self.ada.code(command.type, **payload))

        say()
        self.assertLessEqual({0, 100}, told)
        self.assertNotIn(199, told)
        self.assertEqual({}, self.ada.ok("PING"))


class PublishingTests(DeveloperDoorCase):
    def test_published(self) -> None:
        """After END the version is there whole, listed, and can be seen by players; the game is ONLINE unless its developer decided."""
        data = b"#!/bin/sh\necho hello\n"
        self.assertEqual({"version": "0.1", "is_latest": True}, self.upload(data, "0.1", checksum=hashlib.sha256(data).hexdigest())["payload"])
        self.assertEqual(data, self.published("0.1"))
        [game] = self.ada.ok("LIST_MY_GAMES")["games"]
        self.assertEqual(("ONLINE", "0.1"), (game["status"], game["latest_version"]))
        self.game_id = self.world.game(self.ada, "Staged")
        self.ada.ok("SET_GAME_STATUS", game_id=self.game_id, status="OFFLINE")
        self.upload(data)
        self.assertEqual(["OFFLINE", "ONLINE"], [game["status"] for game in self.ada.ok("LIST_MY_GAMES")["games"]])

    def test_not_the_latest(self) -> None:
        """A lower version is published and is not the latest; nor is any after it was yanked."""
        self.upload(b"two", "2.0.0")
        self.assertEqual({"version": "1.0.0", "is_latest": False}, self.upload(b"one", "1.0.0")["payload"])
        self.ada.ok("YANK_VERSION", game_id=self.game_id, version="2.0.0")
        self.assertEqual({"version": "1.5.0", "is_latest": True}, self.upload(b"more", "1.5.0")["payload"])
        self.assertEqual(104, self.ada.code("UPLOAD_BEGIN", game_id=self.game_id, version="2.0", size_bytes=1))

    def test_checksum(self) -> None:
        """A wrong one is 121, and the upload is gone."""
        upload_id = self.begin(b"abc", checksum="sha256:" + "0" * 64)
        self.ada.ok("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64="YWJj")
        self.assertEqual([121, 105], [self.ada.code("UPLOAD_END", upload_id=upload_id) for _ in range(2)])
        self.assertEqual({"versions": []}, self.ada.ok("LIST_VERSIONS", game_id=self.game_id))

    def test_bundles(self) -> None:
        """A ZIP with a game.toml is looked at: a good one is published, a faulty one is 100 with the reason."""
        good = zipped(game__toml='[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "engine.js"\n', engine__js="export default null")
        self.assertEqual(0, self.upload(good)["code"])
        answer = self.upload(zipped(game__toml='[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "engine.js"\n'), "2.0.0")
        self.assertEqual(100, answer["code"])
        self.assertIn("engine.js", answer["message"])
        [version] = self.ada.ok("LIST_VERSIONS", game_id=self.game_id)["versions"]
        self.assertEqual("1.0.0", version["version"])

    def test_limits(self) -> None:
        """What is too large or too much is refused, and what was there stays."""
        for size, code in ((0, 100), (-1, 100), (2**63, 100), (self.world.limits.bundle_bytes + 1, 100), (self.world.limits.bundle_bytes, 0)):
            self.assertEqual(code, self.ada.code("UPLOAD_BEGIN", game_id=self.game_id, version="9.0.0", size_bytes=size), size)
        self.ada.ok("UPLOAD_BEGIN", game_id=self.game_id, version="8.0.0", size_bytes=3)
        upload_id = self.begin(b"abc")
        for data, code in ((b"", 100), (bytes(262_145), 100), (b"abcd", 105), (b"abc", 0), (b"abc", 0)):
            self.assertEqual(code, self.ada.code("UPLOAD_CHUNK", upload_id=upload_id, seq=0, data_b64=b64(data)), len(data))
        self.assertEqual({"next_seq": 1, "received_bytes": 3, "size_bytes": 3}, self.ada.ok("UPLOAD_STATUS", upload_id=upload_id))
        self.ada.ok("UPLOAD_BEGIN", game_id=self.game_id, version="7.0.0", size_bytes=3)
        self.assertEqual(105, self.ada.code("UPLOAD_BEGIN", game_id=self.game_id, version="6.0.0", size_bytes=3))
        self.ada.ok("CANCEL_UPLOAD", upload_id=upload_id)
        self.assertEqual(105, self.ada.code("UPLOAD_STATUS", upload_id=upload_id))
        self.ada.ok("UPLOAD_BEGIN", game_id=self.game_id, version="6.0.0", size_bytes=3)

    def test_whose(self) -> None:
        """103 before 102 before 104 and 105, for the game of a BEGIN; an upload of another developer is 102."""
        upload_id, eve = self.begin(b"abc"), self.world.developer("eve")
        self.upload(b"abc", "2.0.0")
        for version in ("1.0.0", "2.0.0", "3.0.0"):
            self.assertEqual(103, eve.code("UPLOAD_BEGIN", game_id="nobody's", version=version, size_bytes=3))
            self.assertEqual(102, eve.code("UPLOAD_BEGIN", game_id=self.game_id, version=version, size_bytes=3))
        for type_, more in (("UPLOAD_CHUNK", {"seq": 9, "data_b64": "YWJj"}), ("UPLOAD_STATUS", {}), ("UPLOAD_END", {}), ("CANCEL_UPLOAD", {})):
            self.assertEqual(102, eve.code(type_, upload_id=upload_id, **more), type_)
        self.assertEqual(0, self.ada.ok("UPLOAD_STATUS", upload_id=upload_id)["next_seq"])
