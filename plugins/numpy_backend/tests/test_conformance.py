from __future__ import annotations

import math

import pytest

from wagtail_vector_index.backends.numpy import NumpyBackend
from wagtail_vector_index.backends.numpy.quantized import QuantizedVectors
from wagtail_vector_index.testing import VectorBackendConformance


class TestNumpy(VectorBackendConformance):
    def make_backend(self) -> NumpyBackend:
        return NumpyBackend("default", NumpyBackend.Options())


@pytest.mark.once
@pytest.mark.usefixtures("small_blocks")
class TestNumpyInSmallBlocks(TestNumpy):
    """Whatever has more than eight records crosses the border of a block."""

    thorough, at_most = False, 1_000


class TestNumpyQuantized(VectorBackendConformance):
    def make_backend(self) -> NumpyBackend:
        return NumpyBackend("default", NumpyBackend.Options(quantization="binary"))


@pytest.fixture
def always_by_signs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(QuantizedVectors, "exact_rows", 0)
    monkeypatch.setattr(QuantizedVectors, "largest_share", math.inf)


@pytest.mark.once
@pytest.mark.usefixtures("always_by_signs", "small_blocks")
class TestNumpyAlwaysBySigns(TestNumpyQuantized):
    """However few records there are, a search compares signs first."""

    thorough, at_most = False, 1_000
