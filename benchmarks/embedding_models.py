"""Measures embedding models on test collections: rankings, the cost of a query, and scores.

Run with ``python -m benchmarks.embedding_models``. RANKING_COLLECTIONS names the folder of the
collections, as for `benchmarks.rankings`. MINILM_FOLDER names a folder with all-MiniLM-L6-v2.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import string
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks import rankings
from benchmarks.measure import Row, isolated, print_table, verdict
from benchmarks.rankings import FIRST, FOLDER, collection, fill
from benchmarks.website import processes

MODELS: dict[str, dict[str, Any]] = {
    "wordllama": {"BACKEND": "wordllama"},
    "all-MiniLM-L6-v2": {
        "BACKEND": "fastembed",
        "MODEL": "sentence-transformers/all-MiniLM-L6-v2",
        "MODEL_PATH": os.environ.get("MINILM_FOLDER", ""),
    },
}
#: The ways to search, by the names that `benchmarks.rankings` gives them.
WAYS = ("vector", "hybrid", "words", "BM25")
#: How many questions of each collection are asked to learn what right answers score.
QUERIES = 10 if os.environ.get("BENCHMARK_QUICK") else 100
#: Questions of everyday life, which no text of the collections answers.
UNRELATED = (
    "how do I bake bread?", "when does the swimming pool open", "cheap flights to Lisbon",
    "how to prune an apple tree", "who painted the Mona Lisa", "names for a kitten",
    "how long do I boil an egg?", "lyrics of a love song", "how to repair a bicycle chain",
    "recipe for lentil soup", "when was the Eiffel Tower built?", "rules of castling in chess",
    "is it going to rain tomorrow", "what should I wear to a wedding?", "haircut for men",
    "best football teams in Europe", "how to knit a scarf", "where can I buy fresh fish?",
    "how tall is Mount Everest", "phases of the moon",
)  # fmt: skip


def run() -> list[Row]:
    """Print the rankings and the scores of each model on each collection, and compare them."""
    measured = [
        (path.name.removesuffix(".json.gz"), model, measured_with(model, path))
        for path in sorted(Path(FOLDER).glob("*.json.gz"))
        for model in MODELS
    ]
    print("\n### Embedding models: nDCG@10 and recall@100\n")
    _print_rankings(measured, lambda one: f"{one['ndcg']:.3f}, {one['recall']:.3f}")
    print("\n### Embedding models: the processor's time for a query\n")
    _print_rankings(measured, lambda one: f"{1e3 * one['seconds']:.0f} ms")
    print("\n### Embedding models: scores\n")
    print(
        "| texts | model | questions | number | 10% are below | median | 10% are above | highest |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for name, model, results in measured:
        for kind, scores in results["scores"].items():
            print(f"| {name} | {model} | {kind} | {len(scores)} | {distribution(scores)} |")
    print(
        "\n### Embedding models: the threshold that separates right answers from unrelated ones\n"
    )
    print("| texts | model | threshold | right answers kept | unrelated and nonsense left out |")
    print("|---|---|---|---|---|")
    for name, model, results in measured:
        value, kept, left_out = results["threshold"]
        print(f"| {name} | {model} | {value:.2f} | {kept:.0%} | {left_out:.0%} |")
    return [
        Row(
            what=f"nDCG@{FIRST}, {name}, {model}",
            ours=f"{results['hybrid']['ndcg']:.3f}",
            other=f"{way}: {results[way]['ndcg']:.3f}",
            ratio=results[way]["ndcg"] / results["hybrid"]["ndcg"],
            at_most=1,
        )
        for name, model, results in measured
        for way in WAYS
        if way != "hybrid"
    ]


def _print_rankings(
    measured: Iterable[tuple[str, str, Any]], cell: Callable[[dict[str, float]], str]
) -> None:
    print(f"| texts | model | {' | '.join(WAYS)} |\n|---|---|---|---|---|---|")
    for name, model, results in measured:
        print(f"| {name} | {model} | {' | '.join(cell(results[way]) for way in WAYS)} |")


def distribution(scores: Sequence[float]) -> str:
    """Return the cells of a line of the table of scores."""
    tenths = statistics.quantiles(scores, n=10, method="inclusive")
    chosen = (tenths[0], statistics.median(scores), tenths[-1], max(scores))
    return " | ".join(f"{score:.2f}" for score in chosen)


def measured_with(model: str, path: Path) -> Any:
    """Return the measures of one model on one collection."""
    options = dict(MODELS[model])
    os.environ["BENCHMARK_EMBEDDING_BACKEND"] = options.pop("BACKEND")
    os.environ["BENCHMARK_EMBEDDING_OPTIONS"] = json.dumps(options)
    with tempfile.TemporaryDirectory() as folder:
        database = str(Path(folder, "site.sqlite3"))
        isolated(fill, database, str(path))
        measured: dict[str, Any] = isolated(rankings.measure, database, str(path))
        return measured | isolated(measure, database, str(path))


def measure(database: str, path: str) -> dict[str, Any]:
    """Return the scores by kind of question, and the threshold."""
    processes.start(database)
    from benchmarks.website.models import Entry
    from wagtail_vector_index.management.evaluation.measures import suggested_threshold

    index, read = Entry.vector_index, collection(path)
    queries = dict(list(read["queries"].items())[:QUERIES])

    def best_scores(texts: Iterable[str], **arguments: Any) -> list[float]:
        found = (list(index.search(text, limit=1, **arguments)) for text in texts)
        return [results[0].vector_score for results in found if results]

    right = [
        score
        for key, text in queries.items()
        for score in best_scores([text], within=Entry.objects.filter(key__in=relevant(read, key)))
    ]
    scores = {
        "with a right answer: its score": right,
        "about other subjects: the best score": best_scores(UNRELATED),
        "of letters at random: the best score": best_scores(nonsense()),
    }
    measures: dict[str, Any] = {"scores": scores}
    _, *no_answer = scores.values()
    if threshold := suggested_threshold(right, [score for kind in no_answer for score in kind]):
        measures["threshold"] = threshold.value, threshold.kept, threshold.left_out
    return measures


def relevant(read: dict[str, Any], query: str) -> list[str]:
    """Return the keys of the texts that answer a question."""
    return [key for key, grade in read["qrels"].get(query, {}).items() if grade > 0]


def nonsense() -> Iterator[str]:
    """Yield questions of one to four words of letters at random."""
    chance = random.Random(1)
    for number in range(len(UNRELATED)):
        lengths = [chance.randint(3, 9) for _ in range(1 + number % 4)]
        yield " ".join("".join(chance.choices(string.ascii_lowercase, k=n)) for n in lengths)


if __name__ == "__main__":
    if not FOLDER or not os.environ.get("MINILM_FOLDER"):
        raise SystemExit("Set RANKING_COLLECTIONS and MINILM_FOLDER.")
    raise SystemExit(verdict([print_table("Embedding models: hybrid search", run())]))
