"""Ranks the objects of an index by the words that they share with a query.

That is what the site's own search backend is for. Where that is Wagtail's for SQLite, the
full-text table behind it is asked directly: the backend computes a score for each object in a
query of its own, which takes many seconds where the words of a question are common.
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

#: How many objects a ranking by words names at most.
MAX_CANDIDATES = 1_000

#: How many different words of a query are looked for. A question has fewer; each costs time.
_MAX_WORDS = 32

#: Words, and what is written together: names in code, versions, part numbers.
_WORD = re.compile(r"\w+(?:[-_.]+\w+)*")

#: What a word in the columns of SQLite's table is worth: autocomplete, body, title.
_COLUMN_WEIGHTS = "0.0, 1.0, 2.0"


def word_rankings(
    index: IndexDeclaration, text: str, among: frozenset[str] | None = None
) -> list[list[str]]:
    """The keys of objects that share words with a text, best first: one list or more.

    Objects of different lists have not been compared with each other. Models that Wagtail
    does not index (``search_fields``) are in none. Whether an object may be seen, or is in
    the vector index at all, is not looked at.

    Args:
        index: says which models.
        text: any text; what is no word is left out.
        among: only objects of these keys.

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
    """The search backend of the site: the default one, or the first that is not ours.

    Raises:
        ConfigurationError: there is none.
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
        "There is no search backend that finds words. Add one to WAGTAILSEARCH_BACKENDS:"
        ' "words": {"BACKEND": "wagtail.search.backends.database"}.'
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
    # A word in quotation marks is never an operator; one of several parts is a phrase.
    phrases = " OR ".join(f'"{word}"' for word in words)
    # Names of tables cannot be parameters; these come from the models, and all else is one.
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
    """By the content types of the models and of their children: the model."""
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
        # Only fields that the model declares can be filtered by; its primary key may be none.
        return [key for key in _found(backend, text, everything) if key in among]


def _found(backend: Any, text: str, queryset: Any) -> list[str]:
    """The keys of what a search backend finds, within a transaction that survives its errors."""
    in_transaction = connections[queryset.db].in_atomic_block
    with transaction.atomic(using=queryset.db) if in_transaction else contextlib.nullcontext():
        results = backend.search(text, queryset, operator="or")[:MAX_CANDIDATES]
        return [key_of(queryset.model, instance.pk) for instance in results]
