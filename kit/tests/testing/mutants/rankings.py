"""Backends that find too few, too many, or in another order."""

from array import array

from wagtail_vector_index.contract.records import Match
from wagtail_vector_index.exceptions import InvalidQuery, InvalidVector

from .base import Refusing


class LimitIgnored(Refusing):
    """All matches come, whatever the limit."""

    def search(self, spec, vector, *, limit=10, **asked):
        matches = super().search(spec, vector, limit=limit, **asked)
        return matches and super().search(spec, vector, limit=1_000_000, **asked)


class LimitOffByOne(Refusing):
    """One match too few."""

    def search(self, spec, vector, *, limit=10, **asked):
        return super().search(spec, vector, limit=limit, **asked)[: max(1, limit - 1)]


class LimitPerPart(Refusing):
    """Each part that was written gives as many matches as the limit."""

    def search(self, spec, vector, *, limit=10, **asked):
        matches = super().search(spec, vector, limit=limit, **asked)
        parts = -(-len(self._records(spec)) // self.max_batch_records)
        return matches and super().search(spec, vector, limit=limit * parts, **asked)


class LimitCapped(Refusing):
    """A hundred matches are the most it gives."""

    def _search(self, spec, vector, limit, filter, min_score):
        return super()._search(spec, vector, min(limit, 100), filter, min_score)


class LimitOfTwenty(Refusing):
    """Twenty matches by default."""

    def search(self, spec, vector, *, limit=20, **asked):
        return super().search(spec, vector, limit=limit, **asked)


class HugeLimitRefused(Refusing):
    """A limit above 10,000 is an error, as a server has it."""

    caught_as = RuntimeError

    def _search(self, spec, vector, limit, filter, min_score):
        if limit > 10_000:
            raise RuntimeError("query maximum results exceeded")
        return super()._search(spec, vector, limit, filter, min_score)


class LimitOf32Bits(Refusing):
    """A limit is sent as a number of 32 bits."""

    caught_as = OverflowError

    def _search(self, spec, vector, limit, filter, min_score):
        return super()._search(
            spec, vector, int.from_bytes(limit.to_bytes(4), "big"), filter, min_score
        )


class NegativeLimit(Refusing):
    """A limit is taken as a slice would take it."""

    def search(self, spec, vector, *, limit=10, **asked):
        return super().search(spec, vector, limit=1_000, **asked)[:limit]


class TiesAsInserted(Refusing):
    """Equal scores come in the order of writing."""

    def search(self, spec, vector, *, limit=10, **asked):
        matches = super().search(spec, vector, limit=1_000_000, **asked)
        order = {record.id: row for row, record in enumerate(self._records(spec))}
        matches.sort(key=lambda match: (-match.score, order[match.id]))
        return matches[:limit]


class TiesCutAnywhere(Refusing):
    """Equal scores are ordered by id, but the limit cuts through them as they were written."""

    def _search(self, spec, vector, limit, filter, min_score):
        order = {record.id: row for row, record in enumerate(self._records(spec))}
        matches = super()._search(spec, vector, 1_000_000, filter, min_score)
        return sorted(matches, key=lambda match: (-match.score, order[match.id]))[:limit]


class TiesBySignedId(Refusing):
    """Ids are compared as signed numbers."""

    def _search(self, spec, vector, limit, filter, min_score):
        matches = super()._search(spec, vector, 1_000_000, filter, min_score)
        return sorted(
            matches,
            key=lambda match: (-match.score, int.from_bytes(match.id.bytes, signed=True)),
        )[:limit]


class Unsorted(Refusing):
    """The right matches, in the order of writing."""

    def search(self, spec, vector, **asked):
        found = {match.id: match for match in super().search(spec, vector, **asked)}
        return [found[record.id] for record in self._records(spec) if record.id in found]


class FoundTwice(Refusing):
    """Each match comes once for each of two shards."""

    def search(self, spec, vector, *, limit=10, **asked):
        matches = super().search(spec, vector, limit=limit, **asked)
        return [match for match in matches for _ in range(2)][:limit]


class MinScoreIgnored(Refusing):
    """No match is too far."""

    def search(self, spec, vector, *, min_score=None, **asked):
        matches = super().search(spec, vector, min_score=min_score, **asked)
        return super().search(spec, vector, **asked) if min_score is not None else matches


class MinScoreExclusive(Refusing):
    """A match whose score is min_score is left out."""

    def _search(self, spec, vector, limit, filter, min_score):
        matches = super()._search(spec, vector, limit, filter, min_score)
        return [match for match in matches if min_score is None or match.score > min_score]


class MinScoreIsADistance(Refusing):
    """Under euclidean, min_score is the greatest distance."""

    def search(self, spec, vector, *, min_score=None, **asked):
        if spec.metric != "euclidean" or not isinstance(min_score, float):
            return super().search(spec, vector, min_score=min_score, **asked)
        matches = super().search(spec, vector, **asked)
        return [match for match in matches if -match.score <= min_score]


class MinScoreOfTheSquare(Refusing):
    """Under euclidean, min_score is compared with the squared distance."""

    def _search(self, spec, vector, limit, filter, min_score):
        matches = super()._search(spec, vector, limit, filter, min_score)
        if spec.metric != "euclidean" or min_score is None:
            return matches
        return [match for match in matches if -(match.score**2) >= min_score]


class MinScoreOfZero(Refusing):
    """Unless asked otherwise, matches with a negative similarity are dropped."""

    def _search(self, spec, vector, limit, filter, min_score):
        if min_score is None and spec.metric != "euclidean":
            min_score = 0.0
        return super()._search(spec, vector, limit, filter, min_score)


class NegativeScoresClamped(Refusing):
    """A negative score is told as zero."""

    def search(self, spec, vector, **asked):
        matches = super().search(spec, vector, **asked)
        return [Match(id=match.id, score=max(0.0, match.score)) for match in matches]


class Approximate(Refusing):
    """Every seventh record is not reached by the graph."""

    def _search(self, spec, vector, limit, filter, min_score):
        lost = {record.id for record in self._records(spec)[6::7]}
        matches = super()._search(spec, vector, 1_000_000, filter, min_score)
        return [match for match in matches if match.id not in lost][:limit]


class FilterAfterLimit(Refusing):
    """The filter is applied to the nearest records only."""

    def _search(self, spec, vector, limit, filter, min_score):
        return kept_of(self, super()._search(spec, vector, limit, None, min_score), spec, filter)


class FilterAmongCandidates(Refusing):
    """The filter is applied to the 200 nearest records, as an index with a cap does."""

    def _search(self, spec, vector, limit, filter, min_score):
        near = super()._search(spec, vector, max(limit, 200), None, min_score)
        return kept_of(self, near, spec, filter)[:limit]


def kept_of(backend, matches, spec, filter):
    kept = {
        record.id for record in backend._records(spec) if backend._matches(filter, record.metadata)
    }
    return [match for match in matches if match.id in kept]


class NeverNothing(Refusing):
    """Where nothing matches the filter, the nearest records come without it."""

    def _search(self, spec, vector, limit, filter, min_score):
        found = super()._search(spec, vector, limit, filter, min_score)
        return found or super()._search(spec, vector, limit, None, min_score)


class NonsenseFindsNothing(Refusing):
    """A query or a threshold that is wrong finds nothing, silently."""

    def search(self, spec, vector, **asked):
        try:
            return super().search(spec, vector, **asked)
        except (InvalidVector, InvalidQuery):
            return []


class ZeroFindsNothing(Refusing):
    """Under cosine, a query of zeros finds nothing."""

    def search(self, spec, vector, **asked):
        if list(vector) == [0.0] * spec.dimensions:
            return []
        return super().search(spec, vector, **asked)


class ListsOnly(Refusing):
    """A query must be a list."""

    caught_as = TypeError

    def search(self, spec, vector, **asked):
        if isinstance(vector, (tuple, array, memoryview)):
            raise TypeError("expected a list")
        return super().search(spec, vector, **asked)


class AnyThreshold(Refusing):
    """A min_score that is no number is no threshold."""

    def search(self, spec, vector, *, min_score=None, **asked):
        try:
            return super().search(spec, vector, min_score=min_score, **asked)
        except InvalidQuery as error:
            if "min_score" in str(error):
                return super().search(spec, vector, **asked)
            raise


class TextIds(Refusing):
    """The ids of matches are texts."""

    def _search(self, *arguments):
        return [Match(id=str(it.id), score=it.score) for it in super()._search(*arguments)]


class Pairs(Refusing):
    """A match is a pair."""

    def _search(self, *arguments):
        return [(match.id, match.score) for match in super()._search(*arguments)]
