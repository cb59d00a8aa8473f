"""The SQL of accounts and their sessions; for `IDatabase.interact`, so the cursor comes first."""

from __future__ import annotations

import attrs

from gameroom.errors import Conflict, Unauthorized
from gameroom.interfaces import ICursor
from gameroom.rules.sessions import ROLES, Account, Session, check, suspended
from gameroom.rules.usernames import Name


@attrs.frozen(kw_only=True)
class Login:
    """A session that is about to begin."""

    token_hash: str
    now_ms: int
    expires_ms: int


@attrs.frozen(kw_only=True)
class Credentials:
    """What a log-in is checked against."""

    account: Account
    password_hash: str


async def insert(cursor: ICursor, account: Account, name: Name, password_hash: str, login: Login) -> None:
    """Make an account and its first session. Raises `Conflict` where the name is taken, or looks like one that is."""
    made = await cursor.execute(
        """
        INSERT INTO accounts (account_id, role, username, key, password_hash, created_ms, login_ms)
        VALUES (:account_id, :role, :username, :key, :password_hash, :now_ms, :now_ms)
        ON CONFLICT (role, key) DO NOTHING
        RETURNING account_id
        """,
        {
            "account_id": account.account_id,
            "role": account.role,
            "username": account.username,
            "key": account.key,
            "password_hash": password_hash,
            "now_ms": login.now_ms,
        },
    )
    if not made:
        raise _taken(name.shown)
    await _claim_looks(cursor, account.role, name)
    await _insert_session(cursor, account.account_id, login)


async def _claim_looks(cursor: ICursor, role: str, name: Name) -> None:
    # Two names at once: the second waits here for the first to commit. The order of the skeletons, sorted, is the same
    # for everybody, so they never wait for each other.
    for skeleton in name.skeletons:
        claimed = await cursor.execute(
            """
            INSERT INTO account_skeletons (role, skeleton, is_ascii)
            VALUES (:role, :skeleton, :is_ascii)
            ON CONFLICT (role, skeleton) DO UPDATE SET is_ascii = 1
            WHERE account_skeletons.is_ascii = 1 AND excluded.is_ascii = 1
            RETURNING skeleton
            """,
            {"role": role, "skeleton": skeleton, "is_ascii": int(name.is_ascii)},
        )
        if not claimed:
            raise _taken(name.shown, alike=True)


async def require_free(cursor: ICursor, role: str, name: Name) -> None:
    """Raises `Conflict` where `insert` would, for now."""
    taken = await cursor.execute("SELECT 1 FROM accounts WHERE role = :role AND key = :key", {"role": role, "key": name.key})
    if taken:
        raise _taken(name.shown)
    for skeleton in name.skeletons:
        alike = await cursor.execute(
            "SELECT 1 FROM account_skeletons WHERE role = :role AND skeleton = :skeleton AND (is_ascii = 0 OR :is_ascii = 0)",
            {"role": role, "skeleton": skeleton, "is_ascii": int(name.is_ascii)},
        )
        if alike:
            raise _taken(name.shown, alike=True)


def _taken(shown: str, alike: bool = False) -> Conflict:
    return Conflict(f"{shown} looks like a name that is taken; choose another" if alike else f"{shown} is taken; choose another")


async def credentials(cursor: ICursor, role: str, key: str) -> Credentials | None:
    """The account of this name, if there is one."""
    rows = await cursor.execute(
        "SELECT account_id, username, password_hash FROM accounts WHERE role = :role AND key = :key",
        {"role": role, "key": key},
    )
    for account_id, username, password_hash in rows:
        return Credentials(
            account=Account(username=username, key=key, role=role, account_id=account_id),
            password_hash=password_hash,
        )
    return None


async def password_hash(cursor: ICursor, account_id: str) -> str:
    """The password of an account that is there, as it is kept."""
    [[hashed]] = await cursor.execute("SELECT password_hash FROM accounts WHERE account_id = :account_id", {"account_id": account_id})
    return str(hashed)


async def begin_session(cursor: ICursor, credentials: Credentials, login: Login) -> list[str]:
    """Log in, with a password that was verified; gives the token hashes of the sessions that this supersedes.

    Raises `Unauthorized` where the password has been changed since, `Forbidden` where the account is suspended.
    """
    account_id = credentials.account.account_id
    # This update also holds the account, so that of two log-ins at once the later one supersedes the earlier.
    rows = await cursor.execute(
        "UPDATE accounts SET login_ms = :now_ms WHERE account_id = :account_id AND password_hash = :password_hash RETURNING suspended",
        {"account_id": account_id, "password_hash": credentials.password_hash, "now_ms": login.now_ms},
    )
    if not rows:
        raise wrong_login()
    if rows[0][0]:
        raise suspended()
    await cursor.execute(
        "DELETE FROM sessions WHERE account_id = :account_id AND expires_ms <= :now_ms",
        {"account_id": account_id, "now_ms": login.now_ms},
    )
    ended = await _supersede(cursor, account_id, login.now_ms)
    await _insert_session(cursor, account_id, login)
    return ended


def wrong_login() -> Unauthorized:
    return Unauthorized("unknown username or wrong password; try again, or register")


async def _supersede(cursor: ICursor, account_id: str, now_ms: int, keep: str = "") -> list[str]:
    rows = await cursor.execute(
        """
        UPDATE sessions SET superseded_ms = :now_ms
        WHERE account_id = :account_id AND superseded_ms IS NULL AND token_hash <> :keep
        RETURNING token_hash
        """,
        {"account_id": account_id, "now_ms": now_ms, "keep": keep},
    )
    return [row[0] for row in rows]


async def _insert_session(cursor: ICursor, account_id: str, login: Login) -> None:
    await cursor.execute(
        """
        INSERT INTO sessions (token_hash, account_id, created_ms, expires_ms)
        VALUES (:token_hash, :account_id, :now_ms, :expires_ms)
        """,
        {"token_hash": login.token_hash, "account_id": account_id, "now_ms": login.now_ms, "expires_ms": login.expires_ms},
    )


async def session(cursor: ICursor, token_hash: str) -> Session | None:
    """The session of a token, also one that has ended but is not forgotten."""
    rows = await cursor.execute(
        """
        SELECT accounts.account_id, role, username, key, suspended, expires_ms, superseded_ms
        FROM sessions JOIN accounts ON accounts.account_id = sessions.account_id
        WHERE token_hash = :token_hash
        """,
        {"token_hash": token_hash},
    )
    for account_id, role, username, key, is_suspended, expires_ms, superseded_ms in rows:
        return Session(
            account=Account(username=username, key=key, role=role, account_id=account_id),
            token_hash=token_hash,
            expires_ms=expires_ms,
            superseded=superseded_ms is not None,
            suspended=bool(is_suspended),
        )
    return None


async def extend_session(cursor: ICursor, token_hash: str, expires_ms: int) -> None:
    """Let a session that has not ended live on until then."""
    await cursor.execute(
        "UPDATE sessions SET expires_ms = :expires_ms WHERE token_hash = :token_hash AND superseded_ms IS NULL AND expires_ms < :expires_ms",
        {"token_hash": token_hash, "expires_ms": expires_ms},
    )


async def forget_sessions(cursor: ICursor, now_ms: int) -> None:
    """Forget the sessions of all accounts that have expired, superseded ones too; their tokens are unknown from now on."""
    await cursor.execute("DELETE FROM sessions WHERE expires_ms <= :now_ms", {"now_ms": now_ms})


async def end_session(cursor: ICursor, token_hash: str) -> list[str]:
    """Log out: the token is unknown from now on. One that was superseded meanwhile stays so. Gives it."""
    await cursor.execute("DELETE FROM sessions WHERE token_hash = :token_hash AND superseded_ms IS NULL", {"token_hash": token_hash})
    return [token_hash]


async def change_password(cursor: ICursor, token_hash: str, old_hash: str, new_hash: str, now_ms: int) -> list[str]:
    """Replace the password by one's own session, which stays; gives the token hashes of those that this supersedes.

    Raises what `check` does where the session has ended, and `Unauthorized` where the password is not the old one any more.
    """
    held = await cursor.execute(
        """
        UPDATE accounts SET password_hash = :new_hash
        WHERE account_id = (SELECT account_id FROM sessions WHERE token_hash = :token_hash) AND password_hash = :old_hash
        RETURNING account_id
        """,
        {"token_hash": token_hash, "old_hash": old_hash, "new_hash": new_hash},
    )
    # Looked at after the update holds the account: a log-in that came first has superseded the session by now.
    own = check(await session(cursor, token_hash), None, now_ms)
    if not held:
        raise wrong_old_password()
    return await _supersede(cursor, own.account.account_id, now_ms, keep=token_hash)


def wrong_old_password() -> Unauthorized:
    return Unauthorized("the old password is wrong; try again")


async def suspend(cursor: ICursor, account_id: str, is_suspended: bool) -> list[str]:
    """Close an account to its owner, or open it again; gives the token hashes of the sessions that this ends."""
    await cursor.execute(
        "UPDATE accounts SET suspended = :suspended WHERE account_id = :account_id",
        {"account_id": account_id, "suspended": int(is_suspended)},
    )
    sessions = await cursor.execute(
        "SELECT token_hash FROM sessions WHERE account_id = :account_id AND superseded_ms IS NULL", {"account_id": account_id}
    )
    return [row[0] for row in sessions] if is_suspended else []


async def is_taken(cursor: ICursor, name: Name) -> bool:
    """Whether this is the name of an account of any role, or looks like one."""
    for role in ROLES:
        try:
            await require_free(cursor, role, name)
        except Conflict:
            return True
    return False
