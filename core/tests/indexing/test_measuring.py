"""The recall of an index is kept with its collection, and every process searches accordingly."""

from __future__ import annotations

import pytest
from django.db import DatabaseError, InterfaceError

from tests.testapp.backends import ApproximateBackend
from tests.testapp.models import Note
from wagtail_vector_index.contract import EXACT, approximate
from wagtail_vector_index.exceptions import BackendRefused
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.models import Collection

pytestmark = pytest.mark.django_db

BACKENDS = "tests.testapp.backends"
WORDS = "bread rye wheat oven yeast salt water crust crumb flour".split()


@pytest.fixture(autouse=True)
def _even_small_collections_are_measured(monkeypatch):
    monkeypatch.setattr(approximate, "LEAST_RECORDS", 1)


@pytest.fixture
def configure(settings):
    """Configures a backend as "default"."""

    def run(name="ApproximateBackend", **options):
        settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
            "default": {"BACKEND": f"{BACKENDS}.{name}", **options}
        }
        return vector_backends["default"]

    return run


@pytest.fixture
def write():
    """Writes notes of different words."""

    def run(count):
        for number in range(count):
            words = [WORDS[number % 10], WORDS[number // 10 % 10], "note"]
            Note.objects.create(text=" ".join(words))

    return run


def active():
    return Collection.objects.get(state=Collection.State.ACTIVE)


def test_a_build_keeps_the_recall_and_searches_use_it(configure, write, bring_up_to_date):
    backend = configure()
    write(30)
    bring_up_to_date("note")
    recall = active().spec.recall
    assert (recall.setting, recall.records, recall.reached) == ({"look": 4}, 30, True)
    other = ApproximateBackend("default", backend.options)  # as in another process
    other.stored = backend.stored
    other.search(active().spec, [1.0] * active().dimensions)
    assert other.searched == [{"look": 4}]


def test_it_is_measured_again_when_the_index_has_grown_by_half(configure, write, bring_up_to_date):
    backend = configure()
    write(20)
    bring_up_to_date("note")
    write(10)
    backend.searched.clear()
    bring_up_to_date("note")
    assert active().spec.recall.records == 20
    write(1)
    bring_up_to_date("note")
    assert active().spec.recall.records == 31


def test_it_is_measured_again_when_the_options_change(configure, write, bring_up_to_date):
    configure()
    write(20)
    bring_up_to_date("note")
    configure(RECALL=0.9)
    bring_up_to_date("note")
    assert active().spec.recall.target == 0.9


def test_it_is_measured_again_when_the_backend_has_lost_the_collection(
    configure, write, bring_up_to_date
):
    backend = configure()
    write(20)
    bring_up_to_date("note")
    Collection.objects.update(recall=active().recall | {"measured_at": "2001-01-01T00:00:00+00:00"})
    backend.stored.clear()
    bring_up_to_date("note")
    assert active().spec.recall.measured_at.year > 2001


def test_a_recall_that_cannot_be_measured_is_kept_and_not_tried_at_each_update(
    configure, write, bring_up_to_date
):
    backend = configure()

    def refuse(spec, *asked):
        if spec.setting == EXACT:
            raise BackendRefused("Exact searches are forbidden")
        return ApproximateBackend._search(backend, spec, *asked)

    backend._search = refuse
    write(20)
    bring_up_to_date("note")
    recall = active().spec.recall
    assert (recall.setting, recall.is_measured) == ({"look": 4}, False)
    assert "Exact searches are forbidden. " in recall.advice
    backend.searched.clear()
    write(1)
    bring_up_to_date("note")
    assert active().spec.recall == recall
    assert not backend.searched


def test_an_exact_backend_has_none(configure, write, bring_up_to_date):
    configure()
    write(20)
    bring_up_to_date("note")
    assert active().recall
    configure("ServerBackend")
    bring_up_to_date("note")
    assert active().recall is None


class TestInTheProcess:
    """A backend in the process's memory is filled by the first search."""

    @pytest.fixture
    def searched(self, configure, write, bring_up_to_date):
        """Searches as a new process does, and returns the settings of its searches."""
        write(20)

        def run():
            backend = configure("ApproximateCopyBackend", LOOKS=(1, 4))
            bring_up_to_date("note")
            list(get_index("note").search("bread", limit=3))
            return backend.searched

        return run

    @pytest.mark.django_db(transaction=True)
    def test_the_first_process_measures_for_all(self, searched):
        assert len(searched()) > 40
        assert active().spec.recall.setting == {"look": 4}
        assert searched() == [{"look": 4}]

    def test_nothing_is_written_in_a_callers_transaction(self, searched):
        assert searched()[-1] == {"look": 4}
        assert active().recall is None

    @pytest.mark.django_db(transaction=True)
    @pytest.mark.parametrize(
        "error", [DatabaseError("read-only"), InterfaceError("connection already closed")]
    )
    def test_a_database_that_refuses_writes_still_serves(self, searched, monkeypatch, error):
        def refuse(*arguments):
            raise error

        monkeypatch.setattr("wagtail_vector_index.indexing.catching_up.keep", refuse)
        assert searched()[-1] == {"look": 4}
