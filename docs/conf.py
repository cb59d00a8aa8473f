# How Sphinx makes the documentation: `make docs`.

import sys
from pathlib import Path

import gameroom

sys.path.insert(0, str(Path(__file__).parent))
import diagrams

# The figures that are drawn from the tables in the code.
diagrams.write()

project = "gameroom"
author = "the gameroom developers"
project_copyright = "2026, the gameroom developers"
release = version = gameroom.__version__

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
exclude_patterns = ["_build"]
myst_enable_extensions = ["attrs_inline", "deflist"]
myst_heading_anchors = 3
nitpicky = True

html_theme = "furo"
html_title = "gameroom"
html_static_path: list[str] = []
pygments_style = "friendly"
pygments_dark_style = "monokai"
