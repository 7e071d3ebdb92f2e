"""Tests of everything that a backend must do, for its author to run.

A backend's test file is a dozen lines::

    from wagtail_vector_index.testing import VectorBackendConformance

    class TestAcme(VectorBackendConformance):
        def make_backend(self):
            return AcmeBackend("default", AcmeBackend.Options(host="localhost"))

The test class of an embedding backend derives from `EmbeddingBackendConformance`, and that of a
reranking backend from `RerankingBackendConformance`.

The same tests also run as a command, without a test file::

    python -m wagtail_vector_index.testing acme --options '{"HOST": "localhost"}'

`wagtail_vector_index.testing.langchain` adapts a backend to LangChain's vector stores.
"""

import sys

try:
    import hypothesis  # noqa: F401
    import pytest  # noqa: F401
except ImportError as error:
    message = (
        f"wagtail_vector_index.testing needs pytest and Hypothesis ({error})."
        ' Install them with: pip install "wagtail-vector-index[testing]"'
    )
    if sys.argv[0] == "-m":  # `python -m` imports the package before it runs the command
        print(message, file=sys.stderr)  # noqa: T201  # this is a command
        sys.exit(2)
    raise ImportError(message) from error

from .conformance import VectorBackendConformance
from .embedding import EmbeddingBackendConformance
from .oracle import OracleBackend
from .reranking import RerankingBackendConformance

__all__ = [
    "EmbeddingBackendConformance",
    "OracleBackend",
    "RerankingBackendConformance",
    "VectorBackendConformance",
]
