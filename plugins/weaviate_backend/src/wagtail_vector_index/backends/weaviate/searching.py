"""Searches by the index, and compares every record where the index finds too few."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal
from uuid import UUID

import numpy as np

from wagtail_vector_index.contract import (
    EXACT,
    EXACT_UP_TO,
    CollectionSpec,
    ExactMatches,
    Match,
)
from wagtail_vector_index.contract.arrays import scores, stored_query
from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import Query

from .errors import TooLarge
from .filtering import Condition, all_of, condition_of, in_part
from .messages import Messages, ids_and_vectors, ids_of
from .options import WeaviateOptions
from .properties import PARTS
from .schema import class_name
from .service import Rpc
from .vectors import score_of

#: How many more records are requested, to find where equal scores end. Each costs the server
#: as much time as everything that is done here.
BEYOND = 1

#: The same for metrics where rounding in float32 may change the order of products.
FAR_BEYOND = 16

#: Above this many matches, scores come from Weaviate in float32. Reading that many vectors to
#: compute the scores here would cost more than the search.
MOST_RESCORED = 2_000

#: Keeps every record.
ALL = in_part(0, PARTS)


class Search:
    """A search for the records nearest to a vector."""

    def __init__(self, spec: CollectionSpec, options: WeaviateOptions, query: Query) -> None:
        self._spec = spec
        self._limit = query.limit
        self._wanted = query.limit + (BEYOND if spec.metric == "cosine" else FAR_BEYOND)
        self._most = options.max_results
        self._messages = Messages(
            class_name(options.collection_prefix, spec.name), options.consistency
        )
        self._filter = None if query.filter is None else condition_of(query.filter)
        self._asked = stored_query(query.vector, spec.metric)

    def run(self) -> Steps[list[Match]]:
        """Return the matches, in any order."""
        if self._spec.setting == EXACT:
            return ExactMatches((yield from self._exhaustive(0, PARTS)))
        found = yield from self._by_index()
        recall = self._spec.recall
        if self._filter is None or recall is None or recall.records <= EXACT_UP_TO:
            return found
        # A server compares all records that match if there are so few.
        count = yield from self._count(self._filter)
        return ExactMatches(found) if count <= EXACT_UP_TO else found

    def _by_index(self) -> Steps[list[Match]]:
        condition, wanted = self._filter, self._wanted
        if condition is None and self._spec.recall is None:
            # The collection is too small to be measured, or was not measured yet. The index may
            # miss some of many equal records, but a server compares all that a filter keeps, if
            # they are few.
            condition = ALL
        while wanted <= self._most:
            found = yield from self._nearest(condition, wanted)
            if len(found) < wanted:
                if (yield from self._count(self._filter)) <= len(found):
                    return found
                break
            if self._is_decided(found):
                return found
            wanted *= 4
        return (yield from self._exhaustive(0, PARTS))

    def _exhaustive(self, low: int, high: int) -> Steps[list[Match]]:
        """Return the nearest records of these parts, and compare every record."""
        part = in_part(low, high)
        condition = part if self._filter is None else all_of([self._filter, part])
        count = yield from self._count(condition)
        if not count:
            return []
        if count <= EXACT_UP_TO:
            few = count <= self._most
            sizes = [count if few or self._wanted > self._most else self._wanted]
            if self._spec.setting == EXACT and sizes != [self._wanted]:
                # Only where the index finds too few may it lack records.
                sizes.insert(0, self._wanted)
            for wanted in sizes:
                if wanted > self._most:
                    continue
                found = yield from self._nearest(condition, wanted)
                if len(found) < wanted and few:
                    try:
                        return (yield from self._compared(condition))
                    except TooLarge:
                        if high - low == 1:
                            raise
                        break
                if len(found) >= count or (len(found) >= wanted and self._is_decided(found)):
                    return found
        middle = (low + high) // 2
        lower = yield from self._exhaustive(low, middle)
        upper = yield from self._exhaustive(middle, high)
        return self._best(lower + upper)

    def _nearest(self, condition: Condition | None, limit: int) -> Steps[list[Match]]:
        with_vectors = limit <= MOST_RESCORED
        request = self._messages.nearest(
            self._asked.tobytes(), limit, condition, vectors=with_vectors
        )
        reply = yield from self._reply("Search", request)
        if with_vectors:
            return self._scored(reply)
        metric = self._spec.metric
        distances = [score_of(result.metadata.distance, metric) for result in reply.results]
        return _matches(ids_of(reply), distances)

    def _compared(self, condition: Condition) -> Steps[list[Match]]:
        """Return all records that match, whether or not the index has them already."""
        request = self._messages.matching(self._most, condition, metadata=False)
        return self._scored((yield from self._reply("Search", request)))

    def _count(self, condition: Condition | None) -> Steps[int]:
        reply = yield from self._reply("Aggregate", self._messages.count(condition))
        return int(reply.single_result.objects_count)

    def _reply(self, method: Literal["Search", "Aggregate"], message: Any) -> Steps[Any]:
        return (yield Rpc(method=method, message=message))

    def _scored(self, reply: Any) -> list[Match]:
        ids, found = ids_and_vectors(reply)
        vectors = np.frombuffer(found, np.float32).reshape(-1, self._spec.dimensions)
        return _matches(ids, scores(vectors, self._asked, self._spec.metric))

    def _is_decided(self, found: list[Match]) -> bool:
        """Return whether the matches include all equal scores at the end, so that ids decide."""
        ordered = sorted((match.score for match in found), reverse=True)
        return len(ordered) > self._limit and ordered[self._limit - 1] > ordered[-1]

    def _best(self, found: list[Match]) -> list[Match]:
        return sorted(found, key=lambda match: (-match.score, match.id))[: self._limit]


def _matches(ids: Sequence[UUID], found: Sequence[float]) -> list[Match]:
    return [Match(id=id, score=score) for id, score in zip(ids, found, strict=True)]
