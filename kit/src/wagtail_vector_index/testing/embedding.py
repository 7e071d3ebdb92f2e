"""The conformance suite for embedding backends."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Iterable, Sequence
from functools import partial
from operator import mul
from typing import Any

from wagtail_vector_index.embeddings.base import EmbeddingBackend

from .expect import expect, expect_equal, expect_messages
from .instance import THREADS, OneBackend
from .spawning import in_new_process

__all__ = ["EmbeddingBackendConformance"]

TEXTS = [
    "How do I bake bread?",
    "The shop opens at eight from Monday to Friday.",
    "Straße, naïve, Ελλάδα, Конституция, العربية, हिन्दी, 国民主権",
    "👩‍👩‍👧 🎉",
    "?!",
    "x",
    "first line\n\n\tsecond line",
    "https://example.com/a/path?of=a&page=2#top",
]

#: More texts than a model may take at once.
MANY = [f"This is page {number}." for number in range(1, 301)]

#: The lowest cosine similarity of two vectors of the same text.
ALIKE = 0.999


class EmbeddingBackendConformance(OneBackend[EmbeddingBackend]):
    """The rules that every embedding backend must keep.

    Derive a test class from it that defines `make_backend`. The texts are short, so that a
    test of a service that costs money stays cheap.

    Example::

        class TestAcme(EmbeddingBackendConformance):
            def make_backend(self):
                return AcmeEmbeddings("default", AcmeEmbeddings.Options(model="small"))
    """

    def make_backend(self) -> EmbeddingBackend:
        """Make a new instance of the backend under test. Override this."""
        return super().make_backend()

    def embedded(self, texts: Sequence[str]) -> list[list[float]]:
        """Return the vectors of documents as rows."""
        return self.rows(self.backend.embed_documents(texts))

    def rows(self, batches: Iterable[memoryview[Any]]) -> list[list[float]]:
        """Return the vectors of batches as rows."""
        numbers = [float(number) for batch in batches for number in batch]
        size = self.backend.dimensions
        return [numbers[start : start + size] for start in range(0, len(numbers), size)]

    def test_one_vector_for_each_text(self) -> None:
        rows = self.embedded(TEXTS)
        expect_equal(len(rows), len(TEXTS), "Each text has a vector.")
        for text, row in zip(TEXTS, rows, strict=True):
            expect(any(row), f"The vector of {text!r} is zero, which has no direction.")

    def test_one_vector_for_each_of_many_texts(self) -> None:
        rows = self.embedded(MANY)
        expect_equal(len(rows), len(MANY), "Each text has a vector, of many texts too.")
        rule = "The vectors of many texts come in the order of the texts."
        expect_same([rows[0], rows[-1]], self.embedded([MANY[0], MANY[-1]]), rule)

    def test_texts_have_vectors_of_their_own(self) -> None:
        rows = self.embedded(TEXTS[:3])
        for row, other in ((0, 1), (0, 2), (1, 2)):
            alike = cosine(rows[row], rows[other])
            expect(alike < ALIKE, f"{TEXTS[row]!r} and {TEXTS[other]!r} have the same vector.")

    def test_batches_change_nothing(self) -> None:
        singles = [row for text in TEXTS for row in self.embedded([text])]
        rule = "A text has the same vector alone and among others, in the order of the texts."
        expect_same(self.embedded(TEXTS), singles, rule)
        self.backend.max_batch_texts = min(3, self.backend.max_batch_texts)
        expect_same(self.embedded(TEXTS), singles, rule)
        expect_same(self.embedded(TEXTS[::-1]), singles[::-1], rule)

    def test_a_text_twice(self) -> None:
        one, other, third = self.embedded([TEXTS[0], TEXTS[1], TEXTS[0]])
        expect_same([one], [third], "A text that comes twice has its vector twice.")
        expect(cosine(one, other) < ALIKE, "A different text between them has a different vector.")

    def test_queries_are_as_long_as_documents(self) -> None:
        for text in TEXTS[:3]:
            query = self.backend.embed_query(text)
            rule = "The vector of a query has as many dimensions as that of a document."
            expect_equal(len(query), len(self.embedded([text])[0]), rule)
            expect(any(query), f"The vector of the query {text!r} is zero.")

    def test_instances_agree(self) -> None:
        before = self.embedded(TEXTS[:2])
        other = self.make_backend()
        try:
            rule = "Two instances with the same options have the same fingerprint."
            expect_equal(other.fingerprint, self.backend.fingerprint, rule)
            rule = "Two instances with the same fingerprint return the same vectors."
            expect_same(self.rows(other.embed_documents(TEXTS[:2])), before, rule)
        finally:
            other.close()

    def test_processes_agree(self) -> None:
        # Before the backend exists: the new process makes its own.
        found = in_new_process(self.embedded, TEXTS[:2])
        rule = "Two processes return the same vectors. The hash() of a text differs among them."
        expect_same(found, self.embedded(TEXTS[:2]), rule)

    def test_close_and_use_again(self) -> None:
        before = self.embedded(TEXTS[:2])
        self.backend.close()
        self.backend.close()
        expect_same(self.embedded(TEXTS[:2]), before, "A backend can be used after close().")

    def test_check(self) -> None:
        backend = self.make_backend()
        expect_messages(backend.check())
        backend.close()

    def test_tokens(self) -> None:
        longest = self.backend.max_tokens
        rule = "max_tokens is None, or the number of tokens that a text may have."
        expect(longest is None or (type(longest) is int and longest > 0), rule)
        for text in TEXTS:
            count = self.backend.count_tokens(text)
            expect(type(count) is int and count > 0, f"{text!r} has {count!r} tokens.")
        # Beyond the length of what the model reads, too: only so can core cut a text before it.
        times = max(10, longest or 0)
        self.longer(self.backend.count_tokens(TEXTS[0] * times), TEXTS[0] * 2 * times)

    def longer(self, tokens: int, text: str) -> int:
        """Return the number of tokens of a text, which must be higher than this one."""
        count = self.backend.count_tokens(text)
        expect(
            count > tokens,
            "A text of twice the length has more tokens. count_tokens() does not grow with the"
            f" text, but stays at {count}: does the tokenizer truncate?",
        )
        return count

    def test_the_longest_text(self) -> None:
        text = "bread "
        longest = min(self.backend.max_chunk_tokens or 500, 500)
        tokens = self.backend.count_tokens(text)
        while (tokens := self.longer(tokens, text * 2)) <= longest:
            text *= 2
        expect_equal(
            len(self.embedded([text])), 1, "A text of max_chunk_tokens tokens is embedded."
        )

    def test_asynchronously(self) -> None:
        async def embed() -> tuple[memoryview[Any], list[memoryview[Any]]]:
            query = await self.backend.aembed_query(TEXTS[0])
            return query, [batch async for batch in self.backend.aembed_documents(TEXTS)]

        query, batches = asyncio.run(embed())
        expected = [self.backend.embed_query(TEXTS[0]).tolist()]
        expect_same([query.tolist()], expected, "aembed_query() returns the same as embed_query().")
        rule = "aembed_documents() returns the same as embed_documents()."
        expect_same(self.rows(batches), self.embedded(TEXTS), rule)

    def test_first_use_in_several_threads(self) -> None:
        backend, texts = self.backend, TEXTS[:THREADS]
        found = self.at_once([partial(backend.embed_query, text) for text in texts])
        expected = [backend.embed_query(text) for text in texts]
        expect_same(found, expected, "Several threads may be the first to use a backend.")


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Return the cosine similarity of two vectors: 1 for the same direction."""
    return math.fsum(map(mul, one, other)) / (math.hypot(*one) * math.hypot(*other))


def expect_same(
    found: Sequence[Sequence[float]], expected: Sequence[Sequence[float]], rule: str
) -> None:
    """Fail unless these vectors are the same, up to the rounding of a model's arithmetic."""
    expect_equal(len(found), len(expected), rule)
    for row, (one, other) in enumerate(zip(found, expected, strict=True)):
        alike = cosine(one, other)
        expect(
            alike >= ALIKE,
            f"{rule}\n  The cosine similarity of the two vectors of text {row} is {alike}.",
        )
