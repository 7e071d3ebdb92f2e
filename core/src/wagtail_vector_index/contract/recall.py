"""The recall of approximate searches: how it is measured, and how a search setting is chosen.

An approximate index finds most of the nearest records, and how many depends on the content. So
after a build, a sample of questions is searched exactly and approximately, and the cheapest
setting that finds enough is used from then on. `VectorBackend.optimize` does so for every
backend that names its settings.
"""

from __future__ import annotations

import datetime as dt
from array import array
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any, TypeAlias

from django.utils import timezone

from ..exceptions import BackendRefused, BackendUnavailable
from .records import Match, RecordBatch

__all__ = [
    "EXACT",
    "RECALL_TARGET",
    "ExactMatches",
    "Recall",
    "Setting",
    "cheapest",
    "check_recall",
    "questions",
    "share_found",
]

#: What a search does, in the backend's own words: for instance ``{"ef_search": 200}``.
Setting: TypeAlias = Mapping[str, float]

#: The setting of a search that compares every record.
EXACT: Setting = {"exact": 1}

#: The recall that a setting must reach by default, as a mean over the questions.
RECALL_TARGET = 0.98

#: The recall that it must reach for every single question.
LEAST = 0.5

#: How many nearest records count.
LIMIT = 10

#: How many stored vectors are questions. As many mixtures of two of them are questions too. If a
#: hundredth of all questions finds next to nothing, one of 200 does so almost always.
SAMPLE = 100

#: Smaller collections are not measured: their indexes find nearly everything.
LEAST_RECORDS = 1_000

#: A collection is measured again when it has this many times the records.
GROWTH = 1.5

#: A measurement that failed is repeated by an update after this time.
REPEATED_AFTER = dt.timedelta(days=1)

#: Scores that differ by less count as equal, relative to 1 or, if that is more, to the score.
_ROUNDING = 1e-5


class ExactMatches(list[Match]):
    """Matches that are certainly the nearest, because every record that matches was compared."""


@dataclass(frozen=True, kw_only=True)
class Recall:
    """The recall that was measured in a collection, and the setting of its searches.

    If it could not be measured, ``questions`` is 0, and ``advice`` says why.

    Args:
        setting: the setting that searches use.
        mean: the mean share of the nearest records that the questions found.
        worst: the share that the worst question found.
        target: the mean that was wanted.
        questions: how many questions were asked.
        records: how many records the collection had; 0 if they could not be counted.
        measured_at: when this was measured, or was tried in vain; None if that is unknown.
        advice: what to do if no setting reaches the target, or if it could not be measured;
            empty if one does.
    """

    setting: Setting
    mean: float = 0.0
    worst: float = 0.0
    target: float = RECALL_TARGET
    questions: int = 0
    records: int = 0
    measured_at: dt.datetime | None = None
    advice: str = ""

    def __str__(self) -> str:
        setting = ", ".join(f"{name} {value:g}" for name, value in self.setting.items())
        if not self.is_measured:
            where = f" in {self.records:,} records" if self.records else ""
            return f"recall not measured{where}, searched with {setting}"
        text = (
            f"recall {self.mean:.3f}, worst {self.worst:.2f}, of {self.questions} sampled searches"
            f" of {self.records:,} records, with {setting}"
        )
        return text if self.reached else f"{text}; the target is {self.target:g}"

    @property
    def is_measured(self) -> bool:
        """Whether the recall is known, rather than only which setting searches use."""
        return self.questions > 0

    @property
    def reached(self) -> bool:
        """Whether enough is found on average, and something by every question."""
        return self.mean >= self.target and self.worst >= LEAST

    def holds(self, *, records: int, target: float, settings: Iterable[Setting]) -> bool:
        """Return whether the measurement fits the options, and the collection has not grown.

        One that failed holds for a day.
        """
        if not self.is_measured and self._is_old:
            return False
        return (
            self.target == target and self.setting in settings and records <= GROWTH * self.records
        )

    def as_json(self) -> dict[str, Any]:
        """Return the measurement as JSON values, with its time in ISO 8601."""
        at = self.measured_at
        return asdict(self) | {"measured_at": at and at.isoformat()}

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Recall:
        """Return the measurement that `as_json` gave, without what another release added."""
        names = {field.name for field in fields(cls)}
        known = {name: value for name, value in values.items() if name in names}
        at = known.get("measured_at")
        return cls(**known | {"measured_at": dt.datetime.fromisoformat(at) if at else None})

    @property
    def _is_old(self) -> bool:
        return self.measured_at is None or timezone.now() - self.measured_at > REPEATED_AFTER


def check_recall(target: float) -> None:
    """Check an option ``RECALL``."""
    if not LEAST <= target <= 1:
        raise ValueError(f"'RECALL' must be from {LEAST} to 1, not {target}.")


def questions(batch: RecordBatch) -> list[memoryview]:
    """Return vectors to search for: the stored ones of a batch, and mixtures of two.

    A stored vector is the question of a text that has a chunk's own words. A mixture is nearer to
    one vector than to another, as the vector of a question that two chunks answer.
    """
    vectors = [memoryview(array("f", batch.vector(row))) for row in range(len(batch))]
    asked = []
    for one, other in zip(vectors, vectors[1:] + vectors[:1], strict=True):
        mixture = array("f", ((2 * x + y) / 3 for x, y in zip(one, other, strict=True)))
        asked += [one, memoryview(mixture)] if any(mixture) else [one]
    return asked


def share_found(found: Sequence[float], right: Sequence[float]) -> float:
    """Return the share of the nearest records that a search found.

    Scores are compared, not ids: of records that are equally near, any will do.

    Args:
        found: the scores of the records that were found.
        right: the scores of the nearest records.
    """
    if not right:
        return 1.0
    least = min(right)
    least -= _ROUNDING * max(1.0, abs(least))
    return min(1.0, sum(score >= least for score in found) / len(right))


def cheapest(
    settings: Iterable[Setting],
    right: Sequence[Sequence[float]],
    searched: Callable[[Setting], Iterable[Sequence[float]]],
    **facts: Any,
) -> Recall:
    """Return the recall of the first setting that reaches the target, or else of the best one.

    If searches with a setting fail, for example because they take too long, neither this one nor
    more thorough ones can be used. The first setting's failure is raised.

    Args:
        settings: the settings, the cheapest first.
        right: the scores of the nearest records to each question.
        searched: returns the scores that searches with a setting find, for each question.
        facts: the other arguments of `Recall`.
    """
    tried: list[Recall] = []
    for setting in settings:
        try:
            shares = [*map(share_found, searched(setting), right)]
        except (BackendUnavailable, BackendRefused):
            if not tried:
                raise
            break
        mean = sum(shares) / len(shares)
        tried.append(Recall(setting=setting, mean=mean, worst=min(shares), **facts))
        if tried[-1].reached:
            return tried[-1]
    return max(tried, key=lambda recall: (recall.mean, recall.worst))
