"""What is found by its words as well as by its meaning."""

from __future__ import annotations

import logging
import os

import pytest
from asgiref.sync import async_to_sync
from django.db import connection
from django.db.models import Q
from django.utils.translation import override
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from wagtail.models import Locale, Page, PageViewRestriction

from tests.testapp.models import ArticlePage, Note
from tests.testapp.vector_indexes import SiteIndex
from wagtail_vector_index.exceptions import InvalidIndex, InvalidQuery
from wagtail_vector_index.indexes import PageVectorIndex
from wagtail_vector_index.search import base as searching
from wagtail_vector_index.search import hybrid_search
from wagtail_vector_index.search.ranking import reciprocal_rank_fusion
from wagtail_vector_index.search.word_search import word_scores

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("full_text")]

ARTICLES = ArticlePage.vector_index
CODE = "ERR-4711"
QUESTION = f"how to bake bread after {CODE}"

EXAMPLES = int(os.environ.get("HYBRID_TEST_EXAMPLES", "30"))


@pytest.fixture
def bakery(article, bring_up_to_date):
    """Twelve pages that are near to the question, and one that only names the code.

    Wagtail's search looks at titles, the embeddings have the introduction as well.
    """
    near = "<p>how to bake bread after</p>"
    pages = [article(f"Loaf {number}", near) for number in range(12)]
    pages.append(article(f"Oven {CODE} as seen by many people who wrote long reports"))
    bring_up_to_date("ArticlePage")
    return pages


def codes(results):
    return [page.title for page in results if CODE in page.title]


def titles_by_words(query):
    keys = [key.partition(":")[2] for key in word_scores(ARTICLES, query)]
    return set(ArticlePage.objects.filter(pk__in=keys).values_list("title", flat=True))


def test_an_exact_word_is_found_that_meaning_alone_does_not_find(bakery, found):
    assert not codes(ARTICLES.search(QUESTION, limit=5))
    assert codes(ARTICLES.search(QUESTION, limit=5, mode="hybrid"))
    assert found(ARTICLES, QUESTION, mode="vector") == found(ARTICLES, QUESTION)


def test_scores_and_excerpts_are_those_of_the_best_chunk(bakery):
    by_meaning = {page.pk: page for page in ARTICLES.search(QUESTION, limit=20)}
    results = list(ARTICLES.search(QUESTION, limit=20, mode="hybrid"))
    assert {page.pk for page in results} == by_meaning.keys()
    for page in results:
        assert page.vector_score == pytest.approx(by_meaning[page.pk].vector_score, abs=1e-6)
        assert page.vector_excerpt == by_meaning[page.pk].vector_excerpt


def test_other_forms_of_a_word_are_found(article, bring_up_to_date):
    pages = [article("Our kilns"), article("The kiln"), article("Mixed breads")]
    bring_up_to_date("ArticlePage")
    keys = [f"wagtailcore.page:{page.pk}" for page in pages]
    assert word_scores(ARTICLES, "how is the kiln").keys() == set(keys[:2])
    assert word_scores(ARTICLES, "mixing bread").keys() == {keys[2]}


@pytest.mark.skipif(
    connection.vendor == "postgresql", reason="PostgreSQL leaves stop words out of its index"
)
def test_acronyms_that_look_like_stop_words_are_found(article, bring_up_to_date):
    for title in ("IT services", "Visas for the US", "Trams"):
        article(title)
    bring_up_to_date("ArticlePage")
    assert titles_by_words("IT helpdesk") == {"IT services"}
    assert titles_by_words("US rules") == {"Visas for the US"}


@pytest.mark.parametrize("name", ["TCP/IP", "R&D", "I/O", "2024/123"])
def test_names_around_a_slash_or_an_ampersand_are_found_as_a_whole(name, article, bring_up_to_date):
    for title in ("Team R", "Team D", "O level", "123 in 2024", "Part I", f"About {name}"):
        article(title)
    bring_up_to_date("ArticlePage")
    assert titles_by_words(name) == {f"About {name}"}


@pytest.mark.parametrize(
    ("query", "title"),
    [
        ("24-hour", "Open 24 hours"),
        ("3-day", "Course of 3 days"),
        ("5-year-old", "Children aged 5 years"),
        ("COVID-19", "Covid vaccine"),
    ],
)
def test_words_with_an_ordinary_number_find_their_forms(query, title, article, bring_up_to_date):
    article(title)
    article("19, 24, 3 and 5")
    bring_up_to_date("ArticlePage")
    assert titles_by_words(query) == {title}


@pytest.mark.parametrize("language", ["ja", "en"])
@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("日本", {"日本語の本、図書館にあります"}),
        ("図書館", {"日本語の本、図書館にあります", "図書館の開館時間"}),
        ("東", {"東京"}),
        ("ห้องสมุด", {"ห้องสมุดเปิด"}),
        ("도서관", {"도서관은 열려 있습니다"}),
    ],
)
def test_words_of_scripts_without_spaces_are_found_where_a_text_begins_with_them(
    query, found, language, article, bring_up_to_date
):
    for title in (
        "日本語の本、図書館にあります",
        "図書館の開館時間",
        "東京",
        "ห้องสมุดเปิด",
        "도서관은 열려 있습니다",
    ):
        article(title)
    bring_up_to_date("ArticlePage")
    with override(language):
        assert titles_by_words(query) == found


@pytest.mark.skipif(
    connection.vendor == "postgresql", reason="Wagtail's index on PostgreSQL is not in German here"
)
@pytest.mark.parametrize("query", ["Haus", "Häuser"])
def test_forms_with_another_vowel_are_found(query, article, bring_up_to_date):
    article("Häuser am Meer")
    article("Ein Haus")
    article("Der Hafen")
    bring_up_to_date("ArticlePage")
    with override("de"):
        assert titles_by_words(query) == {"Häuser am Meer", "Ein Haus"}


@pytest.mark.parametrize(("query", "title"), [("किताब", "किताबें पढ़ना"), ("किताबें", "किताब पढ़ना")])
def test_forms_of_words_with_vowel_signs_are_found(query, title, article, bring_up_to_date):
    article(title)
    bring_up_to_date("ArticlePage")
    with override("hi"):
        assert titles_by_words(query) == {title}


def test_rare_words_count_more_than_common_ones(article, bring_up_to_date):
    for number in range(12):
        article(f"bread bread bread {number}")
    article("one kiln beside a long row of many other things")
    bring_up_to_date("ArticlePage")
    scores = word_scores(ARTICLES, "bread kiln")
    assert len(scores) == 13
    first = ArticlePage.objects.get(pk=next(iter(scores)).partition(":")[2])
    assert first.title.startswith("one kiln")
    assert list(scores.values()) == sorted(scores.values(), reverse=True)
    assert min(scores.values()) > 0


@pytest.mark.parametrize("name", ["CVE-2024-1234", "U+00AD", "Django 5.2", "SETTING_NAME"])
def test_names_and_phrases_are_found_as_a_whole(article, bring_up_to_date, name):
    for title in ("2024 CVE", "1234", "00AD", "Django 4", "5.2 parts", "NAME or SETTING"):
        article(title)
    article(f"What {name} is")
    query = f'"{name}"' if " " in name else name
    scores = word_scores(ARTICLES, query)
    assert [key.partition(":")[2] for key in scores] == [
        str(ArticlePage.objects.get(title=f"What {name} is").pk)
    ]


class ByRanks(PageVectorIndex):
    name = "testapp.ArticlePage"
    querysets = [ArticlePage.objects.all()]
    fusion = "ranks"


class ByWords(ByRanks):
    fusion = "scores"
    vector_weight = 0.0


class ByMeaning(ByWords):
    vector_weight = 1


def test_ranks_can_be_fused_instead_of_scores(bakery, found):
    assert codes(ByRanks().search(QUESTION, limit=5, mode="hybrid"))


def test_an_index_declares_the_weight(bakery, found):
    assert codes(ByWords().search(QUESTION, limit=1, mode="hybrid"))
    by_meaning = found(ByMeaning(), QUESTION, limit=12, mode="hybrid")
    assert by_meaning == found(ARTICLES, QUESTION, limit=12)


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        ("fusion", "rrf", "fusion must be 'scores' or 'ranks', not 'rrf'"),
        ("fusion", None, "fusion must be"),
        ("vector_weight", 1.5, "vector_weight must be a number from 0 to 1"),
        ("vector_weight", "0.5", "vector_weight must be a number"),
        ("vector_weight", True, "vector_weight must be a number"),
    ],
)
def test_a_wrong_declaration_is_told(attribute, value, message):
    index = type("Wrong", (ByRanks,), {attribute: value})()
    with pytest.raises(InvalidIndex, match=message):
        index.search("bread", mode="hybrid")


@pytest.mark.parametrize("limit", [1, 2, 5, 9])
def test_pages_of_results_continue_each_other(bakery, limit):
    """A search with a smaller limit finds the first objects of one with a larger limit."""
    all_of_them = [page.pk for page in ARTICLES.search(QUESTION, limit=13, mode="hybrid")]
    some = [page.pk for page in ARTICLES.search(QUESTION, limit=limit, mode="hybrid")]
    assert some == all_of_them[:limit]


def test_asearch(bakery):
    results = async_to_sync(ARTICLES.asearch)(QUESTION, limit=5, mode="hybrid")
    assert [page.pk for page in results] == [
        page.pk for page in ARTICLES.search(QUESTION, limit=5, mode="hybrid")
    ]


@pytest.mark.parametrize("mode", ["lexical", "", None, "VECTOR"])
def test_a_wrong_mode_is_told_with_those_that_there_are(mode):
    with pytest.raises(InvalidQuery, match="mode must be 'vector' or 'hybrid'"):
        ARTICLES.search("bread", mode=mode)


def test_the_query_is_embedded_once_and_told_of_once(bakery, embedder, monkeypatch):
    told = []
    monkeypatch.setattr(searching, "notify", lambda hook, **told_of: told.append(told_of))
    embedder.calls = 0
    results = ARTICLES.search(QUESTION, limit=5, mode="hybrid")
    assert len(results[:2]) == 2
    assert len(results[2:]) == 3
    assert embedder.calls == 1
    assert [call["query"] for call in told] == [QUESTION]


@pytest.fixture
def unknown_words(embedder, monkeypatch):
    """Makes the model know no word of any query, for which models return a zero vector."""
    zeros = [0.0] * len(embedder.embed(["x"])[0])
    monkeypatch.setattr(type(embedder), "embed_query", lambda self, text: zeros)


def test_exact_words_are_found_if_the_model_knows_nothing_of_the_query(
    article, bring_up_to_date, unknown_words
):
    paragraphs = "".join(f"<p>{' '.join(f'w{i}x{j}' for j in range(40))}.</p>" for i in range(8))
    article(f"Oven {CODE}", paragraphs, topic="machines")
    article(f"{CODE} in a longer title about {CODE}", topic="food")
    article("Loaf")
    private = article(f"{CODE} private")
    PageViewRestriction.objects.create(page=private, restriction_type="login")
    bring_up_to_date("ArticlePage")

    def search(**arguments):
        return ARTICLES.search(CODE, mode="hybrid", **arguments)

    by_words = [key.partition(":")[2] for key in word_scores(ARTICLES, CODE)]
    found = list(search())
    assert [str(page.pk) for page in found] == [pk for pk in by_words if pk != str(private.pk)]
    assert {page.vector_score for page in found} == {0.0}
    assert [page.title for page in search(filter=Q(topic="machines"))] == [f"Oven {CODE}"]
    (oven,) = search(filter=Q(topic="machines"), similarity_threshold=0.0)
    assert oven.vector_excerpt.startswith("w0x0 ")
    assert len(search(similarity_threshold=-0.5, limit=1)) == 1
    assert not list(search(similarity_threshold=0.01))
    assert not list(search(within=ArticlePage.objects.none()))
    assert not list(ARTICLES.search(" ", mode="hybrid"))


def test_what_is_found_by_words_alone_is_not_the_nearest(
    article, bring_up_to_date, unknown_words, monkeypatch
):
    """Under "euclidean", 0 is the score of an equal vector."""
    monkeypatch.setattr(type(ARTICLES), "metric", "euclidean")
    article(f"Oven {CODE}")
    bring_up_to_date("ArticlePage")
    (oven,) = ARTICLES.search(CODE, mode="hybrid")
    assert oven.vector_score == pytest.approx(-(2**0.5))
    assert not list(ARTICLES.search(CODE, mode="hybrid", similarity_threshold=-0.5))
    assert len(ARTICLES.search(CODE, mode="hybrid", similarity_threshold=-2)) == 1


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_a_search_in_an_empty_queryset_is_told(mode, bakery, monkeypatch):
    told = []
    monkeypatch.setattr(searching, "notify", lambda hook, **told_of: told.append(told_of))
    assert not list(ARTICLES.search(QUESTION, mode=mode, within=ArticlePage.objects.none()))
    assert [(call["query"], list(call["matches"])) for call in told] == [(QUESTION, [])]


@pytest.mark.parametrize("mode", ["vector", "hybrid"])
def test_a_query_that_the_model_knows_nothing_of_is_told(mode, bakery, unknown_words, monkeypatch):
    told = []
    monkeypatch.setattr(searching, "notify", lambda hook, **told_of: told.append(told_of))
    list(ARTICLES.search(CODE, mode=mode))
    assert [(call["query"], list(call["matches"])) for call in told] == [(CODE, [])]
    told.clear()
    list(ARTICLES.search(" ", mode=mode))
    assert told == []


def test_nothing_is_found_by_its_words_that_may_not_be_seen(bakery, root, article, embedder):
    """Neither what is private, or not live, nor what is not in the index or not yet embedded."""
    hidden, private = article(f"{CODE} hidden"), article(f"{CODE} private")
    PageViewRestriction.objects.create(page=private, restriction_type=PageViewRestriction.LOGIN)
    ArticlePage.objects.filter(pk=hidden.pk).update(live=False)
    article(f"{CODE} new")
    root.add_child(instance=Page(title=f"{CODE} elsewhere", slug="elsewhere"))
    assert len(codes(ARTICLES.search(QUESTION, limit=20, mode="hybrid"))) == 1
    PageViewRestriction.objects.create(page=bakery[-1], restriction_type="login")
    assert not codes(ARTICLES.search(QUESTION, limit=20, mode="hybrid"))


def test_words_find_what_is_private_for_those_who_may_see_it(bakery, django_user_model):
    PageViewRestriction.objects.create(page=bakery[-1], restriction_type="login")
    member = django_user_model.objects.create_user("member")
    assert codes(ARTICLES.search(QUESTION, limit=3, mode="hybrid", user=member))
    assert not codes(ARTICLES.search(QUESTION, limit=3, mode="hybrid"))


def test_what_became_private_makes_room_for_others(bakery, article, bring_up_to_date):
    for number in range(8):
        private = article(f"{CODE} private{number}")
        PageViewRestriction.objects.create(page=private, restriction_type="login")
    assert codes(ARTICLES.search(QUESTION, limit=3, mode="hybrid")) == [bakery[-1].title]


def test_filter_and_threshold_hold_for_what_words_find(article, bring_up_to_date):
    article("bread", topic="food")
    article(f"{CODE} bread", topic="machines")
    bring_up_to_date("ArticlePage")
    query = f"bread {CODE}"
    only = ARTICLES.search(query, mode="hybrid", filter=Q(topic="food"))
    assert [page.title for page in only] == ["bread"]
    near = ARTICLES.search("bread", mode="hybrid", similarity_threshold=0.9)
    assert [page.title for page in near] == ["bread"]


@pytest.mark.parametrize("query_like", ["iets anders", None], ids=["other words", "unknown words"])
@pytest.mark.parametrize("others", [5, 40], ids=["all ranked", "some ranked"])
def test_words_are_found_that_more_objects_have_than_words_are_asked_for(
    query_like, others, article, bring_up_to_date, embedder, monkeypatch, found
):
    """The first objects by words are all left out by the filter."""
    monkeypatch.setattr(hybrid_search, "_LIMITS", (20, 200))
    dutch = Locale.objects.create(language_code="nl")
    for number in range(25):
        article(f"zebra {number}")
    titles = {f"een lang verhaal met daarin een zebra {number}" for number in range(3)}
    for title in [*titles, *["iets anders"] * others]:
        article(title, locale=dutch)
    bring_up_to_date("ArticlePage")
    (vector,) = embedder.embed([query_like or "x"])
    vector = vector if query_like else [0.0] * len(vector)
    monkeypatch.setattr(type(embedder), "embed_query", lambda self, text: vector)
    search = {"mode": "hybrid", "filter": Q(locale="nl"), "limit": 3}
    assert set(found(ByWords(), "zebra", **search)) == titles


def test_no_more_words_are_asked_for_than_needed(bakery, monkeypatch):
    asked = []

    def scores(index, text, among, limit):
        asked.append(limit)
        return word_scores(index, text, among, limit)

    monkeypatch.setattr(hybrid_search, "word_scores", scores)
    monkeypatch.setattr(hybrid_search, "_LIMITS", (2, 200))
    monkeypatch.setattr(hybrid_search, "DEPTH", 2)
    assert len(ARTICLES.search("bread loaf", mode="hybrid", limit=2)) == 2
    assert asked == [2]


@pytest.mark.parametrize("few", [1, 1_000])
def test_within(bakery, article, bring_up_to_date, few, monkeypatch):
    """Small and large sets are handled differently, and find the same."""
    monkeypatch.setattr(searching, "MAX_FILTER_KEYS", few)
    section = article("Section")
    inside = article(f"{CODE} inside and far from anything asked about", parent=section)
    article("something else", parent=section)
    bring_up_to_date("ArticlePage")
    within = ArticlePage.objects.descendant_of(section)
    results = list(ARTICLES.search(QUESTION, mode="hybrid", within=within))
    assert results[0].pk == inside.pk
    assert len(results) == 2
    assert not list(ARTICLES.search(QUESTION, mode="hybrid", within=within.none()))


def test_there_are_as_many_as_asked_for_whenever_they_exist(bakery):
    assert len(ARTICLES.search(QUESTION, limit=13, mode="hybrid")) == 13
    assert len(ARTICLES.search(QUESTION, limit=99, mode="hybrid")) == 13
    assert len(ARTICLES.search("words of nothing", limit=7, mode="hybrid")) == 7


def test_an_index_over_several_models(bakery, found, bring_up_to_date):
    bring_up_to_date("SiteIndex")
    assert any(CODE in title for title in found(SiteIndex(), QUESTION, limit=5, mode="hybrid"))


def test_models_that_wagtail_does_not_index_are_found_by_meaning(bring_up_to_date, found):
    Note.objects.create(text="rye bread")
    bring_up_to_date("note")
    assert found(Note.vector_index, "bread", mode="hybrid") == ["rye bread"]


def test_other_backends_of_wagtail_rank_too(bakery, settings):
    settings.WAGTAILSEARCH_BACKENDS = {
        "default": {"BACKEND": "modelsearch.backends.database.fallback"}
    }
    assert codes(ARTICLES.search(CODE, limit=1, mode="hybrid"))
    assert codes(ARTICLES.search(CODE, limit=1, mode="hybrid", within=ArticlePage.objects.all()))


BROKEN = {"default": {"BACKEND": "no.such.backend"}}
ONLY_OURS = {"default": {"BACKEND": "wagtail_vector_index.wagtail_search", "INDEX": "ArticlePage"}}


@pytest.mark.parametrize("backends", [BROKEN, ONLY_OURS], ids=["broken", "only ours"])
def test_without_a_search_for_words_meaning_is_left_and_a_warning(
    bakery, settings, caplog, found, backends
):
    settings.WAGTAILSEARCH_BACKENDS = backends
    with caplog.at_level(logging.WARNING, "wagtail_vector_index"):
        results = found(ARTICLES, QUESTION, limit=5, mode="hybrid")
    assert results == found(ARTICLES, QUESTION, limit=5)
    assert "testapp.ArticlePage is searched by meaning alone" in caplog.text


@pytest.mark.skipif(connection.vendor != "postgresql", reason="only PostgreSQL has configurations")
def test_a_failed_search_for_words_leaves_the_transaction_usable(bakery, settings, caplog, found):
    """As with ``ATOMIC_REQUESTS``; the configuration of the search does not exist."""
    database = {"BACKEND": "wagtail.search.backends.database", "SEARCH_CONFIG": "no_such_language"}
    settings.WAGTAILSEARCH_BACKENDS = {"default": database}
    assert found(ARTICLES, QUESTION, limit=5, mode="hybrid") == found(ARTICLES, QUESTION, limit=5)
    assert "testapp.ArticlePage is searched by meaning alone" in caplog.text


ODD = [
    '"', "'", '"unbalanced', "a\x00b", "   ", "\n\t", "AND OR NOT NEAR(a b)", "title: x*", "^bread",
    "-", "--", "a--b", "(", "{title} : x", "%s", "%", "\\", "bread' OR 1=1 --", "\ud800", "_",
    "é 中文 😀", "a_b.c", "a-" * 480, "a_" * 480,
    '"' + "the " * 60 + '"', "x" * 400_000, "word " * 10_000, " ".join(map(str, range(10_000))),
]  # fmt: skip


def test_odd_input_is_a_query_like_any_other(bakery, caplog):
    for query in ODD:
        results = list(ARTICLES.search(query, mode="hybrid", limit=3))
        assert len(results) == (3 if query.strip("\n\t \ud800") else 0), query[:20]
    assert not caplog.records


@hypothesis_settings(
    max_examples=EXAMPLES,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(
    query=st.one_of(
        st.text(),
        st.lists(st.sampled_from([*'"():*^-+{}', "AND", "OR", "NOT", "NEAR", "bread", CODE])).map(
            " ".join
        ),
    )
)
def test_no_text_raises_or_fails(bakery, caplog, query):
    list(ARTICLES.search(query, mode="hybrid", limit=3))
    assert not caplog.records


def test_reciprocal_rank_fusion():
    """As in the paper: the sum of 1 / (60 + rank)."""
    assert reciprocal_rank_fusion([["a", "b", "c"], ["b", "c", "d"]]) == ["b", "c", "a", "d"]
    assert reciprocal_rank_fusion([["a", "b"], ["b", "a"]]) == ["a", "b"]
    assert reciprocal_rank_fusion([["a"], []]) == ["a"]
    assert reciprocal_rank_fusion([]) == []
