"""A search by meaning for Wagtail's API v2, which sites without templates use."""

from __future__ import annotations

import logging
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from django.conf import settings
from django.db.models import Model, QuerySet
from django.utils.translation import override
from rest_framework.exceptions import APIException
from rest_framework.filters import BaseFilterBackend
from rest_framework.request import Request
from wagtail.api.v2.utils import BadRequestError

from .content.object_keys import shares_objects
from .exceptions import ConfigurationError, InvalidIndex, InvalidInput, VectorIndexError
from .indexes import SearchResults, VectorIndex
from .indexes.arguments import check_names
from .indexes.registry import all_indexes, get_index
from .indexing.failures import error_text
from .search.base import refinable

__all__ = ["SearchUnavailable", "VectorSearchFilter"]

logger = logging.getLogger(__name__)

#: The most objects that a search finds, on all pages of results together.
_LIMIT = 100


class SearchUnavailable(APIException):
    """The response to a search that fails because of a service, or an index that is not built."""

    status_code = 503
    default_detail = "The search is not available at the moment."
    default_code = "search_unavailable"


class VectorSearchFilter(BaseFilterBackend):
    """A filter backend of Wagtail's API v2 that searches by meaning: ``?search=``.

    It takes the place of Wagtail's ``SearchFilter``, and must be the last filter. All other filters
    work with it: ``type``, ``locale``, ``child_of``, ``descendant_of``, ``tags`` and fields. The
    results are in the order of their nearness, so ``order`` cannot be combined with it. With
    ``locale``, the stop words and the forms of words are those of this language.

    The view set names the index in its attribute ``vector_index``. Its attribute ``vector_search``
    may be a dictionary of more arguments of `VectorIndex.search`, such as ``mode`` and
    ``similarity_threshold``. Only objects of its ``within`` are found, if it has one. A search
    finds at most 100 objects, unless it has another ``limit``.

    Example::

        class SearchedPages(PagesAPIViewSet):
            vector_index = "SiteIndex"
            vector_search = {"mode": "hybrid"}
            filter_backends = [
                *(f for f in PagesAPIViewSet.filter_backends if f is not SearchFilter),
                VectorSearchFilter,
            ]
    """

    def filter_queryset(
        self, request: Request, queryset: QuerySet[Any], view: Any
    ) -> QuerySet[Any] | SearchResults:
        """Return the objects of the queryset that a search finds, or all without a search.

        Raises:
            BadRequestError: the search cannot be made so.
            InvalidIndex: the view names no index, or one without its objects.
            InvalidQuery: the view's arguments of the search are wrong.
            SearchUnavailable: the index is not built, or a service is down.
        """
        if "search" not in request.GET:
            return queryset
        if not getattr(settings, "WAGTAILAPI_SEARCH_ENABLED", True):
            raise BadRequestError("search is disabled")
        if "order" in request.GET:
            raise BadRequestError("order cannot be combined with search")
        index = _index(view)
        if not _shares_objects(queryset.model, index):
            if "type" in request.GET:
                return queryset.none()
            raise InvalidIndex(
                f"{type(view).__name__} lists {queryset.model._meta.label}, of which"
                f" {index.name}, its vector_index, contains nothing."
            )
        arguments = {"limit": _LIMIT, **getattr(view, "vector_search", {})}
        check_names(arguments, index.search, VectorIndex.search)
        index.search("", **arguments)  # a mistake of the view is not one of the visitor
        arguments |= {"within": _inside(queryset, arguments.get("within")), "request": request}
        try:
            found = index.search(request.GET["search"], **arguments)
            with _language(request.GET.get("locale")):
                len(found)  # runs the search
        except ConfigurationError:
            raise
        except InvalidInput as error:
            raise BadRequestError(str(error)) from error
        except VectorIndexError as error:
            logger.warning("A search of the API failed: %s", error_text(error))
            raise SearchUnavailable from error
        return found


def _index(view: Any) -> VectorIndex:
    name = getattr(view, "vector_index", None)
    if name is None:
        names = ", ".join(index.name for index in all_indexes())
        raise InvalidIndex(
            f"{type(view).__name__} needs an attribute vector_index, which names the index to"
            f" search. Available: {names or 'none'}."
        )
    return get_index(name)


def _inside(queryset: QuerySet[Any], within: Any) -> QuerySet[Any]:
    """Return the objects of a queryset that the view's own ``within`` contains, if it has one."""
    if within is None:
        return queryset
    within = refinable(within)
    if not shares_objects(queryset.model, within.model):
        return queryset.none()
    return queryset.filter(pk__in=within.order_by().values("pk"))


def _shares_objects(model: type[Model], index: VectorIndex) -> bool:
    """Return whether any object of a model that a visitor asks for can be in the index."""
    return any(shares_objects(model, queryset.model) for queryset in index.get_querysets())


def _language(code: str | None) -> AbstractContextManager[None]:
    """Return the context of a language, or of the active one if the site has no such language."""
    return override(code) if code in dict(settings.LANGUAGES) else nullcontext()
