"""Backends that do not bear threads, event loops or forks."""

import asyncio
import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import replace
from threading import Barrier, BrokenBarrierError

from wagtail_vector_index.contract.records import Record, RecordBatch
from wagtail_vector_index.exceptions import BackendUnavailable

from .base import Refusing, of

PAUSE = 0.02


class TornVectors(Refusing):
    """A search can see a vector that is half old, half new."""

    def _upsert(self, spec, batch):
        known = dict(self._collection(spec).records)
        half = spec.dimensions // 2
        mixed = [
            Record(
                id=record.id,
                vector=record.vector[:half] + known[record.id].vector[half:],
                metadata=record.metadata,
            )
            for record in batch
            if record.id in known
        ]
        if mixed:
            super()._upsert(spec, of(mixed))
            time.sleep(4 * PAUSE)
        super()._upsert(spec, batch)


class VectorsThenMetadata(Refusing):
    """Two writers can leave one's vector with the other's metadata."""

    def __init__(self):
        super().__init__()
        self.writers = Barrier(4)

    def _upsert(self, spec, batch):
        before = dict(self._collection(spec).records)
        super()._upsert(spec, of(with_metadata(batch, before)))
        with suppress(BrokenBarrierError):
            self.writers.wait(timeout=0.5)
        own = next(iter(batch))
        if self._collection(spec).records[own.id].vector != own.vector:
            # The writer whose vectors stay must not be the one whose metadata does.
            time.sleep(PAUSE)
        after = {record.id: record for record in batch}
        super()._upsert(spec, of(with_metadata(self._records(spec), after)))


def with_metadata(records, source):
    return [
        Record(
            id=record.id,
            vector=record.vector,
            metadata=source.get(record.id, record).metadata,
        )
        for record in records
    ]


class LostUpdates(Refusing):
    """Records are copied, changed, and put back; what came between is lost."""

    def _upsert(self, spec, batch):
        records = dict(self._collection(spec).records)
        time.sleep(PAUSE)
        records.update({record.id: record for record in batch})
        self._collection(spec).records = records


class SharedQuery(Refusing):
    """The query is kept on the instance, where another thread's replaces it."""

    def _search(self, spec, vector, limit, filter, min_score):
        self.query = vector
        time.sleep(PAUSE)
        return super()._search(spec, self.query, limit, filter, min_score)


class NotLocked(Refusing):
    """A dict is read while others change its size."""

    caught_as = (RuntimeError, AssertionError)

    def _records(self, spec):
        found = []
        for number, record in enumerate(self._collection(spec).records.values()):
            if number % 8 == 0:
                time.sleep(PAUSE / 10)
            found.append(record)
        return found


class ConnectsTwice(Refusing):
    """Threads that use it first at once get a client each, and each but one an empty one."""

    def _search(self, spec, vector, limit, filter, min_score):
        if "client" not in self.__dict__:
            with suppress(BrokenBarrierError):
                self.__dict__.setdefault("meeting", Barrier(2)).wait(timeout=2)
            first = "client" not in self.__dict__
            self.client = object()
            if not first:
                return []
        return super()._search(spec, vector, limit, filter, min_score)


class CreateRaces(Refusing):
    """create() looks, and then makes; of several, all but one fail."""

    caught_as = RuntimeError

    def _create(self, spec):
        if spec.name not in self.stored:
            time.sleep(4 * PAUSE)
            if spec.name in self.stored:
                raise RuntimeError("relation already exists")
        super()._create(spec)


class DropRaces(Refusing):
    """drop() looks, and then drops; of several, all but one fail."""

    caught_as = KeyError

    def _drop(self, spec):
        if spec.name in self.stored:
            time.sleep(4 * PAUSE)
            del self.stored[spec.name]


class BoundToALoop(Refusing):
    """An asynchronous client is of use in the event loop that saw it first."""

    caught_as = RuntimeError

    async def _asearch(self, spec, vector, limit, filter, min_score):
        loop = self.__dict__.setdefault("loop", asyncio.get_running_loop())
        if loop is not asyncio.get_running_loop():
            raise RuntimeError("attached to a different loop")
        return await super()._asearch(spec, vector, limit, filter, min_score)


class AsyncSearchIgnoresTheFilter(Refusing):
    """asearch() searches everything."""

    async def _asearch(self, spec, vector, limit, filter, min_score):
        return await super()._asearch(spec, vector, limit, None, min_score)


class AsyncSearchIgnoresMinScore(Refusing):
    """asearch() has no threshold."""

    async def asearch(self, spec, vector, *, min_score=None, **asked):
        return await super().asearch(spec, vector, **asked)


class AsyncCountIgnoresTheFilter(Refusing):
    """acount() counts everything."""

    async def _acount(self, spec, filter):
        return await super()._acount(spec, None)


class AsyncGetsFirst(Refusing):
    """aget() gets one record."""

    async def _aget(self, spec, ids):
        return await super()._aget(spec, ids[:1])


class AsyncScansOnce(Refusing):
    """ascan() gives the first batch only."""

    async def ascan(self, spec, *, batch_size=1_000):
        async for batch in super().ascan(spec, batch_size=batch_size):
            yield batch
            return


class AsyncSearchBlocks(Refusing):
    """asearch() calls search() in the thread of the event loop."""

    async def _asearch(self, *asked):
        return self._search(*asked)


class AsyncSearchSleeps(Refusing):
    """asearch() asks a synchronous client, which waits for its answer."""

    async def _asearch(self, *asked):
        time.sleep(0.001)  # noqa: ASYNC251  # the mistake
        return await super()._asearch(*asked)


class AsyncUpsertWaitsForTheNetwork(Refusing):
    """aupsert() asks a synchronous client, which reads from a socket."""

    async def _aupsert(self, spec, batch):
        client, server = socket.socketpair()
        with client, server:
            server.sendall(b"done")
            client.recv(4)
        await super()._aupsert(spec, batch)


class AsyncUpsertMergesMetadata(Refusing):
    """aupsert() keeps old keys that the new metadata lacks."""

    async def _aupsert(self, spec, batch):
        old = self._collection(spec).records
        merged = [
            replace(it, metadata={**old[it.id].metadata, **it.metadata}) if it.id in old else it
            for it in batch
        ]
        await super()._aupsert(spec, of(merged))


class AsyncGetMixesRowsUp(Refusing):
    """aget() gives vectors in the store's order, and ids in the caller's."""

    async def _aget(self, spec, ids):
        got = await super()._aget(spec, ids)
        found = {record.id: record for record in got}
        asked = [id for id in ids if id in found]
        return RecordBatch.of(
            ids=asked,
            vectors=[record.vector for record in got],
            metadata=[found[id].metadata for id in asked],
        )


class AsyncGetsTheFirstVector(Refusing):
    """aget() gives the vector that a record had first."""

    def __init__(self):
        super().__init__()
        self.first = {}

    def _upsert(self, spec, batch):
        for record in batch:
            self.first.setdefault((spec.name, record.id), record.vector)
        super()._upsert(spec, batch)

    async def _aget(self, spec, ids):
        got = await super()._aget(spec, ids)
        return of(replace(it, vector=self.first[spec.name, it.id]) for it in got)


class AsyncCreateLooksAtDimensions(Refusing):
    """acreate() compares the dimensions alone."""

    async def _acreate(self, spec):
        existing = self.stored.get(spec.name)
        if existing is None or existing.spec.dimensions != spec.dimensions:
            await super()._acreate(spec)


class AsyncErrorsOfTheClient(Refusing):
    """acount() raises what the client raises."""

    async def _acount(self, spec, filter):
        try:
            return await super()._acount(spec, filter)
        except BackendUnavailable as error:
            raise ConnectionRefusedError from error


class AsyncUpsertsFirstPart(Refusing):
    """aupsert() writes the first part of a batch."""

    async def aupsert(self, spec, batch):
        await super().aupsert(spec, batch[: self.max_batch_records])


class AsyncDeletesLater(Refusing):
    """adelete() does not wait for the delete."""

    async def _adelete(self, spec, ids):
        self._collection(spec)


class AsyncUnchecked(Refusing):
    """asearch() believes what it is given."""

    async def asearch(self, spec, vector, *, limit=10, filter=None, min_score=None):
        self._collection(spec)
        right = [*vector, *[0.0] * spec.dimensions][: spec.dimensions]
        return await super().asearch(
            spec, right, limit=max(1, limit), filter=filter, min_score=min_score
        )


class AsyncMissingIsEmpty(Refusing):
    """acount() of a missing collection is zero."""

    async def _acount(self, spec, filter):
        return await super()._acount(spec, filter) if spec.name in self.stored else 0


class AsyncCreateDoesNothing(Refusing):
    """acreate() is never awaited."""

    async def acreate(self, spec):
        return None


class AsyncDropDoesNothing(Refusing):
    """adrop() is never awaited."""

    async def adrop(self, spec):
        return None


class AsyncAnywhere(Refusing):
    """thread_sensitive is declared, and counting has a thread of its own."""

    thread_sensitive = True

    async def _acount(self, spec, filter):
        return await asyncio.to_thread(self._count, spec, filter)


class BrokenByFork(Refusing):
    """A connection made before a fork is dead in the child."""

    def __init__(self):
        super().__init__()
        self.pid = os.getpid()

    def _records(self, spec):
        if self.pid != os.getpid():
            raise ConnectionError("The connection was closed by the other process.")
        return super()._records(spec)


class HangsAfterFork(Refusing):
    """A lock that was held during a fork is held for ever in the child."""

    fork_timeout = 0.3

    def __init__(self):
        super().__init__()
        self.pid = os.getpid()

    def _records(self, spec):
        while self.pid != os.getpid():
            time.sleep(1)
        return super()._records(spec)


class DiesAfterFork(Refusing):
    """A child process crashes without a word."""

    def __init__(self):
        super().__init__()
        self.pid = os.getpid()

    def _records(self, spec):
        if self.pid != os.getpid():
            os.kill(os.getpid(), signal.SIGKILL)
        return super()._records(spec)


class SaysPersistent(Refusing):
    """persistent is true of a backend that lives in memory."""

    persistent = True


class Unhealthy(Refusing):
    """health() fails where everything works."""

    caught_as = NotImplementedError

    def health(self):
        raise NotImplementedError
