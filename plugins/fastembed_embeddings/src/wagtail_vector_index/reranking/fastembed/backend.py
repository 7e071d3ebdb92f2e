"""The reranking backend ``fastembed``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.embeddings.fastembed.local import LocalModel
from wagtail_vector_index.exceptions import RerankingRefused, RerankingUnavailable
from wagtail_vector_index.reranking.base import RerankingBackend

from .options import FastEmbedRerankerOptions

if TYPE_CHECKING:
    from wagtail_vector_index.embeddings.fastembed.files import Located

    from .model import CrossEncoder

__all__ = ["FastEmbedReranker"]


class FastEmbedReranker(LocalModel, RerankingBackend):
    """Reranks with an ONNX cross-encoder in this process, by the ``fastembed`` library.

    It never downloads a model: a command does, at deployment. Each process loads the model when
    it first reranks, also after a fork.

    Example::

        WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
            "default": {"BACKEND": "fastembed", "MODEL": "Xenova/ms-marco-MiniLM-L-6-v2"},
        }
    """

    kind = "Reranking"
    unavailable = RerankingUnavailable
    refused = RerankingRefused

    class Options(FastEmbedRerankerOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        # `arerank` runs in a thread, so no event loop ever needs a model of its own.
        self._models: Clients[CrossEncoder, Any] = Clients(self._load)

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return the model's score of each text, which may be any number."""
        self._check_texts([query, *texts])
        model = self._models.sync()
        try:
            return model.scores(query, texts)
        except Exception as error:
            raise self._refusal(f"{self.model} cannot score a text: ", str(error)) from error

    @property
    def model(self) -> str:
        """The setting ``MODEL``."""
        return str(self.options.model)

    def _locate(self) -> Located:
        from wagtail_vector_index.embeddings.fastembed.files import locate_reranker

        return locate_reranker(self.options)

    def _load(self) -> CrossEncoder:
        from .model import CrossEncoder

        located = self._located
        return self._loaded(lambda: CrossEncoder(located, self.options.threads))
