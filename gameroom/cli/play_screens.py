"""The screens of `gameroom play`: games, reviews, rooms, players."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import click

from gameroom.cli.output import shown
from gameroom.cli.play_link import all_of, joined
from gameroom.cli.play_menu import Back, Choice, Listing, Screen, leave
from gameroom.cli.play_rooms import name_of, names_of
from gameroom.cli.play_views import game_rows, room_rows, show_game, show_players, show_reviews, show_room
from gameroom.cli.play_visit import Visit
from gameroom.cli.reacting import CannotDo
from gameroom.errors import NotFound

Payload = dict[str, Any]
_REVIEWS: Final = 10
"""Shown at a time."""


class Home(Screen):
    """What there is."""

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._room: str | None = None
        self._online = 0

    async def load(self) -> None:
        self._room = (await self.visit.client.who_am_i()).get("room_id")
        self._online = len(await self.visit.client.players())

    def draw(self) -> None:
        click.echo(f"gameroom at {shown(self.visit.link.key)}: you are {shown(self.visit.username)}, {self._online} online")

    def concerns(self, push: str, payload: Mapping[str, Any]) -> bool:
        return push in ("PLAYER_PRESENCE", "ROOM_UPDATED")

    def choices(self) -> Sequence[Choice]:
        show = self.visit.menu.show
        choices = [
            Choice("games", "what there is to play", lambda _: show(Games(self.visit))),
            Choice("rooms", "who plays, and where a seat is free", lambda _: show(Rooms(self.visit))),
            Choice("party", "join the room of a party code: party CODE", lambda code: join(self.visit, code)),
            Choice("players", "who is online", lambda _: show(Players(self.visit))),
        ]
        room = self._room
        if room is not None:
            choices.append(Choice("myroom", "the room that you sit in", lambda _: show(Room(self.visit, room))))
        return [*choices, Choice("logout", "and log in as somebody else", self._log_out)]

    def all_choices(self) -> Sequence[Choice]:
        return (*self.choices(), Choice("quit", "leave gameroom; your seat is kept for a minute", leave))

    async def _log_out(self, _: str) -> None:
        await self.visit.log_out()


class Games(Listing):
    """The games of the store."""

    title = "Games"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._games: list[Payload] = []

    async def load(self) -> None:
        self._games = await all_of(self.visit.client.games, "game_id")

    @property
    def items(self) -> int:
        return len(self._games)

    def draw(self) -> None:
        if not self._games:
            click.echo("There is no game yet.")
            return
        self.print_entries(["game", "score#", "version"], [row[:-1] for row in game_rows(self._games)])

    async def pick(self, number: int) -> None:
        await self.visit.menu.show(Game(self.visit, str(self._games[number]["game_id"])))


class Game(Screen):
    """One game."""

    def __init__(self, visit: Visit, game_id: str) -> None:
        super().__init__(visit)
        self._game_id = game_id
        self._game: Payload = {}

    async def load(self) -> None:
        self._game = await self.visit.client.game(self._game_id)

    def draw(self) -> None:
        show_game(self._game)

    def choices(self) -> Sequence[Choice]:
        return (
            Choice("create", "a room of it; create private: for friends with its party code", self._create),
            Choice("download", "it to this computer", self._download),
            Choice("reviews", "what players say", lambda _: self.visit.menu.show(Reviews(self.visit, self._game_id))),
            Choice("review", "say what you think of it", self._review),
        )

    async def _create(self, how: str) -> None:
        room = await self.visit.client.create_room(self._game_id, public=False if how.casefold().startswith("p") else None)
        await self.visit.menu.show(Room(self.visit, str(room["room_id"])))

    async def _download(self, version: str) -> None:
        await self.visit.download(self._game, version or None)

    async def _review(self, _: str) -> None:
        score = (await self.visit.menu.ask("Score, 1 to 5: ")).strip()
        if score not in ("1", "2", "3", "4", "5"):
            raise CannotDo("a score is 1 to 5; nothing was said")
        comment = (await self.visit.menu.ask("Comment: ")).strip()
        await self.visit.client.add_review(self._game_id, int(score), comment)
        self.visit.menu.message = "Your review is there."


class Reviews(Screen):
    """What players say of a game."""

    title = "Reviews"

    def __init__(self, visit: Visit, game_id: str) -> None:
        super().__init__(visit)
        self._game_id = game_id
        self._reviews: list[Payload] = []
        self._before: list[str] = []
        """Where the pages up to this one begin, the first one aside."""
        self._further = False

    async def load(self) -> None:
        before = self._before[-1] if self._before else None
        reviews = await self.visit.client.reviews(self._game_id, limit=_REVIEWS + 1, before=before)
        self._reviews, self._further = reviews[:_REVIEWS], len(reviews) > _REVIEWS

    def draw(self) -> None:
        show_reviews(self._reviews)

    def choices(self) -> Sequence[Choice]:
        more = [Choice("more", "older ones", self._older)] if self._further else []
        return [*more, Choice("earlier", "newer ones", self._newer)] if self._before else more

    async def _older(self, _: str) -> None:
        self._before.append(str(self._reviews[-1]["created_at"]))

    async def _newer(self, _: str) -> None:
        self._before.pop()


class Rooms(Listing):
    """The open rooms."""

    title = "Rooms"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._rooms: list[Payload] = []
        self._names: dict[str, str] = {}

    async def load(self) -> None:
        self._rooms = await self.visit.client.rooms()
        if any(room["game_id"] not in self._names for room in self._rooms):
            self._names = await names_of(self.visit.client)

    @property
    def items(self) -> int:
        return len(self._rooms)

    def draw(self) -> None:
        if not self._rooms:
            click.echo("There is no room; create one of a game.")
            return
        self.print_entries(["game", "host", "players", "status"], [row[:-1] for row in room_rows(self._rooms, self._names)])

    def concerns(self, push: str, payload: Mapping[str, Any]) -> bool:
        return push == "ROOM_UPDATED"

    def choices(self) -> Sequence[Choice]:
        return (Choice("join", "a number takes a seat, or join CODE", lambda code: join(self.visit, code)), *super().choices())

    async def pick(self, number: int) -> None:
        await join(self.visit, str(self._rooms[number]["room_id"]))


async def join(visit: Visit, text: str) -> None:
    """Take a seat, by room id or party code, and look at the room."""
    text = text or (await visit.menu.ask("Party code: ")).strip()
    room = await joined(visit.client, text)
    await visit.menu.show(Room(visit, str(room["room_id"])))


class Room(Screen):
    """A room that one sits in."""

    def __init__(self, visit: Visit, room_id: str) -> None:
        super().__init__(visit)
        self._room_id = room_id
        self._room: Payload = {}
        self._game = ""

    async def load(self) -> None:
        before = self._room.get("status")
        try:
            self._room = await self.visit.client.room(self._room_id)
        except NotFound:
            self.visit.menu.message = "The room is gone."
            raise Back from None
        if self.visit.username not in self._room["players"]:
            self.visit.menu.message = "You are no longer in the room."
            raise Back
        self._game = self._game or await name_of(self.visit.client, str(self._room["game_id"]))
        if before == "WAITING" and self._room["status"] == "PLAYING":
            self.visit.menu.message = "The play has begun: play takes you there."

    def draw(self) -> None:
        show_room(self._room, self._game)
        for line in self.visit.chats.get(self._room_id, ()):
            click.echo(f"    {line}")

    def concerns(self, push: str, payload: Mapping[str, Any]) -> bool:
        room = payload.get("room", payload)
        return push in ("ROOM_UPDATED", "CHAT") and room.get("room_id") == self._room_id

    def choices(self) -> Sequence[Choice]:
        mine = self._room["host"] == self.visit.username
        playing = self._room["status"] == "PLAYING"
        choices = []
        if mine and not playing:
            choices.append(Choice("start", "the play, for everybody here", self._start))
        if playing or self._room["hosting"] != "server":
            choices.append(Choice("play", "by the game's program, or in a browser", self._play))
        choices.append(Choice("browser", "the room's page", lambda _: self.visit.browse(self._room)))
        choices.append(Choice("chat", "say something to the others: chat WORDS", self._say))
        if mine:
            choices.append(Choice("kick", "somebody, for good: kick PLAYER", self._kick))
        return [*choices, Choice("leave", "the room; your seat is free", self._leave)]

    async def _start(self, _: str) -> None:
        await self.visit.client.start_room(self._room_id)
        self._room = await self.visit.client.room(self._room_id)
        await self.visit.play(self._room)

    async def _play(self, _: str) -> None:
        await self.visit.play(self._room)

    async def _say(self, words: str) -> None:
        words = words or (await self.visit.menu.ask("Say: ")).strip()
        if words:
            await self.visit.client.chat(self._room_id, words)

    async def _kick(self, player: str) -> None:
        await self.visit.client.kick(self._room_id, player or (await self.visit.menu.ask("Whom? ")).strip())

    async def _leave(self, _: str) -> None:
        await self.visit.client.leave_room(self._room_id)
        raise Back


class Players(Screen):
    """Who is online."""

    title = "Players"

    def __init__(self, visit: Visit) -> None:
        super().__init__(visit)
        self._players: list[str] = []

    async def load(self) -> None:
        self._players = await self.visit.client.players()

    def draw(self) -> None:
        show_players(self._players)

    def concerns(self, push: str, payload: Mapping[str, Any]) -> bool:
        return push == "PLAYER_PRESENCE"
