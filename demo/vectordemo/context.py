from vectordemo.models import Section


def sections(request):
    """Add the sections to every template, for the navigation and the search form."""
    return {"sections": Section.choices}
