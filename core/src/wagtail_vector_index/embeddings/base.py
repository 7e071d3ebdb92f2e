"""The base class of embedding backends: one method to write, the rest derived from it."""

from __future__ import annotations

import math
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.options import Options as BaseOptions
from ..contract.records import Vector, float32
from ..exceptions import InvalidEmbeddings, InvalidVector

__all__ = ["EmbeddingBackend", "Vectors"]

#: One vector for each text: rows of numbers, or one float32 buffer of n × dimensions.
Vectors: TypeAlias = "Sequence[Vector] | memoryview[Any] | bytes"

_PROBE = "dimensions"


class EmbeddingBackend(ABC):
    """Turns texts into vectors.

    The author of a backend writes `embed`, and overrides other methods where the model
    differs from the defaults. Creating a backend does no I/O and loads no model.

    Args:
        alias: the key in the settings, which messages name.
        options: an instance of the class's ``Options``.

    Example::

        class AcmeEmbeddings(EmbeddingBackend):
            def embed(self, texts):
                return acme.encode(list(texts))
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys in the settings other than ``BACKEND``. A backend declares its own."""

    #: How many texts may one call of ``embed`` carry?
    max_batch_texts: int = 256

    #: How many tokens may one call of ``embed`` carry? None means any number.
    max_batch_tokens: int | None = None

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options
        self._probe_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one vector for each text, in order.

        Raises:
            EmbeddingUnavailable: trying again later may help.
            EmbeddingRefused: trying again will not help.
        """

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Call `embed` in a thread. A backend with an asynchronous client overrides this."""
        return await sync_to_async(self.embed, thread_sensitive=False)(texts)

    # What a backend may override

    @property
    def model(self) -> str:
        """The model's name, which is part of the fingerprint."""
        return str(getattr(self.options, "model", ""))

    @property
    def known_dimensions(self) -> int | None:
        """The number of components of every vector, or None unless known without the model."""
        return None

    @cached_property
    def dimensions(self) -> int:
        """The number of components of every vector, known or found by embedding a word."""
        if (known := self.known_dimensions) is not None:
            return known
        with self._probe_lock:
            if (found := self.__dict__.get("dimensions")) is None:
                # Stored under the lock, so that threads that wait for the lock do not ask again.
                found = self.__dict__["dimensions"] = self._probe()
            return int(found)

    @property
    def max_tokens(self) -> int | None:
        """The longest text that the model reads, in its own tokens, or None without a limit."""
        return None

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text.

        The default is one token for every four bytes of UTF-8, rounded up, which suits English.
        """
        return -(-len(text.encode()) // 4)

    def prepare_query(self, text: str) -> str:
        """Return the text to embed for a query. Models with instructions add them here."""
        return text

    def prepare_document(self, text: str) -> str:
        """Return the text to embed for a chunk of content. Models with prefixes add them here."""
        return text

    @property
    def fingerprint(self) -> str:
        """The backend, model and dimensions as text. Only vectors of one fingerprint compare."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}:{self.model}:{self.dimensions}"

    def check(self) -> list[CheckMessage]:
        """Return the problems in the configuration that can be found without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Close all connections. The backend can be used again afterwards."""

    # Methods that callers use

    def embed_query(self, text: str) -> memoryview[Any]:
        """Return the vector of a query: float32 of length ``dimensions``.

        Raises:
            InvalidEmbeddings: the model returned something other than one vector.
        """
        return self._checked(self.embed([self.prepare_query(text)]), 1)

    async def aembed_query(self, text: str) -> memoryview[Any]:
        """Like `embed_query`, asynchronously."""
        await self._aprobe()
        return self._checked(await self.aembed([self.prepare_query(text)]), 1)

    def embed_documents(self, texts: Iterable[str]) -> Iterator[memoryview[Any]]:
        """Yield the vectors of texts, batch by batch, so that each batch can be stored at once.

        Yields:
            float32 of length n × ``dimensions`` for the next n texts, in order.

        Raises:
            InvalidEmbeddings: the model returned a wrong number or size of vectors, a vector
                with NaN or infinity, or a vector of zeros.
        """
        for batch in self._batches([self.prepare_document(text) for text in texts]):
            yield self._without_zeros(self._checked(self.embed(batch), len(batch)))

    async def aembed_documents(self, texts: Iterable[str]) -> AsyncIterator[memoryview[Any]]:
        """Like `embed_documents`, asynchronously."""
        await self._aprobe()
        for batch in self._batches([self.prepare_document(text) for text in texts]):
            yield self._without_zeros(self._checked(await self.aembed(batch), len(batch)))

    def _probe(self) -> int:
        vectors = self.embed([_PROBE])
        try:
            flat = _flat(vectors)
            columns = len(float32(vectors[0])) if flat is None else len(flat)
        except (InvalidVector, LookupError) as error:
            raise self._wrong("something other than a vector") from error
        if not columns:
            raise self._wrong("an empty vector")
        return columns

    async def _aprobe(self) -> None:
        await sync_to_async(lambda: self.dimensions, thread_sensitive=False)()

    def _batches(self, texts: list[str]) -> Iterator[list[str]]:
        batch: list[str] = []
        tokens = 0
        for text in texts:
            size = 0 if self.max_batch_tokens is None else self.count_tokens(text)
            too_many = len(batch) == self.max_batch_texts
            too_long = self.max_batch_tokens is not None and tokens + size > self.max_batch_tokens
            if batch and (too_many or too_long):
                yield batch
                batch, tokens = [], 0
            batch.append(text)
            tokens += size
        if batch:
            yield batch

    def _checked(self, vectors: Vectors, count: int) -> memoryview[Any]:
        """Return the vectors as one buffer, after a check of their number, sizes and values."""
        try:
            flat = _flat(vectors)
            rows = [] if flat is not None else [float32(row) for row in vectors]
        except InvalidVector as error:
            raise self._wrong("something other than vectors") from error
        if flat is None:
            if len(rows) != count:
                raise self._wrong(f"{len(rows)} vectors for {count} texts")
            if sizes := {len(row) for row in rows} - {self.dimensions}:
                size, expected = sizes.pop(), self.dimensions
                raise self._wrong(f"a vector of {size} dimensions instead of {expected}")
            flat = memoryview(b"".join(rows)).cast("f")
        if len(flat) != count * self.dimensions:
            raise self._wrong(
                f"{len(flat)} numbers for {count} texts, which at {self.dimensions} dimensions"
                f" must be {count * self.dimensions}"
            )
        if not _all_finite(flat):
            raise self._wrong("NaN or infinity")
        return flat

    def _without_zeros(self, flat: memoryview[Any]) -> memoryview[Any]:
        """Return the same vectors. Raise if one is zero: without a direction it is near nothing."""
        size = self.dimensions
        for start in range(0, len(flat), size):
            if not any(flat[start : start + size]):
                raise self._wrong("zero, which has no direction")
        return flat

    def _wrong(self, what: str) -> InvalidEmbeddings:
        model = f" (model {self.model})" if self.model else ""
        return InvalidEmbeddings(f"Embedding backend {self.alias!r}{model} returned {what}.")


def _flat(vectors: Vectors) -> memoryview[Any] | None:
    """Return the vectors as one buffer of float32, or None if they are rows."""
    try:
        buffer = memoryview(vectors)  # type: ignore[arg-type]
    except TypeError:
        return None
    if isinstance(vectors, bytes):
        if len(vectors) % 4:
            raise InvalidVector(f"{len(vectors)} bytes are not float32: 4 bytes each.")
        return buffer.cast("f")
    if buffer.format == "f" and buffer.c_contiguous:
        return memoryview(float32(vectors))
    return None


def _all_finite(flat: memoryview[Any]) -> bool:
    # In NaN and infinity, the byte with the sign is 7F or FF. Hardly any other float has that.
    signs = flat.cast("B")[3 if sys.byteorder == "little" else 0 :: 4].tobytes()
    if b"\x7f" not in signs and b"\xff" not in signs:
        return True
    # NaN and infinity survive a sum of doubles, and no number of float32 can overflow one.
    return math.isfinite(sum(flat.tolist()))
