"""Drains the outbox. All changes reach the index tables and the backends by this way."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.db import IntegrityError
from django.utils import timezone

from ..content.declaration import IndexDeclaration
from ..exceptions import EmbeddingError, RebuildRunning
from ..models.sessions import again_if_lost
from ..models.tables import Collection, PendingChange
from ..models.transactions import is_conflict
from ..plugins.calling import DocumentHooks, notify
from ..plugins.documents import PreparedDocument
from .backoff import CLOCK_DIFFERENCE, OBJECT_DELAY
from .embedding import embedding_ids
from .expanding import expand
from .failures import keep_error, put_off, stops_index
from .fetching import fetch_to_prepare
from .plan import Plan, live_collections
from .preparing import PreparedObject, prepare
from .progress import Progress
from .redacting import check_plugins, remember_plugins
from .shares import Share
from .writing import Superseded, Written, lacking, write

logger = logging.getLogger(__name__)

#: About the most documents that one transaction writes.
MAX_DOCUMENTS = 1_000

#: The most objects to fetch at once.
_FETCH_SIZE = 128

#: How often in a row another process may write first before this process gives up.
_MAX_SETBACKS = 50


@dataclass(kw_only=True)
class Drained:
    """The result of a drain: the number of objects written, and the errors of the others."""

    objects: int = 0
    upserted: int = 0
    deleted: int = 0
    errors: dict[str, str] = field(default_factory=dict)

    def add(self, later: Drained) -> None:
        """Add the result of a later drain of the same index."""
        self.objects += later.objects
        self.upserted += later.upserted
        self.deleted += later.deleted
        self.errors |= later.errors


def drain(index: IndexDeclaration, progress: Progress | None = None) -> Drained:
    """Write all changes of an index that are due.

    Any number of processes may do so at once, and each writes its share. An object that cannot be
    prepared or embedded stays in the outbox with its error, and does not hold up other objects.

    Raises:
        BackendUnavailable: a vector backend has vectors that were dropped from the index tables,
            and failed. Changes that are not written stay due.
        EmbeddingError: the embedding service is down, or refuses every text. Changes that are
            not written stay due.
        RebuildRunning: another process builds the index with other settings. Changes that are
            not written stay due.
        PluginBroken: a plugin that changed the documents of the index cannot be loaded.
    """
    return _Drain(index, progress or Progress()).run()


class _Drain:
    def __init__(self, index: IndexDeclaration, progress: Progress) -> None:
        self.index = index
        self.plan = Plan.of(index)
        self.progress = progress
        self.result = Drained()
        self._share = Share(index.name)
        self._started = timezone.now()
        self._setbacks = 0
        self._fetch_size = _FETCH_SIZE

    def run(self) -> Drained:
        check_plugins(self.index.name)
        remember_plugins(self.index.name)
        self._correct_clocks()
        self._expand()
        try:
            while self._apply_some():
                pass
        finally:
            self._share.give_back()
        return self.result

    @again_if_lost
    def _apply_some(self) -> bool:
        """Apply the changes of a share; return whether any were due.

        A change that fails is tried only once in a drain. Otherwise, with many failing objects,
        the delays of the first would end before the last was tried, and the drain never.
        """
        if changes := self._share.take(self._started):
            self._apply(changes)
            self._expand()
        return bool(changes)

    def _expand(self) -> None:
        self.result.errors |= expand(self.index, self._started)

    def _correct_clocks(self) -> None:
        """Make changes due whose next attempt was set by a clock that was wrong."""
        latest = self._started + OBJECT_DELAY + CLOCK_DIFFERENCE
        rows = PendingChange.objects.filter(index=self.index.name, next_attempt__gt=latest)
        if rows.exists():  # on SQLite, an UPDATE of no rows waits for all who write
            rows.update(next_attempt=self._started)

    def _apply(self, changes: Sequence[tuple[int, str]]) -> None:
        """Apply changes together or, if an object cannot be prepared, object by object."""
        by_key: dict[str, list[int]] = {}
        for pk, key in changes:
            by_key.setdefault(key, []).append(pk)
        try:
            objects = self._prepared(list(by_key))
        except Exception as error:  # a site's own code may raise anything
            if is_conflict(error) and self._may_try_again():
                return  # the next share reads again what lost against another transaction
            if stops_index(error, self.index):
                raise
            if len(by_key) == 1:
                self._fail(next(iter(by_key)), [pk for pk, _ in changes], error)
                return
            for key, pks in by_key.items():
                self._apply([(pk, key) for pk in pks])
        else:
            self._embed_and_write(objects, by_key)

    def _embed_and_write(
        self, objects: dict[str, PreparedObject], by_key: dict[str, list[int]]
    ) -> None:
        """Embed objects and write them, except those with a text that cannot be embedded."""
        documents = self._to_embed(objects)
        embedder, errors = self.index.embedder, dict[str, Exception]()
        try:
            embeddings = embedding_ids(embedder, documents, errors, self._embedded, self.plan)
        except EmbeddingError as error:
            self._leave_out(objects, by_key, errors)
            keep_error(self._held([pk for pks in by_key.values() for pk in pks]), error)
            raise
        self._leave_out(objects, by_key, errors)
        if objects:
            self._write(objects, embeddings, [pk for key in objects for pk in by_key[key]])

    def _to_embed(self, objects: Mapping[str, PreparedObject]) -> list[PreparedDocument]:
        """Return the documents that need embeddings: all of them, unless some were dropped."""
        targets = self._targets()
        if all(each.keep_embeddings and not each.dropped_revision for each in targets):
            return [document for wanted in objects.values() for document in wanted.documents]
        return lacking(targets, objects)

    def _embedded(self, count: int) -> None:
        self._share.keep()
        self.progress.embedded(count)

    def _leave_out(
        self,
        objects: dict[str, PreparedObject],
        by_key: dict[str, list[int]],
        errors: Mapping[str, Exception],
    ) -> None:
        """Leave the objects with a text that cannot be embedded in the outbox with its error."""
        for key, wanted in list(objects.items()):
            hashes = (document.content_hash for document in wanted.documents)
            if error := next((errors[each] for each in hashes if each in errors), None):
                del objects[key]
                self._fail(key, by_key.pop(key), error)

    def _write(
        self,
        objects: Mapping[str, PreparedObject],
        embeddings: Mapping[str, int],
        changes: Sequence[int],
    ) -> None:
        try:
            written = write(
                self._targets(), objects, embeddings, changes, holder=self._share.holder
            )
        except (Superseded, IntegrityError):
            # Another process wrote the changes, took them over, or deleted an embedding. What is
            # left of the share is read again.
            if not self._may_try_again():
                raise
        else:
            self._setbacks = 0
            self._note(len(objects), written)

    def _may_try_again(self) -> bool:
        """Count that another process was faster; return whether it may happen again."""
        self._setbacks += 1
        return self._setbacks <= _MAX_SETBACKS

    def _targets(self) -> list[Collection]:
        """Return the collections to write to.

        Raises:
            RebuildRunning: a process with other settings builds, or has built, another
                collection. That collection needs the changes, which a write would remove from
                the outbox.
        """
        live = list(live_collections(self.index.name))
        accepted = [c for c in live if self.plan.accepts(c)]
        others = [c for c in live if c not in accepted]
        if others and (not accepted or any(c.state == c.State.BUILDING for c in others)):
            raise RebuildRunning(
                f"{self.index.name} is being built, or was built, by a process with other settings"
                " than this process. Nothing is lost: changes stay in the outbox. Restart the"
                " process that has outdated settings."
            )
        return accepted

    def _prepared(self, keys: list[str]) -> dict[str, PreparedObject]:
        """Return the first of these objects, up to about `MAX_DOCUMENTS` documents in all."""
        objects: dict[str, PreparedObject] = {}
        documents = 0
        hooks = DocumentHooks.active()
        while len(objects) < len(keys) and documents < MAX_DOCUMENTS:
            some = keys[len(objects) : len(objects) + self._fetch_size]
            visible = self.index.sources_among(some)
            instances = fetch_to_prepare(self.index, [key for key in some if key in visible])
            for key in some:
                instance = instances.get(key)
                objects[key] = (
                    PreparedObject() if instance is None else prepare(self.index, instance, hooks)
                )
                self._share.keep()
                documents += len(objects[key].documents)
                if documents >= MAX_DOCUMENTS:
                    break
            # Of long objects, no more are fetched than will be written.
            fitting = MAX_DOCUMENTS * len(objects) // max(documents, 1)
            self._fetch_size = max(1, min(fitting, _FETCH_SIZE))
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
        """Leave an object in the outbox with its error, to try it again later."""
        message = put_off(self._held(changes), error)
        logger.warning("%s of %s could not be indexed: %s", key, self.index.name, message)
        self.result.errors[key] = message
        self.progress.indexed(1)

    def _held(self, changes: Sequence[int]) -> Any:
        return self._share.rows().filter(pk__in=changes)
