"""Verifies that a vector backend finds what was sent to it, and mends what it does not find.

A service that fails in the middle of a write may hold records that its searches do not find, and
some services do not repair such a record if it is written again: they have it already. Only
deleting it first helps. A failure that nobody noticed can do the same to records that were
reported as written, for instance if the service's machine lost its power.
"""

from __future__ import annotations

import logging

from ..backends.base import VectorBackend
from ..contract.records import RecordBatch
from ..models.tables import Collection
from .batches import batch_of, newest_first, sample

__all__ = ["must_be_verified", "replace", "unfound_in_sample", "verify"]

logger = logging.getLogger(__name__)

#: How many records are verified at once.
_BATCH_SIZE = 200

#: How many records are verified at least. A crash can also make older records unreachable: a
#: graph changes the links of a record's neighbours with it.
_LEAST = 5_000

#: How many records a check verifies. If a hundredth of all records cannot be found, it finds one
#: of them almost always.
_SAMPLE_SIZE = 500

#: In place of the run of a service: no service has such a run.
_UNVERIFIED = "?"


def replace(collection: Collection, backend: VectorBackend, batch: RecordBatch) -> None:
    """Send records of which the backend may have a part."""
    backend.delete(collection.spec, batch.uuids)
    backend.upsert(collection.spec, batch)


def must_be_verified(collection: Collection) -> None:
    """Have the next update verify the records of a collection that were sent last."""
    Collection.objects.filter(pk=collection.pk).update(service_run=_UNVERIFIED)


def verify(collection: Collection, backend: VectorBackend) -> None:
    """Verify what was sent last, if the service failed or was started again since the last time.

    Records that a search does not find are deleted and sent again. The newest records come
    first. After some thousands of them, older ones follow as long as more than a tenth of a batch
    had to be mended.

    Raises:
        BackendError: the backend failed. The next update verifies the records again.
    """
    if not backend.persistent:
        return
    own_row = Collection.objects.filter(pk=collection.pk)
    run = backend.service_run()
    if run == own_row.values_list("service_run", flat=True).get():
        return
    verified = 0
    for batch in newest_first(collection, _BATCH_SIZE):
        lost = backend.unfound(collection.spec, batch)
        if lost:
            logger.warning(
                "%r did not find %d records of %s. They are sent again.",
                backend,
                len(lost),
                collection,
            )
            for part in batch_of(collection, lost):
                replace(collection, backend, part)
        verified += len(batch)
        if verified >= _LEAST and len(lost) <= len(batch) // 10:
            break
    own_row.update(service_run=run)


def unfound_in_sample(collection: Collection, backend: VectorBackend) -> tuple[int, int]:
    """Return how many records of a random sample the backend does not find, and its size."""
    batches = list(sample(collection, _SAMPLE_SIZE))
    lost = sum(len(backend.unfound(collection.spec, batch)) for batch in batches)
    return lost, sum(map(len, batches))
