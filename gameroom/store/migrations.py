"""Brings a database to our schema: the numbered files in `schema/`, in order, each in one transaction.

The number of the last one that was applied stands in the table `schema_version`.
A file that was released is never changed; a change is a new file.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from importlib import resources

import attrs

from gameroom.interfaces import ICursor
from gameroom.store.errors import DatabaseUnavailable
from gameroom.store.sql import statements

_FILE_NAME = re.compile(r"(\d{4})_[a-z0-9_]+\.sql")


@attrs.frozen
class Migration:
    """One file of `schema/`."""

    number: int
    name: str
    script: str


def ours() -> list[Migration]:
    """The migrations that came with this gameroom, by number."""
    found = []
    for entry in resources.files("gameroom.store").joinpath("schema").iterdir():
        match = _FILE_NAME.fullmatch(entry.name)
        if match:
            found.append(Migration(int(match[1]), entry.name, entry.read_text("utf-8")))
    return sorted(found, key=lambda migration: migration.number)


async def apply_next(cursor: ICursor, migrations: Sequence[Migration]) -> bool:
    """Apply the first migration that the database does not have; says whether there was one.

    It is run in a transaction of its own until it says no.
    Whoever calls it has made sure that no other node does the same in this moment.
    Raises `DatabaseUnavailable` where the database is ahead of us, or does not let us.
    """
    newest = max((migration.number for migration in migrations), default=0)
    doing = "the schema's version cannot be read"
    try:
        await cursor.execute("CREATE TABLE IF NOT EXISTS schema_version (version INTEGER NOT NULL)")
        [(version,)] = await cursor.execute("SELECT COALESCE(MAX(version), 0) FROM schema_version")
        pending = [migration for migration in migrations if migration.number > version]
        if version <= newest and pending:
            doing = f"the migration {pending[0].name} cannot be applied"
            for statement in statements(pending[0].script):
                await cursor.execute(statement)
            await cursor.execute("INSERT INTO schema_version (version) VALUES (:version)", {"version": pending[0].number})
    except DatabaseUnavailable:
        raise
    except Exception as error:
        raise DatabaseUnavailable(f"{doing}: {' '.join(str(error).split())}; is this gameroom's database, and may it make tables there?") from error
    if version > newest:
        raise DatabaseUnavailable(
            f"the database has schema {version} and this gameroom knows up to {newest}: install the newer gameroom, or use another database"
        )
    return bool(pending)
