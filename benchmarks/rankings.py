"""Measures rankings on test collections with judgements: by meaning, by words, and by both.

Run with ``python -m benchmarks.rankings``. The collections are not part of this repository.
RANKING_COLLECTIONS names a folder with one file ``NAME.json.gz`` for each: an object with ``docs``
(id → title, body), ``queries`` (id → text) and ``qrels`` (query → document → grade).
"""

from __future__ import annotations

import gzip
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure import Row, isolated, print_table, verdict
from benchmarks.website import processes

QUICK = bool(os.environ.get("BENCHMARK_QUICK"))
FOLDER = os.environ.get("RANKING_COLLECTIONS", "")
QUERIES = 20 if QUICK else None
#: The numbers of results that count for nDCG and for recall.
FIRST, DEEP = 10, 100


def run() -> list[Row]:
    """Print the measures of each collection, and return the comparisons."""
    os.environ.setdefault("BENCHMARK_EMBEDDING_BACKEND", "wordllama")
    print(f"\n### nDCG@{FIRST} and recall@{DEEP} on test collections\n")
    print("| | hybrid | vector | words | BM25 | time of the processor, hybrid |")
    print("|---|---|---|---|---|---|")
    return [row for path in sorted(Path(FOLDER).glob("*.json.gz")) for row in rows(path)]


def rows(path: Path) -> list[Row]:
    """Return hybrid search beside BM25 and beside vector search, on one collection."""
    name = path.name.removesuffix(".json.gz")
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(fill, database, str(path))
        measured = isolated(measure, database, str(path))
    cells = [f"{one['ndcg']:.3f}, {one['recall']:.3f}" for one in measured.values()]
    cells.append(f"{1e3 * measured['hybrid']['seconds']:.0f} ms a query")
    print(f"| {name} | {' | '.join(cells)} |", flush=True)
    return [
        Row(
            what=f"nDCG@{FIRST}, {name}",
            ours=f"{measured['hybrid']['ndcg']:.3f}",
            other=f"{way}: {measured[way]['ndcg']:.3f}",
            ratio=measured[way]["ndcg"] / measured["hybrid"]["ndcg"],
            at_most=1,
        )
        for way in ("vector", "words", "BM25")
    ]


def collection(path: str) -> dict[str, Any]:
    """Return a test collection."""
    with gzip.open(path) as file:
        read: dict[str, Any] = json.load(file)
    return read


def fill(database: str, path: str) -> None:
    """Make a site of the texts, and index them by meaning and by words."""
    processes.start(database)
    from django.core.management import call_command

    from benchmarks.website.models import Entry
    from wagtail_vector_index.indexing.updating import update

    call_command("migrate", verbosity=0)
    Entry.objects.bulk_create(
        (
            Entry(key=key, title=text["title"], body=text["body"])
            for key, text in collection(path)["docs"].items()
        ),
        batch_size=500,
    )
    update(Entry.vector_index)
    call_command("update_index", verbosity=0)


def measure(database: str, path: str) -> dict[str, dict[str, float]]:
    """Return the measures of each way to search."""
    processes.start(database)
    from benchmarks.website.models import Entry
    from wagtail_vector_index.search.word_search import word_scores

    index, read = Entry.vector_index, collection(path)
    keys = {f"website.entry:{pk}": key for pk, key in Entry.objects.values_list("pk", "key")}
    ways: dict[str, Callable[[str], Sequence[str]]] = {
        "hybrid": lambda text: [one.key for one in index.search(text, limit=DEEP, mode="hybrid")],
        "vector": lambda text: [one.key for one in index.search(text, limit=DEEP)],
        "words": lambda text: [keys[key] for key in list(word_scores(index, text))[:DEEP]],
        "BM25": bm25(read["docs"]),
    }
    queries = dict(list(read["queries"].items())[:QUERIES])
    ways["vector"]("The index is loaded before it is timed.")
    return {name: averages(way, queries, read["qrels"]) for name, way in ways.items()}


def bm25(docs: dict[str, dict[str, str]]) -> Callable[[str], Sequence[str]]:
    """Return a search by plain BM25, with English stems and stop words."""
    import bm25s
    import Stemmer

    keys = list(docs)
    tokens = {"stopwords": "en", "stemmer": Stemmer.Stemmer("english"), "show_progress": False}
    texts = [f"{text['title']} {text['body']}" for text in docs.values()]
    ranked = bm25s.BM25()
    ranked.index(bm25s.tokenize(texts, **tokens), show_progress=False)

    def search(text: str) -> list[str]:
        words = bm25s.tokenize([text], return_ids=False, **tokens)[0]
        scores = ranked.get_scores(words).tolist() if words else [0.0] * len(keys)
        best = sorted(range(len(keys)), key=lambda number: -scores[number])[:DEEP]
        return [keys[number] for number in best if scores[number] > 0]

    return search


def averages(
    search: Callable[[str], Sequence[str]],
    queries: dict[str, str],
    judged: dict[str, dict[str, int]],
) -> dict[str, float]:
    """Return the mean nDCG and recall over all queries, and the processor's time for one."""
    started = time.process_time()
    found = {key: search(text) for key, text in queries.items()}
    seconds = (time.process_time() - started) / len(queries)
    grades = {key: judged.get(key, {}) for key in queries}
    return {
        "ndcg": statistics.mean(ndcg(found[key], grades[key]) for key in queries),
        "recall": statistics.mean(recall(found[key], grades[key]) for key in queries),
        "seconds": seconds,
    }


def ndcg(found: Sequence[str], grades: dict[str, int]) -> float:
    """Return the gain of the first results, discounted by rank, as a part of the best possible."""
    best = gain(sorted(grades.values(), reverse=True))
    return gain([grades.get(key, 0) for key in found]) / best if best else 0.0


def gain(grades: Sequence[int]) -> float:
    """Return the sum of grades, each divided by the logarithm of its rank."""
    return sum(grade / math.log2(rank + 1) for rank, grade in enumerate(grades[:FIRST], start=1))


def recall(found: Sequence[str], grades: dict[str, int]) -> float:
    """Return the share of the relevant texts that are among the results."""
    relevant = {key for key, grade in grades.items() if grade > 0}
    return len(relevant.intersection(found[:DEEP])) / len(relevant) if relevant else 0.0


if __name__ == "__main__":
    if not list(Path(FOLDER).glob("*.json.gz")) or not FOLDER:
        raise SystemExit("No collections: set RANKING_COLLECTIONS to a folder of NAME.json.gz.")
    raise SystemExit(verdict([print_table("Rankings", run())]))
