"""Settings from options, environment, file and defaults."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.config import DOORS_WITH_SECTION, OPTIONS, SECTIONS, Settings, is_local, read_limits, read_settings
from gameroom.config_values import ConfigError
from gameroom.settings import Limits

EXAMPLE = Path(__file__).parent.parent / "etc" / "gameroom.toml"


def settings(*, node: str = "here-1", environ: dict[str, str] | None = None, **given: Any) -> Settings:
    return read_settings({name.replace("_", "-"): value for name, value in given.items()}, environ or {}, node=node)


class FileCase(SynchronousTestCase):
    """With a file of settings to write."""

    def setUp(self) -> None:
        folder = TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.path = Path(folder.name, "gameroom.toml")

    def read(self, text: str, environ: dict[str, str] | None = None, **given: Any) -> Settings:
        self.path.write_text(text)
        return settings(config=str(self.path), environ=environ, **given)

    def refused(self, text: str = "", environ: dict[str, str] | None = None, **given: Any) -> str:
        """The one line that is said of settings that cannot be used."""
        error = self.assertRaises(ConfigError, self.read, text, environ, **given)
        self.assertNotIn("\n", str(error))
        return str(error).replace(str(self.path), "FILE")


class DefaultsTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """What stands in the table of docs/operations.md counts where nothing is said."""
        made = settings()
        self.assertEqual(
            (made.lobby, made.developer, made.game, made.web, made.admin),
            (("tcp:7000",), ("tcp:7001",), ("tcp:7002",), ("tcp:8080",), ("tcp:9090:interface=127.0.0.1",)),
        )
        self.assertEqual((made.public_host, made.public_url, made.json_log, made.drain, made.node), ("127.0.0.1", "", False, 30.0, "here-1"))
        self.assertEqual(made.data, Path("var").absolute())
        self.assertEqual(made.database, f"sqlite:{Path('var').absolute()}/gameroom.db")
        self.assertEqual(made.limits, Limits())

    def test_database_follows_data(self) -> None:
        """The embedded database is in the data folder, wherever that is."""
        self.assertEqual(settings(data="/srv/x").database, "sqlite:/srv/x/gameroom.db")


class PrecedenceTests(FileCase):
    def test_option_environment_file_default(self) -> None:
        """An option beats the environment, which beats the file, which beats the default."""
        text, environ = 'public-host = "file"\nnode = "file"\ndrain = 5', {"GAMEROOM_PUBLIC_HOST": "environment", "GAMEROOM_NODE": "environment"}
        made = self.read(text, environ, public_host="option")
        self.assertEqual((made.public_host, made.node, made.drain), ("option", "environment", 5.0))

    def test_config_from_environment(self) -> None:
        """The file itself may be named in the environment."""
        self.path.write_text("drain = 7")
        self.assertEqual(settings(environ={"GAMEROOM_CONFIG": str(self.path)}).drain, 7.0)

    def test_other_variables_are_ignored(self) -> None:
        """Only the table's options are looked for: what else begins with GAMEROOM_ is somebody else's."""
        self.assertEqual(settings(environ={"GAMEROOM_LINE_BYTES": "x", "GAMEROOM_": "x", "PUBLIC_HOST": "x"}), settings())

    def test_flag_in_each_place(self) -> None:
        """A flag may be given by each of the three."""
        self.assertTrue(settings(json_log=1).json_log)
        self.assertTrue(settings(environ={"GAMEROOM_JSON_LOG": "yes"}).json_log)
        self.assertFalse(self.read("json-log = true", {"GAMEROOM_JSON_LOG": "0"}).json_log)
        self.assertTrue(self.read("json_log = true").json_log)


class FileTests(FileCase):
    def test_sections(self) -> None:
        """The file's sections become the values that the parts are handed."""
        text = "[rooms]\nreconnect_window = 0.5\n[lockstep]\njournal = 'sync'\n[limits]\ncode_misses = 3\n[accounts]\nbcrypt_cost = 4"
        made = self.read(text)
        self.assertEqual((made.rooms.reconnect_window, made.rooms.room_ttl), (0.5, 120.0))
        self.assertEqual((made.lockstep.journal, made.limits.code_misses, made.accounts.bcrypt_cost), ("sync", 3, 4))

    def test_door_and_section(self) -> None:
        """A door whose name is a section's has its endpoint in there."""
        made = self.read("[web]\nendpoint = 'tcp:1 tcp:2'\norigins = ['https://a.example/']\ntrusted_proxies = ['10.0.0.0/8', 'unix']")
        self.assertEqual(made.web, ("tcp:1", "tcp:2"))
        self.assertEqual((made.web_settings.origins, made.web_settings.trusted_proxies), (("https://a.example",), ("10.0.0.0/8", "unix")))
        self.assertEqual(self.read("web = 'off'").web, ())

    def test_example_has_every_key(self) -> None:
        """etc/gameroom.toml names every key that is known, no other, and with its default where it has one."""
        text = EXAMPLE.read_text()
        live = settings(config=str(EXAMPLE))
        self.assertEqual(attrs.evolve(live, config=None), settings())
        every = re.sub(r"(?m)^#(?=[a-z_-]+ = )", "", text).replace('database = "sqlite:gameroom.db"\n', "")
        tree = tomllib.loads(every)
        sections = {name: set(table) for name, table in tree.items() if isinstance(table, dict)}
        known = {name: {field.name for field in attrs.fields(kind)} | ({"endpoint"} & set(sections[name])) for name, kind in SECTIONS.items()}
        self.assertEqual(sections, known)
        self.assertEqual(set(tree) - set(sections), {option.name for option in OPTIONS} - {"config", *DOORS_WITH_SECTION})

    def test_limits_are_read_again(self) -> None:
        """`read_limits` gives what stands in the file now, and refuses a file that broke meanwhile."""
        made = self.read("[limits]\ncode_misses = 3")
        self.path.write_text("[limits]\ncode_misses = 4")
        self.assertEqual(read_limits(made).code_misses, 4)
        self.path.write_text("[limits")
        self.assertRaises(ConfigError, read_limits, made)
        self.assertEqual(read_limits(settings()), Limits())


class RefusalTests(FileCase):
    def test_unknown_keys(self) -> None:
        """A key that nobody knows is refused by name, with what was meant where that is near."""
        self.assertEqual(self.refused("publik-host = 'x'"), "FILE: publik-host: unknown key; did you mean public-host?")
        self.assertEqual(self.refused("[limits]\nlogin_trys = 1"), "FILE: [limits] login_trys: unknown key; did you mean login_tries?")
        known = self.refused("zzz = 1").partition("known are ")[2].split(", ")
        self.assertEqual(sorted(set(known)), sorted(known))
        self.assertIn("web", known)
        self.assertIn("unknown key", self.refused("[zzz]\na = 1"))

    def test_said_twice(self) -> None:
        """One key in its two spellings is a mistake."""
        self.assertIn("twice", self.refused("json-log = true\njson_log = false"))
        self.assertIn("not possible here", self.refused("config = 'x'"))

    def test_bad_values(self) -> None:
        """Each bad value is refused in one line that names the place."""
        cases = [
            ("drain = 'long'", "FILE: drain: must be a number of seconds"),
            ("drain = -1", "FILE: drain: must be"),
            ("drain = nan", "FILE: drain: must be"),
            ("drain = true", "FILE: drain: must be"),
            ("lobby = ''", "FILE: lobby: must be text"),
            ("lobby = 7000", "FILE: lobby: must be text"),
            ("lobby = 'tcp:1 off'", "FILE: lobby: 'off' is no endpoint"),
            ("database = 'mysql://x'", "FILE: database: must be sqlite:"),
            ("public-host = 'http://x'", "FILE: public-host: 'http://x' is no host name"),
            ("public-url = 'x.example'", "FILE: public-url: 'x.example' must be a scheme"),
            ("public-url = 'https://x/y'", "FILE: public-url"),
            ("public-url = 'https://u:p@x'", "FILE: public-url"),
            ("public-url = 'https://x:99999'", "FILE: public-url"),
            ("json-log = 'perhaps'", "FILE: json-log: must be true or false"),
            ("[limits]\nlogin_tries = 0", "FILE: [limits] login_tries: must be a whole number of at least 1"),
            ("[limits]\nlogin_tries = 1.5", "FILE: [limits] login_tries"),
            ("[limits]\nlogin_tries = true", "FILE: [limits] login_tries"),
            ("[accounts]\nbcrypt_cost = 40", "FILE: [accounts] bcrypt_cost: must be a whole number of at least 4 and at most 31"),
            ("[lockstep]\njournal = 'never'", "FILE: [lockstep] journal: must be async or sync"),
            ("[sandbox]\nkind = 'docker'", "FILE: [sandbox] kind: must be bubblewrap or none"),
            ("[sandbox]\ndirect_ports = '20999-20000'", "FILE: [sandbox] direct_ports: must be a range of ports"),
            ("[sandbox]\ndirect_ports = '1-65536'", "FILE: [sandbox] direct_ports: must be a range of ports"),
            ("[sandbox]\ndirect_ports = 20000", "FILE: [sandbox] direct_ports: must be"),
            ("[sandbox]\ndirect_interface = 'eth0'", "FILE: [sandbox] direct_interface: 'eth0' is no IP address"),
            ("[server]\nping_interval = 0", "FILE: [server] ping_interval: must be at least 0.05 seconds"),
            ("[web]\norigins = 'https://x'", "FILE: [web] origins: must be a list"),
            ("[web]\ntrusted_proxies = ['x']", "FILE: [web] trusted_proxies: 'x' is no IP address"),
            ("[admin]\ntoken = ''", "FILE: [admin] token"),
            ("limits = 1", "FILE: limits: unknown key"),
            ("drain = 1\ndrain = 2", "FILE: "),
            ("drain = ", "FILE: "),
        ]
        for text, expected in cases:
            self.assertIn(expected, self.refused(text), text)

    def test_where_it_was_said(self) -> None:
        """A bad option and a bad variable are named as they were given."""
        self.assertIn("--drain: must be", self.refused(drain="x"))
        self.assertIn("GAMEROOM_DRAIN: must be", self.refused(environ={"GAMEROOM_DRAIN": "x"}))

    def test_no_such_file(self) -> None:
        """A file that cannot be read is named."""
        self.assertIn("No such file", str(self.assertRaises(ConfigError, settings, config="/nowhere/at/all.toml")))

    def test_admin_without_token(self) -> None:
        """An admin endpoint that others can reach needs a token."""
        self.assertIn("admin: tcp:9090 can be reached from elsewhere; set [admin] token", self.refused("admin = 'tcp:9090'"))
        self.assertIn("can be reached", self.refused("[admin]\nendpoint = 'tcp:1:interface=127.0.0.1 tcp:2'"))
        self.assertEqual(self.read("[admin]\nendpoint = 'tcp:9090'\ntoken = 'secret'").admin_token, "secret")


@pytest.mark.parametrize(
    ("endpoint", "local"),
    [
        ("tcp:9090:interface=127.0.0.1", True),
        ("tcp:interface=127.8.0.1:port=9090", True),
        ("tcp:9090:interface=localhost", True),
        (r"tcp6:9090:interface=\:\:1", True),
        ("unix:/run/gameroom.sock", True),
        ("ssl:9090:interface=127.0.0.1", True),
        ("tcp:9090", False),
        ("tcp:9090:interface=0.0.0.0", False),
        ("tcp:9090:interface=10.0.0.1", False),
        (r"tcp6:9090:interface=\:\:", False),
        ("tcp:9090:interface=127.0.0.1.example.org", False),
        ("systemd:domain=INET:index=0", False),
        ("haproxy:tcp:9090:interface=127.0.0.1", False),
        ("tcp:9090:interface=127.0.0.1:interface=0.0.0.0", False),
    ],
)
def test_is_local(endpoint: str, local: bool) -> None:
    """Only what this machine alone can reach needs no token; in doubt it does."""
    assert is_local(endpoint) is local


@given(st.dictionaries(st.sampled_from([option.name for option in OPTIONS if option.name != "config"]), st.text(max_size=20)))
def test_any_environment(given_: dict[str, str]) -> None:
    """Whatever the environment holds gives settings or a `ConfigError` of one line, never another exception."""
    environ = {"GAMEROOM_" + name.upper().replace("-", "_"): value for name, value in given_.items()}
    try:
        said = str(read_settings({}, environ, node="n").node)
    except ConfigError as error:
        said = str(error)
    assert "\n" not in said


class DocumentationTests(SynchronousTestCase):
    """docs/operations.md says what is so."""

    def setUp(self) -> None:
        self.text = (EXAMPLE.parent.parent / "docs" / "operations.md").read_text()

    def rows(self, heading: str) -> dict[str, list[str]]:
        """The first table under a heading, by the word in its first column."""
        part = self.text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
        rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line.startswith("| `")]
        return {re.split(r"[` ]", cells[0])[1]: cells for cells in rows}

    def test_options(self) -> None:
        """Its table of options has each option, its variable and its default."""
        rows = self.rows("Options")
        self.assertEqual(list(rows), [f"--{option.name}" for option in OPTIONS])
        for option in OPTIONS:
            cells = rows[f"--{option.name}"]
            self.assertEqual(cells[1], f"`{option.variable}`")
            if option.default:
                self.assertIn(str(option.default).removesuffix(".0"), cells[2])

    def test_limits(self) -> None:
        """Its table of limits has each limit and its default."""
        rows = self.rows("Limits")
        self.assertEqual(list(rows), [field.name for field in attrs.fields(Limits)])
        for field in attrs.fields(Limits):
            if field.default is not None:
                self.assertEqual(rows[field.name][2], str(field.default))

    def test_sections(self) -> None:
        """Every key of the other sections is named."""
        rows = self.rows("The file's sections")
        for name, kind in SECTIONS.items():
            if name != "limits":
                for field in attrs.fields(kind):
                    self.assertIn(f"`{field.name}`", rows[f"[{name}]"][1])
