"""The clients of a service, for threads and for event loops."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from asgiref.sync import async_to_sync

from wagtail_vector_index.contract.clients import Clients


class Client:
    """Counts how often it is closed."""

    def __init__(self):
        self.closed = 0

    def close(self):
        self.closed += 1


class AsyncClient(Client):
    """Belongs to the loop it was made on, and must be closed there."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.get_running_loop()
        self.gone = asyncio.Event()

    async def close(self):
        assert asyncio.get_running_loop() is self.loop
        await asyncio.sleep(0)
        super().close()
        self.gone.set()


@pytest.fixture
def clients():
    return Clients(Client, AsyncClient)


def test_threads_share_one_client(clients):
    barrier = threading.Barrier(8)

    def take(_):
        barrier.wait()
        return clients.sync()

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(take, range(8)))) == 1


def test_each_event_loop_has_one_client_which_is_closed_with_it(clients):
    async def take():
        taken = await asyncio.gather(*(clients.of_loop() for _ in range(5)))
        [client] = set(taken)
        assert not client.closed
        return client

    first, second, third = asyncio.run(take()), asyncio.run(take()), async_to_sync(take)()
    assert len({first, second, third}) == 3
    assert (first.closed, second.closed, third.closed) == (1, 1, 1)


def test_a_client_without_an_asynchronous_side():
    clients = Clients(Client)
    client = clients.sync()

    async def end():
        with pytest.raises(TypeError, match="no asynchronous side. Pass amake, or use sync()"):
            await clients.of_loop()
        await clients.aclose()

    asyncio.run(end())
    assert clients.sync() is client
    clients.close()
    assert client.closed == 1


def test_after_closing_they_are_made_again(clients):
    client = clients.sync()
    clients.close()
    clients.close()
    assert client.closed == 1
    assert clients.sync() is not client


def test_a_loop_that_runs_closes_its_client_when_another_thread_says_so(clients):
    async def take():
        client = await clients.of_loop()
        await asyncio.to_thread(clients.close)
        await client.gone.wait()
        again = await clients.of_loop()
        assert again is not client
        return client, again

    client, again = asyncio.run(take())
    assert (client.closed, again.closed) == (1, 1)


def test_closing_after_the_loop_has_stopped_leaves_it_to_the_loop(clients):
    loop = asyncio.new_event_loop()
    try:
        client = loop.run_until_complete(clients.of_loop())
        clients.close()
        assert not client.closed
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
    assert client.closed == 1


def test_closing_the_client_of_this_loop(clients):
    async def take():
        await clients.aclose()
        client = await clients.of_loop()
        await clients.aclose()
        return client, client.closed, await clients.of_loop()

    client, closed, again = asyncio.run(take())
    assert closed == client.closed == again.closed == 1
    assert again is not client


def test_a_client_that_cannot_be_made_is_tried_again():
    attempts = []

    def make():
        attempts.append(1)
        if len(attempts) == 1:
            raise OSError("no")
        return Client()

    clients = Clients(make, AsyncClient)
    with pytest.raises(OSError, match="no"):
        clients.sync()
    assert clients.sync() is clients.sync()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*fork:DeprecationWarning")
def test_a_child_process_has_clients_of_its_own(clients):
    client = clients.sync()
    child = os.fork()
    if not child:
        other = clients.sync()
        os._exit(0 if other is not client and not client.closed else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert clients.sync() is client
