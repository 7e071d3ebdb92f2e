"""The command sees every difference between what is embedded and what would be embedded now."""

from __future__ import annotations

import datetime as dt
import gc

import pytest
from django.db import connection
from django.db.models import Prefetch
from django.test.utils import CaptureQueriesContext
from django.utils import timezone, translation
from wagtail import blocks
from wagtail.images import get_image_model
from wagtail.images.tests.utils import get_test_image_file
from wagtail.models import Collection, Locale

from tests.testapp.models import (
    Author,
    Clip,
    Editing,
    Issue,
    Leaflet,
    Magazine,
    Notice,
    Seat,
    Shelf,
)
from wagtail_vector_index.content.object_keys import object_key, primary_keys
from wagtail_vector_index.indexes import VectorIndex
from wagtail_vector_index.indexing.fetching import fetch_to_prepare
from wagtail_vector_index.indexing.preparing import read
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Document, EmbeddingField
from wagtail_vector_index.plugins.calling import DocumentHooks

pytestmark = pytest.mark.django_db


def an_index(model, *fields, filters=()):
    declared = [EmbeddingField(field) if isinstance(field, str) else field for field in fields]
    attributes = {
        "name": f"derived {model.__name__}",
        "querysets": [model.objects.all()],
        "embedding_fields": declared,
        "filter_fields": list(filters),
    }
    return type("Derived", (VectorIndex,), attributes)()


def texts(index):
    """The texts after an update, and the number of objects that it wrote."""
    written = update(index).drained.objects
    live = Document.objects.filter(deleted_at=None).order_by("object_key", "position")
    return written, [" ".join(text.split()) for text in live.values_list("content", flat=True)]


@pytest.fixture
def image(settings, tmp_path):
    settings.MEDIA_ROOT = str(tmp_path)
    Collection.objects.exists() or Collection.add_root(name="Root")
    return get_image_model().objects.create(
        title="A loaf", description="A loaf of bread", file=get_test_image_file()
    )


def magazine(*blocks, **fields):
    return Magazine.objects.create(title="Bread", body=list(blocks), **fields)


def test_a_block_that_the_code_excludes(monkeypatch):
    magazine(("text", "flour"), ("notes", "internal"))
    index = an_index(Magazine, "body")
    assert texts(index) == (1, ["flour internal"])
    block = Magazine._meta.get_field("body").stream_block.child_blocks["notes"]
    monkeypatch.setattr(block, "search_index", False, raising=False)
    assert texts(index) == (1, ["flour"])
    assert texts(index) == (0, ["flour"])


def test_a_chosen_image(image):
    magazine(("image", image))
    index = an_index(Magazine, "body")
    assert texts(index) == (1, ["A loaf of bread"])
    get_image_model().objects.update(description="A cake")
    assert texts(index) == (1, ["A cake"])


def test_a_block_that_reads_another_object(monkeypatch):
    class AuthorBlock(blocks.ChoiceBlock):
        def get_searchable_content(self, value):
            return [Author.objects.get(name__startswith=value).name]

    block = AuthorBlock(choices=[("A", "A")])
    block.set_name("text")
    monkeypatch.setitem(Magazine._meta.get_field("body").stream_block.child_blocks, "text", block)
    Author.objects.create(name="Ada")
    magazine(("text", "A"))
    index = an_index(Magazine, "body")
    assert texts(index) == (1, ["Ada"])
    Author.objects.update(name="Alan")
    assert texts(index) == (1, ["Alan"])


def test_the_label_of_a_choice(monkeypatch):
    Clip.objects.create(text="bread")
    index = an_index(Clip, "day")
    assert texts(index) == (1, ["Monday"])
    monkeypatch.setattr(Clip._meta.get_field("day"), "choices", [("1", "First day")])
    assert texts(index) == (1, ["First day"])
    Clip.objects.update(locked="by somebody")
    assert texts(index) == (0, ["First day"])


def test_a_text_that_comes_and_goes():
    kept = Clip.objects.create(text="kept")
    clips = Clip.objects.exclude(pk=kept.pk)
    index = an_index(Clip, "text")
    texts(index)
    Clip.objects.create(text="\u200b \ufeff")
    assert texts(index) == (0, ["kept"])
    clips.update(text="bread")
    assert texts(index) == (1, ["kept", "bread"])
    clips.update(text="\u00ad")
    assert texts(index) == (1, ["kept"])


def test_another_importance():
    Clip.objects.create(text="bread", locked="flour")
    assert texts(an_index(Clip, "text", "locked")) == (1, ["bread flour"])
    important = EmbeddingField("text", important=True)
    assert texts(an_index(Clip, important, "locked")) == (1, ["flour"])
    assert Document.objects.get(deleted_at=None).context == "bread"


def test_a_plugin_that_redacts(monkeypatch):
    """Another release of a plugin may redact more, so objects are prepared again."""
    Clip.objects.create(text="bread")
    index = an_index(Clip, "text")
    texts(index)
    releases = ["redact 1.0"]
    monkeypatch.setattr(DocumentHooks, "active", lambda: DocumentHooks([], releases))
    assert update(index).drained.objects == 1
    assert update(index).drained.objects == 0
    releases[0] = "redact 1.1"
    assert update(index).drained.objects == 1


class TestLanguage:
    def test_the_label_is_in_the_language_of_the_object(self):
        for code in ("en", "nl"):
            locale, _ = Locale.objects.get_or_create(language_code=code)
            Leaflet.objects.create(locale=locale)
        index = an_index(Leaflet, "day")
        with translation.override("fr"):
            assert texts(index) == (2, ["Monday", "maandag"])
        with translation.override("nl"):
            assert texts(index) == (0, ["Monday", "maandag"])

    def test_without_a_locale_it_is_in_the_sites_language(self, settings):
        Clip.objects.create(text="bread")
        index = an_index(Clip, "day")
        with translation.override("nl"):
            assert texts(index) == (1, ["Monday"])
        settings.LANGUAGE_CODE = "fr"
        assert texts(index) == (1, ["lundi"])

    def test_times_are_in_the_sites_zone(self, monkeypatch):
        moment = dt.datetime(2026, 11, 3, 23, 30, tzinfo=dt.UTC)
        monkeypatch.setattr(
            Clip, "moment", lambda self: timezone.localtime(moment).date(), raising=False
        )
        Clip.objects.create(text="bread")
        index = an_index(Clip, "moment")
        with timezone.override("America/New_York"):
            assert texts(index) == (1, ["2026-11-04"])

    def test_a_method_leaves_another_language_active(self, monkeypatch):
        monkeypatch.setattr(Clip, "greet", lambda self: translation.activate("nl"), raising=False)
        Clip.objects.bulk_create([Clip(text="bread"), Clip(text="cake")])
        index = an_index(Clip, "day", "greet")
        with translation.override("en"):
            assert texts(index) == (2, ["Monday", "Monday"])
            assert texts(index) == (0, ["Monday", "Monday"])

    def test_a_language_is_written_in_capitals(self, monkeypatch, settings):
        settings.LANGUAGE_CODE = "en-GB"
        settings.LANGUAGES = [("en-GB", "English")]
        seen = []
        monkeypatch.setattr(Clip, "greet", lambda self: seen.append(self.pk), raising=False)
        Clip.objects.bulk_create([Clip(text="bread"), Clip(text="cake")])
        index = an_index(Clip, "day", "greet")
        assert texts(index) == (2, ["Monday", "Monday"])
        seen.clear()
        assert texts(index) == (0, ["Monday", "Monday"])
        assert len(seen) == 2, "each object is read once"

    def test_an_object_without_its_locale_concerns_itself_only(self):
        locale, _ = Locale.objects.get_or_create(language_code="en")
        lost, kept = (Leaflet.objects.create(locale=locale) for _ in range(2))
        index = an_index(Leaflet, "day")
        assert texts(index) == (2, ["Monday", "Monday"])
        Leaflet.objects.filter(pk=lost.pk).update(locale_id=locale.pk + 1_000)
        updated = update(index)
        Leaflet.objects.filter(pk=lost.pk).update(locale_id=locale.pk)
        assert list(updated.drained.errors) == [object_key(lost)]
        assert object_key(kept) in Document.objects.values_list("object_key", flat=True)


class TestLive:
    def test_names_of_fields_say_nothing(self):
        Clip.objects.create(text="bread", live="https://example.com")
        index = an_index(Clip, "text")
        assert texts(index) == (1, ["bread"])
        assert [clip.text for clip in index.search("bread")] == ["bread"]

    def test_wagtails_own_fields_count(self):
        locale = Locale.objects.get_or_create(language_code="en")[0]
        Notice.objects.create(text="draft", live=False, locale=locale)
        past = timezone.now() - dt.timedelta(hours=1)
        Notice.objects.create(text="old", expire_at=past, locale=locale)
        Notice.objects.create(text="live", locale=locale)
        assert texts(an_index(Notice, "text")) == (1, ["live"])


class TestCompositeKeys:
    def test_objects_are_indexed_found_and_forgotten(self):
        seats = [
            Seat.objects.create(row=row, letter=letter, view=view)
            for row, letter, view in [(1, 'a"b', "the sea"), (1, "b", "a wall"), (2, "b", "a wing")]
        ]
        index = an_index(Seat, "view", filters=["row"])
        assert texts(index)[0] == 3
        assert next(iter(index.search("the sea"))) == seats[0]
        assert set(index.search("a wall", within=Seat.objects.filter(letter="b"))) == {*seats[1:]}
        assert seats[1] not in index.find_similar(seats[1])
        Seat.objects.filter(row=1, letter="b").update(view="a door")
        assert texts(index)[0] == 1
        seats[0].delete()
        assert sorted(texts(index)[1]) == ["a door", "a wing"]

    def test_keys_of_another_shape_name_no_object(self):
        seat = Seat(row=1, letter="a")
        label = "testapp.seat"
        assert primary_keys(Seat, [object_key(seat)]) == [(1, "a")]
        assert (
            primary_keys(Seat, [f"{label}:1", f"{label}:[]", f"{label}:x", f'{label}:["1"]']) == []
        )

    def test_more_than_a_database_compares_at_once(self):
        Seat.objects.bulk_create(Seat(row=row, letter="a", view="same") for row in range(1_500))
        index = an_index(Seat, "view")
        assert texts(index)[0] == 1_500
        assert texts(index)[0] == 0


def test_queries_do_not_grow_with_the_number_of_objects(image):
    """Many objects are read together, with what is chosen in their blocks."""
    author = Author.objects.create(name="Ada")
    shelf = Shelf.objects.create(name="kitchen")

    def add(count):
        for _ in range(count):
            each = magazine(("text", "flour"), ("image", image), ("notes", "x"))
            each.subjects.add(author)
            each.tags.add("food")
            each.shelves = [shelf]
            each.issues = [Issue(title="one", star=author)]
            each.save()

    def queries():
        with CaptureQueriesContext(connection) as captured:
            assert update(index).drained.objects == 0
        return len(captured)

    index = an_index(
        Magazine, "body", "issues__star__name", "shelves__name",
        EmbeddingField("crew", reads=["issues__star"]), filters=["tags", "subjects"],
    )  # fmt: skip
    add(1)
    update(index)
    few = queries()
    add(10)
    update(index)
    # "crew" makes two queries for each object, which nothing can avoid.
    assert queries() == few + 20


def test_related_objects_that_were_fetched_can_be_filtered_further():
    names = ["subjects", "shelves", "tags", "neighbours", "editors"]
    authors = [Author.objects.create(name=name) for name in ("Ada", "Alan")]
    shelves = [Shelf.objects.create(name=name) for name in ("kitchen", "cellar", "attic")]
    bare, full, other = (magazine(("text", "flour")) for _ in range(3))
    full.shelves = shelves[:2]
    other.shelves = shelves[1:]
    for each in (full, other):
        each.save()
        each.subjects.add(*authors)
        each.neighbours.add(bare)
        each.tags.add("food", "home")
    Editing.objects.create(magazine=full, editor=authors[1])
    index = an_index(Magazine, *names)
    fetched = fetch_to_prepare(index, [object_key(each) for each in (bare, full, other)])
    for one in fetched.values():
        again = Magazine.objects.get(pk=one.pk)
        for name in names:
            with CaptureQueriesContext(connection) as captured:
                found = list(getattr(one, name).all())
            assert not captured.captured_queries
            assert set(found) == set(getattr(again, name).all())
            of_one, of_all = getattr(one, name), getattr(again, name)
            assert list(of_one.order_by("-pk")) == list(of_all.order_by("-pk"))
            assert of_one.filter(pk=found[0].pk).count() == 1 if found else not of_one.exists()


def test_what_the_querysets_of_a_site_prefetch_stays():
    one = magazine(("text", "flour"))
    one.subjects.add(*(Author.objects.create(name=name) for name in ("Ada", "Alan", "Grace")))
    some = Prefetch("subjects", Author.objects.filter(name__startswith="A"))
    querysets = [Magazine.objects.prefetch_related(some)]
    fields = [EmbeddingField("subjects")]
    members = {"name": "some", "querysets": querysets, "embedding_fields": fields}
    assert texts(type("Some", (VectorIndex,), members)()) == (1, ["Ada, Alan"])


@pytest.mark.parametrize(
    "paths", [("subjects__covered__title", "subjects"), ("subjects", "subjects__covered__title")]
)
def test_a_relation_of_two_paths_is_fetched_once(paths):
    author = Author.objects.create(name="Ada")
    for _ in range(3):
        magazine(("text", "flour")).subjects.add(author)
    index = an_index(Magazine, *paths)
    fetched = fetch_to_prepare(index, index.source_keys())
    with CaptureQueriesContext(connection) as captured:
        for one in fetched.values():
            assert len(read(index, one).body.split("Ada")) == 2
    assert not captured.captured_queries


def test_garbage_is_collected_afterwards_as_it_was_before(monkeypatch):
    before = gc.get_threshold()
    magazine(("text", "flour"))
    during = []
    monkeypatch.setattr(
        Magazine, "get_mood", lambda self: str(during.append(gc.get_threshold())), raising=False
    )
    index = an_index(Magazine, "get_mood")
    update(index)
    during.clear()
    update(index)
    assert during[0][0] > before[0]
    assert gc.get_threshold() == before


def test_a_value_that_cannot_be_read_concerns_its_object_only():
    good, bad = magazine(("text", "flour")), magazine(("text", "salt"))
    raw = '[{"type": "image", "value": "no number", "id": "1"}]'
    with connection.cursor() as cursor:
        table = Magazine._meta.db_table
        cursor.execute(f"UPDATE {table} SET body = %s WHERE publication_ptr_id = %s", [raw, bad.pk])
    index = an_index(Magazine, "body")
    updated = update(index)
    assert list(updated.drained.errors) == [object_key(bad)]
    assert Document.objects.get().object_key == object_key(good)
