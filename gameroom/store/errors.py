"""What can go wrong in a database, in words that are the same for SQLite and PostgreSQL."""

from __future__ import annotations


class StoreError(Exception):
    """The base of what the store raises by itself."""


class DatabaseUnavailable(StoreError):
    """The database cannot be used, at start or just now (disk full, server down, too busy).

    `message` is one line for the operator that says what to do.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class UniqueViolation(StoreError):
    """A row with this key is there already.

    `table` and `columns` name the key, so that a caller can say what is taken.
    """

    def __init__(self, table: str, columns: tuple[str, ...]) -> None:
        super().__init__(f"{table}({', '.join(columns)}) is there already")
        self.table = table
        self.columns = columns
