"""The names that are promised can be imported, and what is public says so."""

import importlib
import inspect
import pkgutil

import pytest

import wagtail_vector_index

#: The names that documentation and sites rely on; the modules' ``__all__`` hold more.
PROMISED = {
    "wagtail_vector_index.admin.panels": ["SimilarPagesPanel"],
    "wagtail_vector_index.backends.base": [
        "CollectionSpec",
        "Health",
        "Match",
        "Record",
        "RecordBatch",
        "VectorBackend",
    ],
    "wagtail_vector_index.chat.base": ["ChatBackend", "Message"],
    "wagtail_vector_index.contract": [
        "And",
        "Clients",
        "Comparison",
        "FileConnections",
        "FilterNode",
        "IsNull",
        "Not",
        "Options",
        "Or",
        "check_headers",
        "secret",
    ],
    "wagtail_vector_index.contract.arrays": [
        "first_invalid",
        "matrix",
        "scores",
        "stored",
        "stored_query",
    ],
    "wagtail_vector_index.contract.rescoring": ["nearest"],
    "wagtail_vector_index.contract.sansio": ["Call", "Steps", "arun", "run"],
    "wagtail_vector_index.contract.services": [
        "Operations",
        "Pause",
        "Query",
        "Request",
        "Service",
        "ServiceBackend",
        "ServiceErrors",
        "Together",
    ],
    "wagtail_vector_index.contract.sql": ["OPERATORS", "Compare", "column_of", "where"],
    "wagtail_vector_index.contract.sqlite": ["column_values", "compare"],
    "wagtail_vector_index.embeddings.base": ["EmbeddingBackend", "Vectors"],
    "wagtail_vector_index.exceptions": ["VectorIndexError"],
    "wagtail_vector_index.handlers": [
        "chat_backends",
        "embedding_backends",
        "reranking_backends",
        "vector_backends",
    ],
    "wagtail_vector_index.indexes": [
        "Answer",
        "Chunk",
        "Fusion",
        "IndexStatus",
        "Mode",
        "PageVectorIndex",
        "Problem",
        "SearchResults",
        "Source",
        "TextSplitter",
        "VectorIndex",
        "status_of",
    ],
    "wagtail_vector_index.models": [
        "Collection",
        "Document",
        "Embedding",
        "EmbeddingField",
        "FilterField",
        "PendingChange",
        "VectorIndexedMixin",
    ],
    "wagtail_vector_index.plugins": [
        "BackendSpec",
        "PreparedDocument",
        "django_apps",
        "hookimpl",
    ],
    "wagtail_vector_index.reranking.base": ["RerankingBackend"],
    "wagtail_vector_index.testing": [
        "EmbeddingBackendConformance",
        "RerankingBackendConformance",
        "VectorBackendConformance",
    ],
}


@pytest.mark.parametrize(
    ("module", "name"), [(module, name) for module in PROMISED for name in PROMISED[module]]
)
def test_is_public(module, name):
    found = importlib.import_module(module)
    assert hasattr(found, name)
    assert name in found.__all__


def modules():
    """Every module of core that says what is public."""
    for info in pkgutil.walk_packages(wagtail_vector_index.__path__, "wagtail_vector_index."):
        if ".migrations" in info.name or ".testing" in info.name:
            continue
        module = importlib.import_module(info.name)
        if hasattr(module, "__all__"):
            yield info.name


@pytest.mark.parametrize("name", [*modules(), "wagtail_vector_index.testing"])
def test_all_names_exist_are_documented_and_come_once(name):
    module = importlib.import_module(name)
    assert len(set(module.__all__)) == len(module.__all__)
    assert module.__doc__
    for public in module.__all__:
        value = getattr(module, public)
        if inspect.isclass(value) or inspect.isfunction(value):
            assert value.__doc__, f"{name}.{public} has no docstring"


@pytest.mark.parametrize("name", PROMISED)
def test_every_promised_module_has_all(name):
    assert importlib.import_module(name).__all__


def test_the_version():
    assert wagtail_vector_index.__all__ == ["__version__"]
    assert wagtail_vector_index.__version__.startswith("1.")


def twins():
    """Each asynchronous method of a public class that has a synchronous twin."""
    for module in sorted({*modules(), *PROMISED}):
        for name, kind in vars(importlib.import_module(module)).items():
            if inspect.isclass(kind) and kind.__module__ == module and not name.startswith("_"):
                for twin, method in vars(kind).items():
                    plain = getattr(kind, twin[1:], None) if twin.startswith("a") else None
                    if inspect.isfunction(method) and inspect.isfunction(plain):
                        yield pytest.param(method, plain, id=f"{name}.{twin}")


@pytest.mark.parametrize(("asynchronous", "plain"), list(twins()))
def test_asynchronous_methods_take_what_their_twins_take(asynchronous, plain):
    def taken(method):
        """The arguments of a method. A function among them may have an asynchronous twin too."""
        parameters = inspect.signature(method).parameters.values()
        return [(each.name, each.kind, each.default) for each in parameters]

    assert taken(asynchronous) == taken(plain)
