"""The section "Vector indexes": what it tells, and what it does."""

from __future__ import annotations

import datetime

import pytest
from django.contrib.auth.models import Group
from django.contrib.messages import get_messages
from django.test import Client
from django.utils import timezone
from django.utils.translation import get_language
from django_tasks import task_backends
from wagtail.models import PageViewRestriction
from wagtail.users.models import UserProfile

from tests.testapp.models import ArticlePage, Note
from wagtail_vector_index.exceptions import BackendUnavailable, EmbeddingUnavailable, InvalidIndex
from wagtail_vector_index.models import Collection, PendingChange

pytestmark = pytest.mark.django_db

ARTICLES = "testapp.ArticlePage"
TASKS = {"default": {"BACKEND": "django_tasks.backends.dummy.DummyBackend"}}


@pytest.fixture
def pending():
    """Adds changes to the outbox of an index."""

    def add(*keys, index=ARTICLES, **fields):
        rows = [PendingChange(index=index, object_key=key, **fields) for key in keys]
        PendingChange.objects.bulk_create(rows)

    return add


def rows_of(response):
    """The texts of the cells of the page's table, row by row."""
    table = response.context["table"]
    return [
        {name: column.get_value(row.instance) for name, column in table.columns.items()}
        for row in table.rows
    ]


def told(response):
    return [str(message).strip() for message in get_messages(response.wsgi_request)]


# The list


def test_the_list_tells_how_each_index_is_doing(manage, at, articles, pending):
    pending("wagtailcore.page:1", "wagtailcore.page:2")
    pending("wagtailcore.page:3", last_error="EmbeddingUnavailable: it is down", attempts=2)
    response = manage.get(at("index"))
    rows = {row["name"]: row for row in rows_of(response)}
    row = rows[ARTICLES]
    assert (row["objects"], row["documents"], row["pending"], row["failed"]) == (3, 3, 3, 1)
    assert (row["vector_backend"], row["embedding_model"]) == ("default", "words")
    assert row["status"] == "changes pending"
    assert timezone.now() - row["changed_at"] < datetime.timedelta(minutes=5)
    assert rows["testapp.SiteIndex"]["status"] == "not built"
    assert at("detail") in response.text


def test_the_list_takes_few_queries_for_each_index(
    manage, at, articles, django_assert_max_num_queries
):
    manage.get(at("index"))
    with django_assert_max_num_queries(65):  # ten indexes
        manage.get(at("index"))


def test_an_index_that_is_declared_wrongly_is_told(manage, at, articles, monkeypatch):
    monkeypatch.setattr(ArticlePage, "embedding_fields", ["title"])
    monkeypatch.delitem(ArticlePage.vector_index.__dict__, "configuration", raising=False)
    assert "needs attention" in manage.get(at("index")).text
    assert "is not an EmbeddingField" in manage.get(at("detail")).text


def test_an_index_that_cannot_even_be_made_is_told_instead_of_a_list(manage, at, monkeypatch):
    def all_indexes():
        raise InvalidIndex("shop.Index is not in an installed app, so it needs a name.")

    monkeypatch.setattr("wagtail_vector_index.admin.views.listing.all_indexes", all_indexes)
    response = manage.get(at("index"))
    assert "shop.Index is not in an installed app, so it needs a name." in response.text
    assert rows_of(response) == []


def test_a_site_without_indexes_is_told_how_to_make_one(manage, at, monkeypatch):
    monkeypatch.setattr("wagtail_vector_index.admin.views.listing.all_indexes", list)
    assert "VectorIndexedMixin" in manage.get(at("index")).text


# One index


def test_an_index_that_is_up_to_date_says_so(manage, at, articles):
    text = manage.get(at("detail")).text
    assert "up to date" in text
    assert "3 objects" in text
    assert "64 dimensions" in text
    assert "which has all changes" in text
    assert "All changes are in the index." in text


def test_it_tells_the_recall_of_searches(manage, at, articles):
    assert "Recall" not in manage.get(at("detail")).text
    recall = {
        "setting": {"ef": 200},
        "mean": 0.9914,
        "worst": 0.7,
        "questions": 200,
        "records": 300_000,
        "measured_at": "2026-11-28T12:00:00+00:00",
    }
    Collection.objects.update(recall=recall)
    text = " ".join(manage.get(at("detail")).text.split())
    assert "0.991 on average, 0.70 at worst, of 200 sampled searches of 300,000 chunks" in text
    assert "(ef 200)" in text
    assert "The target" not in text
    Collection.objects.update(recall=recall | {"mean": 0.9, "advice": "Set M to more."})
    text = " ".join(manage.get(at("detail")).text.split())
    assert "The target is 0.98. Set M to more." in text
    unknown = {"mean": 0.0, "questions": 0, "advice": "Exact searches are forbidden."}
    Collection.objects.update(recall=recall | unknown)
    text = " ".join(manage.get(at("detail")).text.split())
    assert "Not measured in 300,000 chunks (ef 200)," in text
    assert "Exact searches are forbidden." in text
    assert "at worst" not in text
    assert "The target" not in text
    Collection.objects.update(recall=recall | unknown | {"records": 0})
    text = " ".join(manage.get(at("detail")).text.split())
    assert "Not measured (ef 200)," in text


def test_failed_changes_come_first_with_their_errors(manage, at, articles, pending):
    first, second, third = (f"wagtailcore.page:{page.pk}" for page in articles)
    pending(first)
    pending(second, last_error="EmbeddingRefused: too long", attempts=4)
    pending(third)
    response = manage.get(at("detail"))
    assert [row["title"] for row in rows_of(response)] == ["Cake", "Sourdough", "Trams"]
    assert rows_of(response)[0]["last_error"] == "EmbeddingRefused: too long"
    assert rows_of(response)[0]["change.attempts"] == 4
    assert "which has all changes" not in response.text
    assert f"/admin/pages/{articles[1].pk}/edit/" in response.text


def test_a_title_that_cannot_be_made_hides_no_error(manage, at, articles, pending, no_titles):
    key = f"wagtailcore.page:{articles[0].pk}"
    pending(key, last_error="AttributeError: no title")
    [row] = rows_of(manage.get(at("detail")))
    assert (row["title"], row["last_error"]) == (key, "AttributeError: no title")


def test_a_title_that_cannot_be_made_hides_no_result(manage, at, articles, no_titles):
    response = manage.get(at("search"), {"q": "salt"})
    assert response.context["found"][0].title == f"wagtailcore.page:{articles[0].pk}"
    assert f">wagtailcore.page:{articles[0].pk}</a>" in response.text


def test_sites_without_time_zones_see_their_changes(manage, at, articles, settings):
    settings.USE_TZ = False
    PendingChange.objects.create(index=ARTICLES, object_key="wagtailcore.page:1")
    assert manage.get(at("detail")).status_code == 200


def test_changes_are_paginated(manage, at, articles, pending):
    pending(*(f"wagtailcore.page:{number}" for number in range(1_000, 1_070)))
    first, second = (manage.get(at("detail"), {"p": number}) for number in (1, 2))
    assert [len(rows_of(response)) for response in (first, second)] == [50, 20]
    assert "Page 1 of 2" in first.text


def test_only_who_may_edit_an_object_reads_its_title(manage, at, articles, pending, manager):
    manager.groups.first().page_permissions.all().delete()
    pending(f"wagtailcore.page:{articles[0].pk}")
    text = manage.get(at("detail")).text
    assert "Sourdough" not in text
    assert f"wagtailcore.page:{articles[0].pk}" in text


def test_secrets_stay_secret(manage, at, articles, pending, settings):
    settings.WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS = {
        "default": {"BACKEND": "tests.testapp.backends.ServerBackend", "API_KEY": "s3cr3t"}
    }
    pending("wagtailcore.page:7", last_error="BackendRefused: the key s3cr3t is wrong")
    text = manage.get(at("detail")).text
    assert "BackendRefused: the key" in text
    assert "s3cr3t" not in text


def test_a_backend_that_lags_behind_is_told(manage, at, articles):
    Collection.objects.filter(index=ARTICLES).update(revision=9, applied_revision=4)
    text = manage.get(at("detail")).text
    assert "which does not have the latest changes yet" in text
    assert "changes pending" in text


def test_a_service_that_failed_is_told(manage, at, articles):
    error = "BackendUnavailable: vectors.example.com cannot be reached"
    Collection.objects.filter(index=ARTICLES).update(attempts=3, last_error=error)
    text = manage.get(at("detail")).text
    assert "needs attention" in text
    assert error in text


def test_an_index_built_with_another_model_is_told(manage, at, articles):
    Collection.objects.filter(index=ARTICLES).update(fingerprint="another model")
    text = manage.get(at("detail")).text
    assert "needs attention" in text
    assert "was built with other settings" in text


def test_settings_that_are_wrong_are_told(manage, at, articles, settings):
    settings.WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS = {
        "default": {"BACKEND": "openai", "API_KEY": "s3cr3t", "MODLE": "x"}
    }
    for name in ("index", "detail", "search"):
        response = manage.get(at(name), {"q": "flour"})
        assert response.status_code == 200
        assert "s3cr3t" not in response.text
    assert "MODLE" in response.text


@pytest.mark.parametrize("name", ["detail", "rebuild", "search"])
def test_an_index_that_is_not_there_is_not_found(name, manage, at, root):
    assert manage.get(at(name, "testapp.Nothing")).status_code == 404


# Rebuilding


def test_a_rebuild_is_asked_about_first(manage, at, articles):
    before = Collection.objects.get(index=ARTICLES)
    assert "Yes, rebuild" in manage.get(at("rebuild")).text
    assert Collection.objects.get(index=ARTICLES) == before


def test_a_rebuild_takes_the_place_of_the_index(manage, at, articles, settings, embedder):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    before = Collection.objects.get(index=ARTICLES)
    response = manage.post(at("rebuild"))
    assert response.url == at("detail")
    assert told(response) == [f"The rebuild of {ARTICLES} has started."]
    assert Collection.objects.get(index=ARTICLES, state="active") != before
    assert embedder.texts == []


def test_a_rebuild_is_a_task_where_there_is_a_queue(manage, at, articles, settings):
    settings.TASKS = TASKS
    manage.post(at("rebuild"))
    (queued,) = task_backends["default"].results
    assert (queued.task.name, queued.args) == ("rebuild_index", [ARTICLES])
    before = Collection.objects.get(index=ARTICLES, state="active")
    queued.task.call(*queued.args)
    assert Collection.objects.get(index=ARTICLES, state="active") != before


def test_a_rebuild_that_cannot_be_started_is_told(manage, at, articles, settings, embedder):
    def down(texts):
        raise EmbeddingUnavailable("the service is down")

    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    articles[0].title = "Rye bread"
    articles[0].save()
    embedder.before = down
    assert told(manage.post(at("rebuild"))) == ["the service is down"]


def test_a_rebuild_needs_a_token(articles, at, manager, settings):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, "django.middleware.csrf.CsrfViewMiddleware"]
    client = Client(enforce_csrf_checks=True)
    client.force_login(manager)
    assert client.post(at("rebuild")).status_code == 403
    assert "csrfmiddlewaretoken" in client.get(at("rebuild")).text


def test_a_rebuild_that_is_under_way_is_shown(manage, at, articles):
    Collection.objects.create(
        name="half_built", index=ARTICLES, vector_backend="default", dimensions=64
    )
    text = manage.get(at("detail")).text
    assert "This index is being rebuilt: 0 chunks so far." in text


# What the monitor tells


def test_changes_that_nothing_writes_are_told(manage, at, articles, pending):
    long_ago = timezone.now() - datetime.timedelta(hours=2)
    pending("wagtailcore.page:1", created_at=long_ago)
    text = manage.get(at("detail")).text
    assert "1 changes of testapp.ArticlePage have waited for more than 30 minutes" in text
    assert "needs attention" in text


def test_a_rebuild_that_stopped_is_told(manage, at, articles):
    Collection.objects.create(
        name="half_built",
        index=ARTICLES,
        vector_backend="default",
        dimensions=64,
        created_at=timezone.now() - datetime.timedelta(hours=2),
    )
    assert "stopped more than 30 minutes ago" in manage.get(at("detail")).text
    rows = {row["name"]: row for row in rows_of(manage.get(at("index")))}
    assert rows[ARTICLES]["status"] == "needs attention"


def test_records_that_the_backend_lost_are_told(manage, at, server, articles):
    collection = Collection.objects.get(index=ARTICLES)
    server.drop(collection.spec)
    text = manage.get(at("detail")).text
    assert f"{collection.name} is missing in the vector backend" in text
    assert "manage.py update_vector_indexes testapp.ArticlePage" in text


def test_a_backend_that_failed_is_not_asked(manage, at, server, articles, monkeypatch):
    def down(*arguments):
        raise AssertionError("asked")

    monkeypatch.setattr(server, "count", down)
    Collection.objects.filter(index=ARTICLES).update(attempts=3, last_error="it is down")
    assert "asked" not in manage.get(at("detail")).text


def test_what_is_stored_of_an_index_that_is_gone_is_told(manage, at, articles):
    Collection.objects.filter(index=ARTICLES).update(index="shop.OldIndex")
    assert "shop.OldIndex is no longer in the code" in manage.get(at("index")).text


# Trying a query


def test_a_query_shows_objects_with_their_chunks(manage, at, article, bring_up_to_date):
    long = " ".join(f"<p>{'flour ' * 40}</p><p>{'harbour ' * 40}</p>" for _ in range(2))
    article("Sourdough", long)
    article("Trams", "<p>Take line two to the harbour.</p>")
    bring_up_to_date(ARTICLES)
    response = manage.get(at("search"), {"q": "flour"})
    first, second = response.context["found"]
    assert [str(first.source), str(second.source)] == ["Sourdough", "Trams"]
    assert len(first.chunks) > 1
    scores = [chunk.score for chunk in first.chunks]
    assert scores == sorted(scores, reverse=True)
    assert "flour flour" in first.chunks[0].content
    assert f"/admin/pages/{first.source.pk}/edit/" in response.text
    assert f"score {scores[0]:.3f}" in response.text


def test_the_score_to_choose_a_lowest_score_by_is_shown(manage, at, article, bring_up_to_date):
    """A search compares the score of the whole object, which its best chunk may be far above."""
    long = "".join(f"<p>{' '.join(f'w{i}x{j}' for j in range(40))}.</p>" for i in range(8))
    article("Opening", f"{long}<p>{'vouchers by post ' * 12}.</p>")
    article("Other", "<p>x</p>")
    bring_up_to_date(ARTICLES)
    query = "vouchers by post"
    response = manage.get(at("search"), {"q": query})
    first = response.context["found"][0]
    assert first.score == ArticlePage.vector_index.search(query)[0].vector_score
    assert first.chunks[0].score > first.score + 0.1
    assert f"Score {first.score:.3f}" in response.text
    for threshold, count in ((first.score - 0.001, 1), (first.score + 0.001, 0)):
        response = manage.get(at("search"), {"q": query, "threshold": threshold})
        assert len(response.context["found"]) == count


@pytest.mark.parametrize(("chosen", "asked"), [("nl", "nl"), ("en", "en"), ("", "en")])
def test_the_words_of_a_query_are_not_of_the_editors_language(
    chosen, asked, manage, manager, at, articles, monkeypatch
):
    UserProfile.objects.create(user=manager, preferred_language="nl")
    languages = []

    def scores(*arguments):
        languages.append(get_language().partition("-")[0])
        return {}

    monkeypatch.setattr("wagtail_vector_index.search.hybrid_search.word_scores", scores)
    response = manage.get(at("search"), {"q": "flour", "mode": "hybrid", "language": chosen})
    assert languages == [asked]
    assert list(response.context["form"].fields["language"].choices) == [
        ("en", "English"),
        ("nl", "Dutch"),
    ]


def test_a_site_with_one_language_has_no_choice_of_languages(manage, at, articles, settings):
    settings.WAGTAIL_CONTENT_LANGUAGES = [("en", "English")]
    response = manage.get(at("search"), {"q": "flour"})
    assert "language" not in response.context["form"].fields
    assert response.context["found"]


def test_a_query_is_embedded_once(manage, at, articles, embedder):
    embedder.calls = 0
    assert manage.get(at("search"), {"q": "flour"}).context["found"]
    assert embedder.calls == 1


def test_a_query_finds_what_its_user_may_see(
    manage, at, articles, monkeypatch, bring_up_to_date, manager
):
    index = type(ArticlePage.vector_index)
    monkeypatch.setattr(index, "include_private", True)
    restriction = PageViewRestriction.objects.create(
        page=articles[0], restriction_type=PageViewRestriction.GROUPS
    )
    bring_up_to_date(ARTICLES)
    assert "Sourdough" not in manage.get(at("search"), {"q": "salt"}).text
    restriction.groups.add(manager.groups.first())
    assert "Sourdough" in manage.get(at("search"), {"q": "salt"}).text


@pytest.mark.parametrize("query", ["", "  ", "x" * 1_001, "a\x00b"])
def test_an_odd_query_is_told(query, manage, at, articles):
    response = manage.get(at("search"), {"q": query})
    assert response.status_code == 200
    assert response.context["form"].errors


def test_a_query_that_finds_nothing_says_so(manage, at, bring_up_to_date, root):
    bring_up_to_date(ARTICLES)
    assert "Nothing was found." in manage.get(at("search"), {"q": "flour"}).text


def test_a_query_of_an_index_that_is_not_built_is_told(manage, at, root):
    text = manage.get(at("search"), {"q": "flour"}).text
    assert "is not built yet" in text


def test_a_query_while_a_service_is_down_is_told(manage, at, server, articles, embedder, caplog):
    def fail(error):
        def before(*arguments, **named):
            raise error

        return before

    embedder.before = fail(EmbeddingUnavailable("the service is down"))
    assert "the service is down" in manage.get(at("search"), {"q": "flour"}).text
    embedder.before = lambda texts: None
    server._search = fail(BackendUnavailable("no database there"))
    assert "no database there" in manage.get(at("search"), {"q": "flour"}).text
    server._search = fail(ZeroDivisionError("of somebody else, with s3cr3t"))
    text = manage.get(at("search"), {"q": "flour"}).text
    assert "s3cr3t" not in text
    assert "Look for its cause in the site’s log." in text
    assert "unexpected error" in caplog.text


def test_objects_that_are_no_pages_are_shown_without_a_link(manage, at, bring_up_to_date):
    Note.objects.create(text="flour")
    bring_up_to_date("testapp.Note")
    response = manage.get(at("search", "testapp.Note"), {"q": "flour"})
    assert [found.edit_url for found in response.context["found"]] == [None]


def test_a_query_can_be_tried_as_an_anonymous_visitor(manage, manager, at, articles, monkeypatch):
    monkeypatch.setattr(type(ArticlePage.vector_index), "include_private", True)
    group = Group.objects.create(name="Bakers")
    restriction = PageViewRestriction.objects.create(
        page=articles[0], restriction_type=PageViewRestriction.GROUPS
    )
    restriction.groups.add(group)
    manager.groups.add(group)
    assert "Sourdough" in manage.get(at("search"), {"q": "salt", "visitor": "me"}).text
    assert "Sourdough" not in manage.get(at("search"), {"q": "salt", "visitor": "anyone"}).text
    response = manage.get(at("search"), {"q": "salt", "visitor": "superuser"})
    assert response.context["form"].errors["visitor"]
    assert "found" not in response.context


def test_a_query_can_be_tried_with_a_lowest_score(manage, at, articles):
    found = manage.get(at("search"), {"q": "flour water salt"}).context["found"]
    lowest = found[0].score - 0.01
    response = manage.get(at("search"), {"q": "flour water salt", "threshold": lowest})
    assert [one.score for one in response.context["found"]] == [found[0].score]
    text = manage.get(at("search"), {"q": "salt", "threshold": "2"}).text
    assert "similarity_threshold must be between -1 and 1" in text
    response = manage.get(at("search"), {"q": "salt", "threshold": "high"})
    assert response.context["form"].errors["threshold"]


def test_a_query_can_be_tried_by_meaning_and_words(manage, at, articles, monkeypatch):
    trams = f"wagtailcore.page:{articles[2].pk}"
    monkeypatch.setattr(
        "wagtail_vector_index.search.hybrid_search.word_scores", lambda *arguments: {trams: 1.0}
    )
    monkeypatch.setattr(type(ArticlePage.vector_index), "vector_weight", 0)
    found = manage.get(at("search"), {"q": "flour", "mode": "hybrid"}).context["found"]
    assert str(found[0].source) == "Trams"
    found = manage.get(at("search"), {"q": "flour", "mode": "vector"}).context["found"]
    assert str(found[0].source) != "Trams"
