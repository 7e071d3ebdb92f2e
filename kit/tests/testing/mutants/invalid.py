"""Backends that check only a part of what they are given."""

import math

from wagtail_vector_index.contract.records import RecordBatch
from wagtail_vector_index.exceptions import InvalidRecord

from .base import Refusing, made

VECTORS = "test_bad_vectors_anywhere_in_a_batch"
COMPONENTS = "test_bad_components_anywhere_in_a_vector"
METADATA = "test_bad_metadata_anywhere_in_a_batch"
IDS = "test_bad_ids_anywhere"


def looks_at_rows(name, says, chosen):
    """Only some vectors of a batch are checked."""

    def _first_invalid_vector(self, spec, batch):
        for row in chosen(len(batch)):
            if Refusing._first_invalid_vector(self, spec, batch[row : row + 1]) is not None:
                return row
        return None

    made(VECTORS, name, says, _first_invalid_vector=_first_invalid_vector)


looks_at_rows("ChecksFirstVector", "the first vector of a batch is checked.", lambda n: [0])
looks_at_rows("ChecksLastVector", "the last vector of a batch is checked.", lambda n: [n - 1])
looks_at_rows("ChecksEnds", "the first and the last vector are checked.", lambda n: [0, n - 1])
looks_at_rows("ChecksHundred", "100 vectors are checked.", lambda n: range(min(n, 100)))
looks_at_rows("ChecksThousand", "1,000 vectors are checked.", lambda n: range(min(n, 1_000)))
looks_at_rows("ChecksEveryTenth", "every tenth vector is checked.", lambda n: range(0, n, 10))
looks_at_rows("SkipsTheFirst", "all vectors but the first are checked.", lambda n: range(1, n))


def looks_at_components(name, says, wrong):
    """Only some components, or some mistakes, are looked for."""

    def _first_invalid_vector(self, spec, batch):
        for row in range(len(batch)):
            if wrong(batch.vector(row).tolist()):
                return row
        return None

    made(COMPONENTS, name, says, _first_invalid_vector=_first_invalid_vector)


def bad(numbers):
    return not all(map(math.isfinite, numbers))


looks_at_components("First16", "16 components are checked.", lambda v: bad(v[:16]))
looks_at_components("First1024", "1,024 components are checked.", lambda v: bad(v[:1_024]))
looks_at_components("First2000", "2,000 components are checked.", lambda v: bad(v[:2_000]))
looks_at_components("Last1024", "the last 1,024 are checked.", lambda v: bad(v[-1_024:]))
looks_at_components("OnlyNaN", "infinity is not looked for.", lambda v: any(map(math.isnan, v)))
looks_at_components("OnlyInfinity", "NaN is not looked for.", lambda v: any(map(math.isinf, v)))
looks_at_components(
    "OnlyPlusInfinity",
    "minus infinity is fine.",
    lambda v: bad([max(v)]) or any(map(math.isnan, v)),
)
looks_at_components(
    "MaximumOnly", "the largest component is checked.", lambda v: not math.isfinite(max(v))
)


def looks_at_metadata(number):
    """Metadata is checked for the first rows of a batch."""

    def upsert(self, spec, batch):
        Refusing.upsert(self, spec, batch[:number])
        unchecked = batch[number:]
        if len(unchecked):
            Refusing.upsert(
                self,
                spec,
                RecordBatch(
                    ids=unchecked.ids,
                    vectors=unchecked.vectors,
                    metadata=unchecked.metadata,
                    dimensions=unchecked.dimensions,
                    checked=True,
                ),
            )

    made(
        METADATA, f"ChecksMetadata{number}", f"metadata of {number} rows is checked.", upsert=upsert
    )


for _number in (1, 100, 999):
    looks_at_metadata(_number)


def looks_at_ids(number):
    """Ids are checked for the first of a list."""

    def _id_parts(self, ids):
        ids = list(ids)
        good = [id for id in ids[number:] if hasattr(id, "bytes")]
        return Refusing._id_parts(self, [*ids[:number], *good])

    made(IDS, f"ChecksIds{number}", f"{number} ids are checked.", _id_parts=_id_parts)


for _number in (1, 100, 999):
    looks_at_ids(_number)


def writes_part(self, spec, batch):
    """Each part is checked and written when its turn comes."""
    for start in range(0, len(batch), 500):
        Refusing.upsert(self, spec, batch[start : start + 500])


made(
    VECTORS,
    "WritesGoodParts",
    "parts before the one with a bad vector are written.",
    upsert=writes_part,
)


def deletes_good(self, spec, ids):
    """Ids before a wrong one are deleted."""
    for id in ids:
        if not hasattr(id, "bytes"):
            raise InvalidRecord("no UUID")
        Refusing.delete(self, spec, [id])


made(IDS, "DeletesGoodIds", "ids before a wrong one are deleted.", delete=deletes_good)
