"""Tests that kill the server of a vector backend at random moments of an update.

CRASH_TEST_WEAVIATE and CRASH_TEST_QDRANT name the programs of the servers. Without them, nothing
runs. CRASH_TEST_KILLS sets the number of kills, CRASH_TEST_SEED the seed of the moments.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from tests.crashing import SERVERS, Server
from tests.servers import START
from tests.testapp.models import Note
from wagtail_vector_index.exceptions import BackendError
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.batches import written_after
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection

KILLS = int(os.environ.get("CRASH_TEST_KILLS", "10"))
SEED = int(os.environ.get("CRASH_TEST_SEED", "1"))

NOTES = 300
WORDS = 2_000

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


def program_of(name: str) -> str:
    return os.environ.get(f"CRASH_TEST_{name.upper()}", "")


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest, settings: Any, tmp_path: Path) -> Iterator[Server]:
    """A running server, and the site's only vector backend."""
    name = request.param
    if not program_of(name):
        pytest.skip(f"CRASH_TEST_{name.upper()} does not name the program of a server")
    found = SERVERS[name](program_of(name), tmp_path)
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {**found.options, "BATCH_SIZE": 20, "MAX_RETRIES": 0, "TIMEOUT": 5}
    }
    found.start()
    yield found
    vector_backends["default"].close()
    found.kill()


@pytest.mark.timeout(100 * KILLS + 300)
def test_after_each_kill_one_update_makes_every_object_findable(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, index = random.Random(SEED), get_index("Note")
    Note.objects.bulk_create(Note(text=text(chosen)) for _ in range(NOTES))
    seconds, stopped = seconds_of_sending(index, monkeypatch), 0
    for _ in range(KILLS):
        for note in Note.objects.order_by("?")[: NOTES // 2]:
            note.text = text(chosen)
            note.save()
        Note.objects.bulk_create(Note(text=text(chosen)) for _ in range(NOTES // 10))
        # About so long takes the sending of this round's records.
        kill = threading.Timer(chosen.uniform(0.0, 0.6) * seconds, server.kill)
        with monkeypatch.context() as patch:
            begin_with_the_first_batch(kill, patch)
            try:
                update(index)
            except BackendError:
                stopped += 1
        kill.join()
        server.start()
        wait_until_it_answers()
        update(index)
        assert_every_object_is_found()
    print(f"{KILLS} kills, {stopped} of them in the middle of an update")
    assert stopped


def wait_until_it_answers() -> None:
    """Wait for the last of the server's ports, and for a client that noticed that it was away."""
    end = time.monotonic() + START
    while time.monotonic() < end:
        with suppress(BackendError):
            if vector_backends["default"].health().ok:
                return
    raise AssertionError("The server does not work again.")


def text(chosen: random.Random) -> str:
    return " ".join(f"word{chosen.randrange(WORDS)}" for _ in range(12))


def seconds_of_sending(index: Any, monkeypatch: pytest.MonkeyPatch) -> float:
    """Build the index; return how long its records took to be sent."""
    backend, spent = vector_backends["default"], []
    upsert = backend.upsert

    def timed(*arguments: Any) -> None:
        started = time.monotonic()
        upsert(*arguments)
        spent.append(time.monotonic() - started)

    with monkeypatch.context() as patch:
        patch.setattr(backend, "upsert", timed)
        update(index)
    return sum(spent)


def begin_with_the_first_batch(kill: threading.Timer, monkeypatch: pytest.MonkeyPatch) -> None:
    backend = vector_backends["default"]
    upsert = backend.upsert

    def watched(*arguments: Any) -> None:
        if kill.ident is None:
            kill.start()
        upsert(*arguments)

    monkeypatch.setattr(backend, "upsert", watched)


def assert_every_object_is_found() -> None:
    collection, backend = Collection.objects.get(state="active"), vector_backends["default"]
    assert backend.count(collection.spec) == collection.document_count == Note.objects.count()
    for batch in written_after(collection, 0):
        assert backend.unfound(collection.spec, batch) == []
    for note in Note.objects.order_by("?")[:100]:
        assert note in list(Note.vector_index.search(note.text, limit=10))
