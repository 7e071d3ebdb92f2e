"""Found like `admin.py`: what is searched, and by what means."""

from vectordemo.models import DocPage
from wagtail_vector_index.indexes import PageVectorIndex


class SiteIndex(PageVectorIndex):
    """Every document of the site."""

    querysets = [DocPage.objects.all()]
