"""The capabilities that a backend declares, which decide which tests run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from wagtail_vector_index.contract import METRICS, Metric

__all__ = [
    "CAPABILITIES",
    "FORKS",
    "METRIC",
    "ONE_METRIC_LESS",
    "PERSISTENT",
    "REFUSING",
    "SEVERAL_METRICS",
    "THREAD_SENSITIVE",
    "UNREACHABLE",
    "Capability",
]


@dataclass(frozen=True, kw_only=True)
class Capability:
    """A capability that not every backend has, and that some tests need.

    Args:
        name: the name in the documentation.
        declared: the attribute or method that declares it.
        closed: the reason for skipping tests if it is not declared.
    """

    name: str
    declared: str
    closed: str


METRIC: Mapping[Metric, Capability] = {
    metric: Capability(
        name=f"the metric {metric}",
        declared="metrics",
        closed=f"metrics does not declare {metric!r}",
    )
    for metric in METRICS
}

SEVERAL_METRICS = Capability(
    name="more than one metric",
    declared="metrics",
    closed="metrics declares one metric only",
)

ONE_METRIC_LESS = Capability(
    name="a metric that it does not know",
    declared="metrics",
    closed="metrics declares every metric there is",
)

PERSISTENT = Capability(
    name="a store outside the process",
    declared="persistent",
    closed="persistent is False: collections live in one process",
)

THREAD_SENSITIVE = Capability(
    name="asynchronous calls in the thread of Django's connections",
    declared="thread_sensitive",
    closed="thread_sensitive is False: asynchronous calls may run in any thread",
)

REFUSING = Capability(
    name="a store that refuses part of a batch",
    declared="refusing() of the test class",
    closed="refusing() does not say how the store can be made to refuse records",
)

UNREACHABLE = Capability(
    name="a service that cannot be reached",
    declared="unreachable() of the test class",
    closed="unreachable() does not make a backend whose service cannot be reached",
)

FORKS = Capability(
    name="processes that fork",
    declared="the platform",
    closed="this platform has no fork()",
)

CAPABILITIES = (
    *METRIC.values(),
    SEVERAL_METRICS,
    ONE_METRIC_LESS,
    PERSISTENT,
    THREAD_SENSITIVE,
    REFUSING,
    UNREACHABLE,
    FORKS,
)
