from __future__ import annotations

import subprocess
import sys

import pytest
from django.utils.module_loading import import_string

import wagtail_vector_index.backends.numpy as package
from wagtail_vector_index.backends.numpy import NumpyBackend, plugin
from wagtail_vector_index.backends.numpy.backend import NumpyBackend as Implementation

DISCOVER = """
import sys
from django.utils.module_loading import import_string
from wagtail_vector_index.backends.numpy import plugin
[spec] = plugin.vector_backends().values()
backend = import_string(spec.path)("default", import_string(spec.path).Options())
assert backend.collections() == [] and backend.health().ok
print([name for name in sys.modules if name == "numpy" or name.startswith("numpy.")])
"""


def test_documented_path_is_the_class():
    [spec] = plugin.vector_backends().values()
    assert spec.path == "wagtail_vector_index.backends.numpy.NumpyBackend"
    assert import_string(spec.path) is NumpyBackend is Implementation


def test_discovery_and_checks_import_no_numpy():
    result = subprocess.run(
        [sys.executable, "-c", DISCOVER], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"


def test_package_has_no_other_names():
    with pytest.raises(AttributeError, match="no attribute 'Backend'"):
        _ = package.Backend


def test_lives_in_the_process(backend):
    assert backend.persistent is False
