"""How `gameroom` answers a call that is not as it should be."""

from __future__ import annotations

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import main


class WrongCallTests(SynchronousTestCase):
    def wrong(self, *words: str) -> str:
        """What is said, in one line on standard error with exit status 2."""
        result = CliRunner().invoke(main, list(words), prog_name="gameroom")
        self.assertEqual((result.exit_code, result.stdout), (2, ""))
        self.assertEqual(result.stderr.count("\n"), 1)
        return result.stderr

    def test_one_line(self) -> None:
        """It names what is wrong, and where to read how it is right."""
        for words, parts in {
            ("nonsense",): ("gameroom: No such command 'nonsense'; ", "gameroom --help"),
            ("dev", "yank"): ("gameroom: Missing argument 'VERSION'; ", "dev yank --help"),
            ("dev", "push", "--bump", "x"): ("Invalid value for '--bump'", "dev push --help"),
            ("play", "game", "--loud"): ("No such option", "play game --help"),
            ("replay", "show", "--wh\x1b[31m"): ("\\x1b[31m", "replay show"),
        }.items():
            said = self.wrong(*words)
            for part in parts:
                self.assertIn(part, said)

    def test_help(self) -> None:
        """Who asks nothing is shown what there is to ask, and --version and --help are no errors."""
        self.assertIn("Commands:", CliRunner().invoke(main, []).output)
        for words in (["--version"], ["--help"], ["dev", "push", "--help"]):
            self.assertEqual(CliRunner().invoke(main, words).exit_code, 0)
