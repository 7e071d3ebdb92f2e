"""What the tests of answers share."""

from __future__ import annotations

import re

import pytest

from wagtail_vector_index.handlers import chat_backends


@pytest.fixture
def configure(settings):
    """Configures the tests' chat backend as "default", and gives it."""

    def run(**options):
        settings.WAGTAIL_VECTOR_INDEX_CHAT_BACKENDS = {
            "default": {"BACKEND": "tests.testapp.chat.ScriptedChat", **options}
        }
        return chat_backends["default"]

    return run


@pytest.fixture(autouse=True)
def chat(configure):
    """The tests' chat backend, which keeps what it is asked."""
    return configure()


@pytest.fixture
def prompt(chat):
    """The content of the user's message, once the answer has been read."""

    def run(answer, backend=chat):
        assert answer.text
        [system, user] = backend.asked[-1]
        assert (system.role, user.role) == ("system", "user")
        return user.content

    return run


@pytest.fixture
def fenced():
    """The texts of the passages in a prompt, by their numbers."""

    def run(text):
        [word] = re.findall(r"^\[question (\w+)\]$", text, re.MULTILINE)
        block = rf"^\[passage (\d+) {word}\]\n(.*?)\n\[end of passage {word}\]$"
        return {
            int(number): passage
            for number, passage in re.findall(block, text, re.MULTILINE | re.DOTALL)
        }

    return run
