from __future__ import annotations

from collections.abc import Iterator

import apsw
import pytest
from django.conf import settings

# In the repository of Wagtail Vector Index, all tests share its settings.
if not settings.configured:
    settings.configure()


def _do_not_wait_for_the_disk(db: apsw.Connection) -> None:
    db.set_busy_timeout(30_000)
    db.pragma("synchronous", "off")


@pytest.fixture(autouse=True)
def quick() -> Iterator[None]:
    """Writes wait for no disk, since no test survives a loss of power."""
    apsw.connection_hooks.append(_do_not_wait_for_the_disk)
    yield
    apsw.connection_hooks.remove(_do_not_wait_for_the_disk)
