"""Searches run while others write, and each sees a state that was."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import numpy as np
import pytest
from django.db.models import Q

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.numpy.locking import ReadWriteLock

SIZE = 48
AXES = np.eye(SIZE, dtype=np.float32)
SPEC = CollectionSpec(name="c", dimensions=SIZE, fields={"n": "int"})


def _batch(numbers):
    return RecordBatch.of(
        ids=[UUID(int=n) for n in numbers],
        vectors=AXES[list(numbers)],
        metadata=[{"n": n} for n in numbers],
    )


def test_ids_vectors_and_metadata_never_mix(backend, small_blocks):
    """Record n holds axis n; whatever rows they move to, axis n finds n or nothing."""
    backend.create(SPEC)
    backend.upsert(SPEC, _batch(range(SIZE)))
    done = threading.Event()

    def write(seed):
        random = np.random.default_rng(seed)
        for _ in range(150):
            numbers = random.choice(SIZE, 12, replace=False).tolist()
            backend.delete(SPEC, [UUID(int=n) for n in numbers])
            backend.upsert(SPEC, _batch(numbers))

    def search(seed):
        random = np.random.default_rng(seed)
        seen = 0
        while not done.is_set():
            n = int(random.integers(SIZE))
            for filter in (None, Q(n=n), Q(n__gte=0)):
                for match in backend.search(SPEC, AXES[n], filter=filter, limit=3):
                    assert match.score == float(match.id.int == n)
            for record in backend.get(SPEC, [UUID(int=n), UUID(int=(n + 1) % SIZE)]):
                assert record.vector[record.id.int] == 1.0
                assert record.metadata == {"n": record.id.int}
            for batch in backend.scan(SPEC, batch_size=10):
                assert len(set(batch.uuids)) == len(batch)
            seen += 1
        return seen

    with ThreadPoolExecutor(5) as pool:
        searches = [pool.submit(search, seed) for seed in range(3)]
        try:
            for writing in [pool.submit(write, seed) for seed in (10, 11)]:
                writing.result(timeout=60)
        finally:
            done.set()
        assert all(future.result(timeout=60) > 0 for future in searches)
    assert backend.count(SPEC, Q(n__gte=0)) == backend.count(SPEC) == SIZE


def test_creating_and_dropping_while_others_do(backend):
    def work(seed):
        spec = CollectionSpec(name=f"c{seed % 3}", dimensions=2)
        for _ in range(200):
            backend.create(spec)
            found = backend.collections()
            assert found == sorted(found)
            backend.drop(spec)

    with ThreadPoolExecutor(6) as pool:
        for _ in pool.map(work, range(6)):
            pass
    assert backend.collections() == []


def test_readers_share_and_a_writer_goes_before_later_readers():
    lock, log = ReadWriteLock(), []
    reading, may_end = threading.Barrier(3), threading.Event()

    def read_first():
        with lock.reading():
            reading.wait(5)  # which only passes if both readers are inside
            may_end.wait(5)
            log.append("first")

    def write():
        with lock.writing():
            log.append("write")

    def read_later():
        with lock.reading():
            log.append("later")

    threads = [threading.Thread(target=read_first) for _ in range(2)]
    _start(threads)
    reading.wait(5)
    threads += _start([threading.Thread(target=write)])
    _until(lambda: lock._writers_waiting)
    threads += _start([threading.Thread(target=read_later)])
    time.sleep(0.02)
    assert log == []
    may_end.set()
    for thread in threads:
        thread.join(5)
    assert log == ["first", "first", "write", "later"]


def test_a_waiting_reader_goes_before_the_next_write():
    lock, log = ReadWriteLock(), []

    def read():
        with lock.reading():
            log.append("read")

    with lock.writing():
        (reader,) = _start([threading.Thread(target=read)])
        _until(lambda: lock._readers_waiting)
    with lock.writing():
        log.append("write")
    reader.join(5)
    assert log == ["read", "write"]


def test_lock_is_free_after_an_error():
    lock = ReadWriteLock()
    for hold in (lock.reading, lock.writing):
        with pytest.raises(KeyError), hold():
            raise KeyError
    with lock.writing():
        pass


def test_an_interrupted_writer_lets_others_in(monkeypatch):
    lock = ReadWriteLock()

    def interrupt():
        raise KeyboardInterrupt

    with lock.reading():
        monkeypatch.setattr(lock._changed, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt), lock.writing():
            pass
        monkeypatch.undo()
        with lock.reading():
            pass


@pytest.mark.parametrize("let_in", [False, True])
def test_an_interrupted_reader_lets_others_in(monkeypatch, let_in):
    lock = ReadWriteLock()

    def interrupt():
        if let_in:
            lock._let_readers_in()
        raise KeyboardInterrupt

    with lock.writing():
        monkeypatch.setattr(lock._changed, "wait", interrupt)
        with pytest.raises(KeyboardInterrupt), lock.reading():
            pass
        monkeypatch.undo()
    with lock.writing():
        pass


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_child_can_search_and_write(backend):
    backend.create(SPEC)
    backend.upsert(SPEC, _batch(range(20)))
    assert backend.search(SPEC, AXES[3], limit=1)[0].id.int == 3
    if not (child := os.fork()):
        found = 0
        try:
            backend.upsert(SPEC, _batch(range(20, 40)))
            found = backend.search(SPEC, AXES[33], filter=Q(n__gte=0), limit=1)[0].id.int
        finally:
            os._exit(0 if found == 33 else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert backend.count(SPEC) == 20


def _start(threads):
    for thread in threads:
        thread.start()
    return threads


def _until(condition):
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)
