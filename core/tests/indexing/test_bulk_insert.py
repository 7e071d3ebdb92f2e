"""Rows are inserted many at a time, without a model instance for each."""

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from wagtail_vector_index.indexing.bulk_insert import insert_rows
from wagtail_vector_index.models import Embedding

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
    # 15 of 64 rows and 5 of 8, where each number of rows has a text of its own.
    assert len(told) <= 20
    assert len(set(told)) <= 3


def test_a_log_of_queries_holds_no_values():
    """With DEBUG, a command would keep all texts and vectors in memory."""
    with CaptureQueriesContext(connection) as captured:
        insert(map(str, range(1_000)), vector=bytes(1_000))
    assert sum(len(one["sql"]) for one in captured) < 10_000
