"""Scores the objects of an index by the words that they share with a query.

The site's own search backend has the words. If that is Wagtail's backend for SQLite or
PostgreSQL, this module queries its full-text table directly. The backend itself would run one
query for each object on SQLite, which takes many seconds if the words of a question are common.
On PostgreSQL, its ranking counts common words as much as rare ones.
"""

from __future__ import annotations

from typing import Any

from django.db import connections, router

from ..content.declaration import IndexDeclaration
from ..content.object_keys import key_of, primary_keys
from ..exceptions import ConfigurationError
from ..plugins.savepoints import savepoints
from . import postgres_words, sqlite_words
from .query_terms import Term, query_terms

__all__ = ["MAX_CANDIDATES", "site_backend", "word_scores"]

#: The most objects that a search for words returns, unless it is asked for more.
MAX_CANDIDATES = 1_000


@savepoints()
def word_scores(
    index: IndexDeclaration,
    text: str,
    among: frozenset[str] | None = None,
    limit: int = MAX_CANDIDATES,
) -> dict[str, float]:
    """Return the scores of objects that share words with a text, by their keys, best first.

    The scores are positive, and only those of one search can be compared. Models that Wagtail
    does not index (because they have no ``search_fields``) are left out. There may be objects
    that a visitor may not see, or that are not in the vector index. An error leaves the caller's
    transaction usable.

    Args:
        index: the vector index whose models are searched.
        text: any text; only its words are used.
        among: the keys of the objects to search; None means all objects.
        limit: the most objects to return.

    Raises:
        Exception: whatever the site's search backend raises.
    """
    terms = query_terms(text)
    models = _models(index)
    if not terms or not models or among == frozenset():
        return {}
    backend = site_backend()
    entries = _entries(backend)
    if entries is None:
        found = _backend_scores(backend, terms, models, among, limit)
    else:
        model_of = _content_types(models)
        rows = entries(backend, terms, list(model_of), limit if among is None else None)
        found = {key_of(model_of[type_], pk): score for type_, pk, score in rows}
    kept = [item for item in found.items() if among is None or item[0] in among]
    return dict(sorted(kept, key=lambda item: -item[1])[:limit])


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


def _entries(backend: Any) -> Any:
    """Return the function that queries the backend's full-text table, or None without one."""
    from modelsearch.conf import get_app_config

    vendor = connections[router.db_for_read(get_app_config().get_model("IndexEntry"))].vendor
    if vendor == "sqlite":
        from modelsearch.backends.database.sqlite.sqlite import SQLiteSearchBackend

        return sqlite_words.entries if isinstance(backend, SQLiteSearchBackend) else None
    if vendor == "postgresql":
        from modelsearch.backends.database.postgres.postgres import PostgresSearchBackend

        return postgres_words.entries if isinstance(backend, PostgresSearchBackend) else None
    return None


def _content_types(models: list[Any]) -> dict[int, Any]:
    """Return each model by the primary keys of its content type and of its children's."""
    from modelsearch.utils import get_descendants_content_types_pks

    return {pk: model for model in models for pk in get_descendants_content_types_pks(model)}


def _backend_scores(
    backend: Any, terms: list[Term], models: list[Any], among: frozenset[str] | None, limit: int
) -> dict[str, float]:
    """Return the scores that another backend gives, such as Elasticsearch, for each model."""
    text = " ".join(dict.fromkeys(term.text for term in terms))
    found: dict[str, float] = {}
    for model in models:
        found |= _scores(backend, text, model, among, limit)
    return found


def _scores(
    backend: Any, text: str, model: Any, among: frozenset[str] | None, limit: int
) -> dict[str, float]:
    from modelsearch.backends.base import FilterFieldError

    everything = model._default_manager.order_by().only("pk")
    if among is None:
        return _found(backend, text, everything, limit)
    try:
        some = everything.filter(pk__in=primary_keys(model, among))
        return _found(backend, text, some, limit)
    except FilterFieldError:
        # Backends filter only by fields in search_fields, which may lack the primary key.
        return _found(backend, text, everything, limit)


def _found(backend: Any, text: str, queryset: Any, limit: int) -> dict[str, float]:
    """Return the scores of the objects that a search backend finds, by their keys.

    A backend that gives no scores counts all objects alike.
    """
    results = backend.search(text, queryset, operator="or").annotate_score("word_score")
    return {
        key_of(queryset.model, instance.pk): instance.word_score or 1.0
        for instance in results[:limit]
    }
