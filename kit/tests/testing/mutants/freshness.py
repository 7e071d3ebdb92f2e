"""Backends that remember what they should not, or lose something late."""

from typing import ClassVar

from wagtail_vector_index.contract.records import Match
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound
from wagtail_vector_index.testing.oracle import OracleBackend, StoredCollection

from .base import Refusing, caught_by, made


class Shared(Refusing):
    """Right in everything; all instances share one store, as those of a server do."""

    persistent = True
    store: ClassVar[dict[str, StoredCollection]] = {}

    def __init__(self):
        super().__init__()
        self.stored = self.store


def remembers(test, name, says, read, *, across=(), base=Refusing):
    """A read is remembered by the instance, until that instance writes in another way."""

    def answers(self):
        return self.__dict__.setdefault("answers", {})

    def remembered(self, spec, *asked):
        self._collection(spec)
        shown = [each.tolist() if isinstance(each, memoryview) else each for each in asked]
        key = (spec.name, repr(shown))
        if key not in answers(self):
            result = getattr(OracleBackend, read)(self, spec, *asked)
            answers(self)[key] = list(result) if read == "_scan" else result
        kept = answers(self)[key]
        return iter(kept) if read == "_scan" else kept

    def forgets(method):
        def write(self, spec, *given):
            result = getattr(base, method)(self, spec, *given)
            for key in [key for key in answers(self) if key[0] == spec.name]:
                del answers(self)[key]
            return result

        return write

    writes = {"_upsert", "_delete", "_drop", "_create"}.difference(across)
    methods = {method: forgets(method) for method in writes}
    made(test, name, says, base, **methods, **{read: remembered})


_READS = {"_count": "Counts", "_search": "Searches", "_get": "Records", "_scan": "Scans"}
_WRITES = {"Upserts": ["_upsert"], "Deletes": ["_delete"], "Drops": ["_drop", "_create"]}
for _read, _what in _READS.items():
    for _kind, _across in _WRITES.items():
        remembers(
            "test_reads_see_every_write",
            f"Keeps{_what}Across{_kind}",
            f"what {_read}() returned is remembered across {_kind.lower()}.",
            _read,
            across=_across,
        )
    remembers(
        "test_two_instances_write_in_turn",
        f"Keeps{_what}OfItsOwn",
        f"what {_read}() returned is remembered until the same instance writes.",
        _read,
        base=Shared,
    )


@caught_by("test_two_instances_write_in_turn")
class ListsItsOwn(Shared):
    """collections() is remembered until the same instance creates or drops."""

    def _create(self, spec):
        super()._create(spec)
        self.__dict__.pop("listed", None)

    def _drop(self, spec):
        super()._drop(spec)
        self.__dict__.pop("listed", None)

    def _collections(self):
        if "listed" not in self.__dict__:
            self.listed = super()._collections()
        return self.listed


@caught_by("test_two_instances_change_the_shape_in_turn")
class ShapesItsOwn(Shared):
    """The shape of a collection is looked up once by each instance."""

    caught_as = (AssertionError, CollectionMismatch)

    def _create(self, spec):
        known = self.__dict__.setdefault("shapes", {})
        if known.setdefault(spec.name, spec) != spec:
            raise CollectionMismatch(spec.name)
        super()._create(spec)

    def _drop(self, spec):
        super()._drop(spec)
        self.__dict__.get("shapes", {}).pop(spec.name, None)


@caught_by("test_two_instances_change_the_shape_in_turn")
class ExistsForEver(Shared):
    """That a collection exists is looked up once by each instance."""

    def _collection(self, spec):
        known = self.__dict__.setdefault("known", {})
        try:
            known[spec.name] = super()._collection(spec)
        except CollectionNotFound:
            if spec.name not in known:
                raise
        return known[spec.name]

    def _drop(self, spec):
        super()._drop(spec)
        self.__dict__.get("known", {}).pop(spec.name, None)


@caught_by("test_two_instances_write_in_turn")
class WritesAtOptimize(Shared):
    """What one instance writes is seen by others after its optimize()."""

    def _records(self, spec):
        held = self.__dict__.get("held", {}).get(spec.name, {})
        own = {record.id: record for record in super()._records(spec)} | held
        return list(own.values())

    def _upsert(self, spec, batch):
        self._collection(spec)
        held = self.__dict__.setdefault("held", {}).setdefault(spec.name, {})
        held.update({record.id: record for record in batch})

    def _delete(self, spec, ids):
        super()._delete(spec, ids)
        for id in ids:
            self.__dict__.get("held", {}).get(spec.name, {}).pop(id, None)

    def _optimize(self, spec):
        self._collection(spec).records.update(self.__dict__.get("held", {}).pop(spec.name, {}))

    def _drop(self, spec):
        super()._drop(spec)
        self.__dict__.get("held", {}).pop(spec.name, None)


@caught_by("test_collections_are_listed")
class KeepsListsAfterDrops(Refusing):
    """collections() is remembered until something is created."""

    def _create(self, spec):
        super()._create(spec)
        self.__dict__.pop("listed", None)

    def _collections(self):
        if "listed" not in self.__dict__:
            self.listed = super()._collections()
        return self.listed


@caught_by("test_nothing_is_remembered_across_drop_and_create")
class KeepsShapesAfterDrops(Refusing):
    """The fields that filters know are those of the first collection of a name."""

    def _count(self, spec, filter):
        known = self.__dict__.setdefault("shapes", {}).setdefault(spec.name, dict(spec.fields))
        if known != dict(spec.fields):
            return 0
        return super()._count(spec, filter)


def after_optimize(method, says):
    """Something is not seen after `optimize`, which has built an index."""

    def _optimize(self, spec):
        self.__dict__.setdefault("built", {})[spec.name] = dict(self._collection(spec).records)

    def _search(self, spec, vector, limit, filter, min_score):
        built = self.__dict__.get("built", {}).get(spec.name)
        if built is None:
            return OracleBackend._search(self, spec, vector, limit, filter, min_score)
        now = dict(self._collection(spec).records)
        if method == "Upserts":
            seen = {id: record for id, record in now.items() if id in built}
        elif method == "Deletes":
            seen = built | now
        else:  # replaced vectors
            seen = {id: built.get(id, record) for id, record in now.items()}
        records = self._collection(spec).records
        self._collection(spec).records = seen
        try:
            return OracleBackend._search(self, spec, vector, limit, filter, min_score)
        finally:
            self._collection(spec).records = records

    def _drop(self, spec):
        Refusing._drop(self, spec)
        self.__dict__.get("built", {}).pop(spec.name, None)

    made(
        "test_reads_see_every_write",
        f"Index{method}Missed",
        says,
        _optimize=_optimize,
        _search=_search,
        _drop=_drop,
    )


after_optimize("Upserts", "what is written after optimize() is not found.")
after_optimize("Deletes", "what is deleted after optimize() is found.")
after_optimize("Vectors", "a vector that is replaced after optimize() is found as it was.")


@caught_by("test_nothing_is_remembered_across_drop_and_create")
class IndexOutlivesDrop(Refusing):
    """The index that optimize() built is that of the name, also after drop() and create()."""

    def _optimize(self, spec):
        self.__dict__.setdefault("built", {})[spec.name] = list(self._records(spec))

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        self.__dict__.get("built", {}).pop(spec.name, None)

    def _search(self, spec, vector, limit, filter, min_score):
        self._collection(spec)
        for record in self.__dict__.get("built", {}).get(spec.name, ()):
            if len(record.vector) == spec.dimensions:
                return [Match(id=record.id, score=0.0)]
        return super()._search(spec, vector, limit, filter, min_score)


@caught_by("test_close_between_all_operations")
class CloseForgetsDeletes(Shared):
    """Deletes are forgotten when the backend is closed."""

    def _delete(self, spec, ids):
        records = self._collection(spec).records
        self.__dict__.setdefault("undone", []).extend(
            (spec.name, records[id]) for id in ids if id in records
        )
        super()._delete(spec, ids)

    def _drop(self, spec):
        super()._drop(spec)
        self.undone = [each for each in self.__dict__.get("undone", []) if each[0] != spec.name]

    def close(self):
        for name, record in self.__dict__.pop("undone", []):
            if name in self.stored:
                self.stored[name].records.setdefault(record.id, record)


@caught_by("test_close_between_all_operations")
class ClosesItsThreads(Refusing):
    """After close(), asynchronous calls fail."""

    caught_as = RuntimeError

    def close(self):
        self.closed = True

    async def _asearch(self, *asked):
        if self.__dict__.get("closed"):
            raise RuntimeError("cannot schedule new futures after shutdown")
        return await super()._asearch(*asked)


@caught_by("test_a_long_series_of_small_writes")
class Tires(Refusing):
    """After a hundred small writes, they wait for a merge that never comes."""

    def _upsert(self, spec, batch):
        self.writes = self.__dict__.get("writes", 0) + 1
        if self.writes <= 100:
            super()._upsert(spec, batch)


@caught_by("test_two_instances_write_in_turn")
class OneMemory(Refusing):
    """Counts are remembered by the class, for all instances, until that instance writes."""

    memory: ClassVar[dict] = {}

    def _count(self, spec, filter):
        self._collection(spec)
        key = (spec.name, repr(filter))
        if key not in self.memory:
            self.memory[key] = super()._count(spec, filter)
        return self.memory[key]

    def forget(self, spec):
        for key in [key for key in self.memory if key[0] == spec.name]:
            del self.memory[key]

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        self.forget(spec)

    def _delete(self, spec, ids):
        super()._delete(spec, ids)
        self.forget(spec)

    def _drop(self, spec):
        super()._drop(spec)
        self.forget(spec)


def answers_by(name, says, key):
    """A search is remembered by a part of its question, until something is written."""

    def _search(self, spec, vector, limit, filter, min_score):
        self._collection(spec)
        asked = (spec.name, key(vector.tolist(), limit, filter, min_score))
        answers = self.__dict__.setdefault("answers", {})
        if asked not in answers:
            answers[asked] = OracleBackend._search(self, spec, vector, limit, filter, min_score)
        return answers[asked]

    def _upsert(self, spec, batch):
        OracleBackend._upsert(self, spec, batch)
        self.__dict__.pop("answers", None)

    made(
        "test_similar_questions_have_their_own_answers",
        name,
        says,
        _search=_search,
        _upsert=_upsert,
    )


answers_by(
    "RoundedQuestions",
    "queries that are equal to two digits get one answer.",
    lambda vector, *asked: repr(([round(one, 2) for one in vector], *asked)),
)
answers_by(
    "QuestionsWithoutVector",
    "queries of one beginning get one answer.",
    lambda vector, *asked: repr((vector[:2], *asked)),
)
answers_by(
    "QuestionsWithoutThreshold",
    "a search with another min_score gets the same answer.",
    lambda vector, limit, filter, min_score: repr((vector, limit, filter)),
)
answers_by(
    "QuestionsByValues",
    "filters with the same values get one answer.",
    lambda vector, limit, filter, min_score: repr(
        (vector, limit, min_score, str(getattr(filter, "value", filter)))
    ),
)
