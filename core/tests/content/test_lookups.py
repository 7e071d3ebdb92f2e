"""The lookup ``in`` finds what Django's own finds, with one parameter."""

import uuid

import pytest
from django.db import connection, models
from django.db.models import Count, F, Q, Value
from django.db.models.lookups import In
from django.test.utils import isolate_apps
from wagtail.models import Page

from tests.testapp.models import ArticlePage, Country, Note, NoteProxy, PinnedNote, Product
from wagtail_vector_index.content.lookups import among
from wagtail_vector_index.models import Collection, Document, PendingChange

pytestmark = pytest.mark.django_db

KEYS = ["a", "B", "é", "it's", '"quoted"', "100%", "back\\slash", "a b", "7", "{1,2}", "null"]
IDS = [uuid.UUID(int=number) for number in (0, 1, 2**127, 2**128 - 1)]


@pytest.fixture(autouse=True)
def rows():
    PendingChange.objects.bulk_create(PendingChange(index="i", object_key=key) for key in KEYS)
    collection = Collection.objects.create(name="c", dimensions=1)
    for position, id in enumerate(IDS):
        Document.objects.create(
            id=id, collection=collection, object_key="a", position=position, revision=0
        )


def keys(chosen):
    return sorted(PendingChange.objects.filter(chosen).values_list("object_key", flat=True))


@pytest.mark.parametrize("kind", [list, tuple, set, iter])
@pytest.mark.parametrize("values", [KEYS, ["a", "a"], ["a", None], ["é", "8"], ["A", "e"]], ids=str)
def test_texts(kind, values):
    djangos = In(F("object_key"), values)
    assert keys(Q(object_key__in=kind(values))) == keys(djangos)
    assert keys(~Q(object_key__in=kind(values))) == keys(~Q(djangos))


@pytest.mark.parametrize("kind", [list, set, iter])
@pytest.mark.parametrize("values", [[], [None]], ids=str)
def test_nothing(kind, values, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert keys(Q(object_key__in=kind(values))) == []


@pytest.mark.parametrize(
    "values", [IDS, [str(IDS[2]), IDS[1].hex], [IDS[0], None, uuid.UUID(int=5)]]
)
def test_ids(values):
    found = set(Document.objects.filter(pk__in=values).values_list("pk", flat=True))
    wanted = {value if value is None else uuid.UUID(str(value)) for value in values}
    assert found == wanted & set(IDS) != set()


def test_numbers():
    pks = list(PendingChange.objects.values_list("pk", flat=True))
    assert PendingChange.objects.filter(pk__in=[*pks[2:], 2**60]).count() == len(pks) - 2
    assert PendingChange.objects.filter(pk__in=[str(pks[0])]).get().pk == pks[0]
    assert keys(Q(object_key__in=[7])) == ["7"]


def test_a_value_that_no_field_takes():
    with pytest.raises(ValueError, match="expected a number but got 'x'"):
        PendingChange.objects.filter(pk__in=["x"])


def test_subqueries_and_expressions():
    some = PendingChange.objects.filter(object_key__in=["a", "7"])
    assert keys(Q(pk__in=some.values("pk"))) == ["7", "a"]
    assert keys(Q(object_key__in=[Value("a"), "7"])) == ["7", "a"]


def test_a_null_character():
    """PostgreSQL stores none. SQLite does, but its JSON may end the text there."""
    if connection.vendor != "sqlite":
        pytest.skip("only SQLite stores a null character")
    PendingChange.objects.create(index="i", object_key="a\0b")
    assert keys(Q(object_key__in=["a\0b"])) == ["a\0b"]


def test_updates_and_deletes():
    some = PendingChange.objects.filter(object_key__in=["a", "7"])
    assert some.update(attempts=3) == 2
    assert keys(Q(attempts=3)) == ["7", "a"]
    assert some.delete_rows() == 2
    assert len(keys(Q())) == len(KEYS) - 2


@pytest.mark.parametrize(
    ("rows", "values"),
    [(PendingChange.objects, KEYS), (PendingChange.objects, [1, 2, 3]), (Document.objects, IDS)],
    ids=["keys", "numbers", "ids"],
)
def test_one_parameter_for_any_number(rows, values):
    field = "object_key" if values is KEYS else "pk"
    _, parameters = rows.filter(**{f"{field}__in": values}).query.sql_with_params()
    assert len(parameters) == 1


def test_the_index_is_used():
    """A list in one parameter must not make the database read the whole table."""
    if connection.vendor != "sqlite":
        pytest.skip("PostgreSQL reads tables as small as this one whole")
    plan = PendingChange.objects.filter(index="i", object_key__in=KEYS).explain()
    assert "wvi_pending_object (index=? AND object_key=?)" in plan


@pytest.mark.parametrize("change", ["all", "distinct", "reverse", "annotated", "or", "values"])
@pytest.mark.parametrize("model", [Page, ArticlePage, Note, PinnedNote, NoteProxy])
def test_the_objects_of_a_sites_queryset(article, model, change):
    """Also pages and children, which have the primary keys of their parents."""
    for number in range(4):
        article(f"Article {number}")
        PinnedNote.objects.create(text="", stars=number)
    none = range(2**40, 2**40 + 40)
    querysets = {
        "all": lambda rows: rows.all(),
        "distinct": lambda rows: rows.distinct(),
        "reverse": lambda rows: rows.order_by("-pk"),
        "annotated": lambda rows: rows.annotate(same=Count("pk")).filter(same=1),
        "or": lambda rows: rows.filter(pk__gt=2) | rows.filter(pk__lt=4),
        "values": lambda rows: rows.values("pk"),
    }
    pks = [*model.objects.values_list("pk", flat=True), *none, -1][1:]
    queryset = querysets[change](model.objects)
    found = among(queryset, pks)
    assert list(found) == list(queryset.filter(pk__in=pks))
    assert len(found) == len(pks) - 41 > 2
    _, parameters = among(model.objects.order_by(), pks).query.sql_with_params()
    assert len(parameters) == 1


@pytest.mark.parametrize("pks", [[], [1], range(1, 32)], ids=len)
def test_few_primary_keys_are_left_to_django(pks):
    """SQLite may plan better with these."""
    _, parameters = among(Note.objects, list(pks)).query.sql_with_params() if pks else ("", ())
    assert len(parameters) == len(pks)
    assert not among(Note.objects, list(pks)).exists()


@pytest.mark.parametrize(
    ("model", "pks"),
    [
        (Product, [uuid.UUID(int=number) for number in range(40)]),
        (Country, [f"it's {number}" for number in range(40)]),
        (Note, [2**70, *range(40)]),
        (Note, ["1", *range(40)]),
    ],
    ids=["ids", "texts", "large", "mixed"],
)
def test_other_primary_keys_are_left_to_django(model, pks):
    assert str(among(model.objects, pks).query) == str(model.objects.filter(pk__in=pks).query)


def test_a_sites_own_kind_of_number_is_left_to_django():
    """Its values may be stored as something else."""

    class Coded(models.AutoField):
        def get_prep_value(self, value):
            return None if value is None else super().get_prep_value(value) + 100

    with isolate_apps("tests.testapp"):

        class Item(models.Model):
            id = Coded(primary_key=True)

            class Meta:
                app_label = "testapp"

    _, parameters = among(Item.objects, list(range(40))).query.sql_with_params()
    assert parameters == tuple(range(100, 140))
