from vectordemo.models import Section


def sections(request):
    """The sections for the navigation and the search form, in every template."""
    return {"sections": Section.choices}
