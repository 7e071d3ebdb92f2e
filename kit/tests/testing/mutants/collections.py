"""Backends that mistake one collection for another, or lose it."""

from contextlib import suppress
from typing import ClassVar
from uuid import uuid4

from wagtail_vector_index.backends.base import Health
from wagtail_vector_index.contract.records import RecordBatch
from wagtail_vector_index.exceptions import (
    BackendUnavailable,
    CollectionMismatch,
    CollectionNotFound,
)
from wagtail_vector_index.testing.oracle import StoredCollection

from .base import Refusing


class Named(Refusing):
    """Right in everything; a collection is looked up by a key made of its name."""

    def key(self, name):
        return name

    def _collection(self, spec):
        for name, stored in self.stored.items():
            if self.key(name) == self.key(spec.name):
                return stored
        raise CollectionNotFound(spec.name)

    def _create(self, spec):
        try:
            existing = self._collection(spec)
        except CollectionNotFound:
            super()._create(spec)
        else:
            if existing.spec.name == spec.name:
                super()._create(spec)


class ShortNames(Named):
    """Names are cut after 40 characters."""

    def key(self, name):
        return name[:40]


class NamesWithoutUnderscores(Named):
    """Names become CamelCase."""

    def key(self, name):
        return name.replace("_", "")


class NumbersIgnored(Named):
    """What stands after the last underscore is taken for a version."""

    def key(self, name):
        return name.rpartition("_")[0] or name


class PrefixNames(Refusing):
    """A collection is found by the beginning of its name."""

    def _collection(self, spec):
        for name in sorted(self.stored):
            if name.startswith(spec.name):
                return self.stored[name]
        return super()._collection(spec)


class LikeNames(Refusing):
    """An underscore in a collection's name stands for any character."""

    def _collection(self, spec):
        for name in sorted(self.stored):
            pairs = zip(name, spec.name, strict=False)
            if len(name) == len(spec.name) and all(b in (a, "_") for a, b in pairs):
                return self.stored[name]
        return super()._collection(spec)


class DropsByPrefix(Refusing):
    """drop() drops every collection whose name begins like this."""

    caught_as = CollectionNotFound

    def _drop(self, spec):
        for name in list(self.stored):
            if name.startswith(spec.name):
                del self.stored[name]


class OneTable(Refusing):
    """The same id in two collections is one record."""

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        for name, stored in self.stored.items():
            if name != spec.name:
                for id in batch.uuids:
                    stored.records.pop(id, None)


class DeletesEverywhere(Refusing):
    """delete() deletes an id in every collection."""

    def _delete(self, spec, ids):
        super()._delete(spec, ids)
        for stored in self.stored.values():
            for id in ids:
                stored.records.pop(id, None)


class OneSetOfRecords(Refusing):
    """All collections of the same shape share their records."""

    def _create(self, spec):
        super()._create(spec)
        shape = (spec.dimensions, spec.metric, tuple(spec.fields))
        shapes = self.__dict__.setdefault("shapes", {})
        self.stored[spec.name].records = shapes.setdefault(shape, self.stored[spec.name].records)


class CreateClears(Refusing):
    """create() makes the collection anew."""

    def _create(self, spec):
        super()._create(spec)
        self._collection(spec).records.clear()


class CreateReplaces(Refusing):
    """create() with another shape replaces the collection."""

    def _create(self, spec):
        if spec.name in self.stored and self.stored[spec.name].spec != spec:
            del self.stored[spec.name]
        super()._create(spec)


class CreateLooksAtNamesOnly(Refusing):
    """create() overlooks that a collection has another shape."""

    def _create(self, spec):
        with suppress(CollectionMismatch):
            super()._create(spec)


class CreateOverlooksFields(Refusing):
    """create() looks at dimensions and metric, not at fields."""

    def _create(self, spec):
        try:
            super()._create(spec)
        except CollectionMismatch:
            existing = self.stored[spec.name].spec
            if (existing.dimensions, existing.metric) != (spec.dimensions, spec.metric):
                raise


class CreateOnce(Refusing):
    """create() of a collection that exists is an error."""

    caught_as = CollectionMismatch

    def _create(self, spec):
        if spec.name in self.stored:
            raise CollectionMismatch(spec.name)
        super()._create(spec)


class DropLeavesRecords(Refusing):
    """drop() takes away the collection, and not its records."""

    def _drop(self, spec):
        dropped = self.stored.get(spec.name)
        super()._drop(spec)
        if dropped:
            self.__dict__.setdefault("left", {})[spec.name] = dropped.records

    def _create(self, spec):
        known = spec.name in self.stored
        super()._create(spec)
        if not known:
            self.stored[spec.name].records.update(self.__dict__.get("left", {}).get(spec.name, {}))


class DropOnlyEmpties(Refusing):
    """drop() takes away the records, and leaves the collection."""

    def _drop(self, spec):
        if spec.name in self.stored:
            self.stored[spec.name].records.clear()


class DropKeepsTheShape(Refusing):
    """A dropped collection can only be made again in the shape that it had."""

    caught_as = CollectionMismatch

    def _create(self, spec):
        if self.__dict__.setdefault("shapes", {}).setdefault(spec.name, spec) != spec:
            raise CollectionMismatch(spec.name)
        super()._create(spec)


class DropOnce(Refusing):
    """drop() of a missing collection is an error."""

    caught_as = CollectionNotFound

    def _drop(self, spec):
        self._collection(spec)
        super()._drop(spec)


class MissingIsEmpty(Refusing):
    """A missing collection is like an empty one."""

    def _collection(self, spec):
        return self.stored.get(spec.name) or StoredCollection(spec)


class WritingMakes(Refusing):
    """Writing into a missing collection makes it."""

    def _upsert(self, spec, batch):
        self._create(spec)
        super()._upsert(spec, batch)


class DeletingFromNothing(Refusing):
    """delete() does not notice that the collection is missing."""

    def _delete(self, spec, ids):
        with suppress(CollectionNotFound):
            super()._delete(spec, ids)


class NothingAsked(Refusing):
    """in=[] is answered without asking whether there is a collection."""

    def search(self, spec, vector, *, filter=None, **asked):
        if filter is not None and filter.children == [("n__in", [])]:
            return []
        return super().search(spec, vector, filter=filter, **asked)


class AwayIsEmpty(Refusing):
    """A service that cannot be reached is like an empty one."""

    def _search(self, *asked):
        try:
            return super()._search(*asked)
        except BackendUnavailable:
            return []


class AwaySeemsWell(Refusing):
    """health() is ok whether there is a service or not."""

    def health(self):
        return Health(ok=True, message="It was made.")


class ListsNothing(Refusing):
    """collections() is always empty."""

    def _collections(self):
        return []


class ListsForEver(Refusing):
    """collections() lists what was dropped."""

    def _drop(self, spec):
        self.__dict__.setdefault("before", set()).add(spec.name)
        super()._drop(spec)

    def _collections(self):
        return sorted({*self.stored, *self.__dict__.get("before", ())})


class ListsUnsorted(Refusing):
    """collections() lists names in the order in which they were made."""

    def collections(self):
        return self._collections()


class ClosesForGood(Refusing):
    """After close() nothing works."""

    caught_as = RuntimeError

    def close(self):
        self.closed = True

    def _create(self, spec):
        if self.__dict__.get("closed"):
            raise RuntimeError("The client has been closed.")
        super()._create(spec)


class NeverEmpty(Refusing):
    """A new collection holds a record that it was made with."""

    def _create(self, spec):
        known = spec.name in self.stored
        super()._create(spec)
        if not known:
            first = RecordBatch.of(ids=[uuid4()], vectors=[[1.0] * spec.dimensions])
            self._collection(spec).records.update({record.id: record for record in first})


class AnyMetric(Refusing):
    """create() takes a metric that the backend does not declare."""

    metrics = frozenset({"cosine"})

    def _check_spec(self, spec):
        return None


class SharedByInstances(Refusing):
    """Instances that say they are apart share their collections."""

    shared: ClassVar[dict[str, StoredCollection]] = {}

    def __init__(self):
        super().__init__()
        self.stored = self.shared


class ChecksInTexts(Refusing):
    """check() returns texts, which ``manage.py check`` cannot show."""

    def check(self):
        return ["The folder is missing."]
