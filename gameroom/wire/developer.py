"""The table of the developer door's commands (docs/protocol/developer.md).

Each command is declared here once; parsing, HELP and the table in the docs come from it.
`python -m gameroom.wire.developer` prints that table.
"""

from __future__ import annotations

import sys

from gameroom.wire.accounts import account_commands
from gameroom.wire.commands import PAGE, Command, CommandTable, Field, id_field, page_fields

MOST_LOG_LINES = 10_000
USUAL_LOG_LINES = 200


def _version() -> Field:
    return Field("version", most=128)


def _players(optional: bool = False) -> Field:
    return Field("max_players", "int", least=1, most=64, optional=optional)


DEVELOPER = CommandTable(
    (
        *account_commands("DEV", who_am_i="Who you are. Developers sit in no room, so room_id is null."),
        Command(
            type="CREATE_GAME",
            fields=(Field("name", most=1024), Field("description"), Field("game_type", most=128), _players()),
            answer='{"game_id": str}',
            about="Make a game. It is OFFLINE until its first version is there; game_type is cli, gui, multi or a word of your own.",
        ),
        Command(
            type="LIST_MY_GAMES",
            fields=page_fields(),
            answer='{"games": [{"game_id", "name", "description", "status", "latest_version"}]}',
            about=f'Your games, newest first, {PAGE} at most; "before" the last one\'s game_id goes on from there.',
        ),
        Command(
            type="UPDATE_GAME_META",
            fields=(id_field("game_id"), Field("description", optional=True), _players(optional=True), Field("game_type", most=128, optional=True)),
            about="Change what is said of a game; what you leave out stays as it is.",
        ),
        Command(
            type="SET_GAME_STATUS",
            fields=(id_field("game_id"), Field("status", most=128)),
            about="ONLINE shows a game to players, OFFLINE hides it. From then on uploads leave the status alone.",
        ),
        Command(
            type="LIST_VERSIONS",
            fields=(id_field("game_id"), *page_fields(), Field("details", "bool", optional=True)),
            answer='{"versions": [{"version", "uploaded_at", "is_latest": bool, "size_bytes": int?, "checksum"?, "yanked": bool?}]}',
            about=f"A game's versions, the highest first, {PAGE} at most; \"before\" the last one's version goes on from there. "
            'With "details": true each has its size, checksum and whether it is yanked.',
        ),
        Command(
            type="YANK_VERSION",
            fields=(id_field("game_id"), _version()),
            about="Never let a version be the latest again. It stays listed, and can be downloaded by its name.",
        ),
        Command(
            type="UPLOAD_BEGIN",
            fields=(
                id_field("game_id"),
                _version(),
                Field("size_bytes", "int"),
                Field("checksum", most=128, optional=True),
                Field("chunk_size", "int", optional=True, least=1),
            ),
            answer='{"upload_id": str, "chunk_size": int}',
            about="Begin to upload a version, or go on with an unfinished upload of the same file. checksum is the file's SHA-256.",
        ),
        Command(
            type="UPLOAD_CHUNK",
            # No bounds: what is in it is looked at where it is decoded, and this is said 350,000 characters at a time.
            fields=(id_field("upload_id"), Field("seq", "int"), Field("data_b64")),
            about="The next bytes of the file in base64; seq counts the chunks from 0. What is answered ok is written.",
        ),
        Command(
            type="UPLOAD_STATUS",
            fields=(id_field("upload_id"),),
            answer='{"next_seq": int, "received_bytes": int, "size_bytes": int}',
            about="How far an upload is.",
        ),
        Command(
            type="LIST_UPLOADS",
            fields=(id_field("game_id", optional=True),),
            answer='{"uploads": [{"upload_id", "game_id", "version", "size_bytes": int, "received_bytes": int, "next_seq": int, "begun_at"}]}',
            about="Your unfinished uploads, wherever you have begun them, the oldest first; of one game where you name it.",
        ),
        Command(
            type="UPLOAD_END",
            fields=(id_field("upload_id"),),
            answer='{"version": str, "is_latest": bool}',
            about="All bytes are sent: check the file and publish the version.",
        ),
        Command(type="CANCEL_UPLOAD", fields=(id_field("upload_id"),), about="Forget an unfinished upload and its bytes."),
        Command(
            type="GET_LOGS",
            fields=(id_field("game_id"), Field("lines", "int", optional=True, least=1, most=MOST_LOG_LINES)),
            answer='{"lines": [str]}',
            about=f"What this game's programs have said lately, the oldest line first; {USUAL_LOG_LINES} lines unless you say how many.",
        ),
    ),
)


if __name__ == "__main__":
    sys.stdout.write(f"{DEVELOPER.markdown()}\n")
