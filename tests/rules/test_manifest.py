"""What a bundle says of itself."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.manifest import GameEntry, Manifest, parse

FULL = """
[game]
name = "Dots"
description = "First line\\nSecond"
game_type = "multi"
max_players = 4
version = "1.0"

[hosting]
kind = "lockstep"
min_players = 2
max_players = 6

[lockstep]
engine = "js/engine.js"
encoding = "binary"
input_delay = 3
seed = "same for all"
configuration = {speed = 2}

[client]
command = ["python3", "client.py"]
web = "index.html"
"""

LEAST = '[hosting]\nkind = "lockstep"\n[lockstep]\nengine = "e.js"\n'


class ManifestTests(SynchronousTestCase):
    """`parse`."""

    def fault(self, text: str) -> str:
        error = self.assertRaises(InvalidRequest, parse, text)
        self.assertTrue(error.message.startswith("game.toml"), error.message)
        self.assertEqual(len(error.message.splitlines()), 1)
        message: str = error.message
        return message

    def test_full(self) -> None:
        """Everything that may stand there is read."""
        manifest, entry = parse(FULL)
        fields = {"encoding": "binary", "input_delay": 3, "seed": "same for all", "configuration": {"speed": 2}}
        self.assertEqual(
            manifest,
            Manifest(
                kind="lockstep",
                min_players=2,
                max_players=6,
                engine="js/engine.js",
                lockstep=fields,
                command=("python3", "client.py"),
                web="index.html",
            ),
        )
        self.assertEqual(entry, GameEntry(name="Dots", description="First line\nSecond", game_type="multi", max_players=4, version="1.0"))
        self.assertEqual(manifest.files, {"lockstep.engine": "js/engine.js", "client.command": "client.py", "client.web": "index.html"})

    def test_least(self) -> None:
        """What may be left out has its default."""
        self.assertEqual(parse(LEAST), (Manifest(kind="lockstep", min_players=1, max_players=64, engine="e.js"), None))

    def test_kept(self) -> None:
        """As it is kept, through JSON, it is the same again."""
        manifest, _ = parse(FULL)
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(manifest.to_json()))), manifest)

    def test_faults_name_key_and_reason(self) -> None:
        """Each fault says where and why."""
        faults = {
            ("", "surprise = 1"): "surprise is not known",
            ("min_players = 2", "min_player = 2"): "hosting.min_player is not known; known are hosting.kind",
            ('engine = "js/engine.js"\n', ""): "lockstep.engine is missing",
            ('kind = "lockstep"\n', ""): "hosting.kind is missing",
            ('name = "Dots"\n', ""): "game.name is missing",
            ('kind = "lockstep"', 'kind = "chess"'): "hosting.kind must be lockstep",
            ("max_players = 6", "max_players = 65"): "hosting.max_players must be an integer from 1 to 64",
            ("max_players = 6", "max_players = true"): "hosting.max_players must be an integer",
            ("max_players = 6", "max_players = 1"): "hosting.min_players must not be above hosting.max_players, which is 1",
            ("max_players = 4", "max_players = 1"): "hosting.min_players must not be above game.max_players, which is 1",
            ("input_delay = 3", "input_delay = 17"): "lockstep.input_delay must be an integer from 1 to 16",
            ("input_delay = 3", "min_players = 3"): "lockstep.min_players is not known",
            ('encoding = "binary"', 'encoding = "xml"'): "lockstep.encoding must be",
            ('game_type = "multi"', 'game_type = "Multi"'): "game.game_type must match",
            ('version = "1.0"', 'version = "v1"'): "game.version must be up to 64 characters as MAJOR.MINOR.PATCH",
            ('version = "1.0"', "version = 1.0"): "game.version must be a string",
            ('name = "Dots"', 'name = "Do\\u202Ets"'): "game.name must not hold control characters",
            ('name = "Dots"', f'name = "{"x" * 65}"'): "game.name must be a string of 1 to 64",
            ('["python3", "client.py"]', '"python3 client.py"'): "client.command must be a list",
            ("[hosting]", "[[hosting]]"): "hosting must be a table",
        }
        for (old, new), reason in faults.items():
            self.assertIn(reason, self.fault(FULL.replace(old, new, 1) if old else new + FULL))

    def test_states(self) -> None:
        """An engine's own states are written as TOML, and a fault is pointed at below the key."""
        manifest, _ = parse(LEAST + '[lockstep.states.setup.states]\nteams.on.next = "map"\nmap = {}\n')
        self.assertEqual(manifest.lockstep["states"], {"setup": {"states": {"teams": {"on": {"next": "map"}}, "map": {}}}})
        fault = self.fault(LEAST + '[lockstep.states.setup.states]\nteams.on.next = "nowhere"\n')
        self.assertTrue(fault.startswith("game.toml: lockstep.states there is no state 'nowhere'"), fault)
        self.assertTrue(fault.endswith("(at /setup/states/teams/on/next)"), fault)

    def test_command_schema(self) -> None:
        """A schema of commands is written as TOML, and its fault is pointed at."""
        manifest, _ = parse(LEAST + '[lockstep.command_schema]\ntype = "object"\nproperties.x = {type = "integer"}\n')
        self.assertEqual(manifest.lockstep["command_schema"], {"type": "object", "properties": {"x": {"type": "integer"}}})
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(manifest.to_json()))), manifest)
        fault = self.fault(LEAST + '[lockstep.command_schema]\nproperties.x = {type = "int"}\n')
        self.assertIn("lockstep.command_schema cannot be used", fault)
        self.assertTrue(fault.endswith("(at /properties/x/type)"), fault)
        self.fault(LEAST + "[lockstep.command_schema]\nconst = 2026-01-01\n")

    def test_files_stay_inside(self) -> None:
        """A file is named by a plain path from the bundle's root."""
        for path in (
            "/etc/passwd",
            "../engine.js",
            "js/../../engine.js",
            "",
            ".",
            "./engine.js",
            "js//engine.js",
            "js/",
            "js\\\\engine.js",
            "a\\u0000b",
        ):
            self.assertIn("lockstep.engine must name a file", self.fault(LEAST.replace("e.js", path)))

    def test_no_toml(self) -> None:
        """What is no TOML is told with the place."""
        self.assertIn("line 2", self.fault("[hosting]\nkind = \n"))

    @given(st.text(max_size=40) | st.lists(st.sampled_from(FULL.splitlines()), max_size=12).map("\n".join))
    def test_garbage(self, text: str) -> None:
        """Anything else raises our error and no other."""
        try:
            parse(text)
        except InvalidRequest:
            pass
