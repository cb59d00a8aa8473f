"""What a lobby peer may say, and what carries it out (docs/protocol/lobby.md).

Transport-free: `LobbyConversation` is one peer, the classes below it carry out the commands of all peers.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any

import orjson
from twisted.internet.defer import Deferred

from gameroom.doors.account_commands import AccountCommands
from gameroom.doors.line_conversation import Call, Desk, Handler, LineConversation, new_incident
from gameroom.doors.line_downloads import DownloadDesk, LineDownloads
from gameroom.doors.lobby_pushes import News, Subscription, Unheard
from gameroom.errors import BadState, Forbidden, NotFound
from gameroom.room_conversation import RoomConversation
from gameroom.room_views import lobby_detail
from gameroom.rules.room_options import RoomRequest
from gameroom.rules.sessions import PLAYER, Account, Session
from gameroom.settings import Limits
from gameroom.wire.commands import PAGE
from gameroom.wire.lobby import LOBBY

if TYPE_CHECKING:
    from gameroom.accounts import Accounts
    from gameroom.catalogue import Catalogue
    from gameroom.doors.line_requests import LineRequests
    from gameroom.doors.outbox import Outbox
    from gameroom.metrics import Metrics
    from gameroom.presence import Presence
    from gameroom.reviews import Reviews
    from gameroom.room import LivingRoom

Payload = dict[str, Any]


class LobbyConversation(LineConversation):
    """One lobby peer: its requests, its downloads, and the pushes that it has asked for.

    `catch_up(source)` sends what `source()` gives, at the reader's pace, until it gives None.
    """

    downloads: LineDownloads
    """From when it is attached to its connection."""

    def __init__(
        self,
        desk: Desk,
        news: News,
        address: str,
        push: Callable[[bytes], None],
        catch_up: Callable[[Callable[[], bytes | None]], None],
        *,
        downloads: DownloadDesk,
    ) -> None:
        super().__init__(desk, address, push)
        self._news = news
        self._download_desk = downloads
        self.catch_up = catch_up
        self._subscription: Subscription | None = None

    @property
    def streaming(self) -> bool:
        return self.downloads.busy

    def attach(self, outbox: Outbox, requests: LineRequests) -> None:
        self.downloads = LineDownloads(self._download_desk, outbox, requests)

    def reader_has_room(self) -> None:
        self.downloads.go_on()

    def ending(self) -> None:
        self.downloads.stop(BadState("this connection is ending; connect again, and go on from the next chunk with from_seq"))

    def subscription(self, session: Session) -> Subscription | None:
        """What this connection is told on behalf of this session, if it has asked."""
        subscription = self._subscription
        if subscription is None or subscription.session.token_hash != session.token_hash:
            return None
        return subscription

    def room_conversation(self, session: Session | None, room_id: str) -> RoomConversation | None:
        """This peer's talk with its room, where it hears that room."""
        subscription = None if session is None else self.subscription(session)
        return None if subscription is None else subscription.conversation(room_id)

    async def subscribe(self, session: Session, rooms: bool | None, presence: bool | None) -> None:
        """Turn pushes on or off. They belong to one session: another one that asks here takes their place."""
        if self.gone:
            return
        subscription = self.subscription(session)
        if subscription is None:
            self._unsubscribe()
            subscription = self._subscription = Subscription(self._news, session, self)
        await subscription.change(rooms, presence)

    def session_ended(self, session: Session) -> None:
        if self.subscription(session) is not None:
            self._unsubscribe()
        super().session_ended(session)
        self.downloads.session_ended(session)

    def lost(self) -> None:
        self._unsubscribe()
        super().lost()
        self.downloads.lost()

    def _unsubscribe(self) -> None:
        if self._subscription is not None:
            self._subscription.end()
            self._subscription = None


class PeopleCommands:
    """Who is here, and pushes."""

    def __init__(self, presence: Presence) -> None:
        self._presence = presence

    def handlers(self) -> dict[str, Handler]:
        return {"LIST_PLAYERS": self.list_players, "SUBSCRIBE": self.subscribe}

    def list_players(self, call: Call) -> Payload:
        return {"online_players": self._presence.online()}

    async def subscribe(self, call: Call) -> None:
        assert isinstance(call.peer, LobbyConversation)
        assert call.session is not None
        await call.peer.subscribe(call.session, call.payload.get("rooms"), call.payload.get("presence"))


class StoreCommands:
    """The store as players see it."""

    def __init__(self, catalogue: Catalogue, reviews: Reviews) -> None:
        self._catalogue = catalogue
        self._reviews = reviews

    def handlers(self) -> dict[str, Handler]:
        return {
            "LIST_GAMES": self.list_games,
            "GET_GAME_DETAIL": self.detail,
            "LATEST_VERSION": self.latest,
            "LIST_REVIEWS": self.list_reviews,
            "ADD_REVIEW": self.add_review,
        }

    async def list_games(self, call: Call) -> Payload:
        games = await self._catalogue.list_games(limit=min(call.payload.get("limit", PAGE), PAGE), before=call.payload.get("before"))
        return {"games": games}

    async def detail(self, call: Call) -> Payload:
        return await self._catalogue.detail(call.payload["game_id"])

    async def latest(self, call: Call) -> Payload:
        latest = await self._catalogue.latest(call.payload["game_id"])
        return {"version": latest.version, "size_bytes": latest.size_bytes, "checksum": latest.checksum}

    async def list_reviews(self, call: Call) -> Payload:
        payload = call.payload
        return {"reviews": await self._reviews.list(payload["game_id"], min(payload.get("limit", PAGE), PAGE), payload.get("before"))}

    async def add_review(self, call: Call) -> None:
        await self._reviews.add(call.account, call.payload["game_id"], call.payload["score"], call.payload["comment"])


class DownloadCommands:
    """Files of the store, chunk by chunk."""

    def handlers(self) -> dict[str, Handler]:
        return {"DOWNLOAD_BEGIN": self.begin, "DOWNLOAD_CANCEL": self.cancel}

    async def begin(self, call: Call) -> Payload:
        assert isinstance(call.peer, LobbyConversation)
        return await call.peer.downloads.begin(call)

    def cancel(self, call: Call) -> None:
        assert isinstance(call.peer, LobbyConversation)
        call.peer.downloads.cancel(call)


class RoomCommands:
    """Rooms, as players come, play and go."""

    def __init__(self, news: News) -> None:
        self._news = news
        self._registry = news.registry

    def handlers(self) -> dict[str, Handler]:
        return {
            "LIST_ROOMS": self.list_rooms,
            "GET_ROOM": self.detail,
            "CREATE_ROOM": self.create,
            "JOIN_ROOM": self.join,
            "JOIN_PARTY": self.join_party,
            "LEAVE_ROOM": self.leave,
            "START_ROOM": self.start,
            "KICK": self.kick,
            "CHAT": self.chat,
            "ROOM_MESSAGE": self.message,
        }

    def list_rooms(self, call: Call) -> bytes | Awaitable[Payload]:
        """Who polls gets what is ready."""
        whole = None if call.payload else self._news.whole_list(call.account)
        return self._list_rooms(call) if whole is None else whole

    async def _list_rooms(self, call: Call) -> Payload:
        rooms = await self._registry.rooms(call.account)
        before = call.payload.get("before")
        first = 0
        if before is not None:
            first = next((place for place, room in enumerate(rooms, 1) if room.room_id == before), -1)
            if first < 0:
                raise NotFound('the room in "before" is gone; ask again without it')
        last = first + min(call.payload.get("limit", PAGE), PAGE)
        return {"rooms": [self._news.entry(room) for room in rooms[first:last]]}

    async def detail(self, call: Call) -> Payload:
        return {"room": lobby_detail(await self._registry.get(call.payload["room_id"]))}

    async def create(self, call: Call) -> Payload:
        game_id = call.payload["game_id"]
        if not game_id:
            raise NotFound("there is no game without an id; LIST_GAMES shows what there is")
        fields = {"public": call.payload["public"]} if "public" in call.payload else {}
        request = RoomRequest(game_id=game_id, fields=fields)
        return _seated(await self._registry.create(request, call.account, call.peer.address))

    async def join(self, call: Call) -> Payload:
        return await self._join(call.payload["room_id"], call.account)

    async def join_party(self, call: Call) -> Payload:
        room = await self._registry.find_party(call.payload["party_code"], call.peer.address)
        return await self._join(room.room_id, call.account)

    async def _join(self, room_id: str, account: Account) -> Payload:
        # The seat is this account's by its session; a seat token that a page of it may hold stays good.
        joined = await self._registry.join(room_id, account, "player", with_token=False)
        return _seated(joined.room)

    async def leave(self, call: Call) -> None:
        await self._registry.leave(call.payload["room_id"], call.account.username)

    async def start(self, call: Call) -> Payload:
        room = await self._registry.start_room(call.payload["room_id"], call.account.username)
        host, port = room.played_at()
        return {"room_id": room.room_id, "game_host": host, "game_port": port, "version": room.options.version}

    async def kick(self, call: Call) -> None:
        """By user_id, or by the name that lists show: a guest's user_id is in none of them."""
        room = await self._registry.get(call.payload["room_id"])
        player = call.payload["player"]
        if room.value.find(player) is None:
            player = next((member.user_id for member in room.value.members if member.name == player), player)
        await self._registry.kick(room.room_id, call.account.username, player)

    async def chat(self, call: Call) -> None:
        """As a room message, so that it counts as one; it comes back as a push."""
        _, conversation = await self._speak(call)
        await _done(conversation.perform({"type": "chat", "text": call.payload["text"]}))

    async def message(self, call: Call) -> None:
        """What the room answers comes as a push; to a peer that hears none only a refusal can be told."""
        heard, conversation = await self._speak(call)
        body = call.payload["body"]
        if heard:
            conversation.text(orjson.dumps(body))
        elif body.get("type") == "hello":
            raise BadState('SUBSCRIBE with {"rooms": true} first; the room answers by pushes')
        else:
            await _done(conversation.perform(body))

    async def _speak(self, call: Call) -> tuple[bool, RoomConversation]:
        """The peer's talk with its room, and whether it hears the room."""
        room = await self._registry.get(call.payload["room_id"])
        user_id = call.account.username
        if room.value.find(user_id) is None:
            raise Forbidden("only its members may speak in a room; JOIN_ROOM first")
        assert isinstance(call.peer, LobbyConversation)
        heard = call.peer.room_conversation(call.session, room.room_id)
        if heard is not None:
            return True, heard
        return False, RoomConversation.of_member(
            registry=self._registry, connection=Unheard(call.peer), room=room, user_id=user_id, limits=self._news.limits
        )


async def _done(result: Any) -> None:
    """Once what a room was told is done."""
    if isinstance(result, Deferred):
        await result


def _seated(room: LivingRoom) -> Payload:
    return {"room_id": room.room_id, "version": room.options.version}


def lobby_desk(
    *,
    news: News,
    accounts: Accounts,
    catalogue: Catalogue,
    reviews: Reviews,
    presence: Presence,
    limits: Callable[[], Limits],
    metrics: Metrics | None = None,
    new_incident: Callable[[], str] = new_incident,
) -> Desk:
    """What all conversations of a lobby share."""
    return Desk(
        door="lobby",
        role=PLAYER,
        table=LOBBY,
        handlers={
            **AccountCommands("PLAYER", PLAYER, accounts, room_of=lambda account: news.registry.seat_of(account.key)).handlers(),
            **PeopleCommands(presence).handlers(),
            **StoreCommands(catalogue, reviews).handlers(),
            **DownloadCommands().handlers(),
            **RoomCommands(news).handlers(),
        },
        accounts=accounts,
        limits=limits,
        arrive=lambda account: presence.arrive(account.key, account.username, "lobby"),
        metrics=metrics,
        new_incident=new_incident,
    )
