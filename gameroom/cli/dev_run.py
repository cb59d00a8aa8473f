"""`gameroom dev run`: plays a bundle here, without uploading it anywhere."""

from __future__ import annotations

import secrets
import shlex
import webbrowser
from pathlib import Path
from typing import Any

import attrs
import click
import orjson
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool

from gameroom.cli.dev_daemon import LOOPBACK, PrivateDaemon
from gameroom.cli.dev_link import World
from gameroom.cli.dev_overheard import LINES, Overheard
from gameroom.cli.dev_pack import CannotPack, fingerprint
from gameroom.cli.dev_preview import Faulty, Preview, prepared
from gameroom.cli.dev_publish import FIRST_VERSION, bumped
from gameroom.cli.dev_push import looked_at
from gameroom.cli.output import fail, shown
from gameroom.cli.reacting import CannotDo, say_wrong
from gameroom.client.developer import DeveloperClient
from gameroom.client.servers import endpoint_of
from gameroom.errors import BadState
from gameroom.programs.programs import Programs
from gameroom.rules.manifest import PLAIN, Manifest
from gameroom.settings import SandboxSettings

LOOKS_EVERY = 1.0
NOT_FOUND = 404


@click.command(short_help="Play a game here, without uploading it.")
@click.argument("source", metavar="[FOLDER|FILE]", type=click.Path(path_type=Path), default=Path())
@click.option("--open", "open_browser", is_flag=True, help="Open the room in a browser.")
@click.option("--watch", is_flag=True, help="Open a new room whenever a file has changed.")
@click.option("--record", metavar="FOLDER", type=click.Path(path_type=Path), help="Keep each update of a micro game service there, with its answer.")
@click.option("--log", "with_log", is_flag=True, help="Show the private server's log.")
@click.option("--json", "as_json", is_flag=True, help="JSON for programs, a line for each room.")
@click.pass_context
def run(context: click.Context, /, source: Path, watch: bool, record: Path | None, with_log: bool, **showing: Any) -> None:
    """Start a private server on this machine, put FOLDER's game in, and open a room of it. Ctrl-C ends it and leaves nothing behind.

    Open the page twice to play against yourself. A game with a program for players is played at terminals, too: it says how.
    What a server or service of the game writes is shown as it comes, each line behind a |.
    """
    with looked_at(source) as found:  # what is wrong with it is told before anything is started
        said = found.manifest
    if record is not None and said.service is None:
        fail(f"--record is for games with a micro game service, and this one's hosting kind is {said.kind}")
    world: World = context.obj or World()

    async def main(reactor: Any) -> None:
        sandboxed = not runs_a_program(said) or await has_sandbox(reactor)
        try:
            daemon = PrivateDaemon(
                reactor,
                quietly=not with_log,
                # Who is started at a terminal once more is somebody new there: a seat left behind is soon to be free again.
                patient=said.server is None,
                sandboxed=sandboxed,
                allow=endpoints(said),
                record=record,
            )
        except OSError as error:
            raise CannotDo(f"the private server cannot be started: {error}") from None
        trial = Trial(source=source, daemon=daemon, reactor=reactor, allowed=endpoints(said), **showing)
        try:
            await trial.begin()
            await trial.go_on(watch)
        except CancelledError:
            pass  # Ctrl-C is how it ends
        finally:
            daemon.stop()

    world.run(main)


def runs_a_program(manifest: Manifest) -> bool:
    """Whether the daemon runs one for rooms of this game."""
    return manifest.server is not None or (manifest.service is not None and bool(manifest.service.command))


def endpoints(manifest: Manifest) -> tuple[str, ...]:
    """Where a service of this game runs that is none of the bundle's own: whoever tries it here allows it."""
    return () if manifest.service is None or not manifest.service.endpoint else (manifest.service.endpoint,)


async def has_sandbox(reactor: Any) -> bool:
    """Whether games' programs can be run in a sandbox here. Where not that is said: they run all the same, being the caller's own."""
    programs = Programs(reactor=reactor, settings=SandboxSettings(), log=lambda *_: None)
    await programs.start()
    try:
        programs.require()
    except BadState:
        say_wrong("there is no sandbox on this machine (bubblewrap, its program is bwrap), so the game's program runs with all that you may do")
        return False
    finally:
        await programs.stop()
    return True


@attrs.define(kw_only=True)
class Trial:
    """A game, its private server, and the room that is open of it."""

    source: Path
    daemon: PrivateDaemon
    reactor: Any
    open_browser: bool
    as_json: bool
    allowed: tuple[str, ...] = ()
    """The services elsewhere that the private server may call."""
    _game_id: str = ""
    _versions: list[str] = attrs.field(factory=list)
    _token: str = ""
    _developer: str = ""
    _room_id: str = ""
    _manifest: Manifest = PLAIN
    _seen: object = None
    _listener: DeveloperClient | None = None
    _overheard: Overheard = attrs.field(factory=Overheard)

    async def begin(self) -> None:
        """Put the game in and open the first room. Raises `CannotDo`, `ConnectionFailed` and the server's errors."""
        await self.daemon.ready()
        self._token = (await self._ask("POST", "/register", {"username": "player", "password": secrets.token_urlsafe(12)}))["session_token"]
        await self._put()
        await self._open_room()

    async def go_on(self, watch: bool) -> None:
        """Runs until it is cancelled: a room that is gone is followed by a new one, and with `watch` a file that changes, too."""
        while True:
            await deferLater(self.reactor, LOOKS_EVERY)
            self.daemon.check()
            await self._overhear()
            if watch and self._seen != fingerprint(self.source):
                try:
                    await self._put()
                except (Faulty, CannotPack) as error:
                    say_wrong(str(error))
                    continue
                await self._open_room()
            elif not await self._is_there():
                await self._open_room()

    async def _put(self) -> None:
        """What is in the folder becomes the game's next version. Raises `Faulty` and `CannotPack`."""
        self._seen = fingerprint(self.source)
        with prepared(self.source) as found:
            if not set(endpoints(found.manifest)) <= set(self.allowed):
                raise Faulty("game.toml: service.endpoint is another one now; Ctrl-C, and start gameroom dev run again")
            client = await self._connected()
            try:
                await self._publish(client, found)
            finally:
                await client.close()

    async def _overhear(self) -> None:
        """What the game's server or service writes, and why it could not start, is shown to its developer: nobody else is told."""
        if self._manifest.server is None and self._manifest.service is None:
            return
        if self._listener is None:
            self._listener = await self._connected()
            self._listener.token = self._developer
        self._overheard.show(await self._listener.logs(self._game_id, LINES))

    async def _connected(self) -> DeveloperClient:
        return await DeveloperClient.connect(endpoint_of(LOOPBACK, self.daemon.developer_port, self.reactor), self.reactor)

    async def _publish(self, client: DeveloperClient, found: Preview) -> None:
        entry = found.entry
        if not self._game_id:
            self._developer = await client.register("developer", secrets.token_urlsafe(12))
            name = entry.name if entry is not None else self.source.resolve().name[:64]
            players = entry.max_players if entry is not None else found.manifest.max_players
            self._game_id = await client.create_game(name, entry.description if entry is not None else "", "gui", players)
        client.token = self._developer
        first = entry.version if entry is not None else FIRST_VERSION
        self._manifest = found.manifest
        version = bumped(self._versions, "patch") if self._versions else first
        await client.upload(self._game_id, version, found.packed.path)
        self._versions.append(version)

    async def _open_room(self) -> None:
        room = await self._ask("POST", "/create", {"engine": {"game_id": self._game_id}}, self._token)
        self._room_id = room["room_id"]
        url = f"{self.daemon.web_url}/join/{self._room_id}"
        way_in = {"GAMEROOM_HOST": LOOPBACK, "GAMEROOM_PORT": str(self.daemon.game_port), "GAMEROOM_PARTY_CODE": room["party_code"]}
        if self.as_json:
            about = {"url": url, "room_id": self._room_id, "game_id": self._game_id, "version": self._versions[-1]}
            click.echo(orjson.dumps({**about, "command": self._manifest.command, "environment": way_in}))
        else:
            click.echo(f"Play version {shown(self._versions[-1])}: {url}")
            self._say_terminal(way_in)
        if self.open_browser:
            self._in_thread(webbrowser.open, url)

    def _say_terminal(self, way_in: dict[str, str]) -> None:
        """How the game's own program is started, where it has one that finds the room at the game port."""
        if self._manifest.server is None or not self._manifest.command:
            return
        said = " ".join(f"{name}={value}" for name, value in way_in.items())
        place = f"cd {shlex.quote(str(self.source))} && " if self.source.is_dir() else ""
        click.echo("Or at terminals, one for each player:")
        click.echo(f"  {shown(f'{place}{said} {shlex.join(self._manifest.command)}')}")

    async def _is_there(self) -> bool:
        status, _ = await self._in_thread(self.daemon.ask, "GET", f"/join/{self._room_id}")
        return bool(status != NOT_FOUND)

    async def _ask(self, method: str, path: str, body: dict[str, Any], token: str | None = None) -> dict[str, Any]:
        status, answer = await self._in_thread(self.daemon.ask, method, path, body, token)
        if status // 100 != 2:
            raise CannotDo(str(answer.get("detail") or answer.get("message") or f"the private server answers {status}"))
        return dict(answer)

    def _in_thread(self, function: Any, *arguments: Any) -> Deferred[Any]:
        return deferToThreadPool(self.reactor, self.reactor.getThreadPool(), function, *arguments)
