"""Backends that go wrong while others write, or with many callers at once."""

import asyncio
from threading import Event, Semaphore

from wagtail_vector_index.exceptions import BackendUnavailable

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


class PoolOfTen(Refusing):
    """A pool has ten connections, and is an error for the eleventh caller."""

    caught_as = BackendUnavailable

    def __init__(self):
        super().__init__()
        self.busy = Semaphore(10)
        self.exhausted = Event()

    def take(self):
        if not self.busy.acquire(blocking=False):
            self.exhausted.set()
            raise BackendUnavailable("The pool has no connection left.")


@caught_by("test_more_threads_than_a_pool_has_connections")
class ThreadsExhaustThePool(PoolOfTen):
    """Ten threads that search are the most."""

    def _search(self, *arguments):
        self.take()
        self.exhausted.wait(timeout=10)
        found = super()._search(*arguments)
        self.busy.release()
        return found


@caught_by("test_async_more_at_once_than_a_pool_has_connections")
class CoroutinesExhaustThePool(PoolOfTen):
    """Ten coroutines that search are the most."""

    async def _asearch(self, *arguments):
        self.take()
        await asyncio.sleep(0)
        found = await super()._asearch(*arguments)
        self.busy.release()
        return found
