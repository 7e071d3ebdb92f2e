"""The oracle passes the suite that it is the oracle of."""

from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class TestOracle(VectorBackendConformance):
    def make_backend(self):
        return OracleBackend()
