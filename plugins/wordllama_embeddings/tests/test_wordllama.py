from __future__ import annotations

import argparse
import asyncio
import inspect
import logging
import math
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from tests.clean_python import run_python
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings, plugin
from wagtail_vector_index.embeddings.wordllama import model as model_module
from wagtail_vector_index.exceptions import ClientNotInstalled, EmbeddingRefused, InvalidOptions

TEXTS = [
    "How do I bake bread?",
    "Knead the dough, let it rise, and put the loaf into a hot oven.",
    "The train to the coast leaves at noon.",
    "日本語のテキスト",
    "  two  spaces\n\nand lines\t",
]


def make(**options: Any) -> WordLlamaEmbeddings:
    parsed = parse_options(WordLlamaEmbeddings.Options, options, "SETTING['default']")
    return WordLlamaEmbeddings("default", parsed)


@pytest.fixture(scope="module")
def backend() -> WordLlamaEmbeddings:
    return make()


def array_of(vectors: Any, dimensions: int = 256) -> np.ndarray[Any, Any]:
    return np.asarray(vectors, dtype=np.float32).reshape(-1, dimensions)


@pytest.fixture(scope="module")
def library() -> Any:
    """The ``wordllama`` module, whose import would set up the root logger."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging, "basicConfig", lambda **_: None)
        import wordllama
    return wordllama


@pytest.mark.parametrize("dimensions", [64, 128, 256])
def test_vectors_are_those_of_the_library(library: Any, dimensions: int) -> None:
    theirs = library.WordLlama.load(
        cache_dir=Path(library.__file__).parent, disable_download=True, trunc_dim=dimensions
    )
    expected = theirs.embed(TEXTS, norm=True)
    ours = array_of(make(DIMENSIONS=dimensions).embed(TEXTS), dimensions)
    np.testing.assert_allclose(ours, expected, atol=1e-6)


def test_near_texts_have_near_vectors(backend: WordLlamaEmbeddings) -> None:
    question, bread, train, *_ = array_of(backend.embed(TEXTS))
    assert question @ bread > 0.3 > question @ train


def test_vectors_have_length_1(backend: WordLlamaEmbeddings) -> None:
    texts = [*TEXTS, "", " ", "\n", "\x00", "<s>", "a" * 100_000]
    vectors = array_of(backend.embed(texts))
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_the_form_of_vectors(backend: WordLlamaEmbeddings) -> None:
    vectors = backend.embed(TEXTS)
    assert (vectors.format, vectors.c_contiguous, vectors.shape) == ("f", True, (len(TEXTS), 256))
    assert backend.embed([]).nbytes == 0


def test_a_text_has_one_vector_whatever_it_comes_with(backend: WordLlamaEmbeddings) -> None:
    together = array_of(backend.embed([*TEXTS, "long " * 10_000]))
    alone = array_of([backend.embed([text]) for text in TEXTS])
    assert (together[: len(TEXTS)] == alone).all()


def test_long_texts_are_read_in_full(backend: WordLlamaEmbeddings) -> None:
    short, long, other = array_of(
        backend.embed(["red", "red " * 30_000, "red " * 9_000 + "green " * 9_000])
    )
    assert short @ long > 0.99 > short @ other


def test_queries_and_documents(backend: WordLlamaEmbeddings) -> None:
    vectors = array_of(backend.embed(TEXTS))
    assert (array_of(backend.embed_query(TEXTS[0])) == vectors[:1]).all()
    texts = TEXTS * 100
    batches = list(backend.embed_documents(texts))
    assert [len(batch) // 256 for batch in batches] == [256, 244]
    assert (array_of(np.concatenate(batches)) == np.tile(vectors, (100, 1))).all()


def test_a_query_in_capitals_keeps_its_meaning(backend: WordLlamaEmbeddings) -> None:
    question, shouted = TEXTS[0], TEXTS[0].upper()
    bread, train = array_of(backend.embed(TEXTS[1:3]))
    found = array_of(backend.embed_query(shouted))[0]
    assert found @ array_of(backend.embed_query(question))[0] > 0.9
    assert found @ bread > 0.3 > found @ train
    # The model itself is cased: without help, most of the meaning is lost.
    assert array_of(backend.embed([shouted]))[0] @ bread < 0.2


def test_acronyms_and_documents_are_embedded_as_they_are(backend: WordLlamaEmbeddings) -> None:
    for text in ("NASA", "HTTP"):
        assert backend.embed_query(text).tolist() == array_of(backend.embed([text]))[0].tolist()
    [batch] = backend.embed_documents(["BAKING BREAD"])
    assert batch.tolist() == array_of(backend.embed(["BAKING BREAD"]))[0].tolist()


def test_async_is_the_same(backend: WordLlamaEmbeddings) -> None:
    async def run() -> Any:
        return await backend.aembed(TEXTS), await backend.aembed_query(TEXTS[0])

    vectors, query = asyncio.run(run())
    assert vectors == backend.embed(TEXTS)
    assert query == backend.embed_query(TEXTS[0])


def test_text_that_is_no_unicode(backend: WordLlamaEmbeddings) -> None:
    with pytest.raises(EmbeddingRefused, match="UTF-8 can encode"):
        backend.embed(["\ud800"])


# What is known without the model


@pytest.mark.parametrize("dimensions", [64, 128, 256])
def test_fingerprint_and_dimensions(dimensions: int) -> None:
    backend = make(DIMENSIONS=dimensions)
    assert backend.dimensions == dimensions
    kind = "wagtail_vector_index.embeddings.wordllama.WordLlamaEmbeddings"
    assert backend.fingerprint == f"{kind}:l2_supercat:{dimensions}"
    assert (backend.max_tokens, backend.check()) == (None, [])
    assert "_model" not in vars(backend)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"DIMENSIONS": 100}, "64, 128, 256"), ({"MODEL": "x"}, "Allowed: BACKEND, DIMENSIONS")],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message):
        make(**options)


def test_the_plugin_offers_the_backend() -> None:
    (spec,) = plugin.embedding_backends().values()
    assert plugin.API_VERSION == 1
    assert spec.path == f"wagtail_vector_index.embeddings.wordllama.{WordLlamaEmbeddings.__name__}"
    assert "wordllama" in spec.requires


def test_unknown_names_of_the_package() -> None:
    import wagtail_vector_index.embeddings.wordllama as package

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = package.Nothing


# Loading


def test_nothing_is_imported_before_it_is_needed() -> None:
    run_python("""
import sys
from wagtail_vector_index.embeddings.wordllama import plugin
assert "wagtail_vector_index.embeddings.wordllama.backend" not in sys.modules
from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings
assert WordLlamaEmbeddings("default", WordLlamaEmbeddings.Options()).fingerprint
assert not {"numpy", "tokenizers", "safetensors", "wordllama"} & set(sys.modules)
""")


def test_it_logs_and_prints_nothing_and_uses_no_network() -> None:
    output = run_python("""
import logging, socket, sys

def refuse(*args, **kwargs):
    raise AssertionError("network")

socket.socket.connect = socket.getaddrinfo = refuse
logging.lastResort = None
logging.getLogger().setLevel(logging.DEBUG)
from wagtail_vector_index.embeddings.wordllama import WordLlamaEmbeddings
backend = WordLlamaEmbeddings("default", WordLlamaEmbeddings.Options())
for batch in backend.embed_documents(["text"] * 1000):
    assert len(batch)
assert backend.count_tokens("some text")
assert not logging.getLogger().handlers
assert not {"wordllama", "requests"} & set(sys.modules)
""")
    assert output == ""


def test_threads_load_one_model(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []
    barrier = threading.Barrier(8)

    class Counted(model_module.StaticModel):
        def __init__(self, dimensions: int) -> None:
            loaded.append(dimensions)
            super().__init__(dimensions)

    monkeypatch.setattr(model_module, "StaticModel", Counted)
    backend = make()

    def embed(number: int) -> tuple[Any, int]:
        barrier.wait()
        return backend.embed([TEXTS[number % 2]]), backend.count_tokens(TEXTS[number % 2])

    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(embed, range(8)))
    assert loaded == [256]
    assert results == results[:2] * 4


def test_it_can_be_used_after_close() -> None:
    backend = make()
    before = backend.embed(TEXTS)
    backend.close()
    assert "_model" not in vars(backend)
    backend.close()
    assert backend.embed(TEXTS) == before


def test_a_wheel_without_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "_WEIGHTS", "weights/other.safetensors")
    with pytest.raises(ClientNotInstalled, match=r"other\.safetensors.*pip install"):
        make().embed(["text"])


@pytest.mark.parametrize("file", ["_WEIGHTS", "_TOKENIZER"])
def test_a_wheel_that_was_not_written_to_its_end(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, file: str
) -> None:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    whole = Path(spec.origin).parent / getattr(model_module, file)
    broken = tmp_path / whole.name
    broken.write_bytes(whole.read_bytes()[:10_000])
    monkeypatch.setattr(model_module, file, str(broken))
    with pytest.raises(ClientNotInstalled, match=rf"{whole.name} cannot be read: .*pip install"):
        make().embed(["text"])


def test_no_wheel(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model_module, "find_spec", lambda name: None)
    with pytest.raises(ClientNotInstalled, match="pip install"):
        make().embed(["text"])


# Counting tokens


@pytest.fixture(scope="module")
def tokenizer() -> Tokenizer:
    spec = find_spec("wordllama")
    assert spec is not None
    assert spec.origin is not None
    return Tokenizer.from_file(str(Path(spec.origin).parent / model_module._TOKENIZER))


def tokens(tokenizer: Tokenizer, text: str) -> int:
    return len(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize(
    "text",
    [
        *TEXTS,
        "",
        " ",
        "   ",
        "\n",
        " \n ",
        "a\r\nb\tc\u00a0d\u2009e",
        f"a{' ' * 60}b",
        "foo▁bar ▁▁ baz",
        "Straße, naïve, Ελλάδα, Конституция, العربية, हिन्दी",
        "👩‍👩‍👧 🎉🎉",
        "x" * 64,
        inspect.getsource(argparse),
    ],
)
def test_counts_are_exact(backend: WordLlamaEmbeddings, tokenizer: Tokenizer, text: str) -> None:
    assert backend.count_tokens(text) == tokens(tokenizer, text)
    assert backend.count_tokens(text) == tokens(tokenizer, text)


@given(words=st.lists(st.text(max_size=60) | st.sampled_from([" ", "  ", "\n", "the", ". ", "▁"])))
def test_counts_are_exact_for_any_words(
    backend: WordLlamaEmbeddings, tokenizer: Tokenizer, words: list[str]
) -> None:
    text = " ".join(words)
    if all(len(word) <= 64 for word in text.split(" ")):
        assert backend.count_tokens(text) == tokens(tokenizer, text)


@pytest.mark.parametrize(
    "text",
    [
        "国民主権の原理に基づいて象徴天皇制を採るとともに、三権分立の制度を定める。" * 2000,
        "中华人民共和国宪法是中华人民共和国的国家根本大法。" * 2000,
        "ภาษาไทยเป็นภาษาที่มีระดับเสียงของคำแน่นอน" * 1000,
        "".join(str(number**7) for number in range(5000)),
        "a" * 100_000,
        "-" * 10_000,
        " " * 100_000,
    ],
)
def test_long_words_are_about_right(
    backend: WordLlamaEmbeddings, tokenizer: Tokenizer, text: str
) -> None:
    true = tokens(tokenizer, text)
    assert math.ceil(true * 1.01) >= backend.count_tokens(text) >= true


def test_what_is_remembered_is_bounded() -> None:
    backend = make()
    for start in range(0, 120_000, 1000):
        backend.count_tokens(" ".join(f"word{number}" for number in range(start, start + 1000)))
        assert len(backend._model._counts) <= 100_000
    assert backend._model._counts.keys() >= {" word119000", " word119999"}


def test_no_network_in_this_process(
    backend: WordLlamaEmbeddings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refuse)
    fresh = make()
    assert fresh.embed(TEXTS) == backend.embed(TEXTS)
