"""A search: exactly or by the index, and complete in either case."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
from qdrant_client import models

from wagtail_vector_index.backends.base import CollectionSpec, Match
from wagtail_vector_index.contract import FACTS, FilterNode
from wagtail_vector_index.contract.arrays import stored

from .calling import Call, Steps
from .filtering import condition
from .naming import collection_name, vector_name
from .options import QdrantOptions

#: If no more records than these match a filter, they are compared one by one.
EXACT_UP_TO = 50_000

#: How many more are asked for, to see where equal scores end.
BEYOND = 16

#: Above this limit, first it is counted how many records there are.
MOST_UNCOUNTED = 1_000


def search(
    spec: CollectionSpec,
    options: QdrantOptions,
    vector: memoryview,
    limit: int,
    filter: FilterNode | None,
) -> Steps[list[Match]]:
    """The nearest records; of equal ones at the end those with the lowest ids."""
    asked = _Asked(spec, options, vector, filter)
    exact, most = options.exact, limit + BEYOND
    if limit > MOST_UNCOUNTED or (filter is not None and not exact):
        total = (yield count(spec, options, filter)).count
        if not total:
            return []
        most = min(most, total)
        exact = exact or total <= EXACT_UP_TO
    found = (yield asked.nearest(most, exact=exact)).points
    if not exact and len(found) < min(limit, most):
        exact = True
        found = (yield asked.nearest(most, exact=True)).points
    while len(found) == most > limit and found[-1].score == found[limit - 1].score:
        most *= 4
        found = (yield asked.nearest(most, exact=exact)).points
    return [_match(spec, point) for point in found]


def count(spec: CollectionSpec, options: QdrantOptions, filter: FilterNode | None) -> Call:
    """Counts the records that match."""
    return Call(
        method="count",
        collection=spec.name,
        arguments=lambda: {
            "collection_name": collection_name(options.collection_prefix, spec.name),
            "count_filter": condition(filter),
            "exact": True,
            "timeout": options.timeout,
        },
    )


class _Asked:
    """What is searched for."""

    def __init__(
        self,
        spec: CollectionSpec,
        options: QdrantOptions,
        vector: memoryview,
        filter: FilterNode | None,
    ) -> None:
        self._spec = spec
        self._options = options
        asked = np.frombuffer(vector, np.float32)[None]
        self._arguments = {
            "collection_name": collection_name(options.collection_prefix, spec.name),
            "query": stored(asked, spec.metric)[0].tolist(),
            "using": vector_name(spec),
            "query_filter": condition(filter),
            "with_payload": False,
            "consistency": _consistency(options),
            "timeout": options.timeout,
        }

    def nearest(self, limit: int, *, exact: bool) -> Call:
        """So many of the nearest."""
        params = _params(self._options, exact=exact)
        return Call(
            method="query_points",
            collection=self._spec.name,
            arguments=lambda: self._arguments | {"limit": limit, "search_params": params},
        )


def _params(options: QdrantOptions, *, exact: bool) -> models.SearchParams:
    quantization = None
    if options.quantization != "none":
        quantization = models.QuantizationSearchParams(
            ignore=exact,
            rescore=options.rescore,
            oversampling=options.oversampling,
        )
    return models.SearchParams(exact=exact, hnsw_ef=options.hnsw_ef, quantization=quantization)


def _consistency(options: QdrantOptions) -> Any:
    if isinstance(options.consistency, str):
        return models.ReadConsistencyType(options.consistency)
    return options.consistency


def _match(spec: CollectionSpec, point: Any) -> Match:
    facts = FACTS[spec.metric]
    score = -point.score if facts.is_distance else point.score
    return Match(id=UUID(point.id), score=facts.clipped(score))
