"""Searches for words in the full-text table of Wagtail's search backend for SQLite."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.db import connections, router

from .query_terms import Term

__all__ = ["entries"]

#: The weights of a word in the columns of the table: autocomplete, body, title.
_COLUMN_WEIGHTS = "0.0, 1.0, 2.0"


def entries(
    backend: Any, terms: Sequence[Term], types: Sequence[int], limit: int | None
) -> list[tuple[int, str, float]]:
    """Return the content type, primary key and BM25 score of objects that contain a term.

    Args:
        backend: the site's search backend.
        terms: what to search for.
        types: the primary keys of the content types to search.
        limit: the most objects to return, best first; None returns all.
    """
    from modelsearch.conf import get_app_config

    config = get_app_config()
    model = config.get_model("IndexEntry")
    connection = connections[router.db_for_read(model)]
    entry = connection.ops.quote_name(model._meta.db_table)
    table = connection.ops.quote_name(config.get_model("SQLiteFTSIndexEntry")._meta.db_table)
    # Table names cannot be parameters. They come from the models; all other values are parameters.
    statement = (
        f"SELECT {entry}.content_type_id, {entry}.object_id,"  # noqa: S608
        f" -bm25({table}, {_COLUMN_WEIGHTS}) AS score"
        f" FROM {table} JOIN {entry} ON {entry}.id = {table}.rowid"
        f" WHERE {table} MATCH %s"
        f" AND {entry}.content_type_id IN ({', '.join(['%s'] * len(types))})"
        f" ORDER BY score DESC, {entry}.id LIMIT %s"
    )
    asked = f"{{title body}} : ({' OR '.join(map(_phrase, terms))})"
    with connection.cursor() as cursor:
        cursor.execute(statement, [asked, *types, -1 if limit is None else limit])
        found: list[tuple[int, str, float]] = cursor.fetchall()
    return found


def _phrase(term: Term) -> str:
    """Return a term in the syntax of FTS5.

    In quotation marks, a word is never an operator, and a word of several parts is a phrase.
    """
    return f'"{term.stem}" *' if term.stem else f'"{term.text}"'
