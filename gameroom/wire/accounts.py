"""The commands for accounts, which each JSON-lines door has (docs/protocol/lobby.md)."""

from __future__ import annotations

from gameroom.wire.commands import Command, Field


def account_commands(who: str, *, who_am_i: str) -> tuple[Command, ...]:
    """The rows of a door's table; `who` ends the types of registering and logging in, as in `LOGIN_PLAYER`.

    `who_am_i` says what WHOAMI tells.
    """
    name_and_password = Field("username", most=1024), Field("password", most=4096)
    return (
        Command(
            type=f"REGISTER_{who}",
            token=False,
            fields=name_and_password,
            answer='{"session_token": str}',
            about='Make an account and log in. Put the session_token into "token" of later requests.',
        ),
        Command(
            type=f"LOGIN_{who}",
            token=False,
            fields=name_and_password,
            answer='{"session_token": str}',
            about="Log in. The account's older session token is answered 105 from then on.",
        ),
        Command(type="LOGOUT", about="End the session; its token is answered 101 from then on."),
        Command(type="WHOAMI", answer='{"username": str, "role": str, "room_id": str or null}', about=who_am_i),
        Command(
            type="CHANGE_PASSWORD",
            fields=(Field("old_password", most=4096), Field("new_password", most=4096)),
            about="Change your password. This session goes on; all others of yours end.",
        ),
        Command(type="PING", token=False, about="Is anybody there?"),
        Command(type="HELP", token=False, answer='{"commands": [{"type", "fields", "about"}]}', about="This list."),
    )
