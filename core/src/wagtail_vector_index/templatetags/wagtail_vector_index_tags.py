"""Template tags: a search, and what is similar to an object.

Both show what the request in the context may see; without one, what an anonymous visitor
may. Nothing is cached: wrap them in ``{% cache %}`` where that is worth it, with a key
that tells visitors apart if they may see different things.
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
from ..plugins.redaction import redacted
from ..search.results import SearchResults
from ..wording import describe

register = template.Library()

logger = logging.getLogger(__name__)


@register.simple_tag(takes_context=True)
def vector_search(
    context: Context, query: str, index: str, limit: int = 10, **arguments: Any
) -> list[Any]:
    """The objects of an index that are nearest in meaning to a text, best first.

    Where the index is not built, or a service is down, nothing is found and the log says
    why. So it is with mistakes in the settings and the template, unless ``DEBUG`` is on.

    Args:
        context: the template's.
        query: a question or some words; blank text finds nothing.
        index: the name of an index or a model, as in the commands.
        limit: at most so many objects.
        arguments: any other that `VectorIndex.search` takes.

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
    """The objects that are nearest in meaning to one of them, best first; itself left out.

    An object that is in no index has no similar ones. Errors are treated as by
    `vector_search`.

    Args:
        context: the template's.
        instance: a page, or any other object that is indexed.
        index: the name of an index; by default the first that holds the object.
        limit: at most so many objects.
        arguments: any other that `VectorIndex.find_similar` takes.

    Example::

        {% load wagtail_vector_index_tags %}
        {% vector_similar page limit=3 as related %}
    """
    arguments = {"request": context.get("request"), "limit": limit, **arguments}

    def search() -> SearchResults | tuple[()]:
        if not isinstance(instance, Model):
            raise InvalidQuery(f"vector_similar needs an object of a model, not {instance!r}.")
        chosen = get_index(index) if index else index_holding(instance)
        return chosen.find_similar(instance, **arguments) if chosen else ()

    return _found(search)


def _found(search: Callable[[], SearchResults | tuple[()]]) -> list[Any]:
    try:
        return list(search())
    except (ConfigurationError, InvalidInput):
        if settings.DEBUG:
            raise
        logger.exception("A template tag finds nothing.")
    except VectorIndexError as error:
        logger.warning("A template tag finds nothing: %s", redacted(describe(error)))
    return []
