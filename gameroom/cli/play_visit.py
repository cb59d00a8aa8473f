"""A player's visit to a lobby by menus: the connection and the session, both made anew where they are lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from gameroom.cli.account import entered
from gameroom.cli.link import superseded
from gameroom.cli.output import shown
from gameroom.cli.play_launch import WARNING, allow, join_url, launch
from gameroom.cli.play_link import Link
from gameroom.cli.play_menu import Menu
from gameroom.cli.play_store import brought
from gameroom.cli.play_terminal import Left, Terminal
from gameroom.cli.reacting import told
from gameroom.client.lobby import LobbyClient
from gameroom.client.stream import ConnectionFailed
from gameroom.errors import BadState, GameroomError, Unauthorized

PUSHES = ("ROOM_UPDATED", "CHAT", "PLAYER_PRESENCE")
KEPT_LINES = 12
"""Lines of chat that are shown."""

Payload = dict[str, Any]


class Visit:
    """One person's visit. `client` is the connection of the moment."""

    def __init__(self, link: Link, reactor: Any, terminal: Terminal, downloads: Path) -> None:
        self.link = link
        self.reactor = reactor
        self.downloads = downloads
        self.menu = Menu(self, terminal)
        self.client: LobbyClient = LobbyClient(reactor)
        self.username = ""
        self.chats: dict[str, list[str]] = {}
        self._ending = False

    async def begin(self) -> None:
        """Connect, and take up the kept session or log in. Raises `ConnectionFailed` and `Left`."""
        await self._connect()
        kept = self.link.kept()
        if kept is None:
            await self._log_in("")
            return
        self.client.token = kept.token
        try:
            await self._logged_in()
        except (Unauthorized, BadState) as error:
            await self._log_in(told(error))

    async def end(self) -> None:
        self._ending = True
        await self.client.close()

    async def reconnect(self, why: str) -> None:
        """The connection is lost: make another one, as long as the person wants it. Raises `Left`, and `ConnectionFailed` where nobody is there."""
        if not self.menu.terminal.interactive:
            raise ConnectionFailed(why)
        while True:
            click.echo(shown(why), err=True)
            await self.menu.ask("Enter connects again, Ctrl-D leaves: ")
            try:
                await self.begin()
            except ConnectionFailed as error:
                why = str(error)
            else:
                return

    async def renewed(self, error: GameroomError) -> bool:
        """Whether what was asked was refused for a session that is over, and somebody has logged in again. Raises `Left`."""
        over = isinstance(error, Unauthorized) or (isinstance(error, BadState) and await superseded(self.client))
        if over:
            await self._log_in(error.message)
        return over

    async def _connect(self) -> None:
        client = await self.link.open(self.reactor)
        self.client = client
        client.on_lost(lambda why: None if self._ending else self.menu.terminal.note(shown(f"{why}; Enter goes on")))
        for push in PUSHES:
            client.on_push(push, lambda payload, push=push: self._heard(push, payload))  # type: ignore[misc]

    async def _logged_in(self) -> None:
        self.username = str((await self.client.who_am_i())["username"])
        await self.client.subscribe(rooms=True, presence=True)

    async def _log_in(self, why: str) -> None:
        """Ask until somebody is logged in. Raises `Left`."""
        if why:
            click.echo(shown(why), err=True)
        self.client.token = None
        while True:
            click.echo(f"You are not logged in at {shown(self.link.key)}.\n")
            typed = (await self.menu.ask("1 log in, 2 register, or quit: ")).strip().casefold()
            if typed.startswith("q"):
                raise Left
            if typed not in ("1", "2", "login", "log in", "register"):
                click.echo("Type 1, 2 or quit.", err=True)
                continue
            try:
                await self._enter(new=typed in ("2", "register"))
            except GameroomError as error:
                click.echo(shown(told(error)), err=True)
            else:
                return

    async def _enter(self, *, new: bool) -> None:
        username = (await self.menu.ask("Username: ")).strip()
        password = await self.menu.ask("Password: ", hidden=True)
        if new and self.menu.terminal.interactive and await self.menu.ask("Password, once more: ", hidden=True) != password:
            raise BadState("the two passwords are not the same")
        await entered(self.link, self.client, username, password, new=new)
        await self._logged_in()

    async def log_out(self) -> None:
        """And ask who is next. Raises `Left`."""
        await self.client.logout()
        self.link.forget()
        await self._log_in("")

    def _heard(self, push: str, payload: Payload) -> None:
        if push == "CHAT":
            lines = self.chats.setdefault(str(payload.get("room_id")), [])
            lines.append(f"{shown(payload.get('from'))}: {shown(payload.get('text'))}")
            del lines[:-KEPT_LINES]
        self.menu.heard(push, payload)

    # Playing.

    async def download(self, game: Payload, version: str | None = None) -> None:
        installed = await brought(self.link, self.client, game, version, self.downloads)
        what = "is downloaded" if installed.new else "was there already"
        self.menu.message = f"{installed.record.game} {installed.record.version} {what}: {installed.place.folder}"

    async def play(self, room: Payload) -> None:
        """Run the game's program at this terminal, or name the page that plays it. Raises `CannotDo`."""
        game = await self.client.game(str(room["game_id"]))
        installed = await brought(self.link, self.client, game, str(room["version"]), self.downloads)
        if not installed.record.command:
            await self.browse(room)
            return
        if not installed.record.allowed:
            command = " ".join(installed.record.command)
            click.echo(shown(f"{game['name']} has a program of its own, {command}: {WARNING}."))
            if not (await self.menu.ask("Run it? [y/N] ")).strip().casefold().startswith("y"):
                return
            allow(installed)
        with self.menu.terminal.lent():
            status = await launch(self.link, self.client, self.reactor, installed, room)
        self.menu.message = f"The game's program has ended{f' with status {status}' if status else ''}."

    async def browse(self, room: Payload) -> None:
        """Name the room's page, and open it where that is wanted."""
        url = join_url(room)
        click.echo(f"It is played in a browser: {shown(url)}")
        if (await self.menu.ask("Open it? [y/N] ")).strip().casefold().startswith("y"):
            self.link.world.browse(url)
        self.menu.message = f"It is played at {url}"
