"""Sessions that are kept in a file."""

from __future__ import annotations

import stat
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.client.sessions import Kept, Sessions, default_path


class SessionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "gameroom" / "sessions.json"
        self.sessions = Sessions(self.path)

    def test_keep_and_forget(self) -> None:
        """By role and server, and the newest counts."""
        self.assertIsNone(self.sessions.get("player", "a:7000"))
        self.sessions.keep("player", "a:7000", Kept("ann", "old"))
        self.sessions.keep("player", "a:7000", Kept("ann", "new"))
        self.sessions.keep("developer", "a:7000", Kept("dev", "other"))
        again = Sessions(self.path)
        self.assertEqual(again.get("player", "a:7000"), Kept("ann", "new"))
        self.assertEqual(again.get("developer", "a:7000"), Kept("dev", "other"))
        self.assertIsNone(again.get("player", "b:7000"))
        again.forget("player", "a:7000")
        again.forget("player", "a:7000")
        self.assertIsNone(self.sessions.get("player", "a:7000"))
        self.assertIsNotNone(self.sessions.get("developer", "a:7000"))

    def test_nobody_else_reads_it(self) -> None:
        """A session token is as good as a password: file and folder are their owner's alone, and nothing lies beside."""
        self.sessions.keep("player", "a:7000", Kept("ann", "secret"))
        self.assertEqual(stat.S_IMODE(self.path.stat().st_mode), 0o600)
        self.assertEqual(stat.S_IMODE(self.path.parent.stat().st_mode), 0o700)
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])
        self.assertNotIn("secret", repr(Kept("ann", "secret")))

    def test_what_cannot_be_read(self) -> None:
        """A damaged file is as none, and is replaced."""
        self.path.parent.mkdir(parents=True)
        for text in ("", "{", "[]", '{"player": []}', '{"player": {"a:7000": 5}}', '{"player": {"a:7000": {"username": "ann"}}}'):
            self.path.write_text(text)
            self.assertIsNone(self.sessions.get("player", "a:7000"), text)
            self.sessions.keep("player", "a:7000", Kept("ann", "x"))
            self.assertEqual(self.sessions.get("player", "a:7000"), Kept("ann", "x"))

    def test_what_cannot_be_written(self) -> None:
        """It is told, and leaves nothing behind."""
        self.path.mkdir(parents=True)
        self.assertRaises(OSError, self.sessions.keep, "player", "a:7000", Kept("ann", "x"))
        self.assertEqual(list(self.path.parent.iterdir()), [self.path])

    def test_default_path(self) -> None:
        self.assertEqual(default_path().name, "sessions.json")
