"""What the tests of core share."""

from __future__ import annotations

from functools import partial
from importlib import import_module
from itertools import count

import pytest
from django.conf import settings
from django.db import connection
from wagtail.models import Locale, Page, Site

from tests.testapp.models import ArticlePage
from wagtail_vector_index.handlers import embedding_backends, vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.updating import update


@pytest.fixture
def root(db):
    """The home page of a site, below the root of the tree: rows, as Wagtail's migrations make."""
    locale, _ = Locale.objects.get_or_create(language_code=settings.LANGUAGES[0][0])
    tree = Page(title="Root", slug="root", path="0001", depth=1, numchild=1, url_path="/")
    home = Page(title="Home", slug="home", path="00010001", depth=2, url_path="/home/")
    for page in (tree, home):
        page.locale, page.draft_title = locale, page.title
    Page.objects.bulk_create([tree, home])
    Site.objects.create(hostname="localhost", root_page=home, is_default_site=True)
    return home


@pytest.fixture
def article(root):
    """Makes an article below the home page, or below another page."""

    numbers = count(1)

    def make(title, intro="", *, parent=root, **fields):
        # To find a free slug, Wagtail tries one after the other.
        given = {"slug": f"article-{next(numbers)}", "draft_title": title}
        page = ArticlePage(title=title, intro=intro, **{**given, **fields})
        page.locale = page.locale if page.locale_id else Locale.get_default()
        # To check the fields and to write a log takes longer than everything else.
        page.save = partial(page.save, clean=False, log_action=None)
        parent.add_child(instance=page)
        del page.save
        return page

    return make


@pytest.fixture
def embedder():
    """The tests' embedding backend, which counts what it is asked."""
    backend = embedding_backends["default"]
    backend.texts.clear()
    backend.calls = 0
    backend.before = lambda texts: None
    yield backend
    backend.before = lambda texts: None


@pytest.fixture
def bring_up_to_date():
    """Updates indexes by their names, as the command does."""

    def run(*names, **options):
        return [update(get_index(name), **options) for name in names]

    return run


@pytest.fixture
def server(settings):
    """A persistent vector backend, configured as "default"."""
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.backends.ServerBackend"}
    }
    return vector_backends["default"]


@pytest.fixture
def found():
    """The titles or texts of what a search finds, best first."""

    def run(index, query, **arguments):
        return [str(result) for result in index.search(query, **arguments)]

    return run


@pytest.fixture
def full_text(db, settings):
    """Wagtail's search for words: its tasks and, on SQLite, what only its migration makes."""
    settings.TASKS = {"default": {"BACKEND": "django_tasks.backends.immediate.ImmediateBackend"}}
    if connection.vendor != "sqlite":
        return
    migration = import_module("wagtail.search.migrations.0006_customise_indexentry").Migration
    made = [o for o in migration.operations if getattr(o, "database_operations", None)]
    (operation,) = [o for o in made if "_fts" in str(o.database_operations[0].sql)]
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE wagtailsearch_indexentry_fts")
        for statement in operation.database_operations:
            cursor.execute(statement.sql)
