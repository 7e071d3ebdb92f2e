"""Exact searches by a store that adds up in float32: a few more candidates, scored again.

Each of the thousands of additions in a score rounds. Over 3,000 components, the sum may be wrong
by more than the contract allows, and records near the limit may be in the wrong order. So the
store proposes candidates, some more than requested, and `nearest` scores them in double precision.

Core does not require NumPy, and imports this module nowhere.

Example::

    def _search(self, spec, vector, limit, filter, min_score):
        query = stored_query(vector, spec.metric)
        find = partial(self._candidates, spec, filter, query)
        return nearest(find, query, limit, spec.metric)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from .arrays import Floats32, matrix, scores
from .metrics import Metric
from .records import Match, RecordBatch

__all__ = ["nearest"]

#: The largest relative error of one operation in float32.
_UNIT = 2.0**-24

#: How many candidates are requested beyond the limit, at least, and for how many matches one.
_LEAST_BEYOND, _MATCHES = 16, 8

#: If so many candidates beyond the limit score nearly the same, they are most likely copies of one
#: vector. The store's own order by id decides among these.
_MOST_BEYOND = 2_000


def nearest(
    find: Callable[[int], RecordBatch], query: Floats32, limit: int, metric: Metric
) -> list[Match]:
    """Return the nearest records with scores in double precision, and perhaps a few others.

    The store is asked for more candidates until no other record can be among the nearest: the
    last candidate scores lower than the last match by more than the store's rounding can hide.
    For sums of n products in any order, rounding is at most ``n·2**-24`` of the product of the
    lengths (Higham, Accuracy and Stability of Numerical Algorithms, 3.1). Under ``dot``, only
    the candidates' lengths count, because the store alone knows the others.

    Args:
        find: returns as many candidates as it is given, or all records that match if there are
            fewer: those with the best scores of the store, and among equal scores those with the
            lowest ids. They may come in any order. Their metadata is not used.
        query: the query as `stored_query` returns it.
        limit: the number of matches.
        metric: the metric of the collection.
    """
    beyond = max(_LEAST_BEYOND, limit // _MATCHES)
    while True:
        found = find(limit + beyond)
        if not len(found):
            return []
        vectors = matrix(found)
        values = scores(vectors, query, metric)
        if (
            len(found) < limit + beyond
            or beyond >= _MOST_BEYOND
            or _is_decided(np.array(values), vectors, query, limit, metric)
        ):
            pairs = zip(found.uuids, values, strict=True)
            return [Match(id=id, score=score) for id, score in pairs]
        beyond *= 4


def _is_decided(
    values: npt.NDArray[np.float64], vectors: Floats32, query: Floats32, limit: int, metric: Metric
) -> bool:
    last, lowest = np.partition(values, -limit)[-limit], values.min()
    # A few terms more, for the rounding of the stored vectors.
    relative = (len(query) + 8) * _UNIT
    if metric == "cosine":
        error = 2 * relative  # of the product, and of both lengths
    elif metric == "dot":
        lengths = np.linalg.norm(vectors.astype(np.float64), axis=1)
        error = relative * lengths.max() * np.linalg.norm(query.astype(np.float64))
    else:
        error = relative * -lowest  # all addends are positive
    # The store may rate the last candidate too high, and a record that it left out too low.
    return bool(last - lowest > 2 * error)
