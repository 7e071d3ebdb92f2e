"""Backends that are right while there are few records, matches, names or dimensions.

Most of them are made by functions: the same mistake with each number at which engines make it.
"""

from wagtail_vector_index.testing.oracle import OracleBackend

from .base import Refusing, caught_by, made


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
