"""The distributions, installed in fresh environments as users install them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from distributions import CORE, FOLDERS, PLUGINS, Environment

FASTEMBED = "wagtail-vector-index-fastembed"
NUMPY = "wagtail-vector-index-numpy"
OPENAI = "wagtail-vector-index-openai"
PGVECTOR = "wagtail-vector-index-pgvector"
QDRANT = "wagtail-vector-index-qdrant"
WEAVIATE = "wagtail-vector-index-weaviate"
WORDLLAMA = "wagtail-vector-index-wordllama"
PACKAGES = {
    FASTEMBED: "wagtail_vector_index.embeddings.fastembed",
    NUMPY: "wagtail_vector_index.backends.numpy",
    OPENAI: "wagtail_vector_index.embeddings.openai",
    PGVECTOR: "wagtail_vector_index.backends.pgvector",
    QDRANT: "wagtail_vector_index.backends.qdrant",
    WEAVIATE: "wagtail_vector_index.backends.weaviate",
    WORDLLAMA: "wagtail_vector_index.embeddings.wordllama",
}
CLIENTS = {
    "apsw",
    "fastembed",
    "numpy",
    "onnxruntime",
    "openai",
    "orjson",
    "pgvector",
    "psycopg",
    "qdrant-client",
    "sqlite-vec",
    "usearch",
    "weaviate-client",
    "wordllama",
}
FOUND = [2, 3]  # what `search` of site_to_try.py should find
ALL = frozenset(FOLDERS)


def short(names: list[str]) -> list[str]:
    return sorted(name.removeprefix(f"{CORE}-") for name in names)


def test_every_plugin_is_tried() -> None:
    assert set(PACKAGES) == set(PLUGINS)


def test_core_alone(environment: Environment) -> None:
    environment.install(CORE)
    assert environment.installed().isdisjoint(CLIENTS)
    seen = environment.try_out(
        "plugins", "checks", "default_backend_error", "imported", "installed"
    )
    assert (seen["setup"], seen["imported"], seen["installed"], seen["plugins"]) == ([], [], [], [])
    assert 'pip install "wagtail-vector-index[numpy]"' in str(seen["default_backend_error"])


def test_core_and_numpy(environment: Environment) -> None:
    environment.install(CORE, NUMPY)
    seen = environment.try_out("plugins", "imported", "default_backend", "search")
    assert seen == {
        "setup": [],
        "plugins": ["numpy"],
        "imported": [],
        "default_backend": True,
        "search": FOUND,
    }


def test_extra_brings_its_plugin(environment: Environment) -> None:
    environment.install_extra("numpy")
    assert NUMPY in environment.installed()
    assert environment.try_out("search")["search"] == FOUND


def test_setup_with_all_plugins_imports_no_client(environment: Environment) -> None:
    environment.install(*FOLDERS)
    seen = environment.try_out("plugins", "modules", "checks", "imported")
    assert seen["plugins"] == short(PLUGINS)
    assert (seen["setup"], seen["imported"]) == ([], [])


def test_uninstalling_a_plugin_leaves_the_others_whole(environment: Environment) -> None:
    environment.install(*FOLDERS)
    for gone in PLUGINS:
        left = [name for name in PLUGINS if name != gone]
        environment.uninstall(gone)
        steps: dict[str, object] = {
            "plugins": short(left),
            "modules": [PACKAGES[name] for name in sorted(left)],
        }
        if gone != NUMPY:
            steps["search"] = FOUND
        assert environment.try_out(*steps) == {"setup": [], **steps}
        find = f"import importlib.util as u; print(u.find_spec({PACKAGES[gone]!r}))"
        assert environment.run("-c", find).strip() == "None"
        environment.install(gone)
    assert environment.try_out("plugins")["plugins"] == short(PLUGINS)


@pytest.mark.parametrize(
    ("name", "options"), [("usearch", {}), ("sqlitevec", {"PATH": "vectors.sqlite3"})]
)
def test_example_of_a_third_party(
    name: str, options: dict[str, str], environment: Environment, tmp_path: Path
) -> None:
    """Its own package, beside core alone: found, not imported, and searched by its short name."""
    environment.install(CORE, f"{name}-wagtail-vectors")
    seen = environment.try_out("plugins", "modules", "imported")
    assert seen == {
        "setup": [],
        "plugins": [name],
        "modules": [f"{name}_wagtail_vectors"],
        "imported": [],
    }
    chosen = {"BACKEND": name, **{key: str(tmp_path / file) for key, file in options.items()}}
    assert environment.try_out("search", VECTOR_BACKEND=json.dumps(chosen))["search"] == FOUND


@pytest.mark.parametrize(
    "editable",
    [
        frozenset(),
        ALL,
        frozenset({CORE}),
        ALL - {CORE},
        frozenset({NUMPY}),
        ALL - {NUMPY},
        frozenset({CORE, WORDLLAMA}),
    ],
    ids=lambda editable: "+".join(short([*editable])) or "none",
)
def test_editable_and_wheel_installs_mix(
    environment: Environment, editable: frozenset[str]
) -> None:
    environment.install(*FOLDERS, editable=editable)
    seen = environment.try_out("plugins", "modules", "search", "embed", "default_backend")
    assert seen == {
        "setup": [],
        "plugins": short(PLUGINS),
        "modules": [PACKAGES[name] for name in sorted(PLUGINS)],
        "search": FOUND,
        "embed": 256,
        "default_backend": True,
    }


def test_editable_after_wheel_and_back(environment: Environment) -> None:
    environment.install(*FOLDERS)
    for editable in (frozenset({NUMPY}), ALL, frozenset[str]()):
        environment.install(*FOLDERS, editable=editable)
        assert environment.try_out("plugins", "search") == {
            "setup": [],
            "plugins": short(PLUGINS),
            "search": FOUND,
        }
