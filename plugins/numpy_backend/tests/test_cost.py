"""What a change of k records does and takes doesn't grow with the collection."""

from __future__ import annotations

import sys
import tracemalloc
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy import NumpyBackend

SPEC = CollectionSpec(
    name="c", dimensions=8, metric="dot", fields={"s": "str", "i": "int", "l": "list[str]"}
)


def _batch(numbers):
    return RecordBatch(
        ids=b"".join(UUID(int=n).bytes for n in numbers),
        vectors=np.ones((len(numbers), 8), np.float32).tobytes(),
        metadata=[f'{{"s":"{n % 50}","i":{n},"l":["{n % 50}"]}}' for n in numbers],
        dimensions=8,
        checked=True,
    )


def _filled(count):
    backend = NumpyBackend("default", NumpyBackend.Options())
    backend.create(SPEC)
    backend.upsert(SPEC, _batch(range(count)))
    # So that there are columns to keep up to date, and room: growing is amortised.
    assert backend.count(SPEC, Q(s="1") & Q(i__gt=0) & Q(l__contains="1")) == count // 50
    backend.upsert(SPEC, _batch(range(count, count + 40)))
    backend.delete(SPEC, _batch(range(count, count + 40)).uuids)
    return backend


def _calls(action):
    """How many functions are called, of Python and of C."""
    calls = 0

    def count(frame, event, argument):
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls


def _peak(action):
    """How many bytes are allocated at most."""
    tracemalloc.start()
    try:
        action()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("measure", [_calls, _peak])
def test_ten_records_cost_the_same_in_any_collection(measure):
    costs = [_costs(_filled(count), measure) for count in (1_000, 30_000)]
    for small, big in zip(*costs, strict=True):
        assert big < 1.5 * small + 200


def _costs(backend, measure):
    changed, added = _batch(range(100, 110)), _batch(range(90_000, 90_010))
    uuids = _batch([3, 90_003, 700, 701, 999, 90_009]).uuids
    return [
        measure(lambda: backend.upsert(SPEC, changed)),
        measure(lambda: backend.upsert(SPEC, added)),
        measure(lambda: backend.delete(SPEC, uuids)),
        measure(lambda: backend.get(SPEC, uuids)),
    ]
