# How Sphinx makes the documentation: `make docs`.

import gameroom

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
