"""A developer's account for tests that need no log-in."""

from __future__ import annotations

from uuid import UUID

from gameroom.rules.sessions import DEVELOPER, Account


def developer(username: str) -> Account:
    """The same one for the same name."""
    number = int.from_bytes(username.encode()[:16], "big")
    return Account(username=username, key=username.lower(), role=DEVELOPER, account_id=str(UUID(int=number, version=4)))
