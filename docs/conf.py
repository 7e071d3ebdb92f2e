"""Configuration of Sphinx: `nox -s docs` builds the site."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import django
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

# The reference is read from the code, and Django's models need settings.
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from wagtail_vector_index import __version__  # noqa: E402  # after its settings

project = "Wagtail Vector Index"
release = version = __version__
project_copyright = "the authors of Wagtail Vector Index"

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
napoleon_numpy_docstring = False
# Single backticks name other things of the code.
default_role = "code"
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = f"{project} {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

REPOSITORY = "https://github.com/wagtail/wagtail-vector-index/blob/main"
PICTURES = "https://raw.githubusercontent.com/wagtail/wagtail-vector-index/main/docs/pictures"
LINK = re.compile(r"\]\((?!https?:|#)(?P<file>[^)#]+)(?P<anchor>#[^)]*)?\)")


def lead_to_repository(
    app: Sphinx, relative_path: Path, parent_docname: str, content: list[str]
) -> None:
    """Links of an included README lead where they led from its place in the repository."""
    folder = (ROOT / "docs" / relative_path).resolve().parent

    def link(match: re.Match[str]) -> str:
        target = (folder / match["file"]).resolve().relative_to(ROOT)
        return f"]({REPOSITORY}/{target}{match['anchor'] or ''})"

    # Pictures have the whole URL there, for pages outside of the repository.
    content[0] = LINK.sub(link, content[0]).replace(f"]({PICTURES}/", "](/pictures/")


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("include-read", lead_to_repository)
