"""Builds the statements of searches, approximate by the index or exact."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from wagtail_vector_index.contract import (
    EXACT_UP_TO,
    CollectionSpec,
    FilterNode,
    Metric,
    Setting,
)
from wagtail_vector_index.contract.arrays import Floats32

from .extension import Extension
from .filtering import where
from .options import PgvectorOptions, Precision
from .planning import with_lists
from .tables import table_name

#: The operator of each metric. Under cosine, vectors have length 1, so the product is enough.
OPERATORS: dict[Metric, str] = {"cosine": "<#>", "dot": "<#>", "euclidean": "<->"}
CLASSES: dict[Metric, str] = {"cosine": "ip_ops", "dot": "ip_ops", "euclidean": "l2_ops"}

#: The most dimensions that pgvector can index in each precision.
MOST_INDEXED: dict[Precision, int] = {"vector": 2_000, "halfvec": 4_000, "bit": 64_000}

#: The limits in words, for messages that explain why there is no index.
LIMITS = "4,000 under cosine and 2,000 under other metrics, or more with a lower 'PRECISION'"

#: The range of a vector's largest component in which 16 bits keep their full accuracy.
HALFVEC_RANGE = (2**-14, 65_504)

#: How many candidates are scored by whole vectors for each requested match.
OVERSAMPLING: dict[Precision, int] = {"vector": 1, "halfvec": 2, "bit": 10}

#: The most candidates that pgvector allows for a search in HNSW.
MOST_CANDIDATES = 1_000

#: The settings of a search, the cheapest first. The first ones apply until a recall is measured.
EF_SEARCH = (100, 200, 400, 700, MOST_CANDIDATES)
PROBES = (5, 10, 20, 40, 80, 160, 320, 640)

#: For more matches than this, the server computes the scores under all metrics, because
#: sending all their vectors would take too long.
MOST_RESCORED = 2_000

#: Up to so many dimensions, the server's sums of products of unit vectors are accurate enough.
MOST_ACCURATE = 1_000


@dataclass(frozen=True, kw_only=True)
class Statement:
    """A query with its parameters, and the settings that it needs.

    Args:
        query: a query for rows of an id and a distance, or of an id and a vector to score here.
        parameters: the parameters of the query.
        settings: the settings of the session, by name.
        has_distances: whether the rows have distances instead of vectors.
    """

    query: str
    parameters: list[Any]
    settings: Mapping[str, str]
    has_distances: bool = False


@dataclass(frozen=True, kw_only=True)
class Indexed:
    """The expression that the index of a collection holds, and its operator class."""

    expression: str
    operator_class: str
    precision: Precision


def precision_of(spec: CollectionSpec, options: PgvectorOptions) -> Precision | None:
    """Return the precision to index a collection in, or None if it has no index."""
    if options.index == "none":
        return None
    wanted = options.precision
    # Under cosine, no component is above 1. Under other metrics, it may exceed halfvec's range.
    if wanted == "vector" and spec.dimensions > MOST_INDEXED[wanted] and spec.metric == "cosine":
        wanted = "halfvec"
    return wanted if spec.dimensions <= MOST_INDEXED[wanted] else None


def search_settings(
    spec: CollectionSpec, options: PgvectorOptions, lists: int | None
) -> list[Setting]:
    """Return the settings of searches by the index, the cheapest first.

    Args:
        spec: the collection.
        options: the options of the alias.
        lists: how many lists the index has, or None if it is a graph.
    """
    if precision_of(spec, options) is None:
        return []
    if lists is None or not (options.index == "ivfflat" or with_lists(options)):
        values = (options.ef_search,) if options.ef_search else EF_SEARCH
        return [{"ef_search": value} for value in values]
    # What was measured no longer holds with another number of lists.
    probes = (options.probes,) if options.probes else PROBES
    return [{"lists": lists, "probes": value} for value in probes]


def widest_setting(spec: CollectionSpec, options: PgvectorOptions) -> Setting:
    """Return the most thorough setting for the index that the collection's setting is of."""
    if "probes" in spec.setting:
        return {**spec.setting, "probes": options.probes or PROBES[-1]}
    return {"ef_search": options.ef_search or MOST_CANDIDATES}


def can_be_asked(vector: Floats32, precision: Precision) -> bool:
    """Return whether a query's vector becomes neither zero nor infinite in this precision."""
    least, most = HALFVEC_RANGE
    return precision != "halfvec" or bool(least <= np.abs(vector).max() <= most)


def indexed(extension: Extension, spec: CollectionSpec, precision: Precision) -> Indexed:
    """Return the expression to index, with its operator class."""
    whole = '"embedding"'
    if precision == "vector":
        expression = whole
    elif precision == "halfvec":
        expression = f"({whole}::{extension.named('halfvec')}({spec.dimensions}))"
    else:
        expression = _bits(extension, spec, whole)
    suffix = "hamming_ops" if precision == "bit" else CLASSES[spec.metric]
    return Indexed(
        expression=expression,
        operator_class=extension.named(f"{precision}_{suffix}"),
        precision=precision,
    )


def approximate(
    extension: Extension,
    spec: CollectionSpec,
    options: PgvectorOptions,
    precision: Precision,
    filter: FilterNode | None,
    query: str,
    limit: int,
) -> Statement:
    """Return a statement for the nearest records by the index, in any order.

    The statement finds no record if few records match the filter.

    Args:
        extension: the extension, with the schema of types and operators.
        spec: the collection.
        options: the options of the alias.
        precision: the precision of the index.
        filter: the filter that records must match.
        query: the vector as text.
        limit: the number of records.
    """
    condition, parameters = _where_many(spec, filter)
    candidates = limit * OVERSAMPLING[precision]
    if precision != "vector":
        # Whatever the index proposes is compared by whole vectors.
        proposed = options.ef_search or int(spec.setting.get("ef_search", EF_SEARCH[0]))
        candidates = max(candidates, proposed)
    vector = _vector(extension, query)
    if precision == "bit":
        target, operator = _bits(extension, spec, vector), "<~>"
    elif precision == "halfvec":
        target = f"{vector}::{extension.named('halfvec')}({spec.dimensions})"
        operator = OPERATORS[spec.metric]
    else:
        target, operator = vector, OPERATORS[spec.metric]
    if precision == "bit":
        condition = f"({condition}) AND {_has_index_of_bits(spec)}"
    expression = indexed(extension, spec, precision).expression
    order = f"{expression} {extension.operator(operator)} {target}"
    source = f"FROM {table_name(spec)} WHERE {condition}"
    has_distances = are_distances_accurate(spec)
    if precision == "vector" and has_distances:
        statement = f'SELECT "id", {order} AS "distance" {source} ORDER BY "distance" LIMIT {limit}'
    else:
        statement = f'SELECT "id", "embedding" {source} ORDER BY {order} LIMIT {candidates}'
        if precision == "vector":
            statement = _with_vectors(extension, statement)
        else:
            source = f"FROM ({statement}) AS candidates"
            statement = _nearest(extension, spec, source, query, limit, has_distances=has_distances)
    return Statement(
        query=statement,
        parameters=parameters,
        settings=_settings(spec.setting, options, candidates),
        has_distances=has_distances,
    )


def exact(
    extension: Extension,
    spec: CollectionSpec,
    filter: FilterNode | None,
    query: str,
    limit: int,
    *,
    has_distances: bool,
) -> Statement:
    """Return a statement for the nearest records. Equally near ones order by id."""
    condition, parameters = where(filter)
    source = f"FROM {table_name(spec)} WHERE {condition}"
    return Statement(
        query=_nearest(extension, spec, source, query, limit, has_distances=has_distances),
        parameters=parameters,
        settings={},
        has_distances=has_distances,
    )


def _where_many(spec: CollectionSpec, filter: FilterNode | None) -> tuple[str, list[Any]]:
    """Return a condition that no record meets if at most `EXACT_UP_TO` match the filter.

    The server counts once, before it reads the index, because the count depends on no row. So a
    single statement counts and, if necessary, searches.
    """
    condition, parameters = where(filter)
    if filter is None:
        return condition, parameters
    matching = f"SELECT FROM {table_name(spec)} WHERE {condition} LIMIT {EXACT_UP_TO + 1}"
    count = f"(SELECT count(*) FROM ({matching}) AS matching)"
    return f"({condition}) AND {count} > {EXACT_UP_TO}", [*parameters, *parameters]


def are_distances_accurate(spec: CollectionSpec) -> bool:
    """Return whether the server's distances, sums in float32, are as exact as the contract asks."""
    # Under other metrics, large products may cancel out, with an error larger than what is left.
    return spec.metric == "cosine" and spec.dimensions <= MOST_ACCURATE


def _nearest(
    extension: Extension,
    spec: CollectionSpec,
    source: str,
    query: str,
    limit: int,
    *,
    has_distances: bool,
) -> str:
    distance = _distance(extension, spec, query)
    if has_distances:
        order = f'ORDER BY "distance", "id" LIMIT {limit}'
        return f'SELECT "id", {distance} AS "distance" {source} {order}'
    return _with_vectors(
        extension, f'SELECT "id", "embedding" {source} ORDER BY {distance}, "id" LIMIT {limit}'
    )


def _settings(setting: Setting, options: PgvectorOptions, candidates: int) -> dict[str, str]:
    """Return the settings of both indexes, since a search does not know which one is there.

    A setting of the other index does not say how thoroughly this one must be searched, until that
    is measured a moment later.
    """
    ef_search = options.ef_search or setting.get(
        "ef_search", MOST_CANDIDATES if setting else EF_SEARCH[0]
    )
    probes = options.probes or setting.get("probes", PROBES[-1] if setting else PROBES[0])
    return {
        "hnsw.ef_search": f"{min(max(ef_search, candidates), MOST_CANDIDATES):g}",
        "hnsw.iterative_scan": "relaxed_order",
        "ivfflat.probes": f"{probes:g}",
        "ivfflat.iterative_scan": "relaxed_order",
    }


def _distance(extension: Extension, spec: CollectionSpec, query: str) -> str:
    # The addition of 0 keeps PostgreSQL from using the index, whose result is approximate.
    operator = extension.operator(OPERATORS[spec.metric])
    return f'("embedding" {operator} {_vector(extension, query)}) + 0'


def _has_index_of_bits(spec: CollectionSpec) -> str:
    # Without the index, PostgreSQL would compare all bits, which is no faster than exact search.
    return (
        f"EXISTS (SELECT FROM pg_index WHERE indrelid = '{table_name(spec)}'::regclass"
        " AND indisvalid AND strpos(obj_description(indexrelid, 'pg_class'), ' bit:') > 0)"
    )


def _with_vectors(extension: Extension, nearest: str) -> str:
    # In the outer query, so that only the vectors of found rows are converted.
    return f'SELECT "id", {extension.named("vector_send")}("embedding") FROM ({nearest}) AS nearest'


def _vector(extension: Extension, query: str) -> str:
    return f"'{query}'::{extension.named('vector')}"


def _bits(extension: Extension, spec: CollectionSpec, vector: str) -> str:
    return f"({extension.named('binary_quantize')}({vector})::bit({spec.dimensions}))"
