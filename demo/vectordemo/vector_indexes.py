"""The site's vector index. Wagtail Vector Index discovers this module automatically."""

from vectordemo.models import DocPage
from wagtail_vector_index.indexes import PageVectorIndex


class SiteIndex(PageVectorIndex):
    """The index of every document of the site."""

    querysets = [DocPage.objects.all()]
