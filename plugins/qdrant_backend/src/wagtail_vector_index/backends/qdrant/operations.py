"""The operations of the backend except searching, as calls to a client."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Any
from uuid import UUID

from qdrant_client import models

from wagtail_vector_index.backends.base import CollectionSpec, Health, Match, RecordBatch
from wagtail_vector_index.contract import FilterNode, Setting, slices
from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import (
    Operations,
    Query,
    Together,
    Within,
    repeated,
    unwritten,
)
from wagtail_vector_index.exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)

from .errors import AlreadyThere, QdrantErrors
from .filtering import condition
from .health import health
from .naming import METADATA, collection_name, key_of, own_name, vector_name
from .options import QdrantOptions
from .points import batch_of, bytes_of_vector, points_of, requests_of
from .searching import count, reading, search, search_settings
from .service import Call, call
from .shaping import SCHEMAS, check_own, check_shape, shape

#: The graph that is built if searches of the ordinary one do not find enough: twice the
#: neighbours, chosen among more candidates.
BETTER = models.HnswConfigDiff(m=32, ef_construct=256)

#: Reads ask one replica more than they need, and take the first answers. Otherwise, a read waits
#: ten seconds for a node that is frozen, until a write to each shard has shown that it is.
ONE_MORE = models.CollectionParamsDiff(read_fan_out_factor=1)

#: Seconds between two requests for the state of a collection that is being indexed.
FIRST_LOOK = 0.02
LONGEST_LOOK = 2.0


class QdrantOperations(Operations):
    """Makes the steps of the operations, without carrying them out."""

    _options: QdrantOptions
    _errors: QdrantErrors

    def create(self, spec: CollectionSpec) -> Steps[None]:
        """Make the collection or its missing indexes; check a collection that exists."""
        yield from self._within(self._write_timeout)
        try:
            info = yield self._read(spec, "get_collection")
            yield from self._refuse_alias(spec)
        except CollectionNotFound:
            with suppress(AlreadyThere):  # another thread or process was faster
                yield self._write(spec, "create_collection", **shape(spec, self._options))
            info = yield self._read(spec, "get_collection")
        check_shape(spec, info, self._errors.where)
        if self._options.in_memory:
            return
        is_replicated = (self._options.replication_factor or 1) > 1
        asked = info.config.params.read_fan_out_factor
        if self._options.consistency and is_replicated and asked != ONE_MORE.read_fan_out_factor:
            yield self._write(spec, "update_collection", collection_params=ONE_MORE)
        missing = [name for name in spec.fields if key_of(name) not in info.payload_schema]
        outcomes = yield Together([partial(self._payload_index, spec, name) for name in missing])
        for outcome in outcomes:
            if isinstance(outcome, BackendError):
                raise outcome

    def drop(self, spec: CollectionSpec) -> Steps[None]:
        """Delete the collection if it exists, and if this backend made it."""
        dropped = False
        with suppress(CollectionNotFound):
            info = yield self._read(spec, "get_collection")
            check_own(spec, info, self._errors.where)
            seconds = self._options.server_timeout
            dropped = yield self._write(spec, "delete_collection", timeout=seconds)
        if not dropped:
            yield from self._refuse_alias(spec)

    def collections(self) -> Steps[list[str]]:
        """Return the names of the collections that begin with the prefix, without the prefix."""
        found = yield Call(method="get_collections")
        names = (own_name(self._options.collection_prefix, each.name) for each in found.collections)
        return [name for name in names if name is not None]

    def upsert(self, spec: CollectionSpec, batch: RecordBatch) -> Steps[None]:
        """Write records, in requests of bounded size."""
        size, length = self._options.batch_size, self._options.batch_bytes
        parts = list(requests_of(batch, size, length))
        yield from self._within(self._write_timeout)
        outcomes = yield Together([partial(self._upsert_call, spec, part) for part in parts])
        problems = [self._problem(outcome) for outcome in outcomes]
        first = next(filter(None, problems), None)
        if isinstance(first, (CollectionNotFound, CollectionMismatch)):
            raise first
        if first is not None:
            failed = [part for part, problem in zip(parts, problems, strict=True) if problem]
            raise unwritten(str(first), [id for part in failed for id in part.uuids], first)

    def delete(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[None]:
        """Delete records, in requests of bounded size."""
        yield from self._within(self._write_timeout)
        for part in slices([str(id) for id in ids], self._options.batch_size):
            selector = models.PointIdsList(points=[*part])
            result = yield self._write(spec, "delete", points_selector=selector, wait=True)
            if problem := self._problem(result):
                raise problem

    def search(self, spec: CollectionSpec, query: Query) -> Steps[list[Match]]:
        """Return the nearest records."""
        return search(spec, self._options, query, self._errors.where)

    def count(self, spec: CollectionSpec, filter: FilterNode | None) -> Steps[int]:
        """Return the number of records that match."""
        return int((yield count(spec, self._options, condition(filter))).count)

    def get(self, spec: CollectionSpec, ids: Sequence[UUID]) -> Steps[RecordBatch]:
        """Return the records with these ids that exist."""
        points: list[Any] = []
        for part in slices([str(id) for id in ids], self._page_size(spec)):
            points += yield self._read(spec, "retrieve", ids=part, **self._whole(spec))
        return batch_of(spec, points, self._errors.where)

    def page(self, spec: CollectionSpec, size: int, after: Any) -> Steps[tuple[RecordBatch, Any]]:
        """Return the records from an offset on, and the next offset, or None at the end."""
        limit, whole = min(size, self._page_size(spec)), self._whole(spec)
        points, following = yield self._read(spec, "scroll", limit=limit, offset=after, **whole)
        return batch_of(spec, points, self._errors.where), following

    def optimize(self, spec: CollectionSpec) -> Steps[None]:
        """Start indexing the vectors, and wait until the index is complete."""
        if self._options.in_memory:
            return
        threshold = models.OptimizersConfigDiff(indexing_threshold=self._options.indexing_threshold)
        yield from self._update(spec, optimizers_config=threshold)

    def search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings of approximate searches, the cheapest first."""
        return search_settings(self._options)

    def sample(self, spec: CollectionSpec, count: int) -> Steps[RecordBatch]:
        """Return some records, drawn at random by the server."""
        drawn = models.SampleQuery(sample=models.Sample.RANDOM)
        given = {"using": vector_name(spec), "limit": count, **self._whole(spec)}
        found = yield self._read(spec, "query_points", query=drawn, **given)
        return batch_of(spec, found.points, self._errors.where)

    def build_better_index(self, spec: CollectionSpec) -> Steps[bool]:
        """Build a graph with more links, unless the site has chosen its graph."""
        if BETTER.model_fields_set & self._options.hnsw.keys():
            return False
        yield from self._update(spec, hnsw_config=BETTER)
        return True

    def _update(self, spec: CollectionSpec, **changed: Any) -> Steps[None]:
        """Change the configuration of a collection, and wait until its index is complete."""
        yield self._write(spec, "update_collection", **changed)
        info = yield from repeated(
            self._read(spec, "get_collection"),
            _is_settled,
            timeout=self._options.indexing_timeout,
            each=self._options.timeout,
            first=FIRST_LOOK,
            longest=LONGEST_LOOK,
        )
        if not _is_settled(info):
            raise BackendUnavailable(
                f"{self._errors.where} is still indexing {spec.name!r} after"
                f" {self._options.indexing_timeout} s. The server continues; raise"
                " INDEXING_TIMEOUT, or update the index again later."
            )
        if info.status == models.CollectionStatus.RED:
            raise BackendRefused(
                f"{self._errors.where} cannot index {spec.name!r}: {info.optimizer_status}."
                " Check the server's log, then update the index again."
            )

    def health(self) -> Steps[Health]:
        """Return the versions, the state of each collection, and the problems found."""
        return health(self._options)

    def _refuse_alias(self, spec: CollectionSpec) -> Steps[None]:
        """Raise CollectionMismatch if a collection's name is an alias of another collection."""
        name = collection_name(self._options.collection_prefix, spec.name)
        try:
            found = (yield Call(method="get_aliases")).aliases
        except BackendRefused:
            return  # the key may use collections, but not list aliases
        for alias in found:
            if alias.alias_name == name:
                raise CollectionMismatch(
                    f"{self._errors.where} has {name!r} as an alias of {alias.collection_name!r},"
                    " which this backend does not touch. Delete the alias, or set"
                    " COLLECTION_PREFIX to one that nothing else uses."
                )

    @property
    def _write_timeout(self) -> float:
        return self._options.write_timeout or self._options.timeout

    def _within(self, seconds: float) -> Steps[None]:
        if not self._options.in_memory:
            yield Within(seconds)

    def _read(self, spec: CollectionSpec, method: str, **arguments: Any) -> Call:
        return call(self._options, spec.name, method, **arguments)

    def _write(self, spec: CollectionSpec, method: str, **arguments: Any) -> Call:
        return call(self._options, spec.name, method, writes=True, **arguments)

    def _payload_index(self, spec: CollectionSpec, field: str) -> Call:
        schema, key = SCHEMAS[spec.fields[field]], key_of(field)
        return self._write(
            spec, "create_payload_index", field_name=key, field_schema=schema, wait=True
        )

    def _upsert_call(self, spec: CollectionSpec, part: RecordBatch) -> Call:
        as_json = not (self._options.grpc or self._options.in_memory)
        points = points_of(spec, part, as_json=as_json)
        return self._write(spec, "upsert", points=points, wait=True)

    def _whole(self, spec: CollectionSpec) -> dict[str, Any]:
        whole = {"with_payload": [METADATA], "with_vectors": [vector_name(spec)]}
        return {**whole, **reading(spec, self._options)}

    def _page_size(self, spec: CollectionSpec) -> int:
        fitting = self._options.batch_bytes // bytes_of_vector(spec.dimensions)
        return max(1, min(self._options.batch_size, fitting))

    def _problem(self, outcome: Any) -> BackendError | None:
        """Return the error for records that may not be written, or None if they are."""
        if isinstance(outcome, BackendError):
            return outcome
        if outcome.status == models.UpdateStatus.COMPLETED:
            return None
        return BackendUnavailable(
            f"{self._errors.where} accepted records, but did not write them within"
            f" {self._write_timeout:g} s ({outcome.status.value}). Check whether it is busy,"
            " or raise WRITE_TIMEOUT."
        )


def _is_settled(info: models.CollectionInfo) -> bool:
    return info.status in (models.CollectionStatus.GREEN, models.CollectionStatus.RED)
