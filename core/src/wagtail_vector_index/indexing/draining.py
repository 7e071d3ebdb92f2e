"""Drains the outbox: the one way by which changes reach the record and the backends."""

from __future__ import annotations

import datetime
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from django.db import DatabaseError, IntegrityError
from django.db.models import F
from django.utils import timezone

from ..exceptions import EmbeddingUnavailable
from ..models.record import PendingChange
from ..plugins.calling import notify
from .embedding import embedding_ids
from .plan import Plan, live_collections
from .preparing import prepare, source_hash
from .progress import Progress, Silent
from .writing import PreparedObject, Superseded, Written, write

if TYPE_CHECKING:
    from ..indexes import VectorIndex

logger = logging.getLogger(__name__)

#: How many changes one transaction takes care of.
BATCH_SIZE = 200

#: How often in a row another process may be faster before this one gives up.
_MAX_SETBACKS = 50

_FIRST_RETRY = datetime.timedelta(seconds=10)
_LAST_RETRY = datetime.timedelta(hours=1)


@dataclass(kw_only=True)
class Drained:
    """What a drain did: the objects it took care of, and those it could not."""

    objects: int = 0
    upserted: int = 0
    deleted: int = 0
    errors: dict[str, str] = field(default_factory=dict)


def drain(index: VectorIndex, progress: Progress | None = None) -> Drained:
    """Write all changes of an index that are due.

    An object that cannot be prepared or embedded is left in the outbox with its error,
    and holds up no other.

    Raises:
        EmbeddingUnavailable: the embedding service is down; what is not done stays due.
    """
    return _Drain(index, progress or Silent()).run()


class _Drain:
    def __init__(self, index: VectorIndex, progress: Progress) -> None:
        self.index = index
        self.plan = Plan.of(index)
        self.progress = progress
        self.result = Drained()
        self._setbacks = 0

    def run(self) -> Drained:
        while changes := self._due():
            self._apply(changes)
        return self.result

    def _due(self) -> list[tuple[int, str]]:
        due = PendingChange.objects.filter(
            index=self.index.name, next_attempt__lte=timezone.now()
        )
        return list(due.order_by("pk").values_list("pk", "object_key")[:BATCH_SIZE])

    def _apply(self, changes: Sequence[tuple[int, str]]) -> None:
        """Apply changes together or, if that fails, object by object."""
        by_key: dict[str, list[int]] = {}
        for pk, key in changes:
            by_key.setdefault(key, []).append(pk)
        try:
            written = self._write(by_key)
        except (Superseded, IntegrityError):
            # Another process was here, or pruned an embedding: look again at what is due.
            self._setbacks += 1
            if self._setbacks > _MAX_SETBACKS:
                raise
            return
        except DatabaseError:
            raise
        except EmbeddingUnavailable as error:
            _postpone([pk for pk, _ in changes], error)
            raise
        except Exception as error:
            if len(by_key) == 1:
                self._fail(next(iter(by_key)), [pk for pk, _ in changes], error)
                return
            for key, pks in by_key.items():
                self._apply([(pk, key) for pk in pks])
            return
        self._note(len(by_key), written)

    def _write(self, by_key: dict[str, list[int]]) -> Written:
        objects = self._prepared(list(by_key))
        documents = [document for wanted in objects.values() for document in wanted.documents]
        embeddings = embedding_ids(self.index.embedder, documents, self.progress.embedded)
        collections = [
            collection
            for collection in live_collections(self.index.name)
            if self.plan.accepts(collection)
        ]
        return write(collections, objects, embeddings, [pk for pks in by_key.values() for pk in pks])

    def _prepared(self, keys: list[str]) -> dict[str, PreparedObject]:
        visible = self.index.visible_among(keys)
        instances = self.index.fetch([key for key in keys if key in visible])
        objects = {key: PreparedObject() for key in keys}
        for key, instance in instances.items():
            # Reading a StreamField's text changes what it would be stored as, so first:
            hash_now = source_hash(self.index, instance)
            objects[key] = PreparedObject(
                documents=prepare(self.index, instance), source_hash=hash_now
            )
        return objects

    def _note(self, count: int, written: Written) -> None:
        self._setbacks = 0
        self.result.objects += count
        self.result.upserted += len(written.upserted)
        self.result.deleted += len(written.deleted)
        self.progress.indexed(count)
        if written.upserted or written.deleted:
            notify(
                "index_updated",
                index=self.index,
                upserted=written.upserted,
                deleted=written.deleted,
            )

    def _fail(self, key: str, changes: list[int], error: Exception) -> None:
        message = _postpone(changes, error)
        logger.warning("%s of %s is not indexed: %s", key, self.index.name, message)
        self.result.errors[key] = message
        self.progress.indexed(1)


def _postpone(changes: Sequence[int], error: Exception) -> str:
    """Leave changes in the outbox with their error, to be tried again later."""
    message = f"{type(error).__name__}: {error}"
    rows = PendingChange.objects.filter(pk__in=changes)
    attempts = max(rows.values_list("attempts", flat=True), default=0)
    delay = min(_FIRST_RETRY * 2 ** min(attempts, 20), _LAST_RETRY)
    rows.update(
        attempts=F("attempts") + 1,
        last_error=message[:2_000],
        next_attempt=timezone.now() + delay,
    )
    return message
