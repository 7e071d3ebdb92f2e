"""Applies Wagtail's view restrictions to many objects in few queries.

A visitor may see a page if it is live, has not expired, and each of its view restrictions
accepts the request. A page has its own restrictions and the restrictions of its ancestors. An
alias has the restrictions of the page that it mirrors, and its own do not count.
``Page.get_view_restrictions()`` follows the same rule for one page. Documents and images have the
restrictions of their collection and of the collections above it.
"""

from __future__ import annotations

import copy
from collections import defaultdict, namedtuple
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cached_property, lru_cache
from types import FunctionType
from typing import Any

from django.apps import apps
from django.db import connections, router
from django.db.models import F, FilteredRelation, Q, QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.utils import timezone

from ..contract.slices import slices

__all__ = [
    "Visibility",
    "has_drafts",
    "is_collection_member",
    "is_page_model",
    "live_filter",
    "page_model",
    "visible_to",
    "visible_to_all",
]


#: Adds to a query of view restrictions what is known of the restricted objects.
_Annotated = Callable[[QuerySet[Any]], QuerySet[Any]]

#: The most ranges of paths in one query. SQLite refuses 1,000 of them, and each costs time.
_MAX_RANGES = 300


def page_model() -> Any:
    """Return the site's base page model, which sites can swap from Wagtail 8 on."""
    from wagtail.models import Site

    return Site._meta.get_field("root_page").related_model


def is_page_model(model: type[Any]) -> bool:
    """Return whether objects of a model are Wagtail pages."""
    return apps.is_installed("wagtail") and issubclass(model, page_model())


def is_collection_member(model: type[Any]) -> bool:
    """Return whether a model's objects are in collections, as Wagtail's images are."""
    if not apps.is_installed("wagtail"):
        return False
    from wagtail.models import CollectionMember

    return issubclass(model, CollectionMember)


def has_drafts(model: type[Any]) -> bool:
    """Return whether Wagtail publishes and expires a model's objects, as it does with pages."""
    if not apps.is_installed("wagtail"):
        return False
    from wagtail.models import DraftStateMixin

    return issubclass(model, DraftStateMixin)


def live_filter(model: type[Any]) -> Q:
    """Return a condition for the objects of a model that are live and have not expired.

    Only the fields of Wagtail's `DraftStateMixin` count. A site's own field may be called
    ``live`` too, and mean anything.
    """
    if not has_drafts(model):
        return Q()
    return Q(live=True) & (Q(expire_at__isnull=True) | Q(expire_at__gt=timezone.now()))


class Visibility:
    """Decides what one visitor may see. Reads the restrictions once, when first needed.

    Args:
        accepts: returns whether the visitor passes a view restriction of Wagtail. With None, the
            visitor passes all of them, and none is read.
    """

    def __init__(self, accepts: Callable[[Any], bool] | None) -> None:
        self._accepts = accepts

    def primary_keys(self, queryset: QuerySet[Any]) -> list[Any]:
        """Return the primary keys of the objects of a queryset that the visitor may see.

        The caller must exclude objects that are not live. The root page is never included.
        """
        hidden = self._hidden(queryset.model)
        if hidden is None:
            return list(queryset.values_list("pk", flat=True))
        return list(hidden.outside(queryset))

    def is_told_by(self, queryset: QuerySet[Any]) -> bool:
        """Return whether the objects of a queryset have all that decides who may see them."""
        hidden = self._hidden(queryset.model)
        return hidden is None or hidden.is_told_by(queryset)

    def objects(self, queryset: QuerySet[Any]) -> list[Any]:
        """Return the objects of `primary_keys`; by one query, if `is_told_by` says so."""
        hidden = self._hidden(queryset.model)
        return list(queryset) if hidden is None else hidden.objects_outside(queryset)

    def batches_of_primary_keys(self, queryset: QuerySet[Any], size: int) -> Iterator[list[Any]]:
        """Yield `primary_keys` in batches, in order. At most ``size`` rows are read for each.

        No cursor stays open between two batches, and no more than one batch is in memory.
        """
        hidden = self._hidden(queryset.model)
        ordered = queryset.order_by("pk")
        if not ordered.query.standard_ordering:  # the site called `reverse()`
            ordered = ordered.reverse()
        rows = ordered.values_list("pk") if hidden is None else hidden.rows(ordered)
        page = list(rows[:size])
        while page:
            yield [pk for (pk,) in page] if hidden is None else list(hidden.outside_among(page))
            page = list(rows.filter(pk__gt=page[-1][0])[:size]) if len(page) == size else []

    def few_primary_keys(self, queryset: QuerySet[Any], at_most: int) -> list[Any] | None:
        """Return `primary_keys`, or None if there are more than ``at_most``."""
        hidden = self._hidden(queryset.model)
        if hidden is None:
            found = list(queryset.values_list("pk", flat=True)[: at_most + 1])
        else:
            found = hidden.first_outside(queryset, at_most + 1)
        return found if len(found) <= at_most else None

    def _hidden(self, model: type[Any]) -> _Subtrees | None:
        if is_page_model(model):
            return self._pages
        return self._collections if is_collection_member(model) else None

    @cached_property
    def _pages(self) -> _Subtrees:
        from wagtail.models import PageViewRestriction

        model = page_model()
        rows = self._refused(PageViewRestriction, _with_aliases)
        refused = [one for one in rows if one.source_pk is None]
        paths = {restriction.restricted_path for restriction in refused}
        hidden = {one.alias_pk: one.alias_path for one in refused if one.alias_pk is not None}
        while hidden:
            paths.update(hidden.values())
            aliases = (
                model.objects.filter(pk__in=hidden)
                .annotate(alias=_aliases("aliases", "pk"))
                .filter(alias__isnull=False)
            )
            found = aliases.order_by().values_list("alias__pk", "alias__path")
            hidden = {pk: path for pk, path in found if path not in paths}
        return _Subtrees(paths, model, "path", Q(depth__gt=1))

    @cached_property
    def _collections(self) -> _Subtrees:
        from wagtail.models import Collection, CollectionViewRestriction

        refused = self._refused(CollectionViewRestriction, _with_paths)
        paths = {restriction.restricted_path for restriction in refused}
        return _Subtrees(paths, Collection, "collection__path")

    def _refused(self, model: Any, annotated: _Annotated) -> list[Any]:
        """Return the restrictions that refuse the visitor, as rows with a ``restricted_path``.

        The rows of a restriction differ in what the query joins to it. Restrictions that are
        alike are asked once.

        Args:
            model: Wagtail's model of the restrictions.
            annotated: adds what is known of the restricted object to a query of that model.
        """
        if self._accepts is None:
            return []
        rows = _rows(model, annotated)
        groups: defaultdict[Any, dict[Any, str]] = defaultdict(dict)
        for row in rows:
            if row.group_pk is not None:
                groups[row.id][row.group_pk] = row.group_name
        alike = _alike(model)
        answers: dict[Any, bool] = {}
        refused = []
        for row in rows:
            kind = alike(row, groups)
            if kind not in answers:
                answers[kind] = self._accepts(_restriction(model, row, groups[row.id]))
            if not answers[kind]:
                refused.append(row)
        return refused


def visible_to(user: Any = None, request: Any = None) -> Visibility:
    """Return the visibility for a visitor. Without arguments, the visitor is anonymous.

    Args:
        user: a user. The default is the user of the request.
        request: the request. Its session records which passwords the visitor has entered.
    """
    return Visibility(_Visitor(user, request).passes)


def visible_to_all() -> Visibility:
    """Return a visibility that ignores all view restrictions."""
    return Visibility(None)


class _Subtrees:
    """Subtrees of one of treebeard's trees, by the paths of their roots.

    Args:
        roots: the paths.
        tree: the model of the tree.
        lookup: the lookup that leads from an object to its path in the tree.
        condition: a condition that every returned object meets.
    """

    def __init__(self, roots: set[str], tree: Any, lookup: str, condition: Q | None = None) -> None:
        self._roots = roots
        self._step: int = tree.steplen
        self._alphabet: str = tree.alphabet
        self._lookup = lookup
        self._condition = condition or Q()

    def outside(self, queryset: QuerySet[Any]) -> Iterator[Any]:
        """Yield the primary keys of the objects that are in none of the subtrees."""
        return self.outside_among(self.rows(queryset))

    def is_told_by(self, queryset: QuerySet[Any]) -> bool:
        """Return whether the objects have their paths, or none is needed."""
        has_paths = LOOKUP_SEP not in self._lookup
        return not self._roots or (has_paths and _defers_nothing(queryset))

    def objects_outside(self, queryset: QuerySet[Any]) -> list[Any]:
        """Return the objects that are in none of the subtrees, which their paths tell."""
        objects = list(queryset.filter(self._condition))
        if not self._roots:
            return objects
        return [each for each in objects if not self._has(getattr(each, self._lookup))]

    def first_outside(self, queryset: QuerySet[Any], count: int) -> list[Any]:
        """Return the first ``count`` of these keys. Few other rows are read.

        One query is enough, unless there are hundreds of subtrees.
        """
        rows = self.rows(queryset)
        found: list[Any] = []
        for ranges in slices(list(self._ranges_outside()), _MAX_RANGES):
            inside = rows.filter(self._in_ranges(ranges))[: count - len(found)]
            found += self.outside_among(inside)
            if len(found) == count:
                break
        return found

    def rows(self, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Return the primary keys of all objects, those in the subtrees included, with paths."""
        return queryset.filter(self._condition).values_list("pk", self._lookup)

    def outside_among(self, rows: Iterable[tuple[Any, str]]) -> Iterator[Any]:
        """Yield the primary keys of those of `rows` that are in none of the subtrees."""
        return (pk for pk, path in rows if not (self._roots and self._has(path)))

    def _ranges_outside(self) -> Iterator[tuple[str, str | None]]:
        """Yield the ranges of paths outside the subtrees, as first path and path after the last."""
        start: str | None = ""
        for root in sorted(self._roots):
            if start is None:
                return
            if root < start:
                continue  # within the previous subtree
            if start < root:
                yield start, root
            start = self._after(root)
        if start is not None:
            yield start, None

    def _in_ranges(self, ranges: Iterable[tuple[str, str | None]]) -> Q:
        chosen = Q()
        for start, end in ranges:
            one = Q((f"{self._lookup}__gte", start)) if start else Q()
            chosen |= one if end is None else one & Q((f"{self._lookup}__lt", end))
        return chosen

    def _after(self, root: str) -> str | None:
        """Return the lowest text above every path in a subtree, or None if there is none."""
        text = root.rstrip(self._alphabet[-1])
        if not text:
            return None
        return text[:-1] + self._alphabet[self._alphabet.index(text[-1]) + 1]

    def _has(self, path: str) -> bool:
        lengths = range(self._step, len(path) + 1, self._step)
        return any(path[:length] in self._roots for length in lengths)


def _defers_nothing(queryset: QuerySet[Any]) -> bool:
    """Return whether a queryset loads all fields of its objects, as Django notes in its query."""
    return bool(queryset.query.deferred_loading == (frozenset(), True))


def _aliases(relation: str, page: str) -> FilteredRelation:
    """Return the relation from pages to their aliases, in a form that SQLite looks up in its index.

    Most pages are no aliases. So statistics, once `ANALYZE` has run, tell SQLite that a lookup by
    ``alias_of`` finds most pages, and it would read all pages for each. The condition repeats
    what the relation says, as a range. SQLite has no statistics of ranges.

    Args:
        relation: the relation, as a lookup.
        page: the lookup of the pages that may have aliases.
    """
    return FilteredRelation(
        relation,
        condition=Q(
            (f"{relation}__alias_of__gte", F(page)), (f"{relation}__alias_of__lte", F(page))
        ),
    )


def _with_aliases(restrictions: QuerySet[Any]) -> QuerySet[Any]:
    """Return restrictions of pages with the paths of the page and its aliases.

    Whether a page is an alias is not a condition of the query: SQLite would then choose to read
    all pages that are none. The aliases come with it, since most sites have few.
    """
    annotated: QuerySet[Any] = restrictions.annotate(
        alias=_aliases("page__aliases", "page")
    ).annotate(
        restricted_path=F("page__path"),
        source_pk=F("page__alias_of"),
        alias_pk=F("alias__pk"),
        alias_path=F("alias__path"),
    )
    return annotated


def _with_paths(restrictions: QuerySet[Any]) -> QuerySet[Any]:
    """Return restrictions of collections with the path of the collection."""
    annotated: QuerySet[Any] = restrictions.annotate(restricted_path=F("collection__path"))
    return annotated


def _rows(model: Any, annotated: _Annotated) -> list[Any]:
    """Return view restrictions by one query, as named tuples: a row for each group of each.

    A site may have hundreds. An object of the model takes ten times as long to make as a row.
    """
    using = router.db_for_read(model)
    statement, parameters, row = _statement(model, annotated, using)
    with connections[using].cursor() as cursor:
        cursor.execute(statement, parameters)
        return list(map(row._make, cursor.fetchall()))


def _alike(model: Any) -> Callable[[Any, Mapping[Any, Any]], Any]:
    """Return what tells restrictions apart, so that the visitor is looked at once for all alike.

    Wagtail's own rule needs only the type of a restriction and its groups, unless it has a
    password. A site may have put another rule in its place.
    """
    from wagtail.models import BaseViewRestriction

    def kind(row: Any, groups: Mapping[Any, Any]) -> Any:
        if row.restriction_type in of_visitors:
            return row.restriction_type, frozenset(groups.get(row.id, ()))
        return row.id

    rule = model.accept_request
    # Where the code is, since a decorator may repeat the name of the module, or stand in for it.
    is_wagtails = (
        type(rule) is FunctionType
        and rule.__globals__["__name__"] == BaseViewRestriction.__module__
    )
    of_visitors = (BaseViewRestriction.LOGIN, BaseViewRestriction.GROUPS) if is_wagtails else ()
    return kind


def _restriction(model: Any, row: Any, groups: Mapping[Any, str]) -> Any:
    """Return a row as an object of its model, whose groups take no query."""
    from django.contrib.auth.models import Group

    using = router.db_for_read(model)
    names = [field.attname for field in model._meta.concrete_fields]
    restriction = model.from_db(using, names, row[: len(names)])
    queryset = Group.objects.filter(pk__in=list(groups))
    queryset._result_cache = [  # noqa: SLF001  # as prefetch_related fills it
        Group.from_db(using, ["id", "name"], group) for group in groups.items()
    ]
    restriction._prefetched_objects_cache = {"groups": queryset}  # noqa: SLF001
    return restriction


@lru_cache(maxsize=16)
def _statement(model: Any, annotated: _Annotated, using: str) -> tuple[str, Any, Any]:
    """Return the SQL that reads all restrictions, its parameters, and the tuple of its columns.

    Every search reads them. To compile the query takes longer than to run it.
    """
    restrictions = annotated(model.objects.using(using))
    query = restrictions.annotate(group_pk=F("groups"), group_name=F("groups__name")).query
    fields = [field.attname for field in model._meta.concrete_fields]
    names = [*fields, *query.annotation_select]
    statement, parameters = query.get_compiler(using).as_sql()
    return statement, parameters, namedtuple("Row", names)  # noqa: PYI024


class _Visitor:
    """Stands in for a request in Wagtail's `accept_request`, with or without a real request.

    The groups of its user are read only once, although `accept_request` asks for them for every
    restriction.
    """

    def __init__(self, user: Any, request: Any) -> None:
        self._given = user
        self._request = request

    def passes(self, restriction: Any) -> bool:
        """Return whether a view restriction accepts the visitor."""
        return bool(restriction.accept_request(self))

    @cached_property
    def user(self) -> Any:
        """The user, or an anonymous user if there is none."""
        from django.contrib.auth.models import AnonymousUser

        user: Any = self._given or getattr(self._request, "user", None) or AnonymousUser()
        if getattr(user, "pk", None) is not None and hasattr(user.__class__, "groups"):
            user = copy.copy(user)  # the caller's user must not keep these groups
            user._prefetched_objects_cache = {}  # noqa: SLF001  # a copy shares the dict
            # A queryset keeps what it has read. Many visitors' groups are never asked for.
            user._prefetched_objects_cache["groups"] = user.groups.all()  # noqa: SLF001
        return user

    @cached_property
    def session(self) -> Any:
        """The session of the request, or an empty dict without a session."""
        return getattr(self._request, "session", {})

    def __getattr__(self, name: str) -> Any:
        # A site's own restrictions may read other attributes of the request.
        return getattr(self.__dict__["_request"], name)
