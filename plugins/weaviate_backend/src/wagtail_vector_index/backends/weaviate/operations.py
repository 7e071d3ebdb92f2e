"""The operations of the backend, as calls that either kind of client carries out."""

from __future__ import annotations

import hashlib
import json
import random
import time
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import Any
from uuid import UUID

from asgiref.sync import sync_to_async

from wagtail_vector_index.contract import (
    CollectionSpec,
    FilterNode,
    Health,
    Match,
    RecordBatch,
    Setting,
    bounded,
    joined,
    slices,
)
from wagtail_vector_index.contract.sansio import Call, Steps
from wagtail_vector_index.contract.services import (
    Operations,
    Pause,
    Query,
    Together,
    Within,
    unwritten,
)
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)

from .connecting import client_warnings
from .errors import TooLarge, WeaviateErrors
from .filtering import condition_of, in_part, with_ids
from .health import health
from .messages import Messages, batch_of
from .options import WeaviateOptions
from .properties import PARTS
from .schema import (
    class_name,
    definition,
    is_own,
    own_names,
    search_settings,
    shape_problem,
    shards_of,
    trained,
    tuned,
)
from .searching import Search
from .service import Rest, Rpc, nodes, statistics
from .vectors import same_record, stored_batch

#: Seconds between two requests for the state of an index that is being built.
_LOOK_AGAIN = 0.2

#: What the nodes agree upon anew when one of them starts.
_CHANGED_BY_A_START = ("term", "latestConfigurationIndex")

#: The most ids in one request.
MOST_IDS = 1_000

_FIRST_ID = UUID(int=0)


class WeaviateOperations(Operations):
    """Makes the steps of the operations, without carrying them out."""

    _options: WeaviateOptions
    _errors: WeaviateErrors

    def __init__(self, options: WeaviateOptions, errors: WeaviateErrors) -> None:
        super().__init__(options, errors)
        #: By collection, the ids of the records that may be written in part, because an attempt
        #: to write them failed. If this process sends them again, they are deleted first. Sets
        #: are replaced, not changed, because threads share them.
        self._unsure: dict[str, frozenset[UUID]] = {}

    def create(self, spec: CollectionSpec) -> Steps[None]:
        """Make a collection, unless one of the same shape exists."""
        found = yield from self._own(spec)
        if found is None:
            try:
                body = definition(spec, self._options)
                yield Rest(method="post", path="/schema", body=body)
            except BackendError:
                # Another process may have made the collection, or the answer was lost.
                found = yield from self._own(spec)
                if found is None:
                    raise
        if found is not None:
            self._check_shape(found, spec)

    def drop(self, spec: CollectionSpec) -> Steps[None]:
        """Delete a collection if it exists."""
        if (yield from self._own(spec)) is not None:
            yield Rest(method="delete", path=self._path(spec))
        self._unsure.pop(spec.name, None)

    def collections(self) -> Steps[list[str]]:
        """Return the names of all collections with this prefix, without the prefix."""
        schema = yield Rest(method="get", path="/schema")
        return own_names(schema or {}, self._options.collection_prefix)

    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> Steps[None]:
        """Write records, and wait until searches find them."""
        yield Within(self._options.write_timeout)
        self._check_shape((yield from self._existing(spec)), spec)
        if again := self._unsure.get(spec.name, frozenset()).intersection(batch.uuids):
            yield from self._delete(spec, list(again))
        messages = self._messages(spec)
        parts = list(self._parts(stored_batch(batch, spec.metric)))
        try:
            outcomes = yield Together(
                [partial(self._write, messages, spec, part) for part in parts]
            )
        except BaseException:  # the caller gave up
            self._note_unsure(spec, batch.uuids)
            raise
        failed: dict[UUID, str] = {}
        for part, outcome in zip(parts, outcomes, strict=True):
            if isinstance(outcome, BackendError):
                failed |= dict.fromkeys(part.uuids, str(outcome))
            elif outcome.errors:
                failed |= yield from self._not_written(spec, part, outcome)
        if failed:
            self._note_unsure(spec, failed)
            first = next((each for each in outcomes if isinstance(each, BackendError)), None)
            reason = first or self._errors.of_text(next(iter(failed.values())))
            if isinstance(reason, CollectionNotFound):
                raise reason  # it was dropped a moment ago
            what = f"{spec.name}: {len(failed)} of {len(batch)} records were not written. {reason}"
            raise unwritten(what, failed, first)
        yield from self._until_indexed(spec)

    def delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        """Delete the records with these ids, if they exist."""
        # Each part has the whole time, since a record that is missing takes a request of its own.
        for part in list(slices(list(ids), MOST_IDS)) or [[]]:
            yield Within(self._options.write_timeout)
            yield from self._delete(spec, part)

    def _delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        yield from self._existing(spec)
        messages = self._messages(spec)
        for part in slices(list(ids), min(MOST_IDS, self._options.max_results)):
            request = messages.delete(with_ids(map(str, part)))
            deleted, left = 0, True
            while left:
                reply = yield Rpc(method="BatchDelete", message=request, writes=True)
                deleted += reply.successful
                # A server deletes at most QUERY_MAXIMUM_RESULTS records per request.
                left = reply.matches > reply.successful
                if reply.failed or (left and not reply.successful):
                    # A server gives the reason only in replies with ids, which it fails to send.
                    raise self._errors.make(
                        BackendRefused,
                        f"did not delete {reply.matches - reply.successful} records of"
                        f" {spec.name!r}. Check whether it is read-only or its disk is full. Run:"
                        " manage.py vector_backends --check",
                    )
            if deleted < len(part):
                yield from self._delete_unindexed(spec, part)
        self._unsure[spec.name] = self._unsure.get(spec.name, frozenset()).difference(ids)

    def search(self, spec: CollectionSpec, query: Query) -> Steps[list[Match]]:
        """Return the nearest records."""
        return Search(spec, self._options, query).run()

    def count(self, spec: CollectionSpec, filter: FilterNode | None) -> Steps[int]:
        """Return the number of records that match."""
        yield from self._existing(spec)
        condition = None if filter is None else condition_of(filter)
        message = self._messages(spec).count(condition)
        reply = yield Rpc(method="Aggregate", message=message)
        return int(reply.single_result.objects_count)

    def get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[RecordBatch]:
        """Return the records with these ids that exist."""
        batches: list[RecordBatch] = []
        for part in slices(list(ids), min(MOST_IDS, self._options.max_results)):
            found = yield from self._get(spec, part)
            batches += [found]
        return joined(batches, spec.dimensions)

    def page(self, spec: CollectionSpec, size: int, after: Any) -> Steps[tuple[RecordBatch, Any]]:
        """Return at most ``size`` records whose ids follow ``after``, and the last id."""
        batch = yield from self._page(spec, after, size)
        return batch, batch.uuids[-1] if len(batch) else None

    def service_run(self) -> Steps[str]:
        """Return a text that changes whenever a node is started again; empty if unknown."""
        servers = yield from statistics()
        told = [
            [
                server.get("name"),
                server.get("initialLastAppliedIndex"),
                *((server.get("raft") or {}).get(key) for key in _CHANGED_BY_A_START),
            ]
            for server in servers
        ]
        text = json.dumps(sorted(told, key=str))
        return hashlib.sha256(text.encode()).hexdigest() if servers else ""

    def health(self) -> Steps[Health]:
        """Return versions, the state of nodes and collections, and the number of records."""
        ask = partial(getattr, self, "_client_warnings")
        warn = Call(sync=ask, asynchronous=sync_to_async(ask, thread_sensitive=False))
        return health(self._options, warn)

    @cached_property
    def _client_warnings(self) -> list[str]:
        return client_warnings(self._options)

    def optimize(self, spec: CollectionSpec) -> Steps[None]:
        """Switch on a quantisation that learns from the vectors, and wait for the index."""
        found = yield from self._existing(spec)
        self._check_shape(found, spec)
        changed = trained(found, self._options)
        if changed is not None:
            yield Rest(method="put", path=self._path(spec), body=changed)
        yield from self._until_indexed(spec)

    def search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings of searches by the index, the cheapest first."""
        return search_settings(self._options)

    def use_setting(self, spec: CollectionSpec, setting: Setting) -> Steps[None]:
        """Write a setting into the collection's schema, since requests cannot bring their own."""
        changed = tuned((yield from self._existing(spec)), setting)
        if changed is not None:
            yield Rest(method="put", path=self._path(spec), body=changed)

    def sample(self, spec: CollectionSpec, count: int) -> Steps[RecordBatch]:
        """Return some records, from parts that are drawn at random."""
        total = yield from self.count(spec, None)
        # About twice as many records as needed are in so many parts.
        width = min(PARTS, 2 * count * PARTS // max(1, total))
        low = random.randrange(PARTS - width + 1)  # noqa: S311  # no secret
        request = self._messages(spec).matching(count, in_part(low, low + width))
        reply = yield Rpc(method="Search", message=request)
        return batch_of(reply, spec.dimensions)

    def _page(self, spec: CollectionSpec, after: UUID | None, size: int) -> Steps[RecordBatch]:
        if after is None:
            # A page begins after an id, so the lowest possible id needs a request of its own.
            first = yield from self._get(spec, [_FIRST_ID])
            if len(first):
                return first
        limit = min(size, self._options.max_results)
        request = self._messages(spec).page(limit, after or _FIRST_ID)
        try:
            reply = yield Rpc(method="Search", message=request)
        except TooLarge:
            if limit == 1:
                raise
            return (yield from self._page(spec, after or _FIRST_ID, limit // 2))
        return batch_of(reply, spec.dimensions)

    def _get(self, spec: CollectionSpec, ids: list[UUID]) -> Steps[RecordBatch]:
        request = self._messages(spec).matching(len(ids), with_ids(map(str, ids)))
        try:
            reply = yield Rpc(method="Search", message=request)
        except TooLarge:
            if len(ids) == 1:
                raise
            middle = len(ids) // 2
            lower = yield from self._get(spec, ids[:middle])
            upper = yield from self._get(spec, ids[middle:])
            return joined([lower, upper], spec.dimensions)
        return batch_of(reply, spec.dimensions)

    def _delete_unindexed(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        """Delete the records with these ids one by one.

        After a crash, a server may hold records that its indexes lack. A filter does not find
        them, but a request that names the id does.
        """
        path = f"/objects/{class_name(self._options.collection_prefix, spec.name)}"
        query: dict[str, str] = {"consistency_level": self._options.consistency}
        requests = [
            partial(Rest, method="delete", path=f"{path}/{id}", params=query, writes=True)
            for id in ids
        ]
        for outcome in (yield Together(requests)):
            if isinstance(outcome, BackendError):
                raise outcome

    def _note_unsure(self, spec: CollectionSpec, ids: Iterable[UUID]) -> None:
        self._unsure[spec.name] = self._unsure.get(spec.name, frozenset()).union(ids)

    def _existing(self, spec: CollectionSpec) -> Steps[dict[str, Any]]:
        found = yield from self._own(spec)
        if found is None:
            what = f"has no collection {spec.name!r}. Run: manage.py update_vector_indexes"
            raise self._errors.make(CollectionNotFound, what)
        return found

    def _own(self, spec: CollectionSpec) -> Steps[dict[str, Any] | None]:
        """Return a collection that the backend made, or None if there is no such collection.

        Raises:
            CollectionMismatch: another program made it.
        """
        found = yield Rest(method="get", path=self._path(spec))
        name = class_name(self._options.collection_prefix, spec.name)
        if found is not None and not is_own(found, name):
            raise self._errors.make(
                CollectionMismatch,
                f"has a collection {found['class']!r} that another program made, or another site."
                " It stays as it is. Set another COLLECTION_PREFIX",
            )
        return found  # type: ignore[no-any-return]

    def _check_shape(self, found: dict[str, Any], spec: CollectionSpec) -> None:
        if problem := shape_problem(found, spec):
            raise self._errors.make(
                CollectionMismatch,
                f"has a collection {found['class']!r} that {problem}. Drop it, or set another"
                " COLLECTION_PREFIX",
            )

    def _write(self, messages: Messages, spec: CollectionSpec, part: RecordBatch) -> Rpc:
        return Rpc(
            method="BatchObjects",
            message=messages.write(spec, part),
            writes=True,
            verify=self._verify_written,
            # A server does not index a record again that it has already, however incompletely.
            undo=partial(self._delete, spec, part.uuids),
        )

    def _not_written(
        self, spec: CollectionSpec, part: RecordBatch, reply: Any
    ) -> Steps[dict[UUID, str]]:
        """Return the records of a part that are not stored as they were sent, with the reasons.

        If an error concerns many records, for example because a shard is read-only, a server
        may report only the first. So the other records are read and compared.
        """
        failed = {part.uuids[each.index]: each.error for each in reply.errors}
        others = [row for row, id in enumerate(part.uuids) if id not in failed]
        try:
            found = yield from self.get(spec, [part.uuids[row] for row in others])
        except BackendError:
            return failed | dict.fromkeys(part.uuids, reply.errors[0].error)
        places = {id: row for row, id in enumerate(found.uuids)}
        for row in others:
            id = part.uuids[row]
            if id not in places or not same_record(part, row, found, places[id]):
                failed[id] = reply.errors[0].error
        return failed

    def _verify_written(self, reply: Any) -> None:
        for each in reply.errors:
            error = self._errors.of_text(each.error)
            if not isinstance(error, BackendRefused):
                raise error

    def _until_indexed(self, spec: CollectionSpec) -> Steps[None]:
        """Wait until a server that indexes in the background has indexed all vectors."""
        waiting, patience = None, self._options.timeout
        while True:
            looked = time.monotonic()
            yield Within(self._options.timeout)  # as long as the queue gets shorter
            if not (left := (yield from self._queued(spec))):
                return
            if waiting is not None and left >= waiting:
                patience -= _LOOK_AGAIN + time.monotonic() - looked
            if patience <= 0:
                raise self._errors.make(
                    BackendUnavailable,
                    f"has written all records of {spec.name!r}, but does not index them:"
                    f" {left} vectors wait. Try again later",
                )
            waiting = left
            yield Pause(_LOOK_AGAIN)

    def _queued(self, spec: CollectionSpec) -> Steps[int]:
        found = yield from nodes(f"/nodes/{class_name(self._options.collection_prefix, spec.name)}")
        shards = [shard for node in found for shard in shards_of(node)]
        return sum(shard.get("vectorQueueLength") or 0 for shard in shards)

    def _messages(self, spec: CollectionSpec) -> Messages:
        return Messages(
            class_name(self._options.collection_prefix, spec.name), self._options.consistency
        )

    def _path(self, spec: CollectionSpec) -> str:
        return f"/schema/{class_name(self._options.collection_prefix, spec.name)}"

    def _parts(self, batch: RecordBatch) -> Iterator[RecordBatch]:
        """Yield slices within the limits of a request."""
        return bounded(
            batch,
            records=self._options.batch_size,
            size=self._options.batch_bytes,
            # The 200 bytes hold the id as text, names, and lengths.
            fixed=4 * batch.dimensions + 200,
            text_size=lambda text: 4 * len(text),
        )
