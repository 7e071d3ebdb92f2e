"""Rows are inserted many at a time, without a model instance for each."""

from uuid import uuid4

import pytest
from django.db import DataError, connection, transaction
from django.test.utils import CaptureQueriesContext

from wagtail_vector_index.indexing.bulk_insert import insert_rows
from wagtail_vector_index.models import Collection, Document, Embedding

pytestmark = pytest.mark.django_db

SAME = {"fingerprint": "f", "direction_only": False, "created_at": "2026-01-01T00:00:00Z"}


def insert(hashes, vector=b"\x00\xff'%s", **options):
    rows = [(content_hash, vector) for content_hash in hashes]
    insert_rows(Embedding, ("content_hash", "vector"), rows, same=SAME, **options)


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 63, 64, 65, 2_001])
def test_any_number_of_rows(count):
    hashes = [f"{number:05}" for number in range(count)]
    insert(hashes)
    rows = list(Embedding.objects.order_by("pk").values_list("content_hash", "vector"))
    assert [content_hash for content_hash, _ in rows] == hashes
    assert {bytes(vector) for _, vector in rows} <= {b"\x00\xff'%s"}


def test_rows_that_are_there_are_left_out_if_wanted():
    insert(["a", "b"])
    insert([f"{number}" for number in range(70)] + ["b", "c"], ignore_conflicts=True)
    assert Embedding.objects.count() == 2 + 70 + 1


def test_either_all_rows_or_none(transactional_db):
    insert(["a"])
    with pytest.raises(Exception, match="(?i)unique"):
        insert([*map(str, range(100)), "a"])
    assert Embedding.objects.count() == 1


def test_few_statements():
    connection.force_debug_cursor = False
    told = []

    def execute(execute, sql, params, many, context):
        told.append(sql)
        return execute(sql, params, many, context)

    with connection.execute_wrapper(execute):
        insert(map(str, range(1_000)))
    assert len(told) <= 8
    # A database's statistics count them as one.
    assert len(set(told)) == 1


@pytest.mark.parametrize(
    "texts",
    [
        ["", " ", "NULL", "null", "{}", '{"a",b}', "a,b"],
        ["it's", '"quoted"', "back\\slash", "%s %b %", "\t\r\n", "é漢🙂"],
        ["x" * 100_000],
    ],
    ids=["arrays", "signs", "long"],
)
def test_texts_are_stored_as_they_are(texts):
    collection = Collection.objects.create(name="c", dimensions=1)
    rows = [
        (uuid4(), position, text, None if position % 2 else collection.created_at)
        for position, text in enumerate(texts)
    ]
    insert_rows(
        Document,
        ("id", "position", "content", "deleted_at"),
        rows,
        same={"collection_id": collection.pk, "object_key": "it's", "revision": 2**40}
        | dict.fromkeys(("context", "label_lines", "content_hash", "metadata", "source_hash"), ""),
    )
    names = ("id", "position", "content", "deleted_at")
    stored = Document.objects.filter(object_key="it's", revision=2**40).order_by("position")
    assert list(stored.values_list(*names)) == rows


@pytest.mark.parametrize("hashes", [["x" * 65], ["a", "x" * 65], ["a\0b"]])
def test_what_a_column_refuses_is_not_cut_off(hashes):
    if connection.vendor != "postgresql":
        pytest.skip("SQLite's columns refuse nothing")
    with pytest.raises(DataError), transaction.atomic():
        insert(hashes)
    assert not Embedding.objects.exists()


def test_a_log_of_queries_holds_no_values():
    """With DEBUG, a command would keep all texts and vectors in memory."""
    with CaptureQueriesContext(connection) as captured:
        insert(map(str, range(1_000)), vector=bytes(1_000))
    assert sum(len(one["sql"]) for one in captured) < 10_000
