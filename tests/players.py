"""Players for tests of the store: accounts without passwords and sessions."""

from __future__ import annotations

from gameroom.interfaces import ICursor
from gameroom.rules import usernames
from gameroom.rules.sessions import PLAYER, Account
from gameroom.store import accounts


def player(name: str) -> Account:
    return Account(username=name, key=usernames.username(name).key, role=PLAYER, account_id=f"id-of-{name}")


async def put_players(cursor: ICursor, *players: Account) -> None:
    """Keep their accounts."""
    for account in players:
        login = accounts.Login(token_hash=f"token-of-{account.key}", now_ms=1, expires_ms=2)
        await accounts.insert(cursor, account, usernames.username(account.username), "", login)
