"""Sites that ran release 0.10 of the older project of this name, or its main branch.

Its app had the same label. What it left in a database was recorded from real runs, table by
table and row by row, with Wagtail 6.1 and Django 5.0: see ``leftovers/``.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from .databases import LEFTOVERS, PostgreSQL, SQLite, contents, old_objects

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[2]

OLD_TABLES = {
    "release_0_10": ["wagtail_vector_index_embedding"],
    "release_0_10_pgvector": ["pgvector_pgvectorembedding", "wagtail_vector_index_embedding"],
    "main_pgvector": ["pgvector_pgvectorembedding", "wagtail_vector_index_document"],
}
OUR_TABLES = {"wvi_collection", "wvi_document", "wvi_embedding", "wvi_pending_change"}
OUR_TABLES_OF = {"sqlite": OUR_TABLES, "postgresql": OUR_TABLES | {"wvi_pgvector_table"}}
#: Django adds rows to these for every model and migration.
GROWING_TABLES = {"django_migrations", "django_content_type", "auth_permission"}


def manage(database, *commands, **environment):
    """Run management commands on a database, as a site's manage.py does; what they say."""
    result = subprocess.run(
        [sys.executable, "-m", "tests.upgrade.run_commands"],
        input=json.dumps(commands),
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "tests.upgrade.settings",
            "UPGRADE_DATABASE": json.dumps(database.config),
            **environment,
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def site(request, tmp_path_factory):
    """A Wagtail site with content, to which no vector index was ever added."""
    if request.param == "sqlite":
        database = SQLite(tmp_path_factory.mktemp("upgrade") / "site.sqlite3")
    else:
        database = PostgreSQL.create(request.getfixturevalue("postgres"))
    manage(database, ["migrate"], ["fill"], UPGRADE_WITHOUT_OURS="1")
    yield database
    database.drop()


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

    checked, migrated = manage(database, check, ["migrate"])
    assert "W004" not in checked
    assert "No migrations to apply" in migrated


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
