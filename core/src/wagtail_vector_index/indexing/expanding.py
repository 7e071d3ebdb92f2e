"""From one row of the outbox that stands for many objects to the rows of these objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from django.db import transaction

from ..content.declaration import IndexDeclaration
from ..content.object_keys import key_of, primary_keys
from ..content.visibility import is_collection_member, is_page_model, page_model
from ..models.tables import PendingChange, index_database
from .dependencies import readers
from .outbox import append


def expand(index: IndexDeclaration) -> None:
    """Put objects into the outbox in place of the rows that stand for them."""
    rows = PendingChange.objects.filter(index=index.name).exclude(scope=PendingChange.Scope.OBJECT)
    for pk, scope, key in rows.order_by("pk").values_list("pk", "scope", "object_key"):
        keys = list(dict.fromkeys(_EXPANSIONS[scope](index, key)))
        with transaction.atomic(using=index_database()):
            # Of two processes that expand the same row, one is enough.
            if PendingChange.objects.filter(pk=pk).delete_rows():
                append(index.name, keys)


def _subtree(index: IndexDeclaration, key: str) -> Iterator[str]:
    yield from _pages_below(index, key)
    yield from _members_below(index, key)


def _members_below(index: IndexDeclaration, key: str) -> Iterator[str]:
    """What is in the collection of a key, and in those below it."""
    models = [queryset.model for queryset in index.get_querysets()]
    for model in filter(is_collection_member, models):
        collections = model._meta.get_field("collection").related_model.objects
        chosen = collections.filter(pk__in=primary_keys(collections.model, [key]))
        for path in chosen.values_list("path", flat=True):
            below = model._base_manager.filter(collection__path__startswith=path)  # noqa: SLF001  # hides nothing
            for pk in below.order_by().values_list("pk", flat=True):
                yield key_of(model, pk)


def _pages_below(index: IndexDeclaration, key: str) -> Iterator[str]:
    """The page of a key and all below it, and the same for each of its aliases.

    Whoever sees a page decides who sees its aliases, and what is below these.
    """
    model = page_model()
    level = primary_keys(model, [key])
    seen: set[Any] = set()
    while level:
        seen.update(level)
        for path in model.objects.filter(pk__in=level).values_list("path", flat=True):
            for queryset in index.get_querysets():
                if is_page_model(queryset.model):
                    below = queryset.model._base_manager.filter(path__startswith=path)  # noqa: SLF001  # hides nothing
                    for pk in below.order_by().values_list("pk", flat=True):
                        yield key_of(model, pk)
        aliases = model.objects.filter(alias_of__in=level).values_list("pk", flat=True)
        level = [pk for pk in aliases if pk not in seen]


_EXPANSIONS: Mapping[str, Callable[[IndexDeclaration, str], Iterator[str]]] = {
    PendingChange.Scope.SUBTREE: _subtree,
    PendingChange.Scope.READERS: readers,
}
