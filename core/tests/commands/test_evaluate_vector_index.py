"""The command that measures how well an index answers questions."""

from __future__ import annotations

import io
import json
import math
import sys
import weakref

import pytest
from django.contrib.auth.models import Group, User
from django.core.management import CommandError, call_command
from django.utils.translation import get_language
from hypothesis import given
from hypothesis import strategies as st
from wagtail.models import Locale, PageViewRestriction, Site

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.handlers import reranking_backends
from wagtail_vector_index.management.evaluation import answers, running
from wagtail_vector_index.management.evaluation.measures import (
    Distribution,
    measures,
    suggested_threshold,
)
from wagtail_vector_index.models import Document
from wagtail_vector_index.search import hybrid_search

pytestmark = pytest.mark.django_db


@pytest.fixture
def ask(tmp_path):
    """Writes a file of questions, and evaluates an index with it."""

    def run(text, *options, index="ArticlePage", encoding="utf-8"):
        path = tmp_path / "questions.csv"
        path.write_bytes(text.encode(encoding))
        out = io.StringIO()
        call_command("evaluate_vector_index", index, str(path), *options, stdout=out, no_color=True)
        return out.getvalue()

    return run


@pytest.fixture
def pages(article, bring_up_to_date):
    """Three pages about different things."""
    made = {
        "bread": article("Sourdough", "<p>flour water salt</p>", slug="sourdough"),
        "cake": article("Cake", "<p>flour water sugar eggs</p>", slug="cake"),
        "trams": article("Trams", "<p>line two to the harbour</p>", slug="trams"),
    }
    bring_up_to_date("ArticlePage")
    return made


@pytest.fixture
def words(full_text, pages):
    """The same pages, indexed by Wagtail's search."""
    for page in pages.values():
        page.save()
    return pages


def as_json(text):
    return json.loads(text)


def test_every_mode_is_measured(ask, words):
    report = as_json(
        ask("question,answer\nsalt,/sourdough/\nharbour,/trams/\nTrams,/cake/\n", "--json")
    )
    assert report["questions"] == 3
    assert set(report["modes"]) == {"vector", "hybrid", "words"}
    for measured in report["modes"].values():
        assert set(measured) == {"hit@1", "hit@5", "hit@10", "mrr", "ndcg"}
    assert report["modes"]["vector"]["hit@1"] == pytest.approx(2 / 3)
    assert report["modes"]["vector"]["hit@5"] == 1
    (failure,) = [one for one in report["failed"] if one["question"] == "Trams"]
    assert list(failure["instead"]) == ["words"]
    assert failure["right"][0]["title"] == "Cake"
    assert failure["instead"]["words"][0]["title"] == "Trams"


def test_each_question_is_asked_in_the_language_of_its_right_answer(
    ask, words, article, bring_up_to_date, monkeypatch
):
    dutch = Locale.objects.create(language_code="nl")
    article("Trams naar de haven", slug="haven", locale=dutch)
    bring_up_to_date("ArticlePage")
    asked = []

    def scores(index, text, *arguments):
        asked.append((text, get_language().partition("-")[0]))
        return {}

    for module in (running, hybrid_search):
        monkeypatch.setattr(module, "word_scores", scores)
    ask("question,answer,answer\nwaar,/haven/\nsalt,/cake/\nboth,/cake/,/haven/\nmoon,,\n")
    assert dict(asked) == {"waar": "nl", "salt": "en", "both": "en", "moon": "en"}
    assert len(asked) == 8


def test_the_report_for_people(ask, words):
    printed = ask("question,answer\nsalt,/sourdough/\nTrams,/cake/\nthe moon,\n")
    assert "testapp.ArticlePage: 3 questions, 1 of them without an answer" in printed
    assert "asked as an anonymous visitor" in printed
    assert "hit@1" in printed
    assert "Not found: Trams\n  right: Cake\n  words found instead: Trams" in printed
    assert "unrelated" in printed
    assert "similarity_threshold=0." in printed


def test_titles_that_cannot_be_made_are_shown_as_keys(ask, words, monkeypatch):
    def title(page):
        raise AttributeError("'NoneType' object has no attribute 'name'")

    monkeypatch.setattr(ArticlePage, "__str__", title)
    printed = ask("question,answer\nTrams,/cake/\n")
    assert f"  right: wagtailcore.page:{words['cake'].pk}\n" in printed


def test_json_in_another_encoding_than_utf_8_is_valid(ask, words, article, tmp_path, monkeypatch):
    article("Brot 🍞", slug="brot").save()
    path = tmp_path / "questions.csv"
    path.write_text("question,answer\nÉclair 🍞,/trams/\n", encoding="utf-8")
    printed = io.BytesIO()
    monkeypatch.setattr("sys.stdout", io.TextIOWrapper(printed, encoding="cp1252"))
    call_command("evaluate_vector_index", "ArticlePage", str(path), "--json")
    sys.stdout.flush()
    (failed,) = json.loads(printed.getvalue().decode("cp1252"))["failed"]
    assert failed["question"] == "Éclair 🍞"


def test_answers_by_url_path_and_key(ask, pages):
    bread, trams = pages["bread"], pages["trams"]
    names = [
        "/sourdough",
        "/sourdough/?q=1#top",
        "http://localhost/sourdough/",
        "https://www.example.com/sourdough/",
        f"wagtailcore.page:{bread.pk}",
        f"testapp.articlepage:{bread.pk}",
        f"testapp.ArticlePage:{bread.pk}",
        str(bread.pk),
    ]
    for name in names:
        asked = as_json(ask(f"question,answer\nsalt,{name}", "--json"))
        assert asked["modes"]["vector"]["hit@1"] == 1, name
    both = ask(f"question,answer,answer\nsalt,{bread.pk},{trams.pk}\n", "--json")
    one_by_one = ask(f"question,answer\nsalt,{bread.pk}\nSalt,{trams.pk}\n", "--json")
    assert both == one_by_one
    assert as_json(both)["modes"]["vector"]["ndcg"] > 0.8


def test_pages_of_several_sites_are_told_apart(full_text, ask, root, article, bring_up_to_date):
    other = article("Other home", slug="other")
    Site.objects.create(hostname="other.example", root_page=other, port=80)
    first = article("Salt", "<p>one</p>", slug="salt")
    second = article("Salt", "<p>two</p>", slug="salt", parent=other)
    bring_up_to_date("ArticlePage")
    with pytest.raises(CommandError, match="is the address of several objects. Write wagtailcore"):
        ask("question,answer\none,/salt/\n")
    for host, question in (("localhost", "salt one"), ("other.example", "salt two")):
        report = as_json(ask(f"question,answer\n{question},http://{host}/salt/\n", "--json"))
        assert report["modes"]["vector"]["hit@1"] == 1
    assert first.pk != second.pk


def test_objects_that_are_no_pages_are_found_by_their_addresses(
    ask, db, bring_up_to_date, monkeypatch
):
    monkeypatch.setattr(
        Note, "get_absolute_url", lambda self: f"/notes/{self.stars}/", raising=False
    )
    Note.objects.create(text="salt", stars=3)
    Note.objects.create(text="sugar", stars=4)
    bring_up_to_date("Note")
    report = as_json(ask("question,answer\nsalt,/notes/3/\n", "--json", index="Note"))
    assert report["modes"]["vector"]["hit@1"] == 1


def test_only_some_objects_are_in_memory_at_once(ask, db, bring_up_to_date, monkeypatch):
    alive, counts = weakref.WeakSet(), []

    def address(note):
        alive.add(note)
        counts.append(len(alive))
        return f"/notes/{note.stars}/"

    monkeypatch.setattr(Note, "get_absolute_url", address, raising=False)
    monkeypatch.setattr(answers, "_BATCH", 5, raising=False)
    for stars in range(30):
        Note.objects.create(text=f"salt number{stars}", stars=stars)
    bring_up_to_date("Note")
    found = as_json(ask("question,answer\nnumber7,/notes/7/\n", "--json", index="Note"))
    assert found["modes"]["vector"]["hit@1"] == 1
    assert len(counts) == 30
    assert max(counts) <= 10


def test_the_address_of_a_page_is_looked_for_in_no_other_model(
    ask, pages, bring_up_to_date, monkeypatch
):
    querysets = [ArticlePage.objects.all(), Note.objects.all()]
    monkeypatch.setattr(type(ArticlePage.vector_index), "get_querysets", lambda self: [*querysets])
    asked = []

    def address(note):
        asked.append(note)
        return "https://notes.example/cake/"

    monkeypatch.setattr(Note, "get_absolute_url", address, raising=False)
    Note.objects.create(text="bundt")
    bring_up_to_date("ArticlePage")
    text = "question,answer\nsugar,{}/cake/\n"
    assert as_json(ask(text.format(""), "--json"))["questions"] == 1
    assert as_json(ask(text.format("http://localhost"), "--json"))["questions"] == 1
    assert asked == []
    note = as_json(ask("question,answer\nbundt,https://notes.example/cake/\n", "--json"))
    assert note["modes"]["vector"]["hit@1"] == 1


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ('Question;Answer\r\n"salt; or not";/sourdough/\r\n', "utf-8-sig"),
        ("question\tanswer\nsalt, they say\t/sourdough/\n\n", "utf-8"),
        ('question,answer,notes?\n"salt\nand water",  /sourdough/  ,\n', "utf-8"),
    ],
)
def test_files_from_spreadsheets(text, encoding, ask, pages):
    assert as_json(ask(text, "--json", encoding=encoding))["questions"] == 1


WRONG = {
    "": "the first line must name the columns",
    "salt,/sourdough/\n": "the first line must name the columns, such as: question,answer",
    "question\nsalt\n": "the first line must name the columns",
    "question,answer\n": "has no question with a right answer",
    "question,answer\nsalt,\n": "has no question with a right answer",
    "question,answer\n,/sourdough/\nsalt,/sourdough/\n": "line 2 has an answer, but no question",
    'question,answer\n"salt,/sourdough/\n': "line 2: unexpected end of data",
    "question,answer\nsalt,/soup/\n": "line 2: /soup/ is the address of no page or object",
    "question,answer\nsalt,nowhere.thing:3\n": "line 2: nowhere.thing:3 names a model that does",
    "question,answer\nsalt,999\n": "999 is not live content of testapp.ArticlePage",
    "question,answer\nsalt,x\n": "line 2: x is no URL, path or key. Write a path with a leading /",
    "question,answer\nsalt,cake/\n": "cake/ is no URL, path or key",
    "question,answer\nsalt,www.example.com/cake/\n": "www.example.com/cake/ is no URL, path or key",
    "question,answer\nsalt,1.0\n": "1.0 is no URL, path or key",
    "question,answer\nsalt,99999999999999999999999\n": "is no URL, path or key",
    "question,answer\nsalt,wagtailcore.page:x\n": "wagtailcore.page:x is no URL, path or key",
    "question,answer\nsalt,wagtailcore.page:\n": "wagtailcore.page: is no URL, path or key",
}


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_file_is_refused_before_anything_is_asked(text, ask, pages, embedder):
    embedder.texts.clear()
    with pytest.raises(CommandError) as caught:
        ask(text)
    assert WRONG[text] in str(caught.value)
    assert "questions.csv" in str(caught.value)
    assert embedder.texts == []


def test_all_problems_are_listed_at_once(ask, pages):
    lines = "".join(f"q{number},/nothing-{number}/\n" for number in range(30))
    with pytest.raises(CommandError) as caught:
        ask("question,answer\n" + lines)
    assert "line 2: /nothing-0/" in str(caught.value)
    assert "… and 10 more." in str(caught.value)


def test_files_that_cannot_be_read(ask, pages, tmp_path):
    with pytest.raises(CommandError, match="is not in UTF-8"):
        ask("question,answer\nMüsli,/cake/", encoding="latin-1")
    with pytest.raises(CommandError, match=r"nothing\.csv cannot be read: No such file"):
        call_command("evaluate_vector_index", "ArticlePage", str(tmp_path / "nothing.csv"))


def test_several_models_need_a_key(ask, pages, bring_up_to_date, monkeypatch):
    monkeypatch.setattr(
        type(ArticlePage.vector_index),
        "get_querysets",
        lambda self: [ArticlePage.objects.all(), Note.objects.all()],
    )
    with pytest.raises(CommandError, match=r"Write testapp\.note or wagtailcore\.page, a colon"):
        ask(f"question,answer\nsalt,{pages['bread'].pk}\n")


def test_content_that_is_not_indexed_yet(ask, pages):
    Document.objects.filter(object_key=f"wagtailcore.page:{pages['cake'].pk}").delete()
    with pytest.raises(CommandError, match="/cake/ has no chunks in testapp.ArticlePage. Run: "):
        ask("question,answer\nsugar,/cake/\n")


@pytest.mark.parametrize("index", ["Nothing", "Product"])
def test_an_index_that_is_not_there(index, ask, pages):
    with pytest.raises(CommandError, match="Available"):
        ask("question,answer\nsalt,/sourdough/\n", index=index)


def test_an_index_that_is_not_built(ask, article):
    article("Sourdough")
    with pytest.raises(CommandError, match="manage.py update_vector_indexes testapp.ArticlePage"):
        ask("question,answer\nsalt,/sourdough/\n")


def test_only_what_the_user_may_see_counts(ask, pages, bring_up_to_date, monkeypatch):
    monkeypatch.setattr(type(ArticlePage.vector_index), "include_private", True)
    group = Group.objects.create(name="Bakers")
    restriction = PageViewRestriction.objects.create(
        page=pages["bread"], restriction_type=PageViewRestriction.GROUPS
    )
    restriction.groups.add(group)
    bring_up_to_date("ArticlePage")
    User.objects.create(username="visitor")
    User.objects.create(username="baker").groups.add(group)
    text = "question,answer\nsalt,/sourdough/\n"
    for options in ((), ("--user", "visitor")):
        with pytest.raises(CommandError, match="/sourdough/ is not live content"):
            ask(text, *options)
    # What the visitor may not see is named nowhere.
    for options, is_seen in (((), False), (("--user", "baker"), True)):
        report = ask("question,answer\nsalt water,/trams/\n", "--json", *options)
        names = json.dumps(as_json(report)["scores"]) + report
        assert (as_json(report)["scores"]["wrong"]["count"] == 2) is is_seen
        assert ("Sourdough" in names) is False or is_seen
    assert as_json(ask(text, "--json", "--user", "baker"))["modes"]["vector"]["hit@1"] == 1


def test_a_user_that_does_not_exist(ask, pages):
    with pytest.raises(CommandError, match="There is no user 'nobody'"):
        ask("question,answer\nsalt,/sourdough/\n", "--user", "nobody")


def test_meaning_is_measured_if_the_search_for_words_fails(ask, pages, monkeypatch):
    def fail(*arguments):
        raise ZeroDivisionError("no words today")

    monkeypatch.setattr(running, "word_scores", fail)
    printed = ask("question,answer\nsalt,/sourdough/\n")
    assert "The search for words failed: ZeroDivisionError: no words today" in printed
    assert "\nwords" not in printed


def test_the_scores_of_questions_without_an_answer_are_the_unrelated_ones(ask, pages):
    with_some = as_json(ask("question,answer\nsalt,/sourdough/\nmoon,\nstars,\n", "--json"))
    assert with_some["scores"]["unrelated"]["count"] == 2
    assert with_some["without_answer"] == 2
    assert with_some["threshold"]["kept"] == 1
    without = as_json(ask("question,answer\nsalt,/sourdough/\nharbour,/trams/\n", "--json"))
    assert without["scores"]["unrelated"]["count"] == 2
    alone = as_json(ask("question,answer\nsalt,/sourdough/\n", "--json"))
    assert alone["scores"]["unrelated"] == {
        "count": 0, "lowest": None, "tenth": None, "median": None, "ninetieth": None,
        "highest": None,
    }  # fmt: skip
    assert alone["threshold"] is None
    assert "too few scores" in ask("question,answer\nsalt,/sourdough/\n")


# Measures


def test_measures_by_hand():
    right = frozenset("ab")
    found = measures([(["a", "x", "b"], right), (["x"] * 6 + ["b"], right), (["x"] * 20, right)])
    ideal = 1 + 1 / math.log2(3)
    assert found == pytest.approx(
        {
            "hit@1": 1 / 3,
            "hit@5": 1 / 3,
            "hit@10": 2 / 3,
            "mrr": (1 + 1 / 7) / 3,
            "ndcg": ((1 + 1 / 2) / ideal + (1 / 3) / ideal) / 3,
        }
    )


def test_what_comes_after_the_tenth_place_does_not_count():
    assert set(measures([(["x"] * 10 + ["a"], frozenset("a"))]).values()) == {0.0}


def test_a_distribution():
    assert Distribution.of([0.5, 0.1, 0.3]) == Distribution(
        count=3, lowest=0.1, tenth=0.1, median=0.3, ninetieth=0.5, highest=0.5
    )


@pytest.mark.parametrize(
    ("right", "others", "value", "kept", "left_out"),
    [
        ([0.5, 0.6], [0.1, 0.2], 0.35, 1, 1),
        ([0.2, 0.6, 0.7, 0.8], [0.1, 0.3, 0.4], 0.5, 0.75, 1),
        ([0.5], [0.5], 0.5, 1, 0),
        ([-2.0], [-9.0], -5.5, 1, 1),
    ],
)
def test_the_threshold_separates_best(right, others, value, kept, left_out):
    found = suggested_threshold(right, others)
    assert (found.value, found.kept, found.left_out) == pytest.approx((value, kept, left_out))


@given(
    st.lists(st.integers(-9, 9).map(float), min_size=1),
    st.lists(st.integers(-9, 9).map(float), min_size=1),
)
def test_no_other_threshold_separates_better(right, others):
    def shares(value):
        kept = sum(score >= value for score in right) / len(right)
        return kept, sum(score < value for score in others) / len(others)

    found = suggested_threshold(right, others)
    assert (found.kept, found.left_out) == shares(found.value)
    for value in (half / 2 for half in range(-20, 21)):
        assert sum(shares(value)) <= found.kept + found.left_out + 1e-9


class Counted(float):
    """A score that counts how often it is compared."""

    compared = 0

    def __lt__(self, other):
        Counted.compared += 1
        return float(self) < other

    def __ge__(self, other):
        Counted.compared += 1
        return float(self) >= other


def test_a_threshold_of_many_scores_is_found_soon(monkeypatch):
    monkeypatch.setattr(Counted, "compared", 0)
    right = [Counted(number / 500) for number in range(500)]
    suggested_threshold(right, [Counted((number + 0.5) / 500) for number in range(500)])
    assert Counted.compared < 50_000  # each with each would be 1,000,000


def test_each_mode_is_reranked_and_nothing_else(ask, words, monkeypatch, settings):
    settings.WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
        "letters": {"BACKEND": "tests.testapp.reranking.LetterReranker"}
    }
    reranker = reranking_backends["letters"]
    reranker.answer = lambda texts: [text.count("harbour") for text in texts]
    monkeypatch.setattr(type(ArticlePage.vector_index), "reranking_backend", "letters")
    report = as_json(ask("question,answer\nflour salt,/trams/\nflour water,/trams/\n", "--json"))
    assert report["modes"]["vector"]["hit@1"] == report["modes"]["hybrid"]["hit@1"] == 1
    asked = [query for query, _ in reranker.asked]
    assert asked == ["flour salt"] * 2 + ["flour water"] * 2


def test_the_best_score_of_an_unrelated_question_need_not_come_first(
    ask, article, full_text, bring_up_to_date, monkeypatch, settings
):
    """A reranker changes the order of results, even beyond those that are shown, and no scores."""
    for number in range(15):
        article(f"flour {'water ' * number}")
    article("trams", slug="trams")
    bring_up_to_date("ArticlePage")
    settings.WAGTAIL_VECTOR_INDEX_RERANKING_BACKENDS = {
        "letters": {"BACKEND": "tests.testapp.reranking.LetterReranker"}
    }
    reranking_backends["letters"].answer = lambda texts: [*range(len(texts))]
    questions = "question,answer\ntrams,/trams/\nflour,\nwater flour,\n"
    before = as_json(ask(questions, "--json"))
    monkeypatch.setattr(type(ArticlePage.vector_index), "reranking_backend", "letters")
    after = as_json(ask(questions, "--json"))
    assert after["scores"]["unrelated"] == before["scores"]["unrelated"]
    assert after["scores"]["unrelated"]["count"] == 2
