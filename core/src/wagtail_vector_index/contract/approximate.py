"""Approximate indexes: their settings, what is measured with these, and searches."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any, ClassVar

from django.utils import timezone

from ..exceptions import BackendError, CollectionNotFound
from .recall import (
    EXACT,
    LEAST_RECORDS,
    LIMIT,
    SAMPLE,
    TARGET,
    Recall,
    Setting,
    cheapest,
    questions,
)
from .records import Match, RecordBatch, ranked
from .sansio import Call, Steps
from .spec import CollectionSpec
from .threaded import ThreadedStore
from .widening import searched

__all__ = ["ApproximateStore"]

logger = logging.getLogger(__name__)

#: After so many seconds of exact searches, the questions that are left are not asked, unless fewer
#: than this were asked.
_PATIENCE, _FEWEST_QUESTIONS = 120, 20


class ApproximateStore(ThreadedStore):
    """The part of `VectorBackend` for backends whose index finds most of the nearest records.

    They write the methods from `_search_settings` to `_build_better_index`. For other backends,
    nothing here has an effect.
    """

    #: If no setting of a search finds enough, what should the site do? Shown to its operator.
    recall_advice: ClassVar[str] = "Set RECALL to less, or choose another vector backend."

    def __init__(self, alias: str, options: Any) -> None:
        super().__init__(alias, options)
        #: What this process measured, by collection, for specs that have no recall.
        self._recalls: dict[str, Recall] = {}

    # Methods that the author of an approximate index writes too

    def _search_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings of approximate searches to choose from, the cheapest first.

        `_search` uses ``spec.setting``: one of these, `EXACT`, or none, for the first of them. It
        returns `ExactMatches` if it compared every record that matches. Options that the site has
        set are in every setting, so there may be a single one. Without any, searches are exact.
        """
        return ()

    def _wider_settings(self, spec: CollectionSpec) -> Sequence[Setting]:
        """Return the settings to repeat a doubtful search with, before it is repeated exactly."""
        return self._search_settings(spec)[-1:]

    def _use_setting(self, spec: CollectionSpec, setting: Setting) -> None:
        """Make the store use a setting, unless each search brings its own."""

    def _reach(self, spec: CollectionSpec) -> int:
        """Return the most matches that a search by the index without a filter may request."""
        return 1_000

    def _sample(self, spec: CollectionSpec, count: int) -> RecordBatch:
        """Return some records, if possible at random. Their metadata is not used."""
        return next(self._scan(spec, count), RecordBatch.of(ids=[], vectors=[]))

    def _build_better_index(self, spec: CollectionSpec) -> bool:
        """Build an index that finds more, since no setting was enough; return whether it did."""
        return False

    # Measuring

    def measure(self, spec: CollectionSpec) -> Recall | None:
        """Choose the cheapest setting of searches that finds enough, and return its recall.

        Searches with a spec that has this recall use the setting. So do searches of this process
        with a spec that has none. Returns None if searches are exact or the collection is small.
        The recall of the spec is returned as long as it fits the options and the collection has
        not grown by half, and if the measurement fails, which is logged.
        """
        if not (settings := self._search_settings(spec)):
            return None
        records, target = self._count(spec, None), getattr(self.options, "recall", TARGET)
        if spec.recall and spec.recall.holds(records=records, target=target, settings=settings):
            return spec.recall
        if records < LEAST_RECORDS:
            if len(settings) == 1:  # the site's own choice holds for any number of records
                self._use_setting(spec, settings[0])
            return None
        try:
            return self._measured(spec, settings, records=records, target=target)
        except CollectionNotFound:
            raise
        except BackendError as error:
            logger.warning("The recall of %s could not be measured: %s", spec.name, error)
            # The store may still have a setting that was only tried.
            with suppress(BackendError):
                self._use_setting(spec, spec.recall.setting if spec.recall else settings[0])
            return spec.recall

    def _searched(self, spec: CollectionSpec, asked: Any) -> Steps[list[Match]]:
        if spec.recall is None and spec.name in self._recalls:
            spec = replace(spec, recall=self._recalls[spec.name])
        return searched(
            spec, asked, search=self._search_call, wider=self._wider_settings, reach=self._reach
        )

    def _search_call(self, *arguments: Any) -> Call:
        return Call(
            sync=partial(self._search, *arguments), asynchronous=partial(self._asearch, *arguments)
        )

    def _measured(
        self, spec: CollectionSpec, settings: Sequence[Setting], **facts: Any
    ) -> Recall | None:
        asked, right = self._answered(spec)
        if not asked:
            return None  # all records were deleted meanwhile
        facts["questions"] = len(asked)
        facts["measured_at"] = timezone.now().isoformat(timespec="seconds")

        def found(setting: Setting) -> Iterator[list[float]]:
            self._use_setting(spec, setting)
            return (self._scores(spec.searched_with(setting), vector) for vector in asked)

        recall = cheapest(settings, right, found, **facts)
        # A single setting is the site's own choice.
        if not recall.reached and len(settings) > 1 and self._build_better_index(spec):
            recall = cheapest(settings, right, found, **facts)
        if recall.reached:
            logger.info("%s: %s.", spec.name, recall)
        else:
            recall = replace(recall, advice=self.recall_advice)
            logger.warning("%s: %s. %s", spec.name, recall, recall.advice)
        self._use_setting(spec, recall.setting)
        self._recalls[spec.name] = recall
        return recall

    def _answered(self, spec: CollectionSpec) -> tuple[list[memoryview], list[list[float]]]:
        """Return questions to a collection, and the scores of the nearest records to each."""
        asked = questions(self._sample(spec, SAMPLE))
        right: list[list[float]] = []
        end = time.monotonic() + _PATIENCE
        for vector in asked:
            right.append(self._scores(spec.searched_with(EXACT), vector))
            if time.monotonic() > end and len(right) >= _FEWEST_QUESTIONS:
                break
        return asked[: len(right)], right

    def _scores(self, spec: CollectionSpec, vector: memoryview[Any]) -> list[float]:
        found = self._search(spec, vector, LIMIT, None, None)
        return [match.score for match in ranked(found, LIMIT, None)]
