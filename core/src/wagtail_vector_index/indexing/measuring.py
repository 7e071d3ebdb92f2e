"""Keeps the measured recall of a collection, with the setting that all processes search with."""

from __future__ import annotations

from dataclasses import replace

from ..backends.base import VectorBackend
from ..contract.recall import Recall
from ..models.tables import Collection

__all__ = ["keep", "measure_again", "optimize"]


def optimize(collection: Collection, backend: VectorBackend) -> None:
    """Prepare a new or refilled collection for searches, and keep its recall."""
    keep(collection, backend.optimize(replace(collection.spec, recall=None)))


def measure_again(collection: Collection, backend: VectorBackend) -> None:
    """Measure the recall of the active collection if it has grown, or the options have changed."""
    if backend.persistent and collection.state == Collection.State.ACTIVE:
        keep(collection, backend.measure(collection.spec))


def keep(collection: Collection, recall: Recall | None) -> None:
    """Store the recall of a collection; None if its searches are exact."""
    if recall == collection.spec.recall:
        return
    collection.recall = None if recall is None else recall.as_json()
    Collection.objects.filter(pk=collection.pk).update(recall=collection.recall)
    del collection.spec
