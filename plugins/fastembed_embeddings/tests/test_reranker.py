from __future__ import annotations

import asyncio
import re
import socket
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastembed.rerank.cross_encoder import TextCrossEncoder

from plugins.fastembed_embeddings.tests.models import make_downloaded, make_model, tokenizer
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.fastembed import plugin
from wagtail_vector_index.exceptions import (
    InvalidOptions,
    RerankingRefused,
    RerankingUnavailable,
)
from wagtail_vector_index.reranking.fastembed import FastEmbedReranker

README = Path(__file__).parents[1] / "README.md"
KNOWN = "Xenova/ms-marco-MiniLM-L-6-v2"
#: A cross-encoder has one output for each pair of texts.
SHAPE: dict[str, Any] = {"dimensions": 1, "pooled": True, "file": "onnx/model.onnx"}
QUERY = "how to bake bread"
TEXTS = ["knead the dough", "the train leaves at noon " * 3, "日本語", ""]


def make(**options: Any) -> FastEmbedReranker:
    parsed = parse_options(FastEmbedReranker.Options, options, "SETTING['default']")
    return FastEmbedReranker("default", parsed)


@pytest.fixture
def reranker(tmp_path: Path) -> FastEmbedReranker:
    return make(MODEL=KNOWN, MODEL_PATH=make_model(tmp_path / "tiny", **SHAPE))


def test_the_model_reads_the_query_with_each_text(reranker: FastEmbedReranker) -> None:
    """The made model's score is the mean of its table over the tokens of both."""
    table = np.random.default_rng(7).normal(size=(400, 1))[:, 0]
    expected = [table[tokenizer().encode(QUERY, text).ids].mean() for text in TEXTS]
    np.testing.assert_allclose(reranker.rerank(QUERY, TEXTS), expected, atol=1e-5)
    assert reranker.rerank("the train", TEXTS) != reranker.rerank(QUERY, TEXTS)
    assert reranker.rerank(QUERY, []) == []


def test_a_text_has_one_score_whatever_it_comes_with(reranker: FastEmbedReranker) -> None:
    alone = [score for text in TEXTS for score in reranker.rerank(QUERY, [text])]
    assert reranker.rerank(QUERY, TEXTS) == alone
    assert reranker.rerank(QUERY, TEXTS[::-1]) == alone[::-1]


def test_async_is_the_same(reranker: FastEmbedReranker) -> None:
    assert asyncio.run(reranker.arerank(QUERY, TEXTS)) == reranker.rerank(QUERY, TEXTS)


def test_it_can_be_used_after_close(reranker: FastEmbedReranker) -> None:
    before = reranker.rerank(QUERY, TEXTS)
    reranker.close()
    reranker.close()
    assert reranker.rerank(QUERY, TEXTS) == before


def test_a_downloaded_model_needs_no_network(
    reranker: FastEmbedReranker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make_downloaded(tmp_path / "cache", KNOWN, **SHAPE)
    expected = reranker.rerank(QUERY, TEXTS)

    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refuse)
    downloaded = make(MODEL=KNOWN, CACHE_DIR=tmp_path / "cache", THREADS=2)
    assert downloaded.rerank(QUERY, TEXTS) == expected


# Options and errors


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'MODEL' is missing.*Xenova/ms-marco-MiniLM-L-6-v2"),
        ({"MODEL": KNOWN, "THREADS": 0}, "'THREADS' must be at least 1"),
        ({"MODEL": KNOWN, "POOLING": "mean"}, "unknown key 'POOLING'"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message):
        make(**options)


@pytest.mark.parametrize("option", ["CACHE_DIR", "MODEL_PATH"])
def test_a_relative_folder_is_refused(option: str) -> None:
    with pytest.raises(InvalidOptions, match=f"{option!r} must be an absolute path, not 'models'"):
        make(MODEL=KNOWN, **{option: "models"})


def test_a_model_that_is_not_downloaded(tmp_path: Path) -> None:
    backend = make(MODEL=KNOWN, CACHE_DIR=tmp_path / "models")
    command = "python -m wagtail_vector_index.embeddings.fastembed"
    with pytest.raises(RerankingUnavailable) as caught:
        backend.rerank(QUERY, TEXTS)
    assert str(caught.value) == (
        f"Reranking backend 'default': the model {KNOWN} (80 MB) is not in {tmp_path / 'models'}."
        f" To download it, run: {command} {KNOWN} --cache-dir {tmp_path / 'models'}"
    )
    [warning] = backend.check()
    assert warning.id == "wagtail_vector_index_fastembed.W001"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        (KNOWN.replace("marco", "macro"), f"no cross-encoder {KNOWN.replace('marco', 'macro')!r}"),
        (KNOWN.replace("marco", "macro"), f"Did you mean {KNOWN!r}?"),
        ("BAAI/bge-small-en-v1.5", "fastembed has no cross-encoder 'BAAI/bge-small-en-v1.5'."),
    ],
)
def test_models_that_are_no_cross_encoders(name: str, message: str) -> None:
    with pytest.raises(RerankingRefused, match=re.escape(message)):
        make(MODEL=name).rerank(QUERY, TEXTS)


def test_a_broken_file(tmp_path: Path) -> None:
    make_model(tmp_path, **SHAPE)
    (tmp_path / "onnx" / "model.onnx").write_bytes(b"no model")
    with pytest.raises(RerankingRefused, match="cannot be loaded"):
        make(MODEL=KNOWN, MODEL_PATH=tmp_path).rerank(QUERY, TEXTS)


def test_text_that_is_no_unicode(reranker: FastEmbedReranker) -> None:
    for query, texts in ((QUERY, ["\ud800"]), ("\ud800", TEXTS)):
        with pytest.raises(RerankingRefused, match="text must be encodable as UTF-8"):
            reranker.rerank(query, texts)


def test_an_error_of_the_library(
    reranker: FastEmbedReranker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*args: Any) -> None:
        raise RuntimeError("out of memory")

    monkeypatch.setattr(TextCrossEncoder, "rerank", fail)
    with pytest.raises(RerankingRefused, match=f"{KNOWN} cannot score a text: out of memory"):
        reranker.rerank(QUERY, TEXTS)


# The plugin and the README


def test_the_plugin_offers_it() -> None:
    (spec,) = plugin.reranking_backends().values()
    assert spec.path == f"wagtail_vector_index.reranking.fastembed.{FastEmbedReranker.__name__}"
    assert "fastembed" in spec.requires


def test_unknown_names_of_the_package() -> None:
    import wagtail_vector_index.reranking.fastembed as package

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = package.Nothing


def test_the_table_of_models_is_that_of_the_library() -> None:
    known = {model["model"]: model for model in TextCrossEncoder.list_supported_models()}
    text = README.read_text("utf-8").partition("## Reranking")[2].partition("\n## ")[0]
    lines = re.findall(r"^\| `(\S+/\S+)` \| (.+) \|$", text, re.MULTILINE)
    assert len(lines) > 4
    for name, rest in lines:
        _, size, licence = rest.split(" | ")
        assert size == f"{round(known[name]['size_in_GB'] * 1000):,} MB"
        assert licence.lower().replace(" ", "-") == known[name]["license"]
