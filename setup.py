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

from setuptools import setup

if TYPE_CHECKING:
    from setuptools import Extension

BUILT = "build/compiled"
"""Of its own, and new each time: what an earlier build left must never come into a wheel."""
COMPILED = [
    "gameroom/doors/frames.py",
    "gameroom/doors/lanes.py",
    "gameroom/histogram.py",
    "gameroom/reactor_round.py",
    "gameroom/referees/lockstep_agenda.py",
    "gameroom/referees/lockstep_journal.py",
    "gameroom/referees/lockstep_lane.py",
    "gameroom/rules/course.py",
    "gameroom/rules/dispute.py",
    "gameroom/rules/gathering.py",
    "gameroom/rules/hashes.py",
    "gameroom/rules/lockstep.py",
    "gameroom/rules/master.py",
    "gameroom/rules/pace.py",
    "gameroom/rules/results.py",
    "gameroom/rules/resync.py",
    "gameroom/rules/seats.py",
    "gameroom/rules/tally.py",
    "gameroom/rules/turns.py",
    "gameroom/store/recording.py",
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


def extensions() -> list[Extension]:
    """The modules as extensions, translated to C already. Exits with a line that says what is missing."""
    compiler = shlex.split(os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc")[0]
    if not shutil.which(compiler):
        sys.exit(f"GAMEROOM_COMPILE needs a C compiler, and there is no {compiler}; on Debian: apt-get install gcc libc6-dev")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        sys.exit(
            f"GAMEROOM_COMPILE needs Python's headers, and there are none in {sysconfig.get_path('include')}; on Debian: apt-get install python3-dev"
        )
    try:
        from mypyc.build import mypycify
    except ImportError:
        sys.exit(f"GAMEROOM_COMPILE needs mypy: pip install {' '.join(tools())}")
    shutil.rmtree(BUILT, ignore_errors=True)
    level = os.environ.get("GAMEROOM_COMPILE_LEVEL", "3")
    return mypycify([*TYPES, *COMPILED], target_dir=BUILT, group_name="gameroom", opt_level=level, debug_level="0")


wanted = os.environ.get("GAMEROOM_COMPILE", "") not in ("", "0")
# pip makes a wheel of everything that is not editable. The metadata, by which it installs what that needs, it asks for before.
compiles = wanted and "bdist_wheel" in sys.argv
setup(
    ext_modules=extensions() if compiles else [],
    options={"build": {"build_base": BUILT}} if compiles else {},
    setup_requires=tools() if wanted else [],
    **({"install_requires": requires()} if wanted else {}),
)
