"""The plugin module: offers the embedding and the reranking backend ``fastembed``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1

_REQUIRES = ("fastembed", "huggingface_hub", "tokenizers", "numpy")


@hookimpl
def embedding_backends() -> dict[str, BackendSpec]:
    """Return the embedding backend ``fastembed``."""
    return {
        "fastembed": BackendSpec(
            path="wagtail_vector_index.embeddings.fastembed.FastEmbedBackend",
            requires=_REQUIRES,
            summary="ONNX models on this machine: no key, no service",
        )
    }


@hookimpl
def reranking_backends() -> dict[str, BackendSpec]:
    """Return the reranking backend ``fastembed``."""
    return {
        "fastembed": BackendSpec(
            path="wagtail_vector_index.reranking.fastembed.FastEmbedReranker",
            requires=_REQUIRES,
            summary="ONNX cross-encoders on this machine: no key, no service",
        )
    }
