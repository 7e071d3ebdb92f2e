"""What a backend must do, as tests that its author runs.

A backend's test file is a dozen lines::

    from wagtail_vector_index.testing import VectorBackendConformance

    class TestAcme(VectorBackendConformance):
        def make_backend(self):
            return AcmeBackend("default", AcmeBackend.Options(host="localhost"))

That of an embedding backend subclasses `EmbeddingBackendConformance` likewise.
"""

try:
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"wagtail_vector_index.testing needs pytest and Hypothesis ({error})."
        ' Install them with: pip install "wagtail-vector-index[testing]"'
    ) from error

from .conformance import VectorBackendConformance
from .embedding import EmbeddingBackendConformance
from .oracle import OracleBackend

__all__ = ["EmbeddingBackendConformance", "OracleBackend", "VectorBackendConformance"]
