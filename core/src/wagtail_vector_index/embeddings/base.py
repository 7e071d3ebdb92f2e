"""The contract of an embedding backend: one method to write, the rest derived."""

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

    An author writes `embed`, and what of the rest the model does differently. Making a
    backend does no I/O and loads no model.

    Args:
        alias: the key in the settings, for messages.
        options: an instance of the class's ``Options``.

    Example::

        class AcmeEmbeddings(EmbeddingBackend):
            def embed(self, texts):
                return acme.encode(list(texts))
    """

    @dataclass(frozen=True, kw_only=True)
    class Options(BaseOptions):
        """The keys beside ``BACKEND`` in the settings; a backend declares its own."""

    #: How many texts may one call of ``embed`` carry?
    max_batch_texts: int = 256

    #: How many tokens may one call of ``embed`` carry? Any number, if it is None.
    max_batch_tokens: int | None = None

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options
        self._probe_lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.alias!r}>"

    @abstractmethod
    def embed(self, texts: Sequence[str]) -> Vectors:
        """One vector for each text, in order.

        Raises:
            EmbeddingUnavailable: trying again later may help.
            EmbeddingRefused: it will not.
        """

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """Like `embed`: in a thread, unless the backend is asynchronous itself."""
        return await sync_to_async(self.embed, thread_sensitive=False)(texts)

    # What a model may do differently

    @property
    def model(self) -> str:
        """The model's name, part of the fingerprint."""
        return str(getattr(self.options, "model", ""))

    @property
    def known_dimensions(self) -> int | None:
        """The number of components of every vector, where no model need be asked for it."""
        return None

    @cached_property
    def dimensions(self) -> int:
        """The number of components of every vector, known or found by embedding a word."""
        if (known := self.known_dimensions) is not None:
            return known
        with self._probe_lock:
            if (found := self.__dict__.get("dimensions")) is None:
                # Stored under the lock, so that threads that wait for it don't ask again.
                found = self.__dict__["dimensions"] = self._probe()
            return int(found)

    @property
    def max_tokens(self) -> int | None:
        """The longest text the model reads, in its own tokens; None if there is no end."""
        return None

    def count_tokens(self, text: str) -> int:
        """How many of the model's tokens a text has.

        By default one for every four bytes of UTF-8, rounded up, which suits English.
        """
        return -(-len(text.encode()) // 4)

    def prepare_query(self, text: str) -> str:
        """The text to embed for a query; models with instructions add them here."""
        return text

    def prepare_document(self, text: str) -> str:
        """The text to embed for a document; models with prefixes add them here."""
        return text

    @property
    def fingerprint(self) -> str:
        """What makes two vectors comparable, of backend, model and dimensions."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__}:{self.model}:{self.dimensions}"

    def check(self) -> list[CheckMessage]:
        """What can be said about the configuration without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Give back connections. The backend can be used again afterwards."""

    # What everybody calls

    def embed_query(self, text: str) -> memoryview[Any]:
        """The vector of a query: float32 of length ``dimensions``.

        Raises:
            InvalidEmbeddings: the model gave back something else than one vector.
        """
        return self._checked(self.embed([self.prepare_query(text)]), 1)

    async def aembed_query(self, text: str) -> memoryview[Any]:
        """Like `embed_query`."""
        await self._aprobe()
        return self._checked(await self.aembed([self.prepare_query(text)]), 1)

    def embed_documents(self, texts: Iterable[str]) -> Iterator[memoryview[Any]]:
        """The vectors of documents, batch by batch, so that each can be kept as it comes.

        Yields:
            float32 of length n × ``dimensions`` for the next n texts, in order.

        Raises:
            InvalidEmbeddings: a wrong number or size of vectors, NaN or infinity, or zero.
        """
        for batch in self._batches([self.prepare_document(text) for text in texts]):
            yield self._pointing(self._checked(self.embed(batch), len(batch)))

    async def aembed_documents(self, texts: Iterable[str]) -> AsyncIterator[memoryview[Any]]:
        """Like `embed_documents`."""
        await self._aprobe()
        for batch in self._batches([self.prepare_document(text) for text in texts]):
            yield self._pointing(self._checked(await self.aembed(batch), len(batch)))

    def _probe(self) -> int:
        vectors = self.embed([_PROBE])
        try:
            flat = _flat(vectors)
            columns = len(float32(vectors[0])) if flat is None else len(flat)
        except (InvalidVector, LookupError) as error:
            raise self._wrong("something else than a vector") from error
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
        """The vectors as one buffer, if there are as many, and as long, as there must be."""
        try:
            flat = _flat(vectors)
            rows = [] if flat is not None else [float32(row) for row in vectors]
        except InvalidVector as error:
            raise self._wrong("something else than vectors") from error
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

    def _pointing(self, flat: memoryview[Any]) -> memoryview[Any]:
        """The same vectors, if each has a direction: without one, a document is near nothing."""
        size = self.dimensions
        for start in range(0, len(flat), size):
            if not any(flat[start : start + size]):
                raise self._wrong("zero, which has no direction")
        return flat

    def _wrong(self, what: str) -> InvalidEmbeddings:
        model = f" (model {self.model})" if self.model else ""
        return InvalidEmbeddings(f"Embedding backend {self.alias!r}{model} gave back {what}.")


def _flat(vectors: Vectors) -> memoryview[Any] | None:
    """What came as one contiguous buffer of float32; None if it came as rows."""
    try:
        buffer = memoryview(vectors)  # type: ignore[arg-type]
    except TypeError:
        return None
    if isinstance(vectors, bytes):
        if len(vectors) % 4:
            raise InvalidVector(f"{len(vectors)} bytes are no float32.")
        return buffer.cast("f")
    if buffer.format == "f" and buffer.c_contiguous:
        return memoryview(float32(vectors))
    return None


def _all_finite(flat: memoryview[Any]) -> bool:
    # Of NaN and infinity the byte with the sign is 7F or FF; of hardly anything else.
    signs = flat.cast("B")[3 if sys.byteorder == "little" else 0 :: 4].tobytes()
    if b"\x7f" not in signs and b"\xff" not in signs:
        return True
    # They survive a sum of doubles, and float32 cannot overflow one.
    return math.isfinite(sum(flat.tolist()))
