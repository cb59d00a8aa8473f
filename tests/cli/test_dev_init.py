"""`gameroom dev init` and `check`."""

from __future__ import annotations

import json
import re
import shutil
import tomllib
import zipfile
from pathlib import Path

from gameroom.cli import main
from gameroom.cli.dev_init import HOSTED, TEMPLATES, slug
from tests.cli import bundles
from tests.cli.dev_world import DevCase, inside

EXAMPLES = Path(__file__).parents[2] / "examples"


class InitTests(DevCase):
    def test_each_template_is_a_good_bundle(self) -> None:
        """What is written passes the checks, is of the kind that was asked for, and has a page where gameroom has none for it."""
        self.assertEqual(HOSTED, ("controller", "lockstep", "relay", "server", "service"))
        for kind in HOSTED:
            said = self.said("init", self.folder / kind, "--kind", kind, "--name", "My Game")
            self.assertEqual(said["files"], sorted(said["files"], key=lambda name: name.removeprefix(".")))
            found = self.said("check", self.folder / kind)
            self.assertEqual((found["kind"], found["bundle"], found["game"]["name"]), (kind, True, "My Game"))
            self.assertEqual("index.html" in [file["path"] for file in found["files"]], kind not in ("controller", "server"))
            self.assertEqual(found["left_out"], [])

    def test_what_to_do_next(self) -> None:
        """Rules that are a function can be checked, and whoever begins some is told so."""
        self.assertIn("gameroom dev check-service", self.done("init", self.folder / "a", "--kind", "service", "--name", "A"))
        self.assertNotIn("check-service", self.done("init", self.folder / "b", "--kind", "relay", "--name", "B"))

    def test_compiled_files_are_not_written(self) -> None:
        """Python files of a template that an installation has compiled stay where they are."""
        cache = TEMPLATES / "server" / "__pycache__"
        if not cache.exists():
            self.addCleanup(shutil.rmtree, cache)
            cache.mkdir()
        (cache / "server.test.pyc").write_bytes(b"\xff")
        self.addCleanup((cache / "server.test.pyc").unlink, missing_ok=True)
        names = self.said("init", self.folder / "a", "--kind", "server", "--name", "A")["files"]
        self.assertEqual(names, ["client.py", "game.toml", ".gameroomignore", "screen.py", "server.py", "trails.py"])

    def test_the_examples_are_what_is_written(self) -> None:
        """examples/ holds the server game as it is begun, and its client beside the GameServer in Node and on its own."""
        written = self.folder / "a"
        self.said("init", written, "--kind", "server", "--name", "Trails")
        files = {path.name: path.read_text() for path in written.iterdir() if path.name != ".gameroomignore"}
        for name in ("game-server-python", "game-server-node", "native-client"):
            programs = {path.name: path.read_text() for path in (EXAMPLES / name).glob("*.py")}
            self.assertEqual(programs, {each: files[each] for each in programs})
            self.assertIn("client.py", programs)
        for name in ("game-server-python", "game-server-node"):
            self.assertEqual((self.said("check", EXAMPLES / name)["kind"], self.said("check", EXAMPLES / name)["left_out"]), ("server", []))

    def test_settings_in_comments(self) -> None:
        """What the template of turn games leaves in comments may be taken in, line by line or all of it."""
        self.said("init", self.folder / "a", "--kind", "controller", "--name", "A")
        path = self.folder / "a" / "game.toml"
        lines = path.read_text().splitlines()
        settings = [place for place, line in enumerate(lines) if re.match(r"# (\w+ = |\[)", line)]
        self.assertEqual(len(settings), 7)
        bundles.write(path.parent, {"index.html": "<!doctype html>"})
        for taken in settings:
            lines[taken] = lines[taken].removeprefix("# ")
            path.write_text("\n".join(lines))
            self.said("check", path.parent)

    def test_any_name(self) -> None:
        """Quotes, markup and letters of all scripts are written as TOML and as HTML want them."""
        name = 'A "b" <c> & \\ Ünï 猫'
        self.said("init", self.folder / "a", "--name", name)
        self.assertEqual(tomllib.loads((self.folder / "a" / "game.toml").read_text())["game"]["name"], name)
        self.assertIn("<title>A &quot;b&quot; &lt;c&gt; &amp; \\ Ünï 猫</title>", (self.folder / "a" / "index.html").read_text())
        self.assertEqual(self.said("check", self.folder / "a")["game"]["name"], name)

    def test_folder_and_name_follow_each_other(self) -> None:
        """Without a folder it is called after the game, and without a name the game after the folder."""
        with inside(self.folder):
            self.assertEqual(self.said("init", "--name", "Cats & Dögs!")["folder"], "cats-dogs")
            self.assertEqual(self.said("init", "blue-moon")["name"], "Blue Moon")
            self.assertIn("--name", self.refused(2, "init"))
        self.assertEqual(slug("猫"), "game")

    def test_nothing_is_overwritten(self) -> None:
        """Where one of the files is there already none is written."""
        bundles.write(self.folder / "a", {"index.html": "mine"})
        self.assertIn("index.html is there already", self.refused(2, "init", self.folder / "a"))
        self.assertEqual([path.name for path in (self.folder / "a").iterdir()], ["index.html"])
        self.assertEqual((self.folder / "a" / "index.html").read_text(), "mine")

    def test_refused(self) -> None:
        """Kinds that there are not, and names that no game may have, each in a line; no file is written."""
        for arguments, words in (
            (("--kind", "other", "--name", "A"), "there is no hosting kind other"),
            (("--name", "x" * 65), "64"),
            (("--name", "a\x07b"), "--name"),
        ):
            self.assertIn(words, self.refused(2, "init", self.folder / "new", *arguments))
        self.assertFalse((self.folder / "new").exists())


class CheckTests(DevCase):
    def test_shown(self) -> None:
        """The kind, the players, the files by size, what is left out, and what would be sent."""
        shown = self.done("check", bundles.dots(self.folder / "dots", **{"big.js": "x" * 5000, ".secret": "x"}))
        self.assertIn("Dots 1.0.0: lockstep, 2 to 4 players", shown)
        self.assertLess(shown.index("big.js"), shown.index("engine.js"))
        self.assertIn("4 files", shown)
        self.assertIn("left out: .secret", shown)
        self.assertIn("SHA-256", shown)
        self.assertEqual(self.server.connections, 0)

    def test_many_files(self) -> None:
        """The largest are shown, and all of them with --all and as JSON."""
        folder = bundles.dots(self.folder / "dots", **{f"level{n:02}.json": "x" * n for n in range(30)})
        self.assertNotIn("level03", self.done("check", folder))
        self.assertIn("the 8 largest are shown", self.done("check", folder))
        self.assertIn("level03", self.done("check", folder, "--all"))
        self.assertEqual(len(self.said("check", folder)["files"]), 33)

    def test_any_file(self) -> None:
        """A file that is no bundle is handed out as it is; a ZIP with game.toml is one."""
        path = bundles.write(self.folder, {"game.exe": b"MZ" * 100}) / "game.exe"
        found = self.said("check", path)
        self.assertEqual((found["bundle"], found["kind"], found["size_bytes"], found["files"]), (False, "relay", 200, []))
        self.assertIn("has no game.toml", self.done("check", path))
        with zipfile.ZipFile(self.folder / "a.zip", "w") as archive:
            archive.write(bundles.dots(self.folder / "dots") / "game.toml", "game.toml")
            archive.writestr("engine.js", "")
            archive.writestr("index.html", "")
        self.assertEqual(self.said("check", self.folder / "a.zip")["game"]["name"], "Dots")

    def test_faults(self) -> None:
        """What the server would refuse is exit status 1 with the file and the reason; what cannot be read is 2."""
        folder = bundles.dots(self.folder / "dots")
        (folder / "engine.js").unlink()
        self.assertIn("engine.js", self.refused(1, "check", folder))
        bundles.write(folder, {"game.toml": "[hosting]\nkind = 5\n"})
        self.assertIn("game.toml: hosting.kind", self.refused(1, "check", folder))
        bundles.write(self.folder, {"bad.zip": b"PK\x03\x04 and no more"})
        self.assertIn("damaged", self.refused(1, "check", self.folder / "bad.zip"))
        self.assertIn("no such file or folder", self.refused(2, "check", self.folder / "nowhere"))

    def test_json_is_json(self) -> None:
        """A fault is a line on standard error with --json, too."""
        result = self.call("check", Path("/nowhere"), "--json")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertRaises(json.JSONDecodeError, json.loads, result.stderr)
        self.assertEqual(main.name, "main")
