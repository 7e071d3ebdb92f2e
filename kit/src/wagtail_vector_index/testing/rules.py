"""The rules that the tests hold a backend to, each with its paragraph in the documentation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, TypeVar

__all__ = ["RULES", "about", "contract_url", "rule_of"]

TestT = TypeVar("TestT", bound=Callable[..., None])

#: What must hold, by the anchor of its paragraph, of which it is the first sentence.
RULES: Mapping[str, str] = {
    # Collections
    "new-collections-are-empty": "A new collection exists and holds nothing.",
    "metrics-are-declared": "A backend makes collections of the metrics that it declares only.",
    "creating-is-idempotent": "Creating a collection that exists changes nothing.",
    "another-shape-is-refused": (
        "A collection that exists with other dimensions, metric or fields is a mismatch,"
        " and stays as it is."
    ),
    "dropping-is-complete": (
        "A dropped collection is gone with all its records, and dropping it again is fine."
    ),
    "collections-are-listed": "All collections that exist are listed, sorted, each once.",
    "optimizing-changes-no-answer": "Optimizing is never needed and changes no answer.",
    "health-and-checks": "A backend that works says so.",
    "closing-loses-nothing": "A backend can be used again after it was closed.",
    "collections-are-apart": "Two collections never see each other's records.",
    # Writing and deleting
    "upserts-replace-whole-records": (
        "A record that is written again is replaced: its vector and all of its metadata."
    ),
    "the-last-of-an-id-wins": "Where an id comes twice in a batch, its last record counts.",
    "empty-batches-do-nothing": "To write, delete or get nothing is fine, and does nothing.",
    "batches-of-any-size": "A batch is written, deleted or read in all its parts.",
    "buffers-are-the-callers-own": (
        "A backend writes exactly the rows of a batch, and keeps none of its buffers."
    ),
    "deletes-take-what-they-name": "Exactly the records that are named are deleted, at once.",
    "deleted-records-can-come-back": "A record that was deleted can be written again.",
    # Reading
    "counts-are-exact": "A count is the number of records that match.",
    "records-are-got-by-id": "Those records come that exist, each once.",
    "scans-give-each-record-once": "A scan gives all records, each once, in batches of a size.",
    "vectors-come-back": "Vectors come back as they were written, as float32.",
    "metadata-comes-back-equal": "Metadata comes back equal to what went in.",
    # Scores and rankings
    "one-meaning-of-score": (
        "Higher is nearer: under cosine the similarity, under dot the inner product, under"
        " euclidean minus the distance."
    ),
    "cosine-looks-at-directions": "A cosine lies between -1 and 1 and knows no length.",
    "zero-vectors": "A zero vector is a vector, but has no direction.",
    "queries-of-any-kind": "A query is any sequence or buffer of numbers.",
    "equal-scores-are-ordered-by-id": "Matches come by score, those of equal score by id.",
    "limits": "As many matches come as are asked for, or all if there are fewer.",
    "thresholds": "A threshold leaves matches of that score and above.",
    # Filters
    "filters-on-numbers": "Numbers and booleans compare exactly.",
    "filters-on-datetimes": "Datetimes compare as instants, to the microsecond.",
    "filters-on-texts": "Texts compare character by character, whatever is in them.",
    "filters-on-lists": "A list contains an element that is equal to the one asked for.",
    "no-value": (
        "A field that is missing, None or an empty list has no value: it matches no comparison,"
        " and does match its negation."
    ),
    "combined-filters": "AND, OR and NOT combine filters, as deep as they nest.",
    "names-of-fields": "A field may have any name, and is never mistaken for another.",
    "wrong-filters-are-refused": (
        "A filter that makes no sense is an error, which says what there is."
    ),
    "filters-are-complete": (
        "A filter never makes a search return fewer matches than there are, up to the limit."
    ),
    # Errors
    "wrong-vectors-are-refused": "A vector that cannot be stored or searched by is an error.",
    "wrong-records-are-refused": "An id or metadata that cannot be stored is an error.",
    "errors-change-nothing": "After an error, all is as before, and the backend works.",
    "a-missing-collection-is-an-error": "What needs a collection fails where there is none.",
    "a-service-that-is-away-is-an-error": (
        "A service that cannot be reached is an error, within the configured time-out."
    ),
    "nothing-is-silently-unwritten": (
        "A batch that failed in part is an error that names every record not written."
    ),
    # Threads, event loops, processes
    "threads-share-a-backend": "Many threads may use one backend at once.",
    "asynchronous-twins": "An asynchronous method does what its synchronous twin does.",
    "event-loops-are-not-blocked": "An asynchronous method does not block its event loop.",
    "event-loops-come-and-go": "One backend works in one event loop after the other.",
    "persistence-is-declared": (
        "Collections belong to a store that all instances share if persistent is true, and to"
        " the instance if not."
    ),
    "forks-harm-nobody": "After a fork, parent and child can both use the backend.",
    "any-order-of-operations": "Whatever is done, in whatever order, the answers stay right.",
}


def about(anchor: str) -> Callable[[TestT], TestT]:
    """Say which rule a test is about; its failures then tell of the rule.

    Raises:
        KeyError: there is no such rule.

    Example::

        @about("limits")
        def test_limit(self) -> None: ...
    """
    explanation = f"The rule: {RULES[anchor]}\nMore about it: {contract_url(anchor)}"

    def decorate(test: TestT) -> TestT:
        @functools.wraps(test)
        def explained(*args: Any, **kwargs: Any) -> None:
            __tracebackhide__ = True
            try:
                test(*args, **kwargs)
            except Exception as error:
                error.add_note(explanation)
                raise

        explained.rule = anchor  # type: ignore[attr-defined]
        return explained  # type: ignore[return-value]

    return decorate


def rule_of(suite: type, test: str) -> str:
    """The anchor of the rule that a test is about, also if a subclass replaces it; or ""."""
    for part in suite.__mro__:
        if anchor := getattr(vars(part).get(test), "rule", ""):
            return str(anchor)
    return ""


@functools.cache
def contract_url(anchor: str = "") -> str:
    """Where the documentation tells of the contract, or of one of its rules.

    The address is the one of this distribution's metadata, ``Documentation`` in
    ``pyproject.toml``.
    """
    urls = metadata.metadata("wagtail-vector-index").get_all("Project-URL") or []
    named = dict(url.split(", ", 1) for url in urls)
    page = f"{named.get('Documentation', 'docs')}/contract.md"
    return f"{page}#{anchor}" if anchor else page
