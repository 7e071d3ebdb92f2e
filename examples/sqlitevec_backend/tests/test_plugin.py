from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import apsw
import pytest
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db.models import Q
from django.test import override_settings
from sqlitevec_wagtail_vectors.backend import SqliteVecBackend

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.exceptions import BackendRefused, BackendUnavailable, CollectionMismatch
from wagtail_vector_index.handlers import vector_backends

DISCOVER = """
import sys
from sqlitevec_wagtail_vectors import plugin
plugin.vector_backends()
print([name for name in ("apsw", "numpy", "sqlite_vec") if name in sys.modules])
"""

#: Writes 4 MB, more than SQLite holds in memory, and ends at the moment of the commit.
KILLED = """
import os, sys
from uuid import UUID
import apsw
from sqlitevec_wagtail_vectors.backend import SqliteVecBackend
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
backend = SqliteVecBackend("default", SqliteVecBackend.Options(path=sys.argv[1]))
spec = CollectionSpec(name="c", dimensions=1000)
backend.create(spec)
write = lambda numbers: backend.upsert(spec, RecordBatch.of(
    ids=[UUID(int=number) for number in numbers], vectors=[[1.0] * 1000] * len(numbers)))
write(range(10))
backend.close()
apsw.connection_hooks.append(lambda db: db.set_commit_hook(lambda: os._exit(9)))
write(range(5, 1005))
"""

SPEC = CollectionSpec(name="c", dimensions=2, fields={"price": "float"})


def backend_in(path: Path, timeout: int = 30) -> SqliteVecBackend:
    return SqliteVecBackend("default", SqliteVecBackend.Options(path=str(path), timeout=timeout))


def test_a_site_selects_it_by_its_short_name() -> None:
    chosen = {"BACKEND": "sqlitevec", "PATH": "/var/lib/site/vectors.sqlite3"}
    with override_settings(WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS={"other": chosen}):
        assert isinstance(vector_backends["other"], SqliteVecBackend)


def test_discovery_imports_no_client() -> None:
    command = [sys.executable, "-c", DISCOVER]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"PATH": ""}, "'PATH' must be the whole path"),
        ({"PATH": ":memory:"}, "'PATH' must be the whole path"),
        ({"PATH": "vectors.sqlite3"}, "'PATH' must be the whole path"),  # of which folder?
        ({"PATH": "/var/vectors.sqlite3", "TIMEOUT": -1}, "'TIMEOUT' must be from 0 to 86400"),
        ({"PATH": "/var/vectors.sqlite3", "TIMEOUT": 10**10}, "'TIMEOUT' must be from 0 to 86400"),
    ],
)
def test_options_that_cannot_be(options: dict[str, object], problem: str) -> None:
    chosen = {"BACKEND": "sqlitevec", **options}
    refused = pytest.raises(ImproperlyConfigured, match=f"other.*{problem}")
    with override_settings(WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS={"other": chosen}), refused:
        vector_backends["other"]


def test_a_folder_that_does_not_exist_is_told(tmp_path: Path) -> None:
    [message] = backend_in(tmp_path / "none" / "vectors.sqlite3").check()
    assert str(tmp_path / "none") in message.msg
    assert backend_in(tmp_path / "vectors.sqlite3").check() == []


def test_the_database_of_the_site_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Closing the file would release the locks of Django's transactions."""
    (tmp_path / "link").symlink_to(tmp_path)
    monkeypatch.setitem(settings.DATABASES, "default", {"NAME": tmp_path / "db.sqlite3"})
    for path in (tmp_path / "db.sqlite3", tmp_path / "link" / "db.sqlite3"):
        [message] = backend_in(path).check()
        assert f"{tmp_path / 'db.sqlite3'} is a database of the site" in message.msg
    assert backend_in(tmp_path / "vectors.sqlite3").check() == []


@pytest.mark.parametrize("method", ["create", "upsert", "search", "count", "get", "delete", "scan"])
def test_another_shape_is_told(method: str, tmp_path: Path) -> None:
    backend = backend_in(tmp_path / "vectors.sqlite3")
    backend.create(SPEC)
    other = CollectionSpec(name="c", dimensions=3)
    ids = [UUID(int=1)]
    arguments: dict[str, list[object]] = {
        "upsert": [RecordBatch.of(ids=ids, vectors=[[1, 2, 3]])],
        "search": [[1, 2, 3]],
        "get": [ids],
        "delete": [ids],
    }
    with pytest.raises(CollectionMismatch) as caught:
        list(getattr(backend, method)(other, *arguments.get(method, [])) or ())
    assert f"as {SPEC.shape}, not as {other.shape}." in str(caught.value)


def test_another_process_that_writes_for_long(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite3"
    backend = backend_in(path, timeout=0)
    backend.create(SPEC)
    other = apsw.Connection(str(path))
    other.execute("BEGIN EXCLUSIVE")
    with pytest.raises(BackendUnavailable, match="locked"):
        backend.count(SPEC)
    other.close()
    assert backend.count(SPEC) == 0


def test_a_file_that_was_replaced_is_opened(tmp_path: Path) -> None:
    """As if a backup had been put back while the site runs."""
    path = tmp_path / "vectors.sqlite3"
    backend, other = backend_in(path), backend_in(tmp_path / "other.sqlite3")
    for each, count in ((backend, 3), (other, 5)):
        each.create(SPEC)
        ids = [UUID(int=number) for number in range(count)]
        each.upsert(SPEC, RecordBatch.of(ids=ids, vectors=[[1, 2]] * count))
    other.close()
    assert backend.count(SPEC) == 3
    (tmp_path / "other.sqlite3").replace(path)
    assert backend.count(SPEC) == 5


def test_a_process_that_is_killed_leaves_no_part_of_its_batch(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite3"
    command = [sys.executable, "-c", KILLED, str(path)]
    assert subprocess.run(command, check=False).returncode == 9
    assert path.with_name("vectors.sqlite3-journal").exists()
    backend, spec = backend_in(path), CollectionSpec(name="c", dimensions=1_000)
    assert backend.count(spec) == 10
    found = backend.search(spec, [1.0] * 1_000, limit=100)
    assert {match.id.int for match in found} == {*range(10)}


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "vectors.sqlite3"
    path.write_text("This is no database, but a text of many words. " * 50)
    with pytest.raises(BackendRefused, match="not a database"):
        backend_in(path).create(SPEC)


def test_floats_are_compared_by_all_of_their_bits(tmp_path: Path) -> None:
    """In order, also below zero, and in lists of values."""
    backend = backend_in(tmp_path / "vectors.sqlite3")
    backend.create(SPEC)
    prices = [-1.7e308, -0.1, -5e-324, 0.0, 5e-324, 0.1 + 0.2, 0.3, 1.7e308]
    prices.sort()
    metadata = [{"price": price} for price in prices]
    ids = [UUID(int=number) for number in range(len(prices))]
    backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=[[1, 2]] * len(ids), metadata=metadata))
    for number, price in enumerate(prices):
        assert backend.count(SPEC, Q(price__lt=price)) == number
        assert backend.count(SPEC, Q(price__in=[price])) == 1
    assert backend.count(SPEC, Q(price=-0.0)) == 1
