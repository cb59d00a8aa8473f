"""What the entries of a bundle may be."""

from __future__ import annotations

import stat
import unicodedata
from zlib import crc32

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from gameroom.errors import InvalidRequest
from gameroom.rules.archive import Entry, check, check_places, extra_fields, fault

BAD_NAMES = {
    "": "no name",
    "/etc/passwd": "absolute",
    "//host/share": "absolute",
    "../x": "leads out",
    "a/../../x": "leads out",
    "a/..": "leads out",
    "..": "leads out",
    "a\\b": "backslash",
    "..\\..\\x": "backslash",
    "C:/x": "colon",
    "c:x": "colon",
    "a.txt:stream": "colon",
    "a\0b": "control character",
    "a\nb": "control character",
    "a\x7fb": "control character",
    "a\u202eb": "control character",
    "a\u2028b": "control character",
    "./x": "empty, or dots",
    "a/./x": "empty, or dots",
    "a//x": "empty, or dots",
    "/": "absolute",
    "...": "empty, or dots",
    "a/.. /x": "empty, or dots",
    " ": "empty, or dots",
    "x" * 256: "too long",
    "ä" * 128: "too long",
    "/".join(["abc"] * 257): "too long",
}
ODD_NAMES = ["a b.txt", "ä.png", "日本/ゲーム.js", "-x", ".hidden", "a..b", "x" * 255, "~", "$HOME", "a'b\"c", "🎲"]


def entry(name: str, **fields: object) -> Entry:
    return Entry(raw=name.encode(), **fields)  # type: ignore[arg-type]


class EntriesTests(SynchronousTestCase):
    """`check`."""

    def refused(self, *entries: Entry, most: int = 100) -> str:
        message: str = self.assertRaises(InvalidRequest, check, entries, most).message
        self.assertTrue(message.isprintable(), message)
        return message

    def test_names(self) -> None:
        """A name that could do harm anywhere is refused, with the name and why; also where it is a folder's."""
        for name, reason in BAD_NAMES.items():
            self.assertIn(reason, self.refused(entry(name)), name)
            if name and not name.endswith("/"):
                self.assertIn(reason, self.refused(entry(f"{name}/")), name)
                self.assertIn(reason, self.refused(entry("fine"), entry(f"{name}/x")), name)

    def test_good_names(self) -> None:
        """Whatever else people call their files is fine."""
        check([entry(name) for name in ODD_NAMES], 100)
        check([entry("a/"), entry("a/b/"), entry("a/b/c"), entry("a/d")], 4)

    def test_not_utf8(self) -> None:
        """A name in another encoding is not guessed at."""
        self.assertIn("not UTF-8", self.refused(Entry(raw=b"caf\x82")))

    def test_two_names(self) -> None:
        """The name that some tools take instead must be the same."""

        def named(other: bytes, of: bytes = b"a.txt") -> Entry:
            data = b"\x01" + crc32(of).to_bytes(4, "little") + other
            return entry("a.txt", extra=b"\x75\x70" + len(data).to_bytes(2, "little") + data)

        self.assertIn("two names", self.refused(named(b"../evil")))
        check([named(b"a.txt")], 1)
        check([named(b"../evil", of=b"was renamed")], 1)

    def test_kinds(self) -> None:
        """Links, devices, sockets and pipes are refused by their mode, and files that are called folders, and folders that are not."""
        self.assertIn("link", self.refused(entry("a", mode=stat.S_IFLNK | 0o777)))
        for kind in (stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK, stat.S_IFDIR, 0o030000):
            self.assertIn("neither file nor folder", self.refused(entry("a", mode=kind | 0o644)))
        self.assertIn("neither file nor folder", self.refused(entry("a/", mode=stat.S_IFREG | 0o644)))
        self.assertIn("link", self.refused(entry("a/", mode=stat.S_IFLNK | 0o644)))
        # Set-id bits are nobody's business: modes are not taken over.
        check([entry("a", mode=stat.S_IFREG | 0o4755), entry("b", mode=0o644), entry("c"), entry("d/", mode=stat.S_IFDIR | 0o755)], 4)

    def test_packing(self) -> None:
        """Only store and deflate, and no passwords of any kind."""
        for flag in (1, 1 << 6, 1 << 13):
            self.assertIn("encrypted", self.refused(entry("a", flags=flag)))
        for method in (1, 9, 12, 14, 93, 95, 99):
            self.assertIn(f"method {method}", self.refused(entry("a", method=method)))
        check([entry("a", method=0), entry("b", method=8)], 2)

    def test_twins(self) -> None:
        """Names that are one name somewhere are refused, be they files or folders."""
        for one, other in (
            ("a.js", "A.js"),
            ("é.js", "e\u0301.js"),
            ("É.js", "e\u0301.js"),
            ("straße", "STRASSE"),
            ("a/x", "A/y"),
            ("ä/x", "a\u0308/y"),
            ("a.", "a"),
            ("a /x", "a/y"),
            ("a", "A/b"),
            ("ﬁle", "FILE"),
            ("\u212b", "å"),
        ):
            self.assertIn("cannot tell it from", self.refused(entry(one), entry(other)), (one, other))
            self.assertIn("cannot tell it from", self.refused(entry(other), entry(one)), (one, other))

    def test_twice(self) -> None:
        """A name is there once."""
        self.assertIn("there twice", self.refused(entry("a"), entry("b"), entry("a")))
        self.assertIn("there twice", self.refused(entry("a/"), entry("a/")))

    def test_file_and_folder(self) -> None:
        """What is a file is no folder, whichever comes first."""
        for names in (("a", "a/b"), ("a/b", "a"), ("a", "a/"), ("a/", "a"), ("a/b/c", "a/b"), ("x/a", "x/a/b/c")):
            self.assertIn("a file and a folder", self.refused(*map(entry, names)), names)

    def test_counts(self) -> None:
        """So many files and so many folders, also where the folders are only in the files' names."""
        check([entry(f"f{number}") for number in range(5)], 5)
        self.assertIn("it may have 5", self.refused(*(entry(f"f{number}") for number in range(6)), most=5))
        self.assertIn("more than 5 folders", self.refused(entry("a/b/c/d/e/f/g"), most=5))

    def test_places(self) -> None:
        """No two entries share bytes, in whatever order they stand."""
        one, two = entry("a", offset=0, start=31, packed=10), entry("b", offset=41, start=72, packed=10)
        check_places([one, two])
        check_places([two, one])
        for offset in (0, 5, 40):
            twin = entry("b", offset=offset, start=offset + 31, packed=1)
            self.assertRaises(InvalidRequest, check_places, [one, twin])
            self.assertRaises(InvalidRequest, check_places, [twin, one])

    @settings(deadline=None)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=8).map(lambda text: text.replace("\\", "/")), max_size=6))
    def test_what_passes_is_harmless(self, names: list[str]) -> None:
        """What is not refused can be put below a folder on any system: each inside, and none over another."""
        try:
            check([entry(name) for name in names], 100)
        except InvalidRequest:
            return
        files = [name for name in names if not name.endswith("/")]
        assert len({unicodedata.normalize("NFC", name).casefold() for name in files}) == len(files)
        for name in names:
            parts = name.removesuffix("/").split("/")
            assert not {"", ".", ".."} & set(parts)
            assert ":" not in name
            assert "\0" not in name

    @settings(deadline=None)
    @given(st.text(max_size=300), st.text(max_size=20))
    def test_fault_can_be_shown(self, name: str, reason: str) -> None:
        """What a name does to a terminal it does not do in a message, and a long one is cut."""
        assume(reason.isprintable())
        message = fault(name, reason).message
        assert message.isprintable()
        assert message.endswith(reason)

    @settings(deadline=None)
    @given(st.binary(max_size=64))
    def test_extra_fields(self, extra: bytes) -> None:
        """Broken extra fields are left out."""
        for data in extra_fields(extra).values():
            assert data in extra
