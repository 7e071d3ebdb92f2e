import time

from django.core.paginator import Paginator
from django.db.models import Q
from django.shortcuts import render

from vectordemo.models import Section
from vectordemo.questions import QUESTIONS
from vectordemo.vector_indexes import SiteIndex
from wagtail_vector_index.exceptions import VectorIndexError

LIMIT = 50
# Below this, what is near by the model's measure is not near by a reader's.
THRESHOLD = 0.15
PER_PAGE = 10
LONGEST_QUERY = 500


def search(request):
    """The best pages for a question, if one is asked, within a section if one is chosen."""
    query = " ".join(request.GET.get("q", "").split())[:LONGEST_QUERY]
    section = request.GET.get("section", "")
    if section not in Section.values:
        section = ""
    results, problem = None, ""
    started = time.perf_counter()
    try:
        results = _results(query, section, request.GET.get("page")) if query else None
    except VectorIndexError as error:
        # Not built yet, or built with another model: the message says what to do.
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


def _results(query, section, number):
    filters = Q(section=section) if section else None
    found = SiteIndex().search(query, limit=LIMIT, filter=filters, similarity_threshold=THRESHOLD)
    page = Paginator(found, PER_PAGE).get_page(number)
    page.object_list = list(page.object_list)
    return page
