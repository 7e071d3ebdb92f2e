"""Excerpts: which part of a chunk they show, what they mark, and what they leave out."""

from __future__ import annotations

import copy
import pickle
import re
import time

import pytest
from django.core.management import call_command
from django.utils.translation import override

from tests.testapp.models import ArticlePage, Author, Note, Product
from wagtail_vector_index.exceptions import InvalidQuery
from wagtail_vector_index.indexes import Excerpt, VectorIndex
from wagtail_vector_index.indexing.updating import update
from wagtail_vector_index.models import Document, EmbeddingField
from wagtail_vector_index.search.excerpts import excerpt_of

BREAD = (
    "Bread is old. Nobody knows who baked the first loaf, or why. "
    "To stop dough from rising, put it into a cold place. Then wait."
)


def plain(text, query, words=40):
    return Excerpt(text, query)(words, mark=False)


def marked(text, query, words=1000):
    return re.findall("<mark>(.*?)</mark>", Excerpt(text, query)(words))


def test_begins_with_the_sentence_that_fits_the_question():
    assert plain(BREAD, "how do I stop the dough rising?", 12) == (
        "… To stop dough from rising, put it into a cold place. Then …"
    )


def test_the_sentences_before_fill_the_place_that_is_left():
    text = "One. Two three. Four five six. The dough waits."
    assert plain(text, "dough", 6) == "… Four five six. The dough waits."


def test_different_words_count_more_than_one_word_often():
    text = "Salt, salt and salt again. " + "Rest now. " * 20 + "Salt and flour make a dough."
    assert plain(text, "salt flour", 6) == "… Salt and flour make a dough."


def test_in_a_long_sentence_the_words_of_the_query_are_shown():
    text = "so " * 500 + "salt " + "on " * 500
    assert plain(text, "salt", 8) == "… so so salt on on on on on …"


@pytest.mark.parametrize("query", ["", "anything else", "?!"])
def test_without_words_of_the_query_it_is_the_beginning(query):
    assert plain(BREAD, query, 5) == "Bread is old. Nobody knows …"


@pytest.mark.parametrize(
    "text", ["", " \n ", "…", "loaf", "Call it.\n\nloaf.bake()\n\n\nThen wait"]
)
def test_a_short_text_is_whole(text):
    assert plain(text, "loaf") == " ".join(text.split())


@pytest.mark.parametrize("words", [1, 2, 7, 20])
def test_no_more_words_than_asked_for_and_none_is_cut(words):
    shown = plain(BREAD, "dough", words).strip("… ").split()
    assert 0.5 * words < len(shown) <= words
    assert set(shown) <= set(BREAD.split())


@pytest.mark.parametrize("words", [0, -1, 2.5, "40", True, None])
def test_a_length_that_is_none(words):
    with pytest.raises(InvalidQuery, match="words must be an int of at least 1"):
        Excerpt(BREAD)(words)


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("dough rise", "Rising dough rises, doughnuts don't", ["Rising", "dough", "rises"]),
        ("how do I get in?", "How to get in: I do", ["get"]),
        ("SESSION_COOKIE_AGE", "session_cookie_age, not session", ["session_cookie_age"]),
        ("5.2 release", "5.2, releases, 5.25 and 5-3", ["5.2", "releases"]),
        ('"cold place"', "a cold place is no place, a Cold\nPlace", ["cold place", "Cold Place"]),
        ("İstanbul", "İ İstanbul and more", ["İstanbul"]),
        ("a+b", "a+b", ["a+b"]),
    ],
)
def test_words_are_marked_in_all_their_forms(query, text, found):
    assert marked(text, query) == found


@pytest.mark.parametrize(
    ("query", "text", "found", "language"),
    [
        ("cafe", "Our café, our cafés, a cafe\u0301", ["café", "cafés", "cafe\u0301"], "en"),
        ("cafés", "Our cafe", ["cafe"], "en"),
        ("Haus", "Häuser am Meer", ["Häuser"], "de"),
        ("Häuser", "Das Haus am Meer", ["Haus"], "de"),
        ("елка", "Новая ёлка", ["ёлка"], "ru"),
        ("αθηνα", "Στην Αθήνα", ["Αθήνα"], "el"),
        ("काम", "काम और कम", ["काम"], "hi"),
        ("24-hour", "Open 24 hours, 24-hour, 240 hours", ["24 hours", "24-hour"], "en"),
        ("도서관", "도서관은 열려 있습니다", ["도서관은"], "ko"),
    ],
)
def test_words_are_marked_with_and_without_accents(query, text, found, language):
    with override(language):
        assert marked(text, query) == found


def test_the_sentence_of_a_word_with_an_accent_is_chosen():
    text = "Nothing in particular. " * 20 + "Our café is open. " + "And so on. " * 20
    assert plain(text, "cafe", 4) == "… Our café is open. …"


def test_the_active_language_says_which_forms_a_word_has():
    with override("de"):
        assert marked("Die Lieferungen und ihre Häuser", "die Lieferung der Häuser") == [
            "Lieferungen",
            "Häuser",
        ]


@pytest.mark.parametrize(
    ("query", "text", "found"),
    [
        ("大阪城の場所", "東京駅はどこですか。大阪城は大きいです。", ["大阪城"]),
        ("猫", "猫。犬はどこ", ["猫"]),
        ("どこですか", "東京駅はどこですか", []),  # particles alone say nothing
        ("อาหารไทย", "ภาษาไทย อาหารไทยอร่อยมาก", ["อาหารไทย"]),
        ("भारत राजभाषा", "हिन्दी है। भारत की राजभाषा है।", ["भारत", "राजभाषा"]),
        ("서울 맛집", "서울 맛집을 찾다", ["서울", "맛집을"]),
        ("Python3 入門", "これはPython3の入門書です", ["入門"]),
    ],
)
def test_words_are_marked_in_languages_without_spaces(query, text, found):
    assert marked(text, query) == found


@pytest.mark.parametrize(
    ("text", "query", "length"),
    [
        ("雪が降る。" * 400 + "猫が好き。" + "雨が降る。" * 400, "猫", 20),
        ("กำลังกินข้าว" * 400, "กำลังกิน", 60),
    ],
)
def test_a_text_without_spaces_is_cut_at_any_character_but_not_within_one(text, query, length):
    shown = plain(text, query, 10).strip("… ")
    assert 0.5 * length <= len(shown) <= 1.5 * length + 10
    assert shown in text
    assert query[:1] in shown
    assert not re.match("[\u0e31\u0e33-\u0e3a\u0e47-\u0e4e]", text.partition(shown)[2])


def test_a_sentence_in_chinese_begins_after_its_full_stop():
    assert (
        plain("雪が降る。" * 40 + "猫が好き。" + "雨が降る。" * 40, "猫が好き", 4)
        == "… 猫が好き。雨が降る。 …"
    )


HOSTILE = "<script>alert('salt')</script> & <b onclick=\"x\">Salt</b> &lt;salt&gt;"


@pytest.mark.parametrize(
    "query", ["", "salt", "script b x", "<b>", "lt gt amp mark", "&lt;salt&gt;"]
)
def test_html_in_content_stays_text(query):
    html = Excerpt(HOSTILE, query)()
    assert hasattr(html, "__html__")
    bare = html.replace("<mark>", "").replace("</mark>", "")
    assert not re.search("[<>\"']", bare)
    assert not re.search("&(?!lt;|gt;|amp;|quot;|#x27;)", bare)
    assert html.count("<mark>") == html.count("</mark>")
    shown = plain(HOSTILE, query)
    assert shown == HOSTILE
    assert not hasattr(shown, "__html__")


@pytest.mark.parametrize(
    "text", ["a" * 100_000, "a " * 20_000, ". " * 50_000, "猫" * 50_000, "ก" * 50_000, '"' * 50_000]
)
def test_no_text_takes_long(text):
    started = time.process_time()
    Excerpt(text, 'a "a a" 猫 ก')()
    assert time.process_time() - started < 2


# Excerpts of results


class LabelledIndex(VectorIndex):
    """Articles and notes, with fields that are no prose."""

    name = "labelled"
    querysets = [ArticlePage.objects.all(), Note.objects.all()]

    def get_querysets(self):
        return list(self.querysets)


@pytest.fixture
def labelled(monkeypatch):
    """Declares more fields to embed."""

    def declare(model, *fields):
        monkeypatch.setattr(model, "embedding_fields", list(fields))
        return LabelledIndex()

    return declare


def search(index, query):
    update(index)
    return list(index.search(query))


def test_tags_dates_and_choices_do_not_trail(labelled, article):
    index = labelled(
        ArticlePage,
        EmbeddingField("title", important=True),
        EmbeddingField("tags"),
        EmbeddingField("intro"),
        EmbeddingField("rating"),
        EmbeddingField("slug"),
        EmbeddingField("tags__name"),
        EmbeddingField("locale"),
    )
    page = article("Loaf", "<p>Bake the bread.</p><p>Then wait.</p>", rating=5, slug="a-loaf")
    page.tags.add("bread", "rye")
    page.save()
    (found,) = search(index, "bread")
    assert "bread, rye" in Document.objects.get().content
    assert found.vector_excerpt == "Bake the bread.\n\nThen wait."
    assert found.get_excerpt() == "Bake the <mark>bread</mark>. Then wait."


def test_a_related_name_is_a_label_and_a_method_is_prose(labelled, db, monkeypatch):
    monkeypatch.setattr(Note, "get_advice", lambda self: "Wait.", raising=False)
    index = labelled(
        Note, EmbeddingField("text"), EmbeddingField("author__name"), EmbeddingField("get_advice")
    )
    Note.objects.create(text="Salt it.", author=Author.objects.create(name="Ada"))
    (found,) = search(index, "salt")
    assert found.vector_excerpt == "Salt it.\n\nWait."


def test_any_field_can_be_left_out_or_shown_and_nothing_is_embedded_for_it(labelled, db, embedder):
    note = Note.objects.create(text="Salt it.", author=Author.objects.create(name="Ada"))
    index = labelled(Note, EmbeddingField("text"), EmbeddingField("author"))
    assert search(index, "salt")[0].vector_excerpt == "Salt it."
    embedder.texts.clear()
    index = labelled(
        Note, EmbeddingField("text", in_excerpts=False), EmbeddingField("author", in_excerpts=True)
    )
    assert search(index, note.text)[0].vector_excerpt == "Ada"
    assert embedder.texts == [note.text]  # the query alone


def test_a_line_of_prose_that_equals_a_label_is_shown(labelled, db):
    index = labelled(Note, EmbeddingField("text"), EmbeddingField("author"))
    recipe = "Ingredients\nRye\nSalt"
    Note.objects.create(text=recipe, author=Author.objects.create(name="Rye"))
    assert search(index, "salt")[0].vector_excerpt.startswith(recipe)


def test_a_chunk_of_labels_alone_is_shown(labelled, db):
    index = labelled(Note, EmbeddingField("author"))
    Note.objects.create(author=Author.objects.create(name="Ada"))
    assert search(index, "ada")[0].get_excerpt() == "<mark>Ada</mark>"


def test_similar_objects_have_excerpts_without_marks(article, bring_up_to_date):
    page, _ = article("Loaf", "<p>flour</p>"), article("Cake", "<p>flour</p>")
    bring_up_to_date("ArticlePage")
    (found,) = ArticlePage.vector_index.find_similar(page)
    assert found.get_excerpt() == "flour"


def test_results_can_be_stored_in_a_cache(article, bring_up_to_date):
    article("Loaf", "<p>flour</p>")
    bring_up_to_date("ArticlePage")
    (found,) = ArticlePage.vector_index.search("flour")
    for stored in (pickle.loads(pickle.dumps(found)), copy.deepcopy(found)):
        assert stored.get_excerpt() == "<mark>flour</mark>"


def test_a_method_of_the_model_is_not_replaced(article, bring_up_to_date, monkeypatch):
    monkeypatch.setattr(ArticlePage, "get_excerpt", lambda self: "mine", raising=False)
    article("Loaf", "<p>flour</p>")
    bring_up_to_date("ArticlePage")
    (found,) = ArticlePage.vector_index.search("flour")
    assert found.get_excerpt() == "mine"
    assert excerpt_of(found)() == "<mark>flour</mark>"


def test_the_excerpt_of_what_no_search_found_is_empty():
    assert excerpt_of(Product(label="pan"))() == ""
    assert excerpt_of(Product(label="pan"))(mark=False) == ""


@pytest.mark.parametrize("other", [None, "flour"])
def test_only_model_instances_have_excerpts(other):
    with pytest.raises(InvalidQuery, match="Only a model instance has an excerpt"):
        excerpt_of(other)


def test_the_command_prints_excerpts(article, bring_up_to_date, capsys):
    article("Loaf", "<p>" + "Filler first. " * 60 + "Then <b>salt</b> &amp; flour.</p>")
    bring_up_to_date("ArticlePage")
    call_command("search_vector_index", "ArticlePage", "salt", "--no-color")
    printed = " ".join(capsys.readouterr().out.split())
    assert printed.endswith("Filler first. Then salt & flour.")
    assert len(printed.split()) <= 2 + 40
