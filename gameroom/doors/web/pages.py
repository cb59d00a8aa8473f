"""The pages and what they load: HTML, scripts, styles, and the files of bundles that are played in a browser."""

from __future__ import annotations

from hashlib import sha256
from mimetypes import guess_type
from pathlib import Path
from typing import ClassVar
from urllib.parse import quote

from gameroom.catalogue import Catalogue
from gameroom.doors.turns import Turns
from gameroom.doors.web.calls import Answer, Call
from gameroom.doors.web.declare import Reply, Route
from gameroom.doors.web.policy import page_policy, sandbox_policy
from gameroom.doors.web.problems import HttpProblem
from gameroom.doors.web.streams import FileResource, tag_matches
from gameroom.errors import NotFound

HERE = Path(__file__).parent
SDK = "gameroom.js"
HTML = "text/html; charset=utf-8"

_TYPES = {".js": "text/javascript; charset=utf-8", ".mjs": "text/javascript; charset=utf-8", ".wasm": "application/wasm"}
"""Where the machine's own table may be wrong; a browser takes a module by no other type."""

_FILE = {200: Reply(about="The file.", media_type="*/*")}


def media_type(path: Path) -> str:
    """The media type of a file, by its name."""
    known = _TYPES.get(path.suffix.lower())
    if known is not None:
        return known
    guessed = guess_type(path.name)[0] or "application/octet-stream"
    return f"{guessed}; charset=utf-8" if guessed.startswith("text/") or guessed.endswith("json") else guessed


class Pages:
    """The rows that browsers ask for. `folder` holds `pages/` and `static/`."""

    routes: ClassVar[tuple[Route, ...]] = (
        Route(
            handler="index",
            methods=("GET",),
            path="/",
            about="The page: games, rooms, join by code, play.",
            replies={200: Reply(about="The page.", media_type="text/html")},
            page=True,
        ),
        Route(
            handler="static",
            methods=("GET",),
            path="/static/<path:name>",
            about="What the pages load, and the SDK for other pages.",
            replies=_FILE,
            problems=(404,),
        ),
        Route(handler="sdk", methods=("GET",), path=f"/{SDK}", about="The SDK, a short name for /static/gameroom.js.", replies=_FILE),
        Route(
            handler="replay",
            methods=("GET",),
            path="/replay/<play_id>",
            about="The page that plays a recorded play back, for those who may have GET /plays/<play_id>.",
            replies={200: Reply(about="The page.", media_type="text/html")},
            page=True,
        ),
        Route(
            handler="play_page",
            methods=("GET",),
            path="/play/<game_id>/<version>/",
            about="The page of a bundle ([client] web), in a sandbox of its own.",
            replies={200: Reply(about="The page.", media_type="text/html"), 302: Reply(about="It is deeper in the bundle.", headers=("Location",))},
            problems=(404,),
        ),
        Route(
            handler="play_file",
            methods=("GET",),
            path="/play/<game_id>/<version>/<path:name>",
            about="A file of a bundle, in a sandbox of its own.",
            replies=_FILE,
            problems=(404,),
        ),
    )

    def __init__(self, catalogue: Catalogue, turns: Turns, folder: Path = HERE) -> None:
        self._catalogue = catalogue
        self._turns = turns
        self._folder = folder
        self._read: dict[Path, tuple[int, bytes, str]] = {}

    async def index(self, call: Call) -> Answer:
        return self._page(call, "index.html")

    def join(self, call: Call) -> Answer:
        """The page of a room; which room, its script reads from the URL."""
        return self._page(call, "join.html")

    def game(self, call: Call) -> Answer:
        """The page of a game; which game, its script reads from the URL."""
        return self._page(call, "game.html")

    def developer(self, call: Call) -> Answer:
        """The page of developers."""
        return self._page(call, "developer.html")

    async def replay(self, call: Call) -> Answer:
        """Which play, and whether it may be seen, its script finds out."""
        return self._page(call, "replay.html")

    async def static(self, call: Call) -> Answer:
        return self._asset(call, call.path["name"])

    async def sdk(self, call: Call) -> Answer:
        return self._asset(call, SDK)

    async def play_page(self, call: Call) -> Answer:
        bundle = await self._catalogue.bundle(call.path["game_id"], call.path["version"], offline_too=True)
        if bundle.web is None:
            raise NotFound("this game has no page of its own; it is played in a room")
        if "/" in bundle.web:
            # Its links are meant from where it stands in the bundle.
            return Answer(status=302, headers={"Location": quote(bundle.web)})
        return await self._bundle_file(call, bundle.web)

    async def play_file(self, call: Call) -> Answer:
        return await self._bundle_file(call, call.path["name"])

    def engine_headers(self, call: Call) -> dict[str, str]:
        """For the source of an engine that somebody submitted."""
        return _sandboxed(call, f"/join/{call.room_id()}/engine")

    async def _bundle_file(self, call: Call, name: str) -> Answer:
        game_id, version = call.path["game_id"], call.path["version"]
        path = await self._catalogue.file(game_id, version, name)
        headers = _sandboxed(call, f"/play/{quote(game_id)}/{quote(version)}/")
        headers |= {"Cache-Control": "no-cache", "Content-Type": media_type(path)}
        return Answer(resource=FileResource(path, self._turns), headers=headers)

    def _page(self, call: Call, name: str) -> Answer:
        data, _ = self._content(self._folder / "pages" / name)
        return Answer(data=data, media_type=HTML, headers={"Content-Security-Policy": page_policy(call.hosts)})

    def _asset(self, call: Call, name: str) -> Answer:
        folder = (self._folder / "static").resolve()
        path = (folder / name).resolve()
        try:
            if not path.is_relative_to(folder) or not path.is_file():
                raise HttpProblem(404, "there is no such file")
            data, tag = self._content(path)
        except OSError:  # a name that no file system takes
            raise HttpProblem(404, "there is no such file") from None
        headers = {"ETag": tag, "Cache-Control": "no-cache"}
        if path.suffix in (".js", ".mjs"):
            # The frame that an engine runs in has an opaque origin, and a module is always fetched with CORS.
            headers["Access-Control-Allow-Origin"] = "*"
        if path.suffix == ".html":
            # A frame of ours for engines that have no page: they may come from any room, or any URL.
            headers["Content-Security-Policy"] = sandbox_policy(call.hosts, "/static/", f"/{SDK}", scripts_from="http: https:")
        if tag_matches(call.request, tag):
            return Answer(status=304, headers=headers)
        return Answer(data=data, media_type=media_type(path), headers=headers)

    def _content(self, path: Path) -> tuple[bytes, str]:
        """A file of ours and its ETag, kept in memory until the file changes."""
        changed = path.stat().st_mtime_ns
        kept = self._read.get(path)
        if kept is None or kept[0] != changed:
            data = path.read_bytes()
            kept = self._read[path] = (changed, data, f'"{sha256(data).hexdigest()[:32]}"')
        return kept[1], kept[2]


def _sandboxed(call: Call, folder: str) -> dict[str, str]:
    return {
        "Content-Security-Policy": sandbox_policy(call.hosts, folder, "/static/", f"/{SDK}"),
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
    }
