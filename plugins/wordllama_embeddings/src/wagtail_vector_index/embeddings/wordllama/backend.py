"""The embedding backend ``wordllama``."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import EmbeddingRefused

if TYPE_CHECKING:
    from .model import StaticModel

__all__ = ["WordLlamaEmbeddings"]


class WordLlamaEmbeddings(EmbeddingBackend):
    """Embeds with the static model of the ``wordllama`` wheel: offline and without a key.

    The model reads words but not their order. It is fast, and good at finding the subject of a
    text. Vectors have length 1.

    Example::

        WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {"default": {"BACKEND": "wordllama"}}
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(EmbeddingBackend.Options):
        """``DIMENSIONS``: the number of components of a vector."""

        dimensions: Literal[64, 128, 256] = 256

    fingerprint_name = "wagtail_vector_index.embeddings.wordllama.WordLlamaEmbeddings"

    #: The model knows subjects, and few names and codes. So words count more than usual.
    vector_weight = 0.45

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        self._load_lock = threading.Lock()

    @property
    def model(self) -> str:
        """The name of the weights in the wheel."""
        return "l2_supercat"

    @property
    def cased(self) -> bool:
        """True: the model knows hardly any words that are written in capitals."""
        return True

    @property
    def known_dimensions(self) -> int:
        """The option ``DIMENSIONS``, known without loading the model."""
        return int(self.options.dimensions)

    def embed(self, texts: Sequence[str]) -> memoryview[Any]:
        """Return one vector for each text: n × ``dimensions`` float32."""
        try:
            "".join(texts).encode()  # releases of the tokenizer handle such text differently
        except UnicodeEncodeError as error:
            raise EmbeddingRefused(
                f"Embedding backend {self.alias!r} needs text that UTF-8 can encode: {error}."
            ) from error
        return self._model.embed(texts).data

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text."""
        return self._model.count_tokens(text)

    def close(self) -> None:
        """Release the model, which takes about 50 MB."""
        self.__dict__.pop("_model", None)

    @cached_property
    def _model(self) -> StaticModel:
        with self._load_lock:
            loaded: StaticModel | None = self.__dict__.get("_model")
            if loaded is None:
                from .model import StaticModel

                # Stored under the lock, so that threads that wait for the lock find the model.
                loaded = self.__dict__["_model"] = StaticModel(self.options.dimensions)
            return loaded
