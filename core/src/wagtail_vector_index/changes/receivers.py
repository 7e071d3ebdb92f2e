"""Hears of changes, and notes them in the outbox within the editor's own transaction."""

from __future__ import annotations

import functools
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from django.apps import apps
from django.db import DatabaseError, connections, router, transaction
from django.db.models import Model, signals

from ..conf import auto_update
from ..content.object_keys import key_of, object_key
from ..content.visibility import is_page_model, page_model
from ..indexing.dependencies import readers
from ..indexing.outbox import append
from ..models.tables import PendingChange, index_database
from .interests import (
    Interest,
    collection_indexes,
    depends_on_tree,
    interests,
    page_indexes,
    senders_of_deletion,
)
from .starting import drain_after_commit

__all__ = ["Receivers"]

logger = logging.getLogger(__name__)


class Receivers:
    """Receivers for the models that matter to the site's indexes, each for its own sender.

    A receiver for all senders would make Django load every row, of any model, that it
    deletes.
    """

    def __init__(self, by_sender: Mapping[type[Model], list[Interest]] | None = None) -> None:
        self._interests = interests() if by_sender is None else by_sender
        self._moving = threading.local()

    def connect(self) -> None:
        """Connect them; they live as long as this object."""
        read = set()
        for sender, some in self._interests.items():
            signals.post_save.connect(self.on_save, sender=sender)
            if any(interest.path for interest in some):
                signals.pre_delete.connect(self.before_deletion, sender=sender)
            read |= {i.path.through for i in some if i.path and i.path.through}
        for through in read:
            signals.m2m_changed.connect(self.on_relation, sender=through)
        for sender in senders_of_deletion(self._interests):
            signals.post_delete.connect(self.on_deletion, sender=sender)
        if apps.is_installed("wagtail"):
            self._connect_to_wagtail()

    def _connect_to_wagtail(self) -> None:
        from wagtail.models import Collection, CollectionViewRestriction, PageViewRestriction
        from wagtail.signals import page_slug_changed, post_page_move, pre_page_move

        pre_page_move.connect(self.before_move)
        post_page_move.connect(self.after_move)
        page_slug_changed.connect(self.on_slug)
        for signal in (signals.post_save, signals.post_delete):
            signal.connect(self.on_restriction, sender=PageViewRestriction)
            signal.connect(self.on_collection_restriction, sender=CollectionViewRestriction)
        signals.post_save.connect(self.on_collection, sender=Collection)

    def on_save(
        self,
        sender: type[Model],
        instance: Any,
        using: str | None = None,
        created: bool = False,  # noqa: FBT001, FBT002  # Django's signature
        raw: bool = False,  # noqa: FBT001, FBT002
        update_fields: Any = None,
        **kwargs: Any,
    ) -> None:
        """An object was saved; fixtures are left to the command."""
        if raw or not auto_update():
            return
        if sender is _page_model_of(sender) and self._is_moved(instance):
            self._subtree_changed(instance)
            return
        found = {}
        for interest in self._interests[sender]:
            if not interest.is_touched(update_fields):
                continue
            if interest.path is None:
                draft = created and not getattr(instance, "live", True)
                if draft or not interest.includes(instance):
                    continue
            elif created and not interest.path.reverse:
                continue  # nobody reads it yet
            found[interest.index.name, interest.scope] = [object_key(instance)]
        for (name, scope), keys in found.items():
            self._note(name, keys, using, scope)

    def on_deletion(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """An object was deleted, with all that is below it in the tree one by one."""
        if not auto_update():
            return
        # By whichever of its models it is deleted, the interests are those of its family.
        for name in {
            interest.index.name: None
            for some in self._interests.values()
            for interest in some
            if interest.path is None
            and _same_tree(interest.model, sender)
            and interest.includes(instance)
        }:
            self._note(name, [object_key(instance)], using)

    def before_deletion(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """An object is deleted that others read: who they are, is known only until then."""
        if not auto_update():
            return
        indexes = {i.index.name: i.index for i in self._interests[sender] if i.path}
        for name, index in indexes.items():
            keys = list(dict.fromkeys(readers(index, object_key(instance))))
            self._note(name, keys, using)

    def on_relation(
        self,
        sender: type[Model],
        instance: Any,
        action: str,
        reverse: bool,  # noqa: FBT001  # Django's signature
        using: str | None = None,
        pk_set: Any = None,
        **kwargs: Any,
    ) -> None:
        """Objects were put into a relation of many to many, or taken out of it."""
        if not auto_update():
            return
        for interest in self._by_through(sender):
            name, model = interest.index.name, interest.model
            keys: list[str] = []
            if not reverse and action in ("post_add", "post_remove", "post_clear"):
                if isinstance(instance, model):
                    keys = [object_key(instance)]
            elif reverse and action in ("post_add", "post_remove"):
                keys = [key_of(model, pk) for pk in pk_set]
            elif reverse and action == "pre_clear":
                keys = list(readers(interest.index, object_key(instance)))
            self._note(name, keys, using)

    def before_move(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """A page is about to be saved by a move, which happens in a transaction of its own."""
        self._paths_before()[instance.pk] = instance.path

    def after_move(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """A page was moved."""
        self._paths_before().pop(instance.pk, None)

    def on_slug(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """The address of a page changed, and so that of all pages below it."""
        if auto_update():
            self._subtree_changed(instance)

    def on_restriction(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """A page became private or public, with all that is below it."""
        if auto_update() and not kwargs.get("raw"):
            key = key_of(page_model(), instance.page_id)
            for index in page_indexes(self._interests):
                self._note(index.name, [key], using, PendingChange.Scope.SUBTREE)

    def on_collection_restriction(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """A collection became private or public, with all that are below it."""
        if auto_update() and not kwargs.get("raw"):
            self._collection_changed(instance.collection_id, using)

    def on_collection(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """A collection was saved, perhaps since it was moved."""
        from wagtail.models import CollectionViewRestriction

        if not auto_update() or kwargs.get("raw") or kwargs.get("created"):
            return
        if CollectionViewRestriction.objects.exists():
            self._collection_changed(instance.pk, using)

    def after_update(self, objects: Iterable[Model]) -> None:
        """Objects were changed by an update, which sends no signal."""
        if not auto_update():
            return
        keys: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
        for instance in objects:
            for interest in self._interests.get(type(instance), ()):
                if interest.path is None and instance.pk is not None:
                    where = interest.index.name, router.db_for_write(type(instance))
                    keys[where][object_key(instance)] = None
        for (name, using), some in keys.items():
            self._note(name, list(some), using)

    def _collection_changed(self, pk: Any, using: str | None) -> None:
        from wagtail.models import Collection

        for index in collection_indexes(self._interests):
            self._note(index.name, [key_of(Collection, pk)], using, PendingChange.Scope.SUBTREE)

    def _subtree_changed(self, instance: Any) -> None:
        from wagtail.models import PageViewRestriction

        using = router.db_for_write(type(instance))
        for index in page_indexes(self._interests):
            # What was moved into a private section, or out of it, may be found no more, or now.
            if depends_on_tree(index) or PageViewRestriction.objects.exists():
                key = object_key(instance)
                self._note(index.name, [key], using, PendingChange.Scope.SUBTREE)

    def _note(
        self,
        index_name: str,
        keys: list[str],
        using: str | None,
        scope: PendingChange.Scope = PendingChange.Scope.OBJECT,
    ) -> None:
        """Put changes into the outbox that were made in a database, by default the record's."""
        if not keys:
            return
        note = functools.partial(_append, index_name, keys, scope)
        if using in (None, index_database()) or not connections[using].in_atomic_block:
            note()
        else:
            # A drain that came before the commit would read the objects as they were.
            transaction.on_commit(note, using=using, robust=auto_update() != "inline")

    def _by_through(self, through: type[Model]) -> Iterable[Interest]:
        for some in self._interests.values():
            for interest in some:
                if interest.path and interest.path.through is through:
                    yield interest

    def _is_moved(self, instance: Any) -> bool:
        """Whether a page is saved by a move: one may also have been refused, or have failed."""
        path = self._paths_before().pop(instance.pk, None)
        return path not in (None, instance.path)

    def _paths_before(self) -> dict[Any, str]:
        """Where the pages were that this thread is about to move."""
        if not hasattr(self._moving, "paths"):
            self._moving.paths = {}
        paths: dict[Any, str] = self._moving.paths
        return paths


def _append(index_name: str, keys: list[str], scope: PendingChange.Scope) -> None:
    try:
        # In a savepoint: an error here must not spoil the editor's transaction.
        with transaction.atomic(using=index_database()):
            append(index_name, keys, scope)
    except DatabaseError:
        logger.exception(
            "A change of %s is not noted for %s; `manage.py update_vector_indexes` finds it.",
            ", ".join(keys[:3]),
            index_name,
        )
    else:
        drain_after_commit(index_name)


def _page_model_of(model: type[Model]) -> Any:
    return page_model() if is_page_model(model) else None


def _same_tree(model: type[Model], sender: type[Model]) -> bool:
    return issubclass(model, sender) or issubclass(sender, model)
