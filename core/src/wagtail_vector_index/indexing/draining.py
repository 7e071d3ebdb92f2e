"""Drains the outbox: the one way by which changes reach the record and the backends."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from django.db import IntegrityError, InterfaceError, OperationalError
from django.db.models import F, Q
from django.utils import timezone

from ..content.declaration import IndexDeclaration
from ..contract.slices import slices
from ..exceptions import (
    EmbeddingError,
    EmbeddingRefused,
    EmbeddingUnavailable,
    RebuildRunning,
)
from ..models.tables import Collection, PendingChange
from ..plugins.calling import notify
from .backoff import OBJECT_DELAY, delay_after
from .embedding import embedding_ids
from .expanding import expand
from .failures import error_text
from .fetching import fetch_to_prepare
from .plan import Plan, live_collections
from .preparing import PreparedObject, prepare
from .progress import Progress
from .writing import Superseded, Written, write

logger = logging.getLogger(__name__)

#: How many changes, and about how many documents, one transaction takes care of.
BATCH_SIZE = 500
MAX_DOCUMENTS = 1_000

_FETCH_SIZE = 100

#: How often in a row another process may be faster before this one gives up.
_MAX_SETBACKS = 50


@dataclass(kw_only=True)
class Drained:
    """What a drain did: the objects it took care of, and those it could not."""

    objects: int = 0
    upserted: int = 0
    deleted: int = 0
    errors: dict[str, str] = field(default_factory=dict)


def drain(index: IndexDeclaration, progress: Progress | None = None) -> Drained:
    """Write all changes of an index that are due.

    An object that cannot be prepared or embedded is left in the outbox with its error,
    and holds up no other.

    Raises:
        EmbeddingUnavailable, EmbeddingRefused: the embedding service is down, or refuses
            everything; what is not done stays due.
        RebuildRunning: another process builds the index with other settings; the same.
    """
    return _Drain(index, progress or Progress()).run()


class _Drain:
    def __init__(self, index: IndexDeclaration, progress: Progress) -> None:
        self.index = index
        self.plan = Plan.of(index)
        self.progress = progress
        self.result = Drained()
        self._started = timezone.now()
        self._setbacks = 0

    def run(self) -> Drained:
        expand(self.index)
        while changes := self._due():
            self._apply(changes)
            expand(self.index)
        return self.result

    def _due(self) -> list[tuple[int, str]]:
        """The changes that are due, with those of the same objects that wait after a failure.

        What has failed is due once in a drain: where many objects fail, the delays of the
        first are over before the last was tried.
        """
        rows = PendingChange.objects.filter(
            index=self.index.name, scope=PendingChange.Scope.OBJECT
        ).order_by("pk")
        is_due = Q(attempts=0) | Q(next_attempt__lte=self._started)
        due = list(rows.filter(is_due).values_list("pk", "object_key")[:BATCH_SIZE])
        keys = {key for _, key in due}
        waiting = rows.exclude(is_due).filter(object_key__in=keys)
        return [*due, *waiting.values_list("pk", "object_key")]

    def _apply(self, changes: Sequence[tuple[int, str]]) -> None:
        """Apply changes together or, where an object cannot be prepared, one by one."""
        by_key: dict[str, list[int]] = {}
        for pk, key in changes:
            by_key.setdefault(key, []).append(pk)
        try:
            objects = self._prepared(list(by_key))
            embeddings = self._embeddings(objects)
        except (OperationalError, InterfaceError):
            raise  # the database is down; other errors may be those of one object's own query
        except EmbeddingUnavailable as error:
            self._keep_error([pk for pk, _ in changes], error)
            raise
        except Exception as error:  # a site's own code may raise anything
            if len(by_key) == 1:
                if isinstance(error, EmbeddingRefused) and self._nothing_is_embedded():
                    self._keep_error([pk for pk, _ in changes], error)
                    raise
                self._fail(next(iter(by_key)), [pk for pk, _ in changes], error)
                return
            for key, pks in by_key.items():
                self._apply([(pk, key) for pk in pks])
        else:
            self._write(objects, embeddings, [pk for key in objects for pk in by_key[key]])

    def _embeddings(self, objects: Mapping[str, PreparedObject]) -> dict[str, int]:
        documents = [document for wanted in objects.values() for document in wanted.documents]
        return embedding_ids(self.index.embedder, documents, self.progress.embedded)

    def _write(
        self,
        objects: Mapping[str, PreparedObject],
        embeddings: Mapping[str, int],
        changes: Sequence[int],
    ) -> None:
        try:
            written = write(self._targets(), objects, embeddings, changes)
        except (Superseded, IntegrityError):
            # Another process was here, or pruned an embedding: look again at what is due.
            self._setbacks += 1
            if self._setbacks > _MAX_SETBACKS:
                raise
        else:
            self._setbacks = 0
            self._note(len(objects), written)

    def _nothing_is_embedded(self) -> bool:
        """Whether the service refuses any text, as with a wrong key, and not one object's."""
        try:
            self.index.embedder.embed_query("test")
        except EmbeddingError:
            return True
        return False

    def _targets(self) -> list[Collection]:
        """The collections to write to.

        Raises:
            RebuildRunning: a process with other settings builds, or has built, another
                one, which needs the changes that would go from the outbox.
        """
        live = list(live_collections(self.index.name))
        accepted = [c for c in live if self.plan.accepts(c)]
        others = [c for c in live if c not in accepted]
        if others and (not accepted or any(c.state == c.State.BUILDING for c in others)):
            raise RebuildRunning(
                f"{self.index.name} is being built, or was built, with other settings than"
                " those of this process. Nothing is lost: what is not done stays in the outbox."
            )
        return accepted

    def _prepared(self, keys: list[str]) -> dict[str, PreparedObject]:
        """The first of these objects, as many as have `MAX_DOCUMENTS` together, or one."""
        objects: dict[str, PreparedObject] = {}
        documents = 0
        for some in slices(keys, _FETCH_SIZE):
            visible = self.index.sources_among(some)
            instances = fetch_to_prepare(self.index, [key for key in some if key in visible])
            for key in some:
                instance = instances.get(key)
                objects[key] = (
                    PreparedObject() if instance is None else prepare(self.index, instance)
                )
                documents += len(objects[key].documents)
                if documents >= MAX_DOCUMENTS:
                    return objects
        return objects

    def _note(self, count: int, written: Written) -> None:
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
        """Leave an object in the outbox with its error, to be tried again later."""
        message, attempts = self._keep_error(changes, error)
        PendingChange.objects.filter(pk__in=changes).update(
            next_attempt=timezone.now() + delay_after(attempts, OBJECT_DELAY)
        )
        logger.warning("%s of %s is not indexed: %s", key, self.index.name, message)
        self.result.errors[key] = message
        self.progress.indexed(1)

    def _keep_error(self, changes: Sequence[int], error: Exception) -> tuple[str, int]:
        """Keep an error with changes that stay due; the error, and the number of attempts."""
        message = error_text(error)
        rows = PendingChange.objects.filter(pk__in=changes)
        rows.update(attempts=F("attempts") + 1, last_error=message)
        return message, max(rows.values_list("attempts", flat=True), default=1)
