"""Whether an uploaded file is a bundle, and a good one."""

from __future__ import annotations

import io
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import attrs
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.archive import Entry
from gameroom.rules.manifest import PLAIN, Manifest
from gameroom.settings import KIB, MIB, Limits
from gameroom.store.archives import Archive
from gameroom.store.bundle_check import examine, inspect
from tests.rules.test_archive import BAD_NAMES
from tests.zips import ENCRYPTED, LATER, LOCKSTEP, RELAY, Raw, archive, bundle, end, file


class CheckCase(SynchronousTestCase):
    """Has a file to look at."""

    def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="gameroom-check-"))
        self.addCleanup(shutil.rmtree, folder)
        self.path = folder / "upload"
        self.limits = Limits()

    def inspect(self, data: bytes) -> Manifest:
        self.path.write_bytes(data)
        return inspect(self.path, self.limits)

    def refused(self, data: bytes) -> str:
        self.path.write_bytes(data)
        message: str = self.assertRaises(InvalidRequest, inspect, self.path, self.limits).message
        self.assertTrue(message.isprintable(), message)
        return message


class PlainTests(CheckCase):
    """Files that are no bundles."""

    def test_any_file(self) -> None:
        """What is no ZIP is handed out as it is, whatever it is."""
        for data in (b"", b"P", b"PK", b"hello", b"MZ\x90" * 100, b"\x7fELF", b"[hosting]\n", RELAY):
            self.assertEqual(self.inspect(data), PLAIN)

    def test_zip_without_manifest(self) -> None:
        """An archive without a game.toml at its root is handed out as it is, though no bundle could be like that."""
        odd = [
            file("../x", b"x"),
            file("a", b"secret", flags=ENCRYPTED),
            file("b", b"packed", method=14),
            file("l", b"/etc/passwd", mode=0o120777),
            file("same"),
            file("same"),
        ]
        self.assertEqual(self.inspect(archive(odd)), PLAIN)
        for name in ("GAME.TOML", "my/game.toml", "./game.toml", "game.toml.txt", "game.toml/"):
            self.assertEqual(self.inspect(archive([file(name, b"nonsense")] if not name.endswith("/") else [file(name)])), PLAIN)
        self.assertEqual(self.inspect(archive([])), PLAIN)

    def test_more_files_than_a_bundle_has(self) -> None:
        """What is handed out as it is may have any number of files, and unpack to any size."""
        self.limits = Limits(bundle_files=3, bundle_unpacked_bytes=100)
        self.assertEqual(self.inspect(archive([file(str(number)) for number in range(9)])), PLAIN)
        self.assertEqual(self.inspect(archive([file("zeros", bytes(30 * MIB), method=8)])), PLAIN)

    def test_shared_bytes_are_read_once(self) -> None:
        """Entries without number that share megabytes, and unpack to nothing, do not hold a thread for hours."""
        nothing = b"\x00\x00\x00\xff\xff" * 100_000 + b"\x03\x00"
        one = Raw(name=b"a", method=8, packed=nothing)
        entries = [one, *(attrs.evolve(one, offset=0, packed_size=len(nothing)) for _ in range(5))]
        data = one.local() + b"".join(attrs.evolve(each, offset=0).central(0) for each in entries)
        directory = len(data) - len(one.local())
        read: list[int] = []
        real = Archive.chunks

        def counted(archive: Archive, entry: Entry) -> Iterator[bytes]:
            read.append(entry.packed)
            return real(archive, entry)

        self.patch(Archive, "chunks", counted)
        self.assertEqual(self.inspect(data + end(len(entries), directory, len(one.local()))), PLAIN)
        self.assertEqual(read, [len(nothing)])

    def test_prefix(self) -> None:
        """A program with an archive behind it is a program: nobody reads a game.toml in there."""
        self.assertEqual(self.inspect(b"#!/bin/sh\n" + bundle()), PLAIN)

    def test_too_large(self) -> None:
        """No file is over the limit, also none that is no bundle."""
        self.limits = Limits(bundle_bytes=10)
        self.assertEqual(self.inspect(b"x" * 10), PLAIN)
        self.assertIn("the file has 11 bytes; it may have 10", self.refused(b"x" * 11))

    def test_damaged(self) -> None:
        """What begins as a ZIP and cannot be read is refused, wherever it is cut off."""
        for entries in ([file("a", b"x" * 500), file("b", b"y" * 500, method=8)], [file("game.toml", RELAY), file("b", b"y" * 500, method=8)]):
            whole = archive(entries)
            for length in range(4, len(whole)):
                self.assertIn("damaged", self.refused(whole[:length]), length)
            self.assertIn("damaged", self.refused(whole + b"more"))
            self.assertIn("damaged", self.refused(whole + whole))
        for beginning in (b"PK\x03\x04", b"PK\x05\x06", b"PK\x06\x06", b"PK\x07\x08PK\x03\x04", b"PK00PK\x03\x04"):
            self.assertIn("damaged", self.refused(beginning + b"anything" * 10))

    def test_flipped(self) -> None:
        """A byte that has changed in a file's data is found, in plain archives as well."""
        for method in (0, 8):
            whole = archive([file("a", bytes(range(256)), method=method)])
            at = whole.index(b"a", 30) + 20
            self.assertIn("a: ", self.refused(whole[:at] + bytes([whole[at] ^ 255]) + whole[at + 1 :]))


class ArchiveTests(CheckCase):
    """Bundles that are hostile, or made badly."""

    def test_good(self) -> None:
        """A bundle of every tool is read: stored, deflated, with sizes behind, 64-bit ends, comments, folders, gaps."""
        said = Manifest(kind="lockstep", engine="engine.js")
        engine = file("engine.js", b"export default 1", method=8)
        self.assertEqual(self.inspect(bundle(engine, toml=LOCKSTEP)), said)
        head = file("game.toml", LOCKSTEP, method=8)
        for entries in (
            [head, engine],
            [engine, head],
            [attrs.evolve(head, flags=LATER), attrs.evolve(engine, flags=LATER)],
            [attrs.evolve(head, system=0, mode=0), attrs.evolve(engine, system=0, mode=0)],
            [head, engine, file("art/", mode=0o040755), file("art/ä.png"), file("leer/", b"", mode=0)],
            [head, engine, file("padded", b"x", local_extra=b"\0" * 7)],
        ):
            for end_of in ({}, {"large": True}, {"comment": b"a comment"}, {"between": b"APK Sig Block"}):
                self.assertEqual(self.inspect(archive(entries, **end_of)), said)

    def test_zipfile(self) -> None:
        """What Python's zipfile writes is read, also as a stream and with 64-bit sizes."""

        class Stream(io.RawIOBase):
            def __init__(self) -> None:
                self.data = b""

            def writable(self) -> bool:
                return True

            def write(self, data: Any) -> int:
                self.data += bytes(data)
                return len(data)

        for target in (io.BytesIO(), Stream()):
            with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as made:
                with made.open("game.toml", "w", force_zip64=True) as entry:
                    entry.write(RELAY)
                made.mkdir("a")
                made.writestr("a/ü", b"x" * 100_000)
            data = target.getvalue() if isinstance(target, io.BytesIO) else target.data
            self.assertEqual(self.inspect(data), Manifest(kind="relay"))

    def test_names(self) -> None:
        """No name leads anywhere else, is a twin, or is two things; the message says which."""
        for name, reason in BAD_NAMES.items():
            self.assertIn(reason, self.refused(bundle(file(name))))
        self.assertEqual(self.refused(bundle(file("readme"), file("README"))), "readme: some systems cannot tell it from 'README'; rename one")
        self.assertIn("cannot tell", self.refused(bundle(file("Game.toml"))))
        self.assertIn("a file and a folder", self.refused(bundle(file("a"), file("a/b"))))
        self.assertIn("game.toml: it is there twice", self.refused(bundle(file("game.toml", LOCKSTEP))))
        self.assertIn("a file and a folder", self.refused(bundle(file("game.toml/x"))))
        self.assertIn("not UTF-8", self.refused(bundle(Raw(name=b"caf\x82", flags=0))))

    def test_kinds(self) -> None:
        """Links, devices, what is encrypted, and what only some can unpack."""
        self.assertIn("evil: it is a link", self.refused(bundle(file("evil", b"/etc", mode=0o120777))))
        self.assertIn("it is a link", self.refused(bundle(file("evil", b"/etc", mode=0o120777, system=0))))
        self.assertIn("null: it is a device", self.refused(bundle(file("null", mode=0o020666))))
        self.assertIn("encrypted", self.refused(bundle(file("a", flags=ENCRYPTED))))
        self.assertIn("encrypted", self.refused(archive([file("game.toml", RELAY, flags=ENCRYPTED)])))
        self.assertIn("method 14", self.refused(bundle(file("a", b"x", method=14))))
        self.assertIn("holds bytes", self.refused(bundle(file("a/", b"x", mode=0o040755))))

    def test_header_and_directory(self) -> None:
        """An entry's own header must say what the directory says; else some tools would unpack something else."""
        for lie in (
            {"local_name": b"../b"},
            {"local_name": b"longer than that"},
            {"local_size": 5},
            {"offset": 3},
            {"offset": 2**31},
            {"packed_size": 10**6, "local_flags": LATER},
            {"packed_size": 10**6},
            {"local_flags": ENCRYPTED},
        ):
            message = self.refused(bundle(file("b", b"x" * 50, **lie)))
            self.assertTrue(message.startswith("b: "), message)
            self.assertIn("damaged", message)
        self.assertIn("another file", self.refused(bundle(file("b", disk=1))))

    def test_sizes_are_counted(self) -> None:
        """What comes out is counted, whatever the directory claims."""
        for size in (0, 99, 101, 2**32 - 2):
            for method in (0, 8):
                self.assertIn("b: what it holds is not", self.refused(bundle(file("b", b"x" * 100, method=method, size=size))))
        self.assertIn("b: what it holds is not", self.refused(bundle(file("b", b"x" * 100, crc=5))))
        self.assertIn("b: it cannot be unpacked", self.refused(bundle(file("b", b"x" * 100, method=8, packed=b"\xff" * 50))))
        packed = file("b", b"x" * 100, method=8).stored
        self.assertIn("b: it does not end", self.refused(bundle(file("b", b"x" * 100, method=8, packed=packed[:-2]))))
        self.assertIn("b: it does not end", self.refused(bundle(file("b", b"x" * 100, method=8, packed=packed + b"hidden"))))
        self.assertIn("b: ", self.refused(bundle(file("b", b"x" * 100, method=8, packed=packed + b"hidden" * 90_000))))

    def test_directory(self) -> None:
        """The directory is where its end says, as long, and as many."""
        entries = [file("game.toml", RELAY), file("b", b"x")]
        wrong: dict[str, list[int]] = {"count": [0, 1, 3, 65535], "size": [10, 10**6], "offset": [0, 10**6]}
        for lies in ({name: number} for name, numbers in wrong.items() for number in numbers):
            for large in (False, True):
                self.assertIn("damaged", self.refused(archive(entries, large=large, **lies)))  # type: ignore[arg-type]
        whole = archive(entries, large=True)
        at = whole.index(b"PK\x06\x06")
        for offset in (0, 4, 16, 20, 24, 32, 40, 48):
            self.assertIn("damaged", self.refused(whole[: at + offset] + b"\x77" + whole[at + offset + 1 :]), offset)

    def test_two_ends(self) -> None:
        """A comment that holds another end makes two archives of one: readers would not agree which."""
        evil = archive([file("game.toml", LOCKSTEP)])
        self.assertIn("two ends", self.refused(archive([file("game.toml", RELAY)], comment=evil)))
        self.assertIn("two ends", self.refused(archive([file("game.toml", RELAY)], comment=end(0, 0, 0))))
        # An archive in an archive is none of that.
        self.assertEqual(self.inspect(bundle(file("inner.zip", evil))).kind, "relay")

    def test_overlaps(self) -> None:
        """Entries that share their bytes, as in an archive that unpacks to thousands of times its size."""
        kernel = file("a", b"x" * 1000, method=8)
        first = len(file("game.toml", RELAY).local())
        self.assertIn("b: ", self.refused(bundle(kernel, attrs.evolve(kernel, name=b"b", offset=first))))
        twin = attrs.evolve(kernel, local_name=b"a")
        inside = file("q", twin.local() + b"tail")
        quoted = attrs.evolve(twin, offset=first + len(inside.local()) - len(inside.stored))
        message = self.refused(bundle(inside, quoted))
        self.assertIn("its bytes are also those of", message)

    def test_limits(self) -> None:
        """Packed, unpacked and count, each exactly."""
        whole = bundle(file("a", b"x" * 1000, method=8), file("b", b"y" * 1000))
        total = len(RELAY) + 2000
        for name, exact in (("bundle_bytes", len(whole)), ("bundle_unpacked_bytes", total), ("bundle_files", 3)):
            self.limits = Limits(**{name: exact})
            self.inspect(whole)
            self.limits = Limits(**{name: exact - 1})
            self.assertIn(str(exact - 1), self.refused(whole))

    def test_long_directory(self) -> None:
        """What is said beside the names is short: none of it is read at once else."""
        self.assertIn("b: its extra fields are over", self.refused(bundle(file("b", extra=bytes(3000)))))
        self.limits = Limits(bundle_files=10)
        long = [file(str(number), extra=bytes(60_000)) for number in range(5)]
        self.assertIn("far too long", self.refused(bundle(*long)))
        self.assertEqual(self.inspect(archive(long)), PLAIN)

    def test_ratio(self) -> None:
        """From 10 MiB on a bundle unpacks to 200 times its size at most, in one file or in many."""
        self.inspect(bundle(file("zeros", bytes(9 * MIB), method=8)))
        self.assertIn("over 200 times", self.refused(bundle(file("zeros", bytes(11 * MIB), method=8))))
        many = [file(f"zeros{number}", bytes(200 * KIB), method=8) for number in range(60)]
        self.assertIn("over 200 times", self.refused(bundle(*many)))
        noise = Random(1).randbytes(100 * KIB)
        self.inspect(bundle(file("zeros", bytes(11 * MIB), method=8), file("noise", noise)))

    def test_bomb_is_left_early(self) -> None:
        """A bomb is not unpacked to its end, and its claim of being small is not believed."""
        piece = zlib.compressobj(9, zlib.DEFLATED, -15)
        packed = b"".join(piece.compress(bytes(MIB)) for _ in range(64)) + piece.flush()
        self.limits = Limits(bundle_unpacked_bytes=1 * MIB)
        data = bundle(file("bomb", b"small", method=8, packed=packed))
        self.assertIn("bomb: with it the bundle unpacks to over 1048576 bytes (1 MiB)", self.refused(data))

    @settings(deadline=None)
    @given(st.data())
    def test_any_lie(self, data: st.DataObject) -> None:
        """Whatever the headers say, an archive is a good bundle, a plain file, or refused with our error."""
        numbers = st.none() | st.integers(0, 300) | st.sampled_from([0xFFFF, 0xFFFFFFFF, 0xFFFFFFFE, 2**31])
        names = st.sampled_from([b"game.toml", b"a", b"A", b"a/", b"a/b", b"../a", b"e\xcc\x81", b"\xc3\xa9", b"\xff", b"x" * 300, b""])
        entries = st.builds(
            Raw,
            name=names,
            data=st.binary(max_size=40) | st.just(RELAY),
            method=st.sampled_from([0, 0, 8, 14]),
            flags=st.integers(0, 2**16 - 1) | st.sampled_from([0, LATER]),
            mode=st.sampled_from([0, 0o100644, 0o120777, 0o040755]),
            extra=st.binary(max_size=12) | st.just(b"\x01\x00\x18\x00" + b"\x05" + bytes(23)),
            local_extra=st.binary(max_size=4),
            crc=st.none() | st.just(1),
            size=numbers,
            packed_size=numbers,
            local_name=st.none() | names,
            local_size=numbers,
            offset=numbers,
        )
        made = archive(
            data.draw(st.lists(entries, max_size=4)),
            count=data.draw(st.none() | st.integers(0, 65535)),
            size=data.draw(numbers),
            offset=data.draw(numbers),
            comment=data.draw(st.binary(max_size=8)),
            large=data.draw(st.booleans()),
        )
        self._must_answer(made)

    @settings(deadline=None)
    @given(st.integers(0, 400), st.binary(min_size=1, max_size=6), st.booleans())
    def test_any_damage(self, at: int, wrong: bytes, large: bool) -> None:
        """Bytes that were changed anywhere make no other error."""
        whole = archive([file("game.toml", LOCKSTEP, method=8), file("engine.js", b"x" * 80, method=8)], large=large)
        at %= len(whole)
        self._must_answer(whole[:at] + wrong + whole[at + len(wrong) :])

    def _must_answer(self, data: bytes) -> None:
        self.path.write_bytes(data)
        try:
            said = inspect(self.path, self.limits)
        except InvalidRequest as error:
            self.assertTrue(error.message.isprintable())
        else:
            self.assertIn(said.kind, ("relay", "lockstep"))


class ManifestTests(CheckCase):
    """What `game.toml` says, and the files that it names."""

    def test_bytes(self) -> None:
        """It is UTF-8, with a mark or without, and short."""
        self.assertEqual(self.inspect(bundle(toml=b"\xef\xbb\xbf" + RELAY)).kind, "relay")
        self.assertIn("game.toml: byte 2 is no UTF-8", self.refused(bundle(toml=b"# \xff")))
        self.assertIn("game.toml: it is over 128 KiB", self.refused(bundle(toml=RELAY + b"#" * (128 * KIB))))
        self.assertIn("game.toml: it is over 128 KiB", self.refused(archive([file("game.toml", bytes(30 * MIB), method=8, size=10)])))

    def test_key_and_reason(self) -> None:
        """A fault is told with the key."""
        self.assertIn("game.toml: hosting.kind must be", self.refused(bundle(toml=b'[hosting]\nkind = "chess"\n')))
        self.assertIn("game.toml: surprise is not known", self.refused(bundle(toml=b"surprise = 1\n" + RELAY)))
        self.assertIn("game.toml is no TOML", self.refused(bundle(toml=b"[")))

    def test_missing_files(self) -> None:
        """A file that is named must be there, and be a file."""
        self.assertEqual(self.refused(bundle(toml=LOCKSTEP)), "game.toml: lockstep.engine names engine.js, which is not there")
        self.assertIn("which is not there", self.refused(bundle(file("engine.js/", mode=0), toml=LOCKSTEP)))
        self.assertIn("which is not there", self.refused(bundle(file("Engine.js"), toml=LOCKSTEP)))
        web = RELAY + b'[client]\nweb = "site/index.html"\n'
        self.assertIn("client.web names site/index.html", self.refused(bundle(toml=web)))
        self.inspect(bundle(file("site/index.html"), toml=web))

    def test_commands(self) -> None:
        """A command's file is looked for where it is surely one of the bundle."""
        server = b'[hosting]\nkind = "server"\n[server]\ncommand = %s\n'
        for command in (b'["python3", "server.py"]', b'["./server"]', b'["bin/../server"]', b'["node", "server.py", "x"]'):
            if b".." not in command:
                self.assertIn("server.command names server", self.refused(bundle(toml=server % command)), command)
            self.inspect(bundle(file("server"), file("server.py"), toml=server % command))
        for command in (b'["python3", "-m", "server"]', b'["server"]', b'["/usr/bin/server", "server.py"]', b'["python3", "folder"]'):
            self.inspect(bundle(toml=server % command))

    def test_json_files(self) -> None:
        """The schema of commands and the states are files, read when the bundle comes; their faults are told with file and place."""
        toml = LOCKSTEP + b'command_schema = "rules/commands.json"\nstates = "states.json"\n'
        engine, schema = file("engine.js"), file("rules/commands.json", b'{"type": "object"}')
        states: dict[str, Any] = {"setup": {"states": {"teams": {}}}}
        good = file("states.json", b'{"setup": {"states": {"teams": {}}}}', method=8)
        self.assertEqual(self.inspect(bundle(engine, schema, good, toml=toml)).lockstep, {"command_schema": {"type": "object"}, "states": states})
        self.assertIn("game.toml: lockstep.states names states.json, which is not there", self.refused(bundle(engine, schema, toml=toml)))
        for wrong, reason in (
            (b"{", "states.json: lockstep.states must be JSON"),
            (b"[]", "states.json: lockstep.states must be an object"),
            (b'{"setup": {"states": {"teams": {"on": {"go": "nowhere"}}}}}', "(at /setup/states/teams/on/go)"),
            (b'{"a":' * 2000 + b"1" + b"}" * 2000, "states.json: "),
            (b" " * (MIB + 1), "states.json: it is over 1024 KiB"),
            (b"\xff", "states.json: lockstep.states must be JSON"),
        ):
            self.assertIn(reason, self.refused(bundle(engine, schema, file("states.json", wrong), toml=toml)))

    def test_game(self) -> None:
        """What `[game]` says comes along for who asks."""
        game = b'[game]\nname = "Dots"\ndescription = ""\ngame_type = "cli"\nmax_players = 2\nversion = "1.0"\n'
        self.path.write_bytes(bundle(toml=game + RELAY))
        entry = examine(self.path, self.limits)[1]
        assert entry is not None
        self.assertEqual(entry.name, "Dots")
