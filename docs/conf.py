"""How the documentation is built: `uv run nox -s docs`. Nothing is fetched from anywhere."""

import sys
from importlib.metadata import version as version_of
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "corekit"
author = "the corekit authors"
copyright = "the corekit authors"
version = release = version_of("corekit")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "facts"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]
html_theme = "shibuya"
html_title = "corekit"
html_theme_options = {"accent_color": "blue", "globaltoc_expand_depth": 1}
html_copy_source = False
html_show_sourcelink = False

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3

# Docstrings are plain prose with code in single backticks.
default_role = "code"
autodoc_member_order = "bysource"
autodoc_default_options = {"members": True, "show-inheritance": True}
autodoc_typehints_format = "short"
napoleon_google_docstring = True
