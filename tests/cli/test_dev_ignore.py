"""`.gameroomignore`."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli.dev_ignore import leaves_out, read

CASES: list[tuple[str, str, bool]] = [
    # the file's text, a path (folders end with a slash), whether it is left out
    ("", "index.html", False),
    ("", ".git/", True),
    ("", "deep/in/.DS_Store", True),
    ("", "__pycache__/", True),
    ("", "lib/node_modules/", True),
    ("", "node_modules", False),  # a file
    ("*.psd", "art/cat.psd", True),
    ("*.psd", "art/cat.psd.png", False),
    ("notes", "notes", True),
    ("notes", "deep/notes/", True),
    ("notes/", "notes", False),
    ("notes/", "deep/notes/", True),
    ("/notes", "notes", True),
    ("/notes", "deep/notes", False),
    ("art/*.png", "art/cat.png", True),
    ("art/*.png", "art/big/cat.png", False),
    ("art/*.png", "more/art/cat.png", False),
    ("art/**/*.png", "art/cat.png", True),
    ("art/**/*.png", "art/a/b/cat.png", True),
    ("**/raw", "a/b/raw", True),
    ("**/raw", "raw", True),
    ("raw/**", "raw/a/b", True),
    ("raw/**", "raw/", False),
    ("ca?.png", "cat.png", True),
    ("ca?x", "ca/x", False),
    ("[a-c]at.png", "bat.png", True),
    ("[!a-c]at.png", "bat.png", False),
    ("[^a-c]at.png", "rat.png", True),
    ("a.b", "axb", False),
    ("# *.js", "a.js", False),
    ("  *.js  ", "a.js", True),
    ("\ufeff*.js", "a.js", True),
    ("*.js\n!keep.js", "keep.js", False),
    ("!keep.js\n*.js", "keep.js", True),
    ("!.well-known", ".well-known/", False),
    ("a[", "a[", True),
    ("*.js\r\n*.ts\r\n", "a.ts", True),
]


class IgnoreTests(SynchronousTestCase):
    def test_patterns(self) -> None:
        """Each pattern speaks of what the documentation says, and of nothing else."""
        for text, path, out in CASES:
            self.assertEqual(leaves_out(read(text), path.rstrip("/"), path.endswith("/")), out, (text, path))
