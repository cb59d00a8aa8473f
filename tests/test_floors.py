"""The house's floors: imports go down only (docs/architecture.md)."""

from __future__ import annotations

import ast
import configparser
import re
import sys
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import attrs
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
HOUSE = ROOT / "gameroom"
TEMPLATES = HOUSE / "cli" / "templates"
"""Games to begin with: programs of their own, no part of the house."""
GAMES = HOUSE / "games"
"""Those that ship with it are programs of their own, too."""
MODULES = [path for path in sorted(HOUSE.rglob("*.py")) if not {TEMPLATES, GAMES} & {*path.parents}]

BESIDE = {
    f"gameroom{name}"
    for name in ("", ".build", ".deferring", ".errors", ".interfaces", ".lean_tcp", ".reactor", ".reactor_round", ".settings", ".shortcuts")
}
"""Beside the stairs: anybody may use these, and they use nobody but each other."""

FLOORS: dict[str, int] = {
    "gameroom.wire": 0,
    "gameroom.rules": 1,
    "gameroom.histogram": 0,
    "gameroom.metrics": 1,
    "gameroom.store": 2,
    **{
        f"gameroom.{name}": 3
        for name in (
            "accounts",
            "attendance",
            "catalogue",
            "developer_games",
            "downloads",
            "entrance",
            "gameservers",
            "gameservices",
            "hashing",
            "housekeeping",
            "listeners",
            "own_threads",
            "presence",
            "program_logs",
            "programs",
            "publishing",
            "refereed_room",
            "referees",
            "registry",
            "reviews",
            "room",
            "room_audience",
            "room_conversation",
            "room_ledger",
            "room_looks",
            "room_once",
            "room_plan",
            "room_receipts",
            "room_start",
            "room_transactions",
            "room_views",
            "shipped",
            "thinking",
            "thinking_process",
            "uploads",
        )
    },
    "gameroom.doors": 4,
    "gameroom.client": 4,
    "gameroom.cli": 5,
    "gameroom.config": 5,
    "gameroom.config_values": 5,
    "gameroom.daemon": 5,
    "gameroom.logs": 5,
    "gameroom.memory": 5,
    "gameroom.tap": 5,
    "gameroom.wiring": 5,
}


@attrs.frozen
class Import:
    """One module uses another, or a name in it."""

    by: str
    line: int
    module: str
    only_for_types: bool

    def __str__(self) -> str:
        return f"{self.by}:{self.line} imports {self.module}"


def floor_of(module: str) -> int | None:
    """The floor of a module or of a name in it; None beside the stairs. Raises KeyError for one that has no floor yet."""
    if module in BESIDE or (module.rpartition(".")[0] in BESIDE - {"gameroom"}) or module == "gameroom.__version__":
        return None
    parts = module.split(".")
    return FLOORS[".".join(parts[:2])]


def module_of(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path: Path) -> Iterator[Import]:
    tree = ast.parse(path.read_text())
    for_types = {
        id(inside)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for body in node.body
        for inside in ast.walk(body)
    }
    for node in ast.walk(tree):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are absolute"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            assert isinstance(node, ast.Import | ast.ImportFrom)
            yield Import(by=module_of(path), line=node.lineno, module=name, only_for_types=id(node) in for_types)


@cache
def all_imports() -> list[Import]:
    return [found for path in MODULES for found in imports_of(path)]


class FloorsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.imports = all_imports()

    def test_there_is_something_to_look_at(self) -> None:
        """The imports are really found: a door uses the wire."""
        self.assertTrue(any(found.by.startswith("gameroom.doors") and found.module.startswith("gameroom.wire") for found in self.imports))

    def test_every_module_has_a_floor(self) -> None:
        """A new module says where it lives, here."""
        homeless = []
        for path in MODULES:
            try:
                floor_of(module_of(path))
            except KeyError:
                homeless.append(module_of(path))
        self.assertEqual(homeless, [])

    def test_imports_go_down_only(self) -> None:
        """Nobody imports from a floor above."""
        wrong = []
        for found in self.imports:
            if not found.module.startswith("gameroom") or (found.only_for_types and found.by == "gameroom.interfaces"):
                continue
            mine, theirs = floor_of(found.by), floor_of(found.module)
            if theirs is not None and (mine is None or theirs > mine):
                wrong.append(str(found))
        self.assertEqual(wrong, [])

    def test_wire_and_rules_are_pure(self) -> None:
        """Bytes, values and rules know no Twisted, no web framework, no clock, no randomness and no files."""
        forbidden = {"twisted", "autobahn", "klein", "treq", "txpostgres", "psycopg2", "sqlite3"}
        forbidden |= {"asyncio", "socket", "threading", "time", "random", "secrets", "os"}
        wrong = [
            str(found)
            for found in self.imports
            if found.by.startswith(("gameroom.wire", "gameroom.rules")) and found.module.partition(".")[0] in forbidden
        ]
        self.assertEqual(wrong, [])

    def test_only_tap_names_the_reactor(self) -> None:
        """Everybody else is handed what they need of it."""
        named = [found for found in self.imports if found.module in ("twisted.internet.reactor", "twisted.internet.default")]
        wrong = [str(found) for found in named if found.by != "gameroom.tap"]
        self.assertEqual(wrong, [])

    def test_no_inline_callbacks(self) -> None:
        """`async def` inside, Deferreds at the edges."""
        self.assertEqual([str(found) for found in self.imports if found.module.endswith(".inlineCallbacks")], [])

    def test_what_is_imported_is_installed(self) -> None:
        """Every library that the house imports is named in setup.cfg, so that pip installs it."""
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        extras = config["options.extras_require"]
        lines = config["options"]["install_requires"] + extras["postgres"] + extras["compiled"]
        declared = {re.split(r"[^A-Za-z0-9._-]", line)[0].lower().replace("_", "-") for line in lines.split("\n") if line}
        by_module = packages_distributions()
        used = {found.module.partition(".")[0] for found in self.imports} - set(sys.stdlib_module_names) - {"gameroom"}
        missing = {module for module in used if not {name.lower().replace("_", "-") for name in by_module.get(module, [module])} & declared}
        self.assertEqual(missing, set())

    def test_packages_are_listed(self) -> None:
        """setup.cfg lists every package, so that none is left out of the wheel."""
        config = configparser.ConfigParser()
        config.read(ROOT / "setup.cfg")
        listed = set(config["options"]["packages"].split())
        there = {module_of(path) for path in HOUSE.rglob("__init__.py")}
        self.assertEqual(listed - {"twisted.plugins"}, there)
        self.assertFalse((ROOT / "twisted" / "__init__.py").exists() or (ROOT / "twisted" / "plugins" / "__init__.py").exists())


def test_sizes() -> None:
    """A module that outgrows 400 lines has found a second noun."""
    sizes = {module_of(path): len(path.read_text().splitlines()) for path in MODULES}
    assert {module: size for module, size in sizes.items() if size > 400} == {}
