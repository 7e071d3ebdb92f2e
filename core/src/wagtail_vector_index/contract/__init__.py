"""The building blocks of backends: specs, records, filters and options.

Nothing here knows Wagtail or a Django model. Authors of backends import from this package.
Six modules are imported by their own names, because they need a library that the backend's
distribution must require, or because few backends need them:

- `wagtail_vector_index.contract.arrays`: vectors as NumPy arrays (requires NumPy).
- `wagtail_vector_index.contract.rescoring`: exact searches by a store that scores in float32
  (requires NumPy).
- `wagtail_vector_index.contract.sansio`: operations that run with synchronous and with
  asynchronous clients.
- `wagtail_vector_index.contract.services`: the kit for backends of services (requires
  tenacity).
- `wagtail_vector_index.contract.sql`: filters as conditions of SQL.
- `wagtail_vector_index.contract.sqlite`: the values of fields in SQLite, and their comparisons.
"""

from .clients import Clients, collect_before_forks
from .connections import FileConnections
from .filters import (
    FIELD_TYPES,
    MAX_INT,
    And,
    Comparison,
    FieldType,
    Filter,
    FilterNode,
    IsNull,
    Lookup,
    Not,
    Or,
    parse_filter,
)
from .health import Health
from .metrics import FACTS, METRICS, Metric, MetricFacts
from .option_checks import (
    MAX_TIMEOUT,
    check_absolute,
    check_api_key,
    check_headers,
    check_host,
    check_ranges,
)
from .options import Options, secret
from .recall import EXACT, RECALL_TARGET, ExactMatches, Recall, Setting, check_recall
from .records import Match, Record, RecordBatch, Vector, field_values, float32
from .slices import bounded, joined, slices
from .snapshots import Snapshot, SnapshotPart
from .spec import EXACT_UP_TO, CollectionSpec, check_name
from .token_estimate import estimate_tokens

__all__ = [
    "EXACT",
    "EXACT_UP_TO",
    "FACTS",
    "FIELD_TYPES",
    "MAX_INT",
    "MAX_TIMEOUT",
    "METRICS",
    "RECALL_TARGET",
    "And",
    "Clients",
    "CollectionSpec",
    "Comparison",
    "ExactMatches",
    "FieldType",
    "FileConnections",
    "Filter",
    "FilterNode",
    "Health",
    "IsNull",
    "Lookup",
    "Match",
    "Metric",
    "MetricFacts",
    "Not",
    "Options",
    "Or",
    "Recall",
    "Record",
    "RecordBatch",
    "Setting",
    "Snapshot",
    "SnapshotPart",
    "Vector",
    "bounded",
    "check_absolute",
    "check_api_key",
    "check_headers",
    "check_host",
    "check_name",
    "check_ranges",
    "check_recall",
    "collect_before_forks",
    "estimate_tokens",
    "field_values",
    "float32",
    "joined",
    "parse_filter",
    "secret",
    "slices",
]
