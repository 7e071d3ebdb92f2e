"""An index names the class that splits its texts."""

from __future__ import annotations

import pytest

from tests.testapp.embeddings import WordEmbeddings
from tests.testapp.models import Note
from wagtail_vector_index.exceptions import IndexOutdated, InvalidIndex
from wagtail_vector_index.indexes import TextSplitter, VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Document, EmbeddingField

pytestmark = pytest.mark.django_db


class LineSplitter(TextSplitter):
    name = "lines"

    def split(self, text):
        return [line for line in text.splitlines() if line.strip()]


class Lines(VectorIndex):
    name = "testapp.Lines"
    querysets = [Note.objects.all()]
    embedding_fields = [EmbeddingField("text")]
    text_splitter = LineSplitter


class Paragraphs(Lines):
    text_splitter = TextSplitter


def test_texts_are_split_by_the_class_that_the_index_names():
    Note.objects.create(text="flour\nwater\n\nsalt")
    update(Lines())
    chunks = Document.objects.filter(collection__index="testapp.Lines").order_by("position")
    assert list(chunks.values_list("content", flat=True)) == ["flour", "water", "salt"]
    assert [note.vector_excerpt for note in Lines().search("salt")] == ["salt"]


def test_a_splitter_gets_the_models_tokens_and_the_room_that_a_chunk_has():
    seen = []

    class Noting(TextSplitter):
        name = "noting"

        def split(self, text):
            seen.append((self.count_tokens("one two"), self.chunk_tokens, self.overlap))
            return super().split(text)

    class Noted(Lines):
        text_splitter = Noting
        chunk_tokens = 7
        chunk_overlap = 2

    Note.objects.create(text="flour")
    update(Noted())
    assert seen == [(Noted().embedder.count_tokens("one two"), 7, 2)]


@pytest.mark.parametrize("splitter", [TextSplitter, LineSplitter])
def test_important_text_that_is_too_long_for_each_chunk_is_embedded_once(splitter, monkeypatch):
    title = "Rules\n\nfirst second third fourth fifth sixth seventh eighth ninth tenth"
    fields = [EmbeddingField("title", important=True), EmbeddingField("text")]
    monkeypatch.setattr(Note, "title", title, raising=False)
    monkeypatch.setattr(Note, "embedding_fields", fields)

    class Titled(Lines):
        name = "testapp.Titled"
        text_splitter = splitter
        chunk_tokens = 20

    Note.objects.create(text="Mix flour and water.")
    update(Titled())
    chunks = Document.objects.filter(collection__index="testapp.Titled").order_by("position")
    assert set(chunks.values_list("context", flat=True)) == {"Rules"}
    text = " ".join(chunks.values_list("content", flat=True))
    assert text.split() == [*title.split()[1:], "Mix", "flour", "and", "water."]


def test_a_chunk_leaves_room_for_the_prefix_of_documents(monkeypatch):
    monkeypatch.setattr(WordEmbeddings, "max_tokens", 10)
    monkeypatch.setattr(WordEmbeddings, "prepare_document", lambda self, text: f"a b c {text}")
    prefix = Lines().embedder.count_tokens("a b c ") - Lines().embedder.count_tokens("")
    assert prefix > 0
    assert Lines().get_chunk_tokens() == 10 - prefix


def test_no_chunk_with_its_context_is_longer_than_the_model_reads(monkeypatch):
    """Two texts may have a token more together than each by itself."""

    def count(self, text):
        return len(text.split()) + text.count("\n\nw")

    fields = [EmbeddingField("title", important=True), EmbeddingField("text")]
    monkeypatch.setattr(Note, "title", "Rules", raising=False)
    monkeypatch.setattr(Note, "embedding_fields", fields)
    monkeypatch.setattr(WordEmbeddings, "max_tokens", 10)
    monkeypatch.setattr(WordEmbeddings, "count_tokens", count)
    Note.objects.create(text=" ".join(f"w{number}" for number in range(50)))
    update(Paragraphs())
    embedded = [f"{each.context}\n\n{each.content}" for each in Document.objects.all()]
    assert max(map(Paragraphs().embedder.count_tokens, embedded)) == 10


def test_a_piece_that_a_splitter_keeps_whole_makes_no_other_chunk_smaller(monkeypatch):
    class Whole(TextSplitter):
        name = "whole"

        def split(self, text):
            return [text[:20], *super().split(text[20:])]

    class Kept(Lines):
        text_splitter = Whole

    fields = [EmbeddingField("title", important=True), EmbeddingField("text")]
    monkeypatch.setattr(Note, "title", "Rules", raising=False)
    monkeypatch.setattr(Note, "embedding_fields", fields)
    monkeypatch.setattr(WordEmbeddings, "max_tokens", 10)
    Note.objects.create(text="x " * 10 + " ".join(f"w{number}" for number in range(50)))
    update(Kept())
    assert Document.objects.count() < 10


def test_an_index_that_was_split_in_another_way_is_built_again():
    Note.objects.create(text="flour\nwater")
    update(Paragraphs())
    with pytest.raises(IndexOutdated, match="chunking '100/0' is now '100/0/lines'"):
        list(Lines().search("flour"))
    assert update(Lines()).built
    assert [note.vector_excerpt for note in Lines().search("flour")] == ["flour"]


@pytest.mark.parametrize("wrong", ["lines", str, LineSplitter(count_tokens=len, chunk_tokens=1)])
def test_something_else_than_a_splitter_is_refused(wrong):
    class Wrong(Lines):
        text_splitter = wrong

    with pytest.raises(InvalidIndex, match=r"text_splitter must be a subclass of .*TextSplitter"):
        update(Wrong())
