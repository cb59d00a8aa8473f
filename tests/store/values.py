"""Values that the store's tests share."""

from __future__ import annotations

from typing import Any

import attrs
from hypothesis import strategies as st

from gameroom.rules.room import PLAYING, SETUP, STARTING, Member, Room, RoomOptions
from gameroom.store.catalogue import Game, Version


def room(room_id: str = "r1") -> Room:
    """A room with a code of its own and nobody in it."""
    return Room(room_id=room_id, party_code=f"CODE-{room_id}", created_ms=1, options=RoomOptions())


def seated(user_id: str, seat: int, account: str | None = None) -> Member:
    """A player, with an account unless `account` is empty."""
    return Member(user_id=user_id, name=user_id, account=user_id if account is None else account, seat=seat, joined=seat)


def game(game_id: str, created_ms: int = 1) -> Game:
    return Game(
        game_id=game_id,
        developer="gameroom",
        name=f"Game {game_id}",
        description="first line\nsecond",
        game_type="multi",
        max_players=4,
        status="ONLINE",
        created_ms=created_ms,
    )


def version(game_id: str, text: str) -> Version:
    return Version(game_id=game_id, version=text, size_bytes=2**33, checksum="ab" * 32, uploaded_ms=1, hosting={"kind": "lockstep", "web": None})


# PostgreSQL takes no NUL in a text, and no door lets one through.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=12)
numbers = st.integers(0, 2**31 - 1)
values_of_json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(texts, values_of_json, max_size=4)
options = st.builds(
    RoomOptions,
    **{
        field.name: {
            "int": st.integers(0, 64),
            "bool": st.booleans(),
            "str": texts,
            "int | str": numbers | texts,
            "dict[str, Any]": objects,
            "int | None": numbers | st.none(),
            "float": st.floats(0, 1000),
            "float | None": st.floats(0, 1000) | st.none(),
            "dict[str, Any] | None": objects | st.none(),
            "dict[str, Any] | bool | None": objects | st.booleans() | st.none(),
        }[str(field.type)]
        for field in attrs.fields(RoomOptions)
    },
)


@st.composite
def random_rooms(draw: Any, room_id: str) -> Room:
    """A room with anything in its fields, and members in any order with distinct seats."""
    members = [
        # An account is one member's for good: its name is the member's user_id.
        attrs.evolve(member, account=member.account and f"{member.account} {member.user_id}")
        for member in draw(st.lists(_members, max_size=4, unique_by=lambda member: member.user_id))
    ]
    seats = draw(st.permutations(range(8)))
    return Room(
        room_id=room_id,
        party_code=draw(texts),
        created_ms=draw(st.integers(0, 2**50)),
        options=draw(options),
        members=tuple(attrs.evolve(member, seat=seat if member.seat is not None else None) for member, seat in zip(members, seats, strict=False)),
        host=draw(st.none() | texts),
        phase=draw(st.sampled_from([SETUP, STARTING, PLAYING])),
        play_id=draw(st.none() | texts),
        configuration=draw(objects),
        revision=draw(numbers),
        banned=draw(st.frozensets(texts, max_size=3)),
        next_joined=draw(numbers),
        setup_state=draw(texts),
    )


_members = st.builds(
    Member,
    # So few that the same ones come and go and change places.
    user_id=st.sampled_from(["a", "b", "c", "Zoë 🎲"]),
    name=texts,
    account=st.sampled_from(["", "account"]),
    seat=st.none() | st.just(0),
    token_hash=texts,
    joined=numbers,
    ready=st.booleans(),
    locked=st.booleans(),
    bot=st.none() | st.integers(1, 9),
)
