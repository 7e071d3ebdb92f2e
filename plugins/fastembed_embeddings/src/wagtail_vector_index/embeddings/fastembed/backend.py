"""The embedding backend ``fastembed``."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import EmbeddingRefused, EmbeddingUnavailable

from .local import LocalModel
from .options import FastEmbedOptions
from .prefixes import Prefixes, prefixes_in, prefixes_of

if TYPE_CHECKING:
    from .files import Located
    from .model import Model
    from .tokens import Tokens

__all__ = ["FastEmbedBackend"]


class FastEmbedBackend(LocalModel, EmbeddingBackend):
    """Embeds with an ONNX model in this process, by the ``fastembed`` library.

    It never downloads a model: a command does, at deployment. Each process loads the model when
    it first embeds, also after a fork.

    Example::

        WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "fastembed", "MODEL": "BAAI/bge-small-en-v1.5"},
        }
    """

    kind = "Embedding"
    unavailable = EmbeddingUnavailable
    refused = EmbeddingRefused

    class Options(FastEmbedOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    # Core stores the vectors of each call. A model embeds about ten chunks a second.
    max_batch_texts = 32

    fingerprint_name = "wagtail_vector_index.embeddings.fastembed.FastEmbedBackend"

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        # `aembed` runs in a thread, so no event loop ever needs a model of its own.
        self._models: Clients[Model, Any] = Clients(self._load)

    def embed(self, texts: Sequence[str]) -> memoryview[Any]:
        """Return one vector for each text: n × ``dimensions`` float32."""
        self._check_texts(texts)
        model = self._models.sync()
        try:
            return model.embed(texts).data
        except Exception as error:
            raise self._refusal(f"{self.model} cannot embed a text: ", str(error)) from error

    @property
    def model(self) -> str:
        """``MODEL``, or the name of the folder ``MODEL_PATH``."""
        return self.options.model or Path(self.options.model_path).name

    @property
    def known_dimensions(self) -> int | None:
        """The dimensions of a model that the library knows."""
        return self._located.dimensions

    @property
    def max_tokens(self) -> int | None:
        """The longest text that the model reads; it leaves out the rest of a longer one."""
        return self._tokens.limit

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text."""
        return self._tokens.count(text)

    @property
    def cased(self) -> bool:
        """Whether the model's tokenizer keeps capitals."""
        return self._tokens.cased

    def prepare_query(self, text: str) -> str:
        """Return the text with ``QUERY_PREFIX`` before it, by default that of the model."""
        prefix = self.options.query_prefix
        return f"{self._prefixes.query if prefix is None else prefix}{text}"

    def prepare_document(self, text: str) -> str:
        """Return the text with ``DOCUMENT_PREFIX`` before it, by default that of the model."""
        prefix = self.options.document_prefix
        return f"{self._prefixes.document if prefix is None else prefix}{text}"

    @property
    def fingerprint(self) -> str:
        """The backend, its model and dimensions, and a hash of what else changes vectors."""
        parts = [self.prepare_document("")]
        if options := self.options.pooling and self.options:
            parts += [options.pooling, str(options.normalize), options.model_file]
        if parts == [""]:
            return super().fingerprint
        hashed = blake2s("\0".join(parts).encode(), digest_size=8).hexdigest()
        return f"{super().fingerprint}:{hashed}"

    def close(self) -> None:
        """Release the model. The backend can be used again afterwards."""
        super().close()
        self.__dict__.pop("_tokens", None)
        self.__dict__.pop("_prefixes", None)

    def _locate(self) -> Located:
        from .files import locate

        return locate(self.options)

    @cached_property
    def _prefixes(self) -> Prefixes:
        found = prefixes_in(self.options.folder) if self.options.model_path else None
        return found or prefixes_of(self.model)

    @cached_property
    def _tokens(self) -> Tokens:
        from .tokens import Tokens

        located = self._located
        return self._loaded(lambda: Tokens(located))

    def _load(self) -> Model:
        from .model import Model

        located = self._located
        return self._loaded(lambda: Model(located, self.options.threads))
