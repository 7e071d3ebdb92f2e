"""Batches that a service does not take are split, and one bad text holds up no other."""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from wagtail_vector_index.embeddings import base
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import (
    ClientNotInstalled,
    EmbeddingError,
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidEmbeddings,
)


class Watched(EmbeddingBackend):
    """Embeds a text as its number, and remembers the sizes of the batches that it was sent."""

    dimensions = 1  # type: ignore[assignment]

    def __init__(self, before: Callable[[Sequence[str]], None]) -> None:
        super().__init__("shop", None)
        self.before = before
        self.sizes: list[int] = []
        self.probes = 0

    def embed(self, texts: Sequence[str]) -> Any:
        if list(texts) == ["test"]:
            self.probes += 1
        else:
            self.sizes.append(len(texts))
        self.before(texts)
        return [[float(text.split()[-1]) if " " in text else 1.0] for text in texts]

    def numbers(self, texts: Sequence[str]) -> list[float]:
        """The vectors of texts; each error is -1."""
        found: list[float] = []
        for each in self.embed_each(texts):
            found += [-1.0] if isinstance(each, Exception) else each.tolist()
        return found


def at_most(size: int, kind: type[EmbeddingError]) -> Callable[[Sequence[str]], None]:
    def before(texts: Sequence[str]) -> None:
        if len(texts) > size:
            raise kind(f"batch size {len(texts)} > maximum allowed batch size {size}")

    return before


def poisoned(*bad: str, kind: type[Exception] = EmbeddingUnavailable) -> Any:
    def before(texts: Sequence[str]) -> None:
        if set(bad) & set(texts):
            raise kind("500 json: unsupported value: NaN")

    return before


def flat(batches: Any) -> list[float]:
    return [number for batch in batches for number in batch]


EXPECTED = [float(number + 1) for number in range(256)]


@pytest.fixture
def texts() -> list[str]:
    return [f"text {number + 1}" for number in range(256)]


def test_a_batch_that_is_too_large_is_halved_and_the_limit_remembered(
    texts: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    backend = Watched(at_most(32, EmbeddingRefused))
    with caplog.at_level(logging.WARNING):
        assert flat(backend.embed_documents(texts)) == EXPECTED
        assert backend.sizes == [256, 128, 64, *[32] * 8]
        backend.sizes.clear()
        assert flat(backend.embed_documents(texts[:40])) == EXPECTED[:40]
        assert backend.sizes == [32, 8]
    [record] = caplog.records
    assert "'shop' did not take 64 texts at once, but took 32" in record.getMessage()


def test_the_limit_is_remembered_for_one_process_and_alias_only(texts: list[str]) -> None:
    flat(Watched(at_most(32, EmbeddingRefused)).embed_documents(texts))
    other = Watched(lambda texts: None)
    flat(other.embed_documents(texts))
    assert other.sizes == [256]


def test_asynchronously_too(texts: list[str]) -> None:
    backend = Watched(at_most(100, EmbeddingRefused))

    async def run() -> list[float]:
        return [number async for batch in backend.aembed_documents(texts) for number in batch]

    assert asyncio.run(run()) == EXPECTED
    assert backend.sizes == [256, 128, 64, 64, 64, 64]


@pytest.mark.parametrize("kind", [EmbeddingUnavailable, ConnectionError])
def test_a_failure_that_passes_limits_no_batch(texts: list[str], kind: type[Exception]) -> None:
    """For instance the restart of a service. What fails twice at one size did not pass."""
    failing = iter([True])

    def before(texts: Sequence[str]) -> None:
        if len(texts) == 256 and next(failing, False):
            raise kind("restarting")

    backend = Watched(before)
    assert backend.numbers(texts) == EXPECTED
    backend.sizes.clear()
    backend.numbers(texts)
    failing = iter([True])
    backend.numbers(texts)
    backend.sizes.clear()
    backend.numbers(texts)
    assert backend.sizes == [256]


def test_a_size_that_times_out_twice_is_avoided(texts: list[str]) -> None:
    backend = Watched(at_most(50, EmbeddingUnavailable))
    flat(backend.embed_documents(texts))
    flat(backend.embed_documents(texts))
    backend.sizes.clear()
    assert flat(backend.embed_documents(texts)) == EXPECTED
    assert backend.sizes == [16] * 16


@pytest.mark.parametrize("kind", [EmbeddingUnavailable, EmbeddingRefused])
def test_a_service_that_is_down_is_asked_once_and_for_one_harmless_text(
    texts: list[str], kind: type[EmbeddingError]
) -> None:
    def down(texts: Sequence[str]) -> None:
        raise kind("down")

    for embed in (Watched.embed_documents, Watched.embed_each):
        backend = Watched(down)
        with pytest.raises(kind, match="down"):
            list(embed(backend, texts))
        assert (backend.sizes, backend.probes) == ([256], 1)
    backend = Watched(down)

    async def run() -> None:
        async for _ in backend.aembed_documents(texts):
            pass

    with pytest.raises(kind, match="down"):
        asyncio.run(run())
    assert (backend.sizes, backend.probes) == ([256], 1)


@pytest.mark.parametrize("kind", [ConnectionError, TimeoutError, KeyError])
def test_a_service_that_is_down_may_raise_anything(texts: list[str], kind: type[Exception]) -> None:
    """A third party's backend may let errors of its client pass. No text is the reason."""

    def down(texts: Sequence[str]) -> None:
        raise kind("no route to host")

    backend = Watched(down)
    with pytest.raises(EmbeddingUnavailable, match=rf"'shop' failed.*{kind.__name__}.*no route"):
        list(backend.embed_each(texts))
    assert (backend.sizes, backend.probes) == ([256], 1)


def test_a_search_fails_in_a_known_way_too() -> None:
    def down(texts: Sequence[str]) -> None:
        raise ConnectionError("no route to host")

    backend = Watched(down)
    with pytest.raises(EmbeddingUnavailable, match=r"'shop' failed.*ConnectionError.*no route"):
        backend.embed_query("text 1")
    with pytest.raises(EmbeddingUnavailable, match=r"'shop' failed.*ConnectionError.*no route"):
        asyncio.run(backend.aembed_query("text 1"))


@pytest.mark.parametrize("number", [0.0, math.nan])
def test_a_model_that_gives_no_text_a_vector(texts: list[str], number: float) -> None:
    class Useless(Watched):
        def embed(self, texts: Sequence[str]) -> Any:
            return [[number] for _ in super().embed(texts)]

    backend = Useless(lambda texts: None)
    with pytest.raises(InvalidEmbeddings):
        list(backend.embed_each(texts))
    assert (backend.sizes, backend.probes) == ([256], 1)


def test_wrong_settings_are_no_texts_fault(texts: list[str]) -> None:
    def before(texts: Sequence[str]) -> None:
        raise ClientNotInstalled("Run: pip install shop")

    backend = Watched(before)
    with pytest.raises(ClientNotInstalled):
        list(backend.embed_each(texts))
    assert backend.sizes == [256]


def test_the_word_that_finds_the_dimensions_fails_as_a_service_does() -> None:
    class Unknown(Watched):
        dimensions = EmbeddingBackend.dimensions  # type: ignore[assignment]

    def down(texts: Sequence[str]) -> None:
        raise ConnectionError("no route to host")

    with pytest.raises(EmbeddingUnavailable, match="'shop' failed"):
        _ = Unknown(down).dimensions


@pytest.mark.parametrize("kind", [EmbeddingUnavailable, EmbeddingRefused, InvalidEmbeddings])
@pytest.mark.parametrize("place", [0, 77, 255])
def test_a_bad_text_is_found_in_few_steps(
    texts: list[str], kind: type[Exception], place: int
) -> None:
    backend = Watched(poisoned(texts[place], kind=kind))
    expected = [*EXPECTED]
    expected[place] = -1.0
    assert backend.numbers(texts) == expected
    assert len(backend.sizes) <= 33
    # The bad text was the reason, not the size of its batch.
    backend.sizes.clear()
    backend.numbers(texts[: max(place, 1)][-200:] if place else texts[1:])
    assert len(backend.sizes) == 1


def test_a_text_that_costs_a_time_out_costs_few_of_them(texts: list[str]) -> None:
    failed = []

    def before(sent: Sequence[str]) -> None:
        if texts[200] in sent:
            failed.append(len(sent))
            raise EmbeddingUnavailable("did not answer within 60 seconds")

    assert Watched(before).numbers(texts).count(-1.0) == 1
    assert failed == [256, 16, 1]


def test_several_bad_texts(texts: list[str]) -> None:
    bad = [texts[0], texts[1], texts[130], texts[255]]
    found = Watched(poisoned(*bad)).numbers(texts)
    assert [texts[place] for place, number in enumerate(found) if number == -1.0] == bad


def test_a_bad_text_in_a_service_with_a_limit(texts: list[str]) -> None:
    limit, poison = at_most(32, EmbeddingRefused), poisoned(texts[40])

    def before(sent: Sequence[str]) -> None:
        limit(sent)
        poison(sent)

    backend = Watched(before)
    assert backend.numbers(texts).count(-1.0) == 1
    assert backend.numbers(texts).count(-1.0) == 1
    backend.sizes.clear()
    backend.numbers(texts[100:])
    assert max(backend.sizes) == 32


def test_what_a_model_raises_for_one_text_may_be_anything(texts: list[str]) -> None:
    backend = Watched(poisoned(texts[9], kind=RuntimeError))
    errors = [each for each in backend.embed_each(texts) if isinstance(each, Exception)]
    assert [type(error) for error in errors] == [RuntimeError]


def test_a_rate_limit_is_no_texts_fault(texts: list[str]) -> None:
    """Smaller batches would only be more requests."""

    def before(sent: Sequence[str]) -> None:
        if len(sent) > 1:
            error = EmbeddingUnavailable("slow down")
            error.limits_rate = True
            raise error

    for embed in (Watched.embed_documents, Watched.embed_each):
        backend = Watched(before)
        with pytest.raises(EmbeddingUnavailable, match="slow down"):
            list(embed(backend, texts))
        assert (backend.sizes, backend.probes) == ([256], 0)


@pytest.mark.parametrize("kind", [EmbeddingUnavailable, TimeoutError, EmbeddingRefused])
def test_a_service_that_is_too_slow_for_every_text_is_given_up(
    texts: list[str], kind: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It answers a word in time, but not a text. Each time-out may be minutes."""
    monkeypatch.setattr(base, "_SLOW", -1.0)
    backend = Watched(poisoned(*texts, kind=kind))
    errors: list[Any] = []
    with pytest.raises(EmbeddingError):
        errors.extend(each for each in backend.embed_each(texts))
    assert backend.sizes == [256, 16, 1, 1, 1]


def test_queries_may_be_embedded_in_another_way() -> None:
    class Asymmetric(Watched):
        def _embed_queries(self, texts: Sequence[str]) -> Any:
            return [[-1.0] for _ in texts]

    backend = Asymmetric(lambda texts: None)
    assert backend.embed_query("text 3").tolist() == [-1.0]
    assert asyncio.run(backend.aembed_query("text 3")).tolist() == [-1.0]
    assert flat(backend.embed_documents(["text 3"])) == [3.0]
    assert asyncio.run(Watched(lambda texts: None).aembed_query("text 3")).tolist() == [3.0]
