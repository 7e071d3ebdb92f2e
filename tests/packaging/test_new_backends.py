"""What the author of a backend does: start it, edit nothing, test it, build it, install it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from distributions import Environment, uv

VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
EMBEDDING = "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"

# Each kind beside one of the other kind that is part of the site, or of core.
LETTERS = {"default": {"BACKEND": "recipes.embeddings.LetterEmbeddings"}}
SETTINGS = {
    "library": {VECTOR: {"default": {"BACKEND": "acme"}}, EMBEDDING: LETTERS},
    "sql": {
        VECTOR: {"default": {"BACKEND": "acme", "PATH": "vectors.sqlite3"}},
        EMBEDDING: LETTERS,
    },
    "embedding": {
        VECTOR: {"default": {"BACKEND": "wagtail_vector_index.testing.OracleBackend"}},
        EMBEDDING: {"default": {"BACKEND": "acme"}},
    },
}


def started(environment: Environment, *options: str) -> Path:
    """Start a backend, build and install it, and run its tests and mypy."""
    environment.install_extra("testing")
    environment.run("-m", "wagtail_vector_index", "startvectorbackend", "acme", *options)
    [source] = environment.folder.glob("acme-*")
    install(environment, build(source))
    assert " passed" in environment.run("-m", "pytest", "-q", folder=source)
    # The others' types are read once for all backends of this process.
    cache = str(environment.compiled / "mypy")
    checked = environment.run("-m", "mypy", folder=source, MYPY_CACHE_DIR=cache)
    assert "Success: no issues found" in checked
    return source


def test_author_of_a_service_edits_nothing(environment: Environment) -> None:
    """Its service exists only while its tests run."""
    started(environment, "--store", "service")


@pytest.mark.parametrize("what", SETTINGS)
def test_author_edits_nothing(what: str, environment: Environment) -> None:
    kind = "embedding" if what == "embedding" else "vector"
    source = started(environment, "--kind" if kind == what else "--store", what)

    settings: dict[str, object] = {**SETTINGS[what]}
    *_, backends, checked, answer = environment.manage(
        settings,
        ["migrate", "--run-syncdb"],
        ["loaddata", "recipes"],
        ["update_vector_indexes"],
        ["vector_backends", "--check"],
        ["check"],
        ["get", "/search/?q=how+do+I+bake+bread"],
    )
    assert f"acme  ({source.name} 0.1.0)" in backends
    assert f"{kind} backend 'acme': {kind.capitalize()} backend 'acme'" in backends
    assert "Recipe: 3 chunks, 0 changes pending" in backends
    assert "[exit" not in backends
    assert checked == "System check identified no issues (0 silenced).\n"
    assert json.loads(answer)[0] == "Bread"


def build(source: Path) -> Path:
    uv("build", "--quiet", "--out-dir", source / "dist", source)
    [wheel] = source.glob("dist/*.whl")
    return wheel


def install(environment: Environment, wheel: Path) -> None:
    name = wheel.name.split("-")[0]
    links = environment.built.folder
    environment.pip("install", "--quiet", "--find-links", links, f"{name}[test] @ {wheel.as_uri()}")
