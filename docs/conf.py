"""Configuration of Sphinx: `nox -s docs` builds the site."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import django
from matplotlib import cycler
from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

# The reference is read from the code, and Django's models need settings.
sys.path.insert(0, str(ROOT))
os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.settings")
django.setup()

from benchmarks.summary import summary  # noqa: E402  # after the path
from wagtail_vector_index import __version__  # noqa: E402  # after its settings

project = "Wagtail Vector Index"
release = version = __version__
project_copyright = "the authors of Wagtail Vector Index"

extensions = [
    "matplotlib.sphinxext.plot_directive",
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
]
exclude_patterns = ["_build"]

myst_enable_extensions = ["colon_fence", "substitution"]
myst_heading_anchors = 4
myst_substitutions = {"summary_of_benchmarks": summary()}

plot_formats = ["svg"]
plot_html_show_formats = False
plot_html_show_source_link = False
plot_pre_code = ""
plot_rcparams = {
    # Four of the colours of Okabe and Ito, which all readers tell apart, each with a mark.
    "axes.prop_cycle": cycler(
        color=["#0072b2", "#d55e00", "#009e73", "#cc79a7"], marker=["o", "s", "^", "D"]
    ),
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "errorbar.capsize": 3,
    "figure.constrained_layout.use": True,
    "font.size": 11,
    "grid.color": "#dddddd",
    "savefig.transparent": True,
    # The same results give the same files.
    "svg.hashsalt": project,
}

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
