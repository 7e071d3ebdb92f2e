"""Tests of the HTML of blocks."""

from types import SimpleNamespace

from django.template import Context, Engine
from run import HERE

TABLE = HERE / "vectordemo" / "templates" / "vectordemo" / "blocks" / "table.html"


def test_an_empty_heading_of_a_table_is_no_header():
    """A header without a text tells people who use a screen reader nothing."""
    columns = [SimpleNamespace(heading="Grain"), SimpleNamespace(heading="")]
    engine = Engine(libraries={"wagtailcore_tags": "wagtail.templatetags.wagtailcore_tags"})
    template = engine.from_string(TABLE.read_text("utf-8"))
    html = template.render(Context({"value": {"columns": columns, "rows": []}}))
    assert '<th scope="col">Grain</th><td></td></tr>' in html
