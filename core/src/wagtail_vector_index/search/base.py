"""The base class of searches: their arguments, and the steps to a ranking of objects."""

from __future__ import annotations

import math
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, ClassVar
from uuid import UUID

from django.db.models import Manager, Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import LazyObject

from ..backends.base import VectorBackend
from ..content.declaration import IndexDeclaration
from ..content.filter_values import comparable_filter
from ..content.independence import independent
from ..content.object_keys import key_of, shares_objects
from ..content.visibility import Visibility, visible_to
from ..contract.filters import And, Comparison, FilterNode, parse_filter
from ..contract.metrics import FACTS, Metric, MetricFacts
from ..contract.records import Match
from ..contract.sansio import Call, Steps
from ..contract.spec import CollectionSpec
from ..contract.validation import check_positive
from ..exceptions import CollectionNotFound, IndexOutdated, InvalidFilter, InvalidQuery
from ..indexing.catching_up import catch_up, forget
from ..models.sessions import steps_again_if_lost
from ..models.tables import Collection
from ..plugins.calling import notify
from ..plugins.handlers import vector_backends
from ..wording import shown
from .collections import active_collection, check_current, lost, serving_backend
from .lead_chunks import LEAD_POSITION, mixed_with_lead
from .live_chunks import LiveChunk, live_chunks
from .ranking import Hit, best_of_each, nearest_first

__all__ = ["NOTHING", "Search", "both", "of_objects", "search_call"]

#: The most keys of objects that a search passes to a vector backend as a filter.
MAX_FILTER_KEYS = 1_000

#: If a search has looked at more than this number of objects for each object that the visitor
#: may see, it finds out which objects of the index the visitor may see at all.
_RARE = 20

#: The least and the greatest factor by which a search asks for more matches, if the visitor may
#: see too few. Each step costs some queries, whatever its size: three of the largest see 10,000
#: matches.
_GROWTHS = 4, 20

#: The least number of matches that a search asks for. The objects of all of them are ranked, since
#: an object with a slightly worse chunk may rank before others by its lead chunk.
_LEAST_MATCHES = 100

#: The same where nearly every object has one chunk, which is its lead chunk. To search by signs,
#: the NumPy backend reads several thousand vectors for each ten matches more.
_LEAST_OF_WHOLE = 30

#: The most chunks, for each object, of a collection whose objects count as whole.
_WHOLE = 1.1

#: Up to this number of objects are ranked before it is checked which of them the visitor may see.
#: Then only the first need be checked. Of more objects, few are visible, and only these are ranked.
_RANKED_UNCHECKED = 250

#: The number of objects that are checked in addition to those wanted, in case some are hidden.
_MORE = 10

#: Stands for a filter that no record can match.
NOTHING = object()


@dataclass(kw_only=True)
class Search(ABC):
    """The arguments of a search, checked, and its steps.

    The filter is parsed once, in this class. Backends get the parsed tree.
    """

    index: IndexDeclaration
    limit: int = 10
    filter: Q | FilterNode | None = None
    within: QuerySet[Any] | None = None
    similarity_threshold: float | None = None
    user: Any = None
    request: HttpRequest | None = None
    hits: list[Hit] | None = field(default=None, init=False)
    #: The collection that a text was searched in, and the vector that it was searched with.
    searched: tuple[Collection, Any] | None = field(default=None, init=False)
    #: The keys of all objects that the visitor may see, if the search looked them up and there
    #: are few.
    visible_keys: list[str] | None = field(default=None, init=False)
    #: Objects that were loaded when it was checked whether the visitor may see them, by their keys.
    loaded: dict[str, Any] = field(default_factory=dict, init=False, repr=False, compare=False)
    #: Whether to load objects then.
    _loads: bool = field(default=False, init=False, repr=False, compare=False)

    #: The text to search for, which the hook ``search_performed`` gets.
    text: ClassVar[str] = ""

    def __post_init__(self) -> None:
        check_positive("limit", self.limit)
        _check_threshold(self.similarity_threshold, self.index.metric)
        _check_visitor(self.user, self.request)
        if self.within is not None:
            self.within = refinable(self.within)
            _check_related(self.within.model, self.index)
        if self.filter is not None:
            comparable = comparable_filter(self.filter)
            self.filter = parse_filter(comparable, self.index.configuration.fields)

    @abstractmethod
    def _vector(self, collection: Collection) -> Steps[Any]:
        """Return the vector to search with, or None if there is nothing to search for."""

    def steps(self, *, loads: bool = False) -> Steps[list[Hit]]:
        """Return the ranked objects. The search runs only once.

        Args:
            loads: whether all objects will be used at once. They may then be in ``loaded``.

        Raises:
            IndexNotBuilt, IndexOutdated, BackendError, EmbeddingError
        """
        if self.hits is None:
            self._loads = loads and self.within is None
            ranking = yield from self.ranking()
            reranked = yield from self.reranked(ranking)
            self.hits = reranked[: self.limit]
        return self.hits

    def ranking(self) -> Steps[list[Hit]]:
        """Return the objects as the index ranks them by itself, without a reranking backend."""
        return (yield from steps_again_if_lost(self._rank))

    def reranked(self, hits: list[Hit]) -> Steps[list[Hit]]:
        """Return the ranking in its final order. Only a search for a text can change it."""
        yield from ()
        return hits

    @property
    def _depth(self) -> int:
        """The number of objects to rank. It may be more than are returned."""
        return self.limit

    def _rank(self) -> Steps[list[Hit]]:
        collection = self._collection()
        self._check_fields(collection)
        vector = yield from self._vector(collection)
        filter = self._filter()
        if vector is None:
            return []
        if filter is NOTHING:
            self._notify((), 0.0)
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
            raise lost(self.index, error) from error

    def _collection(self) -> Collection:
        """Return the collection to search in."""
        return active_collection(self.index)

    def _rank_in(
        self, collection: Collection, vector: Any, filter: FilterNode | None
    ) -> Steps[list[Hit]]:
        """Ask for more and more matches until the visitor may see enough of the objects."""
        backend = serving_backend(self.index, collection)
        spec = catch_up(collection, backend)
        hits: dict[str, Hit] = {}
        chunks: dict[UUID, LiveChunk] = {}
        seen: set[UUID] = set()
        looked_at: set[str] = set()
        wanted = self._wanted(collection)
        self.visible_keys = None
        self.loaded = {}
        has_asked = False
        while True:
            started = time.perf_counter()
            matches = yield search_call(
                backend,
                spec,
                vector,
                limit=wanted,
                filter=filter,
                min_score=self.similarity_threshold,
            )
            if not seen:
                self._notify(matches, time.perf_counter() - started)
            # Known matches are recognized by their ids, not by their positions, because an
            # approximate backend may return more matches in another order.
            fresh = [match for match in matches if match.id not in seen]
            found = live_chunks(collection, [match.id for match in fresh])
            chunks |= found
            best = best_of_each(fresh, {id: chunk.key for id, chunk in found.items()}, looked_at)
            leads = {
                chunk.key: match.score
                for match in fresh
                if (chunk := found.get(match.id)) and chunk.position == LEAD_POSITION
            }
            candidates = list(best.values())
            are_many = len(candidates) > _RANKED_UNCHECKED
            if are_many:
                candidates = self._visible(candidates)
            mixed = yield from mixed_with_lead(collection, spec, backend, vector, candidates, leads)
            near = nearest_first(hit for hit in mixed if self._is_near_enough(hit))
            if not are_many:
                near = self._first_visible(near, loads=self._loads and not seen)
            hits.update((hit.key, hit) for hit in near)
            looked_at.update(best)
            if len(hits) >= self._depth or len(matches) < wanted:
                nearest = nearest_first(hits.values())[: self._depth]
                return [replace(hit, text=chunks[hit.document].text) for hit in nearest]
            seen.update(match.id for match in fresh)
            self.loaded = {}  # the next round may take long
            if not has_asked and len(looked_at) > _RARE * len(hits):
                has_asked = True
                self.visible_keys = self._few_visible()
                if self.visible_keys is not None:
                    filter = both(filter, of_objects(self.visible_keys))
                    continue
            wanted *= self._growth(len(hits))

    def _wanted(self, collection: Collection) -> int:
        """Return the number of matches to ask for first."""
        are_whole = collection.document_count <= _WHOLE * collection.object_count
        least = _LEAST_OF_WHOLE if are_whole else _LEAST_MATCHES
        return max(self._depth + min(self._depth, 10), least)

    def _visible(self, hits: Sequence[Hit]) -> list[Hit]:
        """Return the hits that the visitor may see."""
        keys = [hit.key for hit in hits]
        visible = self.index.visible_among(keys, self.visibility, self.within)
        return [hit for hit in hits if hit.key in visible]

    def _first_visible(self, hits: Sequence[Hit], *, loads: bool) -> list[Hit]:
        """Return hits that the visitor may see: all of them, or at least the first ``_depth``.

        Args:
            hits: the hits, nearest first.
            loads: whether to load their objects, if the same query can do that.
        """
        first = self._depth
        found = self._load(hits[:first]) if loads else None
        if found is None:
            first += min(self._depth, _MORE)
            found = self._visible(hits[:first])
        elif 0 < self._depth - len(found) <= _MORE / 2:  # then some more probably suffice
            found += self._load(hits[first : first + _MORE]) or []
            first += _MORE
        return found if len(found) >= self._depth else found + self._visible(hits[first:])

    def _load(self, hits: Sequence[Hit]) -> list[Hit] | None:
        """Load the objects of hits that the visitor may see, and return these hits.

        Return None if that would take more queries than `_visible`.
        """
        objects = self.index.fetch_visible([hit.key for hit in hits], self.visibility)
        if objects is None:
            return None
        self.loaded |= objects
        return [hit for hit in hits if hit.key in objects]

    def _is_near_enough(self, hit: Hit) -> bool:
        return self.similarity_threshold is None or hit.score >= self.similarity_threshold

    def _growth(self, found: int) -> int:
        """Return twice the factor that would suffice if visible objects were spread evenly."""
        least, most = _GROWTHS
        return most if not found else min(most, max(least, math.ceil(2 * self._depth / found)))

    def _few_visible(self) -> list[str] | None:
        """Return the keys of all objects that can be found, or None if there are too many."""
        return self.index.few_visible(self.visibility, MAX_FILTER_KEYS, self.within)

    @cached_property
    def visibility(self) -> Visibility:
        """What the visitor may see, computed when the search first needs it."""
        return visible_to(self.user, self.request)

    def still_visible(self, keys: Sequence[str]) -> set[str]:
        """Return the given keys that name objects which the visitor may see at this moment.

        `visibility` is that of the moment of the search, so the restrictions are read again.
        """
        return self.index.visible_among(keys, visible_to(self.user, self.request), self.within)

    def _check_fields(self, collection: Collection) -> None:
        """Raise IndexOutdated if the filter uses a field that was declared after the last build."""
        try:
            parse_filter(self.filter, collection.spec.fields)
        except InvalidFilter as error:
            raise IndexOutdated(
                f"{self.index.name} was built with other filter fields: {error}"
                f" Run: manage.py update_vector_indexes {self.index.name}"
            ) from error

    def _filter(self) -> Any:
        """Return the caller's filter, joined with the objects of ``within`` if they are few."""
        inside = self.inside
        if inside is None:
            return self.filter
        return both(self.filter, of_objects(inside)) if inside else NOTHING

    @cached_property
    def inside(self) -> list[str] | None:
        """The keys of the objects of ``within``, or None if there are too many."""
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


def both(one: Any, other: FilterNode) -> FilterNode:
    """Return two parsed filters as one; the first may be None."""
    return other if one is None else And((one, other))


def of_objects(keys: Iterable[str]) -> FilterNode:
    """Return the filter that matches the documents of these objects."""
    return Comparison("object", "str", "in", tuple(dict.fromkeys(keys)))


def search_call(
    backend: VectorBackend, spec: CollectionSpec, vector: Any, **arguments: Any
) -> Call:
    """Return the call of a vector backend's search, synchronous and asynchronous."""
    return Call(
        sync=lambda: backend.search(spec, vector, **arguments),
        asynchronous=lambda: backend.asearch(spec, vector, **arguments),
    )


def refinable(within: Any) -> QuerySet[Any]:
    """Return the argument ``within`` as a queryset that can be filtered further."""
    if isinstance(within, Manager):
        within = within.all()
    if not isinstance(within, QuerySet):
        raise InvalidQuery(f"within must be a queryset, not {type(within).__name__}.")
    return independent(within)


def _check_related(model: Any, index: IndexDeclaration) -> None:
    """Raise InvalidQuery if no object of this model can be in the index."""
    models = {queryset.model for queryset in index.get_querysets()}
    if not any(shares_objects(model, other) for other in models):
        labels = sorted(other._meta.label for other in models)
        raise InvalidQuery(
            f"within must be a queryset of {' or '.join(labels)}, which {index.name} contains, not"
            f" of {model._meta.label}. To filter by a related object, use filter=."
        )


def _check_visitor(user: Any, request: Any) -> None:
    """Raise InvalidQuery for a user or a request that is none. A lazy user is not loaded for it."""
    is_user = hasattr(type(user), "is_authenticated") or isinstance(user, LazyObject)
    if user is not None and not is_user:
        raise InvalidQuery(
            f"user must be a user, such as request.user, not {shown(user)}. Without a user and a"
            " request, the visitor is anonymous."
        )
    if request is not None and not (hasattr(request, "META") or hasattr(request, "session")):
        raise InvalidQuery(f"request must be the visitor's request, not {shown(request)}.")


def _check_threshold(threshold: Any, metric: Metric) -> None:
    if threshold is None:
        return
    facts = FACTS.get(metric, MetricFacts())  # an unknown metric is refused with the collection
    lowest, highest = facts.lowest, facts.highest
    if (
        isinstance(threshold, bool)
        or not isinstance(threshold, (int, float))
        or not lowest <= threshold <= highest
    ):
        raise InvalidQuery(
            f"similarity_threshold must be between {lowest:g} and {highest:g} for the metric"
            f" {metric!r}, not {shown(threshold)}."
        )
