"""delete() deletes exactly the named records, at once."""

from __future__ import annotations

from uuid import UUID

import pytest
from django.db.models import Q

from wagtail_vector_index.contract import RecordBatch

from .event_loops import WAYS, AsyncHarness, Way
from .examples import id_of, random_vectors, sorted_ids
from .expect import expect_equal, expect_metadata
from .rules import about

__all__ = ["DeletingTests"]


class DeletingTests(AsyncHarness):
    @about("deletes-take-what-they-name")
    @pytest.mark.parametrize("way", WAYS)
    def test_delete_one(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"locale": "str"})
        self.describe(spec, {name: {"locale": "en"} for name in "abc"})
        self.backend.delete(spec, [id_of("b")])
        left = sorted([id_of("a"), id_of("c")])
        expect_equal(self.names(spec), left, "A deleted record is not found.")
        expect_equal(
            self.names(spec, Q(locale="en")), left, "A deleted record is not found with a filter."
        )
        expect_equal(self.backend.count(spec), 2, "A deleted record is not counted.")
        expect_equal(
            self.backend.count(spec, Q(locale="en")),
            2,
            "A deleted record is not counted with a filter.",
        )
        expect_equal(sorted(self.stored(spec)), left, "A scan does not return a deleted record.")
        got = self.backend.get(spec, [id_of("b")])
        expect_equal(len(got), 0, "get() does not return a deleted record.")

    @about("deletes-take-what-they-name")
    def test_delete_several(self) -> None:
        spec = self.collection()
        ids = sorted_ids(6)
        for container in (list, tuple, set, iter):
            self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(6, 4)))
            self.backend.delete(spec, container([ids[0], ids[3], ids[5]]))
            expect_equal(
                self.names(spec), [ids[1], ids[2], ids[4]], "Exactly the named records are deleted."
            )

    @about("deletes-take-what-they-name")
    def test_delete_ids_that_share_a_part(self) -> None:
        """A store that takes numbers alone as ids must not keep a part of each id."""
        spec = self.collection()
        one = sorted_ids(1)[0].bytes
        other = bytes(byte ^ 0xFF for byte in one)
        ids = [UUID(bytes=one), UUID(bytes=other), UUID(int=0), UUID(int=1), UUID(int=2**128 - 1)]
        for size in (4, 8, 12):
            ids += [UUID(bytes=one[:size] + other[size:]), UUID(bytes=other[:size] + one[size:])]
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(len(ids), 4)))
        rule = "Ids that share a part are different records."
        expect_equal(sorted(self.stored(spec)), sorted(ids), rule)
        while ids:
            self.backend.delete(spec, [ids.pop()])
            expect_equal(sorted(self.stored(spec)), sorted(ids), rule)
            expect_equal(len(self.backend.get(spec, ids)), len(ids), rule)

    @about("deletes-take-what-they-name")
    def test_delete_what_is_missing(self) -> None:
        spec = self.collection()
        self.backend.delete(spec, [id_of("never")])
        self.put(spec, {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]})
        self.backend.delete(spec, [id_of("never"), id_of("a"), id_of("never"), id_of("a")])
        expect_equal(self.names(spec), [id_of("b")], "delete() ignores ids that do not exist.")
        self.backend.delete(spec, [id_of("a")])

    @about("empty-batches-do-nothing")
    def test_delete_nothing(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4]})
        self.backend.delete(spec, [])
        expect_equal(self.backend.count(spec), 1, "delete() of no ids deletes nothing.")

    @about("batches-of-any-size")
    def test_delete_beyond_the_limit_of_records(self) -> None:
        spec = self.collection()
        self.cap_batches(records=4)
        ids = sorted_ids(12)
        self.backend.upsert(spec, RecordBatch.of(ids=ids, vectors=random_vectors(12, 4)))
        self.backend.delete(spec, ids[:11])
        expect_equal(self.names(spec), ids[11:], "delete() deletes every part of a batch of ids.")

    @about("deleted-records-can-come-back")
    @pytest.mark.parametrize("way", WAYS)
    def test_delete_and_write_again(self, way: Way) -> None:
        self.go(way)
        spec = self.collection(fields={"locale": "str"})
        self.describe(spec, {"a": {"locale": "en", "note": "old"}})
        self.backend.delete(spec, [id_of("a")])
        self.describe(spec, {"a": {"locale": "de"}})
        rule = "A record that was deleted and written again stays."
        expect_equal(self.names(spec), [id_of("a")], rule)
        self.describe(spec, {"b": {}})
        self.backend.delete(spec, [id_of("c")])
        self.backend.optimize(spec)
        expect_equal(self.names(spec), sorted([id_of("a"), id_of("b")]), rule)
        expect_equal(self.names(spec, Q(locale="en")), [], "The deleted metadata is gone.")
        [record] = self.backend.get(spec, [id_of("a")])
        expect_metadata(record.metadata, {"locale": "de"})

    @about("deletes-take-what-they-name")
    def test_delete_everything(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": [1, 2, 3, 4], "b": [4, 3, 2, 1]})
        self.backend.delete(spec, [id_of("a"), id_of("b")])
        expect_equal(
            self.names(spec), [], "After all records were deleted, a search finds nothing."
        )
        self.put(spec, {"c": [1, 2, 3, 4]})
        expect_equal(self.names(spec), [id_of("c")], "A collection can be filled again.")
