"""Searches for words in the full-text table of Wagtail's search backend for PostgreSQL."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, router

from .query_terms import Term

__all__ = ["entries"]

#: Returns the number of occurrences of a term in a text. PostgreSQL has no function for it, but
#: ``ts_rank`` grows with it. For n occurrences of one word, it is the sum of 1/i² for i from 1 to
#: n, divided by π²/6. So 0.608 / (1 - rank) - 0.5 is n, with an error of less than 6%. A rank of
#: more than 1 adds up several words with the same stem.
_COUNT = """
    CASE
        WHEN {rank} = 0 THEN 0
        WHEN {rank} < 0.99 THEN 0.608 / (1 - {rank}) - 0.5
        ELSE {rank} / 0.608
    END"""

#: Computes BM25, with the usual 1.2 and 0.75. A word in the title counts twice, as on SQLite. Each
#: term is a query of its own, so that rare terms count more than common ones. Every object that
#: contains a term has a row in ``occurrences``, so they can be counted there.
#:
#: The two ``OFFSET 0`` keep the planner from merging queries. So each object is read once and
#: stays in memory while its terms are looked for, and the ranks are computed once. The rows between
#: the steps are narrow, and the numbers are floats: logarithms of ``numeric`` take microseconds.
_STATEMENT = """
WITH written AS (
    SELECT n, stem, phraseto_tsquery(config, word) AS query
    FROM unnest(%(words)s::text[], %(stems)s::text[]) WITH ORDINALITY AS term (word, stem, n),
    coalesce(%(config)s::regconfig, get_current_ts_config()) AS config
), asked AS MATERIALIZED (
    SELECT n, CASE
        WHEN stem <> '' AND strpos(query::text, '''' || stem) = 1
        THEN to_tsquery('simple', '''' || stem || ''':*')
        ELSE query
    END AS query
    FROM written WHERE numnode(query) > 0
), occurrences AS MATERIALIZED (
    SELECT id, length(vector) AS words, n, 2 * {count_in_title} + {count_in_body} AS count
    FROM {entry}
    CROSS JOIN LATERAL (
        SELECT title || '' AS in_title, body || '' AS in_body, title || body AS vector OFFSET 0
    ) AS loaded
    CROSS JOIN LATERAL (
        SELECT n,
        ts_rank('{{1,1,1,1}}', in_title, query) AS title_rank,
        ts_rank('{{1,1,1,1}}', in_body, query) AS body_rank
        FROM asked WHERE vector @@ query OFFSET 0
    ) AS ranks
    WHERE content_type_id = ANY(%(types)s)
    AND (title || body) @@ (SELECT string_agg('(' || query::text || ')', ' | ')::tsquery FROM asked)
), total AS MATERIALIZED (
    SELECT count(*)::float8 AS objects, (
        SELECT avg(words)::float8 FROM (SELECT DISTINCT id, words FROM occurrences) AS found
    ) AS average
    FROM {entry} WHERE content_type_id = ANY(%(types)s)
), weights AS MATERIALIZED (
    SELECT n, ln(1 + (objects - count(*) + 0.5) / (count(*) + 0.5)) AS weight
    FROM occurrences, total GROUP BY n, objects
), scored AS (
    SELECT id, sum(
        weight * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * words / average))
    ) AS score
    FROM occurrences JOIN weights USING (n), total WHERE count > 0 GROUP BY id
    ORDER BY score DESC, id LIMIT %(limit)s
)
SELECT content_type_id, object_id, score FROM scored JOIN {entry} USING (id) ORDER BY score DESC, id
"""


def entries(
    backend: Any, terms: Sequence[Term], types: Sequence[int], limit: int | None
) -> list[tuple[int, str, float]]:
    """Return the content type, primary key and score of objects that contain a term.

    Args:
        backend: the site's search backend.
        terms: what to search for.
        types: the primary keys of the content types to search.
        limit: the most objects to return, best first; None returns all.
    """
    from modelsearch.conf import get_app_config

    model = get_app_config().get_model("IndexEntry")
    connection = connections[router.db_for_read(model)]
    # Table names cannot be parameters. All values are.
    statement = _STATEMENT.format(
        entry=connection.ops.quote_name(model._meta.db_table),
        count_in_title=_COUNT.format(rank="title_rank"),
        count_in_body=_COUNT.format(rank="body_rank"),
    )
    arguments = {
        "config": backend.config,
        "words": [term.text for term in terms],
        "stems": [term.stem for term in terms],
        "types": list(types),
        "limit": limit,
    }
    with connection.cursor() as cursor:
        cursor.execute(statement, arguments)
        found: list[tuple[int, str, float]] = cursor.fetchall()
    return found
