"""Players' accounts by REST, as in the lobby (docs/protocol/lobby.md)."""

from __future__ import annotations

from typing import ClassVar

from gameroom.accounts import Accounts
from gameroom.doors.web.calls import Answer, Call
from gameroom.doors.web.declare import Body, Field, Reply, Route, Text
from gameroom.doors.web.schemas import ref

# How long and of which characters they may be is for the rules of accounts to say.
CREDENTIALS = Body(
    (
        Field(name="username", kind=Text(0, 4096), required=True, about="3 to 32 characters"),
        Field(name="password", kind=Text(0, 4096), required=True, about="8 to 1024 characters"),
    )
)


class AccountRoutes:
    """The rows of accounts."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="register",
            methods=("POST",),
            path="/register",
            about="Make a player's account and log in.",
            body=CREDENTIALS,
            replies={201: Reply(about="Made.", schema=ref("Session"))},
            problems=(409, 429),
        ),
        Route(
            handler="login",
            methods=("POST",),
            path="/login",
            about="Log in as a player. The account's earlier session tokens are superseded.",
            body=CREDENTIALS,
            replies={200: Reply(about="In.", schema=ref("Session"))},
            problems=(401, 403, 429),
        ),
        Route(
            handler="logout",
            methods=("POST",),
            path="/logout",
            about="End the session.",
            auth="session",
            replies={204: Reply(about="Over.")},
            problems=(401, 403, 409),
        ),
    )

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def register(self, call: Call) -> Answer:
        token = await self._accounts.register("player", call.body["username"], call.body["password"], call.address)
        return Answer(status=201, value={"session_token": token})

    async def login(self, call: Call) -> Answer:
        token = await self._accounts.login("player", call.body["username"], call.body["password"], call.address)
        return Answer(value={"session_token": token})

    async def logout(self, call: Call) -> Answer:
        await self._accounts.identify(call.require_token())
        await self._accounts.logout(call.token)
        return Answer(status=204)
