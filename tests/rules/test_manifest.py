"""What a bundle says of itself."""

from __future__ import annotations

import json
import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules import manifest
from gameroom.rules.manifest import MOST_DOTS, PLAIN, GameEntry, Manifest, Server, Service, parse

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


DOCS = Path(__file__).parents[2] / "docs" / "protocol" / "bundles.md"


class DocumentedTests(SynchronousTestCase):
    """docs/protocol/bundles.md."""

    def test_every_key(self) -> None:
        """The table has every key that there is, and no other."""
        tables = {"hosting": manifest._HOSTING, "game": manifest._GAME, "client": manifest._CLIENT}
        tables |= {kind: checks for kind, (checks, _) in manifest._TABLES.items()}
        known = {f"{table}.{key}" for table, checks in tables.items() for key in checks}
        section = DOCS.read_text("utf-8").partition("## `game.toml`")[2].partition("\n## ")[0]
        rows = [line for line in section.splitlines() if line.startswith("| `")]
        told = {key for row in rows for key in re.findall(r"`((?:hosting|lockstep|server|service|controller|client|game)\.\w+)`", row)}
        [others] = [row for row in rows if "`/create`" in row]
        told |= {f"lockstep.{key}" for key in re.findall(r"`(\w+)`", others.rpartition(":")[2])}
        self.assertEqual(told, known)

    def test_example(self) -> None:
        """The example is a bundle."""
        text = DOCS.read_text("utf-8").partition("```toml\n")[2].partition("```")[0]
        self.assertEqual(parse(text, {"commands.json": b"{}"}.__getitem__)[0].lockstep["command_schema"], {})


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
            ('kind = "lockstep"', 'kind = "chess"'): "hosting.kind must be lockstep or service or server or controller or relay",
            ('kind = "lockstep"', "kind = []"): "hosting.kind must be lockstep",
            ('kind = "lockstep"', 'kind = "relay"'): 'lockstep is for kind = "lockstep" alone, and hosting.kind is "relay"',
            ("", "[server]\n"): 'server is for kind = "server" alone, and hosting.kind is "lockstep"',
            ("", "[service]\n"): "service is for",
            ("", "[controller]\n"): "controller is for",
            ('encoding = "binary"', 'encoding = "binary"\ncommand_schema = {}'): 'lockstep.command_schema is for encoding = "json"',
            ("", '"\\u0007" = 1\n'): "'\\x07' is not known",
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

    def test_relay(self) -> None:
        """A relay game needs no table of its own."""
        self.assertEqual(parse('[hosting]\nkind = "relay"\n'), (Manifest(kind="relay"), None))

    def of_kind(self, kind: str, *lines: str) -> Manifest:
        return parse("\n".join([f'[hosting]\nkind = "{kind}"\n[{kind}]', *lines]))[0]

    def wrong(self, kind: str, *lines: str) -> str:
        return self.fault("\n".join([f'[hosting]\nkind = "{kind}"\n[{kind}]', *lines]))

    def test_server(self) -> None:
        """A server's table, with its defaults."""
        command = 'command = ["python3", "server.py"]'
        self.assertEqual(self.of_kind("server", command).server, Server(command=("python3", "server.py")))
        full = self.of_kind(
            "server", command, 'connect = "direct"', "ready_timeout = 0.5", "memory_mb = 65536", "[server.config]", 'map = "hills"', "rounds.most = 3"
        )
        self.assertEqual(
            full.server,
            Server(
                command=("python3", "server.py"),
                connect="direct",
                ready_timeout=0.5,
                memory_mb=65536,
                config={"map": "hills", "rounds": {"most": 3}},
            ),
        )
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(full.to_json()))), full)

    def test_server_faults(self) -> None:
        """Each value of a server is looked at."""
        command = 'command = ["x"]'
        for line, reason in {
            'command = "x"': "server.command must be a list of strings",
            "command = []": "server.command must be a list of strings",
            'command = [""]': "server.command must be a list of strings",
            'command = ["x", 1]': "server.command must be a list of strings",
            'command = ["x\\u0000"]': "without NUL",
            f"command = {['x'] * 257}": "up to 256 words",
            "": "server.command is missing",
            f'{command}\nconnect = "tls"': "server.connect must be proxy or direct",
            f"{command}\nready_timeout = 0": "server.ready_timeout must be a number of seconds above 0, up to 600",
            f"{command}\nready_timeout = 600.1": "server.ready_timeout must be",
            f"{command}\nready_timeout = nan": "server.ready_timeout must be",
            f"{command}\nready_timeout = true": "server.ready_timeout must be",
            f"{command}\nmemory_mb = 15": "server.memory_mb must be an integer from 16 to 65536",
            f"{command}\nmemory_mb = 65537": "server.memory_mb must be",
            f"{command}\nconfig = 1": "server.config must be a table",
            f"{command}\nconfig = {{a = 2026-01-01}}": "server.config must hold what JSON can say",
            f"{command}\nconfig = {{a = {2**64}}}": "server.config must hold what JSON can say",
            f"{command}\nconfig = {{a = {'[' * 240}{']' * 240}}}": "server.config must hold what JSON can say",
            f'{command}\nconfig = {{a = "{"x" * 32768}"}}': "server.config must not be over 32 KiB",
            f'{command}\nendpoint = "tcp:x:1"': "server.endpoint is not known",
        }.items():
            self.assertIn(reason, self.wrong("server", line), line)

    def test_service(self) -> None:
        """A service is a program of the bundle, or runs elsewhere; never both."""
        self.assertEqual(self.of_kind("service", 'command = ["x"]', "memory_mb = 16").service, Service(command=("x",), memory_mb=16))
        elsewhere = self.of_kind("service", 'endpoint = "tcp:rules.example:7100"')
        self.assertEqual(elsewhere.service, Service(endpoint="tcp:rules.example:7100"))
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(elsewhere.to_json()))), elsewhere)
        self.assertIn("exactly one of service.command, service.endpoint", self.wrong("service"))
        self.assertIn("exactly one of", self.wrong("service", 'command = ["x"]', 'endpoint = "tcp:x:1"'))
        self.assertIn("service.memory_mb is for a service.command", self.wrong("service", 'endpoint = "tcp:x:1"', "memory_mb = 16"))
        for endpoint in ('"rules.example"', '"tcp:"', '"tcp:a b"', "1", '"tcp:\\n"', '""'):
            self.assertIn("service.endpoint must be where to connect to", self.wrong("service", f"endpoint = {endpoint}"))

    def test_controller(self) -> None:
        """A controller plays a game by its name."""
        self.assertEqual(self.of_kind("controller", 'game = "connect-four"').controller, "connect-four")
        clocked = self.of_kind("controller", 'game = "loners"\nmove_seconds = 30\non_timeout = "bot"\nbot_level = 2\nviewers = false')
        self.assertEqual(clocked.lockstep, {"move_seconds": 30.0, "on_timeout": "bot", "bot_level": 2, "viewers": False})
        self.assertEqual(clocked.controller, "loners")
        self.assertIn("controller.move_seconds must be a number of seconds", self.wrong("controller", 'game = "loners"\nmove_seconds = true'))
        self.assertIn("controller.encoding is not known", self.wrong("controller", 'game = "loners"\nencoding = "json"'))
        self.assertIn("lockstep.move_seconds is not known", self.fault(LEAST + "move_seconds = 3\n"))
        self.assertIn("controller.game is missing", self.wrong("controller"))
        for game in ('"Connect Four"', '""', "4", '"../x"', f'"{"x" * 65}"'):
            self.assertIn("controller.game must be a name", self.wrong("controller", f"game = {game}"))
        self.assertIn("controller.game must be a game that gameroom knows: connect-four or loners", self.wrong("controller", 'game = "chess"'))

    def test_kinds_need_their_table(self) -> None:
        """What cannot be hosted without a table says which key is missing."""
        for kind, reason in {
            "lockstep": "lockstep.engine",
            "server": "server.command",
            "service": "service",
            "controller": "controller.game",
        }.items():
            self.assertIn(reason, self.fault(f'[hosting]\nkind = "{kind}"\n'))

    def test_json_files(self) -> None:
        """`command_schema` and `states` may name files of JSON: what these hold is kept."""
        files = {"c.json": b'{"type": "object"}', "deep/s.json": b'{"setup": {"states": {"a": {}}}}'}
        text = LEAST + 'command_schema = "c.json"\nstates = "deep/s.json"\n'
        manifest, _ = parse(text, files.__getitem__)
        self.assertEqual(manifest.lockstep, {"command_schema": {"type": "object"}, "states": {"setup": {"states": {"a": {}}}}})
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(manifest.to_json()))), manifest)
        self.assertIn("lockstep.command_schema names c.json, which is not there", self.fault(text))
        self.assertIn("lockstep.states must name a file", self.fault(LEAST + 'states = "../s.json"\n'))

    def test_files_of_commands(self) -> None:
        """A command names a file of the bundle where that is sure, and only there."""
        for words, file in {
            '"./run", "x"': "run",
            '"bin/run"': "bin/run",
            '"python3", "server.py"': "server.py",
            '"python3.12", "a/server.py"': "a/server.py",
            '"/usr/bin/node", "server.mjs"': "server.mjs",
            '"run"': None,
            '"/bin/run"': None,
            '"../run"': None,
            '"python3", "-u", "server.py"': None,
            '"python3", "/opt/server.py"': None,
            '"python3", "."': None,
            '"node", "server"': None,
            '"cat", "server.py"': None,
        }.items():
            for kind in ("server", "service"):
                named = self.of_kind(kind, f"command = [{words}]").files
                self.assertEqual(named, {} if file is None else {f"{kind}.command": file}, words)

    def test_served(self) -> None:
        """Only what is served or run here needs to be unpacked here."""
        self.assertTrue(self.of_kind("server", 'command = ["x"]').served)
        self.assertTrue(self.of_kind("service", 'command = ["x"]').served)
        self.assertTrue(parse(LEAST)[0].served)
        self.assertTrue(parse('[hosting]\nkind = "relay"\n[client]\nweb = "x.html"\n')[0].served)
        self.assertFalse(self.of_kind("service", 'endpoint = "tcp:x:1"').served)
        self.assertFalse(self.of_kind("controller", 'game = "loners"').served)
        self.assertFalse(parse('[hosting]\nkind = "relay"\n[client]\ncommand = ["./x"]\n')[0].served)
        self.assertFalse(PLAIN.served)

    def test_plain(self) -> None:
        """A file that is no bundle: relay, for all the players that the game takes."""
        self.assertEqual((PLAIN.kind, PLAIN.min_players, PLAIN.max_players, PLAIN.bundle), ("relay", 1, 64, False))
        self.assertEqual(Manifest.from_json(json.loads(json.dumps(PLAIN.to_json()))), PLAIN)

    def test_kept_before(self) -> None:
        """What was kept before there were other kinds is still read."""
        kept = {"kind": "lockstep", "min_players": 2, "max_players": 6, "engine": "e.js", "lockstep": {}, "command": [], "web": None}
        self.assertEqual(Manifest.from_json(kept), Manifest(kind="lockstep", min_players=2, max_players=6, engine="e.js"))

    def test_costly(self) -> None:
        """A file that would keep a reader busy for minutes, or be too deep for one, is refused at once."""
        for text in ("a." * 60_000 + "a = 1", "[" + "a." * 60_000 + "a]", "a = " + "[" * 60_000, "a = " + "{a = " * 20_000, "a = " + "9" * 100_000):
            self.fault(text)
        self.assertIn(f"line 2 has over {MOST_DOTS} dots", self.fault("\n" + "a." * 60_000))

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
