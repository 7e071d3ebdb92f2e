"""Ranks the objects of an index by the words that they share with a query.

The site's own search backend makes the ranking. If that backend is Wagtail's backend for
SQLite, this module queries its full-text table directly. The backend itself would run one
query for each object to compute its score, which takes many seconds if the words of a question
are common.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Sequence
from typing import Any

from django.db import connections, router, transaction

from ..content.declaration import IndexDeclaration
from ..content.object_keys import key_of, primary_keys
from ..exceptions import ConfigurationError

__all__ = ["MAX_CANDIDATES", "site_backend", "word_rankings"]

#: The most objects in a ranking by words.
MAX_CANDIDATES = 1_000

#: The most different words of a query to search for, since each word costs time. Questions
#: rarely have as many.
_MAX_WORDS = 32

#: Matches words, including names in code, versions and part numbers.
_WORD = re.compile(r"\w+(?:[-_.]+\w+)*")

#: The weights of a word in the columns of SQLite's table: autocomplete, body, title.
_COLUMN_WEIGHTS = "0.0, 1.0, 2.0"


def word_rankings(
    index: IndexDeclaration, text: str, among: frozenset[str] | None = None
) -> list[list[str]]:
    """Return rankings of the keys of objects that share words with a text, best first.

    The scores of objects in different rankings cannot be compared. Models that Wagtail does not
    index (because they have no ``search_fields``) are left out. The rankings may contain objects
    that a visitor may not see, or that are not in the vector index.

    Args:
        index: the vector index whose models are searched.
        text: any text; only its words are used.
        among: the keys of the objects to search; None means all objects.

    Raises:
        Exception: whatever the site's search backend raises.
    """
    words = list(dict.fromkeys(match.lower() for match in _WORD.findall(text)))[:_MAX_WORDS]
    models = _models(index)
    if not words or not models:
        return []
    backend = site_backend()
    if _is_sqlite(backend):
        return [_sqlite_ranking(words, models, among)]
    return [_ranking(backend, " ".join(words), model, among) for model in models]


def site_backend() -> Any:
    """Return the site's search backend that finds words: the default, or else the first.

    Raises:
        ConfigurationError: no search backend finds words.
    """
    from modelsearch.backends import get_search_backend
    from modelsearch.conf import get_app_config

    for alias in sorted(
        get_app_config().get_search_backend_config(), key=lambda alias: alias != "default"
    ):
        backend = get_search_backend(alias)
        if getattr(backend, "finds_words", True):
            return backend
    raise ConfigurationError(
        "No search backend of this site finds words. Add such a backend to"
        ' WAGTAILSEARCH_BACKENDS: "words": {"BACKEND": "wagtail.search.backends.database"}.'
    )


def _models(index: IndexDeclaration) -> list[Any]:
    from modelsearch.index import class_is_indexed

    models = dict.fromkeys(queryset.model for queryset in index.get_querysets())
    return [model for model in models if class_is_indexed(model)]


def _is_sqlite(backend: Any) -> bool:
    from modelsearch.conf import get_app_config

    entries = get_app_config().get_model("IndexEntry")
    if connections[router.db_for_read(entries)].vendor != "sqlite":
        return False
    from modelsearch.backends.database.sqlite.sqlite import SQLiteSearchBackend

    return isinstance(backend, SQLiteSearchBackend)


def _sqlite_ranking(
    words: Sequence[str], models: Sequence[Any], among: frozenset[str] | None
) -> list[str]:
    from modelsearch.conf import get_app_config

    config = get_app_config()
    entries = config.get_model("IndexEntry")
    connection = connections[router.db_for_read(entries)]
    entry = connection.ops.quote_name(entries._meta.db_table)
    table = connection.ops.quote_name(config.get_model("SQLiteFTSIndexEntry")._meta.db_table)
    model_of = _content_types(models)
    types = ", ".join(["%s"] * len(model_of))
    # In quotation marks, a word is never an operator, and a word of several parts is a phrase.
    phrases = " OR ".join(f'"{word}"' for word in words)
    # Table names cannot be parameters. They come from the models; all other values are parameters.
    statement = (
        f"SELECT {entry}.content_type_id, {entry}.object_id FROM {table}"  # noqa: S608
        f" JOIN {entry} ON {entry}.id = {table}.rowid"
        f" WHERE {table} MATCH %s AND {entry}.content_type_id IN ({types})"
        f" ORDER BY bm25({table}, {_COLUMN_WEIGHTS}), {entry}.id LIMIT %s"
    )
    limit = MAX_CANDIDATES if among is None else -1
    with connection.cursor() as cursor:
        cursor.execute(statement, [f"{{title body}} : ({phrases})", *model_of, limit])
        found = (key_of(model_of[type_], pk) for type_, pk in cursor.fetchall())
    keys = dict.fromkeys(key for key in found if among is None or key in among)
    return list(keys)[:MAX_CANDIDATES]


def _content_types(models: Sequence[Any]) -> dict[int, Any]:
    """Return each model by the primary keys of its content type and of its children's."""
    from modelsearch.utils import get_descendants_content_types_pks

    return {pk: model for model in models for pk in get_descendants_content_types_pks(model)}


def _ranking(backend: Any, text: str, model: Any, among: frozenset[str] | None) -> list[str]:
    from modelsearch.backends.base import FilterFieldError

    everything = model._default_manager.order_by().only("pk")
    if among is None:
        return _found(backend, text, everything)
    inside = everything.filter(pk__in=primary_keys(model, among))
    try:
        return _found(backend, text, inside)
    except FilterFieldError:
        # Backends filter only by fields in search_fields, which may lack the primary key.
        return [key for key in _found(backend, text, everything) if key in among]


def _found(backend: Any, text: str, queryset: Any) -> list[str]:
    """Return the keys of the objects that a search backend finds.

    Within a transaction, the search runs in a savepoint, so that an error of the backend does
    not break the transaction.
    """
    in_transaction = connections[queryset.db].in_atomic_block
    with transaction.atomic(using=queryset.db) if in_transaction else contextlib.nullcontext():
        results = backend.search(text, queryset, operator="or")[:MAX_CANDIDATES]
        return [key_of(queryset.model, instance.pk) for instance in results]
