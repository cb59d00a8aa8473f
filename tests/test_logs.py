"""What becomes of log events."""

from __future__ import annotations

import io
import json
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from twisted.logger import Logger, LogLevel, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from gameroom.logs import LogFile, for_twistd, observer


class LinesTests(SynchronousTestCase):
    def logger(self, *, json: bool) -> Logger:
        self.out = io.StringIO()
        return Logger("gameroom.test", observer=LogPublisher(observer(self.out, json=json)))

    def lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.getvalue().split("\n") if line]

    def test_text(self) -> None:
        """Text has time, namespace and message, one line an event."""
        self.logger(json=False).info("room {room_id} started", room_id="r1")
        self.assertRegex(self.out.getvalue(), r"^\S+ \[gameroom\.test#info\] room r1 started\n$")

    def test_json(self) -> None:
        """JSON has the message and the event's own plain fields."""
        self.logger(json=True).warn("room {room_id} has {count}", room_id="r1", count=3, thing=object())
        [line] = self.lines()
        self.assertRegex(line.pop("time"), r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$")
        self.assertEqual(line, {"level": "warn", "logger": "gameroom.test", "message": "room r1 has 3", "room_id": "r1", "count": 3})

    def test_one_line_whatever_is_in_it(self) -> None:
        """Nothing that a stranger sends can make a second JSON line, or break the first."""
        self.logger(json=True).info("said {what}", what='a\n{"level": "forged"}\u2028\ud800', big=1 << 80, nan=float("nan"))
        self.assertEqual(self.out.getvalue().count("\n"), 1)
        self.assertEqual(self.lines()[0]["level"], "info")

    def test_failure(self) -> None:
        """A failure brings its traceback, inside of the same line."""
        logger = self.logger(json=True)
        try:
            raise ValueError("broken")
        except ValueError:
            logger.failure("it failed")
        [line] = self.lines()
        self.assertEqual((line["level"], line["message"]), ("critical", "it failed"))
        self.assertIn("ValueError: broken", line["traceback"])

    def test_no_secrets(self) -> None:
        """Fields whose names are secrets' stay out, even if somebody logs them."""
        self.logger(json=True).info("x", token="t0", password="p0", body="b0")
        self.assertNotRegex(self.out.getvalue(), "t0|p0|b0")

    def test_debug_is_left_out(self) -> None:
        """What is only for debugging is not written."""
        logger = self.logger(json=True)
        logger.debug("x")
        self.assertEqual(self.lines(), [])

    def test_used_up_descriptors_are_logged_once(self) -> None:
        """Twisted writes three lines for each connection that it must turn away; one a minute is enough."""
        self.out = io.StringIO()
        observe = observer(self.out, json=True)
        times = [(100.0, "EMFILE encountered")] * 5 + [(100.0, "something else"), (159.0, "EMFILE again"), (161.0, "Could not accept")]
        for at, text in times:
            observe({"log_namespace": "twisted.internet.tcp.Port", "log_level": LogLevel.info, "log_format": text, "log_time": at})
        self.assertEqual([line["message"][:9] for line in self.lines()], ["EMFILE en", "something", "Could not"])


class FileTests(SynchronousTestCase):
    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "log")

    def test_reopen(self) -> None:
        """After the file was moved away, `reopen` goes on in a new one, and nothing is lost."""
        file = LogFile(self.path)
        file.write("one\n")
        file.flush()
        moved = self.path.rename(self.path.with_suffix(".1"))
        file.write("two\n")
        file.reopen()
        file.write("three\n")
        file.flush()
        self.assertEqual((moved.read_text(), self.path.read_text()), ("one\ntwo\n", "three\n"))

    def test_reopen_fails(self) -> None:
        """Where the new file cannot be made the old one goes on."""
        file = LogFile(self.path)
        moved = self.path.rename(self.path.with_suffix(".1"))
        self.path.mkdir()
        self.assertRaises(OSError, file.reopen)
        file.write("still\n")
        file.flush()
        self.assertEqual(moved.read_text(), "still\n")

    def test_where_twistd_says(self) -> None:
        """The terminal in the foreground, the named file elsewhere; twistd's own observers where they are asked for."""
        out = io.StringIO()
        for options, to_terminal in (({"nodaemon": True}, True), ({"logfile": "-"}, True), ({"nodaemon": True, "logfile": str(self.path)}, False)):
            out.truncate(0)
            made, _ = for_twistd(options, out, json=True)
            assert made is not None
            Logger("x", observer=made).info("here")
            self.assertEqual("here" in out.getvalue(), to_terminal, options)
        self.assertIn("here", self.path.read_text())
        self.assertIsNone(for_twistd({"syslog": True}, out, json=True)[0])
        self.assertIsNone(for_twistd({"logger": "x.y"}, out, json=True)[0])
