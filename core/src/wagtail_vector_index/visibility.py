"""Which pages an anonymous visitor may see, by Wagtail's own rule.

A page is private if it, or one of its ancestors, has a view restriction, or is an alias
of a page that has one; restrictions on an alias itself do not count. That is what
``Page.get_view_restrictions()`` says for one page, here for many in few queries.
"""

from __future__ import annotations

from typing import Any

from django.apps import apps
from django.db.models import Q, QuerySet
from django.utils import timezone

__all__ = ["PrivatePaths", "is_page_model", "live_filter", "page_model", "public_pages"]


def page_model() -> Any:
    """The site's base page model, which Wagtail 8 allows to be swapped."""
    from wagtail.models import Site

    return Site._meta.get_field("root_page").related_model


def is_page_model(model: type[Any]) -> bool:
    """Whether objects of a model are Wagtail pages."""
    return apps.is_installed("wagtail") and issubclass(model, page_model())


def live_filter(model: Any) -> Q:
    """The objects of a model that are live and not past their expiry."""
    names = {field.name for field in model._meta.get_fields()}
    live = Q(live=True) if "live" in names else Q()
    if "expire_at" in names:
        live &= Q(expire_at__isnull=True) | Q(expire_at__gt=timezone.now())
    return live


class PrivatePaths:
    """The tree paths of private pages, read when it is made."""

    def __init__(self) -> None:
        from wagtail.models import PageViewRestriction

        model = page_model()
        self._step: int = model.steplen
        found = dict(
            PageViewRestriction.objects.exclude(restriction_type=PageViewRestriction.NONE)
            .filter(page__alias_of__isnull=True)
            .values_list("page_id", "page__path")
        )
        self._paths: set[str] = set(found.values())
        while found:
            found = dict(
                model.objects.filter(alias_of__in=found)
                .exclude(path__in=self._paths)
                .values_list("pk", "path")
            )
            self._paths |= set(found.values())

    def __contains__(self, path: str) -> bool:
        """Whether the page at this path, or one above it, is private."""
        lengths = range(self._step, len(path) + 1, self._step)
        return any(path[:length] in self._paths for length in lengths)


def public_pages(queryset: QuerySet[Any]) -> list[Any]:
    """The primary keys of pages that are not private; never that of the tree's root."""
    pages = list(queryset.filter(depth__gt=1).values_list("pk", "path"))
    private = PrivatePaths() if pages else ()
    return [pk for pk, path in pages if path not in private]
