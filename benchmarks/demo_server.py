"""Serves the demo's site for `benchmarks.load`, with Wagtail's own search and an editor's page.

The server's processes import this module: ``gunicorn benchmarks.demo_server:application``. The
database is the one at BENCHMARK_DATABASE.
"""

import os
from pathlib import Path

from benchmarks import demo_site

demo_site.start(Path(os.environ["BENCHMARK_DATABASE"]))

from django.conf import settings  # noqa: E402  # after the set-up
from django.core.handlers.wsgi import WSGIHandler  # noqa: E402
from django.http import HttpResponse  # noqa: E402
from django.shortcuts import render  # noqa: E402
from django.urls import include, path  # noqa: E402
from vectordemo.models import DocPage  # noqa: E402
from vectordemo.views import PER_PAGE  # noqa: E402

settings.DEBUG = False
settings.ROOT_URLCONF = __name__


def wagtail_search(request):
    """Show the best pages by Wagtail's own search in the database, on the demo's search page."""
    query = request.GET["q"]
    found = DocPage.objects.live().public().search(query)
    return render(
        request,
        "vectordemo/search.html",
        {"query": query, "problem": " · ".join(page.title for page in found[:PER_PAGE])},
    )


def publish(request, number):
    """Publish a page with another title, as an editor does."""
    pages = DocPage.objects.order_by("pk")
    page = pages[number % pages.count()]
    page.title = f"{page.title.partition(' edited ')[0]} edited {number}"
    page.save_revision().publish()
    return HttpResponse(page.title)


urlpatterns = [
    path("wagtail/", wagtail_search),
    path("publish/<int:number>/", publish),
    path("", include("vectordemo.urls")),
]

application = WSGIHandler()
