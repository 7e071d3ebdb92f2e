"""The terms of a query: what is searched for, and what is left out."""

from __future__ import annotations

import time

import pytest
from django.utils.translation import override

from wagtail_vector_index.search.query_terms import MAX_WORDS, Term, query_terms


def texts(query, language="en"):
    return [term.text for term in query_terms(query, language)]


@pytest.mark.parametrize(
    ("query", "language", "kept"),
    [
        ("How do I bake the bread?", "en", ["bake", "bread"]),
        ("Wie backe ich das Brot?", "de", ["backe", "brot"]),
        ("comment faire l'entretien d'une voiture", "fr", ["faire", "entretien", "voiture"]),
        ("Don't the page's editors care?", "en", ["page", "editors", "care"]),
        ("to be or not to be", "en", ["to", "be", "or", "not"]),
        ("how do I", "cy", ["how", "do", "i"]),
        ("bread, Bread and BREAD", "en-gb", ["bread"]),
        ("bread and/or cake, he/she asked", "en", ["bread", "cake", "asked"]),
    ],
)
def test_stop_words_are_left_out_unless_there_are_no_others(query, language, kept):
    assert texts(query, language) == kept


def test_stop_words_do_not_use_up_the_words_that_a_query_may_have():
    assert texts("how do I get to the " * 50 + "lighthouse") == ["get", "lighthouse"]


def test_the_active_language_counts():
    with override("de"):
        assert [term.text for term in query_terms("die Häuser")] == ["häuser"]
    with override("en"):
        assert [term.text for term in query_terms("die Häuser")] == ["die", "häuser"]


@pytest.mark.parametrize(
    ("one", "other", "language"),
    [
        ("measured", "measuring", "en"),
        ("mixed", "mixing", "en"),
        ("jets", "jet", "en"),
        ("Lieferungen", "Lieferung", "de"),
        ("переводы", "перевод", "ru"),
        ("किताबें", "किताब", "hi"),
        ("दिनहरू", "दिन", "ne"),
    ],
)
def test_forms_of_a_word_begin_with_its_stem(one, other, language):
    (first,), (second,) = query_terms(one, language), query_terms(other, language)
    assert first.stem
    assert other.lower().startswith(first.stem)
    assert one.lower().startswith(second.stem)


@pytest.mark.parametrize("language", ["en", "ja", "zh-hans", "th", "ko", "xx"])
@pytest.mark.parametrize("word", ["図書館", "猫", "日本", "ห้องสมุด", "도서관", "2024年"])
def test_words_of_scripts_without_stems_stand_for_all_that_begins_with_them(word, language):
    assert query_terms(word, language) == [Term(word, stem=word)]


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("IT helpdesk", ["it", "helpdesk"]),
        ("a visa for the US", ["visa", "us"]),
        ("the WHO's report", ["who", "report"]),
        ("Who made it in I", ["made"]),
        ("HOW DO I CONTACT IT", ["contact"]),  # in capitals, an acronym looks like any other word
    ],
)
def test_acronyms_that_look_like_stop_words_stay(query, kept):
    assert texts(query) == kept


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("AT&T", ["at&t"]),
        ("an I/O error", ["i/o", "error"]),
        ("an A/B test", ["a/b", "test"]),
        ("our R&D", ["r&d"]),
        ("TCP/IP", ["tcp/ip", "tcp", "ip"]),
        ("decision 2024/123", ["decision", "2024/123"]),
        ("rock-music/jazz", ["rock-music/jazz", "rock-music", "rock", "music", "jazz"]),
        ("https://example.org/bread", ["https", "example.org/bread", "example.org", "example",
                                       "org", "bread"]),
    ],
)  # fmt: skip
def test_names_around_a_slash_or_an_ampersand_are_kept_whole(query, found):
    assert texts(query) == found


@pytest.mark.parametrize(
    "name",
    [
        "CVE-2024-1234",
        "U+00AD",
        "5.2",
        "SESSION_COOKIE_AGE",
        "v1.0.0-rc1",
        "10.0.0.1",
        "a1@b2.org",
        "ERR-4711",
        "24-HD",
        "1-2-3",
        "F-16",
    ],
)
def test_names_are_kept_whole(name):
    assert query_terms(f"about {name}.", "en") == [Term(name.lower())]


@pytest.mark.parametrize("quotes", ['""', "“”", "„“", "«»"])
def test_phrases_are_kept_whole_with_their_stop_words(quotes):
    opening, closing = quotes
    assert texts(f"who wrote {opening}The Old Man  and the Sea{closing}") == [
        "wrote",
        "the old man and the sea",
    ]


def test_compounds_are_found_whole_and_by_their_parts():
    assert texts("boundary-layer flow") == ["boundary-layer", "boundary", "layer", "flow"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ("24-hours", {"24-hours": "24-hour"}),
        ("2.5-mile", {"2.5-mile": "2.5-mile"}),
        ("5-year-old", {"5-year-old": "5-year-old", "5-year": "5-year"}),
        ("COVID-19", {"covid-19": "", "covid": "covid"}),
        ("COVID-19/flu", {"covid-19/flu": "", "covid-19": "", "covid": "covid", "flu": "flu"}),
    ],
)
def test_words_with_an_ordinary_number_are_found_in_all_their_forms(query, found):
    assert {term.text: term.stem for term in query_terms(query, "en")} == found


@pytest.mark.parametrize(
    "query",
    [
        "a-" * 480,
        "ab-" * 480,
        "x" * 400_000,
        "a." * 200_000,
        "1_" * 200_000,
        '"' + "b " * 99 + '"',
        " ".join(map(str, range(10_000))),
        '"' * 100_000,
        "'s" * 100_000,
        "ab+" * 100_000,
        "ab/" * 100_000,
        "a&" * 100_000,
        "1-" * 100_000 + "a",
    ],
)
def test_no_query_is_too_long_or_takes_long(query):
    started = time.process_time()
    terms = query_terms(f"lighthouse {query}", "en")
    assert time.process_time() - started < 1
    assert terms[0].text == "lighthouse"
    assert sum(len(term.text.replace("-", " ").split()) for term in terms) <= MAX_WORDS
    assert all(len(term.text) <= 200 for term in terms)
