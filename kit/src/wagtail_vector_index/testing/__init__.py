"""What a backend must do, as tests that its author runs.

A backend's test file is a dozen lines::

    from wagtail_vector_index.testing import VectorBackendConformance

    class TestAcme(VectorBackendConformance):
        def make_backend(self):
            return AcmeBackend("default", AcmeBackend.Options(host="localhost"))

That of an embedding backend subclasses `EmbeddingBackendConformance` likewise.

Without a test file, the same tests run as a command::

    python -m wagtail_vector_index.testing acme --options '{"HOST": "localhost"}'

`wagtail_vector_index.testing.langchain` shows a backend as a vector store of LangChain.
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
    if sys.argv[0] == "-m":  # as a command it is imported like this, before it can begin
        print(message, file=sys.stderr)  # noqa: T201  # this is a command
        sys.exit(2)
    raise ImportError(message) from error

from .conformance import VectorBackendConformance
from .embedding import EmbeddingBackendConformance
from .oracle import OracleBackend

__all__ = ["EmbeddingBackendConformance", "OracleBackend", "VectorBackendConformance"]
