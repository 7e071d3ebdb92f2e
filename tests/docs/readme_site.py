"""Follows the README on the site in the current folder, and prints what the site prints.

Run by test_readme_site.py in a process of its own, since Django is set up only once.
"""

import sys
from pathlib import Path
from typing import Any

sys.path.append(str(Path(__file__).parents[2]))

import django
from django.conf import settings
from django.core.management import call_command

from tests.docs.code_blocks import README, Block, block, blocks

WAGTAIL_APPS = [
    "blog",
    "wagtail.sites",
    "wagtail.users",
    "wagtail.documents",
    "wagtail.images",
    "wagtail.search",
    "wagtail.admin",
    "wagtail",
    "modelcluster",
    "taggit",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]
PAGES = {
    "Your first loaf": "How to bake bread at home: mix flour, water, salt and yeast, knead the"
    " dough, let it rise for two hours and put it into a hot oven.",
    "Rye sourdough": "A starter of rye flour and water ferments for five days before it can"
    " raise a loaf.",
    "Opening hours": "The shop opens at eight from Monday to Friday, and at nine on Saturday.",
    "How to find us": "Take the tram to the harbour; we are the second house on the left.",
    "Gift vouchers": "Vouchers are sold at the counter and by post, and never expire.",
}


def run(code: str, name: str) -> None:
    exec(compile(code, name, "exec"), {"__name__": name})  # the README's code


def containing(name: str) -> str:
    """The README's first Python block that sets this."""
    return next(b.code for b in blocks("python", README) if f"{name} = " in b.code)


def configure() -> None:
    """A Wagtail site with the README's settings."""
    readme: dict[str, Any] = {}
    exec(block("settings.py"), readme)  # the README's code
    exec(containing("WAGTAILSEARCH_BACKENDS"), readme)
    settings.configure(
        INSTALLED_APPS=[*readme["INSTALLED_APPS"], *WAGTAIL_APPS],
        DATABASES={"default": {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}},
        DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
        ROOT_URLCONF="wagtail.urls",
        SECRET_KEY="docs",
        STATIC_URL="/static/",
        TEMPLATES=[
            {
                "BACKEND": "django.template.backends.django.DjangoTemplates",
                "OPTIONS": {"context_processors": ["django.template.context_processors.request"]},
            }
        ],
        DEBUG=True,
        USE_TZ=True,
        WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS={
            "default": {"BACKEND": "tests.testapp.chat.ScriptedChat"}
        },
        WAGTAILSEARCH_BACKENDS=readme["WAGTAILSEARCH_BACKENDS"],
        WAGTAILADMIN_BASE_URL="http://localhost",
        WAGTAIL_SITE_NAME="docs",
    )
    django.setup()


def add_pages() -> None:
    """Pages of a bakery, below Wagtail's first page."""
    from blog.models import BlogPage
    from wagtail.models import Page

    home = Page.objects.get(depth=2)
    for title, body in PAGES.items():
        home.add_child(instance=BlogPage(title=title, body=f"<p>{body}</p>"))


def ask() -> None:
    """Calls the README's view that streams an answer, as a visitor does."""
    from django.contrib.auth.models import AnonymousUser
    from django.test import RequestFactory

    view: dict[str, Any] = {"__name__": "blog.ask"}
    exec(block("blog/ask.py"), view)  # the README's code
    for question in ("how do I bake bread?", " "):
        request = RequestFactory().get("/ask/", {"q": question})
        request.user = AnonymousUser()
        request.session = {}
        response = view["ask"](request)
        print(response.status_code, b"".join(response).decode())


def ask_asynchronously() -> None:
    """Calls the README's asynchronous view."""
    from asgiref.sync import async_to_sync
    from django.contrib.auth.models import AnonymousUser
    from django.test import AsyncRequestFactory

    view: dict[str, Any] = {"__name__": "blog.ask_async"}
    exec(block("blog/ask_async.py"), view)  # the README's code

    async def answer() -> str:
        request = AsyncRequestFactory().get("/ask/", {"q": "how do I bake bread?"})
        request.user = AnonymousUser()
        request.session = {}
        response = await view["ask"](request)
        return b"".join([piece async for piece in response]).decode()

    print("asynchronously:", async_to_sync(answer)())


def show_templates() -> None:
    """Render the blocks with template tags, with a page and a question."""
    from blog.models import BlogPage
    from django.template import engines
    from django.test import RequestFactory

    page = BlogPage.objects.get(title="Rye sourdough")
    request = RequestFactory().get("/", {"q": "how do I bake bread?"})
    for template in blocks("html", README):
        print(engines["django"].from_string(template.code).render({"page": page}, request))


def searches() -> list[Block]:
    """The blocks that search, in the README's order."""
    return [b for b in blocks("python", README) if ".search(" in b.code]


if __name__ == "__main__":
    configure()
    call_command("makemigrations", "blog", verbosity=0)
    call_command("migrate", verbosity=0)
    add_pages()
    call_command("update_vector_indexes", verbosity=0)
    first, *others = searches()
    for other in others:
        run(other.code, str(other))
    ask()
    ask_asynchronously()
    show_templates()
    run(first.code, str(first))
