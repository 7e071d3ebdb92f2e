"""What the testing package offers, and what it says where pytest is missing."""

import subprocess
import sys
from collections import Counter

import pytest

from wagtail_vector_index import testing
from wagtail_vector_index.testing.conformance import VectorBackendConformance
from wagtail_vector_index.testing.harness import Harness


def test_public_names():
    assert testing.__all__ == [
        "EmbeddingBackendConformance",
        "OracleBackend",
        "RerankingBackendConformance",
        "VectorBackendConformance",
    ]
    assert all(hasattr(testing, name) for name in testing.__all__)


@pytest.mark.parametrize("missing", ["pytest", "hypothesis"])
def test_missing_dependency_is_named_with_its_remedy(missing):
    program = f"import sys; sys.modules[{missing!r}] = None; import wagtail_vector_index.testing"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    last_line = done.stderr.strip().splitlines()[-1]
    assert last_line.startswith("ImportError: wagtail_vector_index.testing needs pytest")
    assert 'pip install "wagtail-vector-index[testing]"' in last_line


def test_no_part_hides_a_test_of_another():
    parts = [part for part in VectorBackendConformance.__mro__ if issubclass(part, Harness)]
    names = Counter(name for part in parts for name in vars(part) if name.startswith("test_"))
    assert [name for name, count in names.items() if count > 1] == []


def test_every_part_is_in_the_suite():
    def parts(cls):
        return {cls}.union(*(parts(each) for each in cls.__subclasses__()))

    shipped = {part for part in parts(Harness) if part.__module__.startswith(testing.__name__)}
    assert shipped <= set(VectorBackendConformance.__mro__)


def test_make_backend_must_be_written():
    unfinished = type("Unfinished", (VectorBackendConformance,), {})()
    with pytest.raises(NotImplementedError, match="Unfinished must define make_backend"):
        unfinished.make_backend()
