"""Clients are made when needed: one per process and event loop, and closed with it."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from weaviate_servers import Double

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.weaviate import WeaviateBackend
from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

Make = Callable[..., WeaviateBackend]

SPEC = CollectionSpec(name="some", dimensions=4)
IDS = sorted_ids(100)
QUERIES = random_vectors(1_000, 4, seed=1)


@pytest.fixture
def filled(backend: WeaviateBackend) -> WeaviateBackend:
    backend.create(SPEC)
    backend.upsert(SPEC, RecordBatch.of(ids=IDS, vectors=random_vectors(100, 4)))
    return backend


def sockets() -> int:
    """How many sockets this process has open."""
    gc.collect()
    links = [path.readlink() for path in Path("/proc/self/fd").iterdir() if path.is_symlink()]
    return sum(str(link).startswith("socket:") for link in links)


linux_only = pytest.mark.skipif(
    not Path("/proc/self/fd").exists(), reason="counts sockets in /proc, which only Linux has"
)


@linux_only
@pytest.mark.once
def test_a_thousand_searches_from_fifty_threads(filled: WeaviateBackend) -> None:
    filled.close()
    before = sockets()
    with ThreadPoolExecutor(50) as pool:
        found = list(pool.map(lambda query: filled.search(SPEC, query, limit=3), QUERIES))
    assert all(len(matches) == 3 for matches in found)
    assert sockets() <= before + 3  # HTTP and gRPC
    filled.close()
    assert sockets() <= before


@linux_only
@pytest.mark.once
def test_a_thousand_searches_from_one_event_loop(filled: WeaviateBackend) -> None:
    filled.close()
    during = 0

    async def searches() -> list[Any]:
        nonlocal during
        asked = (filled.asearch(SPEC, query, limit=3) for query in QUERIES)
        found = await asyncio.gather(*asked)
        during = sockets()
        return found

    asyncio.run(asyncio.sleep(0))
    before = sockets()
    found = asyncio.run(searches())
    assert all(len(matches) == 3 for matches in found)
    assert during <= before + 6  # the loop's own, HTTP and gRPC
    assert sockets() <= before


@linux_only
def test_nothing_is_left_of_many_event_loops(filled: WeaviateBackend) -> None:
    filled.close()
    asyncio.run(filled.asearch(SPEC, QUERIES[0]))
    before = sockets()
    for query in QUERIES[:10]:
        asyncio.run(filled.asearch(SPEC, query))
    assert sockets() <= before


@linux_only
@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the sockets that such loops leave
def test_nothing_piles_up_of_loops_that_were_only_closed(filled: WeaviateBackend) -> None:
    filled.close()

    def search() -> None:
        loop = asyncio.new_event_loop()
        loop.run_until_complete(filled.asearch(SPEC, QUERIES[0]))
        loop.close()
        gc.collect()

    search()
    before = sockets()
    for _ in range(5):
        search()
    assert sockets() <= before
    filled.close()
    gc.collect()


def test_making_a_backend_connects_to_nothing(server: Double, make_backend: Make) -> None:
    backend = make_backend(host="http://nowhere.invalid:8080")
    assert backend.check() == []
    backend.close()


def test_threads_that_connect_at_once_share_one_client(
    server: Double, filled: WeaviateBackend
) -> None:
    filled.close()
    server.fail()
    barrier = threading.Barrier(8)

    def search(query: list[float]) -> int:
        barrier.wait(10)
        return len(filled.search(SPEC, query))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(search, QUERIES[:8])) == [10] * 8
    assert server.calls.count("GET meta") == 1


def test_connecting_is_tried_again_after_a_failure(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_retries=0)
    server.fail({"kind": "500", "on": "GET meta"})
    with pytest.raises(BackendUnavailable):
        backend.collections()
    assert backend.collections() == []


def test_event_loop_that_connects_again_after_a_failure(server: Double, make_backend: Make) -> None:
    backend = make_backend(max_retries=0)
    server.fail({"kind": "500", "on": "GET meta"})

    async def use() -> list[str]:
        with pytest.raises(BackendUnavailable):
            await backend.acollections()
        return await backend.acollections()

    assert asyncio.run(use()) == []


def test_nothing_is_kept_of_event_loops_that_could_not_connect(
    server: Double, make_backend: Make
) -> None:
    backend = make_backend(max_retries=0)
    server.fail({"kind": "500", "on": "GET meta", "times": 5})
    for _ in range(5):
        with pytest.raises(BackendUnavailable):
            asyncio.run(backend.acollections())
    assert not backend._service._clients._loops


def test_closing_in_an_event_loop(filled: WeaviateBackend) -> None:
    async def use() -> int:
        await filled.asearch(SPEC, QUERIES[0])
        await filled.aclose()
        return len(await filled.asearch(SPEC, QUERIES[0]))

    assert asyncio.run(use()) == 10


def test_closing_from_another_thread(filled: WeaviateBackend) -> None:
    async def use() -> int:
        await filled.asearch(SPEC, QUERIES[0])
        await asyncio.get_running_loop().run_in_executor(None, filled.close)
        return len(await filled.asearch(SPEC, QUERIES[0]))

    assert asyncio.run(use()) == 10


def test_caller_that_is_cancelled_while_connecting(server: Double, filled: WeaviateBackend) -> None:
    server.fail({"kind": "delay", "on": "GET meta", "seconds": 0.2})

    async def use() -> int:
        first = asyncio.ensure_future(filled.asearch(SPEC, QUERIES[0]))
        second = asyncio.ensure_future(filled.asearch(SPEC, QUERIES[0]))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        return len(await second)

    assert asyncio.run(use()) == 10
    assert server.calls.count("GET meta") == 1


def forked(task: Callable[[], None]) -> None:
    """Run a task in a forked process, with gRPC's and Python's own complaints left aside."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        child = os.fork()
    if child == 0:
        report = ""
        try:
            task()
        except BaseException:  # noqa: BLE001  # whatever it is, the parent tells of it
            report = traceback.format_exc()
        finally:
            os.write(writing, report.encode()[-60_000:])
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        report = pipe.read().decode()
    os.waitpid(child, 0)
    assert not report, report


def test_fork_after_first_use(filled: WeaviateBackend) -> None:
    """Of the very same backend, and of the asynchronous client too."""

    def work() -> None:
        assert len(filled.search(SPEC, QUERIES[0])) == 10
        assert len(asyncio.run(filled.asearch(SPEC, QUERIES[0]))) == 10
        filled.upsert(SPEC, RecordBatch.of(ids=sorted_ids(1, seed=9), vectors=QUERIES[:1]))
        filled.close()

    assert len(filled.search(SPEC, QUERIES[0])) == 10
    assert len(asyncio.run(filled.asearch(SPEC, QUERIES[0]))) == 10
    for _ in range(3):
        forked(work)
    assert len(filled.search(SPEC, QUERIES[0])) == 10
    assert len(asyncio.run(filled.asearch(SPEC, QUERIES[0]))) == 10
    assert filled.count(SPEC) == 101


def test_the_client_is_not_imported_before_it_is_used() -> None:
    script = (
        "import sys, django; from django.conf import settings; settings.configure();"
        "from wagtail_vector_index.backends.weaviate import WeaviateBackend as B;"
        "backend = B('default', B.Options(host='http://localhost:8080')); backend.check();"
        "assert not {'weaviate', 'grpc', 'httpx', 'numpy', 'tenacity'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", script], check=True)
