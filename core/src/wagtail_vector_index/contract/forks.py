"""What a child process must neither use nor close: the connections of its parent."""

from __future__ import annotations

import os
import weakref
from typing import Any, Protocol

__all__ = ["Abandoning", "abandon_in_children", "keep_for_ever"]


class Abandoning(Protocol):
    """An object with connections."""

    def abandon(self) -> None:
        """Forget all connections without closing them."""


def abandon_in_children(owner: Abandoning) -> None:
    """Let an object abandon its connections in each child process, right after the fork."""
    _owners.add(owner)


def keep_for_ever(*inherited: Any) -> None:
    """Keep a reference: a finaliser could end connections that the parent still uses."""
    _inherited.extend(inherited)


_owners: weakref.WeakSet[Any] = weakref.WeakSet()
_inherited: list[Any] = []


def _after_fork() -> None:
    for owner in list(_owners):
        owner.abandon()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
