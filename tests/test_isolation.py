"""Several processes update a site in PostgreSQL at once, at each isolation level."""

from __future__ import annotations

import json

import pytest

from tests.shared_databases import new_postgresql_database, postgres  # noqa: F401  # fixtures
from tests.test_processes import COMPARE, EDIT, FILL, UPDATE, Site, finished

pytestmark = pytest.mark.once

#: The numbers by which psycopg, and so Django's option "isolation_level", knows the levels.
LEVELS = {"read committed": 2, "repeatable read": 3, "serializable": 4}

#: Embeds the same texts as another process, in another order: first the last ones.
EMBED = """
from wagtail_vector_index.handlers import embedding_backends
from wagtail_vector_index.indexing.embedding import embedding_ids
from wagtail_vector_index.plugins.documents import PreparedDocument

embedder = embedding_backends["default"]
type(embedder).max_batch_texts = 500
input()
for turn in range(30):
    documents = [
        PreparedDocument(text=f"text {turn} {number}", context="", metadata={})
        for number in range(500)
    ]
    embedding_ids(embedder, documents[::STEP])
"""


@pytest.fixture
def site(request, new_postgresql_database):  # noqa: F811  # the fixture
    """A site whose connections have an isolation level."""
    database = json.loads(new_postgresql_database["TEST_DATABASE_SETTINGS"])
    database["OPTIONS"] = {**database["OPTIONS"], "isolation_level": request.param}
    return Site({"TEST_DATABASE_SETTINGS": json.dumps(database)})


at_each_level = pytest.mark.parametrize("site", LEVELS.values(), ids=LEVELS, indirect=True)


@at_each_level
def test_updates_at_once(site):
    site.script(FILL)
    for change in ("", EDIT, EDIT):
        site.script(f"{change}\npass")
        for process in [site.start(*UPDATE) for _ in range(3)]:
            assert "could not" not in finished(process)
    assert "equal 240 240" in site.script(COMPARE)


@at_each_level
def test_the_same_texts_in_another_order(site):
    site.script(FILL)
    script = f"import django\ndjango.setup()\n{EMBED}"
    both = [site.start("-c", script.replace("STEP", step)) for step in ("1", "-1")]
    for process in both:
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in both:
        finished(process)
    count = "from wagtail_vector_index.models import Embedding; print(Embedding.objects.count())"
    assert site.script(count).strip() == "15000"
