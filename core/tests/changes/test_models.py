"""Changes of objects that are no pages, and of what indexed objects read."""

from __future__ import annotations

import pytest

from tests.testapp.models import (
    ArticlePage,
    Author,
    Note,
    Notice,
    PinnedNote,
    Product,
)
from wagtail_vector_index.content.object_keys import object_key
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.expanding import expand
from wagtail_vector_index.models import PendingChange

pytestmark = pytest.mark.django_db
NOTES, PINNED = "testapp.Note", "testapp.PinnedNote"


def test_saving_and_deleting(noted):
    note = Note(text="bread")
    assert noted(note.save) == {NOTES: [f"testapp.note:{note.pk or 1}"], PINNED: [object_key(note)]}
    key = object_key(note)
    assert noted(note.delete)[NOTES] == [key]


def test_saving_what_is_not_indexed(noted):
    product = Product.objects.create(label="cup")
    assert noted(product.save) == {"testapp.ProductIndex": [object_key(product)]}
    note = Note.objects.create(text="bread")
    assert noted(note.save, update_fields=["stars"])[NOTES] == [object_key(note)]
    assert noted(note.save, update_fields=[]) == {}


def test_a_child_by_inheritance(noted):
    note = PinnedNote(text="bread", reason="good")
    seen = noted(note.save)
    assert seen == {NOTES: [object_key(note)], PINNED: [object_key(note)]}


def test_another_model(noted, django_user_model):
    assert noted(django_user_model.objects.create_user, "someone") == {}


def test_a_draft_of_a_snippet(noted, root):
    notice = Notice.objects.create(text="bread", live=False, locale=root.locale)
    notice.text = "cake"
    assert noted(notice.save_revision) == {}
    assert noted(notice.latest_revision.publish) == {"testapp.Notice": [object_key(notice)]}
    notice.refresh_from_db()
    assert noted(notice.unpublish) == {"testapp.Notice": [object_key(notice)]}


def test_what_is_read_of_another_object(noted):
    author = Author.objects.create(name="Ada")
    notes = [Note.objects.create(text=text, author=author) for text in ("bread", "cake")]
    Note.objects.create(text="tea")
    author.name = "Grace"
    assert noted(author.save) == {
        NOTES: [f"{object_key(author)}<"],
        PINNED: [f"{object_key(author)}<"],
    }
    expand(get_index(NOTES))
    rows = PendingChange.objects.filter(index=NOTES).values_list("object_key", flat=True)
    assert sorted(rows) == sorted(map(object_key, notes))
    assert noted(author.delete)[NOTES] == sorted(map(object_key, notes))


def test_a_new_object_that_nobody_reads_yet(noted):
    assert noted(Author.objects.create, name="Ada") == {}


def test_tags(article, noted):
    page = article("Bread")
    page.tags.add("food")
    page.save()
    tag = page.tags.get()
    tag.name = "meals"
    seen = noted(tag.save)
    assert seen["testapp.ArticlePage"] == [f"{object_key(tag)}<"]
    expand(get_index("testapp.ArticlePage"))
    rows = PendingChange.objects.filter(index="testapp.ArticlePage")
    assert [row.object_key for row in rows] == [object_key(page)]
    assert ArticlePage.objects.get().tags.get().name == "meals"


def test_fixtures_are_left_to_the_command(noted, tmp_path):
    from django.core import serializers
    from django.core.management import call_command

    note = Note.objects.create(text="bread")
    path = tmp_path / "notes.json"
    path.write_text(serializers.serialize("json", [note]))
    assert noted(call_command, "loaddata", str(path), verbosity=0) == {}
