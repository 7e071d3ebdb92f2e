"""Searches, exact or by the index; both return all the records asked for."""

from __future__ import annotations

from functools import partial
from math import ceil
from typing import Any

from qdrant_client import models

from wagtail_vector_index.backends.base import CollectionSpec, Match
from wagtail_vector_index.contract import EXACT, EXACT_UP_TO, ExactMatches, Setting
from wagtail_vector_index.contract.arrays import stored_query
from wagtail_vector_index.contract.sansio import Steps
from wagtail_vector_index.contract.services import Query

from .filtering import condition
from .naming import vector_name
from .options import QdrantOptions
from .points import matches_of
from .service import Call, call

#: How many more records are requested, to find where equal scores end.
BEYOND = 16

#: The settings of a search, the cheapest first: for whole vectors, and for compressed ones, which
#: also need more candidates.
WHOLE = tuple({"hnsw_ef": ef} for ef in (128, 256, 512, 1_024, 2_048))
COMPRESSED = tuple(
    {"hnsw_ef": ef, "oversampling": oversampling}
    for ef, oversampling in (
        (128, 1), (128, 2), (128, 4), (256, 4), (256, 8), (512, 8), (512, 16), (1_024, 32),
    )
)  # fmt: skip

#: The seconds after which a server ends a read by default. Its strict mode may forbid more.
LONGEST_READ = 60

#: Above this limit, a search first counts the records.
MOST_UNCOUNTED = 1_000


def search(
    spec: CollectionSpec, options: QdrantOptions, query: Query, where: str
) -> Steps[list[Match]]:
    """Return the nearest records, with enough beyond the limit to order equal scores by id.

    The replica that counts may lack records that the replicas that are searched have. So the
    number of matches only decides how to search. It never keeps a match from being found.
    """
    kept = condition(query.filter)
    nearest = partial(_nearest, spec, options, _arguments(spec, options, query, kept))
    exact = options.exact or spec.setting == EXACT
    limit, most = query.limit, query.limit + BEYOND
    expected = limit
    if limit > MOST_UNCOUNTED or (query.filter is not None and not exact):
        total = (yield count(spec, options, kept)).count
        expected, most = min(limit, total), min(limit, total) + BEYOND
        exact = exact or total <= EXACT_UP_TO
    found = (yield nearest(most, exact=exact)).points
    if not exact and len(found) < expected:
        exact = True
        found = (yield nearest(most, exact=True)).points
    while len(found) == most and not _is_enough(found, limit):
        most *= 4
        found = (yield nearest(most, exact=exact)).points
    matches = matches_of(spec, found, limit, where)
    return ExactMatches(matches) if exact else matches


def search_settings(options: QdrantOptions) -> list[Setting]:
    """Return the settings of approximate searches, the cheapest first."""
    if options.in_memory or options.exact:
        return []
    compressed = options.quantization != "none" and options.rescore
    chosen = {"hnsw_ef": options.hnsw_ef, "oversampling": options.oversampling}
    settings: list[Setting] = []
    for values in COMPRESSED if compressed else WHOLE:
        setting = {name: chosen[name] or value for name, value in values.items()}
        if setting not in settings:
            settings.append(setting)
    return settings


def count(spec: CollectionSpec, options: QdrantOptions, kept: models.Filter | None) -> Call:
    """Return the call that counts the records that a filter keeps."""
    given = {"count_filter": kept, "exact": True, **reading(spec, options)}
    if given["consistency"] is None:
        del given["consistency"]
        return call(options, spec.name, "count", **given)
    # The client's own method refuses this argument. The method that it calls takes it.
    return call(options, spec.name, "_client.count", **given)


def _arguments(
    spec: CollectionSpec, options: QdrantOptions, query: Query, kept: models.Filter | None
) -> dict[str, Any]:
    return {
        "query": stored_query(query.vector, spec.metric).tolist(),
        "using": vector_name(spec),
        "query_filter": kept,
        "with_payload": False,
        **reading(spec, options),
    }


def _nearest(
    spec: CollectionSpec,
    options: QdrantOptions,
    arguments: dict[str, Any],
    limit: int,
    *,
    exact: bool,
) -> Call:
    params = _params(spec, options, exact=exact)
    return call(options, spec.name, "query_points", **arguments, limit=limit, search_params=params)


def _params(spec: CollectionSpec, options: QdrantOptions, *, exact: bool) -> models.SearchParams:
    # Before a recall is measured, and after the options have changed, the server's defaults apply.
    is_known = spec.setting and spec.setting in search_settings(options)
    setting = spec.setting if is_known else {}
    ef = options.hnsw_ef or setting.get("hnsw_ef")
    quantization = None
    if options.quantization != "none":
        quantization = models.QuantizationSearchParams(
            ignore=exact,
            rescore=options.rescore,
            oversampling=options.oversampling or setting.get("oversampling"),
        )
    return models.SearchParams(
        exact=exact, hnsw_ef=None if ef is None else int(ef), quantization=quantization
    )


def reading(spec: CollectionSpec, options: QdrantOptions) -> dict[str, Any]:
    """Return the arguments of each call that reads records."""
    consistency: Any = options.consistency
    if isinstance(consistency, str):
        consistency = models.ReadConsistencyType(consistency)
    seconds = options.server_timeout
    if spec.timeout is not None:
        seconds = min(ceil(spec.timeout), max(seconds, LONGEST_READ))
    return {"consistency": consistency, "timeout": seconds}


def _is_enough(found: list[Any], limit: int) -> bool:
    """Return whether all records that score as high as the last wanted one have been found."""
    return len(found) > limit and found[-1].score != found[limit - 1].score
