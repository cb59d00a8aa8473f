"""What becomes of log events: text for a person, or JSON lines; to the terminal, or to a file that can be re-opened.

Who logs uses `Logger()` with keyword formats; this is the other end.
See docs/operations.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

import orjson
from twisted.logger import (
    FilteringLogObserver,
    ILogFilterPredicate,
    ILogObserver,
    LogEvent,
    LogLevel,
    LogLevelFilterPredicate,
    PredicateResult,
    formatEvent,
    formatEventAsClassicLogText,
    formatTime,
)
from zope.interface import implementer

NEVER = frozenset(("password", "old_password", "new_password", "token", "session", "authorization", "body", "data", "text"))
"""Fields that no log line has, whoever gave them."""


PORTS = "twisted.internet.tcp.Port"
ABOUT_ACCEPTING = re.compile("EMFILE|Could not accept")


class LogFile:
    """A file that lines are appended to, and that `reopen` takes up anew when another program has moved it away."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file = path.open("a", encoding="utf-8")

    def write(self, text: str) -> object:
        return self._file.write(text)

    def flush(self) -> None:
        self._file.flush()

    def reopen(self) -> None:
        """Go on in a new file of the same name; raises OSError, and then goes on in the old one."""
        fresh = self._path.open("a", encoding="utf-8")
        self._file.close()
        self._file = fresh


@implementer(ILogFilterPredicate)
class OnceAMinute:
    """Lets one of Twisted's lines about used-up file descriptors through; there are three for each connection that is turned away."""

    def __init__(self) -> None:
        self._quiet_until = 0.0

    def __call__(self, event: LogEvent) -> Any:
        if event.get("log_namespace") == PORTS and ABOUT_ACCEPTING.search(event.get("log_format") or ""):
            now = event.get("log_time", 0.0)
            if now < self._quiet_until:
                return PredicateResult.no
            self._quiet_until = now + 60.0
        return PredicateResult.maybe


def observer(out: IO[str] | LogFile, *, json: bool) -> ILogObserver:
    """An observer that writes each event from `info` on as one entry to `out`."""
    line = json_line if json else text_line

    @implementer(ILogObserver)
    class Lines:
        def __call__(self, event: LogEvent) -> None:
            text = line(event)
            if text:
                out.write(text)
                out.flush()

    return FilteringLogObserver(Lines(), [OnceAMinute(), LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)])


def text_line(event: LogEvent) -> str:
    """An event as Twisted writes it, for a person; with the traceback where there is one."""
    return formatEventAsClassicLogText(event, formatTime) or ""


def json_line(event: LogEvent) -> str:
    """An event as one line of JSON: `time`, `level`, `logger`, `message`, its own plain fields, and `traceback`."""
    line: dict[str, Any] = {
        "time": datetime.fromtimestamp(event.get("log_time", 0.0), UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": _name(event.get("log_level")),
        "logger": event.get("log_namespace", ""),
        "message": _clean(formatEvent(event)),
    }
    for key, value in event.items():
        if key not in line and key not in NEVER and not key.startswith(("log_", "message", "time", "isError", "system", "format")) and _plain(value):
            line[key] = _clean(value) if isinstance(value, str) else value
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = _clean(failure.getTraceback())
    return orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE).decode()


def _clean(text: str) -> str:
    """The text without what UTF-8 cannot say."""
    return text.encode("utf-8", "replace").decode()


def _name(level: Any) -> str:
    return level.name if level is not None else "info"


def _plain(value: object) -> bool:
    return value is None or isinstance(value, bool | float | str) or (isinstance(value, int) and -(1 << 63) <= value < 1 << 64)


def for_twistd(twistd: Mapping[str, Any], stdout: IO[str], *, json: bool) -> tuple[ILogObserver | None, Callable[[], None]]:
    """The observer that fits twistd's own options, and what re-opens its file.

    None where the operator chose an observer of twistd's (`--logger`, `--syslog`).
    """
    if twistd.get("logger") or twistd.get("syslog"):
        return None, lambda: None
    name = twistd.get("logfile") or ""
    if name == "-" or (not name and twistd.get("nodaemon")):
        return observer(stdout, json=json), lambda: None
    file = LogFile(Path(name or "twistd.log").absolute())
    return observer(file, json=json), file.reopen
