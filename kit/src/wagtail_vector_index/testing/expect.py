"""Checks that name the broken rule when they fail."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import pairwise
from typing import Any
from uuid import UUID

from django.core.checks import CheckMessage

from wagtail_vector_index.contract import Match

__all__ = [
    "TOLERANCE",
    "expect",
    "expect_equal",
    "expect_error",
    "expect_ids",
    "expect_matches",
    "expect_messages",
    "expect_metadata",
    "expect_once",
    "expect_ranking",
    "expect_score",
    "expect_vector",
    "same_json",
]

#: The error that a score may have: absolute up to a score of 1, relative above it.
TOLERANCE = 1e-5


def expect(condition: object, rule: str) -> None:
    """Fail with the rule unless the condition holds."""
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(rule)


def expect_equal(actual: object, expected: object, rule: str) -> None:
    """Fail with the rule and both values unless they are equal."""
    __tracebackhide__ = True
    if actual != expected:
        raise AssertionError(f"{rule}\n  expected: {expected!r}\n  got:      {actual!r}")


def expect_once(ids: Iterable[UUID], what: str) -> None:
    """Fail if an id came more than once among the ids of matches or records."""
    __tracebackhide__ = True
    times = Counter(ids)
    twice = [id for id, count in times.items() if count > 1]
    if twice:
        raise AssertionError(
            f"An id came twice: {what} returned {times.total()} rows of {len(times)} ids."
            f" {some(twice)} came {times[twice[0]]} times."
        )


def expect_messages(found: object) -> None:
    """Fail unless this is what ``check()`` may return, which ``manage.py check`` shows."""
    __tracebackhide__ = True
    messages = isinstance(found, list) and all(isinstance(each, CheckMessage) for each in found)
    expect(messages, f"check() returns a list of Django's CheckMessages, not {found!r}.")


def expect_ids(actual: Iterable[UUID], expected: Iterable[UUID], rule: str, what: str) -> None:
    """Fail unless exactly the expected ids came, each once, in any order.

    Args:
        actual: the ids that came.
        expected: the ids that should have come.
        rule: the broken rule, for the error.
        what: the call that returned the ids, for the error.
    """
    __tracebackhide__ = True
    came, right = list(actual), set(expected)
    expect_once(came, what)
    problems = []
    if missing := right.difference(came):
        problems.append(f"{len(missing)} of {len(right)} ids are missing, such as {some(missing)}")
    if strangers := set(came).difference(right):
        problems.append(f"{len(strangers)} other ids came, such as {some(strangers)}")
    expect(not problems, f"{rule}\n  {what}: {'; '.join(problems)}.")


def some(ids: Iterable[UUID]) -> str:
    """Return one of these ids for an error, the same at each run."""
    return str(min(ids))


@contextmanager
def expect_error(error: type[Exception] | tuple[type[Exception], ...], rule: str) -> Iterator[None]:
    """Fail with the rule unless the block raises ``error``, or one of several."""
    __tracebackhide__ = True
    errors = error if isinstance(error, tuple) else (error,)
    expected = " or ".join(each.__name__ for each in errors)
    try:
        yield
    except errors:
        return
    except Exception as other:
        raise AssertionError(f"{rule}\n  expected {expected}, got {other!r}") from other
    raise AssertionError(f"{rule}\n  expected {expected}, but nothing was raised")


def expect_matches(found: Iterable[object]) -> None:
    """Fail unless these are matches, each with a UUID and a number."""
    __tracebackhide__ = True
    for match in found:
        expect(
            isinstance(match, Match)
            and isinstance(match.id, UUID)
            and isinstance(match.score, (int, float)),
            f"A search returns Match objects, whose id is a UUID, and whose score is a float."
            f"\n  got: {match!r}",
        )


def expect_score(actual: float, expected: float, rule: str) -> None:
    """Fail unless a score is a number and right to five digits."""
    __tracebackhide__ = True
    if not isinstance(actual, (int, float)):
        raise AssertionError(f"A score is a float, not a {type(actual)}.")  # noqa: TRY004
    if not abs(actual - expected) <= tolerance_of(expected):
        raise AssertionError(f"{rule}\n  expected: {expected!r}\n  got:      {actual!r}")


def tolerance_of(score: float) -> float:
    """Return the error that a backend's score may have."""
    return TOLERANCE * max(1.0, abs(score))


def expect_ranking(
    matches: Sequence[Match],
    scores: Mapping[UUID, float],
    *,
    limit: int,
    min_score: float | None = None,
) -> None:
    """Fail unless a search found the right matches, in the right order.

    Args:
        matches: the matches that were found.
        scores: the true score of every record that matches the filter.
        limit: the limit of the search.
        min_score: the threshold of the search.
    """
    __tracebackhide__ = True
    expect_matches(matches)
    found = [match.id for match in matches]
    expect_once(found, "a search")
    strangers = [id for id in found if id not in scores]
    expect(
        not strangers,
        f"A search returns only stored records that match the filter. {len(strangers)} others"
        f" came, such as {strangers[:1]}.",
    )
    for match in matches:
        expect_score(match.score, scores[match.id], "The score of a record is wrong.")
    for one, other in pairwise(matches):
        if (-one.score, one.id) > (-other.score, other.id):
            rule = "Matches are sorted by score, equal scores by id."
            raise AssertionError(f"{rule}\n  first: {one}\n  then:  {other}")

    threshold = -math.inf if min_score is None else min_score
    sure = [id for id, score in scores.items() if score >= threshold + tolerance_of(score)]
    possible = [id for id, score in scores.items() if score >= threshold - tolerance_of(score)]
    expect(
        min(limit, len(sure)) <= len(found) <= min(limit, len(possible)),
        f"With limit={limit} and min_score={min_score}, between {min(limit, len(sure))} and"
        f" {min(limit, len(possible))} of {len(scores)} records must be found, not {len(found)}.",
    )
    worst = min((scores[id] for id in found), default=math.inf)
    lost = max(set(sure).difference(found), key=scores.__getitem__, default=None)
    if lost is not None:
        expect(
            scores[lost] <= worst + 2 * tolerance_of(worst),
            f"{lost}, with a score of {scores[lost]}, is nearer than the worst match ({worst})"
            " and was left out.",
        )


def expect_vector(actual: Sequence[float], expected: Sequence[float], *, direction: bool) -> None:
    """Fail unless two vectors are equal as float32; ``direction`` ignores their lengths."""
    __tracebackhide__ = True
    expect_equal(len(actual), len(expected), "A vector comes back with all its dimensions.")
    factors = (math.hypot(*actual), math.hypot(*expected)) if direction else (1.0, 1.0)
    if 0.0 in factors:
        expect_equal(list(actual), list(expected), "A zero vector comes back as zero.")
        return
    far = [
        abs(one / factors[0] - other / factors[1]) > 1e-6 * (1.0 if direction else abs(other))
        for one, other in zip(actual, expected, strict=True)
    ]
    rule = f"A vector comes back as float32{', up to a positive factor' if direction else ''}."
    if any(far):
        expect_equal(list(actual), list(expected), rule)


def expect_metadata(actual: object, expected: object) -> None:
    """Fail unless metadata came back equal, with no bool turned into a number."""
    __tracebackhide__ = True
    expect(
        same_json(actual, expected),
        "Metadata comes back equal to what went in."
        f"\n  expected: {expected!r}\n  got:      {actual!r}",
    )


def same_json(one: Any, other: Any) -> bool:
    """Return True if two JSON values are equal. True and 1 are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same_json(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(same_json, one, other))
    return bool(one == other)
