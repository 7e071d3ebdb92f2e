"""Template tags that search an index, and that list the objects similar to an object.

Both tags find only objects that the request in the template's context may see. Without a
request, they find what an anonymous visitor may see. The tags cache nothing. Where a cache
is worthwhile, wrap them in ``{% cache %}``. If visitors may see different objects, its key
must distinguish between the visitors.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

from django import template
from django.conf import settings
from django.db.models import Model
from django.template import Context

from ..exceptions import ConfigurationError, InvalidInput, InvalidQuery, VectorIndexError
from ..indexes.registry import get_index, index_holding
from ..indexing.failures import error_text
from ..search.results import SearchResults

register = template.Library()

logger = logging.getLogger(__name__)


@register.simple_tag(takes_context=True)
def vector_search(
    context: Context, query: str, index: str, limit: int = 10, **arguments: Any
) -> list[Any]:
    """Return the objects of an index that are nearest in meaning to a text, best first.

    If the index is not built, or a service is down, the tag finds nothing and logs the reason.
    The same happens after a mistake in the settings or the template, unless ``DEBUG`` is on;
    then the error is raised.

    Args:
        context: the template's context.
        query: a question or some words; blank text finds nothing.
        index: the name of an index or a model, as in the commands.
        limit: the most objects to return.
        arguments: any other argument of `VectorIndex.search`.

    Example::

        {% load wagtail_vector_index_tags %}
        {% vector_search request.GET.q "SiteIndex" limit=20 as results %}
    """
    arguments = {"request": context.get("request"), "limit": limit, **arguments}
    return _found(lambda: get_index(index).search(query or "", **arguments))


@register.simple_tag(takes_context=True)
def vector_similar(
    context: Context, instance: Model, index: str = "", limit: int = 5, **arguments: Any
) -> list[Any]:
    """Return the objects nearest in meaning to an object, best first, without that object.

    For an object that is in no index, the list is empty. Errors are handled as in
    `vector_search`.

    Args:
        context: the template's context.
        instance: a page, or any other object that is indexed.
        index: the name of an index; by default the first index that contains the object.
        limit: the most objects to return.
        arguments: any other argument of `VectorIndex.find_similar`.

    Example::

        {% load wagtail_vector_index_tags %}
        {% vector_similar page limit=3 as related %}
    """
    arguments = {"request": context.get("request"), "limit": limit, **arguments}

    def search() -> SearchResults | tuple[()]:
        if not isinstance(instance, Model):
            raise InvalidQuery(f"vector_similar needs a model instance, not {instance!r}.")
        chosen = get_index(index) if index else index_holding(instance)
        return chosen.find_similar(instance, **arguments) if chosen else ()

    return _found(search)


def _found(search: Callable[[], SearchResults | tuple[()]]) -> list[Any]:
    try:
        return list(search())
    except (ConfigurationError, InvalidInput):
        if settings.DEBUG:
            raise
        logger.exception("A template tag found nothing because of a mistake.")
    except VectorIndexError as error:
        logger.warning("A template tag found nothing: %s", error_text(error))
    return []
