"""Backends with habits of real engines: they skip what seems equal, and share what they return."""

from wagtail_vector_index.contract import Comparison, Health, Record, RecordBatch
from wagtail_vector_index.testing.oracle import OracleBackend

from .base import Refusing, caught_by, of, pick


@caught_by("test_query_stays_as_it_is")
class QueryIsChanged(Refusing):
    """A search scales the vector of the query where it is."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = OracleBackend._search(self, spec, vector, limit, filter, min_score)
        for place in range(len(vector)):
            vector[place] *= 2
        return found


@caught_by("test_upsert_without_metadata_removes_it")
class EmptyMetadataKeepsTheOld(Refusing):
    """Metadata is replaced unless there is none."""

    def _upsert(self, spec, batch):
        old = self._collection(spec).records
        kept = [
            Record(id=it.id, vector=it.vector, metadata=it.metadata or old[it.id].metadata)
            if it.id in old
            else it
            for it in batch
        ]
        super()._upsert(spec, of(kept))


@caught_by("test_upsert_replaces_the_metadata")
class EqualVectorsAreSkipped(Refusing):
    """A record that comes again with an equal vector is not written."""

    def _upsert(self, spec, batch):
        old = self._collection(spec).records
        new = pick(batch, lambda it: it.id not in old or old[it.id].vector != it.vector)
        super()._upsert(spec, new)


@caught_by("test_what_was_read_stays_as_it_is")
class ReadVectorsChange(Refusing):
    """A batch shows the vectors as they are now, not as they were read."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def _get(self, spec, ids):
        batch = super()._get(spec, ids)
        vectors = bytearray(batch.vectors)
        self.shown.append((spec, batch.uuids, vectors))
        return RecordBatch(
            ids=batch.ids,
            vectors=memoryview(vectors),
            metadata=batch.metadata,
            dimensions=batch.dimensions,
        )

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        size = 4 * spec.dimensions
        for of_spec, ids, vectors in self.shown:
            for row, id in enumerate(batch.uuids):
                if of_spec == spec and id in ids:
                    start = size * ids.index(id)
                    vectors[start : start + size] = bytes(batch.vector(row))


@caught_by("test_every_component_counts")
class FirstThousandComponents(Refusing):
    """Scores look at the first thousand components."""

    def _score(self, metric, query, vector):
        return super()._score(metric, query[:1_000], vector[:1_000])


@caught_by("test_scan_in_batches_of_any_size")
class BatchesOf32Bits(Refusing):
    """The size of a batch must fit into 32 bits."""

    caught_as = OverflowError

    def _scan(self, spec, batch_size):
        if batch_size >= 2**31:
            raise OverflowError("too large")
        return super()._scan(spec, batch_size)


@caught_by("test_min_score_of_any_magnitude")
class ThresholdsOfFloat32(Refusing):
    """A threshold that float32 cannot hold keeps nothing."""

    def _search(self, spec, vector, limit, filter, min_score):
        if min_score is not None and abs(min_score) > 3.4e38:
            return []
        return super()._search(spec, vector, limit, filter, min_score)


@caught_by("test_filter_lists_of_texts")
class RepeatedElementsCountTwice(Refusing):
    """A count joins the elements of a list as they come."""

    def _count(self, spec, filter):
        if isinstance(filter, Comparison) and filter.lookup == "contains":
            lists = [record.metadata.get(filter.field) or [] for record in self._records(spec)]
            return sum(elements.count(filter.value) for elements in lists)
        return super()._count(spec, filter)


@caught_by("test_close_between_all_operations")
class AsyncClosesForGood(Refusing):
    """After aclose(), nothing works any more."""

    caught_as = RuntimeError
    is_closed = False

    async def aclose(self):
        self.is_closed = True

    def reach(self):
        super().reach()
        if self.is_closed:
            raise RuntimeError("closed")


@caught_by("test_acreate_adrop_and_the_rest")
class AsyncUnhealthy(Refusing):
    """ahealth() says that nothing works."""

    async def ahealth(self):
        return Health(ok=False, message="away", details={})


@caught_by("test_acreate_adrop_and_the_rest")
class AsyncOptimizeForgets(Refusing):
    """aoptimize() deletes all records."""

    async def _aoptimize(self, spec):
        self._collection(spec).records.clear()


@caught_by("test_metadata_keys")
class EmptyKeysDropped(Refusing):
    """Metadata loses the value of the empty key."""

    def _upsert(self, spec, batch):
        def without(metadata):
            return {key: value for key, value in metadata.items() if key}

        super()._upsert(spec, of(batch, metadata=without))
