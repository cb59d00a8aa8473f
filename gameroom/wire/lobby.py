"""The table of the lobby's commands (docs/protocol/lobby.md).

Each command is declared here once; parsing, HELP and the tables in the docs come from it.
`python -m gameroom.wire.lobby` prints those tables.
"""

from __future__ import annotations

import sys

from gameroom.wire.accounts import account_commands
from gameroom.wire.commands import PAGE, Command, CommandTable, Field, Push, id_field, page_fields

_ROOM = '{"room_id", "game_id", "version", "host", "players": [str], "status"}'
_ROOM_AND_MORE = _ROOM.replace(
    "}", ', "party_code", "max_players": int, "hosting", "seats": {"0": str}, "game_host"?, "game_port": int?, "join_url"}'
)

LOBBY = CommandTable(
    (
        *account_commands("PLAYER", who_am_i="Who you are, and the room you sit in."),
        Command(
            type="LIST_GAMES",
            fields=page_fields(),
            answer='{"games": [{"game_id", "name", "status", "latest_version", "avg_score"}]}',
            about=f'Games that are ONLINE, newest first, {PAGE} at most; "before" the last one\'s game_id goes on from there.',
        ),
        Command(
            type="GET_GAME_DETAIL",
            fields=(id_field("game_id"),),
            answer='{"game_id", "name", "description", "game_type", "max_players", "status", "latest_version", "avg_score", '
            '"reviews_sample": [{"player", "score", "comment"}]}',
            about="All about one game.",
        ),
        Command(
            type="LATEST_VERSION",
            fields=(id_field("game_id"),),
            answer='{"version": str, "size_bytes": int, "checksum": str}',
            about="The newest version of a game; checksum is the SHA-256 of its bundle.",
        ),
        Command(
            type="LIST_REVIEWS",
            fields=(id_field("game_id"), *page_fields()),
            answer='{"reviews": [{"player", "score", "comment", "created_at"}]}',
            about=f'What players say of a game, newest first, {PAGE} at most; "before" the last one\'s created_at goes on from there.',
        ),
        Command(
            type="ADD_REVIEW",
            fields=(id_field("game_id"), Field("score", "int", least=1, most=5), Field("comment", most=2048)),
            about="Say what you think of a game, from 1 (bad) to 5 (good); a second review takes the place of your first.",
        ),
        Command(
            type="DOWNLOAD_BEGIN",
            fields=(
                id_field("game_id"),
                Field("version", optional=True, most=64),
                Field("chunk_size", "int", optional=True, least=1),
                Field("from_seq", "int", optional=True, least=0),
            ),
            answer='{"download_id": str, "version": str, "size_bytes": int, "chunk_size": int}',
            about="Download a version of a game (the newest), by pushes; from_seq goes on where a broken download was.",
        ),
        Command(type="DOWNLOAD_CANCEL", fields=(id_field("download_id"),), about="Stop a download of this connection."),
        Command(type="LIST_PLAYERS", answer='{"online_players": [str]}', about="Who is online, sorted."),
        Command(
            type="LIST_ROOMS",
            fields=page_fields(),
            answer=f'{{"rooms": [{_ROOM}]}}',
            about=f'Public rooms and your own, newest first, {PAGE} at most; "before" the last one\'s room_id goes on from there.',
        ),
        Command(
            type="GET_ROOM", fields=(id_field("room_id"),), answer=f'{{"room": {_ROOM_AND_MORE}}}', about="All about one room, with its party code."
        ),
        Command(
            type="CREATE_ROOM",
            fields=(id_field("game_id"), Field("public", "bool", optional=True)),
            answer='{"room_id": str, "version": str}',
            about='Open a room of a game and take seat 0; with "public": false it is in nobody else\'s list.',
        ),
        Command(
            type="JOIN_ROOM", fields=(id_field("room_id"),), answer='{"room_id": str, "version": str}', about="Take the lowest free seat of a room."
        ),
        Command(
            type="JOIN_PARTY",
            fields=(Field("party_code", most=64),),
            answer='{"room_id": str, "version": str}',
            about="Join the room of a party code.",
        ),
        Command(type="LEAVE_ROOM", fields=(id_field("room_id"),), about="Leave a room; your seat is free."),
        Command(
            type="START_ROOM",
            fields=(id_field("room_id"),),
            answer='{"room_id": str, "game_host": str, "game_port": int, "version": str}',
            about="Start the play (the host). The answer says where it is played.",
        ),
        Command(
            type="KICK",
            fields=(id_field("room_id"), Field("player", most=128)),
            about="Send a member away for good (the host).",
        ),
        Command(
            type="CHAT",
            fields=(id_field("room_id"), Field("text", least=1, most=500)),
            about="Say something to a room that you are in.",
        ),
        Command(
            type="SUBSCRIBE",
            fields=(Field("rooms", "bool", optional=True), Field("presence", "bool", optional=True)),
            about="Turn pushes on or off for this connection; what you leave out stays as it is.",
        ),
        Command(
            type="ROOM_MESSAGE",
            fields=(id_field("room_id"), Field("body", "object")),
            about='Say a room message, such as {"type": "ready", "ready": true}; SUBSCRIBE to rooms first, the room answers by pushes.',
        ),
    ),
    pushes=(
        Push(
            "ROOM_UPDATED",
            f'{{"room": {_ROOM}}}',
            "A room that you may see is new or has changed (rooms). A room that is gone comes once more, with status CLOSED.",
        ),
        Push("CHAT", '{"room_id", "from", "text"}', "A member of your room says something (rooms)."),
        Push("ROOM_MESSAGE", '{"room_id", "body": object}', "A room message of your room (rooms)."),
        Push("DOWNLOAD_CHUNK", '{"download_id", "seq": int, "data_b64"}', "The next bytes of a file that you download; seq goes up by one."),
        Push("DOWNLOAD_END", '{"download_id", "version", "checksum"}', "All chunks were sent; checksum is the SHA-256 of the whole file."),
        Push("DOWNLOAD_ERROR", '{"download_id", "code": int, "message"}', "The download has ended before its end, and why."),
        Push("PLAYER_PRESENCE", '{"online": [str], "offline": [str]}', "Who came and who went, at most once a second (presence)."),
    ),
)


if __name__ == "__main__":
    sys.stdout.write(f"{LOBBY.markdown()}\n\n{LOBBY.pushes_markdown()}\n")
