"""What setup.cfg cannot say: `GAMEROOM_COMPILE=1 pip install .` compiles what every packet runs through (docs/speed.md).

Without the variable, and in an editable install whatever it says, everything is plain Python.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import sys
import sysconfig
from configparser import ConfigParser
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from setuptools import Extension

BUILT = "build/compiled"
"""Of its own, and new each time: what an earlier build left must never come into a wheel."""
COMPILED = [
    "gameroom/doors/frames.py",
    "gameroom/doors/lanes.py",
    "gameroom/doors/outbox.py",
    "gameroom/histogram.py",
    "gameroom/listeners.py",
    "gameroom/reactor_round.py",
    "gameroom/referees/lockstep_agenda.py",
    "gameroom/referees/lockstep_audience.py",
    "gameroom/referees/lockstep_delay.py",
    "gameroom/referees/lockstep_journal.py",
    "gameroom/referees/lockstep_lane.py",
    "gameroom/rules/course.py",
    "gameroom/rules/dispute.py",
    "gameroom/rules/gathering.py",
    "gameroom/rules/hashes.py",
    "gameroom/rules/lockstep.py",
    "gameroom/rules/master.py",
    "gameroom/rules/open_tallies.py",
    "gameroom/rules/pace.py",
    "gameroom/rules/results.py",
    "gameroom/rules/resync.py",
    "gameroom/rules/seats.py",
    "gameroom/rules/tally.py",
    "gameroom/rules/turns.py",
    "gameroom/store/ahead_file.py",
    "gameroom/store/dirty.py",
    "gameroom/store/recording.py",
    "gameroom/store/to_disk.py",
    "gameroom/store/write_ahead.py",
    "gameroom/wire/lockstep.py",
    "gameroom/wire/native.py",
    "gameroom/wire/room_messages.py",
    "gameroom/wire/room_parts.py",
]
TYPES = ["--config-file=", "--follow-imports=silent", "--ignore-missing-imports", f"--cache-dir={BUILT}/types"]


def tools() -> list[str]:
    """What compiling needs of pip: mypy, and the packages whose types it reads, as the lock file pins them."""
    return re.findall(r"^(?:attrs|mypy|orjson)==[^ ]+", Path("requirements.lock").read_text(encoding="utf-8"), re.MULTILINE)


def requires() -> list[str]:
    """What a compiled gameroom needs, as setup.cfg says."""
    config = ConfigParser()
    config.read("setup.cfg", encoding="utf-8")
    return (config["options"]["install_requires"] + config["options.extras_require"]["compiled"]).split("\n")[1:]


def missing() -> str | None:
    """What compiling needs and this machine lacks, which pip cannot fetch; None where it can be done.

    `make run` and the tests ask it as well, and a Python without setuptools.
    """
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if not shutil.which(compiler):
        return f"a C compiler, and there is no {compiler}; on Debian: apt-get install gcc libc6-dev"
    headers = sysconfig.get_path("include")
    if not Path(headers, "Python.h").exists():
        return f"Python's headers, and there are none in {headers}; on Debian: apt-get install python3-dev"
    return None


def extensions() -> list[Extension]:
    """The modules as extensions, translated to C already. Exits with a line that says what is missing."""
    if lacks := missing():
        sys.exit(f"GAMEROOM_COMPILE needs {lacks}")
    try:
        from mypyc.build import mypycify
    except ImportError:
        sys.exit(f"GAMEROOM_COMPILE needs mypy: pip install {' '.join(tools())}")
    shutil.rmtree(BUILT, ignore_errors=True)
    level = os.environ.get("GAMEROOM_COMPILE_LEVEL", "3")
    found: list[Extension] = mypycify([*TYPES, *COMPILED], target_dir=BUILT, group_name="gameroom", opt_level=level, debug_level="0")
    for extension in found:
        # What nobody outside can replace is called as it is, and not by way of a table.
        extension.extra_compile_args.append("-fvisibility=hidden")
    return found


def main() -> None:
    """What pip asks for."""
    from setuptools import setup

    wanted = os.environ.get("GAMEROOM_COMPILE", "") not in ("", "0")
    # pip makes a wheel of everything that is not editable. The metadata, by which it installs what that needs, it asks for before.
    compiles = wanted and "bdist_wheel" in sys.argv
    setup(
        ext_modules=extensions() if compiles else [],
        options={"build": {"build_base": BUILT}} if compiles else {},
        setup_requires=tools() if wanted else [],
        **({"install_requires": requires()} if wanted else {}),
    )


if __name__ == "__main__":
    main()
