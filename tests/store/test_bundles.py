"""The files of the store: placed, unpacked, and put in order after a crash."""

from __future__ import annotations

import json
import os
import stat
import tempfile
import threading
from collections.abc import Sequence
from errno import ENOSPC, EXDEV
from pathlib import Path

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import NotFound
from gameroom.store import bundles, folders, unpacking
from gameroom.store.bundles import BundleFiles, DamagedBundle, Record
from gameroom.store.folders import remove_tree
from gameroom.store.free_disk import DiskFull, FreeDisk
from tests.zips import Raw, archive, bundle, file

ONE = "1" * 64
TWO = "2" * 64


def record(game_id: str = "g", version: str = "1.0.0", checksum: str = ONE) -> Record:
    return Record(
        game_id=game_id,
        version=version,
        size_bytes=5,
        checksum=checksum,
        uploaded_ms=1_700_000_000_123,
        developer="Ann",
        hosting={"kind": "relay"},
    )


class FilesCase(SynchronousTestCase):
    """Has a data folder, and a file to place."""

    def setUp(self) -> None:
        self.data = Path(tempfile.mkdtemp(prefix="gameroom-bundles-"))
        self.addCleanup(remove_tree, self.data)
        self.games = self.data / "uploadedGame"
        self.files = BundleFiles(self.data)
        self.source = self.data / "upload.part"
        self.source.write_bytes(b"hello")

    def place(self, data: bytes = b"hello", **fields: str) -> None:
        self.source.unlink()
        self.source.write_bytes(data)
        self.files.place(self.source, record(**fields))

    def tree(self) -> list[str]:
        return sorted(str(path.relative_to(self.games)) for path in self.games.rglob("*"))


class PlaceTests(FilesCase):
    """`place`, `path`, `remove`."""

    def test_layout(self) -> None:
        """A version's folder has the file as it came and what is known of it, and nothing else is left anywhere."""
        self.place()
        self.assertEqual(self.tree(), ["g", "g/1.0.0", "g/1.0.0/bundle.bin", "g/1.0.0/manifest.json"])
        self.assertEqual(self.files.path("g", "1.0.0"), self.games / "g" / "1.0.0" / "bundle.bin")
        self.assertEqual(
            json.loads((self.games / "g" / "1.0.0" / "manifest.json").read_bytes()),
            {
                "game_id": "g",
                "version": "1.0.0",
                "size_bytes": 5,
                "checksum": ONE,
                "uploaded_at": "2023-11-14T22:13:20.123Z",
                "developer": "Ann",
                "hosting": {"kind": "relay"},
            },
        )

    def test_zip(self) -> None:
        """A ZIP is called one, be it a bundle or not."""
        for version, data in (("1.0.0", bundle()), ("2.0.0", archive([file("a")]))):
            self.place(data, version=version)
            self.assertEqual(self.files.path("g", version).name, "bundle.zip")
            self.assertEqual(self.files.path("g", version).read_bytes(), data)

    def test_other_file_system(self) -> None:
        """Where the file cannot be linked it is copied; else its bytes are shared."""
        self.place()
        self.assertTrue(self.files.path("g", "1.0.0").samefile(self.source))
        self.patch(os, "link", self._fails(EXDEV))
        self.place(version="2.0.0")
        self.assertFalse(self.files.path("g", "2.0.0").samefile(self.source))
        self.assertEqual(self.files.path("g", "2.0.0").read_bytes(), b"hello")

    def _fails(self, number: int) -> object:
        def fail(*args: object) -> None:
            raise OSError(number, os.strerror(number))

        return fail

    def test_again(self) -> None:
        """A version that is placed again is replaced, whatever a crash has left beside it."""
        self.place(b"first")
        for leftover in (".new-1.0.0", ".old-1.0.0"):
            (self.games / "g" / leftover / "folder").mkdir(parents=True)
        self.place(bundle())
        self.assertEqual(self.tree(), ["g", "g/1.0.0", "g/1.0.0/bundle.zip", "g/1.0.0/manifest.json"])

    def test_failure(self) -> None:
        """Where the disk is full there is what was there before, and nothing half."""
        self.place(b"first")
        before = self.tree()
        self.patch(bundles, "to_disk", self._fails(ENOSPC))
        self.assertRaises(OSError, self.place, b"second")
        self.assertRaises(OSError, self.place, b"other", version="2.0.0")
        self.assertEqual(self.tree(), before)
        self.assertEqual(self.files.path("g", "1.0.0").read_bytes(), b"first")

    def test_on_the_disk_before_it_is_seen(self) -> None:
        """The file, what is known of it and the folder are on the disk before the version's folder has its name, and then that."""
        done: list[str] = []
        real = folders.to_disk

        def noting(path: Path) -> None:
            done.append(f"{path.name} {(self.games / 'g' / '1.0.0').exists()}")
            real(path)

        self.patch(bundles, "to_disk", noting)
        self.place()
        self.assertEqual(done, ["bundle.bin False", "manifest.json False", ".new-1.0.0 False", "g True"])

    def test_names(self) -> None:
        """Nothing is named outside of the folder, whatever the names are."""
        for game_id, version in (
            ("..", "1.0.0"),
            ("g", ".."),
            ("", "1"),
            ("g", ""),
            ("a/b", "1"),
            ("g", "1/2"),
            ("g", ".new-1"),
            ("g\0", "1"),
            ("g\n", "1"),
        ):
            for work in (self.files.path, self.files.remove):
                self.assertRaises(NotFound, work, game_id, version)
            self.assertRaises(NotFound, self.files.place, self.source, record(game_id=game_id, version=version))
            self.assertRaises(NotFound, self.files.unpacked, game_id, version, ONE)
        self.assertRaises(ValueError, self.files.unpacked, "g", "1.0.0", "../x")
        self.place(version="1.0.0-rc.1+build.5")

    def test_remove(self) -> None:
        """A version that is removed is not there; nor is one that never was."""
        self.place()
        self.files.remove("g", "1.0.0")
        self.files.remove("g", "1.0.0")
        self.assertRaises(NotFound, self.files.path, "g", "1.0.0")


class UnpackTests(FilesCase):
    """`unpacked`."""

    def unpack(self, *entries: Raw, checksum: str = ONE) -> Path:
        self.place(bundle(*entries), checksum=checksum)
        return self.files.unpacked("g", "1.0.0", checksum)

    def mode(self, path: Path) -> int:
        return stat.S_IMODE(path.stat().st_mode)

    def test_files(self) -> None:
        """All files are there, in folders of their own, read-only; of their modes only counts whether they are programs."""
        folder = self.unpack(
            file("a/b/c.txt", b"deep", method=8),
            file("leer/", mode=0o040777),
            file("run", b"x", mode=0o104755),
            file("set", b"x", mode=0o102666),
            file("script", b"#!/bin/sh\n", mode=0, system=0),
            file("elf", b"\x7fELF...", mode=0, system=0),
            file("data", b"\x7fELF...", mode=0o100644),
            file("none", b"", mode=0, system=0),
        )
        self.assertEqual(folder, self.data / "unpacked" / ONE)
        self.assertEqual((folder / "a" / "b" / "c.txt").read_bytes(), b"deep")
        found = {path.name: self.mode(path) for path in folder.rglob("*") if path.is_file()}
        programs = {name for name, mode in found.items() if mode == 0o555}
        self.assertEqual(programs, {"run", "script", "elf"})
        self.assertEqual({name for name, mode in found.items() if mode == 0o444}, set(found) - programs)
        self.assertEqual({self.mode(path) for path in [folder, *folder.rglob("*")] if path.is_dir()}, {0o555})
        self.assertEqual(list((folder / "leer").iterdir()), [])

    def test_once(self) -> None:
        """What is unpacked is not unpacked again, also by the next daemon."""
        folder = self.unpack(file("a"))
        made = folder.stat().st_ino
        self.assertEqual(BundleFiles(self.data).unpacked("g", "1.0.0", ONE).stat().st_ino, made)

    def test_two_at_once(self) -> None:
        """Two threads that ask at the same time get the same whole folder, and leave nothing beside it."""
        self.place(bundle(*(file(f"f{number}", b"x" * 1000) for number in range(50))))
        together = threading.Barrier(2)
        real = folders.tree_to_disk

        def meet(folder: Path) -> None:
            real(folder)
            together.wait(10)

        self.patch(unpacking, "tree_to_disk", meet)
        found: list[Path] = []
        threads = [threading.Thread(target=lambda: found.append(self.files.unpacked("g", "1.0.0", ONE))) for _ in range(2)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(found, [self.data / "unpacked" / ONE] * 2)
        self.assertEqual(len(list(found[0].iterdir())), 51)
        self.assertEqual(list((self.data / "unpacked").iterdir()), found[:1])

    def test_not_there(self) -> None:
        """A bundle whose file is gone cannot be unpacked."""
        self.assertRaises(NotFound, self.files.unpacked, "g", "1.0.0", ONE)

    def test_damaged(self) -> None:
        """A file that is no good bundle any more is told of with its path, and nothing of it stays."""
        evil = [
            bundle(file("../../evil", b"x")),
            bundle(file("a", b"x", crc=7)),
            bundle(file("l", b"/etc", mode=0o120777)),
            bundle()[:-3],
            b"no zip at all, and long enough to be one",
        ]
        for data in evil:
            self.place(data)
            error = self.assertRaises(DamagedBundle, self.files.unpacked, "g", "1.0.0", ONE)
            self.assertIn("uploadedGame/g/1.0.0/bundle.", str(error))
            self.assertEqual(list((self.data / "unpacked").iterdir()), [])
        self.assertFalse((self.data / "evil").exists())

    def test_disk_full(self) -> None:
        """What would use up the disk's reserve is not unpacked; what fills it nevertheless leaves nothing."""
        self.patch(FreeDisk, "spare", lambda disk: 40)
        self.assertRaises(DiskFull, self.unpack, file("a", b"x" * 60))

        def full(folder: Path) -> None:
            raise OSError(ENOSPC, "No space left on device")

        self.patch(FreeDisk, "spare", lambda disk: 40_000)
        self.patch(unpacking, "tree_to_disk", full)
        self.assertRaises(DiskFull, self.unpack, file("a", b"x" * 60))
        self.assertEqual(list((self.data / "unpacked").iterdir()), [])

    def test_disk_full_by_others(self) -> None:
        """Two that are unpacked at once had each seen room for itself; the reserve is kept all the same."""
        spare = iter((1 << 30, 1 << 20, 0))
        self.patch(FreeDisk, "_look", lambda disk: (next(spare), 1 << 30))
        self.assertRaises(DiskFull, self.unpack, *(file(f"f{number}", b"x" * (512 << 10)) for number in range(4)))
        self.assertEqual(list((self.data / "unpacked").iterdir()), [])

    def test_small_files_count(self) -> None:
        """Each file takes a block of the disk, however little it holds."""
        self.patch(FreeDisk, "spare", lambda disk: 20_000)
        self.assertRaises(DiskFull, self.unpack, *(file(f"f{number}") for number in range(10)))


class ReconcileTests(FilesCase):
    """`reconcile`."""

    def reconcile(self, known: dict[tuple[str, str], str], games: Sequence[str] = ("g", "h")) -> list[str]:
        """Do it; the lines that were logged."""
        with capturedLogs() as events:
            self.files.reconcile(known, games)
        return [str(formatEvent(event)) for event in events]

    def test_fresh(self) -> None:
        """A data folder without games is fine."""
        self.assertEqual(self.reconcile({}), [])

    def test_left_overs(self) -> None:
        """Versions that the database does not know, and what was under way, are removed; what it knows stays."""
        self.place()
        self.place(version="2.0.0")
        self.place(game_id="h")
        (self.games / "g" / ".new-3.0.0").mkdir()
        (self.games / "g" / ".old-1.0.0").mkdir()
        (self.games / "g" / "stray").write_bytes(b"")
        lines = self.reconcile({("g", "1.0.0"): ONE})
        self.assertEqual(self.tree(), ["g", "g/1.0.0", "g/1.0.0/bundle.bin", "g/1.0.0/manifest.json"])
        self.assertEqual(len(lines), 5)
        self.assertEqual(self.reconcile({("g", "1.0.0"): ONE}), [])

    def test_another_database(self) -> None:
        """A game that the database does not know at all is left alone, with one line: it may be the wrong database."""
        self.place()
        self.place(game_id="h")
        before = self.tree()
        [line] = self.reconcile({}, games=())
        self.assertIn("2 games in", line)
        self.assertIn("is it the right database?", line)
        self.assertEqual(self.tree(), before)

    def test_missing(self) -> None:
        """Versions whose file is missing are told of in one line."""
        [line] = self.reconcile({("g", f"{number}.0.0"): ONE for number in range(5)})
        self.assertIn("5 versions are in the database and not in", line)
        self.assertIn("g 0.0.0, g 1.0.0, g 2.0.0, …", line)

    def test_unpacked(self) -> None:
        """Unpacked folders stay while a version has that checksum; half ones never do."""
        self.place(bundle())
        self.place(bundle(), version="2.0.0", checksum=TWO)
        self.files.unpacked("g", "1.0.0", ONE)
        self.files.unpacked("g", "2.0.0", TWO)
        half = self.data / "unpacked" / f".{ONE}.0123"
        half.mkdir()
        (half / "file").write_bytes(b"")
        (half / "file").chmod(0o444)
        half.chmod(0o555)
        self.reconcile({("g", "1.0.0"): ONE})
        self.assertEqual([path.name for path in (self.data / "unpacked").iterdir()], [ONE])

    def test_links(self) -> None:
        """A link is no folder of ours: it is not followed."""
        outside = self.data / "outside"
        (outside / "1.0.0").mkdir(parents=True)
        self.games.mkdir()
        (self.games / "g").symlink_to(outside)
        self.reconcile({})
        self.assertTrue((outside / "1.0.0").exists())
        (self.games / "h").mkdir()
        (self.games / "h" / "1.0.0").symlink_to(outside)
        self.reconcile({})
        self.assertFalse((self.games / "h").exists())
        self.assertTrue((outside / "1.0.0").exists())
