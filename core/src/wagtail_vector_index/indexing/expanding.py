"""Expands rows of the outbox that stand for many objects into one row for each object."""

from __future__ import annotations

import datetime as dt
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from ..content.declaration import IndexDeclaration
from ..content.object_keys import key_of, primary_keys
from ..content.visibility import is_collection_member, is_page_model, page_model
from ..models.tables import PendingChange, index_database
from ..models.transactions import in_transaction, tried_again
from .comparing import changed_keys
from .dependencies import everything, readers
from .failures import put_off, stops_index
from .outbox import append, changes_of
from .plan import live_collections
from .progress import Progress

logger = logging.getLogger(__name__)

#: The most objects that one transaction adds.
_BATCH = 5_000


def expand(index: IndexDeclaration, moment: dt.datetime | None = None) -> dict[str, str]:
    """Replace rows of the outbox that stand for many objects by one row for each object.

    A row that cannot be expanded stays with its error, and does not hold up other rows.

    Args:
        index: the index.
        moment: when a row that has failed must have been due; by default, all are tried again.

    Returns:
        the errors, by the keys of their rows.
    """
    rows = changes_of(index.name).exclude(scope=PendingChange.Scope.OBJECT).order_by("pk")
    alike: dict[tuple[str, str], list[int]] = defaultdict(list)
    due = set()
    facts = rows.values_list("pk", "scope", "object_key", "attempts", "next_attempt")
    for pk, scope, key, attempts, next_attempt in facts:
        alike[scope, key].append(pk)
        if moment is None or not attempts or next_attempt <= moment:
            due.add((scope, key))
    errors = {}
    for scope, key in filter(due.__contains__, alike):
        pks = alike[scope, key]
        try:
            tried_again(partial(_expand, index, scope, key, pks), index_database())
        except Exception as error:  # a site's own code may raise anything
            if stops_index(error, index):
                raise
            errors[key] = put_off(PendingChange.objects.filter(pk__in=pks), error)
            logger.warning("%s of %s could not be expanded: %s", key, index.name, errors[key])
    return errors


def _expand(index: IndexDeclaration, scope: str, key: str, pks: Sequence[int]) -> None:
    keys = iter(_EXPANSIONS[scope](index, key))
    # Each batch is a transaction of its own, since editors cannot save during one on SQLite. If
    # the expansion is interrupted, the next one adds some objects again, which costs little.
    some = list(dict.fromkeys(islice(keys, _BATCH)))
    while following := list(dict.fromkeys(islice(keys, _BATCH))):
        append(index.name, some)
        some = following
    in_transaction(partial(_replace, index.name, pks, some), index_database())


def _replace(index_name: str, pks: Sequence[int], keys: Sequence[str]) -> None:
    # If two processes expand the same rows, one deletes them, and only it adds the last objects.
    if PendingChange.objects.filter(pk__in=pks).delete_rows():
        append(index_name, keys)


def _subtree(index: IndexDeclaration, key: str) -> Iterator[str]:
    yield from _pages_below(index, key)
    yield from _members_below(index, key)


def _members_below(index: IndexDeclaration, key: str) -> Iterator[str]:
    """Yield the keys of the members of a collection, and of all collections below it."""
    models = [queryset.model for queryset in index.get_querysets()]
    for model in filter(is_collection_member, models):
        using = index.configuration.databases.get(model)
        collection: Any = model._meta.get_field("collection").related_model
        chosen = everything(collection, using).filter(pk__in=primary_keys(collection, [key]))
        for path in chosen.values_list("path", flat=True):
            below = everything(model, using).filter(collection__path__startswith=path)
            for pk in below.order_by().values_list("pk", flat=True):
                yield key_of(model, pk)


def _pages_below(index: IndexDeclaration, key: str) -> Iterator[str]:
    """Yield the keys of a page and all pages below it, and the same for each of its aliases.

    The visibility of a page also decides who may see its aliases, and the pages below them.
    """
    model = page_model()
    models = [each.model for each in index.get_querysets() if is_page_model(each.model)]
    databases = index.configuration.databases
    pages = everything(model, next(map(databases.get, models), None))
    level = primary_keys(model, [key])
    seen: set[Any] = set()
    while level:
        seen.update(level)
        for path in pages.filter(pk__in=level).values_list("path", flat=True):
            for each in models:
                below = everything(each, databases.get(each)).filter(path__startswith=path)
                for pk in below.order_by().values_list("pk", flat=True):
                    yield key_of(model, pk)
        aliases = pages.filter(alias_of__in=level).values_list("pk", flat=True)
        level = [pk for pk in aliases if pk not in seen]


def _whole_index(index: IndexDeclaration, key: str) -> Iterable[str]:
    """Return the keys of all objects that are not indexed as they are now."""
    return changed_keys(index, list(live_collections(index.name)), Progress())


_EXPANSIONS: Mapping[str, Callable[[IndexDeclaration, str], Iterable[str]]] = {
    PendingChange.Scope.SUBTREE: _subtree,
    PendingChange.Scope.READERS: readers,
    PendingChange.Scope.INDEX: _whole_index,
}
