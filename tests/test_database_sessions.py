"""Sessions of PostgreSQL: forked processes, killed sessions, and a pooler between.

Each script runs in a process of its own, on a site whose database is a real PostgreSQL.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.shared_databases import new_database
from tests.site_processes import Site

pytestmark = pytest.mark.once

BEGIN = """
import atexit
import os
import psycopg
from django.core.management import call_command
from django.db import connection, connections, transaction
from django.db.models import Q
from tests.notes.models import Note
from wagtail_vector_index.background.attempting import attempt
from wagtail_vector_index.indexing.outbox import queue
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, PendingChange

NOTES = Note.vector_index
DATABASE = connection.settings_dict  # read when a connection begins

def session():
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_backend_pid()")
        return cursor.fetchone()[0]

def found(text="note7", **arguments):
    return sorted(note.pk for note in NOTES.search(text, limit=300, **arguments))
"""

FILL = """
call_command("migrate", run_syncdb=True, verbosity=0)
Note.objects.bulk_create(Note(text=f"note{n} about subject{n % 7}") for n in range(60))
update(NOTES)
"""


def run(
    site: Site, script: str, *, database: Mapping[str, object] | None = None, **options: object
) -> str:
    """Run a script in a process of its own, which must succeed; return its output.

    With a pool, the threads of psycopg may write into that as well, at any place.

    Args:
        site: the site.
        script: the code.
        database: changes of the entry in DATABASES.
        options: more options of that entry.
    """
    changes = f"DATABASE.update({database or {}!r}); DATABASE['OPTIONS'].update({options!r})"
    return site.script(f"{BEGIN}{changes}\n{script}")


@pytest.fixture(scope="module")
def site(postgres):
    """A site whose notes are indexed, where warnings are errors."""
    with new_database(postgres) as database:
        site = Site(database | {"PYTHONWARNINGS": "error"})
        run(site, FILL)
        yield site


@pytest.fixture
def entry(site):
    """The site's entry in DATABASES."""
    return json.loads(site.environment["TEST_DATABASE_SETTINGS"])


# Forks

FORK = """
import warnings

def judge(number):
    # Both processes ask at the same time, and each knows its own answers.
    wrong = 0
    for turn in range(20):
        with connection.cursor() as cursor:
            cursor.execute("SELECT %s FROM pg_sleep(0.001)", [f"{number} {turn}"])
            wrong += cursor.fetchone()[0] != f"{number} {turn}"
        wrong += len(found()) != 60
    return wrong

before = session()
assert len(found()) == 60
BETWEEN
with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # the pool has threads
    children = {}
    for number in (1, 2):
        if not (child := os.fork()):
            wrong = judge(number)
            os._exit(min(wrong, 100) if session() != before else 101)
        children[child] = number
wrong = judge(0)
codes = [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children]
assert [wrong, *codes] == [0, 0, 0], [wrong, *codes]
assert MAY_CHANGE or session() == before
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize(
    ("pool", "between"),
    [(False, ""), (True, ""), (True, "connection.close()"), ({"min_size": 3}, "")],
)
def test_forked_processes_share_no_session(site, pool, between):
    if pool:
        pytest.importorskip("psycopg_pool")
    script = FORK.replace("BETWEEN", between)
    # A pool chooses any of its sessions.
    run(site, f"MAY_CHANGE = {bool(pool or between)}\n{script}", pool=pool)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_fork_in_a_transaction_leaves_it_to_the_parent(site):
    script = """
with transaction.atomic():
    Note.objects.create(text="note61 about forks")
    if not (child := os.fork()):
        try:
            Note.objects.count()
        except Exception as error:
            os._exit(0 if "atomic" in str(error) else 1)
        os._exit(2)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
print(code, Note.objects.count())
"""
    assert run(site, f"{script}Note.objects.filter(text__contains='forks').delete()") == "0 61\n"


# Killed sessions

KILL = """
given = connection.settings_dict
options = {key: value for key, value in given["OPTIONS"].items() if key != "pool"}
admin = psycopg.connect(
    dbname=given["NAME"], user=given["USER"], password=given["PASSWORD"], host=given["HOST"],
    port=given["PORT"] or None, autocommit=True, **options,
)
atexit.register(admin.close)

class Killer:
    # Ends the session before the statement of a number, from another session.
    def __init__(self, number):
        self.left = number

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if not self.left:
            pid = context["connection"].connection.info.backend_pid
            admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        return execute(sql, params, many, context)
"""


@pytest.mark.parametrize("pool", [False, True])
def test_searches_survive_a_killed_session(site, pool):
    script = f"""{KILL}
first = Note.objects.first()
def search():
    assert len(found()) == 60
    assert len(NOTES.search("note7", limit=5, mode="hybrid")) == 5
    assert len(NOTES.search("note7", within=Note.objects.filter(pk__gt=first.pk))) == 10
    assert len(list(NOTES.find_similar(first))) == 10
number = 0
while True:
    killer = Killer(number := number + 1)
    with connection.execute_wrapper(killer):
        search()
    if killer.left > 0:
        break
assert number > 15, number
"""
    if pool:
        pytest.importorskip("psycopg_pool")
    run(site, script, pool=pool)


POOLER = """
import socket, threading

class Pooler:
    # Passes everything on, until it ends a statement as PgBouncer does when the server's session
    # has crashed, with an error of the state that a test chooses.
    def __init__(self, port, server):
        self.server, self.state = server, None
        self.listening = socket.create_server(("127.0.0.1", port))
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client, _ = self.listening.accept()
            if self.server[0].startswith("/"):
                server = socket.socket(socket.AF_UNIX)
                server.connect(f"{self.server[0]}/.s.PGSQL.{self.server[1]}")
            else:
                server = socket.create_connection(self.server)
            for pair in ((client, server), (server, client)):
                threading.Thread(target=self.copy, args=(*pair, client), daemon=True).start()

    def copy(self, source, target, client):
        with source, target:
            while data := source.recv(65536):
                if source is client and self.state:
                    state, self.state = self.state, None
                    fields = f"SFATAL\\0VFATAL\\0C{state}\\0Mserver conn crashed?\\0\\0".encode()
                    client.sendall(b"E" + (len(fields) + 4).to_bytes(4) + fields)
                    client.shutdown(socket.SHUT_RDWR)
                    return
                target.sendall(data)

class Killer:
    def __init__(self, pooler, number, state):
        self.pooler, self.left, self.state = pooler, number, state

    def __call__(self, execute, sql, params, many, context):
        self.left -= 1
        if not self.left:
            self.pooler.state = self.state
        return execute(sql, params, many, context)
"""


@pytest.mark.parametrize("state", ["08P01", "58000"])
def test_searches_survive_a_pooler_whose_server_crashed(site, entry, state):
    """Whatever state a pooler gives its errors: it is the session that counts."""
    server = (entry["HOST"] or "127.0.0.1", int(entry["PORT"] or 5432))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    changed = {"HOST": "127.0.0.1", "PORT": str(port)}
    script = f"""{POOLER}
pooler = Pooler({port}, {server!r})
first = Note.objects.first()
number = 0
while True:
    killer = Killer(pooler, number := number + 1, {state!r})
    with connection.execute_wrapper(killer):
        assert len(found()) == 60
        assert len(list(NOTES.find_similar(first))) == 10
    if killer.left > 0:
        break
print(number > 5)
"""
    output = run(site, script, database=changed, sslmode="disable")
    assert output.endswith("True\n"), output


WRITERS = {
    "drain": """
        queue(NOTES.name, [f"notes.note:{first.pk}"])
        Note.objects.filter(pk=first.pk).update(text=f"note {next(numbers)} about drains")
        with connection.execute_wrapper(killer):
            made = attempt(NOTES.name)
        assert not made.failures
    """,
    "update": """
        Note.objects.filter(pk=first.pk).update(text=f"note {next(numbers)} about updates")
        with connection.execute_wrapper(killer):
            update(NOTES)
    """,
    "rebuild": """
        with connection.execute_wrapper(killer):
            update(NOTES, rebuild=True)
    """,
}


@pytest.mark.parametrize("writer", WRITERS)
def test_writers_survive_a_killed_session(site, writer):
    """Wherever the session ends, nothing is lost, written twice, or left for later."""
    script = f"""{KILL}
import itertools
first, numbers, number = Note.objects.first(), itertools.count(), 1
while True:
    killer = Killer(number)
    if True:{WRITERS[writer]}
    assert not PendingChange.objects.exists()
    [collection] = Collection.objects.filter(index=NOTES.name, state="active")
    assert collection.applied_revision == collection.revision
    documents = collection.documents.filter(deleted_at=None)
    assert sorted(documents.values_list("content")) == sorted(Note.objects.values_list("text"))
    if killer.left > 0:
        break
    number += 3
assert number > 10
print("all written")
"""
    assert "all written" in run(site, script)


def test_in_a_transaction_of_the_caller_nothing_is_repeated(site):
    script = f"""{KILL}
from django.db import OperationalError
try:
    with transaction.atomic():
        Note.objects.create(text="undone")
        with connection.execute_wrapper(Killer(1)):
            found()
except OperationalError:
    print(Note.objects.filter(text="undone").count())
"""
    assert run(site, script) == "0\n"


@pytest.mark.parametrize("pool", [False, {"timeout": 1}], ids=str)
def test_a_server_that_is_down_is_tried_once(site, pool):
    """No session was lost, so a second attempt would only take as long again."""
    if pool:
        pytest.importorskip("psycopg_pool")
    script = """
from django.db import OperationalError
from wagtail_vector_index.models.sessions import again_if_lost
attempts = []

@again_if_lost
def count():
    attempts.append("one")
    Note.objects.count()

try:
    count()
except OperationalError:
    assert attempts == ["one"], attempts
else:
    raise AssertionError("the server is not down")
"""
    run(site, script, database={"HOST": "127.0.0.1", "PORT": "1"}, pool=pool)


# A pooler


@pytest.fixture
def pooled(entry, tmp_path):
    """The way to PgBouncer, which gives each transaction the next session of the database."""
    program = shutil.which("pgbouncer")
    if program is None:
        pytest.skip("PgBouncer is not installed: apt-get install pgbouncer")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    server = f"host={entry['HOST']} port={entry['PORT'] or 5432} dbname={entry['NAME']}"
    users, config = tmp_path / "users.txt", tmp_path / "pgbouncer.ini"
    users.write_text(f'"{entry["USER"]}" "{entry["PASSWORD"]}"\n')
    config.write_text(
        f"[databases]\nsite = {server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\n"
        f"listen_port = {port}\nunix_socket_dir =\nauth_type = trust\nauth_file = {users}\n"
        "pool_mode = transaction\nserver_round_robin = 1\n"
    )
    command = [program, "-q", str(config)]
    if os.getuid() == 0:  # PgBouncer refuses to run as root, and only its owner reaches a socket
        for path in (tmp_path, *tmp_path.parents[:2]):
            path.chmod(0o755)
        is_socket = entry["HOST"].startswith("/")
        command += ["-u", Path(entry["HOST"], "PG_VERSION").owner() if is_socket else "nobody"]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as process:
        for _ in range(200):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            assert process.poll() is None, process.stderr.read()
            time.sleep(0.02)
        yield {"NAME": "site", "HOST": "127.0.0.1", "PORT": str(port)}
        process.terminate()


@pytest.mark.parametrize("backend", ["numpy", "pgvector"])
def test_pgbouncer_in_transaction_mode(site, pooled, backend):
    """With Django's defaults. A cursor, or a setting, is in another session than its successor."""
    script = f"""
from django.test import override_settings
from wagtail_vector_index.indexing import batches
batches.BATCH_SIZE = 7
given = connection.settings_dict
others = [
    psycopg.connect(host=given["HOST"], port=given["PORT"], dbname="site", user=given["USER"])
    for _ in range(3)
]
for other in others:
    other.execute("SELECT 1")  # begins a transaction, which needs a session
for other in others:
    other.rollback()
    other.close()
sessions = {{session() for _ in range(40)}}
with override_settings(
    WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS={{"default": {{"BACKEND": "{backend}"}}}}
):
    update(NOTES, rebuild=True)
    assert len(found()) == 60
    for turn in range(5):
        Note.objects.filter(text__startswith=f"note{{turn}}").update(text=f"turn {{turn}}")
        queue(NOTES.name, NOTES.source_keys()[:20])
        assert attempt(NOTES.name).failures == 0
        update(NOTES)
        assert len(found(f"turn {{turn}}")) == 60
        assert len(NOTES.search("turn", limit=5, mode="hybrid")) == 5
    call_command("update_vector_indexes", "--rebuild", verbosity=0)
    call_command("vector_backends", "--check", verbosity=0)
print("pools", len(sessions) > 1)
"""
    assert "pools True" in run(site, script, database=pooled)
