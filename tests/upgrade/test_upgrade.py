"""Sites that ran release 0.10 of the older project of this name, or its main branch.

Its app had the same label. What it left in a database was recorded from real runs, table by
table and row by row, with Wagtail 6.1 and Django 5.0: see ``leftovers/``.
"""

import importlib
import json
import re
import shlex

import pytest

from tests.docs.code_blocks import block, blocks
from tests.sharing import folder_of_run, shared
from tests.site_processes import ROOT, Site

from .databases import LEFTOVERS, PostgreSQL, SQLite, contents, old_objects

pytestmark = pytest.mark.once

GUIDE = ROOT / "docs" / "how-to" / "upgrade.md"

OLD_TABLES = {
    "release_0_10": ["wagtail_vector_index_embedding"],
    "release_0_10_pgvector": ["pgvector_pgvectorembedding", "wagtail_vector_index_embedding"],
    "main_pgvector": ["pgvector_pgvectorembedding", "wagtail_vector_index_document"],
}
OUR_TABLES = {"wvi_collection", "wvi_document", "wvi_embedding", "wvi_pending_change"}
OUR_TABLES_OF = {"sqlite": OUR_TABLES, "postgresql": OUR_TABLES | {"wvi_pgvector_table"}}
#: Django adds rows to these for every model and migration.
GROWING_TABLES = {"django_migrations", "django_content_type", "auth_permission"}


#: Runs commands and prints their outputs in a last line.
RUN = """
import json
from tests.upgrade.run_commands import run
print(json.dumps(run(json.loads(COMMANDS))))
"""


def manage(database, *commands, **environment):
    """Run management commands on a database, as a site's manage.py does; what they say."""
    site = Site(
        {
            "DJANGO_SETTINGS_MODULE": "tests.upgrade.settings",
            "UPGRADE_DATABASE": json.dumps(database.config),
            "UPGRADE_VENDOR": database.vendor,
            **environment,
        }
    )
    output = site.script(RUN.replace("COMMANDS", repr(json.dumps(commands))))
    return json.loads(output.splitlines()[-1])


@pytest.fixture(scope="session")
def sqlite_site(request, tmp_path_factory):
    run = folder_of_run(request.config, tmp_path_factory)
    database = SQLite(run / "upgrade.sqlite3")
    with shared(run, "sqlite site", lambda: fill(database), lambda _: database.drop()):
        yield database


@pytest.fixture(scope="session")
def postgresql_site(request, tmp_path_factory, postgres):
    run = folder_of_run(request.config, tmp_path_factory)

    def make():
        database = PostgreSQL.create(postgres)
        fill(database)
        return database.name

    def drop(name):
        PostgreSQL(postgres, name).drop()

    with shared(run, "postgresql site", make, drop) as name:
        yield PostgreSQL(postgres, name)


def fill(database):
    manage(database, ["migrate"], ["fill"], UPGRADE_WITHOUT_OURS="1")


@pytest.fixture(params=["sqlite", "postgresql"])
def site(request):
    """A Wagtail site with content, to which no vector index was ever added."""
    return request.getfixturevalue(f"{request.param}_site")


@pytest.fixture(params=OLD_TABLES)
def old_tables(request):
    return request.param


@pytest.fixture
def database(site, old_tables):
    """The site's database as the older project left it."""
    copy = site.copy()
    script = (LEFTOVERS / site.vendor / f"{old_tables}.sql").read_text()
    if site.vendor == "postgresql" and not copy.rows(
        "SELECT 1 FROM pg_available_extensions WHERE name = 'vector'"
    ):
        copy.drop()
        pytest.skip("this PostgreSQL has no pgvector")
    copy.execute(script)
    yield copy
    copy.drop()


def test_migrate_touches_nothing_of_the_site_and_the_check_names_what_is_left(database, old_tables):
    before = contents(database)
    check = ["check", "--database", "default"]
    migrated, checked, changes = manage(
        database,
        ["migrate"],
        check,
        ["makemigrations", "wagtail_vector_index", "--check", "--dry-run"],
    )
    after = contents(database)

    assert "Applying wagtail_vector_index.0001_record... OK" in migrated
    assert "No changes detected" in changes
    assert after.keys() - before.keys() == OUR_TABLES_OF[database.vendor]
    for table, rows in before.items():
        if table in GROWING_TABLES:
            assert set(rows) <= set(after[table]), table
        else:
            assert rows == after[table], table
    # The same permission twice would be an error in Django's admin.
    permissions = database.rows("SELECT content_type_id, codename FROM auth_permission")
    assert len(permissions) == len(set(permissions))

    assert "(wagtail_vector_index.W004)" in checked
    assert f"no longer used: {', '.join(OLD_TABLES[old_tables])}." in checked

    sql = re.search(r"run this SQL: (.*)", checked)[1]
    assert old_objects(database) > set(OLD_TABLES[old_tables])
    database.execute(sql)
    assert old_objects(database) == set()
    left = contents(database)
    assert left == {table: rows for table, rows in after.items() if table in left}
    assert after.keys() - left.keys() == set(OLD_TABLES[old_tables])

    stale = ["remove_stale_contenttypes", "--include-stale-apps", "--noinput"]
    checked, migrated, _ = manage(database, check, ["migrate"], stale)
    assert "W004" not in checked
    assert "No migrations to apply" in migrated
    assert database.rows("SELECT id FROM django_content_type WHERE app_label = 'pgvector'") == []


@pytest.mark.parametrize("old_tables", ["release_0_10_pgvector"], indirect=True)
def test_our_migrations_go_back_and_forth_beside_the_leftovers(database):
    before = contents(database)
    back = ["migrate", "wagtail_vector_index", "zero"]
    _, unapplied, applied = manage(database, ["migrate"], back, ["migrate"])
    assert "Unapplying wagtail_vector_index.0001_record... OK" in unapplied
    assert "Applying wagtail_vector_index.0001_record... OK" in applied

    manage(database, back, ["migrate", "wagtail_vector_index_pgvector", "zero"])
    after = contents(database)
    assert after.keys() == before.keys()
    assert set(before["django_migrations"]) == set(after["django_migrations"])
    for table in before.keys() - GROWING_TABLES:
        assert before[table] == after[table], table


def test_a_site_without_leftovers_hears_nothing_of_them(site):
    database = site.copy()
    _, checked = manage(database, ["migrate"], ["check", "--database", "default"])
    database.drop()
    assert "wagtail_vector_index." not in checked


WITHOUT_OURS = """
from wagtail.fields import RichTextField
from wagtail.models import Page

class BlogPage(Page):
    body = RichTextField()
"""
WITH_OURS = """
from wagtail.fields import RichTextField
from wagtail.models import Page
from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin

class BlogPage(VectorIndexedMixin, Page):
    body = RichTextField()
    embedding_fields = [EmbeddingField("title", important=True), EmbeddingField("body")]
"""
ADD_PAGES = """
from blog.models import BlogPage
from wagtail.models import Page

home = Page.objects.get(depth=2)
for title in ("Rye bread", "Green tea"):
    home.add_child(instance=BlogPage(title=title, body=f"<p>All about {title}.</p>"))
"""
#: The settings of the guide, old and new, with a model that needs no service.
LOCAL_MODEL = """
WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS["default"] = {
    "BACKEND": "tests.testapp.embeddings.WordEmbeddings"
}
"""


@pytest.fixture
def project(tmp_path):
    """The files of a site that follows the guide."""
    blog = tmp_path / "blog"
    blog.mkdir()
    (blog / "__init__.py").touch()
    (blog / "models.py").write_text(WITHOUT_OURS, encoding="utf-8")
    (tmp_path / "settings.py").touch()
    return tmp_path


@pytest.mark.parametrize("site", ["sqlite"], indirect=True)
@pytest.mark.parametrize("old_tables", ["release_0_10"], indirect=True)
def test_the_guide(database, project):
    environment = {"UPGRADE_PROJECT": str(project), "OPENAI_API_KEY": "a-key"}
    manage(
        database,
        ["makemigrations", "blog"],
        ["migrate"],
        ["shell", "--no-imports", "-c", ADD_PAGES],
        **environment,
        UPGRADE_WITHOUT_OURS="1",
    )
    before = contents(database)
    old, new = (b.code for b in blocks("python", GUIDE) if b.title.startswith("settings.py"))
    (project / "settings.py").write_text(old + new + LOCAL_MODEL, encoding="utf-8")
    (project / "blog" / "models.py").write_text(WITH_OURS, encoding="utf-8")
    indexes = block("blog/vector_indexes.py", GUIDE)
    (project / "blog" / "vector_indexes.py").write_text(indexes, encoding="utf-8")

    text = GUIDE.read_text(encoding="utf-8")
    lines = re.findall(r"^python manage\.py (.*)$", text, re.MULTILINE)
    printed = "".join(manage(database, *map(shlex.split, lines), **environment))
    for shown in re.findall(r"^```text\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        for line in shown.splitlines():
            assert line in printed
    assert printed.count("(wagtail_vector_index.W009)") == 2 * 3  # two commands check
    assert "Rye bread" in printed.partition("Rebuilt.")[2]
    after = contents(database)
    assert after.keys() == before.keys()
    for table in before.keys() - GROWING_TABLES:
        assert before[table] == after[table], table


def test_all_names_of_the_guide_exist():
    cells = re.findall(
        r"^\| `wagtail_vector_index\.\S+` \| `(wagtail_vector_index\.[\w.]+)\.(\w+)`",
        GUIDE.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    assert len(cells) >= 9
    assert [
        name for module, name in cells if not hasattr(importlib.import_module(module), name)
    ] == []
