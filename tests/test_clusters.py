"""A site goes on while a node of the cluster that the documentation recommends is away.

CRASH_TEST_QDRANT names the program of a Qdrant server. Without it, nothing runs.
"""

from __future__ import annotations

import random
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from tests.crashing import Server, qdrant_cluster
from tests.servers import START
from tests.test_server_kills import program_of, text
from tests.testapp.models import Note
from wagtail_vector_index.exceptions import BackendError
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.models import Collection

NOTES = 40

pytestmark = [pytest.mark.once, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[Server]]:
    """Three nodes of one cluster."""
    if not program_of("qdrant"):
        pytest.skip("CRASH_TEST_QDRANT does not name the program of a server")
    found = qdrant_cluster(program_of("qdrant"), tmp_path, 3)
    yield found
    vector_backends["default"].close()
    for node in found:
        node.kill()


@pytest.mark.timeout(1_800)
@pytest.mark.parametrize("frozen", [False, True], ids=["killed", "frozen"])
def test_searches_updates_and_rebuilds_while_one_node_is_away(
    nodes: list[Server], settings: Any, frozen: bool
) -> None:
    connect(settings, nodes[0])
    chosen = random.Random(1)
    Note.objects.bulk_create(Note(text=text(chosen)) for _ in range(NOTES))
    call_command("update_vector_indexes", "Note", verbosity=0)
    for away in nodes:
        others = [node for node in nodes if node is not away]
        away.freeze() if frozen else away.kill()
        for node in others:
            connect(settings, node)
            note = Note.objects.order_by("?")[0]
            assert_found(note)
            note.text = text(chosen)
            note.save()
            call_command("update_vector_indexes", "Note", verbosity=0)
            assert_found(note)
            call_command("update_vector_indexes", "Note", rebuild=True, verbosity=0)
            assert_found(note)
        away.thaw() if frozen else away.start()
        # What the node missed must not come back: it answers as one of three from now on.
        connect(settings, away)
        wait_until_it_agrees()
        for note in Note.objects.all():
            assert_found(note)


def connect(settings: Any, node: Server) -> None:
    """Let the site use this node of the cluster."""
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {"default": dict(node.options)}


def wait_until_it_agrees() -> None:
    """Wait for a node that has missed what the others agreed on, and what they have written.

    While it reads that, the node knows a new collection not at all, and then as an empty one.
    Before all its replicas are whole again, no other node may fail.
    """
    backend = vector_backends["default"]
    spec, end = Collection.objects.get(state="active").spec, time.monotonic() + START
    while time.monotonic() < end:
        with suppress(BackendError):
            if backend.count(spec) == Note.objects.count() and backend.health().ok:
                return
    raise AssertionError("The node does not agree with the others.")


def assert_found(note: Note) -> None:
    collection = Collection.objects.get(state="active")
    assert vector_backends["default"].count(collection.spec) == Note.objects.count()
    assert Note.vector_index.search(note.text, limit=1)[0] == note
