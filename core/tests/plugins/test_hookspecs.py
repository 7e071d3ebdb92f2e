"""Every hook is documented, and its example works."""

import inspect
import textwrap

import pytest

from tests.fake_distributions import PLUGIN
from wagtail_vector_index import plugins
from wagtail_vector_index.plugins import hookspecs
from wagtail_vector_index.plugins.discovery import registry

HOOKS = {
    name: value
    for name, value in vars(hookspecs).items()
    if inspect.isfunction(value) and value.__module__ == hookspecs.__name__
}


def example(function):
    _, _, text = inspect.getdoc(function).partition("Example::\n")
    return textwrap.dedent(text)


def test_these_are_the_hooks():
    assert set(HOOKS) == {
        "vector_backends",
        "embedding_backends",
        "chat_backends",
        "reranking_backends",
        "documents_prepared",
        "index_updated",
        "search_performed",
    }


@pytest.mark.parametrize("name", HOOKS)
def test_has_a_docstring_with_an_example(name):
    first_line = inspect.getdoc(HOOKS[name]).splitlines()[0]
    assert first_line.endswith(".")
    assert f"@hookimpl\ndef {name}(" in example(HOOKS[name])


@pytest.mark.parametrize("name", HOOKS)
def test_its_example_is_a_plugin(name, site):
    site.install("acme", {"acme": "acme_plugin"}, acme_plugin=PLUGIN + example(HOOKS[name]))
    assert registry().failures == ()
    kind, _, rest = name.partition("_")
    if rest == "backends":
        assert registry().names(kind) == ["acme"]


@pytest.mark.parametrize("name", HOOKS)
def test_is_a_hook_to_pluggy(name, site):
    assert getattr(registry().hooks.hook, name).has_spec()


def test_the_example_of_the_package_is_a_plugin(site):
    _, _, text = plugins.__doc__.partition("::\n")
    site.install("acme", {"acme": "acme_plugin"}, acme_plugin=textwrap.dedent(text))
    assert registry().names("vector") == ["acme"]
