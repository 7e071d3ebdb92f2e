"""The specification of a collection: name, size of the vectors, metric and fields."""

from __future__ import annotations

import math
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Self

from ..exceptions import BackendUnavailable, InvalidSpec
from .filters import FIELD_TYPES, FieldType
from .metrics import METRICS, Metric
from .recall import Recall, Setting

__all__ = ["EXACT_UP_TO", "CollectionSpec", "check_name"]

#: The contract of every backend: if at most this many records match a filter, they are scored
#: exactly, so that an approximate index never loses a match.
EXACT_UP_TO = 50_000

_NAME = re.compile(r"[a-z][a-z0-9_]{0,47}", re.ASCII)


def check_name(name: object, what: str) -> None:
    """Raise InvalidSpec unless ``name`` can be a collection's or a field's name."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or "__" in name:
        raise InvalidSpec(
            f"{name!r} is not a {what}: use 1 to 48 lower-case letters, digits and single"
            " underscores, beginning with a letter."
        )


@dataclass(frozen=True, kw_only=True)
class CollectionSpec:
    """Describes one named set of vectors. Every operation on the collection takes it.

    Args:
        name: matches ``[a-z][a-z0-9_]{0,47}`` without ``__``.
        dimensions: the number of components of every vector.
        metric: ``"cosine"``, ``"dot"`` or ``"euclidean"``.
        fields: the metadata fields that filters can use, with their types.
        recall: the recall that was measured in the collection, with the setting of its searches.
            It is no part of the collection's shape: specs that differ only in it are equal.
        timeout: seconds that a call with this spec may take, instead of the backend's own limit;
            None for that limit. Measuring the recall sets it for searches, samples and counts. It
            is no part of the shape either.

    Raises:
        InvalidSpec: one of them is wrong. The message says which.

    Example::

        CollectionSpec(name="blog", dimensions=384, fields={"locale": "str"})
    """

    name: str
    dimensions: int
    metric: Metric = "cosine"
    fields: Mapping[str, FieldType] = field(default_factory=dict)
    recall: Recall | None = field(default=None, compare=False, repr=False)
    timeout: float | None = field(default=None, compare=False, repr=False)

    def __post_init__(self) -> None:
        check_name(self.name, "collection name")
        if type(self.dimensions) is not int or self.dimensions < 1:
            raise InvalidSpec(
                f"{self.name}: dimensions must be an int of at least 1, not {self.dimensions!r}."
            )
        if self.metric not in METRICS:
            raise InvalidSpec(
                f"{self.name}: metric must be one of {', '.join(METRICS)}, not {self.metric!r}."
            )
        if not isinstance(self.fields, Mapping):
            raise InvalidSpec(f"{self.name}: fields must map names to types, not {self.fields!r}.")
        for name, type_ in self.fields.items():
            check_name(name, "field name")
            if type_ not in FIELD_TYPES:
                raise InvalidSpec(
                    f"{self.name}: field {name!r} must have one of the types"
                    f" {', '.join(FIELD_TYPES)}, not {type_!r}."
                )
        object.__setattr__(self, "fields", MappingProxyType(dict(self.fields)))

    @property
    def shape(self) -> str:
        """The dimensions, the metric and the fields as text.

        It is the same for specs that are equal but for the name, in every process and release. So
        a store can keep it with the collection to compare it, and messages can show it.
        """
        fields = ", ".join(f"{name} {type_}" for name, type_ in sorted(self.fields.items()))
        return f"{self.dimensions} dimensions under {self.metric} with the fields ({fields})"

    @property
    def setting(self) -> Setting:
        """The setting that searches use; empty for the backend's own default."""
        return self.recall.setting if self.recall else {}

    def searched_with(self, setting: Setting) -> Self:
        """Return the spec with which a backend searches with a setting."""
        return replace(self, recall=Recall(setting=setting))

    def until(self, end: float) -> Self:
        """Return the spec for a call that may last until a moment of ``time.monotonic()``.

        For a backend whose searches consist of several calls, which have one time together. The
        moment ``math.inf`` changes nothing.

        Raises:
            BackendUnavailable: the moment has passed.

        Example::

            end = time.monotonic() + 10
            found = self._by_index(spec.until(end), query) or self._exactly(spec.until(end), query)
        """
        if end == math.inf:
            return self
        if (left := end - time.monotonic()) <= 0:
            raise BackendUnavailable(f"The time to search {self.name!r} is over. Raise TIMEOUT.")
        return replace(self, timeout=left)

    def __hash__(self) -> int:
        return hash((self.name, self.dimensions, self.metric, frozenset(self.fields.items())))

    def __reduce__(self) -> tuple[object, ...]:
        shape = (self.name, self.dimensions, self.metric, dict(self.fields))
        return _restore, (*shape, self.recall, self.timeout)


def _restore(
    name: str,
    dimensions: int,
    metric: Metric,
    fields: dict[str, FieldType],
    recall: Recall | None,
    timeout: float | None,
) -> CollectionSpec:
    return CollectionSpec(
        name=name,
        dimensions=dimensions,
        metric=metric,
        fields=fields,
        recall=recall,
        timeout=timeout,
    )
