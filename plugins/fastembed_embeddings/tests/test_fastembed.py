from __future__ import annotations

import asyncio
import os
import re
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastembed import TextEmbedding

from plugins.fastembed_embeddings.tests.hub import hub
from plugins.fastembed_embeddings.tests.models import LIMIT, make_downloaded, make_model, tokenizer
from wagtail_vector_index.contract.options import parse_options
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend, plugin
from wagtail_vector_index.embeddings.fastembed.prefixes import prefixes_of
from wagtail_vector_index.exceptions import (
    EmbeddingRefused,
    EmbeddingUnavailable,
    InvalidOptions,
)
from wagtail_vector_index.reranking.fastembed import FastEmbedReranker

ROOT = Path(__file__).parents[3]
README = Path(__file__).parents[1] / "README.md"
KNOWN = "sentence-transformers/all-MiniLM-L6-v2"
REPOSITORY = "Qdrant/all-MiniLM-L6-v2-onnx"
TEXTS = ["how to bake bread", "knead the dough", "the train leaves at noon " * 3, "日本語", ""]


def make(**options: Any) -> FastEmbedBackend:
    parsed = parse_options(FastEmbedBackend.Options, options, "SETTING['default']")
    return FastEmbedBackend("default", parsed)


def custom(folder: Path, **options: Any) -> FastEmbedBackend:
    return make(**{"MODEL_PATH": folder, "POOLING": "mean", **options})


def rows(vectors: Any) -> np.ndarray[Any, Any]:
    return np.asarray(vectors, dtype=np.float32)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def backend(folder: Path) -> FastEmbedBackend:
    return custom(folder)


@pytest.fixture
def downloaded(tmp_path: Path) -> FastEmbedBackend:
    make_downloaded(tmp_path, REPOSITORY, dimensions=384)
    return make(MODEL=KNOWN, CACHE_DIR=str(tmp_path))


# Vectors


def test_the_form_of_vectors(backend: FastEmbedBackend) -> None:
    vectors = backend.embed(TEXTS)
    assert (vectors.format, vectors.c_contiguous, vectors.shape) == ("f", True, (len(TEXTS), 24))
    np.testing.assert_allclose(np.linalg.norm(rows(vectors), axis=1), 1, atol=1e-6)
    assert backend.embed([]).nbytes == 0


def test_a_text_has_one_vector_whatever_it_comes_with(backend: FastEmbedBackend) -> None:
    alone = np.concatenate([rows(backend.embed([text])) for text in TEXTS])
    assert (rows(backend.embed(TEXTS)) == alone).all()
    assert (rows(backend.embed(TEXTS[::-1])) == alone[::-1]).all()


def test_progress_can_be_stored_every_few_seconds(backend: FastEmbedBackend) -> None:
    batches = backend.embed_documents(["bread"] * 70)
    assert [len(batch) // 24 for batch in batches] == [32, 32, 6]


@pytest.mark.parametrize("pooling", ["mean", "cls", "last_token"])
def test_pooling(folder: Path, backend: FastEmbedBackend, pooling: str) -> None:
    """The mean of the made model's output has the direction of the mean of its table."""
    ids = tokenizer().encode(TEXTS[0]).ids
    table = np.random.default_rng(7).normal(size=(400, 24)).astype(np.float32)[ids]
    own = {"mean": table.mean(axis=0), "cls": table[0], "last_token": table[-1]}[pooling]
    expected = own + table.mean(axis=0)
    found = rows(custom(folder, POOLING=pooling).embed_query(TEXTS[0]))
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)
    scaled = rows(custom(folder, POOLING=pooling, NORMALIZE=False).embed_query(TEXTS[0]))
    np.testing.assert_allclose(scaled, expected, atol=1e-5)


def test_a_model_that_pools_itself(tmp_path: Path, backend: FastEmbedBackend) -> None:
    make_model(tmp_path, pooled=True, file="onnx/model.onnx")
    pooled = custom(tmp_path, POOLING="none", MODEL_FILE="onnx/model.onnx")
    np.testing.assert_allclose(pooled.embed_query("x"), backend.embed_query("x"), atol=1e-6)
    assert pooled.dimensions == 24


def test_a_downloaded_model(downloaded: FastEmbedBackend, tmp_path: Path) -> None:
    [vector] = rows(downloaded.embed([TEXTS[0]]))
    copy = make_model(tmp_path / "copy", dimensions=384)
    assert (rows(make(MODEL=KNOWN, MODEL_PATH=copy).embed_query(TEXTS[0])) == vector).all()
    assert downloaded.dimensions == len(vector) == 384


def test_the_folder_of_downloads_may_be_named_by_the_environment(
    downloaded: FastEmbedBackend, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FASTEMBED_CACHE_PATH", str(tmp_path))
    assert make(MODEL=KNOWN).embed_query("x") == downloaded.embed_query("x")
    monkeypatch.delenv("FASTEMBED_CACHE_PATH")
    monkeypatch.setenv("HOME", "/home/someone")
    assert make(MODEL=KNOWN).options.folder == Path("/home/someone/.cache/fastembed")


def test_a_static_model(tmp_path: Path) -> None:
    make_model(tmp_path, dimensions=256, file="model.safetensors")
    static = make(MODEL="minishlab/potion-base-8M", MODEL_PATH=tmp_path, THREADS=2)
    assert (static.dimensions, static.max_tokens) == (256, 512)
    assert len(static.embed_query("bread")) == 256


def test_no_network(downloaded: FastEmbedBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: Any, **kwargs: Any) -> None:
        raise AssertionError("network")

    monkeypatch.setattr(socket, "socket", refuse)
    assert len(downloaded.embed_query("x")) == 384
    with pytest.raises(EmbeddingUnavailable):
        make(MODEL="BAAI/bge-small-en-v1.5", CACHE_DIR="/nowhere").embed_query("x")


def test_async_is_the_same(backend: FastEmbedBackend) -> None:
    assert asyncio.run(backend.aembed_query("bread")) == backend.embed_query("bread")


# Prefixes, tokens and capitals


def test_prefixes_of_the_model(folder: Path) -> None:
    named = custom(folder, MODEL="intfloat/multilingual-e5-small")
    plain = custom(folder)
    assert named.embed_query("x") == plain.embed_query("query: x")
    [document] = named.embed_documents(["x"])
    [expected] = plain.embed_documents(["passage: x"])
    assert document == expected
    without = custom(
        folder, MODEL="intfloat/multilingual-e5-small", QUERY_PREFIX="", DOCUMENT_PREFIX="> "
    )
    assert (without.prepare_query("x"), without.prepare_document("x")) == ("x", "> x")


def test_every_model_that_needs_prefixes_has_some() -> None:
    models = TextEmbedding.list_supported_models()
    needing = [
        model["model"]
        for model in models
        if re.search(r"Prefixes for queries/documents: (necessary|`)", model["description"])
    ]
    assert len(needing) > 10
    assert [name for name in needing if not prefixes_of(name).query] == []
    not_needing = [m["model"] for m in models if "documents: not necessary" in m["description"]]
    assert [name for name in not_needing if any(prefixes_of(name))] == []


@pytest.mark.parametrize(
    ("model", "query", "document"),
    [
        ("intfloat/multilingual-e5-large", "query: ", "passage: "),
        ("intfloat/e5-base-v2-onnx-int8", "query: ", "passage: "),
        ("intfloat/multilingual-e5-large-instruct", "Instruct: ", ""),
        ("intfloat/e5-mistral-7b-instruct", "Instruct: ", ""),
        ("Snowflake/snowflake-arctic-embed-m-v1.5", "Represent ", ""),
        ("Snowflake/snowflake-arctic-embed-l-v2.0", "query: ", ""),
        ("BAAI/bge-small-en-v1.5", "Represent ", ""),
        ("BAAI/bge-small-en-icl", "", ""),
        ("nomic-ai/nomic-embed-text-v2-moe", "search_query: ", "search_document: "),
        ("Qwen/Qwen3-Embedding-0.6B", "Instruct: ", ""),
    ],
)
def test_variants_of_a_model_have_prefixes_of_their_own(
    model: str, query: str, document: str
) -> None:
    found = prefixes_of(model)
    assert (found.query.startswith(query), bool(found.query)) == (True, bool(query))
    assert found.document == document


@pytest.mark.parametrize(
    ("config", "query", "document"),
    [
        ('{"prompts": {"query": "q: ", "document": "d: "}}', "q: x", "d: x"),
        ('{"prompts": {"query": "q: ", "passage": "p: "}}', "q: x", "p: x"),
        ('{"prompts": {"query": "q: "}}', "q: x", "x"),
        ('{"prompts": {"query": "", "document": ""}}', "query: x", "passage: x"),
        ('{"prompts": {"s2s": "Instruct: "}}', "query: x", "passage: x"),
        ('{"prompts": [1]}', "query: x", "passage: x"),
        ("[]", "query: x", "passage: x"),
        ("{", "query: x", "passage: x"),
    ],
)
def test_prefixes_in_the_folder(tmp_path: Path, config: str, query: str, document: str) -> None:
    make_model(tmp_path)
    (tmp_path / "config_sentence_transformers.json").write_text(config, encoding="utf-8")
    found = custom(tmp_path, MODEL="intfloat/multilingual-e5-small")
    assert (found.prepare_query("x"), found.prepare_document("x")) == (query, document)
    chosen = custom(tmp_path, QUERY_PREFIX="> ", DOCUMENT_PREFIX="")
    assert (chosen.prepare_query("x"), chosen.prepare_document("x")) == ("> x", "x")


def test_tokens(backend: FastEmbedBackend, folder: Path) -> None:
    made = tokenizer()
    for text in (*TEXTS, "long words " * 500):
        assert backend.count_tokens(text) == len(made.encode(text).ids)
    assert backend.max_tokens == LIMIT
    prefix = len(made.encode("passage: ").ids) - len(made.encode("").ids)
    assert custom(folder, DOCUMENT_PREFIX="passage: ").max_chunk_tokens == LIMIT - prefix


@pytest.mark.parametrize(
    ("config", "limit"),
    [
        ('{"model_max_length": 512, "max_length": 128}', 128),
        ('{"model_max_length": 1000000000000000019884624838656}', None),
        ('{"max_length": null}', None),
    ],
)
def test_the_limit_of_tokens(tmp_path: Path, config: str, limit: int | None) -> None:
    make_model(tmp_path)
    (tmp_path / "tokenizer_config.json").write_text(config, encoding="utf-8")
    assert custom(tmp_path).max_tokens == limit


def test_capitals(tmp_path: Path, backend: FastEmbedBackend) -> None:
    lower = custom(make_model(tmp_path, lower=True))
    assert (backend.cased, lower.cased) == (True, False)
    assert backend.embed_query("HOW TO BAKE BREAD") == backend.embed_query("how to bake bread")
    assert backend.embed_query("NASA") != backend.embed_query("nasa")


# Options and fingerprints


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "'MODEL' is missing.*BAAI/bge-small-en-v1.5"),
        ({"MODEL": "x", "POOLING": "mean"}, "'POOLING' needs 'MODEL_PATH'"),
        ({"MODEL_PATH": "/x"}, "'POOLING' is missing"),
        ({"MODEL": "x", "NORMALIZE": False}, "'MODEL_FILE' and 'NORMALIZE' need 'POOLING'"),
        ({"MODEL": "x", "MODEL_FILE": "y.onnx"}, "'MODEL_FILE' and 'NORMALIZE' need 'POOLING'"),
        ({"MODEL_PATH": "/x", "POOLING": "max"}, "mean"),
        ({"MODEL": "x", "THREADS": 0}, "'THREADS' must be at least 1"),
        ({"MODEL": "x", "BATCH_SIZE": 1}, "unknown key 'BATCH_SIZE'"),
    ],
)
def test_wrong_options(options: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidOptions, match=message):
        make(**options)


def test_fingerprints_differ_where_vectors_of_documents_do(folder: Path) -> None:
    named = {"MODEL": "acme/tiny"}
    different = [
        custom(folder),
        custom(folder, **named),
        custom(folder, **named, POOLING="cls"),
        custom(folder, **named, NORMALIZE=False),
        custom(folder, **named, DOCUMENT_PREFIX="passage: "),
    ]
    assert len({backend.fingerprint for backend in different}) == len(different)
    same = custom(folder, **named, QUERY_PREFIX="query: ", THREADS=2)
    assert same.fingerprint == custom(folder, **named).fingerprint


def test_a_fingerprint_needs_no_loaded_model(tmp_path: Path) -> None:
    make_model(tmp_path, dimensions=384)
    (tmp_path / "model.onnx").write_bytes(b"no model")
    backend = make(MODEL=KNOWN, MODEL_PATH=tmp_path)
    kind = "wagtail_vector_index.embeddings.fastembed.FastEmbedBackend"
    assert backend.fingerprint == f"{kind}:{KNOWN}:384"
    assert (backend.max_tokens, backend.check()) == (LIMIT, [])


def test_the_plugin_offers_the_backend() -> None:
    (spec,) = plugin.embedding_backends().values()
    assert plugin.API_VERSION == 1
    assert spec.path == f"wagtail_vector_index.embeddings.fastembed.{FastEmbedBackend.__name__}"
    assert "fastembed" in spec.requires


def test_unknown_names_of_the_package() -> None:
    import wagtail_vector_index.embeddings.fastembed as package

    with pytest.raises(AttributeError, match="has no attribute 'Nothing'"):
        _ = package.Nothing


# Errors


def test_a_model_that_is_not_downloaded(tmp_path: Path) -> None:
    folder = tmp_path / "my models"
    backend = make(MODEL=KNOWN, CACHE_DIR=folder)
    command = f"python -m wagtail_vector_index.embeddings.fastembed {KNOWN} --cache-dir '{folder}'"
    for ask in (lambda: backend.embed_query("x"), lambda: backend.count_tokens("x")):
        with pytest.raises(EmbeddingUnavailable) as caught:
            ask()
        assert str(caught.value) == (
            f"Embedding backend 'default': the model {KNOWN} (90 MB) is not in {folder}."
            f" To download it, run: {command}"
        )
    [warning] = backend.check()
    assert (warning.id, str(folder) in warning.msg) == (
        "wagtail_vector_index_fastembed.W001",
        True,
    )
    assert warning.hint == f"To download it, run: {command}"
    # Once it is there, no restart is needed.
    make_downloaded(folder, REPOSITORY, dimensions=384)
    assert len(backend.embed_query("x")) == 384
    assert backend.check() == []


@pytest.mark.parametrize("option", ["CACHE_DIR", "MODEL_PATH"])
def test_a_relative_folder_is_refused(option: str) -> None:
    """The command that downloads may run in another folder than the server."""
    with pytest.raises(
        InvalidOptions, match=f"{option!r} must be an absolute path, not '~/models'"
    ):
        make(MODEL=KNOWN, **{option: "~/models"})


def test_a_download_that_broke_off(tmp_path: Path) -> None:
    (make_downloaded(tmp_path, REPOSITORY) / "model.onnx").unlink()
    with pytest.raises(EmbeddingUnavailable, match="To download it, run"):
        make(MODEL=KNOWN, CACHE_DIR=tmp_path).embed_query("x")


def test_a_folder_without_the_model(tmp_path: Path) -> None:
    make_model(tmp_path, file="onnx/model_int8.onnx")
    message = r"has no file 'model\.onnx'\. Its ONNX files: onnx/model_int8\.onnx"
    with pytest.raises(EmbeddingUnavailable, match=message):
        custom(tmp_path).embed_query("x")
    with pytest.raises(EmbeddingUnavailable, match=r"has no file 'model\.onnx'"):
        make(MODEL=KNOWN, MODEL_PATH=tmp_path).embed_query("x")
    [warning] = custom(tmp_path / "nowhere").check()
    assert warning.hint == "Set 'MODEL_PATH' to the folder."


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("BAAI/bge-smal-en-v1.5", "Did you mean 'BAAI/bge-small-en-v1.5'"),
        ("zzz", "no model 'zzz'. For a model that it doesn't know, set 'MODEL_PATH'"),
        ("jinaai/jina-embeddings-v3", "by different tasks"),
    ],
)
def test_models_that_cannot_be_used(name: str, message: str) -> None:
    with pytest.raises(EmbeddingRefused, match=re.escape(message)):
        _ = make(MODEL=name).fingerprint


@pytest.mark.parametrize("file", ["model.onnx", "tokenizer.json"])
def test_a_broken_file(tmp_path: Path, file: str) -> None:
    whole = (make_model(tmp_path) / file).read_bytes()
    (tmp_path / file).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(EmbeddingRefused, match="cannot be loaded"):
        custom(tmp_path).embed_query("x")


def test_pooling_that_does_not_fit(folder: Path, backend: FastEmbedBackend) -> None:
    with pytest.raises(EmbeddingRefused, match=r"tiny cannot embed a text: .*pooling"):
        custom(folder, POOLING="none").embed_query("x")


def test_text_that_is_no_unicode(backend: FastEmbedBackend) -> None:
    with pytest.raises(EmbeddingRefused, match="encodable as UTF-8"):
        backend.embed(["\ud800"])


# Processes and threads


def run_python(code: str, *arguments: str | Path, module: bool = False, **env: str) -> str:
    run = subprocess.run(
        [sys.executable, "-W", "error", "-m" if module else "-c", code, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **env},
    )
    assert run.returncode == 0, run.stderr
    assert module or run.stderr == ""
    return run.stdout


def test_nothing_is_imported_before_it_is_needed() -> None:
    run_python("""
import sys
from wagtail_vector_index.embeddings.fastembed import plugin
assert "wagtail_vector_index.embeddings.fastembed.backend" not in sys.modules
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend
backend = FastEmbedBackend("default", FastEmbedBackend.Options(model="BAAI/bge-small-en-v1.5"))
assert backend.check() and backend.prepare_query("x") and backend.model
from wagtail_vector_index.reranking.fastembed import FastEmbedReranker
reranker = FastEmbedReranker("default", FastEmbedReranker.Options(model="BAAI/bge-reranker-base"))
assert reranker.check() and reranker.model
assert not {"fastembed", "huggingface_hub", "numpy", "onnxruntime", "tokenizers"} & set(sys.modules)
""")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.parametrize("threads", [1, 3])
def test_forks_after_use(folder: Path, threads: int) -> None:
    """The parent and its children embed, whatever was loaded before; nothing is printed."""
    code = """
import os, sys, threading
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend
options = FastEmbedBackend.Options(
    model_path=sys.argv[1], pooling="mean", threads=int(sys.argv[2])
)
backend = FastEmbedBackend("default", options)
texts = ["how to bake bread " * 20] * 3
expected = backend.embed(texts)
for _ in range(2):
    if not (child := os.fork()):
        assert backend.embed(texts) == expected
        assert backend.count_tokens("x") == 3
        backend.close()
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
assert backend.embed(texts) == expected
print("done")
"""
    assert run_python(code, folder, str(threads)) == "done\n"


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_one_thread_by_default(folder: Path) -> None:
    """Embedding starts no threads, of the network or of the tokenizer."""
    code = """
import os, sys
from wagtail_vector_index.embeddings.fastembed import FastEmbedBackend
options = FastEmbedBackend.Options(model_path=sys.argv[1], pooling="mean")
backend = FastEmbedBackend("default", options)
backend.count_tokens("x")
before = len(os.listdir("/proc/self/task"))
backend.embed(["how to bake bread"] * 3)
print(len(os.listdir("/proc/self/task")) - before)
"""
    assert run_python(code, folder) == "0\n"


def test_threads_load_one_model(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import wagtail_vector_index.embeddings.fastembed.model as module

    loaded = []

    class Counted(TextEmbedding):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            loaded.append(args)
            super().__init__(*args, **kwargs)

    monkeypatch.setattr(module, "TextEmbedding", Counted)
    backend = custom(folder)
    with ThreadPoolExecutor(8) as pool:
        results = list(pool.map(lambda text: backend.embed([text]), TEXTS * 4))
    assert len(loaded) == 1
    assert results == results[: len(TEXTS)] * 4


def test_it_can_be_used_after_close(folder: Path) -> None:
    backend = custom(folder)
    before = backend.embed(TEXTS)
    backend.close()
    backend.close()
    assert backend.embed(TEXTS) == before


# The command


COMMAND = "wagtail_vector_index.embeddings.fastembed"


def test_the_command_downloads_a_model(tmp_path: Path) -> None:
    served = make_model(tmp_path / "served", dimensions=384)
    cache = tmp_path / "cache"
    with hub(REPOSITORY, served) as url:
        for _ in range(2):
            said = run_python(COMMAND, KNOWN, "--cache-dir", cache, module=True, HF_ENDPOINT=url)
            assert said.startswith(f"{KNOWN} is in {cache}")
    backend = make(MODEL=KNOWN, CACHE_DIR=cache)
    expected = make(MODEL=KNOWN, MODEL_PATH=served).embed_query("x")
    assert backend.embed_query("x") == expected


def test_the_command_downloads_a_cross_encoder(tmp_path: Path) -> None:
    name = "Xenova/ms-marco-MiniLM-L-6-v2"
    served = make_model(tmp_path / "served", dimensions=1, pooled=True, file="onnx/model.onnx")
    cache = tmp_path / "cache"
    with hub(name, served) as url:
        said = run_python(COMMAND, name, "--cache-dir", cache, module=True, HF_ENDPOINT=url)
    assert said.startswith(f"{name} is in {cache}")
    reranker = FastEmbedReranker("default", FastEmbedReranker.Options(model=name, cache_dir=cache))
    assert len(reranker.rerank("bread", TEXTS)) == len(TEXTS)


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> str:
    from wagtail_vector_index.embeddings.fastembed.__main__ import main

    monkeypatch.setattr(sys, "argv", ["", *arguments])
    with pytest.raises(SystemExit) as caught:
        main()
    return str(caught.value)


def test_the_command_explains_what_failed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = command(monkeypatch, "BAAI/bge-smal-en-v1.5", "--cache-dir", str(tmp_path))
    assert "BAAI/bge-smal-en-v1.5 was not downloaded: fastembed has no model" in said
    assert "Did you mean" in said


def test_the_command_in_this_process(
    downloaded: FastEmbedBackend,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A model that is there is not downloaded again; without a network, its files suffice."""
    from wagtail_vector_index.embeddings.fastembed.__main__ import main

    monkeypatch.setattr(sys, "argv", ["", KNOWN, "--cache-dir", str(downloaded.options.folder)])
    main()
    assert capsys.readouterr().out.startswith(f"{KNOWN} is in ")


# The README


def test_the_table_of_models_is_that_of_the_library() -> None:
    known = {model["model"]: model for model in TextEmbedding.list_supported_models()}
    text = README.read_text("utf-8").partition("## Which model")[2].partition("## Settings")[0]
    lines = re.findall(r"^\| `(\S+)` \| (.+) \|$", text, re.MULTILINE)
    assert len(lines) > 8
    for name, rest in lines:
        _, size, dimensions, tokens, licence = rest.split(" | ")
        model = known[name]
        assert size == f"{round(model['size_in_GB'] * 1000):,} MB"
        assert dimensions == f"{model['dim']:,}"
        assert f"{tokens.replace(',', '')} input tokens" in model["description"]
        assert licence.lower().replace(" ", "-") == model["license"]
