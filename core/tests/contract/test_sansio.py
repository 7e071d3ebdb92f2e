"""Operations without I/O, driven with blocking and with awaited calls."""

from __future__ import annotations

import asyncio
import threading

import pytest

from wagtail_vector_index.contract.sansio import Call, arun, run


def answer(value):
    """A call that gives a value, or raises it."""

    def sync():
        if isinstance(value, Exception):
            raise value
        return value

    async def asynchronous():
        return sync()

    return Call(sync=sync, asynchronous=asynchronous)


def adding(*values):
    total = 0
    for value in values:
        try:
            total += yield answer(value)
        except KeyError:
            total += 100
    return total


async def arun_directly(steps):
    return await arun(steps, blocking=False)


DRIVERS = [
    run,
    lambda steps: asyncio.run(arun(steps)),
    lambda steps: asyncio.run(arun_directly(steps)),
]


@pytest.mark.parametrize("drive", DRIVERS)
def test_answers_are_sent_and_errors_are_thrown_into_the_operation(drive):
    assert drive(adding(1, KeyError("k"), 2)) == 103
    assert drive(adding()) == 0


@pytest.mark.parametrize("drive", DRIVERS)
def test_an_error_that_the_operation_does_not_catch_ends_it(drive):
    with pytest.raises(ValueError, match="no") as raised:
        drive(adding(1, ValueError("no"), 2))
    assert raised.value.__context__ is None


def test_what_blocks_between_requests_runs_in_a_thread():
    threads = []

    def operation():
        threads.append(threading.current_thread())
        yield answer(None)
        threads.append(threading.current_thread())

    async def main():
        await arun(operation())
        await arun(operation(), blocking=False)
        return threading.current_thread()

    own = asyncio.run(main())
    assert [each is own for each in threads] == [False, False, True, True]


def test_a_driver_of_ones_own_carries_requests_out():
    def operation():
        return [(yield 1), (yield 2)]

    async def double(request):
        return 2 * request

    assert run(operation(), lambda request: 2 * request) == [2, 4]
    assert asyncio.run(arun(operation(), double)) == [2, 4]


def test_a_cancelled_operation_asks_nothing_more():
    asked = []

    def operation():
        yield "first"
        yield "second"
        yield "third"

    async def main():
        under_way = asyncio.Event()

        async def wait(request):
            asked.append(request)
            if request == "second":
                under_way.set()
                await asyncio.sleep(10)

        task = asyncio.ensure_future(arun(operation(), wait))
        await under_way.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert asked == ["first", "second"]
