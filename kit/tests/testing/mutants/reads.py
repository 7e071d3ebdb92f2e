"""Backends that give back something else than was written."""

import json
import unicodedata
from array import array
from struct import pack, unpack

from wagtail_vector_index.contract.records import RecordBatch

from .base import Refusing, of


class Changing(Refusing):
    """Right in everything; records are changed on their way back."""

    def _get(self, spec, ids):
        return self.back(spec, super()._get(spec, ids))

    def _scan(self, spec, batch_size):
        for batch in super()._scan(spec, batch_size):
            yield self.back(spec, batch)

    def back(self, spec, batch):
        return of(batch, self.metadata, lambda vector: self.vector(spec, vector))

    def vector(self, spec, vector):
        return vector

    def metadata(self, metadata):
        if isinstance(metadata, dict):
            return {self.key(key): self.metadata(value) for key, value in metadata.items()}
        if isinstance(metadata, list):
            return [self.metadata(value) for value in metadata]
        return self.value(metadata)

    def key(self, key):
        return key

    def value(self, value):
        return value


class Float16Vectors(Changing):
    """Vectors come back in half precision."""

    def vector(self, spec, vector):
        return unpack(f"{len(vector)}e", pack(f"{len(vector)}e", *vector))


class NormalisedVectors(Changing):
    """Vectors come back with a length of one under every metric."""

    def vector(self, spec, vector):
        return [one / (sum(each**2 for each in vector) ** 0.5 or 1) for one in vector]


class MirroredVectors(Changing):
    """Vectors come back with another sign."""

    def vector(self, spec, vector):
        return [-one for one in vector]


class VectorsWithheld(Changing):
    """Vectors do not come back unless one asks for them."""

    def vector(self, spec, vector):
        return [0.0] * len(vector)


class RowsMixedUp(Changing):
    """Vectors and metadata come back in another order than the ids."""

    def back(self, spec, batch):
        swapped = RecordBatch.of(
            ids=sorted(batch.uuids),
            vectors=[record.vector for record in batch],
            metadata=[record.metadata for record in batch],
        )
        return swapped if len(batch) else batch


class RoundedFloats(Changing):
    """Floats come back with six digits."""

    def value(self, value):
        return round(value, 6) if isinstance(value, float) else value


class Float32Metadata(Changing):
    """Floats in metadata come back as float32."""

    def value(self, value):
        return array("f", [value])[0] if isinstance(value, float) and abs(value) < 1e38 else value


class IntsAsFloats(Changing):
    """Integers come back by way of floating point."""

    def value(self, value):
        return min(int(float(value)), 2**63 - 1) if type(value) is int else value


class Int32Metadata(Changing):
    """Integers come back as 32 bits."""

    def value(self, value):
        return (value + 2**31) % 2**32 - 2**31 if type(value) is int else value


class BoolsAsInts(Changing):
    """True comes back as 1."""

    def value(self, value):
        return int(value) if isinstance(value, bool) else value


class NumbersAsTexts(Changing):
    """Numbers come back as texts."""

    def value(self, value):
        return str(value) if type(value) in (int, float) else value


class NoneDropped(Changing):
    """Keys whose value is None do not come back."""

    def metadata(self, metadata):
        if isinstance(metadata, dict):
            metadata = {key: value for key, value in metadata.items() if value is not None}
        return super().metadata(metadata)


class EmptyListsDropped(Changing):
    """Empty lists come back as None."""

    def metadata(self, metadata):
        return None if metadata == [] else super().metadata(metadata)


class SortedLists(Changing):
    """Lists come back as sets do."""

    def metadata(self, metadata):
        if isinstance(metadata, list):
            return sorted(metadata, key=str)
        return super().metadata(metadata)


class ComposedTexts(Changing):
    """Texts come back in one normal form."""

    def value(self, value):
        return unicodedata.normalize("NFC", value) if isinstance(value, str) else value


class TrimmedTexts(Changing):
    """Texts come back without white space around them."""

    def value(self, value):
        return value.strip() if isinstance(value, str) else value


class ShortTexts(Changing):
    """Texts come back cut after 65,535 bytes."""

    def value(self, value):
        if not isinstance(value, str):
            return value
        return value.encode()[:65_535].decode(errors="ignore")


class ThreeByteTexts(Changing):
    """Characters of four bytes are lost."""

    def value(self, value):
        if not isinstance(value, str):
            return value
        return "".join(each for each in value if ord(each) < 0x10000)


class EscapedTexts(Changing):
    """Texts come back escaped for HTML."""

    def value(self, value):
        return value.replace("<", "&lt;") if isinstance(value, str) else value


class ParsedTexts(Changing):
    """Texts that look like JSON come back parsed."""

    def value(self, value):
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            return value


class LowerCaseKeys(Changing):
    """Keys come back in lower case."""

    def key(self, key):
        return key.lower()


class NestedKeys(Changing):
    """A dot in a key makes a level."""

    def key(self, key):
        return key.split(".")[0]


class ReservedKeysDropped(Changing):
    """The keys that the store uses itself do not come back."""

    def metadata(self, metadata):
        if isinstance(metadata, dict):
            metadata = {
                key: value for key, value in metadata.items() if key not in ("id", "vector")
            }
        return super().metadata(metadata)


class FlatMetadata(Changing):
    """Objects in objects come back as texts."""

    def metadata(self, metadata):
        return {
            key: json.dumps(value) if isinstance(value, dict) else value
            for key, value in metadata.items()
        }


class DeclaredOnly(Changing):
    """Only declared fields are stored."""

    def back(self, spec, batch):
        return of(
            batch, lambda metadata: {key: metadata[key] for key in metadata if key in spec.fields}
        )


class ScanRepeats(Refusing):
    """A scan repeats a record where a new batch begins."""

    def _scan(self, spec, batch_size):
        records = self._records(spec)
        for start in range(0, len(records), batch_size):
            yield self._batch(records[max(0, start - 1) : start + batch_size - 1 or 1])


class ScanSkips(Refusing):
    """A scan misses a record where a new batch begins."""

    def _scan(self, spec, batch_size):
        records = self._records(spec)
        for start in range(0, len(records), batch_size + 1):
            yield self._batch(records[start : start + batch_size])


class ScanStops(Refusing):
    """A scan leaves out the last batch if it is not full."""

    def _scan(self, spec, batch_size):
        for batch in super()._scan(spec, batch_size):
            if len(batch) == batch_size or batch_size > 10:
                yield batch


class ScanInOne(Refusing):
    """A scan gives one batch, whatever the size."""

    def _scan(self, spec, batch_size):
        return super()._scan(spec, 1_000_000)


class ScanOfNoSize(Refusing):
    """A batch size of zero is no size."""

    def scan(self, spec, *, batch_size=1_000):
        return super().scan(spec, batch_size=batch_size or 1_000)


class GetNeedsAll(Refusing):
    """get() of a missing id is an error."""

    caught_as = KeyError

    def _get(self, spec, ids):
        return self._batch([self._collection(spec).records[id] for id in ids])


class GetRepeats(Refusing):
    """get() gives a record as often as its id was asked for."""

    def get(self, spec, ids):
        ids = list(ids)
        found = {record.id: record for record in super().get(spec, ids)}
        return self._batch([found[id] for id in ids if id in found])


class GetFirstPart(Refusing):
    """get() gives as many records as one call may carry."""

    def get(self, spec, ids):
        return super().get(spec, list(ids)[: self.max_batch_records])


class GetAllForNone(Refusing):
    """get() of no ids is a query without a condition."""

    def get(self, spec, ids):
        return super().get(spec, list(ids) or self._collection(spec).records)


class CountOfWrites(Refusing):
    """count() counts what was written, once for each time."""

    def _upsert(self, spec, batch):
        super()._upsert(spec, batch)
        written = self.__dict__.setdefault("written", {})
        written[spec.name] = written.get(spec.name, 0) + len(batch)

    def _count(self, spec, filter):
        right = super()._count(spec, filter)
        return right if filter else self.__dict__.get("written", {}).get(spec.name, right)


class CountCapped(Refusing):
    """count() counts to a thousand."""

    def _count(self, spec, filter):
        return min(1_000, super()._count(spec, filter))
