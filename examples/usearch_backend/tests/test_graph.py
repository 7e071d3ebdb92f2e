"""Search by the graph: how much it finds, under filters too, and while records change."""

from __future__ import annotations

import ast
import os
import sys
import threading
from itertools import islice
from pathlib import Path
from uuid import UUID

import django
import numpy as np
import pytest
from django.db.models import Q
from usearch_wagtail_vectors import collection
from usearch_wagtail_vectors.backend import EXPANSIONS, UsearchBackend

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.contract import EXACT, ExactMatches

TEXTS = 2_000
SPEC = CollectionSpec(name="c", dimensions=32, fields={"n": "int"})


def recall(backend, spec, vectors, queries, keep=None, chosen=None):
    """How many of the ten nearest are found; all that are found match, and there are ten."""
    rows = np.flatnonzero(np.ones(len(vectors), bool) if chosen is None else chosen)
    hits = 0
    for query in queries:
        right = set(rows[np.argsort(vectors[rows] @ query)[-10:]].tolist())
        found = {match.id.int for match in backend.search(spec, query, filter=keep)}
        assert len(found) == len(right)
        assert found <= set(rows.tolist())
        hits += len(found & right)
    return hits / (10 * len(queries))


def test_recall_of_real_texts(load, monkeypatch):
    """Docstrings of Django, by the model that the demo uses, with the default options."""
    models = pytest.importorskip("wagtail_vector_index.embeddings.wordllama")
    model = models.WordLlamaEmbeddings("default", models.WordLlamaEmbeddings.Options())
    texts = list(dict.fromkeys(islice(docstrings(Path(django.__file__).parent), TEXTS)))
    vectors = np.asarray(model.embed(texts)).reshape(len(texts), -1)
    asked = np.random.default_rng(0).choice(len(texts), 100, replace=False)
    kept = np.ones(len(texts), bool)
    kept[asked] = False
    vectors, queries = vectors[kept], vectors[asked]
    spec = CollectionSpec(name="c", dimensions=vectors.shape[1], fields={"n": "int"})
    backend = load(spec, dict(enumerate(vectors)))
    monkeypatch.setattr(collection, "COST_OF_A_STEP", 0)
    assert len(vectors) > 0.8 * TEXTS
    assert recall(backend, spec, vectors, queries) >= 0.98
    monkeypatch.setattr(collection, "EXACT_UP_TO", 100)
    numbers = np.arange(len(vectors))
    for keep, chosen in (
        (Q(n__lt=len(vectors) // 2), numbers < len(vectors) // 2),
        (Q(n__lt=len(vectors) // 10), numbers < len(vectors) // 10),
    ):
        assert recall(backend, spec, vectors, queries, keep, chosen) >= 0.95


def docstrings(folder):
    kinds = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_bytes())):
            text = isinstance(node, kinds) and ast.get_docstring(node)
            if text and len(text) > 40:
                yield text


@pytest.mark.usefixtures("prefer_graph")
def test_a_filter_that_keeps_the_farthest(load, vectors):
    """Where the graph comes up short, all that match are looked at."""
    rows = np.array(list(vectors.values()))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    query = rows[0]
    order = np.argsort(rows @ query)
    backend = load(SPEC, {rank: rows[row] for rank, row in enumerate(order.tolist())})
    for kept in (5, 20, 200):
        found = backend.search(SPEC, query, filter=Q(n__lt=kept))
        assert [match.id.int for match in found] == list(range(kept))[::-1][:10]
    # Of so many, the graph finds ten by itself, and its answer is an approximate one.
    found = {match.id.int for match in backend.search(SPEC, query, filter=Q(n__lt=1_000))}
    assert len(found) == 10
    assert len(found & set(range(990, 1_000))) >= 5


@pytest.mark.usefixtures("prefer_graph")
@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_a_crowd_of_equals(load, metric):
    """The lower ids are in, wherever the limit cuts through them."""
    spec = CollectionSpec(name="c", dimensions=4, metric=metric, fields={"n": "int"})
    random = np.random.default_rng(0)
    crowd = [3.0, 4.0, 0.0, 12.0]
    vectors = {n: crowd if n % 3 else random.standard_normal(4) for n in range(900)}
    backend = load(spec, vectors)
    found = [match.id.int for match in backend.search(spec, crowd, limit=20)]
    assert found == [n for n in range(900) if n % 3][:20]


@pytest.mark.usefixtures("prefer_graph")
def test_after_many_changes(load, vectors, monkeypatch):
    """Keys come and go: what was deleted is never found, and what is there nearly always."""
    monkeypatch.setattr(collection, "UNLINKED", 50)
    random = np.random.default_rng(2)
    backend, there, missed = load(SPEC, vectors), dict(vectors), 0
    for turn in range(30):
        gone = random.choice(list(there), 150, replace=False).tolist()
        backend.delete(SPEC, [UUID(int=number) for number in gone])
        for number in gone:
            del there[number]
        fresh = {
            int(number): random.standard_normal(32).astype(np.float32)
            for number in random.integers(2_500, size=150)
        }
        ids = [UUID(int=number) for number in fresh]
        backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=fresh.values()))
        there.update(fresh)
        assert backend.count(SPEC) == len(there)
        for number in random.choice(list(there), 10, replace=False).tolist():
            [best] = backend.search(SPEC, there[number], limit=1)
            missed += best.id.int != number
        for match in backend.search(SPEC, vectors[turn], limit=100):
            assert match.id.int in there
    # Of 300. A graph that several threads build may lack a link.
    assert missed <= 6


def test_a_small_collection_has_no_graph(load, vectors):
    backend = load(SPEC, vectors, graph_from=2_001)
    assert backend.health().details["linked"] == "0"
    rows = np.array(list(vectors.values()))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert recall(backend, SPEC, rows, rows[:50]) == 1.0


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_threads_that_fork_at_once():
    backend = UsearchBackend("default", UsearchBackend.Options())
    for number in range(32):
        backend.create(CollectionSpec(name=f"c{number}", dimensions=4))

    def fork() -> None:
        for _ in range(20):
            if not (child := os.fork()):
                os._exit(0)
            os.waitpid(child, 0)

    # Daemons, so that threads which wait for each other fail this test and end with it.
    threads = [threading.Thread(target=fork, daemon=True) for _ in range(3)]
    usual = sys.getswitchinterval()
    # They meet in the middle of a fork within the first few, which else takes hundreds.
    sys.setswitchinterval(1e-5)
    try:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
    finally:
        sys.setswitchinterval(usual)
    assert not any(thread.is_alive() for thread in threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
@pytest.mark.usefixtures("prefer_graph")
def test_a_child_forked_while_others_write(load, vectors):
    backend: UsearchBackend = load(SPEC, vectors)
    done = threading.Event()

    def write():
        random = np.random.default_rng(3)
        while not done.is_set():
            numbers = random.integers(1_000, 2_000, size=20).tolist()
            ids = [UUID(int=number) for number in dict.fromkeys(numbers)]
            rows = [vectors[id.int] for id in ids]
            backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=rows))

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(5):
            if not (child := os.fork()):
                found = -1
                try:
                    backend.delete(SPEC, [UUID(int=3)])
                    backend.optimize(SPEC)
                    found = backend.search(SPEC, vectors[5], limit=1)[0].id.int
                finally:
                    os._exit(0 if found == 5 else 1)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    finally:
        done.set()
        writer.join()
    assert backend.search(SPEC, vectors[3], limit=1)[0].id.int == 3


@pytest.mark.usefixtures("prefer_graph")
def test_searches_use_what_was_measured(load, vectors, monkeypatch):
    backend = load(SPEC, vectors, connectivity=2, expansion_add=1, recall=1.0)
    assert backend._search_settings(SPEC) == [{"expansion_search": n} for n in EXPANSIONS]
    recall = backend.measure(SPEC)
    assert recall.records == len(vectors)
    asked = []
    approximately = collection.Collection._approximately

    def noting(self, query, limit, mask, expansion):
        asked.append(expansion)
        return approximately(self, query, limit, mask, expansion)

    monkeypatch.setattr(collection.Collection, "_approximately", noting)
    backend.search(SPEC, vectors[0])
    assert asked == [recall.setting["expansion_search"]]
    assert isinstance(
        backend._search(SPEC.searched_with(EXACT), memoryview(vectors[0]), 5, None, None),
        ExactMatches,
    )
    assert len(asked) == 1


def test_the_sites_own_number_of_candidates_wins(load, vectors):
    backend = load(SPEC, vectors, expansion_search=77)
    assert backend._search_settings(SPEC) == [{"expansion_search": 77}]
    assert backend.measure(SPEC).setting == {"expansion_search": 77}
