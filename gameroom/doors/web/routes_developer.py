"""Developers by REST, as at the developer door (docs/protocol/developer.md): accounts, games, versions."""

from __future__ import annotations

from typing import ClassVar

from gameroom.accounts import Accounts
from gameroom.catalogue import MOST_LISTED, Catalogue
from gameroom.developer_games import LOG_LINES, DeveloperGames
from gameroom.doors.web.calls import Answer, Call
from gameroom.doors.web.declare import Body, Choice, Field, Number, Reply, Route, Text
from gameroom.doors.web.pages import Pages
from gameroom.doors.web.routes_accounts import CREDENTIALS
from gameroom.doors.web.schemas import ref
from gameroom.errors import InvalidRequest
from gameroom.rules.sessions import DEVELOPER, Account

MAY_FAIL = (401, 403, 404, 409)
MOST_LINES = 10_000

_LIMIT = Field(name="limit", kind=Number(1, MOST_LISTED), about=f"at most so many; {MOST_LISTED} without it")
_DESCRIPTION = Field(name="description", kind=Text(0, 4096), about="up to 4 KiB; lines may end in LF")
_GAME_TYPE = Field(name="game_type", kind=Text(1, 32), about="cli, gui, multi, or a word of your own")
_MAX_PLAYERS = Field(name="max_players", kind=Number(1, 64), about="1 to 64")


def _required(field: Field) -> Field:
    return Field(name=field.name, kind=field.kind, about=field.about, required=True)


class DeveloperAccountRoutes:
    """The rows of developers' accounts."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="register_developer",
            methods=("POST",),
            path="/developer/register",
            about="Make a developer's account and log in.",
            body=CREDENTIALS,
            replies={201: Reply(about="Made.", schema=ref("Session"))},
            problems=(409, 429),
        ),
        Route(
            handler="login_developer",
            methods=("POST",),
            path="/developer/login",
            about="Log in as a developer. The account's earlier session tokens are superseded.",
            body=CREDENTIALS,
            replies={200: Reply(about="In.", schema=ref("Session"))},
            problems=(401, 403, 429),
        ),
        Route(
            handler="logout_developer",
            methods=("POST",),
            path="/developer/logout",
            about="End the session.",
            auth="developer session",
            replies={204: Reply(about="Over.")},
            problems=(401, 403, 409),
        ),
    )

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def register_developer(self, call: Call) -> Answer:
        token = await self._accounts.register(DEVELOPER, call.body["username"], call.body["password"], call.address)
        return Answer(status=201, value={"session_token": token})

    async def login_developer(self, call: Call) -> Answer:
        token = await self._accounts.login(DEVELOPER, call.body["username"], call.body["password"], call.address)
        return Answer(value={"session_token": token})

    async def logout_developer(self, call: Call) -> Answer:
        await self._accounts.identify(call.require_token(), DEVELOPER)
        await self._accounts.logout(call.token)
        return Answer(status=204)


class DeveloperRoutes:
    """The rows of developers' games."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="developer_page",
            methods=("GET",),
            path="/developer",
            about="The page of developers: their games, uploads, versions, logs.",
            replies={200: Reply(about="The page.", media_type="text/html")},
            page=True,
        ),
        Route(
            handler="own_games",
            methods=("GET",),
            path="/developer/games",
            about="Your games, newest first.",
            auth="developer session",
            query=(_LIMIT, Field(name="before", kind=Text(1, 64), about="go on behind this game_id, the last entry of the list before")),
            replies={200: Reply(about="The list.", schema=ref("OwnGames"))},
            problems=MAY_FAIL,
        ),
        Route(
            handler="create_game",
            methods=("POST",),
            path="/developer/games",
            about="Make a game. It is OFFLINE until its first version is there, or you say otherwise.",
            auth="developer session",
            body=Body(
                (
                    Field(name="name", kind=Text(1, 64), required=True, about="1 to 64 characters, of yours the only one"),
                    _required(_DESCRIPTION),
                    _required(_GAME_TYPE),
                    _required(_MAX_PLAYERS),
                )
            ),
            replies={201: Reply(about="Made.", schema=ref("NewGame"), headers=("Location",))},
            problems=(401, 403, 409),
        ),
        Route(
            handler="own_game",
            methods=("GET",),
            path="/developer/games/<game_id>",
            about="One of your games, as players see it.",
            auth="developer session",
            replies={200: Reply(about="The game.", schema=ref("GameDetail"))},
            problems=MAY_FAIL,
        ),
        Route(
            handler="change_game",
            methods=("PATCH",),
            path="/developer/games/<game_id>",
            about="Change what a game says of itself, or with `status` alone whether it is in the store.",
            auth="developer session",
            body=Body((_DESCRIPTION, _MAX_PLAYERS, _GAME_TYPE, Field(name="status", kind=Choice(("ONLINE", "OFFLINE")), about="goes alone"))),
            replies={204: Reply(about="Changed.")},
            problems=MAY_FAIL,
        ),
        Route(
            handler="versions",
            methods=("GET",),
            path="/developer/games/<game_id>/versions",
            about="The versions of your game, the highest first.",
            auth="developer session",
            query=(_LIMIT, Field(name="before", kind=Text(1, 64), about="go on below this version, the last entry of the list before")),
            replies={200: Reply(about="The list.", schema=ref("OwnVersions"))},
            problems=MAY_FAIL,
        ),
        Route(
            handler="yank",
            methods=("POST",),
            path="/developer/games/<game_id>/versions/<version>/yank",
            about="Take a version back: it stays there by its name, and is never the latest again.",
            auth="developer session",
            replies={204: Reply(about="Taken back.")},
            problems=MAY_FAIL,
        ),
        Route(
            handler="logs",
            methods=("GET",),
            path="/developer/games/<game_id>/logs",
            about="What your game's programs wrote lately, and why rooms of it could not start.",
            auth="developer session",
            query=(Field(name="lines", kind=Number(1, MOST_LINES), about=f"the last so many lines; {LOG_LINES} without it"),),
            replies={200: Reply(about="The lines.", schema=ref("Logs"))},
            problems=MAY_FAIL,
        ),
    )

    def __init__(self, *, games: DeveloperGames, accounts: Accounts, catalogue: Catalogue, pages: Pages) -> None:
        self._games = games
        self._pages = pages
        self._accounts = accounts
        self._catalogue = catalogue

    async def developer_page(self, call: Call) -> Answer:
        return self._pages.developer(call)

    async def own_games(self, call: Call) -> Answer:
        account = await developer(self._accounts, call)
        return Answer(value={"games": await self._games.mine(account, call.query.get("limit", MOST_LISTED), call.query.get("before"))})

    async def create_game(self, call: Call) -> Answer:
        account = await developer(self._accounts, call)
        body = call.body
        game_id = await self._games.create(account, body["name"], body["description"], body["game_type"], body["max_players"])
        return Answer(status=201, value={"game_id": game_id}, headers={"Location": f"/developer/games/{game_id}"})

    async def own_game(self, call: Call) -> Answer:
        account, game_id = await developer(self._accounts, call), call.path["game_id"]
        await self._games.versions(account, game_id, 1)  # whose game it is
        return Answer(value=await self._catalogue.detail(game_id))

    async def change_game(self, call: Call) -> Answer:
        account, game_id = await developer(self._accounts, call), call.path["game_id"]
        status = call.body.get("status")
        if status is None:
            await self._games.update(account, game_id, **call.body)
        elif len(call.body) > 1:
            raise InvalidRequest("a status is changed by itself, so that all of a change is made or nothing; send it alone", pointer="/status")
        else:
            await self._games.set_status(account, game_id, status)
        return Answer(status=204)

    async def versions(self, call: Call) -> Answer:
        account = await developer(self._accounts, call)
        limit, before = call.query.get("limit", MOST_LISTED), call.query.get("before")
        return Answer(value={"versions": await self._games.versions(account, call.path["game_id"], limit, before, details=True)})

    async def yank(self, call: Call) -> Answer:
        await self._games.yank(await developer(self._accounts, call), call.path["game_id"], call.path["version"])
        return Answer(status=204)

    async def logs(self, call: Call) -> Answer:
        account = await developer(self._accounts, call)
        return Answer(value={"lines": await self._games.logs(account, call.path["game_id"], call.query.get("lines", LOG_LINES))})


async def developer(accounts: Accounts, call: Call) -> Account:
    """The developer who calls; raises as `Accounts.identify` fails."""
    return (await accounts.identify(call.require_token(), DEVELOPER)).account
