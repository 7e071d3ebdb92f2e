"""The plugin that offers the backends for services."""

from __future__ import annotations

from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def embedding_backends() -> dict[str, BackendSpec]:
    """Return the embedding backend ``openai``."""
    return {
        "openai": BackendSpec(
            path="wagtail_vector_index.embeddings.openai.OpenAIEmbeddings",
            requires=("openai",),
            summary="OpenAI, or any service that speaks its protocol",
        )
    }


@hookimpl
def chat_backends() -> dict[str, BackendSpec]:
    """Return the chat backend ``openai``."""
    return {
        "openai": BackendSpec(
            path="wagtail_vector_index.chat.openai.OpenAIChatBackend",
            requires=("openai",),
            summary="OpenAI, or any service that speaks its protocol",
        )
    }


@hookimpl
def reranking_backends() -> dict[str, BackendSpec]:
    """Return the reranking backend ``openai``."""
    return {
        "openai": BackendSpec(
            path="wagtail_vector_index.reranking.openai.ServiceReranker",
            requires=("openai",),
            summary="Cohere, Jina, Voyage, TEI, or any service with their /rerank",
        )
    }
