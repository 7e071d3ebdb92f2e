"""The option ``--thorough`` of pytest, in every environment that has this distribution.

pytest reads options before it collects the classes of the conformance suite, so this module is
an entry point of its own. It imports nothing of the suite.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any


def pytest_addoption(parser: Any) -> None:
    """Add the option, unless another plugin has one of this name."""
    with suppress(ValueError):
        parser.addoption(
            "--thorough",
            action="store_true",
            help="test vector backends with larger collections and more examples",
        )
