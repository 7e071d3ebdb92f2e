"""Defects of older projects that no other test is about.

What the others show, by the name of the test:

=======================================  ===========================================================
defect                                   test
=======================================  ===========================================================
needs pgvector and psycopg to migrate    test_core_and_numpy
keys matched by substring                test_the_edit_of_object_1_leaves_object_10_alone
cosine that depends on length            test_cosine_ignores_length,
                                         test_the_same_direction_scores_one
``find_similar`` writes, finds itself    test_the_nearest_by_example
duplicates taken out after the limit     test_an_object_comes_once_ranked_by_its_best_chunk
a class's queryset keeps its rows        test_a_long_running_process_sees_new_objects
a search embeds and writes               test_searching_writes_nothing_and_embeds_the_query_only
private and unpublished pages are found  test_private_pages_are_neither_embedded_nor_found,
                                         test_an_unpublished_page_is_no_longer_found
too few vectors are believed             test_a_service_that_returns_too_few_vectors_is_not_believed
negative similarities are dropped        test_without_a_threshold_nothing_is_left_out
two processes disturb each other         test_two_updates_at_once
a rebuild clears first                   test_the_old_collection_serves_until_the_flip,
                                         test_a_rebuild_of_which_nothing_came_replaces_nothing
documented names that don't exist        test_imported_names_exist
misconfiguration is a traceback          test_says_what_to_do,
                                         test_on_the_command_line_it_is_no_traceback
NaN, zero, wrong size, limit, threshold  test_upsert_of_a_bad_vector,
                                         test_search_by_a_zero_vector_under_cosine,
                                         test_a_wrong_limit_is_said_at_once,
                                         test_a_threshold_out_of_range_is_said_at_once
an object added twice is stored twice    test_an_unchanged_index_embeds_and_writes_nothing
one object in two indexes is an error    test_two_indexes_share_embeddings
a deleted object makes searches raise    test_deleted_objects_go
signal handlers are never connected      test_publishing
pgvector has no approximate index        test_the_index_is_used
pgvector's options and deletes raise     test_other_options_make_another_index,
                                         test_delete_several
pgvector is silent on SQLite             test_other_databases
=======================================  ===========================================================
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

import tests
from tests.testapp.models import Country, Note, Product
from tests.testapp.vector_indexes import ProductIndex
from wagtail_vector_index.exceptions import EmbeddingUnavailable
from wagtail_vector_index.models import Document

pytestmark = pytest.mark.django_db

NOTES = Note.vector_index


ROOT = Path(tests.__file__).parents[1]
TESTS = (
    "core/tests/**/*.py",
    "kit/src/wagtail_vector_index/testing/*.py",
    "kit/tests/**/*.py",
    "plugins/*/tests/*.py",
    "tests/**/*.py",
)


@pytest.mark.once
def test_the_tests_in_the_table_exist():
    named = set(re.findall(r"\btest_\w+", __doc__))
    sources = [path.read_text(encoding="utf-8") for glob in TESTS for path in ROOT.glob(glob)]
    assert named <= {name for source in sources for name in re.findall(r"def (test_\w+)", source)}
    assert len(named) > 20


def long_text(subject):
    return ". ".join(f"A sentence about {subject} with number{number}" for number in range(60))


def test_similar_objects_reach_the_limit_however_many_chunks_each_has(bring_up_to_date):
    """The limit was applied per chunk, and before the object itself was left out."""
    notes = [Note.objects.create(text=long_text(f"bread{number}")) for number in range(8)]
    bring_up_to_date("note")
    assert Document.objects.count() >= 3 * len(notes)
    for limit in (1, 5, 7):
        similar = list(NOTES.find_similar(notes[0], limit=limit))
        assert len({note.pk for note in similar} - {notes[0].pk}) == len(similar) == limit


def test_an_edit_among_many_breaks_neither_searching_nor_rebuilding(bring_up_to_date, found):
    """After an edit of page 50 of 250, every search and every rebuild raised."""
    for number in range(1, 61):
        Note.objects.create(pk=number, text=f"note about subject{number}")
    bring_up_to_date("note")
    Note.objects.filter(pk=5).update(text="note about something else")
    bring_up_to_date("note")
    assert NOTES.search("note", limit=100).count() == 60
    assert found(NOTES, "something else", limit=1) == ["note about something else"]
    bring_up_to_date("note", rebuild=True)
    assert NOTES.search("note", limit=100).count() == 60


def test_a_rebuild_without_an_embedding_service_leaves_what_was_found(
    bring_up_to_date, embedder, found
):
    """A rebuild cleared the index first, for good if the embedding service failed."""
    Note.objects.create(text="bread")
    bring_up_to_date("note")
    Note.objects.create(text="cheese")

    def fail(texts):
        raise EmbeddingUnavailable("no answer")

    embedder.before = fail
    with pytest.raises(EmbeddingUnavailable):
        bring_up_to_date("note", rebuild=True)
    embedder.before = lambda texts: None
    assert found(NOTES, "bread") == ["bread"]


def test_the_length_of_chunks_can_be_chosen(bring_up_to_date, monkeypatch):
    """Passing a chunker raised ``AttributeError``."""
    Product.objects.create(label="kettle. It keeps coffee warm. It is made of steel")
    bring_up_to_date("ProductIndex")
    assert Document.objects.count() == 1
    monkeypatch.setattr(ProductIndex, "chunk_tokens", 5)
    bring_up_to_date("ProductIndex")
    (product,) = ProductIndex().search("steel")
    assert product.vector_excerpt == "It is made of steel."
    assert Document.objects.filter(collection__state="active").count() == 3


def test_documents_are_not_written_one_by_one(bring_up_to_date):
    """Writing cost one query for each document."""

    def queries_of(count):
        for number in range(count):
            Note.objects.create(text=f"note{number % 8}", stars=number % 5)
        with CaptureQueriesContext(connection) as queries:
            bring_up_to_date("note")
        return len(queries)

    bring_up_to_date("note")
    few, many = queries_of(20), queries_of(200)
    assert Document.objects.count() == 220
    assert many - few < 20


def test_indexes_of_the_same_backends_find_their_own_only(bring_up_to_date, found):
    """Two indexes that shared a provider overwrote each other's name."""
    Note.objects.create(text="bread")
    Country.objects.create(code="nl", name="bread")
    countries, notes = Country.vector_index, NOTES
    bring_up_to_date("Country", "note")
    bring_up_to_date("Country")
    assert [type(o) for o in countries.search("bread")] == [Country]
    assert [type(o) for o in notes.search("bread")] == [Note]
    assert countries.name != notes.name
