"""Finds what is similar to an object, in the index that suits it."""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Model, Q, QuerySet

from ..content.language import is_translatable
from ..content.object_keys import root_model
from ..content.visibility import is_page_model
from ..exceptions import InvalidQuery
from ..search.base import refinable
from ..search.results import SearchResults
from ..wording import listed
from .arguments import check_names
from .base import VectorIndex
from .registry import get_index, indexes_holding

__all__ = ["similar_to"]


def similar_to(
    instance: Model,
    index: str | VectorIndex = "",
    *,
    active_locale: bool = False,
    **arguments: Any,
) -> SearchResults | None:
    """Return the objects nearest to an object, or None if no index contains it.

    Only pages are similar to a page, whatever else its index contains.

    Args:
        instance: a page, or any other object.
        index: an index, or its name. By default, it is the index that the object's own model
            has or, if that does not contain the object, the only index that does.
        active_locale: whether to find only objects in the active language.
        arguments: the arguments of `VectorIndex.find_similar`.

    Raises:
        InvalidIndex: no index has this name.
        InvalidQuery: several indexes contain the object, it has no locale, or there is no such
            argument.
    """
    chosen = get_index(index) if index else _index_of(instance)
    if chosen is None:
        return None
    check_names(arguments, chosen.find_similar, VectorIndex.find_similar, "active_locale")
    if is_page_model(type(instance)) and not _has_only_pages(chosen):
        given = arguments.get("filter")
        # What is no Q is refused by the search.
        if given is None or isinstance(given, Q):
            arguments["filter"] = _is_page() if given is None else given & _is_page()
    if active_locale:
        arguments["within"] = _in_active_locale(instance, arguments.get("within"))
    return chosen.find_similar(instance, **arguments)


def _index_of(instance: Model) -> VectorIndex | None:
    holding = indexes_holding(instance)
    # A page may be an instance of Page, and not of its own class.
    model = getattr(instance, "specific_class", None) or type(instance)
    own = getattr(model, "vector_index", None)
    names = [index.name for index in holding]
    if isinstance(own, VectorIndex) and own.name in names:
        return own
    if len(holding) > 1:
        raise InvalidQuery(
            f"{instance!r} is in the indexes {listed(names)}. Name one of them:"
            f' {{% vector_similar page index="{names[0]}" %}} in a template, or'
            f' SimilarPagesPanel(index="{names[0]}") in the editor.'
        )
    return holding[0] if holding else None


def _has_only_pages(index: VectorIndex) -> bool:
    return all(is_page_model(queryset.model) for queryset in index.get_querysets())


def _is_page() -> Q:
    labels = [model._meta.label_lower for model in apps.get_models() if is_page_model(model)]
    return Q(model__in=labels)


def _in_active_locale(instance: Model, within: QuerySet[Any] | None) -> QuerySet[Any]:
    """Return the objects of a queryset, or of the object's model, in the active language."""
    if within is not None:
        within = refinable(within)
    model: Any = root_model(type(instance)) if within is None else within.model
    if not is_translatable(model):
        raise InvalidQuery(f"active_locale needs a translatable model, not {model._meta.label}.")
    from wagtail.models import Locale

    objects = model._default_manager.all() if within is None else within
    chosen: QuerySet[Any] = objects.filter(locale=Locale.get_active())
    return chosen
