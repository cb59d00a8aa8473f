"""What each JSON-lines door has for accounts: registering, logging in and out, who somebody is, and PING and HELP."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from gameroom.doors.line_conversation import Call, Handler, LineConversation
from gameroom.errors import GameroomError
from gameroom.rules.sessions import Account

if TYPE_CHECKING:
    from gameroom.accounts import Accounts

Payload = dict[str, Any]


class AccountCommands:
    """Accounts and sessions of one role.

    `who` ends the types of registering and logging in, as for `gameroom.wire.accounts.account_commands`;
    `room_of(account)` gives the id of the room where the account sits, or None.
    """

    def __init__(self, who: str, role: str, accounts: Accounts, room_of: Callable[[Account], str | None]) -> None:
        self._who = who
        self._role = role
        self._accounts = accounts
        self._room_of = room_of

    def handlers(self) -> dict[str, Handler]:
        return {
            f"REGISTER_{self._who}": self.register,
            f"LOGIN_{self._who}": self.login,
            "LOGOUT": self.logout,
            "WHOAMI": self.who_am_i,
            "CHANGE_PASSWORD": self.change_password,
            "PING": self.ping,
            "HELP": self.help,
        }

    async def register(self, call: Call) -> Payload:
        token = await self._accounts.register(self._role, call.payload["username"], call.payload["password"], call.peer.address)
        return await self._logged_in(call.peer, token)

    async def login(self, call: Call) -> Payload:
        token = await self._accounts.login(self._role, call.payload["username"], call.payload["password"], call.peer.address)
        return await self._logged_in(call.peer, token)

    async def _logged_in(self, peer: LineConversation, token: str) -> Payload:
        """Who has just logged in is here, before any request with the new token."""
        try:
            peer.adopt(await self._accounts.identify(token, self._role))
        except GameroomError:
            # Superseded meanwhile; the first request with the token will say so.
            pass
        return {"session_token": token}

    async def logout(self, call: Call) -> None:
        await self._accounts.logout(call.token)

    async def change_password(self, call: Call) -> None:
        await self._accounts.change_password(call.token, call.payload["old_password"], call.payload["new_password"], call.peer.address)

    def who_am_i(self, call: Call) -> Payload:
        account = call.account
        return {"username": account.username, "role": account.role, "room_id": self._room_of(account)}

    def ping(self, call: Call) -> None:
        return None

    def help(self, call: Call) -> Payload:
        return {"commands": call.peer.desk.table.help()}
