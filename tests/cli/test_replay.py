"""`gameroom replay`, as it is called from a shell."""

from __future__ import annotations

import base64
import gzip
import json
import os
import re
import sys
from io import StringIO
from pathlib import Path
from typing import Any
from unittest.mock import patch

from click.testing import CliRunner, Result
from twisted.trial.unittest import SynchronousTestCase

from gameroom.cli import main
from gameroom.cli.output import print_table

PLAY = "11111111-2222-4333-8444-555555555555"
OTHER = "21111111-2222-4333-8444-555555555555"
Line = dict[str, Any]


def head(**fields: Any) -> Line:
    players = [{"seat": seat, "user_id": name, "name": name} for seat, name in enumerate(("Ann", "Bob", "Cat"))]
    about = {"engine": {"url": "https://a.example/e.js"}, "seed": 5, "configuration": {}, "players": players, "versions": {"gameroom": "1"}}
    return {"type": "play", "play_id": PLAY, **about, "input_delay": 2, "checksum_interval": 1, "started_at": "2026-01-02T03:04:05.000Z", **fields}


def master(generation: int, **fields: Any) -> Line:
    return {"t": 50 * generation, "type": "master", "generation": generation, "iterations_per_command": 3, "commands": {"0": [generation]}, **fields}


def agreed(generation: int, value: Any = "ab") -> Line:
    return {"checksum": {"generation": generation, "value": value}}


DIVERGED: Line = {
    "t": 300,
    "type": "divergence",
    "generation": 2,
    "groups": [{"value": {"a": "1", "b": "1"}, "seats": [0, 2]}, {"value": {"a": "1", "b": "2"}, "seats": [1]}],
    "sections": ["b"],
    "last_agreed": 1,
}
DUMPS = [
    {"t": 310 + seat, "type": "dump", "generation": 4, "seat": seat, "state": {"units": [{"x": 1}, {"x": 9 if seat == 1 else 2}], "gold": seat == 1}}
    for seat in (1, 0, 2)
]
OVER: Line = {"t": 900, "type": "over", "reason": "finished", "results": {"winner": 0}}
GOOD: list[Line] = [
    head(),
    master(0),
    master(1, commands={"0": [1], "2": [{"go": 1}]}),
    master(2, **agreed(0)),
    master(3, **agreed(1), system=[{"missed": [1]}]),
    master(4, **agreed(1)),
    DIVERGED,
    *DUMPS,
    master(5, **agreed(2), system=[{"evicted": 1}]),
    {"t": 320, "type": "state", "state": "running.paused.menu"},
    master(6, system=[{"dropped": 2}]),
    master(7, system=[{"rejoined": 2}]),
    master(8, commands={"0": [], "2": [1]}, system=[{"left": 0}], **agreed(7)) | {"commands": {"2": [1]}},
    OVER,
]


class ReplayCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.data = Path(self.mktemp())
        self.write(GOOD)

    def write(self, lines: list[Line], play_id: str = PLAY, end: bytes = b"") -> Path:
        path = self.data / "recordings" / play_id[:2] / f"{play_id}.ndjson"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"".join(json.dumps(line).encode() + b"\n" for line in lines) + end)
        return path

    def call(self, *arguments: str, given: bytes | None = None) -> Result:
        return CliRunner().invoke(main, ["replay", *arguments, *([] if "--data" in arguments else ["--data", str(self.data)])], input=given)

    def said(self, *arguments: str, status: int = 0) -> Any:
        result = self.call(*arguments, "--json")
        self.assertEqual(result.exit_code, status, result.output)
        return json.loads(result.stdout)

    def refused(self, *arguments: str, given: bytes | None = None) -> str:
        """One line on standard error, nothing else, exit status 2."""
        result = self.call(*arguments, given=given)
        self.assertEqual((result.exit_code, result.stdout, len(result.stderr.splitlines())), (2, "", 1), result.output)
        return result.stderr


class Screen(StringIO):
    """A terminal."""

    def isatty(self) -> bool:
        return True


class VerifyTests(ReplayCase):
    def faults(self, *lines: Line, end: bytes = b"") -> list[tuple[int, str]]:
        self.write(list(lines), end=end)
        result = self.call("verify", PLAY, "--json")
        said = json.loads(result.stdout)
        self.assertEqual((result.exit_code, said["valid"]), (1, False) if said["errors"] else (0, True))
        return [(fault["line"], fault["message"]) for fault in said["errors"]]

    def test_good(self) -> None:
        """A play with all that may happen in one holds together."""
        self.assertEqual(self.faults(*GOOD), [])
        self.assertIn("9 generations, agreed up to 7, 1 divergence, 0 errors", self.call("verify", PLAY).stdout)

    def test_faults(self) -> None:
        """Each promise that is broken is told with its line, and the lines after it are looked at too."""
        sealed = [*GOOD[:6], DIVERGED]
        for number, said, lines in (
            (3, "generation 1 should come here, not 2", [head(), master(0), master(2), master(3)]),
            (3, "generation 1 should come here, not 0", [head(), master(0), master(0), master(1)]),
            (2, "not in the order of seats", [head(), master(0, commands={"1": [1], "0": [1]})]),
            (2, "commands of seat 3, which nobody has", [head(), master(0, commands={"3": [1]})]),
            (3, "commands of seat 1, which has none", [head(), master(0, system=[{"dropped": 1}]), master(1, commands={"1": [1]})]),
            (2, "commands of seat 1, which has none", [head(), master(0, system=[{"missed": [1]}], commands={"1": [1]})]),
            (3, "commands of seat 1", [head(), master(0, system=[{"dropped": 1}]), master(1, system=[{"rejoined": 1}], commands={"1": [1]})]),
            (2, "rejoined: seat 1 plays", [head(), master(0, system=[{"rejoined": 1}])]),
            (2, "dropped: seat 1 has left", [head(), master(0, system=[{"left": 1}, {"dropped": 1}])]),
            (2, "dropped: there is no seat 7", [head(), master(0, system=[{"dropped": 7}])]),
            (2, "only who takes part can be missed", [head(), master(0, system=[{"missed": [4]}])]),
            (2, "no such system event", [head(), master(0, system=[{"moved": 1}])]),
            (2, "nothing has diverged before", [head(), master(0, system=[{"evicted": 1}])]),
            (3, "not of the interval 2", [head(checksum_interval=2), master(0), master(1, **agreed(1)) | agreed(3)]),
            (3, "which nobody had", [head(), master(0), master(1, **agreed(1))]),
            (5, "goes back, from generation 1 to 0", [head(), master(0), master(1), master(2, **agreed(1)), master(3, **agreed(0))]),
            (4, "has changed", [head(), master(0), master(1, **agreed(0)), master(2, **agreed(0, "cd"))]),
            (2, "iterations_per_command", [head(), master(0, iterations_per_command=0)]),
            (2, "this is no master", [head(), {"t": 0, "type": "master", "generation": 0}]),
            (2, "not of the kind", [head(), master(0, system=5)]),
            (3, "not of the kind", [head(), master(0), master(1, checksum={"generation": "0", "value": "a"})]),
            (2, "t must be", [head(), master(0, t=-1)]),
            (7, "mastered, not of 9", [*GOOD[:6], {**DIVERGED, "generation": 9}]),
            (7, "last_agreed is 0", [*GOOD[:6], {**DIVERGED, "last_agreed": 0}]),
            (7, "last_agreed is 2", [*GOOD[:6], {**DIVERGED, "last_agreed": 2}]),
            (7, "two groups at least", [*GOOD[:6], {**DIVERGED, "groups": DIVERGED["groups"][:1]}]),
            (7, "the same value", [*GOOD[:6], {**DIVERGED, "groups": [{"value": "a", "seats": [0]}, {"value": "a", "seats": [1]}]}]),
            (7, "in two groups", [*GOOD[:6], {**DIVERGED, "groups": [{"value": "a", "seats": [0]}, {"value": "b", "seats": [0]}]}]),
            (7, "which nobody has", [*GOOD[:6], {**DIVERGED, "groups": [{"value": "a", "seats": [0]}, {"value": "b", "seats": [9]}]}]),
            (7, "sections that differ are b", [*GOOD[:6], {**DIVERGED, "sections": ["a"]}]),
            (2, "nothing has diverged before", [head(), DUMPS[0]]),
            (8, "a dump is of a seat", [*sealed, {**DUMPS[0], "seat": 5}]),
            (4, "nothing comes after", [head(), master(0), OVER, master(1)]),
            (2, "no line of type", [head(), {"type": "elephant", "t": 0}]),
            (1, "must be of type play", [master(0)]),
            (1, "the head lacks seed", [{key: value for key, value in head().items() if key != "seed"}]),
            (1, "each with a seat of its own", [head(players=[{"seat": 0}, {"seat": 0}])]),
        ):
            with self.subTest(said=said):
                found = self.faults(*lines)
                self.assertTrue(any(line == number and said in message for line, message in found), f"{said}: {found}")

    def test_after_a_restart(self) -> None:
        """A restart forgets what was agreed, and who comes late may differ from what was agreed already."""
        self.assertEqual(self.faults(*GOOD[:6], {**DIVERGED, "last_agreed": None}), [])
        self.assertEqual(self.faults(*GOOD[:6], {**DIVERGED, "generation": 1, "last_agreed": 0}), [])

    def test_torn(self) -> None:
        """A torn last line is a note; damage before it is an error with its line."""
        self.assertEqual(self.faults(*GOOD[:5], end=b'{"t":5,"type":"mas'), [])
        self.assertIn("torn", self.call("verify", PLAY).stdout)
        self.assertEqual([line for line, _ in self.faults(*GOOD[:5], end=b"\0\0\0\n{}\n")], [6, 7])
        self.assertEqual(self.faults()[0][1], "the recording is empty")
        result = self.call("verify", PLAY)
        self.assertEqual((result.exit_code, result.stderr), (1, "line 1: the recording is empty\n"))

    def test_binary(self) -> None:
        """Binary masters are looked at as well."""
        from gameroom.wire.lockstep import BINARY

        def line(generation: int, data: bytes) -> Line:
            return {"t": 0, "type": "master", "generation": generation, "data": base64.b64encode(data).decode()}

        first = BINARY.master(0, 3, b"", [b"a"], [])
        second = BINARY.master(1, 3, BINARY.checksum(0, 77), [None, b"a"], [{"dropped": 1}])
        self.assertEqual(self.faults(head(encoding="binary"), line(0, first)), [])
        [(number, message)] = self.faults(head(encoding="binary"), line(0, first), line(1, second))
        self.assertEqual((number, message), (3, "there are commands of seat 1, which has none in this generation"))
        self.assertIn("no master", self.faults(head(encoding="binary"), line(0, first[:-1]))[0][1])


class ListTests(ReplayCase):
    def test_list(self) -> None:
        """The newest play first, with who played, how long, and how it ended; other files are no recordings."""
        self.write([head(play_id=OTHER, started_at="2026-02-02T03:04:05.000Z", engine={"game_id": "wet-paint"}), master(0)], OTHER, b'{"t":9')
        (self.data / "recordings" / "11" / "x.ndjson").write_bytes(b"garbage")
        first, second = self.said("list")
        self.assertEqual((first["play_id"], first["ended"], first["generations"]), (OTHER, None, 1))
        self.assertEqual((second["play_id"], second["ended"], second["generations"], second["milliseconds"]), (PLAY, "finished", 9, 900))
        lines = self.call("list").stdout.splitlines()
        rows = [line.split() for line in lines if line.strip().startswith((PLAY, OTHER))]
        self.assertEqual([row[0] for row in rows], [OTHER, PLAY])
        self.assertIn("wet-paint", rows[0])
        self.assertEqual(rows[1][-3:], ["0:00", "9", "finished"])

    def test_nothing(self) -> None:
        """A folder that is no daemon's is said in one line; one of a daemon in which nobody has played yet has an empty list."""
        fresh = self.data / "fresh"
        self.assertIn("--data", self.refused("list", "--data", str(fresh)))
        fresh.mkdir()
        (fresh / "lock").touch()
        self.assertEqual(self.call("list", "--data", str(fresh)).stdout, "No play has been recorded yet.\n")
        self.assertEqual(self.said("list", "--data", str(fresh)), [])

    def test_narrow(self) -> None:
        """On a terminal with too few columns for the table a play_id still stands in one piece, on a line of its own."""
        screen = Screen()
        self.patch(sys, "stdout", screen)
        with patch.dict(os.environ, {"COLUMNS": "60", "TERM": "xterm"}):
            print_table(["play", "players", "length#"], [[PLAY, "Ann, Bob, Cat", "0:07"], [OTHER, "Ann, Bob\x1b[2J", "1:00"]])
        lines = screen.getvalue().splitlines()
        self.assertEqual(lines, [PLAY, "    players Ann, Bob, Cat; length 0:07", OTHER, "    players Ann, Bob\\x1b[2J; length 1:00"])

    def test_folded(self) -> None:
        """Where that is asked for it is a table however narrow, and nothing of it is lost."""
        screen = Screen()
        self.patch(sys, "stdout", screen)
        with patch.dict(os.environ, {"COLUMNS": "30", "TERM": "xterm"}):
            print_table(["#", "game"], [[1, "W" * 64]], folded=True)
        shown = re.sub(r"\x1b\[[0-9;]*m", "", screen.getvalue())
        self.assertEqual(shown.count("W"), 64)
        self.assertIn("game", shown)
        self.assertLessEqual(max(map(len, shown.splitlines())), 30)


class ShowTests(ReplayCase):
    def test_show(self) -> None:
        """The head, what it came to, and what happened; masters only where something happened in them."""
        said = self.said("show", PLAY)
        self.assertEqual((said["head"], said["summary"]["generations"], said["summary"]["results"]), (GOOD[0], 9, {"winner": 0}))
        self.assertEqual([line["generation"] for line in said["lines"] if line["type"] == "master"], [3, 5, 6, 7, 8])
        text = self.call("show", PLAY).stdout
        self.assertIn('"name":"Bob"', text)
        self.assertIn('master 5  [{"evicted":1}]\n', text)
        self.assertIn("divergence 2  seats [0, 2] against [1], in b; all agreed up to 1\n", text)
        self.assertIn('"sections":["b"]', self.call("show", PLAY, "--masters").stdout)
        self.assertEqual(len(self.said("show", PLAY, "--masters")["lines"]), len(GOOD) - 1)

    def test_where_from(self) -> None:
        """A play_id, a file, a compressed file, or standard input."""
        path = self.write(GOOD)
        zipped = self.data / "kept.gz"
        zipped.write_bytes(gzip.compress(path.read_bytes()))
        texts = {self.call("show", source).stdout for source in (PLAY, PLAY.upper(), str(path), str(zipped))}
        for given in (path.read_bytes(), zipped.read_bytes()):
            texts.add(self.call("show", "-", given=given).stdout)
        self.assertEqual(len(texts), 1)

    def test_refused(self) -> None:
        """What cannot be read is one line."""
        self.assertIn("recordings has no recording of it; name the daemon's folder with --data", self.refused("show", OTHER))
        self.assertIn("/nowhere/at/all: there is no such file, and it is no play_id", self.refused("verify", "/nowhere/at/all"))
        self.assertIn("irectory", self.refused("show", str(self.data)))
        self.assertIn("standard input: this is no recording", self.refused("show", "-", given=b"hello\n"))
        self.assertIn("empty", self.refused("show", "-", given=b""))
        self.assertIn("not whole", self.refused("show", "-", given=gzip.compress(json.dumps(GOOD).encode())[:60]))
        self.refused("show", "-", given=b"\x1f\x8bgarbage")
        self.write([*GOOD[:3], {"no": "type"}][:3], end=b"}{\n")
        self.assertIn("line 4 is damaged", self.refused("show", PLAY))

    def test_nothing_that_a_terminal_obeys(self) -> None:
        """Names that players chose are shown, not carried out."""
        self.write([head(players=[{"seat": 0, "user_id": "x", "name": "\x1b[2J\x9b31m\u202eevil"}]), master(0)])
        for command in ("show", "list"):
            text = self.call(*([command, PLAY] if command == "show" else [command])).stdout
            self.assertIn("evil", text)
            self.assertFalse(any(character in text for character in "\x1b\x9b\u202e"))


class DiffTests(ReplayCase):
    def test_first(self) -> None:
        """One of the largest group against each other one: the first place that differs, and both values, by seat."""
        said = self.said("diff", PLAY, status=1)
        self.assertEqual([each["seats"] for each in said["compared"]], [[0, 2], [0, 1]])
        self.assertEqual([each["differences"] for each in said["compared"]], [[], [{"place": "/units/1/x", "0": 2, "1": 9}]])
        text = self.call("diff", PLAY).stdout
        self.assertIn("seats 0 and 2: no difference", text)
        self.assertIn("/units/1/x\n    seat 0: 2\n    seat 1: 9\n", text)

    def test_all(self) -> None:
        """Every place, where that is asked for."""
        said = self.said("diff", PLAY, "--all", status=1)
        self.assertEqual([each["place"] for each in said["compared"][1]["differences"]], ["/units/1/x", "/gold"])

    def test_binary(self) -> None:
        """Bytes are told by their place."""
        states = (b"abcdef", b"abXYef7")
        dumps = [{**DUMPS[0], "seat": seat, "state": base64.b64encode(state).decode()} for seat, state in enumerate(states)]
        self.write([head(encoding="binary"), DIVERGED, *dumps])
        said = self.said("diff", PLAY, "--all", status=1)
        found = [(each["place"], each["0"], each["1"]) for each in said["compared"][0]["differences"]]
        self.assertEqual(found, [("2", "63 64", "58 59"), ("6", "(nothing)", "37")])
        self.assertIn("byte 2\n", self.call("diff", PLAY).stdout)
        self.write([head(encoding="binary"), DIVERGED, *dumps[:1], {**dumps[1], "state": "no base64!"}])
        self.assertIn("cannot be compared", self.refused("diff", PLAY))

    def test_which(self) -> None:
        """Of several divergences the first that has states, or the one that is asked for."""
        second = [{**DIVERGED, "generation": 3}, *({**dump, "state": 1} for dump in DUMPS)]
        self.write([*GOOD[:6], {**DIVERGED, "generation": 1}, *GOOD[6:10], *second])
        self.assertEqual(self.said("diff", PLAY, status=1)["divergence"]["generation"], 2)
        self.assertEqual(self.said("diff", PLAY, "--divergence", "3")["divergence"]["generation"], 3)
        self.assertIn("there are 3", self.refused("diff", PLAY, "--divergence", "4"))
        self.assertIn("nothing to compare", self.refused("diff", PLAY, "--divergence", "1"))
        self.write(GOOD[:5])
        self.assertIn("nothing has diverged", self.refused("diff", PLAY))
