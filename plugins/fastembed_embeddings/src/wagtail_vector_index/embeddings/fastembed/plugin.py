"""The plugin module: offers the embedding backend ``fastembed``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def embedding_backends() -> dict[str, BackendSpec]:
    """Return the embedding backend ``fastembed``."""
    return {
        "fastembed": BackendSpec(
            path="wagtail_vector_index.embeddings.fastembed.FastEmbedBackend",
            requires=("fastembed", "huggingface_hub", "tokenizers", "numpy"),
            summary="ONNX models on this machine: no key, no service",
        )
    }
