"""The developer door's table of commands, beside the seed's."""

from __future__ import annotations

import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.wire.developer import DEVELOPER

PAGE = Path(__file__).parents[2] / "docs" / "protocol" / "developer.md"

SEED = {
    "REGISTER_DEV": {"username": "str", "password": "str"},
    "LOGIN_DEV": {"username": "str", "password": "str"},
    "CREATE_GAME": {"name": "str", "description": "str", "game_type": "str", "max_players": "int"},
    "LIST_MY_GAMES": {},
    "UPDATE_GAME_META": {"game_id": "str", "description": "str?", "max_players": "int?", "game_type": "str?"},
    "SET_GAME_STATUS": {"game_id": "str", "status": "str"},
    "LIST_VERSIONS": {"game_id": "str"},
    "UPLOAD_BEGIN": {"game_id": "str", "version": "str", "size_bytes": "int", "checksum": "str?"},
    "UPLOAD_CHUNK": {"upload_id": "str", "seq": "int", "data_b64": "str"},
    "UPLOAD_END": {"upload_id": "str"},
    "CANCEL_UPLOAD": {"upload_id": "str"},
}
"""Every developer command with its payload, as the protocol was first written down."""

OURS = {"LOGOUT", "WHOAMI", "CHANGE_PASSWORD", "PING", "HELP", "YANK_VERSION", "GET_LOGS", "UPLOAD_STATUS", "LIST_UPLOADS"}


class DeveloperTableTests(SynchronousTestCase):
    def test_what_it_was_written_for(self) -> None:
        """The first protocol's commands take its fields, and what we have added to them may be left out."""
        self.assertEqual(SEED.keys() | OURS, DEVELOPER.commands.keys())
        for type_, fields in SEED.items():
            has = {field.name: field.shown for field in DEVELOPER.commands[type_].fields}
            self.assertEqual(fields, {name: shown for name, shown in has.items() if name in fields}, type_)
            self.assertTrue(all(shown.endswith("?") for name, shown in has.items() if name not in fields), type_)

    def test_tokens(self) -> None:
        """Just those commands need no token that come before one."""
        self.assertEqual({"REGISTER_DEV", "LOGIN_DEV", "PING", "HELP"}, {command.type for command in DEVELOPER if not command.token})

    def test_chunk_is_not_measured(self) -> None:
        """What a chunk holds is looked at once, where it is decoded."""
        [data] = [field for field in DEVELOPER.commands["UPLOAD_CHUNK"].fields if field.name == "data_b64"]
        self.assertEqual((None, None), (data.least, data.most))

    def test_page(self) -> None:
        """docs/protocol/developer.md has the table as it is declared."""
        self.assertIn(DEVELOPER.markdown(), PAGE.read_text("utf-8"))

    def test_page_has_the_codes(self) -> None:
        """The page explains each code that this door answers with."""
        codes = set(re.findall(r"^\| (\d+) \|", PAGE.read_text("utf-8"), re.MULTILINE))
        self.assertEqual({"0", "100", "101", "102", "103", "104", "105", "106", "120", "121", "199"}, codes)
