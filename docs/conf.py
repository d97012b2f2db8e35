"""Sphinx settings: `python docs/build.py` builds the site offline, warnings as errors."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from irplan import __version__

project = "irplan"
author = "The irplan founders"
copyright = "2026, the irplan founders. Research use only: not a medical device"
release = version = __version__
extensions = ["myst_parser"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
suppress_warnings = ["myst.xref_missing", "misc.highlighting_failure"]
html_theme = "furo"
html_title = f"irplan {version} (research use only)"
html_theme_options = {"source_repository": "", "announcement": "Research use only."}
