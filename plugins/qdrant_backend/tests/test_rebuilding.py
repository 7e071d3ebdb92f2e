"""A rebuild survives each fault at each of its requests, or ends with an error."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest

from plugins.qdrant_backend.tests.conftest import KEY
from plugins.qdrant_backend.tests.double import Double, Fault, Request, Running
from tests.testapp.models import Note
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.exceptions import BackendError, WriteFailed
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Collection, Document

# How a client reports each fault is tested for each of its versions elsewhere.
pytestmark = [pytest.mark.django_db, pytest.mark.once]

TEXTS = ["bread", "cheese", "wine", "butter", "olives", "apples", "honey"]

FAULTS: dict[str, Fault] = {
    "drop": Fault(drop=True),
    "drop after it is done": Fault(drop=True, done=True),
    "401": Fault(status=401, says="Invalid API key or JWT"),
    "429": Fault(status=429, says="Rate limiting exceeded"),
    "500": Fault(status=500, says="Service internal error: it broke"),
    "500 after it is done": Fault(status=500, says="Service internal error", done=True),
    "507": Fault(status=507, says="Insufficient storage: quota"),
}


class Once:
    """One request of a rebuild fails, or that and all that follow."""

    def __init__(self, number: int, fault: Fault, *, stays: bool = False) -> None:
        self.number = number
        self.fault = fault
        self.stays = stays
        self.seen = 0
        self.at = ""

    def __call__(self, request: Request) -> Fault | None:
        self.seen += 1
        if self.seen == self.number:
            self.at = str(request)
        hit = self.seen >= self.number if self.stays else self.seen == self.number
        return self.fault if hit else None


@pytest.fixture
def backend(
    request: pytest.FixtureRequest, settings: Any, running: Running
) -> Iterator[QdrantBackend]:
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {
            "BACKEND": "qdrant",
            "HOST": running.url,
            "API_KEY": KEY,
            "BATCH_SIZE": 3,
            "CONCURRENCY": 1,
            "MAX_RETRIES": 0,
            "TIMEOUT": getattr(request, "param", 20),
        }
    }
    for text in TEXTS:
        Note.objects.create(text=text)
    backend = vector_backends["default"]
    assert isinstance(backend, QdrantBackend)
    yield backend
    backend.close()


def rebuild() -> Exception | None:
    """Build the index anew; gives the error that stopped it."""
    try:
        updated = update(get_index("note"), rebuild=True)
    except BackendError as error:
        return error
    assert updated.built, "It says nothing, and built nothing."
    return None


def assert_complete(backend: QdrantBackend) -> None:
    """What is in use holds every document, and is found."""
    collection = Collection.objects.get(state=Collection.State.ACTIVE)
    live = set(
        Document.objects.filter(collection=collection, deleted_at=None).values_list("pk", flat=True)
    )
    held = {id for batch in backend.scan(collection.spec) for id in batch.uuids}
    assert len(live) == len(TEXTS)
    assert held == live
    assert [str(note) for note in Note.vector_index.search("olives", limit=1)] == ["olives"]


COUNT = "POST /collections/NAME/points/count"


def each_request(
    backend: QdrantBackend, double: Double, fault_at: Callable[[int], Once]
) -> dict[str, Exception | None]:
    """Rebuild with a fault at the first request, then the second, and so on."""
    assert rebuild() is None
    outcomes: dict[str, Exception | None] = {}
    for number in range(1, 100):
        fault = double.fault = fault_at(number)
        error = rebuild()
        double.fault = lambda request: None
        if fault.seen < number:
            return outcomes
        outcomes[f"{number}: {fault.at}"] = error
        if error is not None:
            assert "Vector backend 'default'" in str(error)
            assert KEY not in str(error)
        # Nothing that is in use lacks a document, whatever happened; and a second run ends well.
        assert_complete(backend)
        update(get_index("note"))
        assert_complete(backend)
        assert not Collection.objects.filter(state=Collection.State.BUILDING).exists()
    raise AssertionError("A rebuild takes more requests than it should.")


@pytest.mark.parametrize("kind", FAULTS)
def test_one_request_fails(backend: QdrantBackend, double: Double, kind: str) -> None:
    outcomes = each_request(backend, double, lambda number: Once(number, FAULTS[kind]))
    assert len(outcomes) > 8
    passed = {at.partition(": ")[2] for at, error in outcomes.items() if error is None}
    # A count for the measurement of recall that is refused is asked for again, with less time.
    assert passed == ({COUNT} if kind in ("401", "507") else set()), outcomes


def test_server_goes_away(backend: QdrantBackend, double: Double) -> None:
    outcomes = each_request(
        backend, double, lambda number: Once(number, FAULTS["drop"], stays=True)
    )
    assert all(outcomes.values()), outcomes


@pytest.mark.parametrize("backend", [2], indirect=True)
def test_one_answer_is_late(backend: QdrantBackend, double: Double) -> None:
    late = threading.Event()
    outcomes = each_request(backend, double, lambda number: Once(number, Fault(wait=late)))
    late.set()
    patient = {at.partition(": ")[2] for at, error in outcomes.items() if error is None}
    # The measurement of recall has a time of its own, whatever TIMEOUT is.
    assert patient == {COUNT}


def test_part_of_a_batch_is_refused(backend: QdrantBackend, double: Double) -> None:
    rebuild()
    for row in range(len(TEXTS)):
        seen: list[str] = []

        def refuse(request: Request, row: int = row, seen: list[str] = seen) -> None:
            seen += request.body.get("batch", {}).get("ids", [])
            double.refused_ids = frozenset(map(UUID, seen[row : row + 1]))

        double.fault = refuse
        error = rebuild()
        double.fault, double.refused_ids = lambda request: None, frozenset()
        assert isinstance(error, WriteFailed)
        assert UUID(seen[row]) in error.ids
        assert_complete(backend)
        update(get_index("note"))
        assert_complete(backend)
