"""Tests with several processes on one database: two updates at once, and a killed update."""

from __future__ import annotations

import shutil

import pytest

from tests.site_processes import Site, finished

pytestmark = pytest.mark.once

MIGRATE_AND_FILL = """
from django.core.management import call_command
call_command("migrate", run_syncdb=True, verbosity=0)
from tests.notes.models import Note
Note.objects.bulk_create(
    Note(text=f"note{number} about subject{number % 7}", stars=number % 5)
    for number in range(COUNT)
)
"""


def fill(count):
    """Return the code that writes this many notes into an empty database."""
    return MIGRATE_AND_FILL.replace("COUNT", str(count))


FILL = fill(300)

EDIT = """
from tests.notes.models import Note
for note in Note.objects.filter(stars=1):
    note.text += " edited"
    note.save()
Note.objects.filter(stars=2).delete()
"""

COMPARE = """
import collections
from tests.notes.models import Note
from wagtail_vector_index.models import Collection, Document, PendingChange
from wagtail_vector_index.indexing.updating import update

def state():
    collection = Collection.objects.get(state="active")
    live = Document.objects.filter(collection=collection, deleted_at=None)
    found = [(n.pk, round(n.vector_score, 5)) for n in Note.vector_index.search("note7", limit=300)]
    assert live.count() == collection.document_count
    assert live.values("object_key").distinct().count() == collection.object_count
    return sorted(live.values_list("object_key", "content", "metadata")), sorted(found)

update(Note.vector_index)
before = state()
assert not PendingChange.objects.exists()
keys = {f"notes.note:{pk}" for pk in Note.objects.values_list("pk", flat=True)}
assert {key for key, _, _ in before[0]} == keys
update(Note.vector_index, rebuild=True)
assert before == state(), "the index differs from one built from scratch"
print("equal", len(before[0]), len(before[1]))
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory):
    """A database with content that is not indexed yet."""
    path = tmp_path_factory.mktemp("filled") / "site.sqlite3"
    Site({"TEST_DATABASE": str(path)}).script(FILL)
    return path


@pytest.fixture
def site(filled, tmp_path):
    """A site on a copy of that database."""
    return Site({"TEST_DATABASE": shutil.copy(filled, tmp_path)})


@pytest.fixture
def postgresql_site(new_postgresql_database):
    """A site with the same content in PostgreSQL."""
    site = Site(new_postgresql_database)
    site.script(FILL)
    return site


UPDATE = ("-m", "django", "update_vector_indexes", "note")


@pytest.mark.parametrize("database", ["site", "postgresql_site"])
def test_two_updates_at_once(database, request):
    """In the older project, two updates ended with locks, IntegrityErrors or duplicates."""
    site = request.getfixturevalue(database)
    both = [site.start(*UPDATE) for _ in range(2)]
    for process in both:
        finished(process)
    site.script(EDIT)
    both = [site.start(*UPDATE) for _ in range(2)]
    for process in both:
        finished(process)
    assert "equal 240 240" in site.script(COMPARE)


def test_an_update_that_is_killed_goes_on(site):
    killed = site.start("-c", KILLED)
    killed.wait()
    assert killed.returncode == -9
    assert "equal 300 300" in site.script(COMPARE)


def test_an_update_that_is_interrupted_says_how_to_go_on(site):
    interrupted = site.start("-c", INTERRUPTED)
    output = interrupted.wait()
    assert interrupted.returncode == 130
    assert "Traceback" not in output
    assert output.endswith("Finished work is kept. To continue, run the command again.\n")


#: Kills itself during an update, when some embeddings and some documents have been written.
KILLED = """
import os, signal
from tests.notes.models import Note
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing import shares
from wagtail_vector_index.indexing.updating import update

shares.SIZE = 100

def kill_later(texts):
    if len(embedding_backends["default"].texts) > 150:
        os.kill(os.getpid(), signal.SIGKILL)

embedding_backends["default"].before = kill_later
update(Note.vector_index)
"""

#: Acts like Ctrl+C during an update.
INTERRUPTED = """
import os, signal
from django.core.management import execute_from_command_line
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing import shares

signal.signal(signal.SIGINT, signal.default_int_handler)
shares.SIZE = 100

def interrupt_later(texts):
    if len(embedding_backends["default"].texts) > 150:
        os.kill(os.getpid(), signal.SIGINT)

embedding_backends["default"].before = interrupt_later
execute_from_command_line(["manage.py", "update_vector_indexes", "note"])
"""
