"""Brings an index up to date: compares, drains, pushes and, where needed, rebuilds."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from django.db import IntegrityError
from django.db.models import Count, F, Max, Q
from django.utils import timezone

from ..backends.base import VectorBackend
from ..content.declaration import IndexDeclaration
from ..contract.slices import slices
from ..exceptions import ConfigurationError, EmbeddingError, RebuildRunning
from ..models.sessions import again_if_lost
from ..models.tables import Collection, index_database
from ..models.transactions import in_transaction
from ..plugins.handlers import vector_backends
from .building import Heartbeat, is_led_by_another, lead, release
from .catching_up import share_ahead
from .cleaning import clean_up, retire
from .comparing import changed_batches, changed_keys
from .draining import Drained, drain
from .expanding import expand
from .failures import FAILED, error_text, is_waiting, note_failure, note_success
from .keeping import follow
from .outbox import changes_of, object_changes, queue_batches
from .ownership import current_owner, is_foreign
from .plan import Plan, live_collections
from .problems import Problem
from .processes import SILENCE
from .progress import Progress
from .pushing import complete, purge, push, reconcile
from .redacting import check_plugins
from .removing import remove_gone
from .replacing import reason_to_wait

logger = logging.getLogger(__name__)

#: The first and the longest pause between two looks at what other processes do, in seconds.
#: A short wait then ends soon, and a long one asks little of the database.
_FIRST_PAUSE = 0.02
_LONGEST_PAUSE = 0.5

#: An action of `pushing` on a collection and its backend, which reports numbers of documents.
_Action: TypeAlias = Callable[[Collection, VectorBackend, Callable[[int], None]], None]


@dataclass(frozen=True, kw_only=True)
class Updated:
    """The result of an update."""

    drained: Drained
    built: bool
    #: The process that leads the build, if this one only took a share of it.
    leader: str = ""
    #: The reason why the new collection does not replace the active one yet, or is not the first.
    held_back: Problem | None = None


def update(
    index: IndexDeclaration, *, rebuild: bool = False, progress: Progress | None = None
) -> Updated:
    """Bring an index up to date with its source objects and its settings.

    If the settings need another collection than the active one, or with ``rebuild``, a new
    collection is built beside the active one and replaces it at the end. An update can be
    interrupted at any time, and the next update continues where it stopped.

    Any number of updates can run at once, on any machines. The first leads: it compares, and it
    finishes the build. All others take shares of what is to be embedded and written, until nothing
    is left. If one ends early, the others take its share or its lead.

    Raises:
        RebuildRunning: a process with other settings builds the index, or has built it.
        ConfigurationError, EmbeddingError, BackendError: changes written before the error are
            kept.
    """
    progress = progress or Progress()
    check_plugins(index.name)
    plan = Plan.of(index)
    building = _ensure_collection(plan, rebuild=rebuild)
    if building is None:
        return _update(index, plan, None, progress)
    drained, pause = Drained(), _FIRST_PAUSE
    while not again_if_lost(lead)(building):
        # What the leader has compared is in the outbox by now, so it is drained below.
        _read_again(building)
        was_compared = bool(building.compared_at)
        drained.add(_drain_together(index, progress))
        _read_again(building)
        is_over = building.state != Collection.State.BUILDING
        if is_over or (was_compared and is_led_by_another(building)):
            # What this process wrote after the leader's last look is sent by nobody else.
            _push_all([c for c in _targets(plan) if c.state == c.State.ACTIVE], progress)
            return Updated(drained=drained, built=False, leader="" if is_over else building.builder)
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)
    try:
        updated = _update(index, plan, building, Heartbeat(building, progress))
    finally:
        again_if_lost(release)(building)
    updated.drained.add(drained)
    return updated


@again_if_lost
def _read_again(building: Collection) -> None:
    """Read again which process leads a build, and how far it is."""
    names = ("state", "builder", "builder_seen", "compared_at")
    row = Collection.objects.filter(pk=building.pk).values(*names).first()
    for name, value in (row or {"state": Collection.State.RETIRED}).items():
        setattr(building, name, value)


@again_if_lost
def _update(
    index: IndexDeclaration, plan: Plan, building: Collection | None, progress: Progress
) -> Updated:
    collections = _targets(plan)
    follow(index, collections, progress)
    drained = Drained(errors=expand(index))
    queue_batches(index.name, changed_batches(index, collections, progress))
    if building is not None:
        Collection.objects.filter(pk=building.pk).update(compared_at=timezone.now())
    now = timezone.now()
    changes_of(index.name).filter(next_attempt__gt=now).update(next_attempt=now)
    sending = progress if index.keep_embeddings else _SendsEarly(plan, progress)
    drained.add(_drain_together(index, sending))
    _forget_written(index, drained.errors)
    held_back = None if building is None else reason_to_wait(building)
    built = building is not None and not held_back
    if building is not None and built:
        # The new collection comes first, since the old one's backend may no longer exist.
        try:
            _flip(building, progress)
        except Exception:  # a backend may raise anything
            # The collection that still serves searches must get the changes nevertheless.
            _push_all([c for c in _targets(plan) if c.pk != building.pk], progress)
            raise
    _push_all(_targets(plan), progress, reconcile)
    clean_up()
    progress.finished()
    return Updated(drained=drained, built=built, held_back=held_back)


@again_if_lost
def apply_changes(index: IndexDeclaration) -> Drained | None:
    """Write the changes that are due in an index's outbox, and send them to the vector backends.

    For an index that was never built, do nothing and return None. The command
    ``update_vector_indexes`` builds it.

    Raises:
        ConfigurationError, EmbeddingError, BackendError: changes written before the error are
            kept.
    """
    if not live_collections(index.name).exists():
        return None
    silent = Progress()
    drained = _drain(index, silent)
    # While an index moves to another backend, a failure of one backend must not hold up the
    # other.
    _push_all([c for c in _targets(Plan.of(index)) if not is_waiting(c)], silent)
    return drained


@again_if_lost
def apply_removals(index: IndexDeclaration, *, compare: bool = False) -> int:
    """Remove objects that were deleted, unpublished or restricted; return their number.

    Unlike `apply_changes`, this works while the embedding service is down.

    Args:
        index: the index.
        compare: whether to compare all indexed objects, and the contents of the vector backends.
            By default, only the changes in the outbox are looked at.

    Raises:
        BackendError: a vector backend does not have the removals yet; the index tables have.
    """
    late = _late(index)
    removed = remove_gone(index, compare=compare)
    if removed or compare:
        live = live_collections(index.name)
        reachable = [c for c in live if compare or c.pk not in late]
        _push_all(reachable, Progress(), purge if compare else push, ends_wait=False)
    return removed


def pending_keys(index: IndexDeclaration, *, rebuild: bool = False) -> list[str]:
    """Return the keys of the objects that `update` would write now, without any change."""
    plan = Plan.of(index)
    fitting = [c for c in live_collections(index.name) if _is_wanted(plan, c)]
    waiting = object_changes(index.name).values_list("object_key", flat=True)
    keys = (
        index.source_keys() if rebuild or not fitting else changed_keys(index, fitting, Progress())
    )
    return list(dict.fromkeys([*waiting, *keys]))


def _drain_together(index: IndexDeclaration, progress: Progress) -> Drained:
    """Drain until all changes that were due at the beginning are written, by whatever process.

    Shares that other processes hold are waited for. What they leave is taken.
    """
    began = timezone.now()
    rows = object_changes(index.name)
    # An object that was saved several times has several rows, but counts once.
    counts = rows.aggregate(last=Max("pk"), objects=Count("object_key", distinct=True))
    drained = Drained()
    if counts["last"] is None:
        return drained
    progress.started(index.name, "writing", counts["objects"])
    left = rows.filter(
        Q(attempts=0) | Q(next_attempt__lte=began) | Q(holder__isnull=False), pk__lte=counts["last"]
    )
    pause = _FIRST_PAUSE
    while True:
        share = _drain(index, progress)
        drained.add(share)
        # An object that failed has its next attempt later.
        if not again_if_lost(left.exists)():
            _forget_written(index, drained.errors)
            return drained
        pause = _FIRST_PAUSE if share.objects else min(2 * pause, _LONGEST_PAUSE)
        time.sleep(pause)
        progress.indexed(0)


@again_if_lost
def _forget_written(index: IndexDeclaration, errors: dict[str, str]) -> None:
    """Forget the errors of objects that could be written after all."""
    failing: set[str] = set()
    for some in slices(list(errors), 500):
        rows = changes_of(index.name).filter(FAILED, object_key__in=some)
        failing.update(rows.values_list("object_key", flat=True))
    for key in errors.keys() - failing:
        del errors[key]


def _drain(index: IndexDeclaration, progress: Progress) -> Drained:
    """Drain. If that fails, send what was written before, without which searches lack objects."""
    late = _late(index)
    try:
        return drain(index, progress)
    except Exception as error:
        live = live_collections(index.name)
        if isinstance(error, EmbeddingError):
            note_failure(live, error_text(error))
        with suppress(Exception):  # a backend may raise anything; `_push` has stored it
            searched = [c for c in live if c.state == c.State.ACTIVE and c.pk not in late]
            _push_all(searched, progress, ends_wait=False)
        raise


@again_if_lost
def _late(index: IndexDeclaration) -> set[int]:
    """Return the primary keys of collections that wait for their vector backend.

    A collection that waits, but is not behind, waits for the embedding service.
    """
    return {c.pk for c in live_collections(index.name) if is_waiting(c) and c.is_behind}


class _SendsEarly(Progress):
    """A progress that also sends what is written, so that its embeddings are soon dropped.

    While a collection is built, only that gets changes early. The push at the end of the update
    tries again what fails, and raises the error.
    """

    def __init__(self, plan: Plan, progress: Progress) -> None:
        self._plan = plan
        self._progress = progress

    def started(self, index: str, doing: str, total: int) -> None:
        """Pass the call on."""
        self._progress.started(index, doing, total)

    def embedded(self, count: int) -> None:
        """Pass the call on."""
        self._progress.embedded(count)

    def indexed(self, count: int) -> None:
        """Pass the call on, and send what is written."""
        self._progress.indexed(count)
        live = _targets(self._plan)
        building = [c for c in live if c.state == Collection.State.BUILDING]
        for collection in building or live:
            # Another process may be sending what comes before.
            is_being_sent = collection.sent_revision > collection.applied_revision
            if not is_waiting(collection) and not is_being_sent:
                with suppress(Exception):  # a backend may raise anything; `_push` has stored it
                    _push(collection, self._progress)


def _push_all(
    collections: list[Collection],
    progress: Progress,
    action: _Action = push,
    *,
    ends_wait: bool = True,
) -> None:
    """Send changes to the backends of all these collections, even if one backend fails."""
    errors = []
    for collection in collections:
        try:
            _push(collection, progress, action, ends_wait=ends_wait)
        except Exception as error:  # noqa: BLE001  # a backend may raise anything
            errors.append(error)
    if errors:
        raise errors[0]


def _push(
    collection: Collection,
    progress: Progress,
    action: _Action = push,
    *,
    ends_wait: bool = True,
) -> None:
    backend = vector_backends[collection.vector_backend]
    try:
        again_if_lost(action)(collection, backend, progress.pushed)
    except Exception as error:  # a backend may raise anything
        own_row = Collection.objects.filter(pk=collection.pk)
        note_failure(own_row, error_text(error))
        raise
    if ends_wait:
        note_success(collection)


def _targets(plan: Plan) -> list[Collection]:
    return [c for c in live_collections(plan.index) if plan.accepts(c)]


@again_if_lost
def _ensure_collection(plan: Plan, *, rebuild: bool) -> Collection | None:
    """Return the collection to build, new or left unfinished; None if none needs building."""
    collections: list[Collection] = list(live_collections(plan.index))
    building = [c for c in collections if c.state == Collection.State.BUILDING]
    unfinished = [c for c in building if _is_wanted(plan, c)]
    if unfinished:
        return unfinished[0]
    for other in building:
        if _is_own(other) and is_led_by_another(other):
            raise RebuildRunning(
                f"{plan.index} is being built with other settings than the ones of this process,"
                f" by the process {other.builder}. If the settings of this process are outdated,"
                " stop it. If not, stop the other process, and run this again"
                f" {SILENCE.seconds // 60} minutes later."
            )
    active = [c for c in collections if c.state == Collection.State.ACTIVE]
    if active and _is_wanted(plan, active[0]) and not rebuild:
        retire(_rows(building))
        return None
    if active and not rebuild and _is_own(active[0]) and _is_outdated(plan, active[0]):
        raise RebuildRunning(
            f"Newer settings are at work: {plan.index} was built with other settings on"
            f" {active[0].created_at:%Y-%m-%d %H:%M} UTC, and this process has the settings from"
            " before. Nothing was changed. If another release changed them, restart this process"
            " with that release. If you took a change back yourself, run: manage.py"
            f" update_vector_indexes {plan.index} --rebuild"
        )
    retire(_rows(building))
    collection = plan.new_collection()
    collection.owner = current_owner()
    lead(collection)
    try:
        in_transaction(collection.save, index_database())
    except IntegrityError:  # another process has begun to build one
        return live_collections(plan.index).get(state=Collection.State.BUILDING)  # type: ignore[no-any-return]
    return collection


def _rows(collections: list[Collection]) -> Any:
    return Collection.objects.filter(pk__in=[collection.pk for collection in collections])


def _is_wanted(plan: Plan, collection: Collection) -> bool:
    return plan.fits(collection) and _is_own(collection)


def _is_own(collection: Collection) -> bool:
    try:
        return not is_foreign(collection, vector_backends[collection.vector_backend])
    except ConfigurationError:
        return True  # the settings no longer have its backend


def _is_outdated(plan: Plan, active: Collection) -> bool:
    """Return whether a collection of this plan served before the active one.

    The active collection's settings then came later.
    """
    replaced = Collection.objects.filter(index=plan.index, pk__lt=active.pk, served=True)
    return not plan.fits(active) and any(plan.fits(collection) for collection in replaced)


def _flip(building: Collection, progress: Progress) -> None:
    """Replace the active collection by a new one, once the new one's backend is up to date."""
    _push(building, progress, complete)
    _share_ahead(building)
    while not _try_flip(building):
        _push(building, progress)


def _share_ahead(building: Collection) -> None:
    active = Collection.objects.filter(index=building.index, state=Collection.State.ACTIVE).first()
    if active is not None:
        share_ahead(building, vector_backends[building.vector_backend], active)


def _try_flip(building: Collection) -> bool:
    live = list(live_collections(building.index).values_list("pk", flat=True))
    return in_transaction(partial(_flip_among, live, building), index_database())


def _flip_among(live: list[int], building: Collection) -> bool:
    for pk in live:
        # Rows are locked one by one, in the same order as by writers, to avoid deadlocks.
        Collection.objects.filter(pk=pk).update(revision=F("revision"))
    building.refresh_from_db(using=index_database())
    if building.state != Collection.State.BUILDING:
        return True  # another process was faster
    if building.applied_revision < building.revision:
        return False
    active = Collection.objects.filter(index=building.index, state=Collection.State.ACTIVE)
    active.update(served=True)
    retire(active)
    Collection.objects.filter(pk=building.pk).update(state=Collection.State.ACTIVE)
    return True
