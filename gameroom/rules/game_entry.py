"""What a developer may say of a game (lobby.md, Developer commands).

Each function gives the value as it is kept, or raises `InvalidRequest` with a pointer to the field.
"""

from __future__ import annotations

from gameroom.errors import InvalidRequest
from gameroom.rules import usernames
from gameroom.rules.manifest import GAME_TYPE, LONGEST_DESCRIPTION, LONGEST_NAME
from gameroom.rules.room_options import MOST_PLAYERS


def name(text: str) -> str:
    """1 to 64 characters that can be seen, trimmed."""
    try:
        return usernames.shown_name(text, LONGEST_NAME)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, pointer="/name") from None


def description(text: str) -> str:
    """Up to 4 KiB in UTF-8; LF is fine in it, and CRLF becomes that."""
    try:
        kept = usernames.plain_text(text, LONGEST_DESCRIPTION, newlines=True)
    except InvalidRequest as error:
        raise InvalidRequest(f"description: {error.message}", pointer="/description") from None
    size = len(kept.encode())
    if size > LONGEST_DESCRIPTION:
        raise InvalidRequest(f"a description has up to {LONGEST_DESCRIPTION} bytes of UTF-8, and this has {size}; shorten it", pointer="/description")
    return kept


def game_type(text: str) -> str:
    """`cli`, `gui`, `multi`, or another word of that kind."""
    if GAME_TYPE.fullmatch(text) is None:
        raise InvalidRequest("game_type is cli, gui, multi or another word of up to 32 small letters, digits, - and _", pointer="/game_type")
    return text


def max_players(number: int) -> int:
    """1 to 64."""
    if not 1 <= number <= MOST_PLAYERS:
        raise InvalidRequest(f"max_players must be 1 to {MOST_PLAYERS}", pointer="/max_players")
    return number
