"""Values, paths of names and raw values, as declared for a vector index."""

import datetime as dt
import decimal
import uuid

import pytest
from django.contrib.auth.models import Group, User
from django.contrib.contenttypes.models import ContentType
from django.core.files.base import ContentFile
from django.db import models
from django.utils.safestring import mark_safe
from django.utils.translation import gettext_lazy
from wagtail import blocks
from wagtail.fields import RichTextField, StreamField
from wagtail.images.models import Image
from wagtail.models import Collection
from wagtail.rich_text import RichText

from wagtail_vector_index.content.text import field_to_text, value_to_text


class Section(models.Model):
    name = models.CharField(max_length=50)

    class Meta:
        app_label = "text_tests"

    def __str__(self):
        return f"Section {self.name}"


class Article(models.Model):
    COLOURS = [("r", gettext_lazy("Red")), ("Cold", [("b", "Blue")])]

    title = models.CharField(max_length=50)
    teaser = models.TextField(blank=True)
    body = RichTextField(blank=True)
    content = StreamField(
        [("heading", blocks.CharBlock()), ("text", blocks.RichTextBlock())], blank=True
    )
    colour = models.CharField(max_length=1, choices=COLOURS, blank=True)
    size = models.IntegerField(choices=[(0, "Small"), (1, "Large")], null=True)
    price = models.DecimalField(max_digits=8, decimal_places=2, null=True)
    at = models.DateTimeField(null=True)
    featured = models.BooleanField(default=False)
    data = models.JSONField(default=dict)
    section = models.ForeignKey(Section, models.CASCADE, null=True)
    main_section = models.ForeignKey(Section, models.CASCADE, related_name="+")

    class Meta:
        app_label = "text_tests"

    def __str__(self):
        return f"Article {self.title}"

    def get_summary(self):
        return RichText(f"<p>About</p><p>{self.title}</p>")

    def get_headings(self):
        return self.content.blocks_by_name("heading")

    def needs_more(self, more):
        return more

    @property
    def shout(self):
        return self.title.upper()

    @property
    def broken(self):
        return self.title.no_such_method()

    @property
    def lost(self):
        raise Section.DoesNotExist("not the relation's doing")


RAW_STREAM = [
    {"type": "heading", "value": "Über", "id": "1"},
    {"type": "text", "value": "<p>One</p><p>Two</p>", "id": "2"},
]


def test_a_set_always_comes_in_the_same_order():
    """Each process has an order of its own, so the text would be embedded again by each."""
    kinds = [f"kind{number}" for number in range(10, 40)]
    assert value_to_text(set(kinds)) == value_to_text(frozenset(kinds)) == "\n".join(kinds)


class TestValueToText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (None, ""),
            ("", ""),
            ("1 <b> 2", "1 <b> 2"),
            (mark_safe("<b>safe</b>"), "<b>safe</b>"),
            (gettext_lazy("Monday"), "Monday"),
            (RichText("<p>One</p><p>Two</p>"), "One\n\nTwo"),
            (0, "0"),
            (1.5, "1.5"),
            (decimal.Decimal("1.50"), "1.50"),
            (dt.date(2026, 11, 3), "2026-11-03"),
            (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
            (True, ""),
            (b"bytes", ""),
            (["one", None, "", RichText("<p>two</p>")], "one\ntwo"),
            (("one", 2), "one\n2"),
            ((c for c in "ab"), "a\nb"),
            ({"colour": "red", "size": None, "in": [1, 2]}, "colour: red\nin: 1\n2"),
            ([Section(name="A"), Section(name="B")], "Section A, Section B"),
            (Section(name="A"), "Section A"),
            (ContentFile(b"never read", name="report.pdf"), "report.pdf"),
        ],
    )
    def test_kinds_of_values(self, value, text):
        assert value_to_text(value) == text

    def test_values_of_blocks(self):
        card = blocks.StructBlock([("title", blocks.CharBlock()), ("text", blocks.RichTextBlock())])
        stream = blocks.StreamBlock([("cards", blocks.ListBlock(card))])
        value = stream.to_python(
            [{"type": "cards", "value": [{"title": "One", "text": "<p>Two</p>"}], "id": "1"}]
        )
        cards = value[0]
        for part in (value, cards, cards.value, cards.value[0]):
            assert value_to_text(part) == "One\n\nTwo"

    @pytest.mark.django_db
    def test_querysets_and_managers_name_their_objects(self):
        Group.objects.all().delete()
        Group.objects.create(name="Zebras")
        Group.objects.create(name="Apes")
        # Groups have no order of their own: the same one each time, then.
        assert value_to_text(Group.objects) == "Zebras, Apes"
        assert value_to_text(Group.objects.order_by("name")) == "Apes, Zebras"
        names = Group.objects.order_by("name").values_list("name", flat=True)
        assert value_to_text(names) == "Apes\nZebras"

    @pytest.mark.django_db
    def test_queryset_that_hangs_on_a_class_is_asked_again(self):
        class Index:
            groups = Group.objects.filter(name__startswith="New")

        assert value_to_text(Index.groups) == ""
        Group.objects.create(name="New")
        assert value_to_text(Index.groups) == "New"


class TestFieldToText:
    def test_plain_text_is_not_parsed(self):
        assert field_to_text(Article(teaser="a <b> c &amp;"), "teaser") == "a <b> c &amp;"

    def test_rich_text_field(self):
        assert field_to_text(Article(body="<p>One</p><p>Two</p>"), "body") == "One\n\nTwo"
        assert field_to_text(Article(body=None), "body") == ""

    def test_stream_field(self):
        assert field_to_text(Article(content=RAW_STREAM), "content") == "Über\n\nOne\n\nTwo"

    def test_choices_give_their_label(self):
        assert field_to_text(Article(colour="r"), "colour") == "Red"
        assert field_to_text(Article(colour="b"), "colour") == "Blue"
        assert field_to_text(Article(size=0), "size") == "Small"

    def test_choices_without_a_label(self):
        assert field_to_text(Article(colour="x"), "colour") == "x"
        assert field_to_text(Article(colour=""), "colour") == ""
        assert field_to_text(Article(size=None), "size") == ""

    def test_numbers_dates_and_booleans(self):
        at = dt.datetime(2026, 11, 3, 17, 30, tzinfo=dt.UTC)
        article = Article(price=decimal.Decimal("1.50"), at=at, featured=True)
        assert field_to_text(article, "price") == "1.50"
        assert field_to_text(article, "at") == "2026-11-03 17:30:00+00:00"
        assert field_to_text(article, "featured") == ""

    def test_methods_and_properties(self):
        article = Article(title="cats", content=RAW_STREAM)
        assert field_to_text(article, "get_summary") == "About\n\ncats"
        assert field_to_text(article, "get_headings") == "Über"
        assert field_to_text(article, "shout") == "CATS"

    def test_relation(self):
        article = Article(section=Section(name="Pets"))
        assert field_to_text(article, "section") == "Section Pets"
        assert field_to_text(article, "section__name") == "Pets"

    def test_relation_that_leads_nowhere(self):
        for path in ("section", "section__name", "main_section", "main_section__name"):
            assert field_to_text(Article(), path) == ""

    @pytest.mark.django_db
    def test_reverse_one_to_one_that_leads_nowhere(self):
        user = User.objects.create(username="someone")
        assert field_to_text(user, "wagtail_userprofile__preferred_language") == ""
        assert field_to_text(user, "wagtail_userprofile") == ""

    @pytest.mark.django_db
    def test_reverse_relation_gives_a_line_for_each_object(self):
        kind = ContentType.objects.create(app_label="zoo", model="ape")
        for number, name in enumerate(["One", "", "Two"]):
            kind.permission_set.create(name=name, codename=str(number))
        assert field_to_text(kind, "permission_set__name") == "One\nTwo"
        assert field_to_text(kind, "permission_set__content_type__model") == "ape\nape\nape"

    @pytest.mark.django_db
    def test_relation_to_many_without_objects(self):
        group = Group.objects.create(name="Nobody")
        assert field_to_text(group, "permissions") == ""
        assert field_to_text(group, "permissions__name") == ""

    @pytest.mark.django_db
    def test_relation_to_many_uses_what_was_prefetched(self, django_assert_num_queries):
        group = Group.objects.create(name="Keepers")
        kind = ContentType.objects.create(app_label="zoo", model="ape")
        for name in ("feed", "count"):
            group.permissions.create(name=name, codename=name, content_type=kind)
        expected = field_to_text(group, "permissions__name")
        assert set(expected.split("\n")) == {"feed", "count"}
        (group,) = Group.objects.filter(name="Keepers").prefetch_related("permissions")
        with django_assert_num_queries(0):
            assert field_to_text(group, "permissions__name") == expected

    @pytest.mark.django_db
    def test_tags(self):
        collection = Collection.get_first_root_node() or Collection.add_root(name="Root")
        image = Image.objects.create(
            title="Kite", file="kite.png", width=1, height=1, collection=collection
        )
        image.tags.add("sea")
        image.tags.add("kites")
        assert field_to_text(image, "tags") == "sea, kites"
        assert field_to_text(image, "tags__name") == "sea\nkites"

    def test_name_that_does_not_exist(self):
        with pytest.raises(
            AttributeError, match=r"text_tests.Article has no attribute 'titel' \(in 'titel'\)\."
        ):
            field_to_text(Article(), "titel")

    def test_name_that_does_not_exist_further_on(self):
        with pytest.raises(
            AttributeError, match=r"text_tests\.Section has no attribute 'x' \(in 'section__x'\)\."
        ):
            field_to_text(Article(section=Section()), "section__x")

    def test_error_within_a_property_is_its_own(self):
        with pytest.raises(AttributeError, match="no_such_method"):
            field_to_text(Article(), "broken")
        with pytest.raises(Section.DoesNotExist, match="not the relation's doing"):
            field_to_text(Article(), "lost")

    def test_method_that_needs_arguments(self):
        with pytest.raises(TypeError, match="more"):
            field_to_text(Article(), "needs_more")

    def test_method_that_changes_data_is_not_called(self):
        with pytest.raises(TypeError, match=r"Article\.delete changes data"):
            field_to_text(Article(), "delete")

    def test_any_object(self):
        class Record:
            title = "One"
            author = None

        assert field_to_text(Record(), "title") == "One"
        assert field_to_text(Record(), "author__name") == ""
        with pytest.raises(AttributeError, match=r"Record has no attribute 'x' \(in 'x__y'\)"):
            field_to_text(Record(), "x__y")
