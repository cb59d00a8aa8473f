"""The kit for services in Python, as a game's folder has it: imported by its path."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).parents[2]
TEMPLATE = ROOT / "gameroom" / "cli" / "templates" / "service"
EXAMPLE = ROOT / "examples" / "game-service-python"


def imported(path: Path) -> ModuleType:
    """A module of a game, without anything compiled left in its folder."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    kept, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = kept
    return module


KIT = imported(TEMPLATE / "gameroom_service.py")


def game(path: Path) -> ModuleType:
    """A game that is made with the kit."""
    before = sys.modules.get(KIT.__name__)
    sys.modules[KIT.__name__] = KIT
    try:
        return imported(path)
    finally:
        if before is None:
            del sys.modules[KIT.__name__]
        else:
            sys.modules[KIT.__name__] = before
