"""The package can be imported anywhere, also where Django has not been set up."""

import os
import subprocess
import sys

import pytest

import wagtail_vector_index.content.text


def test_what_is_public():
    assert wagtail_vector_index.content.text.__all__ == [
        "FieldText",
        "TextSplitter",
        "clean_text",
        "convert_streams",
        "field_to_text",
        "html_to_text",
        "read_field",
        "split_text",
        "stream_to_text",
        "value_to_text",
    ]


@pytest.mark.once
def test_importing_needs_no_settings_and_no_wagtail():
    code = (
        "import sys, wagtail_vector_index.content.text as text\n"
        "assert not [name for name in sys.modules if name.split('.')[0] == 'wagtail']\n"
        "assert text.html_to_text('<p>One</p>') == 'One'"
    )
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    command = [sys.executable, "-W", "error", "-c", code]
    subprocess.run(command, check=True, timeout=60, env=environment)
