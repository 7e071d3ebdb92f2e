import time

from django.core.paginator import Paginator
from django.db.models import Q
from django.shortcuts import render
from wagtail.models import Locale, Site

from vectordemo.models import DocPage, Section
from vectordemo.questions import QUESTIONS
from vectordemo.vector_indexes import SiteIndex
from wagtail_vector_index.exceptions import VectorIndexError

LIMIT = 50
# Pages with a lower score are near by the model's measure, but not in the eyes of a reader.
THRESHOLD = 0.15
PER_PAGE = 10
LONGEST_QUERY = 500


def search(request):
    """Show the search form and the best pages for a question, perhaps within a section."""
    query = " ".join(request.GET.get("q", "").split())[:LONGEST_QUERY]
    section = request.GET.get("section", "")
    if section not in Section.values:
        section = ""
    results, problem = None, ""
    started = time.perf_counter()
    try:
        results = _results(request, query, section) if query else None
    except VectorIndexError as error:
        # The index is not built yet, or was built with another model. The message says what to do.
        problem = str(error)
    context = {
        "query": query,
        "section": section,
        "section_label": Section(section).label if section else "",
        "results": results,
        "problem": problem,
        "milliseconds": (time.perf_counter() - started) * 1000,
        "questions": QUESTIONS,
    }
    return render(request, "vectordemo/search.html", context)


def _results(request, query, section):
    filters = Q(locale=Locale.get_active().language_code)
    if section:
        filters &= Q(section=section)
    home = Site.find_for_request(request).root_page.localized
    found = SiteIndex().search(
        query,
        limit=LIMIT,
        filter=filters,
        within=DocPage.objects.descendant_of(home, inclusive=True),
        similarity_threshold=THRESHOLD,
        request=request,
    )
    page = Paginator(found, PER_PAGE).get_page(request.GET.get("page"))
    page.object_list = list(page.object_list)
    return page
