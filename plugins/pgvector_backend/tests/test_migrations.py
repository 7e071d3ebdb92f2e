"""Migrations as a site runs them: by users of little or much privilege, and at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from plugins.pgvector_backend.tests.conftest import add_database, batch_of, connected
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.exceptions import ConfigurationError

ROOT = Path(__file__).parents[3]
APP = "wagtail_vector_index_pgvector"
TABLE = "wvi_pgvector_table"
FIRST = "-c search_path=first,public"
PASSWORD = "for-tests-only"

Site = dict[str, Any]


@pytest.fixture
def as_owner(server: Site) -> Iterator[Site]:
    """An empty database of the user who may do everything."""
    name = f"migrations_{uuid.uuid4().hex}"
    with connected(server) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield {**server, "NAME": name}
    with connected(server) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def as_editor(server: Site, as_owner: Site) -> Iterator[Site]:
    """The same database for a user who may make tables in it, and nothing else."""
    role = f"editor_{uuid.uuid4().hex}"
    with connected(as_owner) as connection:
        connection.execute(f"CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'")
        connection.execute(f"GRANT CREATE ON SCHEMA public TO {role}")
    yield {**as_owner, "USER": role, "PASSWORD": PASSWORD}
    with connected(as_owner) as connection:
        connection.execute(f"DROP OWNED BY {role}")
        connection.execute(f"DROP ROLE {role}")


@pytest.fixture
def backend_of(django_db_blocker: Any) -> Iterator[Callable[[Site], PgvectorBackend]]:
    from django.db import connections

    made: list[str] = []

    def backend_of(site: Site) -> PgvectorBackend:
        alias = f"migrated_{len(made)}"
        add_database(alias, site)
        made.append(alias)
        return PgvectorBackend("default", PgvectorBackend.Options(database=alias))

    with django_db_blocker.unblock():
        yield backend_of
        for alias in made:
            connections[alias].close()
            del connections[alias], connections.settings[alias]


def start(site: Site, *command: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "error", "-m", "django", *command],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "plugins.pgvector_backend.tests.site_settings",
            "MIGRATED_DATABASE": json.dumps(site),
            **environment,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def run(site: Site, *command: str, **environment: str) -> tuple[int, str]:
    process = start(site, *command, **environment)
    output, _ = process.communicate(timeout=60)
    return process.returncode, output


def tables(site: Site) -> set[str]:
    with connected(site) as connection:
        found = connection.execute(
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
        ).fetchall()
    return {name for (name,) in found}


def use(backend: PgvectorBackend) -> None:
    spec = CollectionSpec(name="used", dimensions=8, fields={"part": "int"})
    backend.create(spec)
    backend.upsert(spec, batch_of(50, 8))
    backend.optimize(spec)
    assert len(backend.search(spec, np.ones(8))) == 10
    assert backend.health().ok
    backend.drop(spec)


def test_without_the_extension_the_administrator_is_asked(
    as_editor: Site, backend_of: Callable[[Site], PgvectorBackend]
) -> None:
    code, output = run(as_editor, "migrate")
    assert code == 1
    said = output.strip().splitlines()[-1]
    assert "CommandError: The extension pgvector is not enabled" in said
    assert f"run this in '{as_editor['NAME']}': CREATE EXTENSION vector;" in said
    assert "permission denied" in said
    assert TABLE not in tables(as_editor)
    backend = backend_of(as_editor)
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION vector;"):
        backend.health()
    with pytest.raises(ConfigurationError, match=f"migrate {APP} --database=migrated_0"):
        backend.collections()


@pytest.mark.parametrize(
    "backends",
    [
        {"default": {"BACKEND": "numpy"}},
        {"default": {"BACKEND": "pgvector", "DATABASE": "other"}},
        {"default": {"BACKEND": "no such backend"}},
    ],
)
def test_where_the_app_is_merely_installed_nobody_is_asked(
    as_editor: Site, backend_of: Callable[[Site], PgvectorBackend], backends: dict[str, Any]
) -> None:
    code, output = run(as_editor, "migrate", VECTOR_BACKENDS=json.dumps(backends))
    assert code == 0, output
    assert TABLE in tables(as_editor)
    with pytest.raises(ConfigurationError, match="CREATE EXTENSION vector;"):
        backend_of(as_editor).create(CollectionSpec(name="used", dimensions=8))


def test_with_the_extension_no_privilege_is_needed(
    as_owner: Site, as_editor: Site, backend_of: Callable[[Site], PgvectorBackend]
) -> None:
    with connected(as_owner) as connection:
        connection.execute("CREATE EXTENSION vector")
    code, output = run(as_editor, "migrate")
    assert code == 0, output
    use(backend_of(as_editor))


def test_the_extension_in_another_schema(
    as_owner: Site, as_editor: Site, backend_of: Callable[[Site], PgvectorBackend]
) -> None:
    with connected(as_owner) as connection:
        connection.execute('CREATE SCHEMA "Other ""Schema"""')
        connection.execute('CREATE EXTENSION vector SCHEMA "Other ""Schema"""')
        connection.execute('GRANT USAGE ON SCHEMA "Other ""Schema""" TO PUBLIC')
    code, output = run(as_editor, "migrate")
    assert code == 0, output
    use(backend_of(as_editor))


def test_an_old_extension(as_owner: Site, backend_of: Callable[[Site], PgvectorBackend]) -> None:
    with connected(as_owner) as connection:
        connection.execute("CREATE EXTENSION vector")
        connection.execute("UPDATE pg_extension SET extversion = '0.5.1' WHERE extname = 'vector'")
    code, output = run(as_owner, "migrate")
    assert code == 1
    assert "has pgvector 0.5.1, but 0.8.0 or later is needed" in output
    assert "ALTER EXTENSION vector UPDATE;" in output
    with pytest.raises(ConfigurationError, match=r"0\.5\.1.*0\.8\.0"):
        backend_of(as_owner).health()


def test_forwards_and_backwards(as_owner: Site) -> None:
    assert run(as_owner, "migrate")[0] == 0
    assert TABLE in tables(as_owner)
    assert run(as_owner, "makemigrations", "--check", "--dry-run")[0] == 0
    code, output = run(as_owner, "migrate", APP, "zero")
    assert code == 0, output
    assert TABLE not in tables(as_owner)
    assert run(as_owner, "migrate")[0] == 0
    assert TABLE in tables(as_owner)


def test_backwards_drops_the_vectors(
    as_owner: Site, backend_of: Callable[[Site], PgvectorBackend]
) -> None:
    assert run(as_owner, "migrate")[0] == 0
    backend = backend_of(as_owner)
    for name in ("one", "two"):
        backend.create(CollectionSpec(name=name, dimensions=8))
    with connected(as_owner) as connection:
        connection.execute("CREATE TABLE wvi_vectors_of_others (id int)")
        connection.execute("CREATE SCHEMA first")
        connection.execute("CREATE TABLE first.wvi_vectors_one (id int)")
    in_both = {**as_owner, "OPTIONS": {**as_owner["OPTIONS"], "options": FIRST}}
    code, output = run(in_both, "migrate", APP, "zero")
    assert code == 0, output
    kept = {name for name in tables(as_owner) if name.startswith("wvi_")}
    assert kept == {"wvi_vectors_of_others"}
    with connected(as_owner) as connection:
        assert connection.execute("SELECT count(*) FROM first.wvi_vectors_one").fetchone() == (0,)


def test_at_the_same_time(as_owner: Site) -> None:
    # Django itself lets only one process at a time add the content types of an app.
    assert run(as_owner, "migrate", "contenttypes")[0] == 0
    with connected(as_owner) as connection:
        connection.execute(
            "INSERT INTO django_content_type (app_label, model) VALUES (%s, 'vectortable')", [APP]
        )
    processes = [start(as_owner, "migrate", APP) for _ in range(4)]
    outputs = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, outputs
    assert TABLE in tables(as_owner)


WITHOUT_CLIENT = """
import sys
sys.modules["psycopg"] = None
from django.core.management import execute_from_command_line
for command in (["check", "--database", "default"], ["migrate"]):
    execute_from_command_line(["manage.py", *command])
"""


def test_the_app_of_a_site_that_needs_no_client(tmp_path: Path) -> None:
    site = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "site.sqlite3")}
    process = subprocess.run(
        [sys.executable, "-W", "error", "-c", WITHOUT_CLIENT],
        cwd=ROOT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "plugins.pgvector_backend.tests.site_settings",
            "MIGRATED_DATABASE": json.dumps(site),
            "VECTOR_BACKENDS": '{"default": {"BACKEND": "numpy"}}',
        },
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 0, process.stderr


def test_not_postgresql(tmp_path: Path) -> None:
    site = {"ENGINE": "django.db.backends.sqlite3", "NAME": str(tmp_path / "site.sqlite3")}
    code, output = run(site, "migrate")
    assert code == 0, output
    assert run(site, "migrate", APP, "zero")[0] == 0
    assert run(site, "check", "--database", "default")[0] == 0
    shown = run(site, "sqlmigrate", APP, "0001")[1]
    assert "CREATE" not in shown
