"""What docs/protocol/bundles.md says of running a bundle's program is so."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from gameroom.gameservers.servers import _environment
from gameroom.gameservers.values import Participant, ServerOrder
from gameroom.program_logs import GAME_BYTES, LINE_BYTES
from gameroom.programs.output import SECOND_BYTES
from gameroom.programs.sandbox import ENVIRONMENT, OPEN_FILES, PROCESSES
from gameroom.programs.watch import CORES, SURPLUS
from gameroom.rules.manifest import Server
from gameroom.settings import SandboxSettings

PAGE = (Path(__file__).parents[2] / "docs/protocol/bundles.md").read_text("utf-8")
SECTION = PAGE.partition("## Running a bundle's program")[2].partition("\n## ")[0]


class PageTests(SynchronousTestCase):
    def test_environment(self) -> None:
        """Each variable is named, and no other."""
        order = ServerOrder(
            room_id="r",
            game_id="g",
            version="1.0.0",
            folder=Path("/bundle"),
            server=Server(command=("./server",), connect="direct"),
            max_players=1,
            players=(Participant(seat=0, id="ada", name="ada"),),
        )
        found = {*_environment(order, 20000), *ENVIRONMENT, "LISTEN_PID"}
        rows = SECTION.partition("| environment | |")[2].partition("\n\n")[0]
        named = {word for row in rows.split("\n") for word in row.partition(" | ")[0].strip("| ").replace("`", "").split(", ")}
        self.assertEqual(named - {"", "---|---"}, found)
        players = _environment(order, 20000)["GAMEROOM_PLAYERS"].replace('":', '": ').replace(',"', ', "')
        self.assertIn(players.rstrip("]"), rows)
        self.assertIn(f"`{ENVIRONMENT['PATH']}`", rows)

    def test_bounds(self) -> None:
        """So are the numbers."""
        first, last = SandboxSettings().direct_ports
        self.assertEqual(CORES, 1)
        for said in (
            f"| processes and threads | {PROCESSES} |",
            f"| processor | one core; {SURPLUS:g} s of processor time more than that |",
            f"| open files of a process | {OPEN_FILES} |",
            f"| what it prints in a second | {SECOND_BYTES >> 10} KiB |",
            f"the last {GAME_BYTES >> 10} KiB",
            f"Lines of over {LINE_BYTES} bytes",
            f"`direct_ports` ({first} to {last})",
        ):
            self.assertIn(said, SECTION)
