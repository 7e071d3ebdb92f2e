"""The reranking backend ``openai``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from wagtail_vector_index.embeddings.openai.answers import BadAnswer
from wagtail_vector_index.embeddings.openai.service import Service
from wagtail_vector_index.exceptions import InvalidScores
from wagtail_vector_index.reranking.base import RerankingBackend

from .answers import read_scores
from .errors import RERANKING_ADVICE
from .options import RerankingOptions

__all__ = ["ServiceReranker"]

#: By this header, which `with_raw_response` of its resources sets, the client returns an answer
#: without reading it. It has no resource of its own for `/rerank`.
_AS_IT_COMES = {"X-Stainless-Raw-Response": "true"}


class ServiceReranker(RerankingBackend):
    """Reranks by the ``/rerank`` of Cohere, Jina, Voyage or TEI, or of a service like them.

    The ``openai`` client sends the requests, as it does for embeddings. OpenAI itself has no such
    service.

    Example::

        WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
            "default": {
                "BACKEND": "openai",
                "HOST": "https://api.cohere.com/v2",
                "MODEL": "rerank-v3.5",
                "API_KEY": os.environ["COHERE_API_KEY"],
            },
        }
    """

    class Options(RerankingOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self._service = Service(f"Reranking backend {alias!r}", options, RERANKING_ADVICE)

    def rerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Return the service's score of each text, within ``TIMEOUT`` in all."""
        send = partial(_send, self._request(query, texts))
        return self._read(self._service.call(send, self.options.timeout), len(texts))

    async def arerank(self, query: str, texts: Sequence[str]) -> list[float]:
        """Like `rerank`."""
        send = partial(_send, self._request(query, texts))
        return self._read(await self._service.acall(send, self.options.timeout), len(texts))

    def close(self) -> None:
        """Release the connections. The backend can be used again afterwards."""
        self._service.close()

    def _request(self, query: str, texts: Sequence[str]) -> dict[str, Any]:
        if self.options.protocol == "tei":
            # TEI has one model. It refuses a text that is too long unless it may cut it.
            return {"query": query, "texts": list(texts), "truncate": True}
        return {"model": self.options.model, "query": query, "documents": list(texts)}

    def _read(self, content: bytes, count: int) -> list[float]:
        try:
            return read_scores(content, count)
        except BadAnswer as error:
            problem = self._service.message(str(error))
        # Error reports show a frame's local variables, and an answer may contain the key.
        del content
        raise InvalidScores(problem)


def _send(request: dict[str, Any], client: Any, seconds: float) -> Any:
    """Return the answer as it came, or what is awaited for it, by a client of either kind."""
    options = {"timeout": seconds, "headers": _AS_IT_COMES}
    return client.post("/rerank", body=request, cast_to=object, options=options)
