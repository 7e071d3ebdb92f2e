"""The values that searches are filtered by: their types, and how they are stored."""

import datetime
import decimal
import uuid

import pytest
from django.db.models import Q
from django.utils import timezone
from django.utils.functional import SimpleLazyObject
from wagtail.models import Locale

from tests.testapp.models import (
    ArticlePage,
    ArticleTag,
    Author,
    Comment,
    LanguageTag,
    Note,
    Product,
    Remark,
)
from wagtail_vector_index.content.filter_values import (
    comparable,
    comparable_filter,
    filter_value,
    infer_type,
)
from wagtail_vector_index.contract.filters import Comparison, parse_filter

DAY = datetime.date(2026, 11, 3)
MIDNIGHT = timezone.make_aware(datetime.datetime(2026, 11, 3))  # noqa: DTZ001


class TestInferType:
    @pytest.mark.parametrize(
        ("model", "path", "type_"),
        [
            (ArticlePage, "topic", "str"),
            (ArticlePage, "rating", "int"),
            (ArticlePage, "published", "datetime"),
            (ArticlePage, "live", "bool"),
            (ArticlePage, "locale", "str"),
            (ArticlePage, "owner", "int"),
            (ArticlePage, "tags", "list[str]"),
            (ArticlePage, "intro", "str"),
            (ArticlePage, "page_ptr", "int"),
            (ArticleTag, "content_object", "int"),
            (Product, "id", "str"),
            (Note, "author", "int"),
            (Note, "author__name", "str"),
            (Note, "comments__text", "list[str]"),
            (Note, "comments", "list[int]"),
            (Note, "author_id", "int"),
            (Note, "author_id__name", None),
            (ArticlePage, "locale_id", "int"),
            (Remark, "about", None),
            (Remark, "about__title", None),
            (Note, "nonsense", None),
            (Note, "text__nonsense", None),
            (Note, "author__nonsense", None),
        ],
    )
    def test_from_the_models(self, model, path, type_):
        assert infer_type(model, path) == type_


@pytest.mark.django_db
class TestFilterValue:
    @pytest.fixture
    def note(self):
        note = Note.objects.create(text="a", stars=3, author=Author.objects.create(name="Ann"))
        for text in ("one", "two"):
            Comment.objects.create(note=note, text=text)
        return note

    def test_scalars(self, note):
        assert filter_value(note, "stars", "int") == 3
        assert filter_value(note, "stars", "str") == "3"
        assert filter_value(note, "author", "int") == note.author.pk
        assert filter_value(note, "author__name", "str") == "Ann"

    def test_lists(self, note):
        assert sorted(filter_value(note, "comments__text", "list[str]")) == ["one", "two"]
        assert len(filter_value(note, "comments", "list[int]")) == 2
        assert filter_value(note, "stars", "list[int]") == [3]

    def test_what_has_no_order_always_comes_in_the_same(self, note, monkeypatch):
        """Otherwise an object would be written again by each process or after each update."""
        kinds = [f"kind{number}" for number in range(10, 40)]
        for several in (set, frozenset):
            monkeypatch.setattr(Note, "kinds", several(kinds), raising=False)
            assert filter_value(note, "kinds", "list[str]") == kinds
        first, second = Comment.objects.order_by("pk")
        answered = Comment.objects.all()
        answered._result_cache = [second, first]
        monkeypatch.setattr(Note, "answered", answered, raising=False)
        assert filter_value(note, "answered__text", "list[str]") == ["one", "two"]
        ordered = Comment.objects.order_by("-pk")
        monkeypatch.setattr(Note, "answered", ordered, raising=False)
        assert filter_value(note, "answered__text", "list[str]") == ["two", "one"]

    def test_no_value(self):
        note = Note(text="a")
        assert filter_value(note, "author", "int") is None
        assert filter_value(note, "author__name", "str") is None
        assert filter_value(note, "author__name", "list[str]") == []

    def test_nothing_at_the_other_end(self, note):
        assert filter_value(note, "pinnednote__reason", "str") is None
        assert filter_value(note, "pinnednote__reason", "list[str]") == []

    def test_methods_are_called(self, article):
        assert filter_value(Product(label="lamp"), "get_description", "str") == (
            "This product is a lamp."
        )
        titles = filter_value(article("Bread"), "get_ancestors__title", "list[str]")
        assert titles == ["Root", "Home"]

    def test_several_values_are_no_single_one(self, note):
        with pytest.raises(ValueError, match="'comments__text' has several values, but str is the"):
            filter_value(note, "comments__text", "str")

    def test_what_was_fetched_before_is_not_what_was_changed_since(self, article):
        page = article("Bread")
        page.tags.add("rye")
        page.save()
        [page] = ArticlePage.objects.prefetch_related("tags").filter(pk=page.pk)
        assert filter_value(page, "tags", "list[str]") == ["rye"]
        page.tags.add("wheat")  # in memory only
        assert sorted(filter_value(page, "tags", "list[str]")) == ["rye", "wheat"]

    def test_datetimes_are_texts_with_an_offset(self):
        page = ArticlePage(published=MIDNIGHT)
        assert filter_value(page, "published", "datetime") == "2026-11-03T00:00:00+01:00"

    def test_a_date_is_the_same_for_whoever_writes_or_asks(self):
        page = ArticlePage(published=DAY)
        with timezone.override("Asia/Tokyo"):  # as Wagtail's admin does for its users
            stored = filter_value(page, "published", "datetime")
            asked = comparable(DAY)
        assert stored == "2026-11-03T00:00:00+01:00"
        assert asked == MIDNIGHT


class TestComparable:
    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ("a", "a"),
            (decimal.Decimal("1.5"), 1.5),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (DAY, MIDNIGHT),
            (MIDNIGHT, MIDNIGHT),
            (Locale(language_code="nl"), "nl"),
            (LanguageTag(name="bread", language_code="nl"), "bread"),
            (Note(pk=5), 5),
            (Product(pk=uuid.UUID(int=1)), "00000000-0000-0000-0000-000000000001"),
            (SimpleLazyObject(lambda: Note(pk=5)), 5),
            ([Note(pk=5), 6], [5, 6]),
            ((DAY,), [MIDNIGHT]),
        ],
    )
    def test_objects_dates_and_numbers(self, value, expected):
        assert comparable(value) == expected

    def test_naive_datetimes_are_those_of_a_site_without_time_zones(self, settings):
        naive = MIDNIGHT.replace(tzinfo=None)
        assert comparable(naive) == naive
        settings.USE_TZ = False
        assert comparable([naive, MIDNIGHT]) == [MIDNIGHT, MIDNIGHT]

    def test_an_iterator_can_be_read_more_than_once(self):
        query = comparable_filter(Q(year__in=(year for year in (2025, 2026))))
        for _ in range(2):
            expected = Comparison("year", "int", "in", (2025, 2026))
            assert parse_filter(query, {"year": "int"}) == expected

    def test_a_filter_keeps_its_shape(self):
        query = ~(Q(at=DAY) | Q(author=Note(pk=5))) & Q(year=1)
        assert comparable_filter(query) == ~(Q(at=MIDNIGHT) | Q(author=5)) & Q(year=1)

    def test_what_is_no_comparison_is_left_to_the_parser(self):
        query = Q()
        query.children = ["nonsense"]
        assert comparable_filter(query).children == ["nonsense"]
