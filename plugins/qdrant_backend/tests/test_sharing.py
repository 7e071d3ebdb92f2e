"""Clients are shared by threads and tasks, closed, and never used across a fork."""

from __future__ import annotations

import asyncio
import gc
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from plugins.qdrant_backend.tests.conftest import MakeBackend
from plugins.qdrant_backend.tests.double import Double, Fault, Request, Running
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids
from wagtail_vector_index.testing.processes import ProcessTests

SPEC = CollectionSpec(name="shared", dimensions=4)
QUERIES = random_vectors(400, 4, seed=3)
#: The double serves each of its connections in a thread of its own.
CONNECTIONS = 20


def fill(backend: QdrantBackend) -> None:
    backend.create(SPEC)
    backend.upsert(SPEC, RecordBatch.of(ids=sorted_ids(50), vectors=random_vectors(50, 4)))


def sockets() -> int:
    """How many sockets this process has open, the server's ends among them."""
    if not Path("/proc/self/fd").exists():
        pytest.skip("open sockets are counted in /proc")
    gc.collect()
    links = []
    for file in Path("/proc/self/fd").iterdir():
        try:
            links.append(str(file.readlink()))
        except FileNotFoundError:  # the one that lists the folder
            continue
    return sum(link.startswith("socket:") for link in links)


def wait_until_closed(double: Double) -> None:
    """Until the server has seen that its connections are closed."""
    with double.changed:
        assert double.changed.wait_for(lambda: double.connections == 0, timeout=10)


def test_hundreds_of_searches_of_fifty_threads(double: Double, make_backend: MakeBackend) -> None:
    before = sockets()
    backend = make_backend(MAX_CONNECTIONS=CONNECTIONS, TIMEOUT=30)
    fill(backend)
    most = [0]

    def search(query: list[float]) -> int:
        found = len(backend.search(SPEC, query))
        most[0] = max(most[0], double.connections)
        return found

    with ThreadPoolExecutor(50) as pool:
        assert list(pool.map(search, QUERIES)) == [10] * 400
    assert most[0] <= CONNECTIONS
    backend.close()
    wait_until_closed(double)
    assert sockets() <= before


def test_hundreds_of_searches_of_one_event_loop(double: Double, make_backend: MakeBackend) -> None:
    before = sockets()
    backend = make_backend(MAX_CONNECTIONS=CONNECTIONS, TIMEOUT=30)
    fill(backend)

    async def main() -> list[int]:
        found = await asyncio.gather(*(backend.asearch(SPEC, query) for query in QUERIES))
        assert double.connections <= CONNECTIONS + 1
        return [len(matches) for matches in found]

    assert asyncio.run(main()) == [10] * 400
    backend.close()
    wait_until_closed(double)
    assert sockets() <= before


def test_client_of_a_loop_is_closed_with_it(double: Double, backend: QdrantBackend) -> None:
    for _ in range(5):
        asyncio.run(backend.acollections())
        wait_until_closed(double)


@pytest.mark.filterwarnings("ignore::ResourceWarning")  # of the sockets that such loops leave
def test_nothing_piles_up_of_loops_that_were_only_closed(
    double: Double, backend: QdrantBackend
) -> None:
    for _ in range(5):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(backend.acollections())
        loop.close()
    gc.collect()
    with double.changed:
        assert double.changed.wait_for(lambda: double.connections <= 1, timeout=10)
    backend.close()
    gc.collect()


def test_aclose(double: Double, backend: QdrantBackend) -> None:
    async def main() -> None:
        await backend.acollections()
        await backend.aclose()
        assert await backend.acollections() == []

    asyncio.run(main())
    assert backend.collections() == []


def test_close_reaches_other_loops(double: Double, backend: QdrantBackend) -> None:
    ready, end = threading.Event(), threading.Event()

    async def main() -> None:
        await backend.acollections()
        ready.set()
        await asyncio.to_thread(end.wait)

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    ready.wait(10)
    backend.close()
    wait_until_closed(double)
    end.set()
    thread.join()


def test_nothing_is_connected_before_first_use(double: Double, make_backend: MakeBackend) -> None:
    backend = make_backend()
    assert backend.check() == []
    backend.close()
    assert double.requests == []


@pytest.mark.parametrize("concurrency", [1, 3])
def test_requests_of_a_batch_are_sent_side_by_side(
    double: Double, make_backend: MakeBackend, concurrency: int
) -> None:
    backend = make_backend(CONCURRENCY=concurrency, BATCH_SIZE=1)
    backend.create(SPEC)
    lock, now, most = threading.Lock(), [0], [0]
    arrived = threading.Barrier(concurrency, timeout=10)

    def fault(request: Request) -> Fault | None:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        arrived.wait()  # breaks unless so many come at once
        with lock:
            now[0] -= 1
        return None

    batch = RecordBatch.of(ids=sorted_ids(12), vectors=random_vectors(12, 4))
    for write in (
        lambda: backend.upsert(SPEC, batch),
        lambda: asyncio.run(backend.aupsert(SPEC, batch)),
    ):
        double.fault = fault
        write()
        assert most[0] == concurrency
    double.fault = lambda request: None
    assert backend.count(SPEC) == 12


FORKING = """
import asyncio, os, signal, sys
from wagtail_vector_index.backends.base import CollectionSpec
from wagtail_vector_index.backends.qdrant import QdrantBackend

backend = QdrantBackend(
    "default", QdrantBackend.Options(host=sys.argv[1], grpc=True, grpc_port=int(sys.argv[2]))
)
spec = CollectionSpec(name="shared", dimensions=4)

def search():
    found = [backend.search(spec, [1, 2, 3, 4]), asyncio.run(backend.asearch(spec, [1, 2, 3, 4]))]
    return [len(matches) for matches in found]

for _ in range(3):
    assert search() == [10, 10]
children = []
for _ in range(2):
    child = os.fork()
    if not child:
        signal.alarm(30)
        os._exit(0 if search() == [10, 10] else 1)
    children.append(child)
assert [os.waitpid(child, 0)[1] for child in children] == [0, 0]
assert search() == [10, 10]
backend.close()
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this platform has no fork()")
def test_fork_by_grpc(shared_double: Running, shared_grpc_port: int) -> None:
    """As a server forks its workers. In a process of its own: this one is gRPC's server."""
    fill(QdrantBackend("default", QdrantBackend.Options(host=shared_double.url)))
    run = subprocess.run(
        [sys.executable, "-c", FORKING, shared_double.url, str(shared_grpc_port)],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    assert run.returncode == 0, run.stderr


class TestFork(ProcessTests):
    @pytest.fixture(autouse=True)
    def _double(self, shared_double: Running) -> None:
        self.url = shared_double.url

    def make_backend(self) -> QdrantBackend:
        return QdrantBackend("default", QdrantBackend.Options(host=self.url))

    def test_same_instance_after_a_fork(self) -> None:
        """Also an instance that somebody kept, beside those of the settings."""
        backend = self.backend
        self.made.append(SPEC)
        fill(backend)
        asyncio.run(backend.asearch(SPEC, QUERIES[0]))
        parents = os.getpid()

        def work() -> None:
            assert os.getpid() != parents
            assert len(backend.search(SPEC, QUERIES[0])) == 10
            assert len(asyncio.run(backend.asearch(SPEC, QUERIES[0]))) == 10
            backend.close()

        self.in_child(work)
        assert len(backend.search(SPEC, QUERIES[0])) == 10
        assert len(asyncio.run(backend.asearch(SPEC, QUERIES[0]))) == 10
