"""One site in several environments: tenants, copies of the database, and two releases at once."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.shared_databases import new_database
from tests.site_processes import ROOT, Site
from tests.test_processes import fill

# Each test runs several processes one after the other.
pytestmark = [pytest.mark.once, pytest.mark.timeout(900)]

UPDATE = ("-m", "django", "update_vector_indexes", "notes.Note")
CHECK = ("-m", "django", "vector_backends", "--check")

#: The update at the end of another script, without a process of its own.
THEN_UPDATE = """
from django.core.management import call_command
call_command("update_vector_indexes", "notes.Note", verbosity=0)
"""


def failed(site, *arguments):
    """The output of a command that must fail."""
    process = site.start(*arguments)
    output = process.wait()
    assert process.returncode == 1, output
    assert "Traceback" not in output
    return output


# Tenants

OF_TENANTS = {"DJANGO_SETTINGS_MODULE": "tests.settings_tenants"}

TENANTS = """
from django.core.management import call_command
call_command("migrate_schemas", schema_name="public", verbosity=0, run_syncdb=True)
from django.db import connection
from django_tenants.clone import CloneSchema
from tests.tenants.models import Client
berlin = Client(schema_name="berlin", name="Berlin")
berlin.save()
connection.cursor().execute("CREATE SCHEMA berlin")
call_command("migrate_schemas", schema_name="berlin", verbosity=0, run_syncdb=True)
CloneSchema().clone_schema("berlin", "paris", set_connection=False)
Client(schema_name="paris", name="Paris").save()
"""

FILL_TENANTS = """
from django_tenants.utils import schema_context
from tests.notes.models import Note
from wagtail_vector_index.background.worker import worker
from django.core.management import call_command
for name in ["berlin", "paris"]:
    with schema_context(name):
        for number in range(20):
            Note.objects.create(text=f"{name} subject{number}")
        call_command("update_vector_indexes", "notes.Note", verbosity=0)
"""

SEARCH_TENANTS = """
import concurrent.futures, random
from django.db import connection
from django_tenants.utils import schema_context
from tests.notes.models import Note
from wagtail_vector_index.handlers import vector_backends

backend = vector_backends["default"]
created = []
create = backend._create
backend._create = lambda spec: created.append(spec.name) or create(spec)

def search(number):
    name = ["berlin", "paris"][number % 2]
    with schema_context(name):
        try:
            found = Note.vector_index.search(f"{name} subject3", limit=3)
            return name, [note.text for note in found]
        finally:
            connection.close()

with concurrent.futures.ThreadPoolExecutor(8) as pool:
    for name, texts in pool.map(search, range(200)):
        assert texts[0] == f"{name} subject3", (name, texts)
        assert all(text.startswith(name) for text in texts), (name, texts)
print("loads", len(created))
"""

EDIT_TENANT = """
from django.db import connection
from django_tenants.utils import schema_context
from tests.notes.models import Note
from wagtail_vector_index.background.worker import worker
from wagtail_vector_index.models import PendingChange
from wagtail_vector_index.tasks import apply_pending_changes

with schema_context("paris"):
    Note.objects.create(text="croissant")
assert connection.schema_name == "public"
assert worker().wait(60)

def found(name, query):
    with schema_context(name):
        assert not PendingChange.objects.filter(index="notes.Note").exists()
        return [note.text for note in Note.vector_index.search(query, limit=1)]

assert found("paris", "croissant") == ["croissant"], found("paris", "croissant")
assert found("berlin", "croissant") != ["croissant"]

from wagtail_vector_index import tasks
enqueued = []
tasks.runs_at_once = lambda task: False
class Queue:
    def enqueue(self, *arguments, **options):
        enqueued.append((arguments, options))
tasks.apply_pending_changes = Queue()
with schema_context("berlin"):
    Note.objects.create(text="pretzel")
[(arguments, options)] = [call for call in enqueued if call[0] == ("notes.Note",)]
import json
arguments, options = json.loads(json.dumps([arguments, options]))
apply_pending_changes.call(*arguments, **options)
assert connection.schema_name == "public"
assert found("berlin", "pretzel") == ["pretzel"]
print("drained")
"""

REMOVED_TENANT = """
from django.db import connection
from django_tenants.utils import schema_context
from wagtail_vector_index.background.worker import worker
with schema_context("gone"):
    worker().wake("notes.Note")
assert worker().wait(60)
assert not worker()._due
print("ended")
"""


@pytest.fixture(scope="session")
def empty_tenants(shared_database):
    """A database with two tenants, which have no content."""
    pytest.importorskip("django_tenants", reason="django-tenants is not installed")
    return shared_database(
        "empty tenants", lambda database: Site(database | OF_TENANTS).script(TENANTS)
    )


@pytest.fixture
def tenants(postgres, empty_tenants, request):
    backend = {"TENANTS_BACKEND": getattr(request, "param", "numpy")}
    with new_database(postgres, like=empty_tenants) as database:
        site = Site(database | OF_TENANTS | backend)
        site.script(FILL_TENANTS)
        yield site


def test_tenants_have_indexes_of_their_own(tenants):
    """Each search loaded everything again, and some found another tenant's objects or none."""
    assert "loads 2" in tenants.script(SEARCH_TENANTS)


@pytest.mark.parametrize("tenants", ["numpy", "pgvector"], indirect=True)
def test_changes_are_drained_in_the_schema_where_they_were_noted(tenants):
    assert "drained" in tenants.script(EDIT_TENANT)
    assert "ended" in tenants.script(REMOVED_TENANT)


def test_commands_look_at_the_tenant_they_run_in(tenants):
    output = failed(tenants, *CHECK)
    assert "The schema 'public' has no tables of Wagtail Vector Index yet." in output
    output = failed(tenants, *UPDATE)
    assert "add --no-public. To choose another tenant, run commands through:" in output
    of_all = tenants.run("-m", "django", "all_tenants_command", "--no-public", *UPDATE[2:])
    assert "Applying command to: paris" in of_all
    guide = (ROOT / "docs/how-to/environments.md").read_text(encoding="utf-8")
    listing = guide.partition("--command '")[2].partition("'")[0]
    schemas = tenants.run("-m", "django", "shell", "--verbosity", "0", "--command", listing)
    assert sorted(schemas.split()) == ["berlin", "paris"]
    output = tenants.run("-m", "django", "tenant_command", "vector_backends", "-s", "paris")
    assert "Vector indexes in the schema 'paris'" in output
    assert "notes.Note: 20 chunks, 0 changes pending" in output


# Copies of the database


@pytest.fixture(scope="session")
def filled(shared_database):
    """A database with content that is not indexed yet."""
    return shared_database("filled", lambda database: Site(database).script(fill(60)))


@pytest.fixture
def production(postgres, filled, tmp_path):
    with new_database(postgres, like=filled) as database:
        site = Site(database | on_folder(tmp_path))
        site.run(*UPDATE)
        yield site


@pytest.fixture
def staging(postgres, production):
    """A site on a copy of production's database, with the same vector store."""
    with new_database(postgres, like=production.environment) as database:
        yield Site(production.environment | database)


def on_folder(folder):
    """The variables of a site whose vectors are in files that several sites can reach."""
    return {
        "DJANGO_SETTINGS_MODULE": "tests.settings_folder",
        "SITE_FOLDER": str(folder),
        "SITE_BACKEND": "folder",
    }


CHANGE = """
from tests.notes.models import Note
Note.objects.filter(stars=2).delete()
Note.objects.filter(stars=1).update(text="only on staging")
"""

HELD = """
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.models import Collection, Document
collection = Collection.objects.get(state="active")
backend = vector_backends["default"]
documents = Document.objects.filter(collection=collection, deleted_at=None)
live = set(documents.values_list("pk", flat=True))
held = {id for batch in backend.scan(collection.spec) for id in batch.uuids}
assert held == live, (len(held), len(live))
print("equal", len(held), collection.name, "of", len(backend.collections()))
"""

LATER = """
from datetime import timedelta
from django.db.models import F
from wagtail_vector_index.models import Collection
Collection.objects.filter(state="retired").update(retired_at=F("retired_at") - timedelta(hours=1))
"""


def test_a_copy_of_the_database_leaves_production_alone(production, staging):
    before = production.script(HELD)
    output = failed(staging, *CHECK)
    assert "was created for postgresql://" in output
    assert "--take-over" in output
    staging.script(CHANGE)
    staging.script(
        "from tests.notes.models import Note\n"
        "from wagtail_vector_index.indexing.updating import apply_changes\n"
        "note = Note.objects.first(); note.text = 'saved'; note.save()\n"
        "apply_changes(Note.vector_index)"
    )
    assert production.script(HELD) == before
    staging.run(*UPDATE)
    staging.run(*UPDATE, "--rebuild")
    staging.script(LATER + THEN_UPDATE)
    assert "equal 48" in staging.script(HELD)
    assert production.script(HELD).split(" of ")[0] == before.split(" of ")[0]
    staging.run(*CHECK)


def test_a_site_that_was_moved_goes_on_after_one_command(production, staging):
    before = production.script(HELD).split(" of ")[0].split()
    staging.script(CHANGE)
    assert "note3 about subject3" in staging.script(
        "from tests.notes.models import Note\n"
        "print([note.text for note in Note.vector_index.search('note3 about subject3', limit=9)])"
    )
    output = staging.run(*UPDATE, "--take-over")
    assert "1 collections taken over" in output
    after = staging.script(HELD).split(" of ")[0].split()
    assert (before[2], before[1], after[1]) == (after[2], "60", "48")
    staging.run(*CHECK)


def test_a_named_owner_decides_whatever_the_address_is(production, staging):
    named = {"TEST_OWNER": "the one site"}
    production.environment |= named
    production.run(*UPDATE)  # moves to a collection of the named owner
    staging.environment |= named
    staging.script(
        "from wagtail_vector_index.models import Collection\n"
        "Collection.objects.update(owner='the one site')"
    )
    staging.run(*CHECK)


# Two releases at once

GREEN = {"TEST_MODEL": "newer"}

#: Stops in the middle of a build, says so, and goes on when a line comes.
SLOW_BUILD = """
import django, sys
django.setup()
from tests.notes.models import Note
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing.updating import update
embedder = embedding_backends["default"]
waited = []
def wait(texts):
    if not waited:
        waited.append(True)
        print("building", flush=True)
        sys.stdin.readline()
embedder.before = wait
update(Note.vector_index)
print("built")
"""


@pytest.fixture
def blue(production):
    """A site with the settings of an old release."""
    return production


@pytest.fixture
def green(blue):
    """The same site with the settings of a new release."""
    return Site(blue.environment | GREEN)


def test_an_old_release_leaves_a_build_with_newer_settings_alone(blue, green):
    build = subprocess.Popen(
        [sys.executable, "-c", SLOW_BUILD],
        env=green.environment,
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert build.stdout.readline() == "building\n"
    for arguments in (UPDATE, (*UPDATE, "--rebuild")):
        output = failed(blue, *arguments)
        assert "is being built with other settings" in output
    output, _ = build.communicate("\n", timeout=400)
    assert output == "built\n"
    assert ":newer:" in green.script(MODEL)


def test_an_old_release_does_not_turn_back_a_finished_change(blue, green):
    green.run(*UPDATE)
    for _ in range(2):
        output = failed(blue, *UPDATE)
        assert "Newer settings are at work" in output
        assert ":newer:" in green.script(MODEL)
        # The collection of the earlier settings is dropped in the meantime.
        green.script(LATER + THEN_UPDATE)
    assert "Rebuilt" in blue.run(*UPDATE, "--rebuild")  # on purpose
    assert ":newer:" not in blue.script(MODEL)
    assert "Newer settings are at work" in failed(green, *UPDATE)


MODEL = """
from wagtail_vector_index.models import Collection
print(Collection.objects.get(state="active").fingerprint)
"""


# Transactions that see the database as it was

SNAPSHOTS = """
from concurrent.futures import ThreadPoolExecutor
from django.db import connection, transaction
from tests.notes.models import Note
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexing.updating import update

backend = vector_backends["default"]
created = []
create = backend._create
backend._create = lambda spec: created.append(spec.name) or create(spec)

def search():
    found = [note.text for note in Note.vector_index.search("note7 about subject0", limit=9)]
    assert "note7 about subject0" in found, found

old = transaction.atomic()

def begin():
    old.__enter__()
    with connection.cursor() as cursor:
        cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    search()

def end():
    old.__exit__(None, None, None)
    connection.close()

with ThreadPoolExecutor(1) as earlier:
    earlier.submit(begin).result()
    assert len(created) == 1
    Note.objects.filter(pk__gt=20).first().delete()
    update(Note.vector_index)
    for _ in range(10):
        search()
        earlier.submit(search).result()
    assert len(created) == 1, created
    update(Note.vector_index, rebuild=True)
    for _ in range(10):
        search()
        earlier.submit(search).result()
    assert len(created) == 2, created
    earlier.submit(end).result()
print("alternated")
"""


def test_readers_of_an_older_snapshot_make_nobody_load_again(production):
    """Alternating searches loaded everything each time, and some answered nothing."""
    production.environment["SITE_BACKEND"] = "numpy"
    production.run(*UPDATE)
    assert "alternated" in production.script(SNAPSHOTS)
