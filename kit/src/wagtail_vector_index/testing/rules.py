"""The rules of the suite. Each has a paragraph in the documentation."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from importlib import metadata
from typing import Any, TypeVar

__all__ = ["RULES", "about", "contract_url", "rule_of", "warning_behind"]

TestT = TypeVar("TestT", bound=Callable[..., None])

#: The rules, by the anchor of their paragraph. Each is the first sentence of its paragraph.
RULES: Mapping[str, str] = {
    # Collections
    "new-collections-are-empty": "A new collection exists and holds nothing.",
    "metrics-are-declared": "A backend creates collections only with the metrics that it declares.",
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
    "the-last-of-an-id-wins": "If an id occurs twice in a batch, its last record counts.",
    "empty-batches-do-nothing": (
        "Writing, deleting or getting nothing is allowed, and does nothing."
    ),
    "batches-of-any-size": "A batch of any size is written, deleted or read completely.",
    "buffers-are-the-callers-own": (
        "A backend writes exactly the rows of a batch, and keeps none of its buffers."
    ),
    "deletes-take-what-they-name": "Exactly the named records are deleted, immediately.",
    "deleted-records-can-come-back": "A record that was deleted can be written again.",
    # Reading
    "counts-are-exact": "A count is the number of records that match.",
    "records-are-got-by-id": "`get` returns the records that exist, each once.",
    "scans-give-each-record-once": "A scan returns all records, each once, in batches.",
    "vectors-come-back": "Vectors come back as they were written, as float32.",
    "metadata-comes-back-equal": "Metadata comes back equal to what went in.",
    "reads-see-every-write": (
        "A read sees every write that ended before it, whichever instance or process wrote."
    ),
    # Scores and rankings
    "one-meaning-of-score": (
        "Higher is nearer: under cosine the similarity, under dot the inner product, under"
        " euclidean minus the distance."
    ),
    "vectors-of-any-length": (
        "Vectors of any length are ranked correctly, or refused before they are written."
    ),
    "cosine-looks-at-directions": "A cosine lies between -1 and 1 and does not depend on length.",
    "zero-vectors": "A zero vector is a vector, but has no direction.",
    "queries-of-any-kind": "A query is any sequence or buffer of numbers.",
    "equal-scores-are-ordered-by-id": "Matches are sorted by score; equal scores are sorted by id.",
    "limits": "A search returns as many matches as its limit, or all if there are fewer.",
    "thresholds": "A threshold keeps matches with that score or a higher one.",
    # Filters
    "filters-on-numbers": "Numbers and booleans are compared exactly.",
    "filters-on-datetimes": "Datetimes are compared as instants, to the microsecond.",
    "filters-on-texts": "Texts are compared character by character.",
    "filters-on-lists": "A list matches if one of its elements equals the value.",
    "no-value": (
        "A field that is missing, None or an empty list has no value: it matches no comparison,"
        " but matches the comparison's negation."
    ),
    "combined-filters": "AND, OR and NOT combine filters, nested to any depth.",
    "filters-of-any-size": (
        "A filter may have thousands of values and hundreds of branches, over lists and texts of"
        " any length."
    ),
    "names-of-fields": "A field may have any valid name, and is never mistaken for another.",
    "wrong-filters-are-refused": ("A wrong filter is an error that lists the fields."),
    "filters-are-complete": (
        "A filter never makes a search return fewer matches than there are, up to the limit."
    ),
    # Errors
    "wrong-vectors-are-refused": "A vector that cannot be stored or used as a query is an error.",
    "wrong-records-are-refused": "An id or metadata that cannot be stored is an error.",
    "errors-change-nothing": (
        "After an error, everything is as before, and the backend still works."
    ),
    "a-missing-collection-is-an-error": "Using a collection that does not exist is an error.",
    "a-service-that-is-away-is-an-error": (
        "A service that cannot be reached is an error, within the configured time-out."
    ),
    "nothing-is-silently-unwritten": (
        "If a part of a batch is not written, the error names every record that was not written."
    ),
    "what-was-written-in-part-can-be-mended": (
        "A record that may be written in part is found once it was deleted and written again."
    ),
    "records-are-found-by-their-own-vectors": (
        "A search by a record's own vector finds the record, and `unfound` names those that no"
        " search finds."
    ),
    # Threads, event loops, processes
    "threads-share-a-backend": "Many threads may use one backend at once.",
    "asynchronous-twins": "An asynchronous method does what its synchronous twin does.",
    "event-loops-are-not-blocked": "An asynchronous method does not block its event loop.",
    "event-loops-come-and-go": "A backend works in one event loop after another.",
    "persistence-is-declared": (
        "Collections belong to a store that all instances share if persistent is true, and to"
        " the instance if not."
    ),
    "forks-harm-nobody": "After a fork, parent and child can both use the backend.",
    "any-order-of-operations": "Results stay right after any sequence of operations.",
}


def about(anchor: str) -> Callable[[TestT], TestT]:
    """Name the rule that a test checks. A failure of the test then shows the rule.

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
                warning = warning_behind(error)
                error.add_note(explanation if warning is None else about_warning(warning))
                raise

        explained.rule = anchor  # type: ignore[attr-defined]
        return explained  # type: ignore[return-value]

    return decorate


def warning_behind(error: BaseException) -> Warning | None:
    """Return the warning that is, or that led to, an error, or None.

    A client may warn, and the author's ``filterwarnings`` may make errors of warnings. Then the
    test stops at a call that may have kept every rule.
    """
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, Warning):
            return seen
        seen = seen.__cause__ or seen.__context__
    return None


def about_warning(warning: Warning) -> str:
    """Return an explanation of a warning that stopped a test."""
    kind = type(warning).__name__
    return (
        f"This breaks no rule: a {kind} was raised as an error, as pytest's filterwarnings say."
        f' To go on, add "ignore::{kind}" to filterwarnings, or mend its cause.'
    )


def rule_of(suite: type, test: str) -> str:
    """Return the anchor of a test's rule, also if a subclass overrides the test, or ""."""
    for part in suite.__mro__:
        if anchor := getattr(vars(part).get(test), "rule", ""):
            return str(anchor)
    return ""


@functools.cache
def contract_url(anchor: str = "") -> str:
    """Return the address of the contract, or of one of its rules, in the documentation.

    It begins with the URL ``Documentation`` in the metadata of `wagtail-vector-index`.
    """
    urls = metadata.metadata("wagtail-vector-index").get_all("Project-URL") or []
    named = dict(url.split(", ", 1) for url in urls)
    page = f"{named.get('Documentation', 'docs')}/contract.md"
    return f"{page}#{anchor}" if anchor else page
