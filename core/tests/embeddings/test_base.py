from __future__ import annotations

import asyncio
import threading
from array import array
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.exceptions import EmbeddingUnavailable, InvalidEmbeddings


class Recording(EmbeddingBackend):
    """Embeds a text as its length and its first letter, and remembers what it was asked."""

    def __init__(self, alias: str = "default", options: Any = None) -> None:
        super().__init__(alias, options)
        self.calls: list[list[str]] = []

    def embed(self, texts: Sequence[str]) -> Any:
        self.calls.append(list(texts))
        return [[float(len(text)), float(ord(text[0]))] for text in texts]


class Prefixing(Recording):
    def prepare_query(self, text: str) -> str:
        return f"query: {text}"

    def prepare_document(self, text: str) -> str:
        return f"passage: {text}"


class Cased(Prefixing):
    cased = True


class Fixed(EmbeddingBackend):
    """Gives back what it was made with, whatever it is asked."""

    dimensions = 2  # type: ignore[assignment]

    def __init__(self, answer: Any) -> None:
        super().__init__("shop", None)
        self.answer = answer

    def embed(self, texts: Sequence[str]) -> Any:
        return self.answer


def floats(*numbers: float) -> array[float]:
    return array("f", numbers)


def gather(backend: EmbeddingBackend, texts: Sequence[str]) -> list[memoryview]:
    """The batches of `embed_documents`, which must be those of its async twin."""

    async def run() -> list[memoryview]:
        return [batch async for batch in backend.aembed_documents(texts)]

    batches = list(backend.embed_documents(texts))
    assert asyncio.run(run()) == batches
    return batches


def test_a_query_is_one_vector() -> None:
    vector = Recording().embed_query("bread")
    assert (vector.format, vector.tolist()) == ("f", [5.0, 98.0])


def test_documents_are_flat_batches() -> None:
    (batch,) = gather(Recording(), ["a", "bb", "ccc"])
    assert (batch.format, batch.ndim) == ("f", 1)
    assert batch.tolist() == [1, 97, 2, 98, 3, 99]


def test_no_documents_are_no_calls() -> None:
    backend = Recording()
    assert list(backend.embed_documents([])) == []
    assert backend.calls == []


def test_documents_may_come_from_an_iterator() -> None:
    batches = list(Recording().embed_documents(text for text in "ab"))
    assert [batch.tolist() for batch in batches] == [[1, 97, 1, 98]]


def test_each_batch_comes_before_the_next_is_embedded() -> None:
    """So that what is paid for can be kept."""

    class Failing(Recording):
        dimensions = 2  # type: ignore[assignment]
        max_batch_texts = 2

        def embed(self, texts: Sequence[str]) -> Any:
            if len(self.calls) == 2:
                raise EmbeddingUnavailable("Later.")
            return super().embed(texts)

    batches = Failing().embed_documents("abcdef")
    assert next(batches).tolist() == [1, 97, 1, 98]
    assert next(batches).tolist() == [1, 99, 1, 100]
    with pytest.raises(EmbeddingUnavailable):
        next(batches)


# Batches


@pytest.mark.parametrize(
    ("texts", "sizes"), [(1, [1]), (3, [3]), (4, [3, 1]), (6, [3, 3]), (7, [3, 3, 1])]
)
def test_batches_by_count(texts: int, sizes: list[int]) -> None:
    backend = Recording()
    backend.max_batch_texts = 3
    batches = list(backend.embed_documents(["text"] * texts))
    assert [len(batch) // 2 for batch in batches] == sizes
    assert [len(call) for call in backend.calls if call != ["dimensions"]] == sizes


def test_by_default_a_batch_is_256_texts() -> None:
    assert [len(batch) // 2 for batch in Recording().embed_documents(["text"] * 300)] == [256, 44]


@pytest.mark.parametrize(
    ("texts", "sizes"),
    [
        ([10], [1]),
        ([4, 6], [2]),
        ([4, 7], [1, 1]),
        ([4, 6, 1], [2, 1]),
        ([11, 1, 1], [1, 2]),  # too long for any batch: alone
        ([1, 11, 1], [1, 1, 1]),
        ([0, 10, 0], [3]),
    ],
)
def test_batches_by_tokens(texts: list[int], sizes: list[int]) -> None:
    class Counting(Recording):
        max_batch_tokens = 10

        def count_tokens(self, text: str) -> int:
            return len(text) - 1

    batches = gather(Counting(), ["x" * (tokens + 1) for tokens in texts])
    assert [len(batch) // 2 for batch in batches] == sizes


def test_tokens_are_counted_only_where_they_matter() -> None:
    class Uncounted(Recording):
        def count_tokens(self, text: str) -> int:
            raise AssertionError

    assert list(Uncounted().embed_documents("ab"))


def test_batches_are_counted_with_their_prefixes() -> None:
    backend = Prefixing()
    backend.max_batch_tokens = 3  # "passage: a" is 10 bytes
    list(backend.embed_documents("ab"))
    assert backend.calls == [["passage: a"], ["dimensions"], ["passage: b"]]


WORDS = [f"word{'o' * 4}{number}" for number in range(10)]


@pytest.mark.parametrize(
    ("query", "embedded"),
    [
        (" ".join(WORDS[:9]), "query: " + " ".join(WORDS[:9])),
        (" ".join(WORDS[:10]), "query: " + " ".join(WORDS[:9]) + " "),
        ("one " * 1_000_000, "query: " + "one " * 9),
        ("a b c d e f g h i j k l", "query: a b c d e f g h i j k l"),
    ],
)
def test_a_query_is_cut_to_what_the_model_reads(query: str, embedded: str) -> None:
    """Documents are split before. Some services refuse what is longer, and no visitor knows."""

    class Short(Prefixing):
        max_tokens = 10  # type: ignore[assignment]

        def count_tokens(self, text: str) -> int:
            assert len(text) < 1_000
            with pytest.raises(RuntimeError):
                asyncio.get_running_loop()  # other requests would wait
            return len(text.split())

    backend = Short()
    backend.embed_query(query)
    asyncio.run(backend.aembed_query(query))
    assert [call for call in backend.calls if call != ["dimensions"]] == [[embedded]] * 2


def test_prefixes() -> None:
    backend = Prefixing()
    backend.embed_query("a")
    list(backend.embed_documents("b"))
    asyncio.run(backend.aembed_query("c"))
    calls = [call for call in backend.calls if call != ["dimensions"]]
    assert calls == [["query: a"], ["passage: b"], ["query: c"]]


# What may come back

ANSWERS = [
    [[1, 2], [3, 4]],
    ((1.0, 2.0), (3.0, 4.0)),
    [floats(1, 2), floats(3, 4)],
    [array("d", [1, 2]), [3, 4]],
    floats(1, 2, 3, 4),
    memoryview(floats(1, 2, 3, 4)),
    floats(1, 2, 3, 4).tobytes(),
    memoryview(floats(1, 2, 3, 4).tobytes()).cast("f", (2, 2)),
]


@pytest.mark.parametrize("answer", ANSWERS)
def test_rows_and_buffers(answer: Any) -> None:
    (batch,) = gather(Fixed(answer), ["a", "b"])
    assert (batch.format, batch.tolist()) == ("f", [1, 2, 3, 4])


def test_a_buffer_is_not_copied() -> None:
    answer = floats(1, 2, 3, 4)
    (batch,) = Fixed(answer).embed_documents("ab")
    answer[0] = 9
    assert batch[0] == 9


@pytest.mark.parametrize("flat", [False, True])
def test_numpy_arrays(flat: bool) -> None:
    np = pytest.importorskip("numpy")
    matrix = np.array([[1, 2], [3, 4]], dtype=np.float32)
    for answer in (matrix.ravel() if flat else matrix, list(matrix), np.asfortranarray(matrix)):
        (batch,) = gather(Fixed(answer), ["a", "b"])
        assert batch.tolist() == [1, 2, 3, 4]
    (batch,) = gather(Fixed(matrix.astype(np.float64)), ["a", "b"])
    assert batch.tolist() == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ([[1, 2]], "1 vectors for 2 texts"),
        ([[1, 2]] * 3, "3 vectors for 2 texts"),
        ([], "0 vectors for 2 texts"),
        ([[1, 2], [3]], "a vector of 1 dimensions instead of 2"),
        ([[1, 2], []], "a vector of 0 dimensions instead of 2"),
        ([[1, 2, 3], [4, 5, 6]], "a vector of 3 dimensions instead of 2"),
        (floats(1, 2), "2 numbers for 2 texts, which at 2 dimensions must be 4"),
        (floats(), "0 numbers for 2 texts"),
        (floats(1, 2, 3, 4).tobytes() * 2, "8 numbers for 2 texts"),
        (b"12345", "something other than vectors"),
        ([[1, 2], None], "something other than vectors"),
        ([[1, 2], "ab"], "something other than vectors"),
        ([[1, 2], ["a", "b"]], "something other than vectors"),
        ([1, 2], "something other than vectors"),
        ([[1, 2], [3, float("nan")]], "NaN or infinity"),
        ([[1, 2], [3, float("inf")]], "NaN or infinity"),
        ([[float("inf"), 2], [3, float("-inf")]], "NaN or infinity"),
        ([[1, 2], [3, 1e300]], "NaN or infinity"),
        (floats(1, 2, 3, float("nan")), "NaN or infinity"),
        (floats(-float("inf"), 2, 3, 4), "NaN or infinity"),
    ],
)
def test_wrong_answers(answer: Any, message: str) -> None:
    backend = Fixed(answer)
    with pytest.raises(InvalidEmbeddings, match=message) as raised:
        list(backend.embed_documents(["a", "b"]))
    assert str(raised.value).startswith("Embedding backend 'shop' returned ")

    async def run() -> None:
        async for _ in backend.aembed_documents(["a", "b"]):
            pass

    with pytest.raises(InvalidEmbeddings, match=message):
        asyncio.run(run())


def test_a_query_has_one_vector() -> None:
    with pytest.raises(InvalidEmbeddings, match="2 vectors for 1 texts"):
        Fixed([[1, 2], [3, 4]]).embed_query("a")


@pytest.mark.parametrize("number", [3.4e38, -3.4e38, 1.8e38, 1e-45, -0.0])
def test_extreme_numbers_are_numbers(number: float) -> None:
    (expected,) = floats(number)
    assert Fixed([[number, number]]).embed_query("a").tolist() == [expected, expected]


def test_errors_name_the_model() -> None:
    class Named(Fixed):
        model = "word-model"  # type: ignore[assignment]

    with pytest.raises(InvalidEmbeddings, match=r"'shop' \(model word-model\) returned 0 vectors"):
        Named([]).embed_query("a")


# Dimensions


def test_dimensions_are_found_by_embedding_a_word() -> None:
    backend = Recording()
    assert (backend.dimensions, backend.dimensions) == (2, 2)
    assert backend.calls == [["dimensions"]]


def test_threads_ask_once() -> None:
    class Slow(Recording):
        def embed(self, texts: Sequence[str]) -> Any:
            with lock:
                return super().embed(texts)

    backend, lock, barrier = Slow(), threading.Lock(), threading.Barrier(8)

    def ask(_: int) -> int:
        barrier.wait()
        return backend.dimensions

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(8))) == [2] * 8
    assert backend.calls == [["dimensions"]]


def test_dimensions_are_asked_for_again_after_an_error() -> None:
    class Failing(Recording):
        def embed(self, texts: Sequence[str]) -> Any:
            if not self.calls:
                self.calls.append([])
                raise EmbeddingUnavailable("Later.")
            return super().embed(texts)

    backend = Failing()
    with pytest.raises(EmbeddingUnavailable):
        _ = backend.dimensions
    assert backend.dimensions == 2


@pytest.mark.parametrize("answer", [[[1, 2, 3]], floats(1, 2, 3), floats(1, 2, 3).tobytes()])
def test_dimensions_of_rows_and_buffers(answer: Any) -> None:
    class Unknown(Fixed):
        dimensions = EmbeddingBackend.dimensions  # type: ignore[assignment]

    assert Unknown(answer).dimensions == 3


@pytest.mark.parametrize("answer", [[], [[]], floats(), b"", b"12345", [None], ["text"], {}])
def test_no_dimensions(answer: Any) -> None:
    class Unknown(Fixed):
        dimensions = EmbeddingBackend.dimensions  # type: ignore[assignment]

    with pytest.raises(InvalidEmbeddings, match=r"something other than a vector|an empty vector"):
        _ = Unknown(answer).dimensions


def test_async_finds_dimensions_without_holding_up_the_loop() -> None:
    class Watched(Recording):
        def embed(self, texts: Sequence[str]) -> Any:
            threads.add(threading.get_ident())
            return super().embed(texts)

    threads: set[int] = set()
    vector = asyncio.run(Watched().aembed_query("bread"))
    assert vector.tolist() == [5, 98]
    assert threading.get_ident() not in threads


# What describes a model


def test_fingerprint() -> None:
    class Named(Recording):
        model = "one"  # type: ignore[assignment]

    kind = f"{__name__}.Recording"
    assert Recording().fingerprint == f"{kind}::2"
    assert Named().fingerprint.endswith("Named:one:2")


def test_a_fingerprint_outlives_a_move_of_its_class() -> None:
    class Moved(Recording):
        fingerprint_name = "acme.Embeddings"
        model = "one"  # type: ignore[assignment]

    class Changed(Moved):
        """A site's own, which may give other vectors."""

    assert Moved().fingerprint == "acme.Embeddings:one:2"
    assert Changed().fingerprint == f"{__name__}.{Changed.__qualname__}:one:2"


def test_the_model_is_an_option() -> None:
    class Options:
        model = "from-settings"

    assert Recording(options=Options()).model == "from-settings"


@pytest.mark.parametrize(
    ("text", "tokens"), [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("日本", 2)]
)
def test_tokens_are_estimated(text: str, tokens: int) -> None:
    assert Recording().count_tokens(text) == tokens


def embedded_query(backend: Recording, text: str) -> str:
    """The text that is embedded for a query, which must be that of the async twin."""
    backend.embed_query(text)
    asyncio.run(backend.aembed_query(text))
    [one, other] = [text for [text] in backend.calls if text != "dimensions"]
    assert one == other
    return one.removeprefix("query: ")


@pytest.mark.parametrize(
    ("text", "embedded"),
    [
        ("HOW DO I BAKE BREAD?", "how do i bake bread?"),
        ("BREAD", "bread"),
        ("GO ON", "go on"),
        ("COVID-19", "covid-19"),
        ("WIE WÄR'S MIT ÄPFELN", "wie wär's mit äpfeln"),
        ("ΠΩΣ ΦΤΙΑΧΝΩ ΨΩΜΙ", "πως φτιαχνω ψωμι"),
        ("国民主権 BREAD", "国民主権 bread"),
    ],
)
def test_queries_in_capitals_are_lowered_for_models_that_are_cased(
    text: str, embedded: str
) -> None:
    assert embedded_query(Cased(), text) == embedded
    assert embedded_query(Prefixing(), text) == text


@pytest.mark.parametrize(
    "text",
    [
        "NASA", "SAP", "X", "HTTP 404", "国民主権 GDP", "How do I use the API?", "iPHONE CASE",
        "国民主権の原理", "كيف أخبز الخبز", "कैसे", "1234 5678", "?!", "STRAßE NACH ROM",
    ],
)  # fmt: skip
def test_other_queries_keep_their_capitals(text: str) -> None:
    assert embedded_query(Cased(), text) == text


def test_documents_keep_their_capitals() -> None:
    backend = Cased()
    gather(backend, ["HOW TO BAKE BREAD"])
    assert backend.calls[-1] == ["passage: HOW TO BAKE BREAD"]


def test_what_need_not_be_written() -> None:
    backend = Recording()
    assert backend.prepare_query("a") == backend.prepare_document("a") == "a"
    assert (backend.max_tokens, backend.check(), backend.close()) == (None, [], None)
    assert repr(backend) == "<Recording 'default'>"


def test_embed_must_be_written() -> None:
    with pytest.raises(TypeError, match="embed"):
        EmbeddingBackend("default", None)  # type: ignore[abstract]


def test_making_one_embeds_nothing() -> None:
    assert Recording().calls == []
