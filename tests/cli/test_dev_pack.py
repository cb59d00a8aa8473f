"""A folder becomes a ZIP."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.dev_pack import CannotPack, Packed, fingerprint, pack
from tests.cli import bundles


class PackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def packed(self, folder: Path, name: str = "a.zip") -> Packed:
        return pack(folder, self.folder / name)

    def names(self, packed: Packed) -> list[str]:
        with zipfile.ZipFile(packed.path) as archive:
            return archive.namelist()

    def refused(self, folder: Path) -> str:
        return str(self.assertRaises(CannotPack, self.packed, folder))

    def test_same_files_same_bytes(self) -> None:
        """Neither the order in which they were written, nor their times and their other modes are in it."""
        files: dict[str, str | bytes] = {"game.toml": bundles.GAME_TOML, "z.js": "z" * 9999, "a/b.js": "ab", "a.js": "a", "a-b": "x", "ä.txt": "ä"}
        one = bundles.write(self.folder / "one", files)
        other = bundles.write(self.folder / "other", dict(reversed(files.items())))
        for number, path in enumerate(sorted(other.rglob("*"))):
            os.utime(path, (10**9 + number, 10**9 + number))
        (other / "z.js").chmod(0o600)
        first, second = self.packed(one), self.packed(other, "b.zip")
        self.assertEqual(first.path.read_bytes(), second.path.read_bytes())
        self.assertEqual(first.checksum, bundles.checksum_of(first.path.read_bytes()))
        self.assertEqual(first.size_bytes, first.path.stat().st_size)

    def test_what_is_said_of_each_file(self) -> None:
        """Names in order, 1980, modes 644 and 755, Unix; deflated but for what is compressed already; and what was there comes out."""
        folder = bundles.dots(self.folder / "dots", **{"b/run.sh": b"#!/bin/sh\n", "cat.png": b"png" * 500})
        (folder / "b" / "run.sh").chmod(0o775)
        with zipfile.ZipFile(self.packed(folder).path) as archive:
            infos = {info.filename: info for info in archive.infolist()}
            self.assertEqual(list(infos), ["b/run.sh", "cat.png", "engine.js", "game.toml", "index.html"])
            self.assertEqual({info.date_time for info in infos.values()}, {(1980, 1, 1, 0, 0, 0)})
            self.assertEqual({name: oct(info.external_attr >> 16) for name, info in infos.items() if "run" in name}, {"b/run.sh": "0o100755"})
            self.assertEqual(oct(infos["engine.js"].external_attr >> 16), "0o100644")
            kinds = {name: info.compress_type for name, info in infos.items()}
            self.assertEqual((kinds["cat.png"], kinds["engine.js"]), (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))
            self.assertEqual({info.create_system for info in infos.values()}, {3})
            for name in infos:
                self.assertEqual(archive.read(name), (folder / name).read_bytes())

    def test_private_keys(self) -> None:
        """A private key is not published by accident, whatever it is called; where a line with ! names it, it is meant."""
        for kind in ("", "RSA ", "OPENSSH ", "ENCRYPTED "):
            folder = bundles.dots(self.folder / f"key-{kind.strip()}", **{"b/server.txt": f"-----BEGIN {kind}PRIVATE KEY-----\nMIIE\n".encode()})
            self.assertIn("b/server.txt is a private key", self.refused(folder))
        (folder / ".gameroomignore").write_text("!b/server.txt\n")
        self.assertIn("b/server.txt", self.names(self.packed(folder)))
        folder = bundles.dots(self.folder / "public", **{"a.pem": b"-----BEGIN PUBLIC KEY-----\n", "b.md": b"As -----BEGIN PRIVATE KEY-----"})
        self.assertIn("a.pem", self.names(self.packed(folder)))

    def test_left_out(self) -> None:
        """Hidden files, __pycache__, node_modules and what .gameroomignore names; a folder that is left out is not looked into."""
        names = (".git/HEAD", "__pycache__/a.pyc", "node_modules/x/y.js", "art/cat.psd", "art/cat.txt", "raw/a")
        folder = bundles.dots(self.folder / "dots", **dict.fromkeys(names, "x"), **{".gameroomignore": "*.psd\nraw/\n"})
        (folder / "raw" / "link").symlink_to("nowhere")
        packed = self.packed(folder)
        self.assertEqual(self.names(packed), ["art/cat.txt", "engine.js", "game.toml", "index.html"])
        self.assertEqual(packed.left_out, (".git/", "__pycache__/", "art/cat.psd", "node_modules/", "raw/"))

    def test_names_are_the_same_everywhere(self) -> None:
        """A file system that takes letters apart from their accents makes no other bundle."""
        folder = bundles.dots(self.folder / "dots", **{"cafe\u0301.txt": "x"})
        self.assertIn("caf\u00e9.txt", self.names(self.packed(folder)))

    def test_refused(self) -> None:
        """What no bundle can hold is told with its name."""
        folder = bundles.dots(self.folder / "dots")
        (folder / "link").symlink_to("engine.js")
        self.assertIn("link is a link", self.refused(folder))
        (folder / "link").unlink()
        os.mkfifo(folder / "pipe")
        self.assertIn("pipe is no plain file", self.refused(folder))
        (folder / "pipe").unlink()
        Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_text("x")
        self.assertIn("no UTF-8", self.refused(folder))
        self.assertIn("there is no game.toml", self.refused(bundles.write(self.folder / "other", {"a": "b"})))

    def test_fingerprint(self) -> None:
        """It is another one once a file has changed, come or gone, and not for what is left out."""
        folder = bundles.dots(self.folder / "dots")
        before = fingerprint(folder)
        bundles.write(folder, {".swp": "x"})
        self.assertEqual(fingerprint(folder), before)
        os.utime(folder / "engine.js", (1, 1))
        changed = fingerprint(folder)
        self.assertNotEqual(changed, before)
        bundles.write(folder, {"new.js": "x"})
        self.assertNotEqual(fingerprint(folder), changed)
        (folder / "new.js").unlink()
        self.assertEqual(fingerprint(folder), changed)
