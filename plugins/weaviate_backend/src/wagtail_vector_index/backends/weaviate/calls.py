"""What an operation asks of whoever runs it: calls, several at once, a pause.

Operations are generators: they yield what they ask, and are sent the answer. So each is
written once, and runs with the synchronous client as with the asynchronous one.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar

ResultT = TypeVar("ResultT")


def _accept(reply: Any) -> None:
    pass


@dataclass(frozen=True, kw_only=True)
class Rpc:
    """A call over gRPC; its answer is the reply's message.

    Args:
        method: its name.
        request: its message.
        writes: whether it is tried again as often as ``RETRIES`` says, or within one
            ``TIMEOUT`` only.
        verify: is given the reply, and raises `BackendUnavailable` if it is to be tried again.
    """

    method: Literal["Search", "Aggregate", "BatchObjects", "BatchDelete"]
    request: Any
    writes: bool = False
    verify: Callable[[Any], None] = _accept


@dataclass(frozen=True, kw_only=True)
class Rest:
    """A request over HTTP; its answer is the JSON, or None if that is missing (404).

    Args:
        method: of HTTP.
        path: below ``/v1``.
        body: JSON.
        params: the query of the URL.
    """

    method: Literal["get", "post", "put", "delete"]
    path: str
    body: Any = None
    params: dict[str, str] | None = None


@dataclass(frozen=True)
class Together:
    """Calls under way at once, each made when it is its turn.

    The answer is a list: for each call its own, or the error that it ended with.
    """

    makers: Sequence[Callable[[], Rpc]]


@dataclass(frozen=True)
class Pause:
    """So many seconds in which nothing is done."""

    seconds: float


Asked: TypeAlias = Rpc | Rest | Together | Pause

Operation: TypeAlias = Generator[Asked, Any, ResultT]
