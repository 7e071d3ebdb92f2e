"""The conformance command, on a server that already holds a site's collections."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from plugins.qdrant_backend.tests.double import Running
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.backends.qdrant import QdrantBackend
from wagtail_vector_index.testing.examples import random_vectors, sorted_ids

pytestmark = pytest.mark.once

KEY = "key-0123456789abcdef"


def test_nothing_else_on_the_server_is_touched(backend: QdrantBackend, running: Running) -> None:
    spec = CollectionSpec(name="site_pages", dimensions=4)
    backend.create(spec)
    backend.upsert(spec, RecordBatch.of(ids=sorted_ids(5), vectors=random_vectors(5, 4)))
    before = backend.get(spec, sorted_ids(5))
    options = {"HOST": running.url, "API_KEY": KEY}
    command = [sys.executable, "-m", "wagtail_vector_index.testing", "qdrant"]
    done = subprocess.run(
        [*command, "--options", json.dumps(options), "--", "-k", "isolation or drop or test_score"],
        env={**os.environ, "NO_PROXY": "*"},
        capture_output=True,
        text=True,
        check=False,
    )
    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert "none left behind" in said
    assert KEY not in said
    assert backend.collections() == [spec.name]
    assert list(backend.get(spec, sorted_ids(5))) == list(before)
    assert backend.count(spec) == 5
