"""Backends that go wrong while others write, or with many callers at once."""

from .base import Refusing, caught_by


@caught_by("test_scan_while_other_records_change")
class ScansByOffset(Refusing):
    """A scan counts the records that it has returned, and skips as many."""

    def _scan(self, spec, batch_size):
        start = 0
        while records := self._records(spec)[start : start + batch_size]:
            yield self._batch(records)
            start += batch_size


@caught_by("test_scan_while_other_records_change")
class AsyncScansByOffset(Refusing):
    """ascan() does the same, in the order of the ids."""

    async def _ascan(self, spec, batch_size):
        start = 0
        while records := sorted(self._records(spec), key=lambda it: it.id)[start:][:batch_size]:
            yield self._batch(records)
            start += batch_size


@caught_by("test_scan_while_other_records_change")
class ScansByOffsetInOrder(Refusing):
    """A scan in the order of the ids returns a record again if another is written before it."""

    def _scan(self, spec, batch_size):
        start, known = 0, len(self._records(spec))
        while records := sorted(self._records(spec), key=lambda it: it.id)[start:][:batch_size]:
            yield self._batch(records)
            # It knows of deletes, not of writes.
            start += batch_size - max(0, known - len(self._records(spec)))
            known = len(self._records(spec))
