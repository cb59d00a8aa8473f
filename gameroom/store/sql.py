"""Our SQL, read just far enough: where parameters stand and where statements end.

Pure functions on text.
The text is ours, never a user's; what a user gave travels in the parameters.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

_TOKEN = re.compile(
    r"""
      (?P<quoted>  '(?:[^']|'')*' | "(?:[^"]|"")*" )
    | (?P<comment> --[^\n]* | /\*.*?\*/ )
    | (?P<cast>    :: )
    | (?P<name>    :[A-Za-z_][A-Za-z0-9_]* )
    | (?P<percent> % )
    | (?P<end>     ; )
    """,
    re.VERBOSE | re.DOTALL,
)


@lru_cache(maxsize=1024)
def for_psycopg2(sql: str) -> str:
    """The same statement with `%(name)s` for `:name`.

    Literals, comments and `::` casts stay as they are, but for `%`, which psycopg2 wants doubled everywhere.
    """

    def replace(match: re.Match[str]) -> str:
        if match.lastgroup == "name":
            return f"%({match.group()[1:]})s"
        return match.group().replace("%", "%%")

    return _TOKEN.sub(replace, sql)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, without the semicolons between them; comments go with the statement that they stand in."""
    begin = 0
    something = ""
    for match in _TOKEN.finditer(script):
        if match.lastgroup == "end":
            something = _without_comments(script[begin : match.start()])
            if something:
                yield something
            begin = match.end()
    something = _without_comments(script[begin:])
    if something:
        yield something


def _without_comments(statement: str) -> str:
    return _TOKEN.sub(lambda match: " " if match.lastgroup == "comment" else match.group(), statement).strip()
