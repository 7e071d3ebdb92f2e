"""The whole suite in one class."""

from __future__ import annotations

from .async_errors import AsyncErrorTests
from .asynchronous import AsyncTests
from .completeness import CompletenessTests
from .concurrency import ConcurrencyTests
from .congruence import CongruenceTests
from .deleting import DeletingTests
from .failures import FailureTests
from .filter_datetimes import DatetimeFilterTests
from .filter_errors import FilterErrorTests
from .filter_lists import ListFilterTests
from .filter_scalars import ScalarFilterTests
from .filter_sizes import FilterSizeTests
from .filter_texts import TextFilterTests
from .filter_trees import FilterTreeTests
from .filter_unicode import UnicodeTests
from .filter_values import ValueFilterTests
from .freshness import FreshnessTests
from .invalid_anywhere import InvalidAnywhereTests
from .invalid_records import InvalidRecordTests
from .invalid_vectors import InvalidVectorTests
from .isolation import IsolationTests
from .lifecycle import LifecycleTests
from .magnitudes import MagnitudeTests
from .metadata import MetadataTests
from .ordering import OrderTests
from .processes import ProcessTests
from .ranking import RankingTests
from .reading import ReadingTests
from .scanning import ScanTests
from .scoring import ScoringTests
from .sizes import SizeTests
from .writing import WritingTests

__all__ = ["VectorBackendConformance"]


# pytest tests the last base first: simple rules come before long series of operations, so that
# the first failure says most.
class VectorBackendConformance(
    CongruenceTests,
    ProcessTests,
    AsyncErrorTests,
    AsyncTests,
    ConcurrencyTests,
    FailureTests,
    InvalidAnywhereTests,
    InvalidRecordTests,
    InvalidVectorTests,
    IsolationTests,
    MetadataTests,
    SizeTests,
    CompletenessTests,
    ScanTests,
    FilterErrorTests,
    FilterSizeTests,
    FilterTreeTests,
    ListFilterTests,
    UnicodeTests,
    TextFilterTests,
    ValueFilterTests,
    DatetimeFilterTests,
    ScalarFilterTests,
    OrderTests,
    RankingTests,
    MagnitudeTests,
    ScoringTests,
    FreshnessTests,
    ReadingTests,
    DeletingTests,
    WritingTests,
    LifecycleTests,
):
    """The rules that every vector backend must keep.

    Derive a test class from it that defines `make_backend`. Tests of a metric that the
    backend does not declare are skipped. Every test creates its own collections, under new
    names, and drops them, so the server need not be empty.

    Override where needed:

    - `make_backend` makes a new instance. All instances of a persistent backend share one store.
    - `refusing` makes the store refuse part of a batch.
    - `unreachable` makes a backend whose service cannot be reached.
    - `thread_finished` releases the resources of a thread at its end.
    - ``stateful_settings`` are Hypothesis' settings for `test_behaves_like_the_oracle`.
    - ``thorough`` makes collections, batches and filters larger.
    - ``at_most`` limits them, for a slow store that only stands in for another one, and for an
      index that is forced to search so few records approximately.
    - ``fork_timeout`` is the number of seconds that a forked process may take.

    Example::

        class TestAcme(VectorBackendConformance):
            def make_backend(self):
                return AcmeBackend("default", AcmeBackend.Options(host="localhost"))
    """
