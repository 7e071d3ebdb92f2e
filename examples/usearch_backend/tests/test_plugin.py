from __future__ import annotations

import subprocess
import sys

import pytest
from django.test import override_settings
from usearch_wagtail_vectors.backend import UsearchBackend

from wagtail_vector_index.handlers import vector_backends

DISCOVER = """
import sys
from usearch_wagtail_vectors import plugin
plugin.vector_backends()
print([name for name in ("numpy", "usearch") if name in sys.modules])
"""


def test_a_site_selects_it_by_its_short_name() -> None:
    with override_settings(WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS={"other": {"BACKEND": "usearch"}}):
        assert isinstance(vector_backends["other"], UsearchBackend)


def test_discovery_imports_no_client() -> None:
    command = [sys.executable, "-c", DISCOVER]
    assert subprocess.run(command, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_a_folder_that_does_not_exist_is_told(tmp_path) -> None:
    options = UsearchBackend.Options(snapshot_folder=str(tmp_path / "none"))
    [message] = UsearchBackend("default", options).check()
    assert str(tmp_path / "none") in message.msg
    for folder in ("", str(tmp_path)):
        options = UsearchBackend.Options(snapshot_folder=folder)
        assert UsearchBackend("default", options).check() == []


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("graph_from", 0),
        ("connectivity", 1),
        ("expansion_add", 0),
        ("expansion_search", -1),
        ("recall", 2),
    ],
)
def test_options_that_make_no_sense(option, value) -> None:
    with pytest.raises(ValueError, match=option.upper()):
        UsearchBackend.Options(**{option: value})


def test_health_tells_of_the_graph(load, vectors) -> None:
    from wagtail_vector_index.backends.base import CollectionSpec

    spec = CollectionSpec(name="c", dimensions=32, fields={"n": "int"})
    health = load(spec, vectors).health()
    assert health.ok
    assert health.details["records"] == health.details["linked"] == "2000"
