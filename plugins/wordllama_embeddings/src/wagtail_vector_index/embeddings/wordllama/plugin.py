"""The plugin module: offers the embedding backend ``wordllama``."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def embedding_backends() -> dict[str, BackendSpec]:
    """Return the embedding backend ``wordllama``."""
    return {
        "wordllama": BackendSpec(
            path="wagtail_vector_index.embeddings.wordllama.WordLlamaEmbeddings",
            requires=("wordllama", "tokenizers", "safetensors", "numpy"),
            summary="A small model on this machine: no key, no network",
        )
    }
