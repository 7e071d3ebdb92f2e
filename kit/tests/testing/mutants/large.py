"""Backends that are right while there is little of everything, and late, or for one reader only.

Most of them are made by functions: the same mistake with each number at which engines make it.
"""

from typing import ClassVar

from wagtail_vector_index.contract.filters import And, Not, Or
from wagtail_vector_index.contract.records import Match
from wagtail_vector_index.exceptions import CollectionMismatch, CollectionNotFound
from wagtail_vector_index.testing.oracle import OracleBackend, StoredCollection

from .base import Refusing, caught_by, made
from .filters import Texts, Walking

# Sizes


def takes_first(method, number):
    """One of the methods for ids or batches looks at the first ``number`` only."""

    def take(self, spec, given):
        return getattr(OracleBackend, method)(self, spec, given[:number])

    async def take_asynchronously(self, spec, given):
        return await getattr(OracleBackend, method)(self, spec, given[:number])

    asynchronous = method.startswith("_a")
    made(
        "test_batches_as_large_as_declared",
        f"{method.strip('_').capitalize()}sFirst{number}",
        f"{method}() takes the first {number} of what it is given.",
        **{method: take_asynchronously if asynchronous else take},
    )


for _method in ("_get", "_delete", "_upsert", "_aget", "_adelete", "_aupsert"):
    for _number in (10, 100, 256, 500, 512, 999):
        takes_first(_method, _number)


def candidates(number, order, *, with_filter):
    """A LIMIT before the ORDER BY: a search looks at ``number`` records in some order."""

    def _search(self, spec, vector, limit, filter, min_score):
        if (filter is not None) != with_filter:
            return OracleBackend._search(self, spec, vector, limit, filter, min_score)
        records = [
            record for record in self._records(spec) if self._matches(filter, record.metadata)
        ]
        if order == "ById":
            records.sort(key=lambda record: record.id)
        elif order == "Latest":
            records.reverse()
        kept = {record.id for record in records[: max(number, limit)]}
        found = OracleBackend._search(self, spec, vector, 1_000_000, filter, min_score)
        return [match for match in found if match.id in kept][:limit]

    kind = "Filtered" if with_filter else ""
    made(
        "test_nearest_among_many",
        f"{kind}Candidates{order}{number}",
        f"a search {'with' if with_filter else 'without'} a filter looks at {number} records.",
        _search=_search,
    )


for _number in (1_000, 2_000, 5_000):
    for _order in ("AsWritten", "ById", "Latest"):
        for _filter in (False, True):
            candidates(_number, _order, with_filter=_filter)


def most_matches(number, *, asynchronous):
    """A search returns at most ``number`` matches."""

    def _search(self, spec, vector, limit, filter, min_score):
        return OracleBackend._search(self, spec, vector, min(limit, number), filter, min_score)

    async def _asearch(self, spec, vector, limit, filter, min_score):
        return await OracleBackend._asearch(
            self, spec, vector, min(limit, number), filter, min_score
        )

    made(
        "test_large_limits",
        f"{'Async' if asynchronous else ''}Matches{number}",
        f"a search returns {number} matches at most.",
        **({"_asearch": _asearch} if asynchronous else {"_search": _search}),
    )


for _number in (200, 500, 1_000, 5_000):
    most_matches(_number, asynchronous=False)
for _number in (200, 1_000, 5_000):
    most_matches(_number, asynchronous=True)


def counts_to(number, *, asynchronous):
    """A count goes no further than ``number``."""

    def _count(self, spec, filter):
        return min(number, OracleBackend._count(self, spec, filter))

    async def _acount(self, spec, filter):
        return min(number, await OracleBackend._acount(self, spec, filter))

    made(
        "test_many_are_counted",
        f"{'Async' if asynchronous else ''}CountsTo{number}",
        f"a count goes to {number}.",
        **({"_acount": _acount} if asynchronous else {"_count": _count}),
    )


for _number in (2_000, 5_000):
    counts_to(_number, asynchronous=False)
    counts_to(_number, asynchronous=True)


def scans(number, of):
    """A scan stops after ``number`` batches or records."""

    def _scan(self, spec, batch_size):
        seen = 0
        for turn, batch in enumerate(OracleBackend._scan(self, spec, batch_size)):
            seen += len(batch)
            if (turn if of == "Batches" else seen) >= number:
                yield batch[: max(0, len(batch) - (seen - number))] if of == "Records" else batch
                return
            yield batch

    made(
        "test_scan_of_many",
        f"Scans{number}{of}",
        f"a scan stops after {number} {of.lower()}.",
        _scan=_scan,
    )


for _number, _of in ((100, "Batches"), (1_000, "Batches"), (1_000, "Records"), (5_000, "Records")):
    scans(_number, _of)


def lists_first(number):
    """collections() returns the first page."""

    def _collections(self):
        return OracleBackend._collections(self)[:number]

    made(
        "test_dozens_of_collections",
        f"Lists{number}",
        f"collections() lists {number} names.",
        _collections=_collections,
    )


for _number in (10, 20, 50, 100):
    lists_first(_number)


@caught_by("test_drop_of_many")
class DropsFirstThousand(Refusing):
    """drop() deletes a thousand records, and what is left comes back with the name."""

    def _drop(self, spec):
        dropped = self.stored.get(spec.name)
        super()._drop(spec)
        if dropped:
            rest = dict(list(dropped.records.items())[1_000:])
            self.__dict__.setdefault("left", {})[spec.name] = rest

    def _create(self, spec):
        known = spec.name in self.stored
        super()._create(spec)
        if not known:
            self.stored[spec.name].records.update(self.__dict__.get("left", {}).pop(spec.name, {}))


@caught_by("test_many_records_are_replaced")
class ReplacesFirstThousand(Refusing):
    """Of a batch of records that exist, a thousand are replaced."""

    def _upsert(self, spec, batch):
        known = dict(self._collection(spec).records)
        super()._upsert(spec, batch)
        if len(batch) > 1_000 or len(known) > 1_000:
            for id in list(known)[1_000:]:
                self._collection(spec).records[id] = known[id]


@caught_by("test_search_after_many_deletes")
class DeletedRecordsTakePlaces(Refusing):
    """The candidates of a search are found before deleted records are left out."""

    def _delete(self, spec, ids):
        records = self._collection(spec).records
        gone = self.__dict__.setdefault("gone", {}).setdefault(spec.name, {})
        gone.update({id: records[id] for id in ids if id in records})
        super()._delete(spec, ids)

    def _search(self, spec, vector, limit, filter, min_score):
        records = self._collection(spec).records
        gone = self.__dict__.get("gone", {}).get(spec.name, {})
        self._collection(spec).records = gone | records
        try:
            found = super()._search(spec, vector, limit + 1_000, filter, min_score)
        finally:
            self._collection(spec).records = records
        return [match for match in found if match.id in records][:limit]


def dimensions_of(number):
    """Scores are those of the first components."""

    def _score(self, metric, query, vector):
        return OracleBackend._score(self, metric, query[:number], vector[:number])

    made(
        "test_search_in_thousands_of_dimensions",
        f"Dimensions{number}",
        f"scores are computed from {number} components.",
        _score=_score,
    )


for _number in (1_024, 2_000, 2_048, 3_000):
    dimensions_of(_number)


# Filters


def values_of(type_, number):
    """in looks at the first ``number`` values of one type."""

    def holds(self, node, stored, lookup, value):
        if lookup == "in" and node.type == type_:
            value = value[:number]
        return Walking.holds(self, node, stored, lookup, value)

    made(
        "test_filter_by_thousands_of_values",
        f"InOf{number}{type_.capitalize()}s",
        f"in looks at the first {number} values of type {type_}.",
        Walking,
        holds=holds,
    )


for _type in ("str", "int", "float", "datetime"):
    for _number in (999, 2_000, 4_096):
        values_of(_type, _number)


def elements(number):
    """contains looks at the first ``number`` elements."""

    def holds(self, node, stored, lookup, value):
        return Walking.holds(
            self, node, stored[:number] if lookup == "contains" else stored, lookup, value
        )

    made(
        "test_filter_long_lists",
        f"ContainsOf{number}",
        f"contains looks at {number} elements.",
        Walking,
        holds=holds,
    )


for _number in (100, 1_000, 2_500):
    elements(_number)


def text_of(number):
    """Texts are compared up to a number of characters."""

    def change(self, text):
        return text[:number]

    made(
        "test_filter_texts_that_differ_at_their_ends",
        f"TextsOf{number}",
        f"texts are compared up to {number} characters.",
        Texts,
        change=change,
    )


for _number in (1_024, 8_191, 32_766, 65_535):
    text_of(_number)


def branches(number, kind):
    """A filter has at most ``number`` branches."""

    def _matches(self, node, metadata):
        if isinstance(node, kind) and len(node.children) > number:
            node = kind(node.children[:number])
        return Walking._matches(self, node, metadata)

    made(
        "test_filter_trees_of_hundreds_of_branches",
        f"{kind.__name__}Of{number}",
        f"{kind.__name__.upper()} has at most {number} branches.",
        Walking,
        _matches=_matches,
    )


for _kind in (And, Or):
    for _number in (64, 256, 512):
        branches(_number, _kind)


@caught_by("test_filter_trees_of_hundreds_of_branches")
class FewLevels(Walking):
    """What is deeper than 32 levels in a filter matches."""

    depth = 0

    def _matches(self, node, metadata):
        self.depth += 1
        try:
            return self.depth > 32 or super()._matches(node, metadata)
        finally:
            self.depth -= 1


# Time


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


# Order


def ties(name, says, wrong):
    """Equal scores are ordered in another way for some searches."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = OracleBackend._search(self, spec, vector, 1_000_000, filter, min_score)
        if wrong(spec, limit, filter, min_score):
            order = {record.id: row for row, record in enumerate(self._records(spec))}
            found.sort(key=lambda match: (-match.score, order[match.id]))
        return found[:limit]

    made("test_ties_at_larger_limits", name, says, _search=_search)


ties(
    "TiesCutAboveAHundred",
    "equal scores are cut as they were written if the limit is above 100.",
    lambda spec, limit, filter, min_score: limit > 100,
)
ties(
    "TiesCutAboveAThousand",
    "equal scores are cut as they were written if the limit is above 1,000.",
    lambda spec, limit, filter, min_score: limit > 1_000,
)
ties(
    "TiesCutUnderFilters",
    "with a filter, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: filter is not None and limit > 60,
)
ties(
    "TiesCutUnderNegations",
    "with a negated filter, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: isinstance(filter, Not),
)
ties(
    "TiesCutUnderThresholds",
    "with a min_score, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: min_score is not None,
)
for _metric in ("cosine", "dot", "euclidean"):
    ties(
        f"TiesCutUnder{_metric.capitalize()}",
        f"under {_metric}, equal scores are cut as they were written above 100.",
        lambda spec, limit, filter, min_score, metric=_metric: (
            spec.metric == metric and limit > 100
        ),
    )


@caught_by("test_ties_at_larger_limits")
class AsyncTiesAsWritten(Refusing):
    """asearch() cuts equal scores as they were written."""

    async def _asearch(self, spec, vector, limit, filter, min_score):
        found = await super()._asearch(spec, vector, 1_000_000, filter, min_score)
        order = {record.id: row for row, record in enumerate(self._records(spec))}
        return sorted(found, key=lambda match: (-match.score, order[match.id]))[:limit]


def thresholds(name, says, wrong):
    """A match whose score is min_score is left out of some searches."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = OracleBackend._search(self, spec, vector, limit, filter, min_score)
        if min_score is None or not wrong(spec, filter, min_score):
            return found
        return [match for match in found if match.score > min_score]

    made("test_thresholds_at_exact_scores", name, says, _search=_search)


thresholds(
    "ExclusiveUnderFilters",
    "with a filter, min_score leaves out its own score.",
    lambda spec, filter, min_score: filter is not None,
)
thresholds(
    "ExclusiveUnderNegations",
    "with a negated filter, min_score leaves out its own score.",
    lambda spec, filter, min_score: isinstance(filter, Not),
)
thresholds(
    "ExclusiveBelowZero",
    "a negative min_score leaves out its own score.",
    lambda spec, filter, min_score: spec.metric == "dot" and min_score < -4,
)


@caught_by("test_thresholds_at_exact_scores")
class AsyncMinScoreExclusive(Refusing):
    """asearch() leaves out the score that is min_score."""

    async def _asearch(self, spec, vector, limit, filter, min_score):
        found = await super()._asearch(spec, vector, limit, filter, min_score)
        return [match for match in found if min_score is None or match.score > min_score]


@caught_by("test_thresholds_at_exact_scores")
class ThresholdBeforeLimit(Refusing):
    """min_score is applied to the nearest ten, then the filter."""

    def _search(self, spec, vector, limit, filter, min_score):
        if min_score is None or filter is None:
            return super()._search(spec, vector, limit, filter, min_score)
        near = super()._search(spec, vector, 10, None, min_score)
        kept = super()._search(spec, vector, 1_000_000, filter, None)
        return [match for match in near if match in kept]


# Magnitude


def overflows(metric, largest):
    """Scores are computed with numbers that end at ``largest``."""

    def _score(self, asked, query, vector):
        right = OracleBackend._score(self, asked, query, vector)
        if asked == metric and max(map(abs, (*query, *vector))) > largest:
            return float("-inf") if metric == "euclidean" else float("inf")
        return right

    made(
        "test_vectors_of_any_length",
        f"{metric.capitalize()}Beyond{largest:.0e}".replace("+", ""),
        f"under {metric}, numbers beyond {largest:g} have no score.",
        _score=_score,
    )


overflows("euclidean", 1e19)
overflows("euclidean", 1e12)
overflows("dot", 1e19)
overflows("dot", 1e12)
overflows("cosine", 1e8)


@caught_by("test_lengths_of_all_kinds_in_one_collection")
class ShortVectorsAreZero(Refusing):
    """Under cosine, a component below 1e-7 is zero."""

    def _score(self, metric, query, vector):
        if metric == "cosine" and max(map(abs, vector)) < 1e-7:
            return 0.0
        return super()._score(metric, query, vector)
