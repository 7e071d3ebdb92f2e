"""The base class of embedding backends: one method to write, the rest derived from it."""

from __future__ import annotations

import math
import re
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from functools import cached_property, partial
from typing import Any, ClassVar, TypeAlias

from asgiref.sync import sync_to_async
from django.core.checks import CheckMessage

from ..contract.batching import Batches, Sizes
from ..contract.cutting import longest_beginning
from ..contract.foreign_errors import as_ours
from ..contract.options import Options as BaseOptions
from ..contract.panics import contain_panics
from ..contract.records import Vector, float32
from ..exceptions import (
    EmbeddingError,
    EmbeddingUnavailable,
    InvalidEmbeddings,
    InvalidVector,
)

__all__ = ["EmbeddingBackend", "Vectors"]

#: One vector for each text: rows of numbers, or one float32 buffer of n × dimensions.
Vectors: TypeAlias = "Sequence[Vector] | memoryview[Any] | bytes"

_PROBE = "dimensions"

#: A text that no model refuses. If it is embedded, the service works.
_HARMLESS = "test"

#: A failure that takes longer than these seconds is a time-out. If so many texts time out in a
#: row, the service is too slow for all texts.
_SLOW = 5.0
_SLOW_TEXTS = 3

#: The length in characters of a query that every model reads, so that its tokens are not counted.
_SHORT_QUERY = 64

#: The longest token in characters, by and large: more of a query is not even counted.
_LONGEST_TOKEN = 32

_WORD = re.compile(r"[^\W\d_]+")
#: The most letters of a word that is taken for an acronym if it is a whole query.
_ACRONYM = 4

_assumed: ContextVar[Callable[[], int] | None] = ContextVar("assumed_dimensions", default=None)


@contextmanager
def assumed_dimensions(dimensions: Callable[[], int]) -> Iterator[None]:
    """Have backends that do not know their dimensions take these, instead of asking their model.

    A search must not ask: a service that limits the rate may keep it waiting for minutes.
    """
    token = _assumed.set(dimensions)
    try:
        yield
    finally:
        _assumed.reset(token)


class _Dimensions(cached_property[int]):
    """`EmbeddingBackend.dimensions`. An instance that has found its own never comes here."""

    def __get__(self, instance: Any, owner: type[Any] | None = None) -> Any:
        assumed = _assumed.get()
        if assumed is None or instance is None or instance.known_dimensions is not None:
            return super().__get__(instance, owner)
        return assumed()


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

    #: How many calls of ``embed`` may run at once while content is indexed, in threads of their
    #: own? More than 1 suits a service, since the waits for its answers then do not add up. If
    #: ``embed`` uses Django's database, it closes its connections itself.
    concurrency: int = 1

    #: How much do the vectors count in hybrid search, from 0 to 1? The words count the rest. The
    #: better the model, the higher.
    vector_weight: float = 0.6

    #: The name of the backend in its `fingerprint`; "" means the path of its class. Set it, for
    #: instance to the path in your documentation, and never change it: with another fingerprint,
    #: every text must be embedded again. A subclass does not inherit it, since it may embed
    #: differently.
    fingerprint_name: ClassVar[str] = ""

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        contain_panics(cls, EmbeddingBackend, EmbeddingError)

    def __init__(self, alias: str, options: Any) -> None:
        self.alias = alias
        self.options = options
        self._probe_lock = threading.Lock()
        self._sizes = Sizes()

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

    def _embed_queries(self, texts: Sequence[str]) -> Vectors:
        """Return one vector for each query, as `prepare_query` made them.

        Override this, and `_aembed_queries`, where a service must be told that texts are queries,
        or where a visitor must not wait as long as `embed` may take.
        """
        return self.embed(texts)

    async def _aembed_queries(self, texts: Sequence[str]) -> Vectors:
        """Like `_embed_queries`, asynchronously."""
        if type(self)._embed_queries is EmbeddingBackend._embed_queries:  # noqa: SLF001  # its own
            return await self.aembed(texts)
        return await sync_to_async(self._embed_queries, thread_sensitive=False)(texts)

    @property
    def model(self) -> str:
        """The model's name, which is part of the fingerprint."""
        return str(getattr(self.options, "model", ""))

    @property
    def known_dimensions(self) -> int | None:
        """The number of components of every vector, or None unless known without the model."""
        return None

    @_Dimensions
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
        """The longest text that the model reads, in its own tokens, or None without a limit.

        What `prepare_document` and `prepare_query` add is part of that text.
        """
        return None

    def count_tokens(self, text: str) -> int:
        """Return the number of the model's tokens in a text.

        The default is one token for every four bytes of UTF-8, rounded up, which suits English.
        """
        return -(-len(text.encode()) // 4)

    @property
    def cased(self) -> bool:
        """Whether a word in capitals has another vector than the same word in small letters.

        If so, a query that is typed all in capitals is lowered before `prepare_query` gets it. A
        query of one word of up to four letters is kept, since it may be an acronym. Documents
        are never changed.
        """
        return False

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
        name = vars(kind).get("fingerprint_name") or f"{kind.__module__}.{kind.__qualname__}"
        return f"{name}:{self.model}:{self.dimensions}"

    def check(self) -> list[CheckMessage]:
        """Return the problems in the configuration that can be found without a network."""
        return []

    def close(self) -> None:  # noqa: B027  # optional
        """Close all connections. The backend can be used again afterwards."""

    # Methods that callers use

    @property
    def max_chunk_tokens(self) -> int | None:
        """`max_tokens`, less what `prepare_document` adds to each chunk."""
        if self.max_tokens is None:
            return None
        added = self.count_tokens(self.prepare_document("")) - self.count_tokens("")
        return max(1, self.max_tokens - added)

    def embed_query(self, text: str) -> memoryview[Any]:
        """Return the vector of a query: float32 of length ``dimensions``, or any while unknown.

        Of a query that is longer than `max_tokens`, only the beginning is embedded.

        Raises:
            EmbeddingUnavailable, EmbeddingRefused: as by `embed`; the first also for an error of
                the service's client that the backend let pass.
            InvalidEmbeddings: the model returned something other than one vector.
        """
        try:
            return self._only(self._embed_queries([self._query(text)]))
        except Exception as error:  # noqa: BLE001  # a model may raise anything
            raise self._as_of_service(error)  # noqa: B904  # its cause is set

    async def aembed_query(self, text: str) -> memoryview[Any]:
        """Like `embed_query`, asynchronously."""
        try:
            # The model's tokenizer may be loaded for this, and a long text takes it some time.
            query = await sync_to_async(self._query, thread_sensitive=False)(text)
            return self._only(await self._aembed_queries([query]))
        except Exception as error:  # noqa: BLE001  # a model may raise anything
            raise self._as_of_service(error)  # noqa: B904  # its cause is set

    def embed_documents(self, texts: Iterable[str]) -> Iterator[memoryview[Any]]:
        """Yield the vectors of texts, batch by batch, so that each batch can be stored at once.

        A batch that the service does not take is split, and the limit remembered.

        Yields:
            float32 of length n × ``dimensions`` for the next n texts, in order.

        Raises:
            InvalidEmbeddings: the model returned a wrong number or size of vectors, a vector
                with NaN or infinity, or a vector of zeros.
        """
        batches = self._batches(texts)
        while batch := batches.next():
            started = time.monotonic()
            try:
                vectors = self._documents(self.embed(batch), len(batch))
            except EmbeddingError as error:
                seconds = time.monotonic() - started
                if not _may_be_too_large(batch, error) or not self._responds():
                    raise
                batches.split(error, slow=seconds > _SLOW)
            else:
                batches.done()
                yield vectors

    async def aembed_documents(self, texts: Iterable[str]) -> AsyncIterator[memoryview[Any]]:
        """Like `embed_documents`, asynchronously."""
        await self._aprobe()
        batches = self._batches(texts)
        while batch := batches.next():
            started = time.monotonic()
            try:
                vectors = self._documents(await self.aembed(batch), len(batch))
            except EmbeddingError as error:
                seconds = time.monotonic() - started
                if not _may_be_too_large(batch, error) or not await self._aresponds():
                    raise
                batches.split(error, slow=seconds > _SLOW)
            else:
                batches.done()
                yield vectors

    def embed_each(self, texts: Iterable[str]) -> Iterator[memoryview[Any] | Exception]:
        """Yield the vectors of texts like `embed_documents`, but go on after a text that fails.

        Yields:
            float32 of length n × ``dimensions`` for the next n texts, in order; or an error for
            the next text, which cannot be embedded though the service works.

        Raises:
            EmbeddingUnavailable: the service does not work, limits the rate, or has timed out
                for several texts in a row.
            EmbeddingRefused: the service refuses every text.
            InvalidEmbeddings: the model returns no usable vector for any text.
        """
        batches, slow_texts = self._batches(texts), 0
        while batch := batches.next():
            started = time.monotonic()
            try:
                vectors = self._documents(self.embed(batch), len(batch))
            except Exception as error:  # noqa: BLE001  # a model may raise anything for a text
                failure, slow = error, time.monotonic() - started > _SLOW
            else:
                slow_texts = 0
                batches.done()
                yield vectors
                continue
            if _limits_rate(failure) or not self._responds():
                raise self._as_of_service(failure)
            if len(batch) > 1:
                batches.split(failure, slow=slow)
                continue
            batches.skip()
            yield failure
            slow_texts += slow
            if slow_texts == _SLOW_TEXTS:
                raise self._as_of_service(failure)

    def _responds(self) -> bool:
        """Return whether the model embeds a harmless text. If so, a failure is due to the text."""
        try:
            self._without_zeros(self.embed_query(_HARMLESS))
        except Exception:  # noqa: BLE001  # a model may raise anything
            return False
        return True

    async def _aresponds(self) -> bool:
        """Like `_responds`."""
        try:
            self._without_zeros(await self.aembed_query(_HARMLESS))
        except Exception:  # noqa: BLE001  # a model may raise anything
            return False
        return True

    def _as_of_service(self, failure: Exception) -> Exception:
        return as_ours(failure, EmbeddingUnavailable, f"Embedding backend {self.alias!r}")

    def _query(self, text: str) -> str:
        """Return the text to embed for a query, cut to what the model reads."""
        text = text.lower() if _is_shouted(text) and self.cased else text
        if len(text) <= _SHORT_QUERY or (most := self.max_tokens) is None:
            return self.prepare_query(text)
        text = text[: most * _LONGEST_TOKEN]  # so that no visitor keeps a tokenizer busy

        def fits(length: int) -> bool:
            return self.count_tokens(self.prepare_query(text[:length])) <= most

        length = len(text) if fits(len(text)) else longest_beginning(text, fits)
        return self.prepare_query(text[:length])

    def _probe(self) -> int:
        try:
            vectors = self.embed([_PROBE])
        except Exception as error:  # noqa: BLE001  # a model may raise anything
            raise self._as_of_service(error)  # noqa: B904  # its cause is set
        return self._size_of(vectors)

    def _size_of(self, vectors: Vectors) -> int:
        """Return the size of the only vector in an answer."""
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

    def _batches(self, texts: Iterable[str]) -> Batches:
        prepared = [self.prepare_document(text) for text in texts]
        return Batches(prepared, self._fitting, self._sizes, f"Embedding backend {self.alias!r}")

    def _fitting(self, texts: Sequence[str]) -> int:
        """Return how many of the first of these texts fit into one batch, at least 1."""
        most = min(len(texts), self.max_batch_texts)
        if self.max_batch_tokens is None:
            return most
        tokens = 0
        for count, text in enumerate(texts[:most]):
            tokens += self.count_tokens(text)
            if count and tokens > self.max_batch_tokens:
                return count
        return most

    def _only(self, vectors: Vectors) -> memoryview[Any]:
        with assumed_dimensions(partial(self._size_of, vectors)):
            return self._checked(vectors, 1)

    def _documents(self, vectors: Vectors, count: int) -> memoryview[Any]:
        return self._without_zeros(self._checked(vectors, count))

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


def _may_be_too_large(batch: Sequence[str], error: EmbeddingError) -> bool:
    # A batch that is too large is answered with an error, and not with wrong vectors.
    return len(batch) > 1 and not isinstance(error, InvalidEmbeddings) and not _limits_rate(error)


def _limits_rate(error: Exception) -> bool:
    return isinstance(error, EmbeddingUnavailable) and error.limits_rate


def _is_shouted(text: str) -> bool:
    """Return whether a text is all in capitals, and not only an acronym.

    Scripts without capitals, such as Arabic and Han, are neither.
    """
    if not text.isupper():
        return False
    words = [word for word in _WORD.findall(text) if word.isupper()]
    return len(words) > 1 or any(len(word) > _ACRONYM for word in words)


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
