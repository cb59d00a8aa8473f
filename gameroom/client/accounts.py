"""What the lobby and the developer door have in common: accounts and sessions."""

from __future__ import annotations

from typing import Any, ClassVar

from gameroom.client.answers import entries, field
from gameroom.client.lines import ConnectionFailed, LineClient
from gameroom.deferring import deferring
from gameroom.errors import InvalidRequest

SLOW = 60.0
"""Seconds for what hashes a password: a server that many log in to lets them wait."""


class AccountClient(LineClient):
    """Registers, logs in and out. A session token is put into `token` by itself."""

    role: ClassVar[str]
    door: ClassVar[str]
    """What this speaks to, and where that usually is, for who has found something else."""
    _register: ClassVar[str]
    _login: ClassVar[str]

    @deferring
    async def register(self, username: str, password: str) -> str:
        """Make an account and log in. Fires with the session token; fails with 104 where the name is taken."""
        return await self._enter(self._register, username, password)

    @deferring
    async def login(self, username: str, password: str) -> str:
        """Fires with the session token; the account's older token is answered 105 from then on."""
        return await self._enter(self._login, username, password)

    async def _enter(self, type_: str, username: str, password: str) -> str:
        self.token = None
        try:
            answer = await self.request(type_, {"username": username, "password": password}, timeout=SLOW)
        except InvalidRequest:
            if any(command.get("type") == type_ for command in await self.help()):
                raise
            raise ConnectionFailed(f"no {self.role} can log in at this port, which is another door's; {self.door}") from None
        self.token = field(answer, "session_token", str)
        return self.token

    @deferring
    async def logout(self) -> None:
        """End the session."""
        await self.request("LOGOUT")
        self.token = None

    @deferring
    async def who_am_i(self) -> dict[str, Any]:
        """Fires with `username`, `role` and `room_id`, which is None where one sits in no room."""
        return await self.request("WHOAMI")

    @deferring
    async def change_password(self, old_password: str, new_password: str) -> None:
        """This session goes on; all others of the account end."""
        await self.request("CHANGE_PASSWORD", {"old_password": old_password, "new_password": new_password}, timeout=SLOW)

    @deferring
    async def ping(self) -> None:
        await self.request("PING")

    @deferring
    async def help(self) -> list[dict[str, Any]]:
        """Fires with the commands that the server knows: `type`, `fields`, `about`."""
        return entries(await self.request("HELP"), "commands")
