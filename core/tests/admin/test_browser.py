"""The admin in a real browser: what works there, and what people with disabilities meet."""

from __future__ import annotations

import re
import shutil

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.conf import settings as site_settings
from django.test import override_settings
from django.urls import reverse
from playwright.sync_api import expect, sync_playwright
from pytest_django.live_server_helper import LiveServer

from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.models import Collection, PendingChange

pytestmark = pytest.mark.once

ARTICLES = "testapp.ArticlePage"
NAMES = ["chromium", "chromium-browser", "google-chrome"]
WIDTHS = [1280, 400]


@pytest.fixture(scope="module")
def chromium():
    """A browser without a window."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"There is no browser here: none of {', '.join(NAMES)} is on the PATH.")
    # Playwright's loop runs in this thread, and Django takes that for asynchronous code.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def live_server():
    """The site, served to the browser."""
    middleware = ["tests.testapp.middleware.one_at_a_time", *site_settings.MIDDLEWARE]
    with override_settings(MIDDLEWARE=middleware):
        server = LiveServer("localhost")
        yield server
        server.stop()


@pytest.fixture
def window(chromium, live_server, browse, superuser):
    """A window of the superuser's."""
    name = site_settings.SESSION_COOKIE_NAME
    session = browse(superuser).cookies[name].value
    context = chromium.new_context(base_url=live_server.url)
    context.add_cookies([{"name": name, "value": session, "url": live_server.url}])
    yield context.new_page()
    context.close()


def visit(window, address, width=1280):
    window.set_viewport_size({"width": width, "height": 900})
    window.goto(address)
    window.wait_for_load_state("networkidle")


def edit(window, page, width=1280):
    visit(window, reverse("wagtailadmin_pages:edit", args=[page.pk]), width)


def violations(window, within=None):
    """The rules that axe finds broken, each with the elements that break it."""
    found = Axe().run(window, within).response["violations"]
    return {rule["id"]: [node["target"][0] for node in rule["nodes"]] for rule in found}


def overflow(window):
    """By how many pixels the page is wider than its window."""
    return window.evaluate("document.documentElement.scrollWidth - window.innerWidth")


def of_the_page(window, elements):
    """Those of the elements that are no part of Wagtail's furniture."""
    return [
        element
        for element in elements
        if window.evaluate("e => !!document.querySelector(e)?.closest('main')", element)
    ]


@pytest.mark.parametrize("width", WIDTHS)
def test_the_section_can_be_used_by_everybody(width, window, at, articles):
    PendingChange.objects.create(
        index=ARTICLES,
        object_key=f"wagtailcore.page:{articles[0].pk}",
        attempts=3,
        last_error="EmbeddingUnavailable: the service did not answer within 30 seconds",
    )
    Collection.objects.create(
        name="half_built", index=ARTICLES, vector_backend="default", dimensions=64
    )
    visit(window, reverse("wagtailusers_users:index"), width)
    wagtails_own = set(violations(window))
    for address in (
        at("index"),
        at("detail"),
        at("detail", "testapp.SiteIndex"),
        at("rebuild"),
        at("search") + "?q=flour",
        at("similar", articles[0].pk),
    ):
        visit(window, address, width)
        for rule, elements in violations(window).items():
            assert rule in wagtails_own, (address, elements)
            assert of_the_page(window, elements) == [], (address, rule)
        assert overflow(window) <= 0, address


@pytest.mark.parametrize("width", WIDTHS)
def test_the_panel_can_be_used_by_everybody(width, window, articles):
    edit(window, articles[0], width)
    panel = window.locator("[data-similar-pages]")
    expect(panel.get_by_role("link", name="Cake")).to_be_visible()
    assert panel.get_attribute("aria-busy") is None
    assert violations(window, "[data-similar-pages]") == {}


def test_the_panel_says_so_if_it_cannot_be_filled(window, articles, server):
    def fail(*arguments, **named):
        raise BackendUnavailable("no database there")

    server._search = fail
    edit(window, articles[0])
    expect(window.locator("[data-similar-pages]")).to_have_text(
        "Similar pages cannot be shown at the moment."
    )


def test_from_the_menu_to_a_rebuild(window, articles, settings):
    settings.WAGTAIL_VECTOR_INDEX_AUTO_UPDATE = "inline"
    before = Collection.objects.get(index=ARTICLES)
    visit(window, reverse("wagtailadmin_home"))
    window.get_by_role("button", name="Settings").click()
    window.get_by_role("link", name="Vector indexes").click()
    window.get_by_role("link", name=ARTICLES, exact=True).click()
    window.get_by_role("link", name="Rebuild").click()
    window.get_by_role("button", name="Yes, rebuild").click()
    expect(window.get_by_text(f"The rebuild of {ARTICLES} has started.")).to_be_visible()
    assert Collection.objects.get(index=ARTICLES, state="active") != before


def test_from_a_page_to_similar_ones(window, articles):
    edit(window, articles[0])
    window.locator("header").get_by_role("button", name="Actions").click()
    actions = window.get_by_role("navigation", name="Actions", exact=True)
    actions.get_by_role("link", name="Similar pages").click()
    expect(window.get_by_role("main").get_by_role("link", name="Cake")).to_be_visible()


def test_from_a_query_to_the_page_that_answers_it(window, at, articles):
    visit(window, at("search"))
    window.get_by_role("textbox", name="Query").fill("to the harbour")
    window.get_by_role("main").get_by_role("button", name="Search").click()
    window.get_by_role("main").get_by_role("link", name="Trams").first.click()
    answer = reverse("wagtailadmin_pages:edit", args=[articles[2].pk])
    expect(window).to_have_url(re.compile(re.escape(answer)))
