"""`gameroom dev check-service` with a program in the sandbox: what it finds, what it saves, and that nothing is left behind."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gameroom.wire.game_service import Player, Started, Update, update_from_bytes, update_to_bytes
from gameroom.wire.update_file import pair_to_bytes, pairs_from_bytes
from tests.system.harness import hear_ctrl_c

KIT = Path(__file__).parents[2] / "gameroom" / "cli" / "templates" / "service" / "gameroom_service.py"
COMMAND = [str(Path(sys.executable).with_name("gameroom")), "dev", "check-service"]
TAKES_AT_MOST = 90.0

SERVICE = """
from gameroom_service import serve

ROOMS = {}

def update(state, event):
    ROOMS[event.room_id] = ROOMS.get(event.room_id, 0) + 1
    event.view(5, "nobody has this seat")
    return {"updates": ROOMS[event.room_id]}

serve(update)
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    """A game whose service remembers its rooms, and shows something to nobody."""
    folder = tmp_path / "game"
    folder.mkdir()
    shutil.copy(KIT, folder)
    (folder / "service.py").write_text(SERVICE)
    (folder / "game.toml").write_text('[hosting]\nkind = "service"\nmax_players = 3\n[service]\ncommand = ["python3", "service.py"]\n')
    return folder


def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "tmp").mkdir(exist_ok=True)
    return {**os.environ, "TMPDIR": str(tmp_path / "tmp"), "COLUMNS": "40"}


def test_what_is_wrong_is_found_and_saved(bundle: Path, tmp_path: Path) -> None:
    """Memory in a variable shows when the program is started anew, and what was recorded is asked, too. The saved updates are those that show it."""
    update = Update(
        request=1,
        room_id="recorded",
        sequence=7,
        state=b"",
        players=(Player(0, "ann", "Ann", True),),
        event=Started(b"{}", 5),
        now_ms=1,
        game_id="g",
        version="1",
    )
    recorded = tmp_path / "recorded.updates"
    recorded.write_bytes(pair_to_bytes(update_to_bytes(update)) + b"\0\0")
    words = [*COMMAND, str(bundle), "--count", "30", "--updates", str(recorded), "--json"]
    done = subprocess.run(
        words, cwd=tmp_path, env=environment(tmp_path), capture_output=True, text=True, timeout=TAKES_AT_MOST, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["function"] is False
    wrong = {each["kind"]: each for each in said["wrong"]}
    assert set(wrong) == {"differs", "view"}
    assert wrong["view"]["examples"][0]["update"] == {"room_id": "recorded", "sequence": 7, "event": "started (seed 5)"}
    assert "state.updates" in wrong["differs"]["examples"][0]["said"]
    saved = [update_from_bytes(each) for each, _ in pairs_from_bytes((tmp_path / said["saved"]).read_bytes())]
    assert "recorded" in {each.room_id for each in saved}
    assert not list((tmp_path / "tmp").iterdir())


def test_ctrl_c_leaves_nothing_behind(bundle: Path, tmp_path: Path) -> None:
    words = [*COMMAND, str(bundle), "--count", "1000000"]
    with subprocess.Popen(
        words,
        cwd=tmp_path,
        env=environment(tmp_path),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=hear_ctrl_c,  # noqa: PLW1509 - it takes no lock
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            assert "in the sandbox" in process.stdout.readline()
            time.sleep(1)
            process.send_signal(signal.SIGINT)
            assert process.wait(TAKES_AT_MOST) == 130
            assert process.stderr.read() == ""
        finally:
            process.kill()
    assert not list((tmp_path / "tmp").iterdir())
    assert sorted(path.name for path in tmp_path.iterdir()) == ["game", "tmp"]
