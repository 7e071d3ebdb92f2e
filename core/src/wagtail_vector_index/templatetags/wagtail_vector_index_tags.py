"""Template tags that search an index, list the objects similar to an object, and cut excerpts.

The first two find only objects that the request in the template's context may see. Without a
request, they find what an anonymous visitor may see. The tags cache nothing. Where a cache
is worthwhile, wrap them in ``{% cache %}``. If visitors may see different objects, its key
must distinguish between the visitors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from django import template
from django.conf import settings
from django.db.models import Model
from django.template import Context

from ..exceptions import ConfigurationError, InvalidInput, InvalidQuery, VectorIndexError
from ..indexes import VectorIndex
from ..indexes.arguments import check_names
from ..indexes.registry import get_index
from ..indexes.similar import similar_to
from ..indexing.failures import error_text
from ..search.excerpts import excerpt_of
from ..search.results import SearchResults
from ..wording import shown

T = TypeVar("T")

register = template.Library()

logger = logging.getLogger(__name__)


@register.simple_tag(takes_context=True)
def vector_search(
    context: Context,
    query: str,
    index: str | VectorIndex = "",
    limit: int = 10,
    **arguments: Any,
) -> list[Any]:
    """Return the objects of an index that are nearest in meaning to a text, best first.

    If the index is not built, or a service is down, the tag finds nothing and logs the reason.
    The same happens after a mistake in the settings or the template, unless ``DEBUG`` is on;
    then the error is raised.

    Args:
        context: the template's context.
        query: a question or some words; blank text finds nothing.
        index: the name of an index or a model, as in the commands, or an index.
        limit: the most objects to return.
        arguments: any other argument of `VectorIndex.search`.

    Example::

        {% load wagtail_vector_index_tags %}
        {% vector_search request.GET.q "SiteIndex" limit=20 as results %}
    """
    arguments = {"request": context.get("request"), "limit": limit, **arguments}

    def search() -> SearchResults:
        chosen = get_index(index)
        check_names(arguments, chosen.search, VectorIndex.search)
        return chosen.search(query or "", **arguments)

    return _found(search)


@register.simple_tag(takes_context=True)
def vector_similar(
    context: Context,
    instance: Model,
    index: str | VectorIndex = "",
    limit: int = 5,
    **arguments: Any,
) -> list[Any]:
    """Return the objects nearest in meaning to an object, best first, without that object.

    Only pages are similar to a page. For an object that is in no index, the list is empty. Errors
    are handled as in `vector_search`.

    Args:
        context: the template's context.
        instance: a page, or any other object that is indexed.
        index: an index, or its name. By default, it is the index that the object's own model
            has or, if that does not contain the object, the only index that does.
        limit: the most objects to return.
        arguments: any other argument of `VectorIndex.find_similar`. ``active_locale=True`` finds
            only objects in the active language, which is the visitor's.

    Example::

        {% load wagtail_vector_index_tags %}
        {% vector_similar page limit=3 as related %}
    """
    arguments = {"request": context.get("request"), "limit": limit, **arguments}

    def search() -> SearchResults | tuple[()]:
        if not isinstance(instance, Model):
            raise InvalidQuery(f"vector_similar needs a model instance, not {shown(instance)}.")
        found = similar_to(instance, index, **arguments)
        return () if found is None else found

    return _found(search)


@register.simple_tag
def search_excerpt(result: Any, words: int = 40, *, mark: bool = True) -> str:
    """Return the part of a result's best chunk that shares most words with the query.

    An object that no search of an index found has an empty excerpt. A mistake in the template
    raises an error if ``DEBUG`` is on. Otherwise, it is logged.

    Args:
        result: an object that a search has found, or any other model instance.
        words: the most words to show.
        mark: whether to mark the words of the query with ``<mark>``.

    Example::

        {% load wagtail_vector_index_tags %}
        <p>{% search_excerpt result words=40 %}</p>
    """
    return _unless_wrong(lambda: excerpt_of(result)(words, mark=mark), "")


def _found(search: Callable[[], SearchResults | tuple[()]]) -> list[Any]:
    return _unless_wrong(lambda: list(search()), [])


def _unless_wrong(run: Callable[[], T], otherwise: T) -> T:
    try:
        return run()
    except (ConfigurationError, InvalidInput):
        if settings.DEBUG:
            raise
        logger.exception("A template tag found nothing because of a mistake.")
    except VectorIndexError as error:
        logger.warning("A template tag found nothing: %s", error_text(error))
    return otherwise
