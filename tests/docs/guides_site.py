"""Runs the Python blocks of the guides on the README's site, in the current folder.

Run by test_guides.py in a process of its own. Prints each block before it is run.
"""

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[2]))

from django.core.management import call_command
from django.template import engines

from tests.docs.code_blocks import ROOT, Block, blocks
from tests.docs.readme_site import add_pages, configure, run

GUIDES = sorted((ROOT / "docs").rglob("*.md"))
#: The tutorial by `nox -s release`; the other is for a backend, and not for a site.
FOLLOWED_ELSEWHERE = {ROOT / "docs" / name for name in ("tutorial.md", "testing-a-backend.md")}

#: What is set there is tried by test_guides.py, with the code that reads it.
SETTINGS = "settings.py"
#: A model can be declared once only, so that those of the guides are but read by a machine.
MODELS = "blog/models.py"
TESTS = Path("blog/tests.py")


def guides(language: str) -> list[Block]:
    """The blocks of the guides that are not followed elsewhere."""
    return [b for b in blocks(language, *GUIDES) if b.document not in FOLLOWED_ELSEWHERE]


def try_out(block: Block) -> None:
    title = block.title.split(",")[0]
    if title not in {SETTINGS, MODELS, str(TESTS)}:
        print(block, title, flush=True)
        run(block.code, f"blog.{Path(title).stem}" if title.startswith("blog/") else title)


if __name__ == "__main__":
    configure()
    call_command("makemigrations", "blog", verbosity=0)
    # First, since a database in memory is the tests' as well.
    [tests] = [b for b in guides("python") if b.title == str(TESTS)]
    TESTS.write_text(tests.code, encoding="utf-8")
    call_command("test", "blog", verbosity=0)
    call_command("migrate", verbosity=0)
    add_pages()
    call_command("update_vector_indexes", verbosity=0)
    for python in guides("python"):
        try_out(python)
    for html in guides("html"):
        print(html, flush=True)
        engines["django"].from_string(html.code)
