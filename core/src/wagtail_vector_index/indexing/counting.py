"""Asks vector backends whether they have all records, and find them."""

from __future__ import annotations

from collections.abc import Container, Iterator
from typing import Any

from django.db.models import QuerySet

from ..backends.base import VectorBackend
from ..exceptions import CollectionNotFound
from ..models.tables import Collection
from ..plugins.handlers import vector_backends
from ..plugins.redaction import redacted
from ..wording import describe
from .ownership import is_foreign
from .problems import Problem
from .status import IndexStatus
from .verifying import unfound_in_sample

__all__ = ["count_problems", "unfound_problems"]

#: How often records are counted while changes are being written.
_ATTEMPTS = 5


def count_problems(status: IndexStatus, *, without: Container[str] = ()) -> Iterator[Problem]:
    """Yield the collections of an index of which a vector backend has lost or kept records.

    This asks each vector backend outside this process. Collections that are behind are left out:
    the backend is about to get their changes, or its failure is part of the status.

    Args:
        status: the status of the index.
        without: the aliases of vector backends that are not asked.
    """
    for collection in status.collections:
        if collection.vector_backend in without:
            continue
        try:
            backend = vector_backends[collection.vector_backend]
            ours = backend.persistent and not is_foreign(collection, backend)
            message = _difference(collection, backend) if ours else ""
        except Exception as error:  # noqa: BLE001  # a backend may raise anything
            message = redacted(f"{collection} cannot be counted: {describe(error)}.")
        if message:
            yield Problem(
                message=message,
                remedy=f"To correct this, run: manage.py update_vector_indexes {status.name}",
            )


def unfound_problems(status: IndexStatus, *, without: Container[str] = ()) -> Iterator[Problem]:
    """Yield the active collection if searches do not find a sample of its records.

    Each record of the sample is searched by its own vector, so this takes some hundred searches.
    The arguments are those of `count_problems`.
    """
    collection = status.active
    if collection is None or collection.is_behind or collection.vector_backend in without:
        return
    try:
        backend = vector_backends[collection.vector_backend]
        if not backend.persistent or is_foreign(collection, backend):
            return
        lost, size = unfound_in_sample(collection, backend)
        message = f"{lost} of {size} records of {collection} are not found by their own vectors."
    except CollectionNotFound:
        return  # `count_problems` says so
    except Exception as error:  # noqa: BLE001  # a backend may raise anything
        lost, message = 1, redacted(f"{collection} cannot be searched: {describe(error)}.")
    if lost:
        yield Problem(
            message=message,
            remedy=f"To mend this, run: manage.py update_vector_indexes {status.name} --rebuild",
        )


def _difference(collection: Collection, backend: VectorBackend) -> str:
    """Return how a backend's collection differs from ours, or "" if it does not.

    It differs only if nothing changed while it was counted.
    """
    row = Collection.objects.filter(pk=collection.pk)
    before = _state(row)
    for _ in range(_ATTEMPTS):
        if before is None or _is_about_to_change(*before):
            return ""
        held = _held(collection, backend)
        after = _state(row)
        if after == before:
            return _described(collection, held, expected=before[-1])
        before = after  # changes were written meanwhile: count again
    return ""


def _state(row: QuerySet[Any]) -> tuple[str, int, int, int] | None:
    return row.values_list("state", "revision", "applied_revision", "document_count").first()


def _is_about_to_change(state: str, revision: int, applied: int, count: int) -> bool:
    # A new collection may not even exist in the backend yet.
    return applied < revision or (state == Collection.State.BUILDING and not applied)


def _held(collection: Collection, backend: VectorBackend) -> int | None:
    try:
        return backend.count(collection.spec)
    except CollectionNotFound:
        return None


def _described(collection: Collection, held: int | None, expected: int) -> str:
    where = f"the vector backend {collection.vector_backend!r}"
    if held is None:
        return f"{collection} is missing in {where}."
    if held == expected:
        return ""
    return f"{collection} has {held} records in {where}, and {expected} in the index tables."
