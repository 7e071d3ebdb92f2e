"""Run coroutines in event loops that end, and that end their threads."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier
from typing import Any, Literal, TypeAlias, TypeVar, cast, get_args

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.contract import CollectionSpec, RecordBatch

from .harness import Harness

__all__ = ["WAYS", "AsyncHarness", "Way", "scanned"]

T = TypeVar("T")

THREADS = 4

#: How many seconds may a coroutine take? One may make thousands of calls.
LONGEST = 900

Way: TypeAlias = Literal["synchronous", "asynchronous"]

#: The two ways in which each method can be called.
WAYS: tuple[Way, ...] = get_args(Way)


async def scanned(
    backend: VectorBackend, spec: CollectionSpec, batch_size: int = 1_000
) -> list[RecordBatch]:
    return [batch async for batch in backend.ascan(spec, batch_size=batch_size)]


class AsyncTwins:
    """A backend each of whose methods calls its asynchronous twin, in a new event loop."""

    def __init__(self, harness: AsyncHarness, backend: VectorBackend) -> None:
        self._harness, self._twinned = harness, backend

    def __getattr__(self, name: str) -> Any:
        twin = getattr(self._twinned, f"a{name}", None)
        return partial(self._call, twin) if callable(twin) else getattr(self._twinned, name)

    def _call(self, twin: Callable[..., Coroutine[Any, Any, T]], *args: Any, **named: Any) -> T:
        return self._harness.in_loop(twin(*args, **named))

    def scan(self, spec: CollectionSpec, *, batch_size: int = 1_000) -> Iterator[RecordBatch]:
        return iter(self._harness.in_loop(scanned(self._twinned, spec, batch_size)))


class AsyncHarness(Harness):
    def go(self, way: Way) -> None:
        """Let the rest of the test call methods of the backend in this way."""
        if way == "asynchronous":
            self.backend = cast("VectorBackend", AsyncTwins(self, self.backend))

    def ask(self, way: Way, method: str, *arguments: Any, **named: Any) -> Any:
        """Call a method of the backend, or its asynchronous twin in a new event loop."""
        if way == "synchronous":
            return getattr(self.backend, method)(*arguments, **named)
        return self.in_loop(getattr(self.backend, f"a{method}")(*arguments, **named))

    def ask_each(
        self, way: Way, method: str, *arguments: Any, cases: Iterable[Mapping[str, Any]]
    ) -> Iterable[Any]:
        """Call a method with each of these named arguments, the asynchronous in one new loop."""
        if way == "synchronous":
            return (getattr(self.backend, method)(*arguments, **named) for named in cases)

        async def each() -> list[Any]:
            call = getattr(self.backend, f"a{method}")
            return [await call(*arguments, **named) for named in cases]

        return self.in_loop(each())

    def batches(self, way: Way, spec: CollectionSpec, size: int) -> list[RecordBatch]:
        """Return the batches of a scan."""
        if way == "synchronous":
            return list(self.backend.scan(spec, batch_size=size))
        return self.in_loop(scanned(self.backend, spec, size))

    def in_loop(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine in a new event loop, as a view under WSGI does."""

        async def main() -> T:
            pool = ThreadPoolExecutor(THREADS)
            loop = asyncio.get_running_loop()
            loop.set_default_executor(pool)
            barrier = Barrier(THREADS, timeout=60)

            async def in_each_thread(function: Callable[[], object]) -> None:
                calls = (loop.run_in_executor(pool, function) for _ in range(THREADS))
                await asyncio.gather(*calls)

            def finish() -> None:
                barrier.wait()
                self.thread_finished()

            # All threads begin while the pool is new. Later it may count a thread as idle that
            # is not, and would then start too few for all to meet.
            await in_each_thread(barrier.wait)
            try:
                return await coroutine
            finally:
                await in_each_thread(finish)

        [result] = self.at_once([lambda: asyncio.run(main())], LONGEST)
        return result
