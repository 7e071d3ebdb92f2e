"""Ten plugins that are broken in ten ways, in one environment: the site works, and names them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest
from distributions import CORE, VERSION, Environment
from hand_made import make_wheel

NUMPY = "wagtail-vector-index-numpy"
DISABLED = "WAGTAIL_VECTOR_INDEX_DISABLED_PLUGINS"
LETTERS = {"default": {"BACKEND": "recipes.embeddings.LetterEmbeddings"}}

PLUGIN = """
from wagtail_vector_index.plugins import BackendSpec, hookimpl

API_VERSION = 1


@hookimpl
def vector_backends():
    return {}
"""


@dataclass(frozen=True, kw_only=True)
class Hostile:
    """A plugin, what is said about it, and the remedy; {it} names it where it is reported."""

    source: str
    says: str
    remedy: str
    entry_point: str = "{package}.plugin"


def offering(offers: str) -> str:
    return PLUGIN.replace("{}", offers)


def unusable(source: str, cause: str, **entry_point: str) -> Hostile:
    """A plugin that cannot be loaded."""
    return Hostile(
        source=source,
        says=f"plugin '{{name}}' of {{distribution}} {{version}} is not usable: {cause}",
        remedy=f"Upgrade or uninstall {{distribution}}, or add '{{name}}' to {DISABLED}.",
        **entry_point,
    )


HOSTILE = {
    "import-error": unusable(
        "import a_module_that_nobody_has", "ModuleNotFoundError: No module named 'a_module_that"
    ),
    "syntax-error": unusable("def vector_backends(:", "SyntaxError: "),
    "exit": unusable("import sys\nsys.exit('Goodbye.')", "SystemExit: Goodbye."),
    "raising-hook": unusable(
        PLUGIN.replace("return {}", "raise RuntimeError('Not today.')"), "RuntimeError: Not today."
    ),
    "unknown-hook": unusable(
        PLUGIN.replace("vector_backends", "vektor_backends"),
        "TypeError: unknown hook 'vektor_backends'",
    ),
    "api-version": Hostile(
        source=PLUGIN.replace("API_VERSION = 1", "API_VERSION = 99"),
        says=(
            "plugin '{name}' of {distribution} {version} is not usable: LaterApiVersion: it is"
            " written for plugin API version 99, but this wagtail-vector-index has version 1."
        ),
        remedy="Upgrade wagtail-vector-index, uninstall {distribution}, or add '{name}' to",
    ),
    "taken-name": Hostile(
        source=offering('{"numpy": BackendSpec(path="nowhere.Backend")}'),
        says=(
            "plugin '{name}' of {distribution} {version} and"
            f" the plugin 'numpy' of {NUMPY} {VERSION} both offer a vector backend named 'numpy'"
        ),
        remedy=f"'{{distribution}}:numpy' or '{NUMPY}:numpy'",
    ),
    "wrong-type": unusable(
        offering('["wrong.Backend"]'),
        "TypeError: vector_backends() must return a dict of name to BackendSpec",
    ),
    "missing-client": Hostile(
        source=offering(
            '{"clientless": BackendSpec(path="nowhere.Backend", requires=("no_such_client",))}'
        ),
        says=(
            "plugin '{name}' of {distribution} {version} needs no_such_client, which cannot be"
            " imported"
        ),
        remedy="pip install {distribution}",
    ),
    "entry-point-to-nothing": unusable(
        "", "ModuleNotFoundError: No module named '{package}.nothing'",
        entry_point="{package}.nothing",
    ),
}  # fmt: skip


def test_there_are_ten() -> None:
    assert len(HOSTILE) == 10


def wheel(folder: Path, name: str, hostile: Hostile) -> Path:
    facts = facts_of(name)
    package = facts["package"]
    files = {f"{package}/__init__.py": "", f"{package}/plugin.py": hostile.source}
    entry_point = f"{name} = {hostile.entry_point.format(**facts)}"
    return make_wheel(folder, facts["distribution"], facts["version"], files, entry_point)


def facts_of(name: str) -> dict[str, str]:
    """What the reports name; each version is another."""
    return {
        "name": name,
        "distribution": f"hostile-{name}",
        "package": f"hostile_{name.replace('-', '_')}",
        "version": f"6.6.{list(HOSTILE).index(name)}",
    }


@pytest.fixture
def infested(environment: Environment, tmp_path: Path) -> Environment:
    """Core, the NumPy backend and all ten."""
    environment.install(CORE, NUMPY)
    wheels = [wheel(tmp_path, name, hostile) for name, hostile in HOSTILE.items()]
    environment.pip("install", "--quiet", "--no-deps", *wheels)
    return environment


def test_the_site_works_and_names_each_with_its_remedy(infested: Environment) -> None:
    settings: dict[str, object] = {"WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS": LETTERS}
    *_, checked, backends, answer = infested.manage(
        settings,
        ["migrate", "--run-syncdb"],
        ["loaddata", "recipes"],
        ["update_vector_indexes"],
        ["check"],
        ["vector_backends", "--check"],
        ["get", "/search/?q=how+do+I+bake+bread"],
    )
    assert answer.startswith('["Bread", ')
    assert "[exit" not in checked
    assert "System check identified 10 issues" in checked
    assert "default: NumpyBackend(" in backends
    assert "[exit" not in backends
    for printed in (checked, backends):
        for name, hostile in HOSTILE.items():
            assert hostile.says.format(**facts_of(name)) in printed
            assert hostile.remedy.format(**facts_of(name)) in printed


def test_a_site_that_chose_one_is_told_why_it_does_not_work(infested: Environment) -> None:
    chosen = {name: {"BACKEND": name} for name in HOSTILE}
    chosen["taken-name"] = {"BACKEND": "numpy"}
    chosen["missing-client"] = {"BACKEND": "clientless"}
    settings: dict[str, object] = {
        "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS": {
            **chosen,
            "good": {"BACKEND": f"{NUMPY}:numpy"},
        },
        "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS": LETTERS,
    }
    [backends] = infested.manage(settings, ["vector_backends", "--check"])
    lines = dict(line.strip().split(": ", 1) for line in backends.splitlines() if ": " in line)
    assert lines["good"].startswith("NumpyBackend(")
    assert "): works: " in lines["good"]
    for name in HOSTILE:
        facts = facts_of(name)
        assert f"{facts['distribution']} {facts['version']}" in lines[name]


def test_all_can_be_switched_off(infested: Environment) -> None:
    settings: dict[str, object] = {
        DISABLED: list(HOSTILE),
        "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS": LETTERS,
    }
    [checked] = infested.manage(settings, ["check"])
    assert checked == "System check identified no issues (0 silenced).\n"
