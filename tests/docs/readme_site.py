"""Follows the README on the site in the current folder, and prints what the site prints.

Run by test_readme_site.py in a process of its own, since Django is set up only once.
"""

import shlex
import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

import django
from django.conf import settings
from django.core.management import call_command

from tests.docs.code_blocks import README, Block, block, blocks

WAGTAIL_APPS = [
    "blog",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
PAGES = {
    "Your first loaf": "How to bake bread at home: mix flour, water, salt and yeast, knead the"
    " dough, let it rise for two hours and put it into a hot oven.",
    "Rye sourdough": "A starter of rye flour and water ferments for five days before it can"
    " raise a loaf.",
    "Opening hours": "The shop opens at eight from Monday to Friday, and at nine on Saturday.",
    "How to find us": "Take the tram to the harbour; we are the second house on the left.",
    "Gift vouchers": "Vouchers are sold at the counter and by post, and never expire.",
}


def run(code: str, name: str) -> None:
    exec(compile(code, name, "exec"), {"__name__": name})  # a document's code


def configure(*apps: str, **more: Any) -> None:
    """Set up a Wagtail site with the README's settings, and with more apps and settings."""
    readme: dict[str, Any] = {}
    exec(block("settings.py"), readme)  # the README's code
    settings.configure(
        INSTALLED_APPS=[*readme["INSTALLED_APPS"], *apps, *WAGTAIL_APPS],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROOT_URLCONF="wagtail.urls",
        SECRET_KEY="docs",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "APP_DIRS": True,
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        DEBUG=True,
        USE_TZ=True,
        WAGTAILADMIN_BASE_URL="http://localhost",
        WAGTAIL_SITE_NAME="docs",
        **more,
    )
    django.setup()


def add_pages() -> None:
    """Pages of a bakery, below Wagtail's first page."""
    from blog.models import BlogPage
    from wagtail.models import Page

    home = Page.objects.get(depth=2)
    for title, body in PAGES.items():
        home.add_child(instance=BlogPage(title=title, body=f"<p>{body}</p>"))


def commands() -> list[list[str]]:
    """The Django commands of the section "On your site"."""
    section = README.read_text(encoding="utf-8").partition("\n## On your site\n")[2]
    lines = section.partition("\n## ")[0].splitlines()
    start = "python manage.py "
    return [shlex.split(line.removeprefix(start)) for line in lines if line.startswith(start)]


def searches() -> list[Block]:
    """The README's blocks that search."""
    return [b for b in blocks("python", README) if ".search(" in b.code]


if __name__ == "__main__":
    configure()
    for words in commands():
        if words[0] == "update_vector_indexes":
            add_pages()  # what a site has already
        call_command(*words, verbosity=0)
    for search in searches():
        run(search.code, str(search))
