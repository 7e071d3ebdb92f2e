"""Django's debug page shows the variables of every frame that an error passed."""

import sys
import traceback

import pytest
from django.views.debug import ExceptionReporter

from tests.fake_distributions import BACKEND
from tests.setting_errors import VECTOR, error
from wagtail_vector_index.exceptions import ConfigurationError, PluginBroken
from wagtail_vector_index.handlers import vector_backends

SHOWN = "abc123".upper()  # an error report quotes this file, too
BROKEN = f"{BACKEND}\n    def __init__(self, *args):\n        "
STRICT = BACKEND.replace(
    "    closed = False",
    "        def __post_init__(self):\n            raise {}\n\n    closed = False",
)


def check_report():
    try:
        vector_backends["default"]
    except ConfigurationError:
        page = ExceptionReporter(None, *sys.exc_info()).get_traceback_html()
    assert "ConfigurationError" in page
    assert SHOWN not in page


@pytest.mark.parametrize(
    "broken",
    [
        {"default": {"API_KEY": SHOWN}},
        {"default": {"BACKEND": 3, "API_KEY": SHOWN}},
        {"default": {"BACKEND": "acne", "API_KEY": SHOWN}},
        {"default": {"BACKEND": "acme", "API_KEY": SHOWN, "HSOT": ""}},
        {"default": {"BACKEND": "acme", "API_KEY": SHOWN, "TIMEOUT": "slow"}},
        {"default": {"BACKEND": "acme", "API_KEY": [SHOWN]}},
        {"default": "acme", "other": {"BACKEND": "acme", "API_KEY": SHOWN}},
        [{"BACKEND": "acme", "API_KEY": SHOWN}],
        {"other": {"BACKEND": "acme", "API_KEY": SHOWN}},
    ],
)
def test_of_wrong_settings(acme, settings, broken):
    acme()
    setattr(settings, VECTOR, broken)
    check_report()


@pytest.mark.parametrize(
    "backend",
    [
        STRICT.format("ValueError('HOST is empty')"),
        STRICT.format("ValueError(f'not {self.api_key}')"),
        STRICT.format("KeyError('a mistake')"),
        STRICT.format("KeyError(self.api_key)"),
        STRICT.format("KeyError('a mistake')").replace("raise", "key = self.api_key; raise"),
        f"{BROKEN}raise OSError('no disk')",
        f"{BROKEN}key = args[1].api_key; raise OSError('no disk')",
        (
            f"{BROKEN}key = args[1].api_key\n        try: 1 / 0\n"
            "        except ZeroDivisionError as error: raise OSError('no disk') from error"
        ),
        f"{BROKEN}raise OSError(args[1].api_key)",
    ],
)
def test_of_a_backend_that_cannot_be_made(acme, configure, backend):
    acme(backend=f"{backend}\n")
    configure(default={"BACKEND": "acme", "API_KEY": SHOWN})
    check_report()


def test_an_authors_own_mistake_is_traced(acme, configure):
    acme(backend=STRICT.format("KeyError('a mistake')"))
    configure(default={"BACKEND": "acme"})
    frames = traceback.extract_tb(error(PluginBroken).__cause__.__traceback__)
    assert [frame.name for frame in frames] == ["__post_init__"]
