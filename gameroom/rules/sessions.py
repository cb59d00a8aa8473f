"""Accounts, their sessions, and when a token is good (lobby.md "Accounts and tokens").

A token is good from its log-in until the account logs in anew (then `105`), logs out, or does not use it for so long
(then `101`). All times are integer milliseconds of Unix time.
"""

from __future__ import annotations

from base64 import urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Callable
from hashlib import sha256

import attrs

from gameroom.errors import BadState, Forbidden, Unauthorized

PLAYER, DEVELOPER = "player", "developer"
ROLES = (PLAYER, DEVELOPER)

TOKEN_BYTES = 32
LONGEST_TOKEN = 128
HOUR_MS = 3_600_000


@attrs.frozen(kw_only=True)
class Account:
    """Who somebody is."""

    username: str
    """As typed; it is the account's user_id too."""
    key: str
    """Its canonical name, unique in its role."""
    role: str
    account_id: str
    """UUID4."""


@attrs.frozen(kw_only=True)
class Session:
    """One log-in of an account."""

    account: Account
    token_hash: str
    expires_ms: int
    superseded: bool = False
    suspended: bool = False
    """The account is."""


def new_token(random_bytes: Callable[[int], bytes]) -> str:
    """An opaque secret of 256 bits, URL-safe."""
    return urlsafe_b64encode(random_bytes(TOKEN_BYTES)).rstrip(b"=").decode("ascii")


def token_hash(token: str) -> str:
    """What is kept of a token: SHA-256 in hex."""
    return sha256(token.encode("ascii")).hexdigest()


def proof(token: str | None) -> str:
    """The hash to look a user's token up by. Raises `Unauthorized` for what no token of ours looks like."""
    if not token:
        raise Unauthorized("log in first, and send the session token with each request")
    if len(token) > LONGEST_TOKEN or not token.isascii():
        raise unknown_token()
    return token_hash(token)


def unknown_token() -> Unauthorized:
    return Unauthorized("this session token was never issued, or it has expired; log in again")


def check(session: Session | None, role: str | None, now_ms: int) -> Session:
    """The session, if it is good for this role (None: for any) at this moment.

    Raises `Unauthorized` (101), `BadState` (105) or `Forbidden` (102), asked for in this order.
    """
    if session is None or session.expires_ms <= now_ms:
        raise unknown_token()
    if session.superseded:
        raise BadState("this account has logged in again somewhere else, which ended this session; log in again")
    if session.suspended:
        raise suspended()
    if role is not None and session.account.role != role:
        raise Forbidden(f"this is for {role} accounts; log in as a {role}")
    return session


def suspended() -> Forbidden:
    return Forbidden("this account is suspended; ask whoever runs this server")


def slid(session: Session, now_ms: int, lifetime_ms: int) -> Session | None:
    """The session with its end moved on because it is used; None while that is not worth writing down.

    That is once an hour (or a 24th of the lifetime, where somebody chose one under a day), so a session may end
    that much earlier than a lifetime after its last use.
    """
    expires_ms = now_ms + lifetime_ms
    step = max(1, min(HOUR_MS, lifetime_ms // 24))
    return attrs.evolve(session, expires_ms=expires_ms) if expires_ms - session.expires_ms >= step else None


@attrs.define(eq=False)
class Lookup:
    """One look into the database for a session, while which the account may change."""

    touched: set[str] = attrs.field(factory=set)
    """account_ids that were forgotten meanwhile."""


class SessionMemory:
    """The sessions used last, at most `size` of them.

    The database alone knows what a session is; this only remembers what it said.
    Whoever changes an account's sessions calls `forget`, and what was read before that is not remembered after it.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._of_account: dict[str, set[str]] = {}
        self._lookups: set[Lookup] = set()

    def __len__(self) -> int:
        return len(self._sessions)

    def get(self, token_hash: str) -> Session | None:
        session = self._sessions.get(token_hash)
        if session is not None:
            self._sessions.move_to_end(token_hash)
        return session

    def put(self, session: Session) -> None:
        self._sessions[session.token_hash] = session
        self._sessions.move_to_end(session.token_hash)
        self._of_account.setdefault(session.account.account_id, set()).add(session.token_hash)
        while len(self._sessions) > self._size:
            _, oldest = self._sessions.popitem(last=False)
            self._unlist(oldest)

    def forget(self, account_id: str) -> None:
        """Forget all sessions of an account, and what is being read of them right now."""
        for token_hash in self._of_account.pop(account_id, ()):
            del self._sessions[token_hash]
        for lookup in self._lookups:
            lookup.touched.add(account_id)

    def begin(self) -> Lookup:
        """To be called before a session is read from the database."""
        lookup = Lookup()
        self._lookups.add(lookup)
        return lookup

    def end(self, lookup: Lookup, session: Session | None) -> bool:
        """Remember what was read; False if it may be out of date already, and is to be read again."""
        self._lookups.discard(lookup)
        if session is None:
            return True
        if session.account.account_id in lookup.touched:
            return False
        self.put(session)
        return True

    def _unlist(self, session: Session) -> None:
        hashes = self._of_account.get(session.account.account_id)
        if hashes is not None:
            hashes.discard(session.token_hash)
            if not hashes:
                del self._of_account[session.account.account_id]
