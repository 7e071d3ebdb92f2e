"""Four processes build one index: each embeds and writes its share, also if one is killed."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from tests.site_processes import Site

pytestmark = pytest.mark.once

#: Forks four processes, which begin to embed at the same time. One may kill itself later.
BUILD = """
import json, multiprocessing, os, signal
from django.core.management import call_command
from django.db import connections
import tests.killing.backends  # once, before the forks
from tests.notes.models import Note
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing import shares
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange

call_command("migrate", run_syncdb=True, verbosity=0)
Note.objects.bulk_create(Note(text=f"note{number}") for number in range(400))
shares.SIZE = 40

def build(number):
    calls = []

    def before(texts):
        calls.append(texts)
        if len(calls) == 1:
            together.wait(60)
        elif len(calls) == 3 and number < KILLS:
            os.kill(os.getpid(), signal.SIGKILL)

    embedding_backends["default"].before = before
    updated = update(Note.vector_index)
    print(json.dumps([updated.drained.objects, updated.built]), file=open(f"{log}.{number}", "w"))

log = os.environ["SITE_FOLDER"] + "/built"
context = multiprocessing.get_context("fork")
together = context.Barrier(4)
connections.close_all()
processes = [context.Process(target=build, args=(number,)) for number in range(4)]
for process in processes:
    process.start()
for process in processes:
    process.join()
collection = Collection.objects.get()
live = Document.objects.filter(collection=collection, deleted_at=None)
print(json.dumps({
    "codes": [process.exitcode for process in processes],
    "state": collection.state,
    "documents": [collection.document_count, live.count()],
    "objects": live.values("object_key").distinct().count(),
    "applied": collection.applied_revision == collection.revision,
    "pending": PendingChange.objects.count(),
    "embeddings": Embedding.objects.count(),
    "found": len(Note.vector_index.search("note7", limit=400)),
}))
"""


@pytest.mark.parametrize("kills", [0, 2])
@pytest.mark.parametrize(
    ("database", "backend"),
    [("sqlite", "numpy"), ("postgresql", "pgvector")],
    indirect=["database"],
)
def test_four_processes_build_one_index(database, backend, kills, tmp_path):
    site = Site(
        {
            "DJANGO_SETTINGS_MODULE": "tests.settings_folder",
            "SITE_FOLDER": str(tmp_path),
            "SITE_BACKEND": backend,
            **database,
        }
    )
    output = site.script(BUILD.replace("KILLS", str(kills)))
    told = json.loads(output.splitlines()[-1])
    assert sorted(told.pop("codes")) == [-9] * kills + [0] * (4 - kills), output
    assert told == {
        "state": "active",
        "documents": [400, 400],
        "objects": 400,
        "applied": True,
        "pending": 0,
        "embeddings": 400,
        "found": 400,
    }
    written = [json.loads(path.read_text()) for path in tmp_path.glob("built.*")]
    assert sorted(built for _, built in written) == [False] * (3 - kills) + [True]
    assert all(objects for objects, _ in written)
    lines = map(json.loads, (tmp_path / "embeddings.log").read_text().splitlines())
    times = Counter(text for line in lines for text in line["texts"])
    again = sum(count - 1 for text, count in times.items() if text != "note7")
    # A batch that a process was killed with is embedded again, and nothing else.
    assert again <= kills * 8
    assert bool(again) == bool(kills)
