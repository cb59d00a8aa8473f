"""Where things are kept, behind `gameroom.interfaces.IDatabase`.

`sqlite` and `postgres` are the two databases, `migrations` brings either to our schema.
`accounts`, `catalogue` and `rooms` hold the SQL, one noun each: coroutine functions that take the
cursor first and are called through `database.interact(rooms.insert, room)`.

Rules that make one SQL text do for both databases:

- parameters are `:name`, keywords are upper-case; `RETURNING` and `ON CONFLICT` are fine;
- columns are TEXT, INTEGER, BIGINT, BYTEA or DOUBLE PRECISION; times are BIGINT milliseconds, flags INTEGER 0 or 1;
- no NUL character in a text (PostgreSQL takes none);
- a statement that failed dooms its transaction: where a conflict is expected and something else is to follow, ask with
  `ON CONFLICT DO NOTHING RETURNING`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gameroom.interfaces import IDatabase
from gameroom.store.errors import DatabaseUnavailable, StoreError, UniqueViolation

__all__ = ["DatabaseUnavailable", "StoreError", "UniqueViolation", "open_database"]


def open_database(url: str, data_dir: Path, reactor: Any, observe: Callable[[float], None] | None = None) -> IDatabase:
    """The database that `url` names, not started yet; empty for the one in the data folder.

    `sqlite:<path>`, or `postgresql://user@host/db`, which is anything that libpq takes as a URI.
    `observe`, where given, is called with how many seconds each transaction took.
    Raises `DatabaseUnavailable` for a URL that names no database of ours, or where PostgreSQL's driver is missing.
    """
    if url.startswith(("postgresql://", "postgres://")):
        try:
            from gameroom.store.postgres import PostgresDatabase
        except ImportError as error:
            raise DatabaseUnavailable(f"PostgreSQL needs a driver ({error}): pip install 'gameroom[postgres]'") from error
        return PostgresDatabase(url, reactor=reactor, observe=observe)
    if url == "" or url.startswith("sqlite:"):
        from gameroom.store.sqlite import SQLiteDatabase

        path = url.removeprefix("sqlite:")
        return SQLiteDatabase(Path(path) if path else data_dir / "gameroom.db", reactor=reactor, observe=observe)
    raise DatabaseUnavailable(f"the database {url!r} is not known: write sqlite:<path> or postgresql://user@host/database")
