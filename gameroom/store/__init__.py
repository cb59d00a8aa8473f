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

from gameroom.store.errors import DatabaseUnavailable, StoreError, UniqueViolation

__all__ = ["DatabaseUnavailable", "StoreError", "UniqueViolation"]
