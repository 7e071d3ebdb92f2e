"""A scan returns what stays, once, while other records are written and deleted."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from wagtail_vector_index.contract import RecordBatch

from .event_loops import WAYS, AsyncHarness, Way
from .examples import random_vectors, sorted_ids
from .expect import expect_ids
from .rules import about

__all__ = ["ScanTests"]


class ScanTests(AsyncHarness):
    @about("scans-give-each-record-once")
    @pytest.mark.parametrize("way", WAYS)
    @pytest.mark.parametrize("method", ["upsert", "delete"])
    def test_scan_while_other_records_change(self, way: Way, method: str) -> None:
        spec = self.collection()
        records = RecordBatch.of(ids=sorted_ids(40), vectors=random_vectors(40, 4))
        new = iter([records[row : row + 1] for row in range(10)])
        self.backend.upsert(spec, records[10:])
        stay, came = set(records[10:].uuids), list[UUID]()

        def change(batch: RecordBatch) -> Any:
            """Return the next record to write, of a low id, or two to delete that have come."""
            came.extend(batch.uuids)
            if method == "upsert":
                return next(new, records[:1])
            stay.difference_update(batch.uuids[:2])
            return batch.uuids[:2]

        async def scan() -> None:
            write = getattr(self.backend, f"a{method}")
            async for batch in self.backend.ascan(spec, batch_size=5):
                await write(spec, change(batch))

        if way == "asynchronous":
            self.in_loop(scan())
        else:
            for batch in self.backend.scan(spec, batch_size=5):
                getattr(self.backend, method)(spec, change(batch))
        rule = "A scan returns each record that stays once, also while others are changed."
        expect_ids((id for id in came if id in stay), stay, rule, f"scan() with {method}()")
