"""All exceptions that Wagtail Vector Index raises on purpose.

::

    VectorIndexError
    ├── ConfigurationError (django.core.exceptions.ImproperlyConfigured)
    │   ├── UnknownAlias          settings have no such alias
    │   ├── UnknownBackend        no plugin offers a backend of this name
    │   ├── PluginNotInstalled    a known plugin, which pip can install
    │   ├── ClientNotInstalled    a library that the plugin needs is not installed
    │   ├── PluginBroken          an error inside the plugin
    │   ├── BackendNameConflict   two plugins offer the same name
    │   ├── AppNotInstalled       a Django app is missing in INSTALLED_APPS
    │   ├── InvalidOptions        an unknown, missing or wrong option
    │   └── InvalidIndex          a vector index is declared wrongly
    ├── InvalidInput (ValueError)
    │   ├── InvalidVector         wrong size, NaN, infinity, or zero under cosine
    │   ├── InvalidRecord         metadata that cannot be stored or filtered
    │   ├── InvalidFilter         an unknown field or lookup, a value of another type
    │   ├── InvalidSpec           a collection's name, size, metric or fields
    │   └── InvalidQuery          a limit or score out of range, a blank question
    ├── BackendError
    │   ├── BackendUnavailable    the service cannot be reached in time
    │   ├── BackendRefused        the service refuses: a wrong key, a full disk
    │   ├── CollectionNotFound
    │   ├── CollectionMismatch    the collection exists with another shape
    │   └── WriteFailed           some or all records were not written; ``ids`` says which
    ├── EmbeddingError
    │   ├── EmbeddingUnavailable  time-out, rate limit, server error: try again later
    │   ├── EmbeddingRefused      wrong key, unknown model, text that is not accepted
    │   └── InvalidEmbeddings     the model returned a wrong number or size of vectors
    ├── ChatError
    │   ├── ChatUnavailable       time-out, rate limit, server error, an answer that breaks off
    │   ├── ChatRefused           wrong key, unknown model, a question that is not accepted
    │   └── InvalidAnswer         the model returned no text
    ├── RerankingError
    │   ├── RerankingUnavailable  time-out, rate limit, server error: try again later
    │   ├── RerankingRefused      wrong key, unknown model, text that is not accepted
    │   └── InvalidScores         wrong number, NaN or infinity, no scores at all
    └── IndexStateError
        ├── IndexNotBuilt         nothing to search yet
        ├── IndexOutdated         built with another model or chunking
        └── RebuildRunning        a process with other settings builds this index
"""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.core.exceptions import ImproperlyConfigured

__all__ = [
    "AppNotInstalled",
    "BackendError",
    "BackendNameConflict",
    "BackendRefused",
    "BackendUnavailable",
    "ChatError",
    "ChatRefused",
    "ChatUnavailable",
    "ClientNotInstalled",
    "CollectionMismatch",
    "CollectionNotFound",
    "ConfigurationError",
    "EmbeddingError",
    "EmbeddingRefused",
    "EmbeddingUnavailable",
    "IndexNotBuilt",
    "IndexOutdated",
    "IndexStateError",
    "InvalidAnswer",
    "InvalidEmbeddings",
    "InvalidFilter",
    "InvalidIndex",
    "InvalidInput",
    "InvalidOptions",
    "InvalidQuery",
    "InvalidRecord",
    "InvalidScores",
    "InvalidSpec",
    "InvalidVector",
    "PluginBroken",
    "PluginNotInstalled",
    "RebuildRunning",
    "RerankingError",
    "RerankingRefused",
    "RerankingUnavailable",
    "UnknownAlias",
    "UnknownBackend",
    "VectorIndexError",
    "WriteFailed",
]


class VectorIndexError(Exception):
    """The root of every error raised by Wagtail Vector Index."""

    #: The part of the message that quotes a service, which may repeat content there. What is
    #: stored or logged leaves it out. None: the message does not say which part of it is a quote.
    quotation: str | None = None


class ConfigurationError(VectorIndexError, ImproperlyConfigured):
    """The settings are wrong, or do not fit the installed packages."""


class UnknownAlias(ConfigurationError):
    """The settings have no backend under this alias."""


class UnknownBackend(ConfigurationError):
    """No installed plugin offers a backend of this name."""


class PluginNotInstalled(ConfigurationError):
    """The backend belongs to a distribution that is not installed."""


class ClientNotInstalled(ConfigurationError):
    """The plugin is installed, but a library it needs is not."""


class PluginBroken(ConfigurationError):
    """The plugin is installed and raised an error, or offers something unusable."""


class BackendNameConflict(ConfigurationError):
    """Two plugins offer a backend under the same name."""


class AppNotInstalled(ConfigurationError):
    """The backend needs a Django app that ``INSTALLED_APPS`` does not name."""


class InvalidOptions(ConfigurationError):
    """An option of a backend is unknown, missing, or of the wrong type."""


class InvalidIndex(ConfigurationError):
    """A vector index is declared wrongly."""


class InvalidInput(VectorIndexError, ValueError):
    """A value given to a public method is wrong; nothing was written."""


class InvalidVector(InvalidInput):
    """A vector has the wrong size, is not finite, or is zero under cosine."""


class InvalidRecord(InvalidInput):
    """An id or metadata value cannot be stored."""


class InvalidFilter(InvalidInput):
    """A filter names an unknown field or lookup, or compares with another type."""


class InvalidSpec(InvalidInput):
    """A collection's name, dimensions, metric or fields are wrong."""


class InvalidQuery(InvalidInput):
    """A limit or a score is out of range, or a question is blank or too long."""


class BackendError(VectorIndexError):
    """A vector backend could not carry out an operation."""


class BackendUnavailable(BackendError):
    """The service cannot be reached, or did not answer in time. Try again."""


class BackendRefused(BackendError):
    """The service was reached and refused the request."""


class CollectionNotFound(BackendError):
    """The backend has no collection of this name."""


class CollectionMismatch(BackendError):
    """The backend has a collection of this name with another shape."""


class WriteFailed(BackendError):
    """Records were not written.

    ``ids`` holds the ids of all records that may not have been written. Writing is
    idempotent: send the whole batch again.
    """

    def __init__(self, message: str, ids: Iterable[UUID]) -> None:
        super().__init__(message)
        self.ids: tuple[UUID, ...] = tuple(ids)

    def __reduce__(self) -> tuple[type[WriteFailed], tuple[str, tuple[UUID, ...]]]:
        return type(self), (str(self), self.ids)


class EmbeddingError(VectorIndexError):
    """Texts could not be embedded."""


class EmbeddingUnavailable(EmbeddingError):
    """The service cannot be reached, is overloaded, or limits the rate. Try again."""

    #: Does the service limit the rate? Then no text is to blame, and other texts must wait too.
    limits_rate: bool = False


class EmbeddingRefused(EmbeddingError):
    """The service refuses the key, the model or the text. Trying again won't help."""


class InvalidEmbeddings(EmbeddingError):
    """The model returned a wrong number of vectors, or vectors that are unusable."""


class ChatError(VectorIndexError):
    """A question could not be answered."""


class ChatUnavailable(ChatError):
    """The service cannot be reached, is overloaded, or broke off its answer. Try again."""


class ChatRefused(ChatError):
    """The service refuses the key, the model or the question. Trying again won't help."""


class InvalidAnswer(ChatError):
    """The model returned something other than text."""


class RerankingError(VectorIndexError):
    """Search results could not be reranked. The search keeps their order and logs the error."""


class RerankingUnavailable(RerankingError):
    """The service cannot be reached, is overloaded, or limits the rate. Try again."""


class RerankingRefused(RerankingError):
    """The service refuses the key, the model or the texts. Trying again won't help."""


class InvalidScores(RerankingError):
    """The model returned something other than one finite number for each text."""


class IndexStateError(VectorIndexError):
    """The state of a vector index does not allow the operation."""


class IndexNotBuilt(IndexStateError):
    """The index has no active collection yet."""


class IndexOutdated(IndexStateError):
    """The index was built with another embedding model or chunking."""


class RebuildRunning(IndexStateError):
    """A process with other settings builds this index, or has built it."""
