"""The authors' kit: who asks for it has all of it, and a site has nothing of it."""

from __future__ import annotations

import pytest
from distributions import CORE, KIT, Environment

NUMPY = "wagtail-vector-index-numpy"
FOR_AUTHORS = {KIT, "hypothesis", "pytest"}
START = ("-m", "wagtail_vector_index", "startvectorbackend", "acme")
TEST = ("-m", "wagtail_vector_index.testing", "wagtail_vector_index.testing.OracleBackend")
FIND = """
from importlib.util import find_spec
print(*[name for name in ("testing", "scaffold") if find_spec(f"wagtail_vector_index.{name}")])
"""


def packages(environment: Environment) -> list[str]:
    """The kit's packages that can be imported."""
    return environment.run("-c", FIND).split()


def assert_absent(environment: Environment) -> None:
    assert packages(environment) == []
    said = environment.fail(*START)
    assert 'pip install "wagtail-vector-index[testing]"' in said
    assert "Traceback" not in said
    assert not list(environment.folder.glob("acme-*"))


def test_a_site_has_nothing_for_authors(environment: Environment) -> None:
    environment.install(CORE, NUMPY)
    assert environment.installed().isdisjoint(FOR_AUTHORS)
    assert_absent(environment)


def test_the_extra_brings_it(environment: Environment) -> None:
    environment.install_extra("testing")
    assert environment.installed() >= FOR_AUTHORS
    environment.run(*START)
    assert list(environment.folder.glob("acme-wagtail-vectors/pyproject.toml"))
    assert " passed" in environment.run(*TEST, "--", "-k", "test_limit")


def test_uninstalling_it_leaves_core_whole(environment: Environment) -> None:
    environment.install(CORE, NUMPY, KIT)
    assert packages(environment) == ["testing", "scaffold"]
    environment.uninstall(KIT)
    assert environment.try_out("plugins", "default_backend") == {
        "setup": [],
        "plugins": ["numpy"],
        "default_backend": True,
    }
    assert_absent(environment)


@pytest.mark.parametrize("editable", [[KIT], [CORE], [CORE, KIT]], ids="+".join)
def test_editable_and_wheel_installs_mix(environment: Environment, editable: list[str]) -> None:
    environment.install(CORE, KIT, editable=frozenset(editable))
    environment.run(*START)
    assert " passed" in environment.run(*TEST, "--", "-k", "test_limit")
