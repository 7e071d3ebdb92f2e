"""The embedding backend ``openai``."""

from __future__ import annotations

from collections.abc import Sequence
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

# Dimensions of OpenAI's own models, so that knowing them costs no request.
_DIMENSIONS = {
    "text-embedding-3-small": 1536,
    "text-embedding-3-large": 3072,
    "text-embedding-ada-002": 1536,
}
_MAX_TOKENS = 8191  # of all of them


class OpenAIEmbeddings(EmbeddingBackend):
    """Embeds with the ``openai`` client, at OpenAI or at any service that speaks its protocol.

    Example::

        WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "openai", "MODEL": "text-embedding-3-small"},
        }
    """

    class Options(OpenAIOptions):
        """The keys beside ``BACKEND``; the README says what each is for."""

    # OpenAI takes 300,000 a request. `count_tokens` only estimates, and can be short by
    # more than half where text is no prose.
    max_batch_tokens = 120_000

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self.max_batch_texts = options.batch_size
        self._service = Service(f"Embedding backend {alias!r}", options, EMBEDDING_ADVICE)

    def embed(self, texts: Sequence[str]) -> memoryview[float]:
        """One vector for each text: n × ``dimensions`` float32."""
        from openai import OpenAIError

        try:
            client = self._service.sync()
            answer = client.embeddings.with_raw_response.create(**self._request(texts))
        except (OpenAIError, UnicodeError) as error:
            failure = self._service.explain(error)
        else:
            return self._read(answer.content, len(texts))
        # Out here, so that nothing but what `explain` allows is chained.
        raise failure

    async def aembed(self, texts: Sequence[str]) -> memoryview[float]:
        """Like `embed`."""
        from openai import OpenAIError

        try:
            client = await self._service.of_loop()
            answer = await client.embeddings.with_raw_response.create(**self._request(texts))
        except (OpenAIError, UnicodeError) as error:
            failure = self._service.explain(error)
        else:
            return self._read(answer.content, len(texts))
        raise failure

    @property
    def known_dimensions(self) -> int | None:
        """``DIMENSIONS``, or known for OpenAI's own models."""
        return self.options.dimensions or _DIMENSIONS.get(self.model)

    @property
    def max_tokens(self) -> int | None:
        """The longest text the model reads: ``MAX_TOKENS``, or known for OpenAI's own models."""
        return self.options.max_tokens or (_MAX_TOKENS if self.model in _DIMENSIONS else None)

    def count_tokens(self, text: str) -> int:
        """About how many tokens a text has, rather too many than too few.

        OpenAI's tokenizer loads its vocabulary from the network, and other models have others.
        """
        return estimate_tokens(text)

    def prepare_query(self, text: str) -> str:
        """The text with ``QUERY_PREFIX`` before it."""
        return f"{self.options.query_prefix}{text}"

    def prepare_document(self, text: str) -> str:
        """The text with ``DOCUMENT_PREFIX`` before it."""
        return f"{self.options.document_prefix}{text}"

    @property
    def fingerprint(self) -> str:
        """The backend, its model, the dimensions, and what is put before documents."""
        if not (prefix := self.options.document_prefix):
            return super().fingerprint
        return f"{super().fingerprint}:{blake2s(prefix.encode(), digest_size=8).hexdigest()}"

    def check(self) -> list[checks.CheckMessage]:
        """Warns where OpenAI is to be asked without a key."""
        return self._service.check()

    def close(self) -> None:
        """Give back connections. The backend can be used again afterwards."""
        self._service.close()

    def _request(self, texts: Sequence[str]) -> dict[str, Any]:
        request = {
            "model": self.options.model,
            "input": list(texts),
            "encoding_format": self.options.encoding_format,
        }
        if self.options.dimensions is not None:
            request["dimensions"] = self.options.dimensions
        return request

    def _read(self, content: bytes, count: int) -> memoryview[float]:
        try:
            return memoryview(read_vectors(content, count, self.known_dimensions)).cast("f")
        except BadAnswer as error:
            problem = self._service.message(str(error))
        # An error report shows what a frame holds when it raises, and an answer may hold the key.
        del content
        raise InvalidEmbeddings(problem)
