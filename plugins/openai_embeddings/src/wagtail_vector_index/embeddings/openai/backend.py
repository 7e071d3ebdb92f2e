"""The embedding backend ``openai``."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import partial
from hashlib import blake2s
from typing import Any

from django.core import checks

from wagtail_vector_index.contract import estimate_tokens
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import InvalidEmbeddings

from .answers import BadAnswer, read_vectors
from .errors import EMBEDDING_ADVICE
from .options import OpenAIOptions
from .service import Service

__all__ = ["OpenAIEmbeddings"]

# The dimensions of OpenAI's own models, so that no request is needed to learn them.
_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_MAX_TOKENS = 8191  # the same for all of these models


class OpenAIEmbeddings(EmbeddingBackend):
    """Embeds with the ``openai`` client, at OpenAI or any service that speaks its protocol.

    Example::

        WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "openai", "MODEL": "text-embedding-3-small"},
        }
    """

    class Options(OpenAIOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    fingerprint_name = "wagtail_vector_index.embeddings.openai.OpenAIEmbeddings"

    # OpenAI takes 300,000 tokens per request. `count_tokens` only estimates. If a text is not
    # prose, the estimate can be less than half of the real number.
    max_batch_tokens = 120_000

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self.max_batch_texts = options.batch_size
        self.concurrency = options.concurrency
        self._service = Service(f"Embedding backend {alias!r}", options, EMBEDDING_ADVICE)

    def embed(self, texts: Sequence[str]) -> memoryview[float]:
        """Return one vector for each text: n × ``dimensions`` float32."""
        request = self._request(texts, self.options.document_body)
        return self._read(self._service.call(partial(_send, request)), len(texts))

    async def aembed(self, texts: Sequence[str]) -> memoryview[float]:
        """Like `embed`."""
        request = self._request(texts, self.options.document_body)
        return self._read(await self._service.acall(partial(_send, request)), len(texts))

    def _embed_queries(self, texts: Sequence[str]) -> memoryview[float]:
        """Like `embed`, with ``QUERY_BODY``, and within ``QUERY_TIMEOUT`` in all."""
        request, total = self._request(texts, self.options.query_body), self.options.query_timeout
        return self._read(self._service.call(partial(_send, request), total), len(texts))

    async def _aembed_queries(self, texts: Sequence[str]) -> memoryview[float]:
        """Like `_embed_queries`."""
        request, total = self._request(texts, self.options.query_body), self.options.query_timeout
        return self._read(await self._service.acall(partial(_send, request), total), len(texts))

    @property
    def known_dimensions(self) -> int | None:
        """``DIMENSIONS``, or known for OpenAI's own models."""
        known = _DIMENSIONS.get(self.model) if self.options.has_openai_models else None
        return self.options.dimensions or known

    @property
    def max_tokens(self) -> int | None:
        """The most tokens of a text: ``MAX_TOKENS``, or the known limit of OpenAI's own models."""
        is_known = self.options.has_openai_models and self.model in _DIMENSIONS
        return self.options.max_tokens or (_MAX_TOKENS if is_known else None)

    def count_tokens(self, text: str) -> int:
        """Estimate how many tokens a text has, rather too many than too few.

        OpenAI's tokenizer loads its vocabulary from the network, and other models use other
        tokenizers.
        """
        return estimate_tokens(text)

    def prepare_query(self, text: str) -> str:
        """Return the text with ``QUERY_PREFIX`` before it."""
        return f"{self.options.query_prefix}{text}"

    def prepare_document(self, text: str) -> str:
        """Return the text with ``DOCUMENT_PREFIX`` before it."""
        return f"{self.options.document_prefix}{text}"

    @property
    def fingerprint(self) -> str:
        """The backend, its model and dimensions, and a hash of what documents are sent with."""
        options = self.options
        sent: list[Any] = [options.document_prefix] if options.document_prefix else []
        if options.document_body:
            sent.append(json.dumps(dict(options.document_body), sort_keys=True))
        if not sent:
            return super().fingerprint
        digest = blake2s("\0".join(sent).encode(), digest_size=8).hexdigest()
        return f"{super().fingerprint}:{digest}"

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the alias names OpenAI without a key."""
        return self._service.check()

    def close(self) -> None:
        """Release the connections. The backend can be used again afterwards."""
        self._service.close()

    def _request(self, texts: Sequence[str], body: Mapping[str, Any]) -> dict[str, Any]:
        request = {
            "model": self.options.model,
            "encoding_format": self.options.encoding_format,
            # The client looks at each text of its own argument, which takes a tenth of the
            # processor's time of a build. It sends what is here as it is, instead of the argument.
            "input": [],
            "extra_body": {"input": list(texts), **body},
        }
        if self.options.dimensions is not None:
            request["dimensions"] = self.options.dimensions
        return request

    def _read(self, content: bytes, count: int) -> memoryview[float]:
        is_set = self.options.dimensions is not None
        try:
            rows = read_vectors(content, count, self.known_dimensions, is_set=is_set)
        except BadAnswer as error:
            problem = self._service.message(str(error))
        else:
            vectors = memoryview(rows).cast("f")
            # Any answer tells the dimensions, so that a first search needs no request for them.
            self.__dict__.setdefault("dimensions", len(vectors) // count)
            return vectors
        # Error reports show a frame's local variables, and an answer may contain the key.
        del content
        raise InvalidEmbeddings(problem)


def _send(request: dict[str, Any], client: Any, seconds: float) -> Any:
    """Return the answer as it came, or what is awaited for it, by a client of either kind."""
    return client.embeddings.with_raw_response.create(**request, timeout=seconds)
