from __future__ import annotations

import pytest

from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.testing import VectorBackendConformance


class TestNumpy(VectorBackendConformance):
    def make_backend(self) -> NumpyBackend:
        return NumpyBackend("default", NumpyBackend.Options())


@pytest.mark.usefixtures("small_blocks")
class TestNumpyInSmallBlocks(TestNumpy):
    """Whatever has more than eight records crosses the border of a block."""
