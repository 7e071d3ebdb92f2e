"""The embedding backend ``fastembed``."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from functools import cached_property
from hashlib import blake2s
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from django.core import checks

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import EmbeddingRefused, EmbeddingUnavailable

from .options import FastEmbedOptions
from .prefixes import prefixes_of

if TYPE_CHECKING:
    from .files import Located
    from .model import Model
    from .tokens import Tokens

__all__ = ["FastEmbedBackend"]

T = TypeVar("T")


class FastEmbedBackend(EmbeddingBackend):
    """Embeds with an ONNX model in this process, by the ``fastembed`` library.

    It never downloads a model: a command does, at deployment. Each process loads the model when
    it first embeds, also after a fork.

    Example::

        WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
            "default": {"BACKEND": "fastembed", "MODEL": "BAAI/bge-small-en-v1.5"},
        }
    """

    class Options(FastEmbedOptions):
        """The keys next to ``BACKEND``; the README explains each."""

    # Core stores the vectors of each call. A model embeds about ten chunks a second.
    max_batch_texts = 32

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        # `aembed` runs in a thread, so no event loop ever needs a model of its own.
        self._models: Clients[Model, Any] = Clients(self._load, self._load)

    def embed(self, texts: Sequence[str]) -> memoryview[Any]:
        """Return one vector for each text: n × ``dimensions`` float32."""
        try:
            "".join(texts).encode()  # releases of the tokenizer handle such text differently
        except UnicodeEncodeError as error:
            raise self._refused(f"text must be encodable as UTF-8: {error}") from error
        model = self._models.sync()
        try:
            return model.embed(texts).data
        except Exception as error:
            raise self._refused(f"{self.model} cannot embed a text: {error}") from error

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
        """The longest chunk that the model reads: its limit, less the prefix of documents."""
        if (limit := self._tokens.limit) is None:
            return None
        prefix = self._tokens.count(self.prepare_document("")) - self._tokens.count("")
        return max(1, limit - prefix)

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
        return f"{prefixes_of(self.model).query if prefix is None else prefix}{text}"

    def prepare_document(self, text: str) -> str:
        """Return the text with ``DOCUMENT_PREFIX`` before it, by default that of the model."""
        prefix = self.options.document_prefix
        return f"{prefixes_of(self.model).document if prefix is None else prefix}{text}"

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

    def check(self) -> list[checks.CheckMessage]:
        """Warn if the folder of the model is missing."""
        if self.options.folder.is_dir():
            return []
        key = "MODEL_PATH" if self.options.model_path else "CACHE_DIR"
        hint = f"Set {key!r} to the folder." if self.options.model_path else self._how_to_download
        return [
            checks.Warning(
                f"{self._name}: there is no folder {self.options.folder}, where its model should"
                " be.",
                hint=hint,
                id="wagtail_vector_index_fastembed.W001",
            )
        ]

    def close(self) -> None:
        """Release the model. The backend can be used again afterwards."""
        self._models.close()
        for name in ("_located", "_tokens"):
            self.__dict__.pop(name, None)

    @cached_property
    def _located(self) -> Located:
        from .files import MissingFiles, UnknownModel, locate

        try:
            return locate(self.options)
        except UnknownModel as error:
            raise self._refused(str(error)) from error
        except MissingFiles as error:
            hint = "" if self.options.model_path else f" {self._how_to_download}"
            raise EmbeddingUnavailable(f"{self._name}: {error}{hint}") from error

    @cached_property
    def _tokens(self) -> Tokens:
        from .tokens import Tokens

        located = self._located
        return self._loaded(lambda: Tokens(located))

    def _load(self) -> Model:
        from .model import Model

        located = self._located
        return self._loaded(lambda: Model(located, self.options.threads))

    def _loaded(self, load: Callable[[], T]) -> T:
        folder = self._located.folder
        try:
            return load()
        except Exception as error:
            raise self._refused(f"the model in {folder} cannot be loaded: {error}") from error

    def _refused(self, problem: str) -> EmbeddingRefused:
        return EmbeddingRefused(f"{self._name}: {problem}")

    @property
    def _name(self) -> str:
        return f"Embedding backend {self.alias!r}"

    @property
    def _how_to_download(self) -> str:
        command = ["python", "-m", __package__, self.model, "--cache-dir", self.options.folder]
        return f"To download it, run: {shlex.join(map(str, command))}"
