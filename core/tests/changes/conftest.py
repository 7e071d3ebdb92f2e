from __future__ import annotations

import pytest

from wagtail_vector_index.background.worker import worker
from wagtail_vector_index.models import PendingChange


@pytest.fixture(autouse=True)
def _auto_update(settings):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = True
    yield
    _end(worker())


def _end(running):
    """Nothing is left that would be tried again while other tests run."""
    with running._changed:
        thread = running._thread
        running._due.clear()
        running._failures.clear()
        running._to_rebuild.clear()
        running._changed.notify_all()
    if thread is not None:
        thread.join(20)
        assert not thread.is_alive()


@pytest.fixture
def noted():
    """What a call puts into the outbox: for each index the keys, with "/" after a subtree's."""

    def run(action, *arguments, **named):
        PendingChange.objects.all().delete_rows()
        action(*arguments, **named)
        seen = {}
        marks = {"object": "", "subtree": "/", "readers": "<"}
        for row in PendingChange.objects.order_by("pk"):
            seen.setdefault(row.index, []).append(row.object_key + marks[row.scope])
        return {index: sorted(keys) for index, keys in seen.items()}

    return run
