"""Helpers of the handlers' tests: the names of the settings, and the error of an alias."""

import pytest
from django.core.exceptions import ImproperlyConfigured

from wagtail_vector_index.exceptions import ConfigurationError
from wagtail_vector_index.handlers import vector_backends

VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
EMBEDDING = "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"
CHAT = "WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS"


def error(expected, handler=vector_backends, alias="default"):
    with pytest.raises(ConfigurationError) as caught:
        handler[alias]
    assert type(caught.value) is expected
    assert isinstance(caught.value, ImproperlyConfigured)
    return caught.value
