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
#: term is a query of its own, so that rare terms count more than common ones. Every object in
#: ``found`` contains a term, so all objects that contain a term can be counted there.
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
), found AS MATERIALIZED (
    SELECT id, content_type_id, object_id, title, body, title || body AS vector FROM {entry}
    WHERE content_type_id = ANY(%(types)s)
    AND (title || body) @@ (SELECT string_agg('(' || query::text || ')', ' | ')::tsquery FROM asked)
), ranks AS (
    SELECT id, length(vector) AS words, count(*) OVER (PARTITION BY n) AS containing,
    ts_rank('{{1,1,1,1}}', title, query) AS in_title,
    ts_rank('{{1,1,1,1}}', body, query) AS in_body
    FROM found JOIN asked ON vector @@ query
), occurrences AS (
    SELECT id, words, containing,
    2 * {count_in_title} + {count_in_body} AS count
    FROM ranks
), total AS MATERIALIZED (
    SELECT count(*) AS objects, (SELECT avg(length(vector)) FROM found) AS average
    FROM {entry} WHERE content_type_id = ANY(%(types)s)
), scored AS (
    SELECT id, sum(
        ln(1 + (objects - containing + 0.5) / (containing + 0.5))
        * 2.2 * count / (count + 1.2 * (0.25 + 0.75 * words / average))
    ) AS score
    FROM occurrences, total WHERE count > 0 GROUP BY id ORDER BY score DESC, id LIMIT %(limit)s
)
SELECT content_type_id, object_id, score FROM scored JOIN found USING (id) ORDER BY score DESC, id
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
        count_in_title=_COUNT.format(rank="in_title"),
        count_in_body=_COUNT.format(rank="in_body"),
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
