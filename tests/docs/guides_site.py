"""Runs the code blocks of the guides on a site in the current folder, and prints what it prints.

Run by test_guides.py in a process of its own. Prints the name of each block before it is run.
"""

import json
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from inspect import iscoroutinefunction
from pathlib import Path
from types import ModuleType
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

from django.core.exceptions import BadRequest
from django.core.files.base import ContentFile
from django.core.management import call_command
from django.db.models import Q
from django.template import engines

from tests.docs.code_blocks import ROOT, Block, block, blocks
from tests.docs.readme_site import add_pages, configure, run

DOCS = ROOT / "docs"
GUIDES = sorted(DOCS.rglob("*.md"))
#: The tutorial by `nox -s release`; the others are for a backend, and not for a site.
FOLLOWED_ELSEWHERE = {
    DOCS / name for name in ("tutorial.md", "testing-a-backend.md", "how-to/write-a-backend.md")
}
ANSWERS = DOCS / "how-to" / "answers.md"
HEADLESS = DOCS / "how-to" / "headless.md"
SEARCH_PAGE = DOCS / "how-to" / "search-page.md"
ENVIRONMENTS = DOCS / "how-to" / "environments.md"
PRODUCTION = DOCS / "how-to" / "production.md"
LANGUAGES = DOCS / "how-to" / "languages.md"
PROMOTED = DOCS / "how-to" / "promote-and-log.md"
WAGTAIL_SEARCH = DOCS / "how-to" / "wagtail-search.md"

#: What is set there is tried by test_guides.py, with the code that reads it.
SETTINGS = "settings.py"
#: A model can be declared only once, so the guides' models are compiled, and some of them are used.
MODELS = "blog/models.py"
TESTS = Path("blog/tests.py")


def guides(language: str) -> list[Block]:
    """Return the blocks of the guides that are not followed elsewhere."""
    return [b for b in blocks(language, *GUIDES) if b.document not in FOLLOWED_ELSEWHERE]


def try_out(block: Block) -> None:
    title = block.title.split(",")[0]
    if title not in {SETTINGS, MODELS, str(TESTS)}:
        print(block, title, flush=True)
        run(block.code, f"blog.{Path(title).stem}" if title.startswith("blog/") else title)


def views() -> list[Block]:
    """Return the guides' views that show a template."""
    return [b for b in guides("python") if "import render\n" in b.code]


def shown_by(view: Block, question: str, **parameters: str) -> str:
    """Return the page that a guide's view shows an anonymous visitor, in one line."""
    from asgiref.sync import async_to_sync
    from django.test import RequestFactory

    names: dict[str, Any] = {"__name__": "blog.views"}
    exec(view.code, names)  # the guide's code
    search = names["search"]
    if iscoroutinefunction(search):
        search = async_to_sync(search)
    response = search(visitors_request(RequestFactory(), question, **parameters))
    return " ".join(response.content.decode().split())


def titles(page: str) -> list[str]:
    """Return the headings of a page, which are links."""
    return re.findall("([^<>]+)</a></h2>", page)


def visitors_request(factory: Any, question: str, **parameters: str) -> Any:
    """Return an anonymous visitor's request that asks a question."""
    from django.contrib.auth.models import AnonymousUser

    request = factory.get("/ask/", {"q": question, **parameters})
    request.user = AnonymousUser()
    request.session = {}
    return request


def ask() -> None:
    """Call the guide's view that streams an answer, as a visitor does."""
    from django.test import RequestFactory

    view: dict[str, Any] = {"__name__": "blog.ask"}
    exec(block("blog/ask.py", ANSWERS), view)  # the guide's code
    for question in ("how do I bake bread?", " "):
        response = view["ask"](visitors_request(RequestFactory(), question))
        print(response.status_code, b"".join(response).decode())
    with not_built():
        response = view["ask"](visitors_request(RequestFactory(), "bread"))
    print(response.status_code, response.content.decode())


@contextmanager
def not_built() -> Iterator[None]:
    """Let searches fail, as on a site whose indexes are not built yet."""
    from wagtail_vector_index.models import Collection

    Collection.objects.filter(state="active").update(state="building")
    yield
    Collection.objects.filter(state="building").update(state="active")


def ask_asynchronously() -> None:
    """Call the guide's asynchronous view."""
    from asgiref.sync import async_to_sync
    from django.test import AsyncRequestFactory

    view: dict[str, Any] = {"__name__": "blog.ask_async"}
    exec(block("blog/ask_async.py", ANSWERS), view)  # the guide's code

    async def answer() -> str:
        request = visitors_request(AsyncRequestFactory(), "how do I bake bread?")
        response = await view["ask"](request)
        if not response.streaming:
            return f"{response.status_code} {response.content.decode()}"
        pieces = [piece async for piece in response]
        return f"{response.status_code} {b''.join(pieces).decode()}"

    print("asynchronously:", async_to_sync(answer)())
    with not_built():
        print("asynchronously:", async_to_sync(answer)())


def call_apis() -> None:
    """Call the views of the guide for headless sites."""
    from django.test import Client, override_settings
    from django.urls import include, path

    views: dict[str, Any] = {"__name__": "blog.api_views"}
    exec(block("blog/api_views.py", HEADLESS), views)  # the guide's code
    ninja: dict[str, Any] = {"__name__": "blog.ninja_api"}
    exec(block("blog/ninja_api.py", HEADLESS), ninja)  # the guide's code
    api: dict[str, Any] = {"__name__": "blog.api"}
    exec(block("blog/api.py", HEADLESS), api)  # the guide's code
    run(block("blog/grapple_search.py", HEADLESS), "blog.grapple_search")
    from grapple import urls as grapple_urls

    urls: Any = ModuleType("blog.api_urls")
    urls.urlpatterns = [
        path("api/", include(grapple_urls)),
        path("drf/", views["search"]),
        path("ninja/", ninja["api"].urls),
        path("api/v2/", api["api_router"].urls),
        path("", include("wagtail.urls")),
    ]
    question = "how do I bake bread?"
    asked = {"/drf/": "q", "/ninja/search": "q", "/api/v2/pages/": "search"}
    with override_settings(ROOT_URLCONF=urls, ALLOWED_HOSTS=["testserver"]):
        for address, name in asked.items():
            response = Client().get(address, {name: question, "limit": 2})
            found = json.loads(response.content)
            first = found.get("results", found.get("items"))[0]
            print(address, response.status_code, first["title"], first.get("excerpt", ""))
        [asks] = [{"query": b.code} for b in blocks("graphql", HEADLESS)]
        response = Client().post("/api/graphql/", asks, "application/json")
        first = response.json()["data"]["foundPages"][0]
        print("grapple:", response.status_code, first["page"]["title"], first["excerpt"])


def promote() -> None:
    """Call the view of the guide with a promoted page, which a private one does not join."""
    from blog.models import BlogPage
    from django.utils import timezone
    from wagtail.contrib.search_promotions.models import Query, SearchPromotion
    from wagtail.models import PageViewRestriction

    question = "how do I bake bread?"
    query = Query.get(question)
    hidden = BlogPage.objects.get(title="Opening hours")
    expired = BlogPage.objects.get(title="Rye sourdough")
    private = BlogPage.objects.get(title="How to find us")
    private_alias = private.create_alias(update_slug="alias")
    for page in (BlogPage.objects.get(title="Gift vouchers"), hidden, expired, private_alias):
        SearchPromotion.objects.create(query=query, page=page, sort_order=1)
    SearchPromotion.objects.create(
        query=query,
        external_link_url="https://mill.example/",
        external_link_text="The mill",
        description="Where our flour comes from",
        sort_order=2,
    )
    hidden.unpublish()
    BlogPage.objects.filter(pk=expired.pk).update(expire_at=timezone.now())
    restriction = PageViewRestriction.objects.create(page=private, restriction_type="login")
    [view] = [b for b in views() if b.document == PROMOTED]
    print("promoted page:", shown_by(view, f"{question}\0"))
    assert query.hits == 1
    hidden.save_revision().publish()
    BlogPage.objects.filter(pk=expired.pk).update(expire_at=None)
    restriction.delete()
    private_alias.unpublish()


def log_searches() -> None:
    """Install the guide's plugin, and search for something that is there and something else."""
    from blog.models import BlogPage

    from wagtail_vector_index.plugins.calling import active_registry

    plugin = ModuleType("searchlog.plugin")
    exec(block("searchlog/plugin.py", PROMOTED), plugin.__dict__)  # the guide's code
    plugin.__dict__["logger"].addHandler(logging.StreamHandler(sys.stdout))
    active_registry().hooks.register(plugin)
    for words in ("how do I bake bread?", "tax of bicycles"):
        list(BlogPage.vector_index.search(words))
    active_registry().hooks.unregister(plugin)


def search_page() -> None:
    """Open the guide's search page as a visitor, with a question, a facet, and nonsense."""
    from blog.models import BlogPage
    from django.contrib.auth import get_user_model

    baker = get_user_model().objects.create(username="baker")
    BlogPage.objects.filter(title="Your first loaf").update(owner=baker)
    call_command("update_vector_indexes", verbosity=0)
    view = next(b for b in views() if b.document == SEARCH_PAGE)
    print("search page, question:", shown_by(view, "how do I bake bread?"))
    print("search page, owner:", shown_by(view, "how do I bake bread?", owner="baker"))
    print("search page, nonsense:", shown_by(view, "qwerty asdfgh"))
    try:
        shown_by(view, "bread", owner="\0")
    except BadRequest as error:
        print("search page, scanner:", error)


def speak_dutch() -> None:
    """Call the view and the code of the guide for several languages, with Dutch pages as well."""
    from blog.models import BlogPage, Term
    from django.utils import translation
    from wagtail.models import Locale, PageViewRestriction

    dutch = Locale.objects.create(language_code="nl")
    loaf = BlogPage.objects.get(title="Your first loaf")
    loaf = loaf.copy_for_translation(dutch, copy_parents=True)
    loaf.title = "Je eerste brood"
    loaf.body = "<p>Kneed het deeg. Zet het brood in een hete oven.</p>"
    loaf.save_revision().publish()
    BlogPage.objects.get(title="Rye sourdough").copy_for_translation(dutch, alias=True)
    Term.objects.create(word="desem", meaning="Gegist deeg.", locale=dutch)
    Term.objects.create(word="sourdough", meaning="Fermented dough.", locale=Locale.get_active())
    call_command("update_vector_indexes", verbosity=0)

    in_locale, in_all = (b for b in views() if b.document == LANGUAGES)
    with translation.override("nl"):
        print("Dutch:", *sorted(titles(shown_by(in_locale, "brood"))), sep=" | ")
    for language in ("en", "nl"):
        with translation.override(language):
            print(f"once, {language}:", *titles(shown_by(in_all, "bread")))
    private = PageViewRestriction.objects.create(page=loaf, restriction_type="login")
    with translation.override("nl"):
        print("once, private:", *titles(shown_by(in_all, "bread")))
    private.delete()
    for python in blocks("python", LANGUAGES):
        if python.title.startswith("python manage.py shell"):
            run(python.code, str(python))
    print(
        "terms:", *(term.word for term in Term.vector_index.search("dough", filter=Q(locale="nl")))
    )


def open_every_view() -> None:
    """Open the search pages of all guides, in two languages, and while the index is not built."""
    from blog.models import BlogPage
    from django.utils import translation
    from wagtail.models import PageViewRestriction

    [falls_back] = [b for b in views() if b.document == PRODUCTION]
    for language in ("en", "nl"):
        with translation.override(language):
            for view in views():
                print("view", language, view, shown_by(view, "bread"))
            with not_built():
                print("fallback", language, shown_by(falls_back, "sourdough"))
    private = BlogPage.objects.get(title="Rye sourdough", locale__language_code="en")
    PageViewRestriction.objects.create(page=private, restriction_type="login")
    with not_built():
        print("fallback private", shown_by(falls_back, "sourdough"))


def follow_the_sites_languages() -> None:
    """Print the languages of the pages in the guide's index of one site."""
    index: dict[str, Any] = {"__name__": "blog.vector_indexes"}
    exec(block("blog/vector_indexes.py", ENVIRONMENTS), index)  # the guide's code
    for pages in index["MainSiteIndex"]().get_querysets():
        print("main site:", pages[0].locale.language_code)


def show(template: Block) -> None:
    """Render a template with a page and a question."""
    from blog.models import BlogPage
    from django.test import RequestFactory

    print(template, flush=True)
    page = BlogPage.objects.get(title="Rye sourdough")
    request = visitors_request(RequestFactory(), "how do I bake bread?")
    print(engines["django"].from_string(template.code).render({"page": page}, request))


if __name__ == "__main__":
    set_there: dict[str, Any] = {}
    exec(block(SETTINGS, WAGTAIL_SEARCH), set_there)  # the guide's code
    configure(
        "wagtail.contrib.search_promotions",
        "grapple",
        "graphene_django",
        GRAPHENE={"SCHEMA": "grapple.schema.schema", "MIDDLEWARE": []},
        GRAPPLE={"APPS": ["blog"], "EXPOSE_GRAPHIQL": False},
        WAGTAILSEARCH_BACKENDS=set_there["WAGTAILSEARCH_BACKENDS"],
        WAGTAIL_I18N_ENABLED=True,
        WAGTAILDOCS_SERVE_METHOD="direct",
        WAGTAIL_CONTENT_LANGUAGES=[("en", "English"), ("nl", "Dutch")],
        LANGUAGES=[("en", "English"), ("nl", "Dutch")],
        WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS={
            "default": {"BACKEND": "tests.testapp.chat.ScriptedChat"}
        },
    )
    for template in guides("html"):
        Path(template.title).parent.mkdir(parents=True, exist_ok=True)
        Path(template.title).write_text(template.code, encoding="utf-8")
    call_command("makemigrations", "blog", verbosity=0)
    # First, since a database in memory is the tests' as well.
    [tests] = [b for b in guides("python") if b.title == str(TESTS)]
    TESTS.write_text(tests.code, encoding="utf-8")
    call_command("test", "blog", verbosity=0)
    call_command("migrate", verbosity=0)
    from wagtail.documents import get_document_model

    add_pages()
    get_document_model().objects.create(
        title="Bread, a manual", file=ContentFile(b"%PDF", name="bread.pdf")
    )
    call_command("update_vector_indexes", verbosity=0)
    for python in guides("python"):
        try_out(python)
    ask()
    ask_asynchronously()
    call_apis()
    promote()
    log_searches()
    search_page()
    for html in guides("html"):
        show(html)
    speak_dutch()
    open_every_view()
    follow_the_sites_languages()
