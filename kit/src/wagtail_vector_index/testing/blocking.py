"""Notice calls that wait for the network or the clock in the thread of an event loop."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

import pytest

__all__ = ["blocking_calls"]

SOCKETS = ("connect", "recv", "recv_into", "send", "sendall")

CALLS: dict[Any, tuple[str, ...]] = {
    time: ("sleep",),
    socket.socket: SOCKETS,
    ssl.SSLSocket: SOCKETS,
}


@contextmanager
def blocking_calls() -> Iterator[set[str]]:
    """Collect the names of calls that make this thread wait.

    Calls of sockets that do not block, as an event loop makes them, are no such calls.
    """
    called: set[str] = set()
    thread = get_ident()

    def noticing(name: str, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            free = isinstance(arguments[0], socket.socket) and arguments[0].gettimeout() == 0
            if get_ident() == thread and not free:
                called.add(name)
            return original(*arguments, **named)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for owner, names in CALLS.items():
            for name in names:
                label = f"{owner.__name__}.{name}"
                patch.setattr(owner, name, noticing(label, getattr(owner, name)))
        yield called
