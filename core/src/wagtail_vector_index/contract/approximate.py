"""Approximate indexes: their settings, what is measured with these, and searches."""

from __future__ import annotations

import logging
import math
import time
from array import array
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

from django.utils import timezone

from ..exceptions import (
    BackendError,
    BackendRefused,
    BackendUnavailable,
    CollectionNotFound,
)
from .recall import (
    EXACT,
    LEAST_RECORDS,
    LIMIT,
    RECALL_TARGET,
    SAMPLE,
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

#: The seconds that the exact searches of a measurement may take in sum; and those after which no
#: more of them are made, if there are this many.
_MOST_SECONDS, _PATIENCE, _FEWEST_QUESTIONS = 600, 120, 20


class ApproximateStore(ThreadedStore):
    """The part of `VectorBackend` for backends whose index finds most of the nearest records.

    They write the methods from `_search_settings` to `_build_better_index`. For other backends,
    nothing here has an effect.
    """

    #: If no setting of a search finds enough, what should the site do? Shown to its operator.
    recall_advice: str = "Set RECALL to less, or choose another vector backend."

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

    def _adapt_index(self, spec: CollectionSpec) -> None:
        """Adapt an older index to the options and the number of records, before it is measured."""

    def _build_better_index(self, spec: CollectionSpec) -> bool:
        """Build an index that finds more, since no setting was enough; return whether it did.

        Its settings are asked for afterwards, so they may be others.
        """
        return False

    # Measuring

    def measure(self, spec: CollectionSpec) -> Recall | None:
        """Choose the cheapest setting of searches that finds enough, and return its recall.

        Searches with a spec that has this recall use the setting. So do searches of this process
        with a spec that has none. Returns None if searches are exact or the collection is small.

        The recall of the spec is returned as long as it fits the options and the collection has
        not grown by half. Otherwise, the index is adapted first, if necessary. If the recall
        cannot be measured, the most thorough setting that works is chosen, and the result says
        why. If none works, the recall of the spec is returned.
        """
        return self._measure(spec, is_new=False)

    def _measure(self, spec: CollectionSpec, *, is_new: bool) -> Recall | None:
        """Like `measure`, for an index that was just built or for an older one."""
        if not (settings := self._search_settings(spec)):
            return None
        target = getattr(self.options, "recall", RECALL_TARGET)

        def is_current(recall: Recall, records: int) -> bool:
            return recall.holds(records=records, target=target, settings=settings)

        try:
            records = self._counted(spec)
        except BackendRefused as error:
            if spec.recall and is_current(spec.recall, 0):
                return spec.recall
            known = spec.recall.records if spec.recall else 0
            return self._unmeasured(spec, settings, error, _facts(known, target))
        if spec.recall and is_current(spec.recall, records):
            return spec.recall
        if records < LEAST_RECORDS:
            if len(settings) == 1:  # the site's own choice holds for any number of records
                self._use_setting(spec, settings[0])
            return None
        return self._measured_if_possible(spec, settings, _facts(records, target), is_new=is_new)

    def _counted(self, spec: CollectionSpec) -> int:
        """Return the number of records, if possible with more time than a search has."""
        try:
            with _in_time(f"to count the records of {spec.name}"):
                return self._count(replace(spec, timeout=_MOST_SECONDS), None)
        except BackendRefused:  # a server may forbid so much time
            return self._count(spec, None)

    def _measured_if_possible(
        self,
        spec: CollectionSpec,
        settings: Sequence[Setting],
        facts: dict[str, Any],
        *,
        is_new: bool,
    ) -> Recall | None:
        try:
            if not is_new:
                self._adapt_index(spec)
                settings = self._search_settings(spec)
            recall = self._measured(spec, settings, facts)
        except CollectionNotFound:
            raise
        except BackendError as error:
            return self._unmeasured(spec, settings, error, facts)
        if recall is not None:
            self._recalls[spec.name] = recall
        return recall

    def _measured(
        self, spec: CollectionSpec, settings: Sequence[Setting], facts: dict[str, Any]
    ) -> Recall | None:
        asked, right = self._answered(spec)
        if not asked:
            return None  # all records were deleted meanwhile

        def found(setting: Setting) -> Iterator[list[float]]:
            self._use_setting(spec, setting)
            return (self._scores(spec.searched_with(setting), vector) for vector in asked)

        def choose(settings: Sequence[Setting]) -> Recall:
            return cheapest(settings, right, found, questions=len(asked), **facts)

        recall = choose(settings)
        # A single setting is the site's own choice.
        if not recall.reached and len(settings) > 1 and self._build_better_index(spec):
            recall = choose(self._search_settings(spec))
        if recall.reached:
            logger.info("%s: %s.", spec.name, recall)
        else:
            recall = replace(recall, advice=self.recall_advice)
            logger.warning("%s: %s. %s", spec.name, recall, recall.advice)
        self._use_setting(spec, recall.setting)
        return recall

    def _answered(self, spec: CollectionSpec) -> tuple[list[memoryview], list[list[float]]]:
        """Return questions to a collection, and the scores of the nearest records to each.

        The searches are exact. In a large collection, one may take longer than a visitor would
        wait, so each may take all the time that is left for them.

        Raises:
            BackendUnavailable: the time was not enough for a few questions.
        """
        started = time.monotonic()
        with _in_time(f"to read {SAMPLE} records of {spec.name}"):
            asked = questions(self._sample(replace(spec, timeout=_MOST_SECONDS), SAMPLE))
        exactly = spec.searched_with(EXACT)
        right: list[list[float]] = []
        for vector in asked:
            is_enough = len(right) >= _FEWEST_QUESTIONS
            end = started + (_PATIENCE if is_enough else _MOST_SECONDS)
            if (left := end - time.monotonic()) <= 0:
                break
            try:
                right.append(self._scores(replace(exactly, timeout=left), vector))
            except BackendUnavailable:
                if time.monotonic() < end and not is_enough:
                    raise
                break
        if len(right) < min(_FEWEST_QUESTIONS, len(asked)):
            raise BackendUnavailable(
                f"{_MOST_SECONDS} s were enough for {len(right)} searches that compare every record"
                f" of {spec.name}, and at least {_FEWEST_QUESTIONS} are needed"
            )
        return asked[: len(right)], right

    def _unmeasured(
        self,
        spec: CollectionSpec,
        settings: Sequence[Setting],
        error: BackendError,
        facts: dict[str, Any],
    ) -> Recall | None:
        """Choose the most thorough setting whose searches work, since measuring has failed.

        Without one, the store does not work at all just now, so it may have a setting that was
        only tried. Then the recall of the spec is returned.
        """
        logger.warning("The recall of %s could not be measured: %s", spec.name, error)
        with suppress(BackendError):
            settings = self._search_settings(spec)  # there may be a better index
        vector = memoryview(array("f", [1.0]) * spec.dimensions)
        for setting in reversed(settings):
            with suppress(BackendUnavailable, BackendRefused):
                self._use_setting(spec, setting)
                self._scores(spec.searched_with(setting), vector)
                advice = _advice(error, setting if len(settings) > 1 else {}, self.options)
                recall = Recall(setting=setting, advice=advice, **facts)
                self._recalls[spec.name] = recall
                return recall
        with suppress(BackendError):
            self._use_setting(spec, spec.recall.setting if spec.recall else settings[0])
        return spec.recall

    def _scores(self, spec: CollectionSpec, vector: memoryview[Any]) -> list[float]:
        found = self._search(spec, vector, LIMIT, None, None)
        return [match.score for match in ranked(found, LIMIT, None)]

    # Searching

    def _searched(self, spec: CollectionSpec, asked: Any) -> Steps[list[Match]]:
        if spec.recall is None and spec.name in self._recalls:
            spec = replace(spec, recall=self._recalls[spec.name])
        own: float = getattr(self.options, "timeout", math.inf)
        return searched(
            spec,
            asked,
            search=self._search_call,
            wider=self._wider_settings,
            reach=self._reach,
            timeout=own if spec.timeout is None else spec.timeout,
        )

    def _search_call(self, *arguments: Any) -> Call:
        return Call(
            sync=partial(self._search, *arguments), asynchronous=partial(self._asearch, *arguments)
        )


@contextmanager
def _in_time(what: str) -> Iterator[None]:
    """Tell in the words of the measurement that its time was not enough.

    The service's own error would name an option that has no effect here.
    """
    end = time.monotonic() + _MOST_SECONDS
    try:
        yield
    except BackendUnavailable as error:
        if time.monotonic() < end:
            raise
        raise BackendUnavailable(f"{_MOST_SECONDS} s were not enough {what}") from error


def _facts(records: int, target: float) -> dict[str, Any]:
    """Return what a recall says of its measurement, also if that failed."""
    now = timezone.now().replace(microsecond=0)
    return {"records": records, "target": target, "measured_at": now}


def _advice(error: BackendError, chosen: Setting, options: Any) -> str:
    """Return why the recall could not be measured, and what to do."""
    reason = options.redact(str(error)).rstrip(".")
    sentences = [f"{reason}.", "It is measured again by an update after a day."]
    if chosen:
        sentences.append("Until then, searches use the most thorough setting that works.")
    if names := [name.upper() for name in chosen if hasattr(options, name)]:
        sentences.append(f"If they are too slow, set {' and '.join(names)}.")
    return " ".join(sentences)
