"""Receivers of signals, which note changes in the outbox within the editor's transaction."""

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
    """The receivers for the models that matter to the site's indexes, one for each sender.

    With a receiver for all senders, Django would load every row of any model before deleting
    it.
    """

    def __init__(self, by_sender: Mapping[type[Model], list[Interest]] | None = None) -> None:
        self._interests = interests() if by_sender is None else by_sender
        self._moving = threading.local()

    def connect(self) -> None:
        """Connect the receivers. They live as long as this object."""
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
        """Note that an object was saved. After fixtures, the command finds the changes."""
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
                continue  # no object of the index can refer to a new object yet
            found[interest.index.name, interest.scope] = [object_key(instance)]
        for (name, scope), keys in found.items():
            self._note(name, keys, using, scope)

    def on_deletion(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that an object was deleted. Each page below a deleted page has its own signal."""
        if not auto_update():
            return
        # The sender may be a parent model of the index's model, or a child model.
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
        """Note the objects that read an object about to be deleted, while they can be found."""
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
        """Note that objects were added to a many-to-many relation, or removed from it."""
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
        """Remember where a page is before a move, so that `on_save` can recognize the move.

        The move saves the page in a transaction of its own.
        """
        self._paths_before()[instance.pk] = instance.path

    def after_move(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """Forget where a page was before its move."""
        self._paths_before().pop(instance.pk, None)

    def on_slug(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """Note that the address of a page changed, and so the addresses of all pages below it."""
        if auto_update():
            self._subtree_changed(instance)

    def on_restriction(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a page and all pages below it became private or public."""
        if auto_update() and not kwargs.get("raw"):
            key = key_of(page_model(), instance.page_id)
            for index in page_indexes(self._interests):
                self._note(index.name, [key], using, PendingChange.Scope.SUBTREE)

    def on_collection_restriction(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a collection and all collections below it became private or public."""
        if auto_update() and not kwargs.get("raw"):
            self._collection_changed(instance.collection_id, using)

    def on_collection(
        self, sender: Any, instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a collection was saved, perhaps because it was moved."""
        from wagtail.models import CollectionViewRestriction

        if not auto_update() or kwargs.get("raw") or kwargs.get("created"):
            return
        if CollectionViewRestriction.objects.exists():
            self._collection_changed(instance.pk, using)

    def after_update(self, objects: Iterable[Model]) -> None:
        """Note that objects were changed by a queryset's update, which sends no signal."""
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
            # A move into a private section, or out of it, changes who may find the pages.
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
        """Put changes into the outbox.

        Args:
            index_name: the name of the index.
            keys: the keys of the changed objects.
            using: the database of the change; by default that of the index tables.
            scope: the objects that each key stands for.
        """
        if not keys:
            return
        note = functools.partial(_append, index_name, keys, scope)
        if using in (None, index_database()) or not connections[using].in_atomic_block:
            note()
        else:
            # A drain before the commit would read the objects as they were before the change.
            transaction.on_commit(note, using=using, robust=auto_update() != "inline")

    def _by_through(self, through: type[Model]) -> Iterable[Interest]:
        for some in self._interests.values():
            for interest in some:
                if interest.path and interest.path.through is through:
                    yield interest

    def _is_moved(self, instance: Any) -> bool:
        """Return whether a move saves this page.

        A remembered path alone does not prove a move: the move may have been refused or failed.
        """
        path = self._paths_before().pop(instance.pk, None)
        return path not in (None, instance.path)

    def _paths_before(self) -> dict[Any, str]:
        """Return the paths, before the move, of the pages that this thread is moving."""
        if not hasattr(self._moving, "paths"):
            self._moving.paths = {}
        paths: dict[Any, str] = self._moving.paths
        return paths


def _append(index_name: str, keys: list[str], scope: PendingChange.Scope) -> None:
    try:
        # An error here must not break the editor's transaction, hence the savepoint.
        with transaction.atomic(using=index_database()):
            append(index_name, keys, scope)
    except DatabaseError:
        logger.exception(
            "A change of %s could not be noted for %s. To index it, run:"
            " manage.py update_vector_indexes",
            ", ".join(keys[:3]),
            index_name,
        )
    else:
        drain_after_commit(index_name)


def _page_model_of(model: type[Model]) -> Any:
    return page_model() if is_page_model(model) else None


def _same_tree(model: type[Model], sender: type[Model]) -> bool:
    return issubclass(model, sender) or issubclass(sender, model)
