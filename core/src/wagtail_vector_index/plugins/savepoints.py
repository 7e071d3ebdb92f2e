"""Savepoints around code of plugins and sites, whose errors must not break open transactions."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from django.db import connections, transaction

__all__ = ["savepoints"]


@contextmanager
def savepoints() -> Iterator[None]:
    """Run a block whose failing queries leave the open transactions usable."""
    with ExitStack() as stack:
        for connection in connections.all(initialized_only=True):
            if connection.in_atomic_block:
                stack.enter_context(transaction.atomic(using=connection.alias))
        yield
