"""A search: its arguments, and the steps from a query to a ranking of objects."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Container, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar
from uuid import UUID

from django.db.models import Manager, Q, QuerySet
from django.http import HttpRequest

from ..content.filter_values import comparable_filter
from ..content.object_keys import key_of
from ..content.text import clean_text
from ..content.visibility import Visibility, visible_to
from ..contract.filters import parse_filter
from ..contract.records import Match
from ..contract.sansio import Call, Steps
from ..contract.validation import check_positive
from ..exceptions import (
    CollectionNotFound,
    IndexNotBuilt,
    IndexOutdated,
    InvalidFilter,
    InvalidQuery,
    UnknownAlias,
)
from ..indexing.catching_up import catch_up, forget
from ..indexing.plan import Plan
from ..models.tables import Collection, Document
from ..plugins.calling import notify
from ..plugins.handlers import vector_backends
from ..wording import shown

if TYPE_CHECKING:
    from ..backends.base import CollectionSpec, VectorBackend
    from ..indexes import VectorIndex

#: How many keys of objects a vector backend is given as a filter.
MAX_FILTER_KEYS = 1_000

#: How many of the nearest objects one looks at for each that may be seen, before one asks
#: which objects of the index may be seen at all.
_RARE = 20

#: By how much a search asks for more, if too few of what was found may be seen: at least, and
#: at most. Each step costs some queries, whatever its size: three of the largest see 10,000
#: matches.
_GROWTHS = 4, 20

_LOOKUP_SIZE = 5_000


@dataclass(frozen=True, kw_only=True)
class Hit:
    """A source object that was found: its key, and its best document."""

    key: str
    score: float
    document: UUID


@dataclass(kw_only=True)
class Search(ABC):
    """The arguments of a search, checked, and its steps."""

    index: VectorIndex
    limit: int = 10
    filter: Q | None = None
    within: QuerySet[Any] | None = None
    similarity_threshold: float | None = None
    user: Any = None
    request: HttpRequest | None = None
    hits: list[Hit] | None = field(default=None, init=False)
    #: The collection that a text was searched in, and the vector that it was searched with.
    searched: tuple[Collection, Any] | None = field(default=None, init=False)
    #: The keys of all that may be seen, if that was asked for, and they are few.
    visible_keys: list[str] | None = field(default=None, init=False)

    #: The text searched for, for the hook ``search_performed``.
    text: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)
        _check_threshold(self.similarity_threshold, self.index.metric)
        if self.within is not None:
            self.within = _refinable(self.within)
        if self.filter is not None:
            self.filter = comparable_filter(self.filter)
            parse_filter(self.filter, self.index.configuration.fields)

    @abstractmethod
    def _vector(self, collection: Collection) -> Steps[Any]:
        """The vector to search with, or None if there is nothing to search for."""

    def steps(self) -> Steps[list[Hit]]:
        """Rank the objects, once.

        Raises:
            IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError
        """
        if self.hits is None:
            self.hits = yield from self._rank()
        return self.hits

    def _rank(self) -> Steps[list[Hit]]:
        collection = active_collection(self.index)
        self._check_fields(collection)
        vector = yield from self._vector(collection)
        filter = self._filter()
        if vector is None or filter is _NOTHING:
            return []
        try:
            return (yield from self._rank_in(collection, vector, filter))
        except CollectionNotFound:
            # A rebuild may have replaced or dropped the collection a moment ago.
            forget(collection, vector_backends[collection.vector_backend])
        collection = active_collection(self.index)
        check_current(self.index, collection)
        self._check_fields(collection)
        if self.searched is not None:
            self.searched = collection, vector
        try:
            return (yield from self._rank_in(collection, vector, filter))
        except CollectionNotFound as error:
            raise CollectionNotFound(
                f"{error} To fill it again, run: manage.py update_vector_indexes {self.index.name}"
            ) from error

    def _rank_in(self, collection: Collection, vector: Any, filter: Q | None) -> Steps[list[Hit]]:
        """Ask for more and more matches until enough of the objects may be seen."""
        backend = _serving_backend(self.index, collection)
        catch_up(collection, backend)
        hits: dict[str, Hit] = {}
        seen: set[UUID] = set()
        looked_at = 0
        wanted = self.limit + min(self.limit, 10)
        self.visible_keys = None
        has_asked = False
        while True:
            started = time.perf_counter()
            matches = yield search_call(
                backend,
                collection.spec,
                vector,
                limit=wanted,
                filter=filter,
                min_score=self.similarity_threshold,
            )
            if not seen:
                self._notify(matches, time.perf_counter() - started)
            # By id: where the backend is approximate, more matches may come in another order.
            fresh = [match for match in matches if match.id not in seen]
            best = _best_of_each(collection, fresh, hits)
            visible = self.index.visible_among(list(best), self.visibility, self.within)
            hits.update((key, hit) for key, hit in best.items() if key in visible)
            looked_at += len(best)
            if len(hits) >= self.limit or len(matches) < wanted:
                return sorted(hits.values(), key=lambda hit: -hit.score)[: self.limit]
            seen.update(match.id for match in fresh)
            if not has_asked and looked_at > _RARE * len(hits):
                has_asked = True
                self.visible_keys = self._few_visible()
                if self.visible_keys is not None:
                    filter = both(filter, Q(object__in=self.visible_keys))
                    continue
            wanted *= self._growth(len(hits))

    def _growth(self, found: int) -> int:
        """Twice what would do if all that may be seen were spread evenly."""
        least, most = _GROWTHS
        return most if not found else min(most, max(least, math.ceil(2 * self.limit / found)))

    def _few_visible(self) -> list[str] | None:
        """The keys of all that may be found, if there are few of them."""
        return self.index.few_visible(self.visibility, MAX_FILTER_KEYS, self.within)

    @cached_property
    def visibility(self) -> Visibility:
        """What the visitor may see, from when the search first asks for it."""
        return visible_to(self.user, self.request)

    def _check_fields(self, collection: Collection) -> None:
        """Raise IndexOutdated for a field that is declared, and not yet built."""
        try:
            parse_filter(self.filter, collection.spec.fields)
        except InvalidFilter as error:
            raise IndexOutdated(
                f"{self.index.name} was built before a filter field was declared: {error}"
                f" Run: manage.py update_vector_indexes {self.index.name}"
            ) from error

    def _filter(self) -> Any:
        """The filter that the backend gets: the caller's and, of ``within``, a small set."""
        inside = self._inside()
        if inside is None:
            return self.filter
        if not inside:
            return _NOTHING
        return both(self.filter, Q(object__in=inside))

    def _inside(self) -> list[str] | None:
        """The keys of the objects of ``within``, if there are few of them."""
        if self.within is None:
            return None
        keys = self.within.order_by().values_list("pk", flat=True)[: MAX_FILTER_KEYS + 1]
        inside = [key_of(self.within.model, pk) for pk in keys]
        return inside if len(inside) <= MAX_FILTER_KEYS else None

    def _notify(self, matches: Sequence[Match], seconds: float) -> None:
        notify(
            "search_performed",
            index=self.index,
            query=self.text,
            matches=matches,
            seconds=seconds,
        )


@dataclass(kw_only=True)
class TextSearch(Search):
    """A search for a text."""

    query: str

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.query, str):
            raise InvalidQuery(f"A query is a text, not {type(self.query).__name__}.")
        self.text = clean_text(self.query)  # type: ignore[misc]

    def _vector(self, collection: Collection) -> Steps[Any]:
        check_current(self.index, collection)
        if not self.text:
            return None
        embedder = self.index.embedder
        vector = yield Call(
            sync=lambda: embedder.embed_query(self.text),
            asynchronous=lambda: embedder.aembed_query(self.text),
        )
        if not any(vector):  # it points nowhere, as that of words which a model doesn't know
            return None
        self.searched = collection, vector
        return vector


@dataclass(kw_only=True)
class SimilarSearch(Search):
    """A search for what is like an object of the index."""

    key: str

    def _vector(self, collection: Collection) -> Steps[Any]:
        yield from ()
        check_current(self.index, collection)
        vectors = [
            memoryview(vector).cast("f").tolist()
            for vector in Document.objects.filter(
                collection=collection, object_key=self.key, embedding__isnull=False
            )
            .order_by("position")
            .values_list("embedding__vector", flat=True)
        ]
        if not vectors:
            return None
        mean = [math.fsum(column) / len(vectors) for column in zip(*vectors, strict=True)]
        # Vectors that cancel each other out have no mean direction.
        return mean if any(mean) else vectors[0]

    def _filter(self) -> Any:
        inside = super()._filter()
        return inside if inside is _NOTHING else both(inside, ~Q(object=self.key))


#: Stands for a filter that no record can match.
_NOTHING = object()


def active_collection(index: VectorIndex) -> Collection:
    """The collection that serves an index.

    Raises:
        IndexNotBuilt: there is none yet.
    """
    try:
        return Collection.objects.get(  # type: ignore[no-any-return]
            index=index.name, state=Collection.State.ACTIVE
        )
    except Collection.DoesNotExist:
        raise IndexNotBuilt(
            f"{index.name} is not built yet. Run: manage.py update_vector_indexes {index.name}"
        ) from None


def _serving_backend(index: VectorIndex, collection: Collection) -> VectorBackend:
    """The vector backend that a collection of the index is in.

    Raises:
        UnknownAlias: the settings no longer have it; the message says which command helps.
    """
    try:
        return vector_backends[collection.vector_backend]
    except UnknownAlias as error:
        if collection.vector_backend == index.vector_backend:
            raise
        raise UnknownAlias(
            f"{error} {index.name} is still there, until it is built in"
            f" {index.vector_backend!r}. Run: manage.py update_vector_indexes {index.name}"
        ) from error


def check_current(index: VectorIndex, collection: Collection) -> None:
    """Raise IndexOutdated if vectors of two models, or of two kinds, would be mixed."""
    differences = Plan.of(index).differences(collection)
    if differences:
        raise IndexOutdated(
            f"{index.name} was built with other settings: {'; '.join(differences)}."
            f" Run: manage.py update_vector_indexes {index.name}"
        )


def both(one: Q | None, other: Q) -> Q:
    """The two filters together, if there are two."""
    return other if one is None else one & other


def _best_of_each(
    collection: Collection, matches: Sequence[Match], known: Container[str]
) -> dict[str, Hit]:
    """The objects that the matches are of, but for those known, each with its best match."""
    keys = _document_keys(collection, [match.id for match in matches])
    best: dict[str, Hit] = {}
    for match in matches:
        key = keys.get(match.id)
        if key is not None and key not in known and key not in best:
            best[key] = Hit(key=key, score=match.score, document=match.id)
    return best


def _document_keys(collection: Collection, ids: Sequence[UUID]) -> dict[UUID, str]:
    """The objects of those documents that are still live.

    Looked up by primary key alone: given more conditions, SQLite would rather read every
    document of the collection.

    Raises:
        CollectionNotFound: another collection has replaced this one, and gets its changes.
    """
    found: dict[UUID, str] = {}
    for start in range(0, len(ids), _LOOKUP_SIZE):
        rows = Document.objects.filter(pk__in=ids[start : start + _LOOKUP_SIZE])
        for pk, key, owner, state, deleted_at in rows.values_list(
            "pk", "object_key", "collection_id", "collection__state", "deleted_at"
        ):
            if owner != collection.pk:
                continue
            if state == Collection.State.RETIRED:
                raise CollectionNotFound(f"{collection} was replaced a moment ago.")
            if deleted_at is None:
                found[pk] = key
    return found


def search_call(
    backend: VectorBackend, spec: CollectionSpec, vector: Any, **arguments: Any
) -> Call:
    """A search in a vector backend, in both its forms."""
    return Call(
        sync=lambda: backend.search(spec, vector, **arguments),
        asynchronous=lambda: backend.asearch(spec, vector, **arguments),
    )


def _refinable(within: Any) -> QuerySet[Any]:
    """What was given as ``within``, as a queryset that more filters can be put on."""
    if isinstance(within, Manager):
        within = within.all()
    if not isinstance(within, QuerySet):
        raise InvalidQuery(f"within must be a queryset, not {type(within).__name__}.")
    if not (within.query.is_sliced or within.query.combinator):
        return within
    everything = within.model._base_manager.using(within.db)  # noqa: SLF001  # hides nothing
    chosen: QuerySet[Any] = everything.filter(pk__in=within.values("pk"))
    return chosen


def _check_threshold(threshold: Any, metric: str) -> None:
    if threshold is None:
        return
    lowest, highest = {"cosine": (-1.0, 1.0), "dot": (-math.inf, math.inf)}.get(
        metric, (-math.inf, 0.0)
    )
    if (
        isinstance(threshold, bool)
        or not isinstance(threshold, (int, float))
        or not lowest <= threshold <= highest
    ):
        raise InvalidQuery(
            f"similarity_threshold must lie between {lowest:g} and {highest:g} under"
            f" {metric}, not {shown(threshold)}."
        )
