"""Decides whether a new collection is good enough to replace the active one."""

from __future__ import annotations

from collections.abc import Sequence

from ..models.tables import Collection, Document, PendingChange
from .batches import live_documents
from .failures import FAILED
from .problems import Problem

__all__ = ["MISSING_SHARE", "reason_to_wait"]

#: The share of the objects in the active collection that a new collection may lack because they
#: could not be indexed. One object may always be missing, unless it is the only one.
MISSING_SHARE = 0.01

_KEYS_SHOWN = 5


def reason_to_wait(building: Collection) -> Problem | None:
    """Return the reason why a new collection must not serve searches yet; None if it may.

    Only objects that failed and still wait in the outbox count as missing. An object that was
    written without documents has no text any more, or is no longer to be indexed.
    """
    failed = PendingChange.objects.filter(
        FAILED, index=building.index, scope=PendingChange.Scope.OBJECT
    ).values("object_key")
    if not failed.exists():
        return None
    in_use = Document.objects.filter(
        collection__index=building.index,
        collection__state=Collection.State.ACTIVE,
        deleted_at__isnull=True,
    )
    written = live_documents(building)
    held = in_use.values("object_key").distinct().count()
    if not held:
        return None if written.exists() else _nothing_built(building, failed.distinct().count())
    lost = in_use.filter(object_key__in=failed).exclude(object_key__in=written.values("object_key"))
    missing = sorted(set(lost.values_list("object_key", flat=True)))
    if len(missing) <= max(1, int(held * MISSING_SHARE)) and len(missing) < held:
        return None
    return _too_little(building, missing, held)


def _nothing_built(building: Collection, failed: int) -> Problem:
    return Problem(
        message=(
            f"{building.index} is not built, because none of its objects could be indexed. {failed}"
            " failed."
        ),
        remedy=_remedy(building),
    )


def _too_little(building: Collection, missing: Sequence[str], held: int) -> Problem:
    more = f" and {len(missing) - _KEYS_SHOWN} more" if len(missing) > _KEYS_SHOWN else ""
    return Problem(
        message=(
            f"{building.index} is not rebuilt yet, because {len(missing)} of its {held} objects"
            f" could not be indexed: {', '.join(missing[:_KEYS_SHOWN])}{more}. The collection in"
            f" use stays until the new one has at least {1 - MISSING_SHARE:.0%} of them."
        ),
        remedy=_remedy(building),
    )


def _remedy(building: Collection) -> str:
    return (
        "Correct the cause of the errors. To continue, run: manage.py update_vector_indexes"
        f" {building.index}"
    )
