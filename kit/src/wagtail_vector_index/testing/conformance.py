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
from .filter_texts import TextFilterTests
from .filter_trees import FilterTreeTests
from .invalid_records import InvalidRecordTests
from .invalid_vectors import InvalidVectorTests
from .isolation import IsolationTests
from .lifecycle import LifecycleTests
from .metadata import MetadataTests
from .processes import ProcessTests
from .ranking import RankingTests
from .reading import ReadingTests
from .scoring import ScoringTests
from .writing import WritingTests

__all__ = ["VectorBackendConformance"]


class VectorBackendConformance(
    LifecycleTests,
    WritingTests,
    DeletingTests,
    ReadingTests,
    ScoringTests,
    RankingTests,
    ScalarFilterTests,
    DatetimeFilterTests,
    TextFilterTests,
    ListFilterTests,
    FilterTreeTests,
    FilterErrorTests,
    CompletenessTests,
    MetadataTests,
    IsolationTests,
    InvalidVectorTests,
    InvalidRecordTests,
    FailureTests,
    ConcurrencyTests,
    AsyncTests,
    AsyncErrorTests,
    ProcessTests,
    CongruenceTests,
):
    """What must hold for every vector backend.

    Subclass it in a test file and say how the backend is made. Tests of a metric that the
    backend does not declare are skipped. Every test makes collections of its own, under
    new names, and drops them; the server need not be empty.

    To override where needed:

    - `make_backend`: a new instance; several of a persistent backend share one store.
    - `refusing`: how the store can be made to refuse part of a batch.
    - `unreachable`: a backend whose service cannot be reached.
    - `thread_finished`: what a thread gives back at its end.
    - ``stateful_settings``: Hypothesis' settings for `test_behaves_like_the_oracle`.
    - ``fork_timeout``: how many seconds a forked process may take.

    Example::

        class TestAcme(VectorBackendConformance):
            def make_backend(self):
                return AcmeBackend("default", AcmeBackend.Options(host="localhost"))
    """
