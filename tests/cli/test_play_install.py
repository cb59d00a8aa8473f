"""A part becomes a folder, or nothing at all."""

from __future__ import annotations

import os
import stat
from hashlib import sha256
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.play_install import settle
from gameroom.cli.play_places import Place, Record, place_of
from gameroom.cli.reacting import CannotDo
from gameroom.client.download import Downloaded
from tests.zips import Raw, bundle, file

TOML = b'[hosting]\nkind = "relay"\n[client]\ncommand = ["./run", "--now"]\n'


class SettleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.downloads = Path(self.mktemp()).absolute()
        self.place: Place = place_of(self.downloads, "ann", "id-1", "Dots", "1.0.0")

    def settle(self, content: bytes) -> Record:
        self.place.part.write_bytes(content)
        done = Downloaded("1.0.0", len(content), sha256(content).hexdigest(), self.place.part)
        return settle(self.place, done, "id-1", "Dots", "a:7000")

    def names(self) -> set[str]:
        return {path.name for path in self.place.folder.parent.iterdir()}

    def test_a_bundle(self) -> None:
        """Unpacked, its programs can be run, all of it can be changed; the part is gone and the record there."""
        record = self.settle(bundle(file("run", b"#!/bin/sh\n", mode=0o100755), file("deep/er/a.txt", b"a"), toml=TOML))
        self.assertEqual((record.command, record.kind, record.bundle, record.allowed), (("./run", "--now"), "relay", True, False))
        self.assertEqual(self.names(), {".game_id", "1.0.0", "1.0.0.json"})
        self.assertEqual(self.place.installed("id-1", "1.0.0"), record)
        self.assertEqual(stat.S_IMODE((self.place.folder / "run").stat().st_mode), 0o755)
        self.assertEqual(stat.S_IMODE((self.place.folder / "deep" / "er").stat().st_mode), 0o755)
        (self.place.folder / "deep" / "er" / "a.txt").write_text("changed")
        self.assertTrue(stat.S_IMODE((self.place.folder / "game.toml").stat().st_mode) & 0o200)

    def test_a_plain_file(self) -> None:
        """As it is, by the name that it has on the server."""
        record = self.settle(b"\x7fELF whatever")
        self.assertEqual((record.bundle, record.command), (False, ()))
        self.assertEqual((self.place.folder / "bundle.bin").read_bytes(), b"\x7fELF whatever")
        self.assertFalse(self.place.part.exists())

    def test_hostile_bundles(self) -> None:
        """Nothing of one is unpacked, whatever the server says of it, and nothing of it stays."""
        bomb = file("bomb", bytes(40 << 20), method=8)
        for hostile in (
            bundle(file("../../escaped", b"x")),
            bundle(file("/tmp/escaped", b"x")),
            bundle(file("link", b"/etc/passwd", mode=stat.S_IFLNK | 0o777)),
            bundle(file("pipe", mode=stat.S_IFIFO | 0o666)),
            bundle(file("a", b"1"), file("A", b"2")),
            bundle(file("a", b"1"), file("a", b"2")),
            bundle(bomb),
            bundle(Raw(name=b"a", data=b"abc", crc=1)),
            bundle(file("a"), toml=b"[hosting]\nkind = 5\n"),
            bundle(file("a"))[:-1],
        ):
            with self.assertRaises(CannotDo) as caught:
                self.settle(hostile)
            self.assertIn("no good bundle", str(caught.exception))
            self.assertEqual(self.names(), {".game_id"})
        self.assertEqual([path.name for path in self.downloads.rglob("escaped")], [])
        self.assertFalse(os.path.lexists("/tmp/escaped"))

    def test_what_is_in_the_way_is_put_aside(self) -> None:
        """Another server's version of the same name may have somebody's saved games in it."""
        for number in range(2):
            self.place.folder.mkdir()
            (self.place.folder / "saved").write_text(str(number))
            self.settle(b"new")
            self.place.folder.joinpath("bundle.bin").unlink()
            self.place.folder.rmdir()
        kept = {path.name: (path / "saved").read_text() for path in self.place.folder.parent.glob("*.old*")}
        self.assertEqual(kept, {"1.0.0.old1": "0", "1.0.0.old2": "1"})

    def test_what_a_crash_has_left(self) -> None:
        """A half folder of an earlier try is in nobody's way."""
        staging = self.place.folder.with_name(".1.0.0.new")
        staging.mkdir()
        (staging / "half").write_text("x")
        self.settle(b"new")
        self.assertEqual(self.names(), {".game_id", "1.0.0", "1.0.0.json"})
        self.assertEqual([path.name for path in self.place.folder.iterdir()], ["bundle.bin"])
