"""Interests: which changes of which models matter to which index."""

from __future__ import annotations

import functools
import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from django.core.exceptions import FieldDoesNotExist
from django.db.models import Model, QuerySet

from ..content.choosing import choice_of
from ..content.configuration import ModelConfiguration
from ..content.object_keys import inherits, object_key, primary_key, root_model
from ..content.relations import is_generic
from ..content.visibility import is_collection_member, is_page_model, page_model
from ..content.without_database import DatabaseAsked, without_database
from ..exceptions import VectorIndexError
from ..indexes import VectorIndex
from ..indexes.registry import all_indexes
from ..indexing.dependencies import ReadingPath, model_family, reading_paths
from ..models.tables import PendingChange
from ..plugins.savepoints import savepoints

logger = logging.getLogger(__name__)

#: Fields in which Wagtail notes drafts and editing, in saves that change no content, by the name
#: of Wagtail's class. A site's own field may have one of these names too.
_BOOKKEEPING = {
    "AbstractPage": "draft_title latest_revision_created_at",
    "DraftStateMixin": "has_unpublished_changes live_revision live_revision_id go_live_at",
    "LockableMixin": "locked locked_at locked_by locked_by_id",
    "RevisionMixin": "latest_revision latest_revision_id",
}
#: Fields that decide whether an object may be found.
_VISIBILITY = frozenset("live expire_at alias_of alias_of_id collection collection_id".split())
#: Names of fields and methods whose values change on all pages below a page that is moved or
#: gets another slug.
_OF_THE_TREE = frozenset(
    "path depth numchild url_path url full_url relative_url get_url get_full_url".split()
)


@dataclass(frozen=True, kw_only=True)
class Interest:
    """The reason why changes of one model matter to an index."""

    index: VectorIndex
    #: The model of the index.
    model: type[Model]
    #: The fields that matter; None means all fields except bookkeeping.
    fields: frozenset[str] | None
    #: The relation through which objects of the index read the changed object. None means that
    #: the changed object is itself in the index.
    path: ReadingPath | None = None

    def is_touched(self, update_fields: Collection[str] | None) -> bool:
        """Return whether a save of these fields can matter; None means all fields."""
        if update_fields is None:
            return self.fields is None or bool(self.fields)
        if self.fields is None:
            return not _bookkeeping(self.changed).issuperset(update_fields)
        return not self.fields.isdisjoint(update_fields)

    def includes(self, instance: Any) -> bool:
        """Return whether an object can be in the index.

        An instance of a parent model can, since it may have a row in the index's child model.
        """
        model = type(instance)
        if inherits(model, self.model):
            return True
        if is_page_model(model):
            return inherits(instance.specific_class or model, self.model)
        return inherits(self.model, model) and root_model(model) is root_model(self.model)

    @property
    def changed(self) -> type[Model]:
        """The model whose changes matter: of the index, or at the end of the path."""
        return self.path.related if self.path else self.model

    def key(self, instance: Model) -> str | None:
        """Return the key of a changed object, or None if it is known only after the save."""
        is_known = primary_key(instance, self.changed) is not None
        return object_key(instance, self.changed) if is_known else None

    @property
    def scope(self) -> PendingChange.Scope:
        """The scope of an outbox row for the changed object: itself, or the objects reading it."""
        return PendingChange.Scope.READERS if self.path else PendingChange.Scope.OBJECT

    @property
    def source_scope(self) -> PendingChange.Scope:
        """The scope of an outbox row for an object that the last step of the path begins at."""
        is_short = self.path is None or len(self.path.steps) == 1
        return PendingChange.Scope.OBJECT if is_short else PendingChange.Scope.READERS


Interests: TypeAlias = "dict[type[Model], list[Interest]]"


def declared_interests() -> tuple[Interests, list[VectorIndex]]:
    """Return the interests of indexes by model, and the indexes that ask the database for them.

    No database is asked. An index whose declaration is wrong has no interests; a system check
    reports it.
    """
    found: Interests = defaultdict(list)
    asking = []
    for index in all_indexes():
        try:
            with without_database():
                own = list(_of_index(index))
        except DatabaseAsked:
            asking.append(index)
        except Exception as error:  # noqa: BLE001  # a site's get_querysets() may raise anything
            _warn(index, error)
        else:
            _add(found, own)
    return found, asking


def asked_interests(index: VectorIndex, *, warn: bool) -> Interests | None:
    """Return the interests of an index that asks the database, or None if it cannot be read now.

    Args:
        index: the index.
        warn: whether to log why it cannot be read.
    """
    try:
        with savepoints():
            own = list(_of_index(index))
    except Exception as error:  # noqa: BLE001  # a site's get_querysets() may raise anything
        if warn:
            _warn(index, error)
        return None
    found: Interests = defaultdict(list)
    _add(found, own)
    return found


def _add(found: Interests, own: Iterable[tuple[type[Model], Interest]]) -> None:
    for sender, interest in own:
        found[sender].append(interest)


def _warn(index: VectorIndex, error: Exception) -> None:
    logger.warning(
        "%s does not notice changes, because its declaration cannot be read. Correct it and run"
        " `manage.py update_vector_indexes`: %s",
        index.name,
        error,
        exc_info=None if isinstance(error, VectorIndexError) else error,
    )


def page_indexes(interests: Mapping[type[Model], list[Interest]]) -> list[VectorIndex]:
    """Return the indexes that contain pages, each once."""
    return _indexes_of(interests, is_page_model)


def collection_indexes(interests: Mapping[type[Model], list[Interest]]) -> list[VectorIndex]:
    """Return the indexes that contain members of Wagtail's collections, each once."""
    return _indexes_of(interests, is_collection_member)


def _indexes_of(
    interests: Mapping[type[Model], list[Interest]], holds: Callable[[type[Model]], bool]
) -> list[VectorIndex]:
    own = (interest for some in interests.values() for interest in some if interest.path is None)
    found = {i.index.name: i.index for i in own if holds(i.model)}
    return list(found.values())


def depends_on_tree(index: VectorIndex) -> bool:
    """Return whether a move may change the texts, filter values or choice of an index's pages.

    A method or property may depend on anything, so the answer is true if the index reads one.
    """
    for model, configuration in index.configuration.models.items():
        for name in (path.partition("__")[0] for path in configuration.paths):
            if name in _OF_THE_TREE or not _is_field(model, name):
                return True
    try:
        with savepoints():
            chosen_by = [_chosen_by(queryset) for queryset in index.get_querysets()]
    except Exception:  # noqa: BLE001  # the site's own code must not stop the move
        return True
    return any(found is None or not _OF_THE_TREE.isdisjoint(found) for found in chosen_by)


def _of_index(index: VectorIndex) -> Iterator[tuple[type[Model], Interest]]:
    models = index.configuration.models  # raises an error if the index is declared wrongly
    for queryset in index.get_querysets():
        fields = _fields(models, queryset)
        for sender in dict.fromkeys(model_family(queryset.model)):
            yield sender, Interest(index=index, model=queryset.model, fields=fields)
    for path in reading_paths(index):
        read = None
        if path.attributes is not None:
            read = _names(path.related, [*path.attributes, *path.last.pointer])
        for sender in dict.fromkeys(model_family(path.related)):
            yield sender, Interest(index=index, model=path.model, fields=read, path=path)


def _fields(
    models: Mapping[type[Model], ModelConfiguration], queryset: QuerySet[Any]
) -> frozenset[str] | None:
    """Return the fields of an index's objects that matter, or None if they are not known."""
    chosen_by = _chosen_by(queryset)
    if chosen_by is None:
        return None
    found = set(_VISIBILITY | chosen_by)
    for model, configuration in models.items():
        if not issubclass(model, queryset.model):
            continue
        known = _names(model, [path.partition("__")[0] for path in configuration.paths])
        if known is None:
            return None
        found |= known
    return frozenset(found)


@functools.cache
def _bookkeeping(model: type[Model]) -> frozenset[str]:
    """Return the fields of a model in which Wagtail notes drafts and editing."""
    return frozenset(
        name
        for base in model.__mro__
        if base.__module__.startswith("wagtail.models.")
        for name in _BOOKKEEPING.get(base.__name__, "").split()
    )


def _names(model: type[Model], names: list[str]) -> frozenset[str] | None:
    """Return the names and attribute names of fields, or None if a name is not a field."""
    found: set[str] = set()
    for name in names:
        if not _is_field(model, name):
            return None
        field: Any = model._meta.get_field(name)
        if is_generic(field):
            found |= _names(model, [field.ct_field, field.fk_field]) or set()
        found |= {name, getattr(field, "attname", name)}
    return frozenset(found)


def _is_field(model: type[Model], name: str) -> bool:
    try:
        model._meta.get_field(name)
    except FieldDoesNotExist:
        return False
    return True


def _chosen_by(queryset: QuerySet[Any]) -> frozenset[str] | None:
    """Return the fields of its objects that a queryset filters by, or None if they are not known.

    The field of a condition over a relation is the relation.
    """
    choice = choice_of(queryset)
    if not choice.is_complete:
        return None
    return _names(queryset.model, [path.partition("__")[0] for path in choice.paths])


def senders_of_deletion(interests: Mapping[type[Model], list[Interest]]) -> set[type[Model]]:
    """Return the models whose deletions matter. ``Page`` stands for all page models."""
    own = {sender for sender, some in interests.items() if any(i.path is None for i in some)}
    return {page_model() if is_page_model(sender) else sender for sender in own}
