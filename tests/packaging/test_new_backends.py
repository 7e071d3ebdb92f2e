"""What the author of a backend does: start it, edit nothing, test it, build it, install it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from distributions import Environment, uv

VECTOR = "WAGTAIL_VECTOR_INDEX_VECTOR_BACKENDS"
EMBEDDING = "WAGTAIL_VECTOR_INDEX_EMBEDDING_BACKENDS"

# Each kind beside one of the other kind that is part of the site, or of core.
SETTINGS = {
    "vector": {
        VECTOR: {"default": {"BACKEND": "acme", "PATH": "vectors.sqlite3"}},
        EMBEDDING: {"default": {"BACKEND": "recipes.embeddings.LetterEmbeddings"}},
    },
    "embedding": {
        VECTOR: {"default": {"BACKEND": "wagtail_vector_index.testing.OracleBackend"}},
        EMBEDDING: {"default": {"BACKEND": "acme"}},
    },
}


@pytest.mark.parametrize("kind", SETTINGS)
def test_author_edits_nothing(kind: str, environment: Environment) -> None:
    environment.install_extra("testing")
    started = ["wagtail_vector_index", "startvectorbackend", "acme", "--kind", kind]
    environment.run("-m", *started)
    [source] = environment.folder.glob("acme-*")

    install(environment, build(source))
    passed = environment.run("-m", "pytest", "-q", folder=source)
    assert " passed" in passed

    settings: dict[str, object] = {**SETTINGS[kind]}
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
