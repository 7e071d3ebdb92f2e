"""Filtered searches of an approximate index: asked again if their answer looks too far away.

An index walks from neighbour to neighbour towards the query. If a filter leaves out everything
that is near the query, the walk may end far from the nearest records that are left, and nothing in
its answer says so. The yardstick is a search for the same query without a filter, which the index
answers well: a filter that has nothing to do with the query keeps some of its nearest records. If
the filtered answer is farther away than all of these, the index was asked where it is not
reliable. (A random sample of what the filter leaves would not help: of a thousand times as many
records, it rarely holds one that is nearer than the answer.)
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Sequence
from typing import Any

from ..exceptions import BackendRefused, BackendUnavailable
from .filters import FilterNode
from .recall import EXACT, ExactMatches, Setting
from .records import Match
from .sansio import Steps
from .spec import EXACT_UP_TO, CollectionSpec

__all__ = ["searched"]

logger = logging.getLogger(__name__)

#: Searches for more matches than this are not checked: they look at many candidates anyway.
_MOST_CHECKED = 100


def searched(
    spec: CollectionSpec,
    asked: tuple[memoryview[Any], int, FilterNode | None, float | None],
    *,
    search: Callable[..., Any],
    wider: Callable[[CollectionSpec], Sequence[Setting]],
    reach: Callable[[CollectionSpec], int],
    timeout: float,
) -> Steps[list[Match]]:
    """Search, and search more widely if a filtered answer looks too far away; at last exactly.

    If that fails, for instance because an exact search of many records takes too long, the answer
    is the last one. All searches together have the time of one, since somebody waits for them.

    Args:
        spec: the collection.
        asked: the query's vector, the limit, the filter and the lowest score.
        search: makes the request of a search, from a spec and such arguments.
        wider: returns the settings of wider searches.
        reach: returns the most matches of a search by the index without a filter.
        timeout: the seconds that all searches may take.
    """
    end = time.monotonic() + timeout
    vector, limit, filter, _ = asked
    records = spec.recall.records if spec.recall else 0
    is_checked = filter is not None and records > EXACT_UP_TO and limit <= _MOST_CHECKED
    if is_checked:
        # Without the lowest score: how far away the nearest records are must be seen.
        asked = vector, limit, filter, None
    found: list[Match] = yield search(spec, *asked)
    if not is_checked:
        return found
    farthest: float | None = None
    try:
        for setting in (*wider(spec), EXACT):
            if isinstance(found, ExactMatches):
                break
            if farthest is None:
                depth = min(reach(spec), _depth(limit, records))
                widely: list[Match] = yield search(spec.until(end), vector, depth, None, None)
                farthest = _last_score(widely, depth)
            if _last_score(found, limit) >= farthest:
                break
            if setting != spec.setting:
                found = yield search(spec.searched_with(setting).until(end), *asked)
    except (BackendUnavailable, BackendRefused) as error:
        logger.warning(
            "%s: a filtered search may lack nearer records, because it could not be repeated: %s",
            spec.name,
            error,
        )
    return found


def _last_score(found: list[Match], limit: int) -> float:
    """Return the score of the last match within the limit; a search may find more than asked."""
    scores = sorted((match.score for match in found), reverse=True)[:limit]
    return scores[-1] if scores else -math.inf


def _depth(limit: int, records: int) -> int:
    """Return how many records without the filter hold ``limit`` that match, almost certainly.

    More than `EXACT_UP_TO` records match, or the answer would be exact. If the filter has nothing
    to do with the query, the last of the matches is one of twice as many as it is on average.
    """
    return math.ceil((2 * limit + 5) * records / EXACT_UP_TO)
