"""Backends that write something else, more, less, or at another time."""

from uuid import UUID

from wagtail_vector_index.contract.records import Record, RecordBatch
from wagtail_vector_index.exceptions import InvalidVector, WriteFailed

from .base import Refusing, of, pick


class DuplicatesAppended(Refusing):
    """A second upsert of an id adds a second record."""

    def _upsert(self, spec, batch):
        records = self._collection(spec).records
        records.update({(record.id, len(records), row): record for row, record in enumerate(batch)})


class FirstOfABatchWins(Refusing):
    """Where an id comes twice in a batch, the first record counts."""

    def upsert(self, spec, batch):
        super().upsert(spec, batch)
        first = {record.id: record for record in reversed(list(batch))}
        if len(first) < len(batch):
            super().upsert(spec, of(first.values()))


class OldRecordsStay(Refusing):
    """An upsert of an id that exists changes nothing."""

    def _upsert(self, spec, batch):
        known = self._collection(spec).records
        super()._upsert(spec, pick(batch, lambda record: record.id not in known))


class StaleUpsertWins(Refusing):
    """Of the writes to an id, the first comes last: it is written again later."""

    def _upsert(self, spec, batch):
        records = self._collection(spec).records
        log = self.__dict__.setdefault("log", {})
        super()._upsert(spec, batch)
        for record in batch:
            log.setdefault((spec.name, record.id), record)
        records.update({id: log[spec.name, id] for id in records if id not in set(batch.uuids)})


class OldVectorsStay(Refusing):
    """An upsert replaces metadata, and leaves the vector."""

    def _upsert(self, spec, batch):
        known = dict(self._collection(spec).records)
        super()._upsert(spec, batch)
        for record in batch:
            if record.id in known:
                self._collection(spec).records[record.id] = Record(
                    id=record.id, vector=known[record.id].vector, metadata=record.metadata
                )


class MergesMetadata(Refusing):
    """Keys that the new metadata lacks stay as they were."""

    def _upsert(self, spec, batch):
        known = dict(self._collection(spec).records)
        super()._upsert(spec, batch)
        for record in batch:
            if record.id in known:
                record.metadata.update({**known[record.id].metadata, **record.metadata})
                self._collection(spec).records[record.id] = record


class StaleFilterColumns(Refusing):
    """A replaced record still matches what it matched before."""

    def _upsert(self, spec, batch):
        before = self._collection(spec).records
        self.old = {
            record.id: before[record.id].metadata for record in batch if record.id in before
        }
        super()._upsert(spec, batch)

    def _search(self, spec, vector, limit, filter, min_score):
        found = super()._search(spec, vector, limit, filter, min_score)
        known = {match.id for match in found}
        old = {
            id
            for id, metadata in self.__dict__.get("old", {}).items()
            if self._matches(filter, metadata)
        }
        every = super()._search(spec, vector, 1_000_000, None, min_score)
        return found + [match for match in every if match.id in old - known]


class RemainderDropped(Refusing):
    """What does not fill a part of a batch is lost."""

    def upsert(self, spec, batch):
        whole = len(batch) - len(batch) % self.max_batch_records
        super().upsert(spec, batch[:whole] if whole else batch)


class FirstPartOnly(Refusing):
    """Only the first part of a batch is written."""

    def upsert(self, spec, batch):
        super().upsert(spec, batch[: self.max_batch_records])


class LastPartOnly(Refusing):
    """A big batch that is written again and again from its start."""

    def _upsert(self, spec, batch):
        self._collection(spec).records.clear() if len(batch) == self.max_batch_records else None
        super()._upsert(spec, batch)


class BytesCut(Refusing):
    """What is beyond the limit of bytes is not sent."""

    def _upsert(self, spec, batch):
        room = self.max_batch_bytes
        rows = 0
        for text in batch.metadata:
            room -= len(text.encode())
            rows += room > 0
        super()._upsert(spec, batch[:rows])


class HalfWritten(Refusing):
    """Half of a batch is written, and success reported."""

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch[: (len(batch) + 1) // 2])


class RefusalsOnlyLogged(Refusing):
    """Records that the store refuses are forgotten silently."""

    def report(self, refused):
        return None


class RefusalsUnnamed(Refusing):
    """The error says that something failed, and not what."""

    def report(self, refused):
        raise WriteFailed("Something failed.", [])


class FailedPartsSkipped(Refusing):
    """When a part fails, the others are written, and success reported."""

    def upsert(self, spec, batch):
        for part in self._upsert_parts(spec, batch):
            try:
                self._upsert(spec, part)
            except WriteFailed:
                continue


class RestUnnamed(Refusing):
    """The error names the ids of the part that failed, not those of the parts never sent."""

    def upsert(self, spec, batch):
        for part in self._upsert_parts(spec, batch):
            self._upsert(spec, part)


class WritesBeforeChecking(Refusing):
    """Records before an invalid one are written, then the error is raised."""

    def upsert(self, spec, batch):
        try:
            super().upsert(spec, batch)
        except InvalidVector:
            if batch.dimensions == spec.dimensions:
                for row in range(len(batch)):
                    super().upsert(spec, batch[row : row + 1])
            raise


class ChecksPartByPart(Refusing):
    """Each part of a batch is checked when its turn comes."""

    def upsert(self, spec, batch):
        for start in range(0, len(batch), self.max_batch_records):
            super().upsert(spec, batch[start : start + self.max_batch_records])


class RolledBackStaysVisible(Refusing):
    """A batch that is refused stays in the cache that searches read."""

    def upsert(self, spec, batch):
        try:
            super().upsert(spec, batch)
        except Exception:
            good = [
                row for row in batch if len(row.vector) == spec.dimensions and row.vector[0] < 9
            ]
            super()._upsert(spec, of(good))
            raise


class SkipsInvalid(Refusing):
    """Records with an invalid vector are left out silently."""

    def upsert(self, spec, batch):
        try:
            super().upsert(spec, batch)
        except InvalidVector:
            return


class AcceptsNaN(Refusing):
    """NaN and infinity are written like numbers."""

    def _first_invalid_vector(self, spec, batch):
        return None


class AcceptsZeroUnderCosine(Refusing):
    """A zero vector is written under cosine."""

    def _first_invalid_vector(self, spec, batch):
        row = super()._first_invalid_vector(spec, batch)
        return None if row is not None and not any(batch.vector(row)) else row


class RefusesZero(Refusing):
    """A zero vector is refused under every metric."""

    caught_as = InvalidVector

    def _first_invalid_vector(self, spec, batch):
        zero = (row for row in range(len(batch)) if not any(batch.vector(row)))
        return next(zero, super()._first_invalid_vector(spec, batch))


class PadsVectors(Refusing):
    """Vectors that are too short are filled up with zeros, longer ones cut."""

    def upsert(self, spec, batch):
        size = spec.dimensions
        super().upsert(spec, of(batch, vector=lambda vector: ([*vector] + [0.0] * size)[:size]))


class AcceptsAnyMetadata(Refusing):
    """Metadata is written without a look at its types."""

    def upsert(self, spec, batch):
        super().upsert(
            spec,
            RecordBatch(
                ids=batch.ids,
                vectors=batch.vectors,
                metadata=batch.metadata,
                dimensions=batch.dimensions,
                checked=True,
            ),
        )


class KeepsBuffers(Refusing):
    """The caller's buffers are kept, and read at each search."""

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        rows = self.__dict__.setdefault("rows", {})
        rows.update({(spec.name, id): (batch, row) for row, id in enumerate(batch.uuids)})

    def _search(self, spec, vector, limit, filter, min_score):
        for record in self._records(spec):
            batch, row = self.rows[spec.name, record.id]
            self._collection(spec).records[record.id] = Record(
                id=record.id, vector=tuple(batch.vector(row)), metadata=record.metadata
            )
        return super()._search(spec, vector, limit, filter, min_score)


class WholeBuffers(Refusing):
    """A slice of a batch is read from the start of its buffers."""

    def upsert(self, spec, batch):
        source = batch.vectors.obj if isinstance(batch.vectors, memoryview) else batch.vectors
        vectors = bytes(source)[: 4 * batch.dimensions * len(batch)]
        super().upsert(
            spec,
            RecordBatch(
                ids=batch.ids, vectors=vectors, metadata=batch.metadata, dimensions=batch.dimensions
            ),
        )


class NeedsOptimize(Refusing):
    """What is written is found after optimize() only."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = super()._search(spec, vector, limit, filter, min_score)
        return found if self.__dict__.get("optimized") else found[:0]

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        self.optimized = False

    def _optimize(self, spec):
        self.optimized = True


class OptimizeForgets(Refusing):
    """optimize() loses the record written last."""

    def _optimize(self, spec):
        records = self._collection(spec).records
        if records:
            records.popitem()


class ExactFindsNothing(Refusing):
    """A setting of searches finds nothing."""

    def _search(self, spec, vector, limit, filter, min_score):
        return [] if spec.setting else super()._search(spec, vector, limit, filter, min_score)


class EmptyBatchFails(Refusing):
    """An empty batch is an error."""

    caught_as = IndexError

    def upsert(self, spec, batch):
        batch.uuids[0]
        super().upsert(spec, batch)


class LazyDeletes(Refusing):
    """Deletes are carried out after the next write, and may hit what it wrote."""

    def _delete(self, spec, ids):
        self.late = (spec, ids)
        super()._delete(spec, ids)

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        where, ids = self.__dict__.pop("late", (spec, ()))
        if where == spec:
            super()._delete(where, ids)


class LaterDeletes(Refusing):
    """Deletes are carried out at the next optimize(), and may hit newer records."""

    def _delete(self, spec, ids):
        self.__dict__.setdefault("late", set()).update(ids)
        super()._delete(spec, ids)

    def _optimize(self, spec):
        super()._delete(spec, self.__dict__.pop("late", ()))


class DeletesForEver(Refusing):
    """An id that was deleted is never seen again."""

    def _delete(self, spec, ids):
        self.__dict__.setdefault("gone", set()).update(ids)
        super()._delete(spec, ids)

    def _upsert(self, spec, batch):
        gone = self.__dict__.get("gone", ())
        super()._upsert(spec, pick(batch, lambda record: record.id not in gone))


class DeletesAtNextWrite(Refusing):
    """A deleted record is found until something is written."""

    def _delete(self, spec, ids):
        self._collection(spec)
        self.__dict__.setdefault("late", {}).setdefault(spec.name, []).extend(ids)

    def _upsert(self, spec, batch):
        super()._delete(spec, self.__dict__.get("late", {}).pop(spec.name, ()))
        super()._upsert(spec, batch)


class DeletesFirstPart(Refusing):
    """delete() deletes as many records as one call may carry."""

    def _id_parts(self, ids):
        return super()._id_parts(ids)[:1]


class DeletesOne(Refusing):
    """delete() deletes the first id only."""

    def _delete(self, spec, ids):
        super()._delete(spec, ids[:1])


class DeleteNeedsTheRecord(Refusing):
    """delete() of a missing id is an error."""

    caught_as = KeyError

    def _delete(self, spec, ids):
        for id in ids:
            del self._collection(spec).records[id]


class DeleteStopsAtMissing(Refusing):
    """delete() stops at the first missing id."""

    def _delete(self, spec, ids):
        for id in ids:
            if self._collection(spec).records.pop(id, None) is None:
                return


class DeletesAllForNone(Refusing):
    """delete() of no ids is a delete without a condition."""

    def delete(self, spec, ids):
        ids = list(ids)
        super().delete(spec, ids or self._collection(spec).records)


class AnyId(Refusing):
    """Ids may be anything; what is no UUID is not found."""

    def _id_parts(self, ids):
        return super()._id_parts([id for id in ids if isinstance(id, UUID)])


class AcceptsAnyJson(Refusing):
    """Metadata that is no object is taken for an empty one."""

    def upsert(self, spec, batch):
        texts = [text if text.startswith('{"') else "{}" for text in batch.metadata]
        super().upsert(
            spec,
            RecordBatch(
                ids=batch.ids, vectors=batch.vectors, metadata=texts, dimensions=batch.dimensions
            ),
        )


class NeverMended(Refusing):
    """A record that was refused once stays hidden, even if it is deleted and written again."""

    def report(self, refused):
        self.hidden = refused
        super().report(refused)

    def _upsert(self, spec, batch):
        hidden = getattr(self, "hidden", ())
        super()._upsert(spec, pick(batch, lambda record: record.id not in hidden))


class FindsNobodyMissing(Refusing):
    """unfound() believes that every record is found."""

    def unfound(self, spec, batch):
        return []


class MissesEqualRecords(Refusing):
    """unfound() looks only at the nearest match, which may be another record."""

    def unfound(self, spec, batch):
        nearest = (self.search(spec, record.vector, limit=1) for record in batch)
        found = {match.id for matches in nearest for match in matches}
        return [id for id in batch.uuids if id not in found]


class KeyedByPart(Refusing):
    """A record replaces another one if a part of their ids is the same."""

    def part(self, id):
        return id

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        last = {self.part(it.id): it.id for it in self._records(spec)}
        self._delete(spec, [it.id for it in self._records(spec) if last[self.part(it.id)] != it.id])


class LowHalves(KeyedByPart):
    """The lower 64 bits of an id are its number."""

    def part(self, id):
        return id.int & (2**64 - 1)


class HighHalves(KeyedByPart):
    """The higher 64 bits of an id are its number."""

    def part(self, id):
        return id.int >> 64


class FirstFields(KeyedByPart):
    """The first 32 bits of an id are its number."""

    def part(self, id):
        return id.time_low
