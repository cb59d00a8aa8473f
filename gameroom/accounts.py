"""Accounts: registering, logging in, and who it is that holds a token (lobby.md "Accounts and tokens").

Three lines in a program of one's own, whose database has been started:

>>> hasher = PasswordHasher.in_threads(reactor, AccountSettings())
>>> accounts = Accounts(database=database, hasher=hasher, clock=reactor, random_bytes=secrets.token_bytes)
>>> token = await accounts.register("player", "alice", "correct horse", "192.0.2.7")
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Protocol, TypeVar
from uuid import UUID

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from gameroom.deferring import deferring
from gameroom.errors import Conflict, GameroomError, InvalidRequest, NotFound
from gameroom.hashing import PasswordHasher
from gameroom.interfaces import IDatabase
from gameroom.rules import usernames
from gameroom.rules.limits import LoginTries
from gameroom.rules.sessions import DEVELOPER, PLAYER, Account, Session, SessionMemory, check, new_token, proof, slid, token_hash, unknown_token
from gameroom.settings import AccountSettings, Limits
from gameroom.store import accounts as sql

T = TypeVar("T")

REMEMBERED = 65536
"""Sessions kept in memory, some 800 bytes each."""


class Observes(Protocol):
    """A histogram."""

    def observe(self, value: float, /) -> object: ...


class AccountMetrics(Protocol):
    """What we tell an operator."""

    @property
    def login_seconds(self) -> Observes: ...


class Accounts:
    """The accounts of a database. Doors and their programs share one of these."""

    _log = Logger()

    def __init__(
        self,
        *,
        database: IDatabase,
        hasher: PasswordHasher,
        clock: IReactorTime,
        random_bytes: Callable[[int], bytes],
        settings: AccountSettings | None = None,
        limits: Callable[[], Limits] = Limits,
        metrics: AccountMetrics | None = None,
        remembered: int = REMEMBERED,
    ) -> None:
        self._database, self._hasher, self._clock, self._random_bytes = database, hasher, clock, random_bytes
        self._lifetime_ms = int((settings or AccountSettings()).session_seconds * 1000)
        self._limits, self._metrics = limits, metrics
        self._tries = LoginTries()
        self._sessions = LiveSessions(database, clock, self._lifetime_ms, remembered)

    @deferring
    async def register(self, role: str, username: str, password: str, address: str) -> str:
        """Make an account and log in. Fires with the session token.

        Fails with `InvalidRequest`, `Conflict` (the name, or one that looks like it, is taken) or `RateLimited`.
        """
        name, prepared = usernames.username(username), usernames.password(password)
        self._tries.count(self._clock.seconds(), self._limits().login_tries, address)
        if role == DEVELOPER and usernames.is_ours(name):
            raise Conflict(f"{username} looks like the name under which this server publishes games itself; choose another")
        # Asked here too, so that nobody waits for the hashing to hear that a name is taken.
        await self._database.interact(sql.require_free, role, name)
        password_hash = await self._hasher.hash(prepared)
        account = Account(username=username, key=name.key, role=role, account_id=str(UUID(bytes=self._random_bytes(16), version=4)))
        token, login = self._new_login()
        await self._database.interact(sql.insert, account, name, password_hash, login)
        self._log.info("{role} {username} registered", role=role, username=username)
        return token

    @deferring
    async def login(self, role: str, username: str, password: str, address: str) -> str:
        """Log in, which supersedes the account's other sessions. Fires with the session token.

        Fails with `Unauthorized` (the same, after the same work, for an unknown name and a wrong password),
        `Forbidden` (suspended) or `RateLimited`.
        """
        began = self._clock.seconds()
        try:
            return await self._login(role, username, password, address)
        finally:
            if self._metrics is not None:
                self._metrics.login_seconds.observe(self._clock.seconds() - began)

    async def _login(self, role: str, username: str, password: str, address: str) -> str:
        # What could not have been registered is as unknown as a name that was not.
        name, prepared = _valid(usernames.username, username), _valid(usernames.password, password)
        self._count_try(role, username[: usernames.USERNAME_LENGTHS[-1]] if name is None else name.key, address)
        known = None if name is None else await self._database.interact(sql.credentials, role, name.key)
        password_hash = None if known is None or prepared is None else known.password_hash
        right = await self._hasher.verify(prepared or "", password_hash)
        if known is None or not right:
            raise sql.wrong_login()
        token, login = self._new_login()
        await self._sessions.change(known.account, sql.begin_session, known, login)
        self._log.info("{role} {username} logged in", role=role, username=known.account.username)
        return token

    def identify(self, token: str | None, role: str | None = PLAYER) -> Deferred[Session]:
        """Fires with whose token this is: at once for one that was used lately, which is nearly always.

        Fails with `Unauthorized` (101), `BadState` (105: superseded) or `Forbidden` (102: suspended, or of another
        role than this; None is for any).
        """
        try:
            token_hash = proof(token)
            session = self._sessions.remembered(token_hash)
            if session is not None:
                return succeed(self._sessions.use(session, role))
        except GameroomError as error:
            return fail(error)
        return self._sessions.find_and_use(token_hash, role)

    def identify_now(self, token: str | None, role: str | None = PLAYER) -> Session | None:
        """What `identify` would fire with, if that is known without asking the database and good."""
        try:
            session = self._sessions.remembered(proof(token))
            return None if session is None else self._sessions.use(session, role)
        except GameroomError:
            return None

    @deferring
    async def logout(self, token: str | None) -> None:
        """End the session: its token is unknown from then on. Fails as `identify` does."""
        session = await self.identify(token, None)
        await self._sessions.change(session.account, sql.end_session, session.token_hash)
        self._log.info("{role} {username} logged out", role=session.account.role, username=session.account.username)

    @deferring
    async def change_password(self, token: str | None, old: str, new: str, address: str) -> None:
        """Take another password; this session stays and the account's others are superseded.

        Fails as `identify` does, with `InvalidRequest` for the new one, `Unauthorized` where the old one is wrong,
        or `RateLimited`: it counts as a log-in try.
        """
        session = await self.identify(token, None)
        account = session.account
        prepared, old_prepared = usernames.password(new), _valid(usernames.password, old)
        self._count_try(account.role, account.key, address)
        old_hash = await self._database.interact(sql.password_hash, account.account_id)
        if not await self._hasher.verify(old_prepared or "", None if old_prepared is None else old_hash):
            raise sql.wrong_old_password()
        new_hash = await self._hasher.hash(prepared)
        await self._sessions.change(account, sql.change_password, session.token_hash, old_hash, new_hash, self._now_ms())
        self._log.info("{role} {username} changed the password", role=account.role, username=account.username)

    @deferring
    async def suspend(self, role: str, username: str, suspended: bool = True) -> None:
        """Close an account to its owner at once, or open it again. Fails with `NotFound`."""
        known = await self._database.interact(sql.credentials, role, usernames.any_name(username).key)
        if known is None:
            raise NotFound(f"there is no {role} of this name; look at its spelling")
        await self._sessions.change(known.account, sql.suspend, known.account.account_id, suspended)
        self._log.info("{role} {username} suspended: {suspended}", role=role, username=known.account.username, suspended=suspended)

    def name_taken(self, name: str) -> Deferred[bool]:
        """Fires with whether a guest of this name would be taken for an account of either role."""
        return self._database.interact(sql.is_taken, usernames.any_name(name))

    def watch_end(self, session: Session, callback: Callable[[], object]) -> Callable[[], None]:
        """Call back once, when the session was logged out, superseded or suspended; that may be before this returns.

        Gives a function that stops watching.
        """
        return self._sessions.watch(session, callback)

    def forget(self, account_id: str) -> None:
        """Ask the database anew for all sessions of this account: something else has changed them.

        Those who watch one that has ended hear it when the database has answered.
        """
        self._sessions.forget(account_id)

    def _count_try(self, role: str, key: str, address: str) -> None:
        self._tries.count(self._clock.seconds(), self._limits().login_tries, address, (role, key))

    def _new_login(self) -> tuple[str, sql.Login]:
        token, now_ms = new_token(self._random_bytes), self._now_ms()
        return token, sql.Login(token_hash=token_hash(token), now_ms=now_ms, expires_ms=now_ms + self._lifetime_ms)

    def _now_ms(self) -> int:
        return int(self._clock.seconds() * 1000)


class LiveSessions:
    """The sessions that are in use: in memory, slid on in the database, and watched for their end."""

    _log = Logger()

    def __init__(self, database: IDatabase, clock: IReactorTime, lifetime_ms: int, remembered: int) -> None:
        self._database, self._clock, self._lifetime_ms = database, clock, lifetime_ms
        self._memory = SessionMemory(remembered)
        self._watching: dict[str, dict[str, dict[object, Callable[[], object]]]] = {}
        """Callbacks by account_id and token hash."""

    def remembered(self, token_hash: str) -> Session | None:
        """What is known of the token without asking the database, good or not."""
        return self._memory.get(token_hash)

    def use(self, session: Session, role: str | None) -> Session:
        """Check the session and let it live on because it is used. Raises what `check` does."""
        now_ms = int(self._clock.seconds() * 1000)
        later = slid(check(session, role, now_ms), now_ms, self._lifetime_ms)
        if later is None:
            return session
        self._memory.put(later)
        extended = self._database.interact(sql.extend_session, later.token_hash, later.expires_ms)
        extended.addErrback(self._report, "a session could not be extended")
        return later

    @deferring
    async def find_and_use(self, token_hash: str, role: str | None) -> Session:
        """The same for a session that has to be found first."""
        session = await self._find(token_hash)
        if session is None:
            raise unknown_token()
        return self.use(session, role)

    async def change(self, account: Account, work: Callable[..., Awaitable[list[str]]], *args: Any) -> None:
        """Run what changes the account in the database, and end the sessions whose token hashes it gives."""
        try:
            over = await self._database.interact(work, *args)
        except Exception:
            # Where the connection was lost while it committed, it may have happened all the same.
            self.forget(account.account_id)
            raise
        self._memory.forget(account.account_id)
        for gone in over:
            self._end(account.account_id, gone)

    def forget(self, account_id: str) -> None:
        """See `Accounts.forget`."""
        self._memory.forget(account_id)
        for watched in list(self._watching.get(account_id, ())):
            self._look_again(account_id, watched)

    def watch(self, session: Session, callback: Callable[[], object]) -> Callable[[], None]:
        """See `Accounts.watch_end`."""
        account_id, token_hash = session.account.account_id, session.token_hash
        watch = object()
        self._watching.setdefault(account_id, {}).setdefault(token_hash, {})[watch] = callback
        # It may have ended since it was identified.
        self._look_again(account_id, token_hash)
        return partial(self._stop_watching, account_id, token_hash, watch)

    def _stop_watching(self, account_id: str, token_hash: str, watch: object) -> None:
        watching = self._watching.get(account_id, {}).get(token_hash, {})
        if watching.pop(watch, None) is not None and not watching:
            self._unwatch(account_id, token_hash)

    def _unwatch(self, account_id: str, token_hash: str) -> dict[object, Callable[[], object]]:
        of_account = self._watching.get(account_id, {})
        watching = of_account.pop(token_hash, {})
        if not of_account:
            self._watching.pop(account_id, None)
        return watching

    def _end(self, account_id: str, token_hash: str) -> None:
        for callback in self._unwatch(account_id, token_hash).values():
            try:
                callback()
            except Exception:
                self._log.failure("whoever watched for the end of a session failed")

    def _look_again(self, account_id: str, token_hash: str) -> None:
        looked = self._end_if_over(account_id, token_hash)
        looked.addErrback(self._report, "a session could not be looked at")

    @deferring
    async def _end_if_over(self, account_id: str, token_hash: str) -> None:
        session = self._memory.get(token_hash) or await self._find(token_hash)
        if session is None or session.superseded or session.suspended:
            self._end(account_id, token_hash)

    async def _find(self, token_hash: str) -> Session | None:
        while True:
            lookup = self._memory.begin()
            session = None
            try:
                session = await self._database.interact(sql.session, token_hash)
            finally:
                current = self._memory.end(lookup, session)
            if current:
                return session

    def _report(self, failure: Any, what: str) -> None:
        self._log.failure(what, failure)


def _valid(rule: Callable[[str], T], text: str) -> T | None:
    try:
        return rule(text)
    except InvalidRequest:
        return None
