from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar
from uuid import UUID

import pytest
from django.db import connections, transaction

from tests.servers import free_port
from wagtail_vector_index.backends.base import CollectionSpec, VectorBackend
from wagtail_vector_index.backends.pgvector import backend as backend_module
from wagtail_vector_index.backends.pgvector import searching
from wagtail_vector_index.backends.pgvector.backend import PgvectorBackend
from wagtail_vector_index.backends.pgvector.tables import table_name
from wagtail_vector_index.testing import VectorBackendConformance
from wagtail_vector_index.testing.completeness import CompletenessTests
from wagtail_vector_index.testing.congruence import CongruenceTests
from wagtail_vector_index.testing.deleting import DeletingTests
from wagtail_vector_index.testing.failures import FailureTests
from wagtail_vector_index.testing.filter_trees import FilterTreeTests
from wagtail_vector_index.testing.invalid_vectors import InvalidVectorTests
from wagtail_vector_index.testing.lifecycle import LifecycleTests
from wagtail_vector_index.testing.magnitudes import MagnitudeTests
from wagtail_vector_index.testing.ordering import OrderTests
from wagtail_vector_index.testing.ranking import RankingTests
from wagtail_vector_index.testing.reading import ReadingTests
from wagtail_vector_index.testing.scoring import ScoringTests
from wagtail_vector_index.testing.sizes import SizeTests
from wagtail_vector_index.testing.writing import WritingTests


class TestPgvector(VectorBackendConformance):
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _alias(self, alias: str) -> None:
        self.alias = alias

    def make_backend(self) -> PgvectorBackend:
        options = PgvectorBackend.Options(database=self.alias, **self.options)
        return PgvectorBackend("default", options)

    @contextmanager
    def refusing(
        self, backend: VectorBackend, spec: CollectionSpec, ids: Collection[UUID]
    ) -> Iterator[None]:
        values = ", ".join(f"'{id}'" for id in ids)
        self.execute(
            f"ALTER TABLE {table_name(spec)} ADD CONSTRAINT refused CHECK (id NOT IN ({values}))"
        )
        yield
        self.execute(f"ALTER TABLE {table_name(spec)} DROP CONSTRAINT refused")

    @pytest.fixture(autouse=True)
    def _away(self, alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
        away = {**connections.settings[alias], "HOST": "127.0.0.1", "PORT": str(free_port())}
        monkeypatch.setitem(connections.settings, "away", away)

    def unreachable(self) -> PgvectorBackend:
        return PgvectorBackend("default", PgvectorBackend.Options(database="away"))

    def execute(self, statement: str) -> None:
        with connections[self.alias].cursor() as cursor:
            cursor.execute(statement)


class IndexedFromTheStart(PgvectorBackend):
    """Has its index before it has records, as a collection that grows."""

    def _create(self, spec: CollectionSpec) -> None:
        super()._create(spec)
        self.optimize(spec)


class ByItsIndex:
    """Whatever can be answered by the index, is: the server prefers it at any price."""

    thorough, at_most = False, 1_000
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _alias(self, eager_alias: str, monkeypatch: pytest.MonkeyPatch) -> None:
        self.alias = eager_alias
        monkeypatch.setattr(searching, "EXACT_UP_TO", 0)
        monkeypatch.setattr(backend_module, "BEYOND", 1)

    def make_backend(self) -> PgvectorBackend:
        options = PgvectorBackend.Options(database=self.alias, **self.options)
        return IndexedFromTheStart("default", options)

    def test_lengths_of_all_kinds_in_one_collection(self) -> None:
        pytest.skip("a graph of lengths from 1e-9 to 1e15 misses records, unlike exact scores")

    def test_ties_at_larger_limits(self) -> None:
        pytest.skip("a graph of three points, each hundreds of times, may fall into parts")


@pytest.mark.once
class TestByItsIndex(ByItsIndex, TestPgvector):
    """All that must hold for every vector backend."""


@pytest.mark.once
class TestHalfvec(
    ByItsIndex,
    LifecycleTests,
    WritingTests,
    DeletingTests,
    ReadingTests,
    ScoringTests,
    MagnitudeTests,
    RankingTests,
    OrderTests,
    CompletenessTests,
    SizeTests,
    InvalidVectorTests,
    CongruenceTests,
):
    """What depends on the vectors' type and on their index: metadata, for one, does not."""

    options: ClassVar[dict[str, Any]] = {"precision": "halfvec"}

    def test_vectors_of_any_length(self) -> None:
        pytest.skip("the graph of halfvec, forced here, takes numbers up to 65,504 only")


@pytest.mark.once
class TestInTransaction(
    LifecycleTests,
    WritingTests,
    DeletingTests,
    ReadingTests,
    RankingTests,
    FilterTreeTests,
    CompletenessTests,
    InvalidVectorTests,
    FailureTests,
):
    """All of a test is one transaction of the caller's, as under ATOMIC_REQUESTS."""

    thorough, at_most = False, 1_000
    make_backend = TestPgvector.make_backend
    refusing = TestPgvector.refusing
    execute = TestPgvector.execute
    options: ClassVar[dict[str, Any]] = {}

    @pytest.fixture(autouse=True)
    def _transaction(self, alias: str) -> Iterator[None]:
        self.alias = alias
        with transaction.atomic(using=alias):
            yield
            transaction.set_rollback(True, using=alias)
