"""The contract and the base classes work where Wagtail is not installed, and without settings."""

import os
import subprocess
import sys

PROGRAM = """
import sys
from uuid import UUID

ABSENT = {"modelcluster", "modelsearch", "taggit", "treebeard", "wagtail"}


class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, Refuse())

from django.conf import settings
from django.db.models import Q

from wagtail_vector_index.backends.base import VectorBackend
from wagtail_vector_index.chat.base import ChatBackend
from wagtail_vector_index.contract import CollectionSpec, RecordBatch, parse_filter
from wagtail_vector_index.contract.sansio import arun, run
from wagtail_vector_index.contract.services import ServiceBackend
from wagtail_vector_index.embeddings.base import EmbeddingBackend
from wagtail_vector_index.reranking.base import RerankingBackend

spec = CollectionSpec(name="blog", dimensions=2, fields={"year": "int"})
batch = RecordBatch.of(ids=[UUID(int=1)], vectors=[[1.0, 0.0]], metadata=[{"year": 2026}])


class Letters(EmbeddingBackend):
    def embed(self, texts):
        return [[float(len(text)), 1.0] for text in texts]


print(parse_filter(Q(year__gte=2020) & ~Q(year=2024), spec.fields))
print([record.id.int for record in batch])
print(list(Letters("default", Letters.Options()).embed_query("bread")))
assert not settings.configured
loaded = {name.partition(".")[0] for name in sys.modules}
assert not ABSENT & loaded
assert not [name for name in sys.modules if name.startswith("wagtail_vector_index.models")]
"""


def test_contract_and_base_classes_work():
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", PROGRAM],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    parsed, ids, vector = done.stdout.splitlines()
    assert parsed.startswith("And(")
    assert (ids, vector) == ("[1]", "[5.0, 1.0]")
