"""Accounts over both databases: what is told to one who logs in holds on either, also when many do so at once.

PostgreSQL is a real server and SQLite a real file, so these run on the real reactor; hashing alone is not in threads.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor as _reactor
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import Clock
from twisted.trial.unittest import TestCase

from gameroom.accounts import Accounts
from gameroom.errors import BadState, Conflict, Forbidden, NotFound, Unauthorized
from gameroom.interfaces import ICursor, IDatabase
from gameroom.settings import Limits
from gameroom.store import open_database
from tests.hashing import CountingHasher
from tests.postgres import shared_server

# Typed by what it is used for: a reactor has many faces.
reactor: Any = _reactor

DAY = 86400.0
HERE = "192.0.2.1"
PASSWORD = "correct horse"
OTHER = "battery staple"


async def outcomes(deferreds: list[Deferred[Any]]) -> list[Any]:
    """What many that were begun at once came to: results, and the classes of errors."""
    found: Any = await DeferredList(deferreds, consumeErrors=True)
    return [result if good else result.type for good, result in found]


class AccountsContract:
    """What accounts promise on both databases."""

    assertEqual: Callable[..., Any]
    assertIn: Callable[..., Any]
    addCleanup: Callable[..., Any]

    def new_url(self) -> str:
        """The URL of a new, empty database."""
        raise NotImplementedError

    async def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.url = self.new_url()
        self.database = self.opened()
        await self.database.start()
        self.accounts = self.made(self.database)

    def opened(self) -> IDatabase:
        database = open_database(self.url, Path("/nowhere"), reactor)
        self.addCleanup(database.stop)
        return database

    def made(self, database: IDatabase) -> Accounts:
        return Accounts(
            database=database,
            hasher=CountingHasher(),
            clock=self.clock,
            random_bytes=secrets.token_bytes,
            limits=lambda: Limits(login_tries=1000),
        )

    async def restarted(self) -> Accounts:
        """Accounts of a daemon that was ended and started again."""
        await self.database.stop()
        self.database = self.opened()
        await self.database.start()
        return self.made(self.database)

    def register(self, name: str, role: str = "player") -> Deferred[str]:
        return self.accounts.register(role, name, PASSWORD, HERE)

    def login(self, name: str, password: str = PASSWORD, role: str = "player") -> Deferred[str]:
        return self.accounts.login(role, name, password, HERE)

    async def worth(self, accounts: Accounts, *tokens: str) -> list[Any]:
        """What each token comes to: a username or the class of the error."""
        found = await outcomes([accounts.identify(token) for token in tokens])
        return [session.account.username if hasattr(session, "account") else session for session in found]

    async def test_one_name_at_once(self) -> None:
        """Of ten who register one name at once, in whatever case and looks, exactly one gets it."""
        names = ["paypal", "PayPal", "p\u0430ypal", "\u0440aypal", "PAYPAL"] * 2
        found = await outcomes([self.register(name) for name in names])
        self.assertEqual(sorted(isinstance(one, str) for one in found), [False] * 9 + [True])
        self.assertEqual([one for one in found if not isinstance(one, str)], [Conflict] * 9)
        [token] = [one for one in found if isinstance(one, str)]
        [username] = await self.worth(self.accounts, token)
        self.assertIn(username, names)

    async def test_names_that_cross_at_once(self) -> None:
        """Names that look like two others each, registered at once in any order, neither block nor both get through."""
        # By their capitals or by their small letters each of these is taken for the next.
        names = ["\u0412\u041e\u0412", "\u0432\u043e\u0432", "b\u043eb"]
        for _ in range(5):
            found = await outcomes([self.register(name, role) for role in ("player", "developer") for name in (*names, *reversed(names))])
            for role in (found[:6], found[6:]):
                got = {names.index(name) for name, one in zip((*names, *reversed(names)), role, strict=True) if isinstance(one, str)}
                self.assertIn(got, ({0}, {1, 2}))
            await self.database.interact(clear)

    async def test_different_names_at_once(self) -> None:
        """Twenty who register different names at once, which share a look that ASCII names may share, all get theirs."""
        names = [f"{'Il'[number % 2]}van{number // 2}" for number in range(20)]
        tokens = await outcomes([self.register(name) for name in names])
        self.assertEqual(await self.worth(self.accounts, *tokens), names)

    async def test_logins_at_once(self) -> None:
        """Of ten log-ins at once all succeed and one token is good; the others are 105, also after a restart."""
        first = await self.register("Alice")
        tokens = await outcomes([self.login("alice") for _ in range(10)])
        before = await self.worth(self.accounts, first, *tokens)
        self.assertEqual((before[0], before.count("Alice"), before.count(BadState)), (BadState, 1, 10))
        self.assertEqual(await self.worth(await self.restarted(), first, *tokens), before)

    async def test_identify_while_logging_in(self) -> None:
        """Whoever asks for an old token while newer log-ins come gets no answer that outlives them."""
        token = await self.register("Alice")
        for _ in range(5):
            asked = [self.accounts.identify(token) for _ in range(3)]
            newer = self.login("alice")
            asked += [self.accounts.identify(token) for _ in range(3)]
            found = await outcomes([*asked, newer])
            self.assertEqual({one for one in found if isinstance(one, type)} - {BadState}, set())
            self.assertEqual(await self.worth(self.accounts, token, found[-1]), [BadState, "Alice"])
            token = found[-1]

    async def test_password_changes_at_once(self) -> None:
        """Of a password change and log-ins at once, whatever comes first, one password and one token are good in the end."""
        token = await self.register("Alice")
        change = self.accounts.change_password(token, PASSWORD, OTHER, HERE)
        found = await outcomes([change, *(self.login("alice") for _ in range(4))])
        changed = found[0] is None
        self.assertIn(found[0], (None, BadState))
        good = [one for one in await self.worth(self.accounts, token, *(one for one in found[1:] if isinstance(one, str))) if one == "Alice"]
        self.assertEqual(len(good), 1)
        [old, new] = await outcomes([self.login("alice", PASSWORD)]) + await outcomes([self.login("alice", OTHER)])
        self.assertEqual((isinstance(old, str), isinstance(new, str)), (not changed, changed))

    async def test_restart(self) -> None:
        """After a restart a good token is good, a superseded one 105, one that logged out 101; passwords and names hold."""
        first = await self.register("Alice")
        second = await self.login("Alice")
        gone = await self.register("bob")
        await self.accounts.logout(gone)
        developer = await self.register("Alice", "developer")
        self.accounts = await self.restarted()
        self.assertEqual(await self.worth(self.accounts, first, second, gone, developer), [BadState, "Alice", Unauthorized, Forbidden])
        found = await outcomes([self.register("ALICE"), self.register("\u0430lice"), self.login("alice", OTHER)])
        self.assertEqual(found, [Conflict, Conflict, Unauthorized])
        await self.login("bob")

    async def test_superseded_until_it_would_have_expired(self) -> None:
        """105 for 30 days from its last use, restarts or not, then 101."""
        first = await self.register("Alice")
        self.clock.advance(10 * DAY)
        await self.accounts.identify(first)
        second = await self.login("Alice")
        for days, expected in [(29, [BadState, "Alice"]), (2, [Unauthorized, "Alice"]), (31, [Unauthorized, Unauthorized])]:
            self.clock.advance(days * DAY)
            self.accounts = await self.restarted()
            self.assertEqual(await self.worth(self.accounts, first, second), expected)

    async def test_suspended(self) -> None:
        """A suspended account is 102 until it is opened again, restarts or not; log-ins at once make no hole in that."""
        token = await self.register("Alice")
        found = await outcomes([self.accounts.suspend("player", "alice"), *(self.login("alice") for _ in range(4))])
        self.assertEqual(found[0], None)
        tokens = [token, *(one for one in found[1:] if isinstance(one, str))]
        self.assertEqual({one for one in found[1:] if not isinstance(one, str)} - {Forbidden}, set())
        self.accounts = await self.restarted()
        self.assertEqual(set(await self.worth(self.accounts, *tokens)) - {BadState}, {Forbidden})
        self.assertEqual(await outcomes([self.login("alice"), self.accounts.suspend("player", "nobody")]), [Forbidden, NotFound])
        await self.accounts.suspend("player", "alice", suspended=False)
        found = await self.worth(self.accounts, *tokens)
        self.assertEqual((found.count("Alice"), found.count(BadState)), (1, len(tokens) - 1))

    async def test_names_of_any_script(self) -> None:
        """What is shown is what was typed, of any script, and found again in another form of the same letters."""
        for typed, again in [("Zo\u00eb", "ZOE\u0308"), ("プレイヤー", "ﾌﾟﾚｲﾔｰ"), ("игрок", "ИГРОК"), ("o'neil%s", "O'NEIL%S")]:
            await self.register(typed)
            token = await self.login(again)
            self.assertEqual(await self.worth(self.accounts, token), [typed])
            self.assertEqual(await self.accounts.name_taken(again), True)
        self.assertEqual(await self.accounts.name_taken("nobody"), False)


async def clear(cursor: ICursor) -> None:
    for table in ("sessions", "account_skeletons", "accounts"):
        await cursor.execute(f"DELETE FROM {table}")


class SQLiteAccounts(AccountsContract, TestCase):  # type: ignore[misc]
    """Over a file of SQLite."""

    def new_url(self) -> str:
        folder = tempfile.mkdtemp(prefix="gameroom-sqlite-")
        self.addCleanup(shutil.rmtree, folder)
        return f"sqlite:{folder}/gameroom.db"


class PostgresAccounts(AccountsContract, TestCase):  # type: ignore[misc]
    """Over a PostgreSQL server."""

    def new_url(self) -> str:
        return shared_server().create_database()
