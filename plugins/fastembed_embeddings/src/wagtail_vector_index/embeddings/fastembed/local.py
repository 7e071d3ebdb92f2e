"""What the backends of this plugin share: a model on this machine, loaded on first use."""

from __future__ import annotations

import shlex
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from django.core import checks

from wagtail_vector_index.contract import Clients
from wagtail_vector_index.exceptions import VectorIndexError

if TYPE_CHECKING:
    from .files import Located

__all__ = ["LocalModel"]

T = TypeVar("T")


class LocalModel:
    """Finds and loads the model of a backend, and says how to download it if it is missing."""

    #: The kind of the backend, as errors begin.
    kind: ClassVar[str]
    #: The error for a model that is not on this machine.
    unavailable: ClassVar[type[VectorIndexError]]
    #: The error for a model that cannot be used.
    refused: ClassVar[type[VectorIndexError]]

    alias: str
    options: Any
    _models: Clients[Any, Any]

    @property
    @abstractmethod
    def model(self) -> str:
        """The name of the model."""

    @abstractmethod
    def _locate(self) -> Located:
        """Return where the model is that the settings name."""

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
        self.__dict__.pop("_located", None)

    @cached_property
    def _located(self) -> Located:
        from .files import MissingFiles, UnknownModel

        try:
            return self._locate()
        except UnknownModel as error:
            raise self._refusal(str(error)) from error
        except MissingFiles as error:
            hint = "" if self.options.model_path else f" {self._how_to_download}"
            raise self._error(self.unavailable, f"{error}{hint}") from error

    def _loaded(self, load: Callable[[], T]) -> T:
        folder = self._located.folder
        try:
            return load()
        except Exception as error:
            raise self._refusal(f"the model in {folder} cannot be loaded: {error}") from error

    def _check_texts(self, texts: Sequence[str]) -> None:
        try:
            "".join(texts).encode()  # releases of the tokenizer handle such text differently
        except UnicodeEncodeError as error:
            raise self._refusal("text must be encodable as UTF-8: ", str(error)) from error

    def _refusal(self, problem: str, said: str = "") -> VectorIndexError:
        """Return the error for a problem; what the library said may repeat a text."""
        return self._error(self.refused, problem, said)

    def _error(
        self, kind: type[VectorIndexError], problem: str, said: str = ""
    ) -> VectorIndexError:
        error = kind(f"{self._name}: {problem}{said}")
        error.quotation = said
        return error

    @property
    def _name(self) -> str:
        return f"{self.kind} backend {self.alias!r}"

    @property
    def _how_to_download(self) -> str:
        command = ["python", "-m", __package__, self.model, "--cache-dir", self.options.folder]
        return f"To download it, run: {shlex.join(map(str, command))}"
