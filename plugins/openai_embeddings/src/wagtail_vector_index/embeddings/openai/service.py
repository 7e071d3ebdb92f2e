"""The service that an alias names: its clients, its key, and its errors."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from math import inf
from typing import Any

from django.core import checks

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.contract.sansio import Call, Steps, arun, run
from wagtail_vector_index.contract.services import Deadline

from .connecting import Redirected, async_client_of, client_of
from .errors import Advice, OpenAIErrors, error_in, retry_after
from .options import OPENAI_KEY_VARIABLE, ServiceOptions

#: Sends a request: called with a client of either kind, and the seconds that it may wait. Returns
#: the client's raw answer or its stream, or what is awaited for it.
Send = Callable[[Any, float], Any]

#: Seconds before the first repetition. Each further wait is twice as long, up to the longest.
_FIRST_WAIT = 0.5
_LONGEST_WAIT = 8.0
#: If a service asks for a longer wait, its caller is told at once.
_LONGEST_WAIT_ASKED = 120.0

_HOW_TO_SET_A_KEY = (
    f"Set API_KEY, or the environment variable {OPENAI_KEY_VARIABLE};"
    f" or HOST to the base URL of another service."
)


class Service:
    """A service for embeddings, chat or reranking.

    Args:
        name: the backend's name in errors: its kind and alias.
        options: the options of the alias.
        advice: the errors of this kind of backend.
    """

    def __init__(self, name: str, options: ServiceOptions, advice: Advice) -> None:
        self._name = name
        self._options = options
        self._errors = OpenAIErrors(
            f"{name} (model {options.model!r} at {options.host}):", options, advice
        )
        self._clients = Clients(partial(client_of, options), partial(async_client_of, options))

    def call(self, send: Send, total: float | None = None) -> bytes:
        """Send a request and return the content of its answer.

        Args:
            send: sends the request.
            total: the most seconds that the call takes, with its repetitions and its waits. By
                default each attempt takes ``TIMEOUT`` at most.
        """
        from openai import OpenAIError

        try:
            steps = self._attempts(send, self._sync(), total)
            return run(steps).content  # type: ignore[no-any-return]
        except (OpenAIError, UnicodeError, Redirected, TimeoutError) as error:
            failure = self.explain(error, total)
        # Raised outside the handler, so that only a cause that `explain` allows is chained.
        raise failure

    async def acall(self, send: Send, total: float | None = None) -> bytes:
        """Like `call`."""
        from openai import OpenAIError

        try:
            steps = self._attempts(send, await self._of_loop(), total)
            return (await arun(steps, blocking=False)).content  # type: ignore[no-any-return]
        except (OpenAIError, UnicodeError, Redirected, TimeoutError) as error:
            failure = self.explain(error, total)
        raise failure

    def open(self, send: Send, deadline: Deadline) -> Any:
        """Send a request and return its stream, which begins within a deadline."""

        def opened(client: Any, seconds: float) -> Any:
            stream = send(client, seconds)
            if not deadline.left:
                stream.close()  # the caller has gone
            return stream

        return run(self._attempts(opened, self._sync(), deadline.left))

    async def aopen(self, send: Send, deadline: Deadline) -> Any:
        """Like `open`."""
        return await arun(
            self._attempts(send, await self._of_loop(), deadline.left), blocking=False
        )

    def explain(self, error: Exception, total: float | None = None) -> Exception:
        """Return the error of the contract for a client's error, or the error if it is one."""
        return self._errors.explained(error, total)

    def message(self, what: str) -> str:
        """Return a message about the service, without secrets."""
        return self._errors.sentence(f"the service {self._errors.quoted(what)}")

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the alias names OpenAI without a key."""
        if self._has_key:
            return []
        return [
            checks.Warning(
                f"{self._name} has no key for OpenAI.",
                hint=_HOW_TO_SET_A_KEY,
                id="wagtail_vector_index_openai.W001",
            )
        ]

    def close(self) -> None:
        """Release the connections. The service can be used again afterwards."""
        self._clients.close()

    def _attempts(self, send: Send, client: Any, total: float | None) -> Steps[Any]:
        """Send a request, and again after each error that may pass, within a total time.

        Each attempt ends after ``TIMEOUT``.
        """
        end = time.monotonic() + (inf if total is None else total)
        for attempt in count():
            seconds = max(0.001, min(self._options.timeout, end - time.monotonic()))
            # A client limits only each wait for a byte, and a service may send some for ever.
            deadline = Deadline()
            deadline.set(seconds)
            try:
                answer = yield _call(deadline, partial(send, client, seconds))
                return (yield from _without_error(deadline, answer))
            except Exception as error:
                wait = self._wait_after(error, attempt)
                if wait is None or time.monotonic() + wait >= end:
                    raise
            yield Call(sync=partial(time.sleep, wait), asynchronous=partial(asyncio.sleep, wait))

    def _wait_after(self, error: Exception, attempt: int) -> float | None:
        """Return the seconds to wait before the request is repeated; None if it must not be."""
        if attempt >= self._options.max_retries or not self._errors.is_passing(error, None):
            return None
        if (asked := retry_after(error)) is not None:
            return asked if asked <= _LONGEST_WAIT_ASKED else None
        # Clients that failed together should not come back together.
        return min(_FIRST_WAIT * 2.0**attempt, _LONGEST_WAIT) * random.uniform(0.75, 1.0)  # noqa: S311

    def _sync(self) -> Any:
        self._require_key()
        try:
            return self._clients.sync()
        except Exception as error:  # noqa: BLE001  # the client reads variables and files
            failure = self._errors.of_making(error, self._errors.advice.refused)
        raise failure

    async def _of_loop(self) -> Any:
        self._require_key()
        try:
            return await self._clients.of_loop()
        except Exception as error:  # noqa: BLE001  # as in `_sync`
            failure = self._errors.of_making(error, self._errors.advice.refused)
        raise failure

    @property
    def _has_key(self) -> bool:
        options = self._options
        named = {name.lower() for name in options.headers}
        return bool(options.api_key) or not options.is_openai or "authorization" in named

    def _require_key(self) -> None:
        if not self._has_key:
            raise self._errors.make(
                self._errors.advice.refused, f"there is no key. {_HOW_TO_SET_A_KEY}"
            )


def _call(
    deadline: Deadline, send: Callable[[], Any], asend: Callable[[], Any] | None = None
) -> Call:
    return Call(
        sync=partial(deadline.within, send), asynchronous=partial(deadline.awithin, asend or send)
    )


def _without_error(deadline: Deadline, answer: Any) -> Steps[Any]:
    """Return an answer, or raise the error that it reports although its status is 200."""
    response = getattr(answer, "http_response", None)
    if response is None:
        response = answer.response
        if not _is_json(response):
            return answer  # a stream, whose errors the client raises
        yield _call(deadline, response.read, response.aread)
    if error := error_in(response):
        raise error
    return answer


def _is_json(response: Any) -> bool:
    kind: str = response.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower().endswith(("/json", "+json"))
