"""Receivers of signals, which find out what a change concerns, and have it noted."""

from __future__ import annotations

import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from django.apps import apps
from django.db import Error, router
from django.db.models import Model, signals

from ..conf import auto_update
from ..content.object_keys import key_of, object_key, primary_key, shares_objects
from ..content.visibility import has_drafts, is_page_model, page_model
from ..indexes import VectorIndex
from ..indexing.dependencies import ReadingPath, everything, model_family, readers
from ..indexing.failures import error_text
from ..models.tables import PendingChange
from ..plugins.savepoints import savepoints
from .interests import (
    Interest,
    Interests,
    asked_interests,
    collection_indexes,
    declared_interests,
    depends_on_tree,
    page_indexes,
    senders_of_deletion,
)
from .noting import Changes, begin, finish, gather, in_transaction, merged, note, note_gathered

__all__ = ["Receivers"]

logger = logging.getLogger(__name__)

#: The signals that come before a change of any object, and the receivers that handle them.
#: Wagtail's changes of pages save pages.
_FIRST_SIGNALS = {
    signals.pre_save: "before_save",
    signals.pre_delete: "before_deletion",
    signals.m2m_changed: "on_relation",
}


class Receivers:
    """The receivers for the models that matter to the site's indexes, one for each sender.

    With a receiver for all senders, Django would load every row of any model before deleting
    it.
    """

    def __init__(self, by_sender: Mapping[type[Model], list[Interest]] | None = None) -> None:
        self._interests: Interests = defaultdict(list)
        #: The indexes whose interests only the database knows, until they are read.
        self._asking: list[VectorIndex] = []
        if by_sender is None:
            self._interests, self._asking = declared_interests()
        else:
            self._interests.update((sender, list(some)) for sender, some in by_sender.items())
        self._reading = threading.RLock()
        self._is_reading = False
        self._warned: set[str] = set()
        self._moving = threading.local()

    def connect(self) -> None:
        """Connect the receivers. They live as long as this object."""
        self._connect_to(self._interests)
        if apps.is_installed("wagtail"):
            self._connect_to_wagtail()
        if self._asking:
            for signal in _FIRST_SIGNALS:
                signal.connect(self.before_change)

    def _connect_to(self, interests: Interests) -> None:
        for sender in {**interests, **dict.fromkeys(_page_models(interests))}:
            signals.pre_save.connect(self.before_save, sender=sender)
            signals.post_save.connect(self.on_save, sender=sender)
        deleted = senders_of_deletion(interests)
        related = set()
        for sender, some in interests.items():
            if paths := [interest.path for interest in some if interest.path]:
                deleted.add(sender)
                related |= {path.last.through for path in paths if path.last.through}
        for sender in deleted:
            signals.pre_delete.connect(self.before_deletion, sender=sender)
            signals.post_delete.connect(self.on_deletion, sender=sender)
        for through in related:
            signals.m2m_changed.connect(self.on_relation, sender=through)

    def _connect_to_wagtail(self) -> None:
        from wagtail.models import Collection, CollectionViewRestriction, PageViewRestriction
        from wagtail.signals import post_page_move, pre_page_move

        pre_page_move.connect(self.before_move)
        post_page_move.connect(self.after_move)
        saved = signals.pre_save, signals.post_save
        changed = *saved, signals.post_delete
        for model, receiver, some in (
            (PageViewRestriction, self.on_restriction, changed),
            (CollectionViewRestriction, self.on_collection_restriction, changed),
            (Collection, self.on_collection, saved),
        ):
            for sender in model_family(model):
                for signal in some:
                    signal.connect(receiver, sender=sender)

    def before_change(self, sender: Any, **kwargs: Any) -> None:
        """Read the indexes that ask the database, before the first change of any object.

        Migrations change models of a registry of their own, and may run without any table.
        """
        if sender._meta.apps is apps and self._read_asking():
            # Django had chosen the receivers of this signal before these were connected.
            getattr(self, _FIRST_SIGNALS[kwargs["signal"]])(sender, **kwargs)

    def _read_asking(self) -> bool:
        """Read the indexes that ask the database; return whether one was read."""
        with self._reading:
            if self._is_reading:
                return False  # reading an index has changed an object
            if not self._asking:
                return True  # another thread has read them while this one waited
            self._is_reading = True
            try:
                unread = [index for index in self._asking if not self._read(index)]
            finally:
                self._is_reading = False
            is_read = len(unread) < len(self._asking)
            self._asking = unread
            if not unread:
                for signal in _FIRST_SIGNALS:
                    signal.disconnect(self.before_change)
            return is_read

    def _read(self, index: VectorIndex) -> bool:
        found = asked_interests(index, warn=index.name not in self._warned)
        if found is None:
            self._warned.add(index.name)
            return False
        for sender, some in found.items():
            self._interests[sender] += some
        self._connect_to(found)
        return True

    def before_save(
        self,
        sender: type[Model],
        instance: Any,
        using: str | None = None,
        raw: bool = False,  # noqa: FBT001, FBT002  # Django's signature
        update_fields: Any = None,
        **kwargs: Any,
    ) -> None:
        """Promise the change of a save outside of a transaction, and find what only now shows.

        That is the new slug of a page, and the objects that read a row which the save moves to
        other objects.
        """
        if raw or not auto_update():
            return
        # An object with a key may be new as well. Then some rows are promised in vain.
        is_new = instance.pk is None
        found: Changes = {}
        if not is_new:
            found = merged(
                self._of_slug(sender, instance, using, update_fields),
                self._left_behind(sender, instance, using, update_fields),
            )
        expected: Changes = {}
        if not in_transaction(using):
            expected = self._of_save(sender, instance, update_fields, created=is_new)
        begin(sender, instance, using, expected, found)

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
            changes = self._of_move(instance)
        else:
            changes = self._of_save(sender, instance, update_fields, created=created)
        finish(sender, instance, using, changes)

    def _of_save(
        self, sender: type[Model], instance: Any, update_fields: Any, *, created: bool
    ) -> Changes:
        found: list[Changes] = []
        for interest in self._interests.get(sender, ()):
            if not interest.is_touched(update_fields):
                continue
            if interest.path is None:
                draft = created and has_drafts(sender) and not instance.live
                if draft or not interest.includes(instance):
                    continue
            elif created and not interest.path.last.pointer:
                continue  # no object of the index can refer to a new object yet
            name = interest.index.name
            key = interest.key(instance)
            if key is None:
                found.append({(name, PendingChange.Scope.INDEX): [sender._meta.label_lower]})
            else:
                found.append({(name, interest.scope): [key]})
        return merged(*found)

    def _left_behind(
        self, sender: type[Model], instance: Any, using: str | None, update_fields: Any
    ) -> Changes:
        """Return the objects that read a row which moves to other objects, as a comment may."""
        left: dict[tuple[str, PendingChange.Scope], list[str]] = defaultdict(list)
        for interest in self._interests.get(sender, ()):
            path = interest.path
            if path and interest.is_touched(update_fields) and path.last.is_moved(instance, using):
                pk = primary_key(instance, path.related)
                keys = path.sources(path.last.back([pk], using))
                left[interest.index.name, interest.source_scope] += keys
        return left

    def before_deletion(
        self,
        sender: type[Model],
        instance: Any,
        using: str | None = None,
        origin: Any = None,
        **kwargs: Any,
    ) -> None:
        """Find what the deletion of an object concerns, while that can be found.

        Each page below a deleted page has its own signal.
        """
        if not auto_update():
            return
        paths = [interest for interest in self._interests.get(sender, ()) if interest.path]
        read = {(i.index.name, object_key(instance, i.changed)): i.index for i in paths}
        read_by = [_read_by(index, key) for (_, key), index in read.items()]
        changes = merged(self._of_deletion(sender, instance), *read_by)
        gather(origin, instance, using, changes)

    def on_deletion(
        self,
        sender: type[Model],
        instance: Any,
        using: str | None = None,
        origin: Any = None,
        **kwargs: Any,
    ) -> None:
        """Note what a deletion concerns, at its first object, since all were announced before.

        Django deletes them in one transaction. A deletion by other code may send this signal alone.
        """
        if not auto_update():
            return
        if not note_gathered(origin, instance, using) and origin is None:
            note(self._of_deletion(sender, instance), using)

    def _of_deletion(self, sender: type[Model], instance: Any) -> Changes:
        # The sender may be a parent model of the index's model, or a child model.
        own = {
            (interest.index, object_key(instance, interest.model)): None
            for some in list(self._interests.values())
            for interest in some
            if interest.path is None
            and shares_objects(interest.model, sender)
            and interest.includes(instance)
        }
        return _objects((index, [key]) for index, key in own)

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
        through = self._by_through(sender)
        changes: list[Changes] = []
        found: list[Changes] = []
        for interest, path in through:
            where = interest.index.name, interest.source_scope
            # Either side may declare the relation, and either side may be read.
            is_source = reverse == path.last.reverse
            if is_source:
                changes.append({where: [object_key(instance, path.last.source)]})
            if not is_source or path.last.symmetrical:
                changes.append({where: path.sources(pk_set or ())})
                if action == "pre_clear":
                    # Afterwards, nobody knows which objects the relation contained.
                    pk = primary_key(instance, path.related)
                    before = path.last.back([pk], using)
                    found.append({where: path.sources(before)})
        if action.startswith("post_"):
            finish(sender, instance, using, merged(*changes))
        else:
            begin(sender, instance, using, merged(*changes), merged(*found))

    def before_move(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """Remember where a page is before a move, so that `on_save` can recognize the move.

        The move saves the page in a transaction of its own.
        """
        self._paths_before()[instance.pk] = instance.path

    def after_move(self, sender: Any, instance: Any, **kwargs: Any) -> None:
        """Forget where a page was before its move."""
        self._paths_before().pop(instance.pk, None)

    def on_restriction(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a page and all pages below it become private or public."""
        if auto_update() and not kwargs.get("raw"):
            key = key_of(page_model(), instance.page_id)
            changes = _subtrees(page_indexes(self._interests), key)
            _step(kwargs["signal"], sender, instance, using, changes)

    def on_collection_restriction(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a collection and all collections below it become private or public."""
        from wagtail.models import Collection

        if auto_update() and not kwargs.get("raw"):
            key = key_of(Collection, instance.collection_id)
            changes = _subtrees(collection_indexes(self._interests), key)
            _step(kwargs["signal"], sender, instance, using, changes)

    def on_collection(
        self, sender: type[Model], instance: Any, using: str | None = None, **kwargs: Any
    ) -> None:
        """Note that a collection is saved, perhaps because it was moved."""
        from wagtail.models import CollectionViewRestriction

        if not auto_update() or kwargs.get("raw") or kwargs.get("created") or instance.pk is None:
            return
        if everything(CollectionViewRestriction).exists():
            changes = _subtrees(collection_indexes(self._interests), object_key(instance))
            _step(kwargs["signal"], sender, instance, using, changes)

    def after_update(self, objects: Iterable[Model]) -> None:
        """Note that objects may have been changed by a queryset's update, which sends no signal."""
        if not auto_update():
            return
        self._read_asking()
        found: dict[str, dict[tuple[str, PendingChange.Scope], list[str]]] = {}
        for instance in objects:
            for interest in self._interests.get(type(instance), ()):
                is_read = interest.path is not None and interest.is_touched(None)
                if instance.pk is not None and (is_read or interest.includes(instance)):
                    using = router.db_for_write(type(instance))
                    changes = found.setdefault(using, defaultdict(list))
                    key = object_key(instance, interest.changed)
                    changes[interest.index.name, interest.scope].append(key)
        for using, some in found.items():
            note(merged(some), using)

    def _of_move(self, instance: Any) -> Changes:
        """Return the changes if a page was moved."""
        from wagtail.models import PageViewRestriction

        # A move into a private section, or out of it, changes who may find the pages.
        is_private = everything(PageViewRestriction).exists()
        indexes = page_indexes(self._interests)
        return _subtrees(
            [index for index in indexes if is_private or depends_on_tree(index)],
            object_key(instance),
        )

    def _of_slug(
        self, sender: type[Model], instance: Any, using: str | None, update_fields: Any
    ) -> Changes:
        """Return the changes if a page gets another slug, and all below it another address.

        Wagtail's signal for this comes after the commit, when the process may have ended.
        """
        if not is_page_model(sender) or (update_fields is not None and "slug" not in update_fields):
            return {}
        indexes = [index for index in page_indexes(self._interests) if depends_on_tree(index)]
        if not indexes:
            return {}
        pages = everything(page_model(), using)
        slugs = pages.filter(pk=instance.pk).exclude(slug=instance.slug)
        return _subtrees(indexes, object_key(instance)) if slugs.exists() else {}

    def _by_through(self, through: type[Model]) -> Iterator[tuple[Interest, ReadingPath]]:
        found = {
            interest: interest.path
            for some in list(self._interests.values())
            for interest in some
            if interest.path and interest.path.last.through is through
        }
        yield from found.items()

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


def _page_models(interests: Mapping[type[Model], list[Interest]]) -> Iterable[type[Model]]:
    """Return all page models if an index contains pages, since any page can be above these."""
    return filter(is_page_model, apps.get_models()) if page_indexes(interests) else ()


def _step(signal: Any, sender: type[Model], instance: Any, using: Any, changes: Changes) -> None:
    """Promise changes before a save, and note them after a save or deletion."""
    if signal is signals.pre_save:
        begin(sender, instance, using, changes)
    else:
        finish(sender, instance, using, changes)


def _objects(keys: Iterable[tuple[VectorIndex, Iterable[str]]]) -> Changes:
    """Return the changes of single objects, given as indexes with keys of their objects."""
    scope = PendingChange.Scope.OBJECT
    return merged(*({(index.name, scope): list(some)} for index, some in keys))


def _read_by(index: VectorIndex, key: str) -> Changes:
    """Return the objects of an index that read an object, which is about to be deleted."""
    try:
        with savepoints():
            return _objects([(index, readers(index, key))])
    except Error as error:  # of a database that need not be the object's
        logger.warning(
            "The objects of %s that read %s could not be found. The whole index is compared: %s",
            index.name,
            key,
            error_text(error),
        )
        return {(index.name, PendingChange.Scope.INDEX): [key]}


def _subtrees(indexes: Iterable[VectorIndex], key: str) -> Changes:
    return {(index.name, PendingChange.Scope.SUBTREE): [key] for index in indexes}


def _page_model_of(model: type[Model]) -> Any:
    return page_model() if is_page_model(model) else None
