"""The conformance suite as a command, on a PostgreSQL server and on a project's database."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from plugins.pgvector_backend.tests.conftest import connected

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[3]
FEW = ["--", "-k", "test_score or test_fork or isolation or test_asearch"]


def command(*words: str, **environment: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "wagtail_vector_index.testing", "pgvector", *words, *FEW],
        cwd=ROOT,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stdout + done.stderr


def url_of(server: dict[str, Any]) -> str:
    """The server as a URL, whether it listens on TCP or in a folder."""
    query = urlencode({**server["OPTIONS"], "host": server["HOST"], "port": server["PORT"]})
    password = quote(server["PASSWORD"], safe="")
    return f"postgresql://{quote(server['USER'])}:{password}@/{server['NAME']}?{query}"


def databases(server: dict[str, Any]) -> set[str]:
    with connected(server) as connection:
        return {name for (name,) in connection.execute("SELECT datname FROM pg_database")}


def tables(server: dict[str, Any]) -> set[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
    with connected(server) as connection:
        return {name for (name,) in connection.execute(query)}


def test_on_a_server(server: dict[str, Any]) -> None:
    status, said = command("--database-url", url_of(server))
    assert status == 0, said
    assert "0 skipped, 0 failed" in said
    assert not [name for name in databases(server) if name.startswith("conformance")]


def test_on_a_project(server: dict[str, Any]) -> None:
    site = {**server, "NAME": f"command_{uuid.uuid4().hex}"}
    with connected(server) as connection:
        connection.execute(f"CREATE DATABASE {site['NAME']}")
    environment = {
        "DJANGO_SETTINGS_MODULE": "plugins.pgvector_backend.tests.site_settings",
        "MIGRATED_DATABASE": json.dumps(site),
    }
    try:
        migrate = [sys.executable, "-m", "django", "migrate", "--verbosity=0"]
        subprocess.run(migrate, cwd=ROOT, env={**os.environ, **environment}, check=True)
        before = tables(site)
        status, said = command("--settings", environment["DJANGO_SETTINGS_MODULE"], **environment)
        assert status == 0, said
        assert "0 skipped, 0 failed" in said
        assert tables(site) == before
    finally:
        with connected(server) as connection:
            connection.execute(f"DROP DATABASE {site['NAME']} WITH (FORCE)")


def test_without_a_database() -> None:
    status, said = command()
    assert status == 2
    assert "the backend 'pgvector' keeps its vectors in Django's own database." in said
    assert "--database-url" in said
