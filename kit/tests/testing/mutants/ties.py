"""Backends that order equal scores, or keep those at a threshold, wrongly in some searches."""

from wagtail_vector_index.contract.filters import Not
from wagtail_vector_index.testing.oracle import OracleBackend

from .base import Refusing, caught_by, made


def ties(name, says, wrong):
    """Equal scores are ordered in another way for some searches."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = OracleBackend._search(self, spec, vector, 1_000_000, filter, min_score)
        if wrong(spec, limit, filter, min_score):
            order = {record.id: row for row, record in enumerate(self._records(spec))}
            found.sort(key=lambda match: (-match.score, order[match.id]))
        return found[:limit]

    made("test_ties_at_larger_limits", name, says, _search=_search)


ties(
    "TiesCutAboveAHundred",
    "equal scores are cut as they were written if the limit is above 100.",
    lambda spec, limit, filter, min_score: limit > 100,
)
ties(
    "TiesCutAboveAThousand",
    "equal scores are cut as they were written if the limit is above 1,000.",
    lambda spec, limit, filter, min_score: limit > 1_000,
)
ties(
    "TiesCutUnderFilters",
    "with a filter, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: filter is not None and limit > 60,
)
ties(
    "TiesCutUnderNegations",
    "with a negated filter, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: isinstance(filter, Not),
)
ties(
    "TiesCutUnderThresholds",
    "with a min_score, equal scores are cut as they were written.",
    lambda spec, limit, filter, min_score: min_score is not None,
)
for _metric in ("cosine", "dot", "euclidean"):
    ties(
        f"TiesCutUnder{_metric.capitalize()}",
        f"under {_metric}, equal scores are cut as they were written above 100.",
        lambda spec, limit, filter, min_score, metric=_metric: (
            spec.metric == metric and limit > 100
        ),
    )


@caught_by("test_ties_at_larger_limits")
class AsyncTiesAsWritten(Refusing):
    """asearch() cuts equal scores as they were written."""

    async def _asearch(self, spec, vector, limit, filter, min_score):
        found = await super()._asearch(spec, vector, 1_000_000, filter, min_score)
        order = {record.id: row for row, record in enumerate(self._records(spec))}
        return sorted(found, key=lambda match: (-match.score, order[match.id]))[:limit]


def thresholds(name, says, wrong):
    """A match whose score is min_score is left out of some searches."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = OracleBackend._search(self, spec, vector, limit, filter, min_score)
        if min_score is None or not wrong(spec, filter, min_score):
            return found
        return [match for match in found if match.score > min_score]

    made("test_thresholds_at_exact_scores", name, says, _search=_search)


thresholds(
    "ExclusiveUnderFilters",
    "with a filter, min_score leaves out its own score.",
    lambda spec, filter, min_score: filter is not None,
)
thresholds(
    "ExclusiveUnderNegations",
    "with a negated filter, min_score leaves out its own score.",
    lambda spec, filter, min_score: isinstance(filter, Not),
)
thresholds(
    "ExclusiveBelowZero",
    "a negative min_score leaves out its own score.",
    lambda spec, filter, min_score: spec.metric == "dot" and min_score < -4,
)


@caught_by("test_thresholds_at_exact_scores")
class AsyncMinScoreExclusive(Refusing):
    """asearch() leaves out the score that is min_score."""

    async def _asearch(self, spec, vector, limit, filter, min_score):
        found = await super()._asearch(spec, vector, limit, filter, min_score)
        return [match for match in found if min_score is None or match.score > min_score]


@caught_by("test_thresholds_at_exact_scores")
class ThresholdBeforeLimit(Refusing):
    """min_score is applied to the nearest ten, then the filter."""

    def _search(self, spec, vector, limit, filter, min_score):
        if min_score is None or filter is None:
            return super()._search(spec, vector, limit, filter, min_score)
        near = super()._search(spec, vector, 10, None, min_score)
        kept = super()._search(spec, vector, 1_000_000, filter, None)
        return [match for match in near if match in kept]
