"""What is in every wheel: exactly what is listed here, and nothing of another's."""

from __future__ import annotations

import re
import subprocess
import tarfile
import zipfile
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
from distributions import CORE, EXAMPLES, FOLDERS, KIT, PLUGINS, ROOT, VERSION, Built

# A "*" stands for one part of a path, "**" at the end for all that is below.
CONTENTS = {
    CORE: [
        "wagtail_vector_index/py.typed",
        "wagtail_vector_index/*.py",
        "wagtail_vector_index/admin/*.py",
        "wagtail_vector_index/admin/views/*.py",
        "wagtail_vector_index/answering/*.py",
        "wagtail_vector_index/backends/base.py",
        "wagtail_vector_index/background/*.py",
        "wagtail_vector_index/changes/*.py",
        "wagtail_vector_index/chat/base.py",
        "wagtail_vector_index/content/*.py",
        "wagtail_vector_index/content/text/*.py",
        "wagtail_vector_index/contract/*.py",
        "wagtail_vector_index/contract/services/*.py",
        "wagtail_vector_index/embeddings/base.py",
        "wagtail_vector_index/indexes/*.py",
        "wagtail_vector_index/indexing/*.py",
        "wagtail_vector_index/management/*.py",
        "wagtail_vector_index/management/commands/*.py",
        "wagtail_vector_index/management/evaluation/*.py",
        "wagtail_vector_index/migrations/*.py",
        "wagtail_vector_index/models/*.py",
        "wagtail_vector_index/plugins/*.py",
        "wagtail_vector_index/reranking/base.py",
        "wagtail_vector_index/search/*.py",
        "wagtail_vector_index/static/wagtail_vector_index/*.css",
        "wagtail_vector_index/static/wagtail_vector_index/*.js",
        "wagtail_vector_index/templates/wagtail_vector_index/admin/*.html",
        "wagtail_vector_index/templatetags/*.py",
        "wagtail_vector_index/wagtail_search/*.py",
    ],
    KIT: [
        "wagtail_vector_index/pytest_options.py",
        "wagtail_vector_index/scaffold/py.typed",
        "wagtail_vector_index/scaffold/*.py",
        "wagtail_vector_index/scaffold/templates/**",
        "wagtail_vector_index/testing/py.typed",
        "wagtail_vector_index/testing/*.py",
    ],
    "wagtail-vector-index-fastembed": [
        "wagtail_vector_index/embeddings/fastembed/py.typed",
        "wagtail_vector_index/embeddings/fastembed/*.py",
        "wagtail_vector_index/reranking/fastembed/py.typed",
        "wagtail_vector_index/reranking/fastembed/*.py",
    ],
    "wagtail-vector-index-numpy": [
        "wagtail_vector_index/backends/numpy/py.typed",
        "wagtail_vector_index/backends/numpy/*.py",
        "wagtail_vector_index/backends/numpy/columns/*.py",
    ],
    "wagtail-vector-index-openai": [
        "wagtail_vector_index/chat/openai/py.typed",
        "wagtail_vector_index/chat/openai/*.py",
        "wagtail_vector_index/embeddings/openai/py.typed",
        "wagtail_vector_index/embeddings/openai/*.py",
        "wagtail_vector_index/reranking/openai/py.typed",
        "wagtail_vector_index/reranking/openai/*.py",
    ],
    "wagtail-vector-index-pgvector": [
        "wagtail_vector_index/backends/pgvector/py.typed",
        "wagtail_vector_index/backends/pgvector/*.py",
        "wagtail_vector_index/backends/pgvector/migrations/*.py",
    ],
    "wagtail-vector-index-qdrant": [
        "wagtail_vector_index/backends/qdrant/py.typed",
        "wagtail_vector_index/backends/qdrant/*.py",
    ],
    "wagtail-vector-index-weaviate": [
        "wagtail_vector_index/backends/weaviate/py.typed",
        "wagtail_vector_index/backends/weaviate/*.py",
    ],
    "wagtail-vector-index-wordllama": [
        "wagtail_vector_index/embeddings/wordllama/py.typed",
        "wagtail_vector_index/embeddings/wordllama/*.py",
    ],
    "sqlitevec-wagtail-vectors": [
        "sqlitevec_wagtail_vectors/py.typed",
        "sqlitevec_wagtail_vectors/*.py",
    ],
    "usearch-wagtail-vectors": [
        "usearch_wagtail_vectors/py.typed",
        "usearch_wagtail_vectors/*.py",
    ],
}
ALL = {**FOLDERS, **EXAMPLES}
METADATA = ["METADATA", "RECORD", "WHEEL", "licenses/LICENSE"]
NAMESPACES = ["backends", "chat", "embeddings", "reranking"]


def matches(name: str, pattern: str) -> bool:
    if pattern.endswith("/**"):
        return name.startswith(pattern.removesuffix("**"))
    parts, patterns = name.split("/"), pattern.split("/")
    return len(parts) == len(patterns) and all(map(fnmatchcase, parts, patterns))


def content(wheel: Path) -> Iterator[str]:
    """Names of the files in a wheel, metadata left out."""
    for name in zipfile.ZipFile(wheel).namelist():
        if not name.split("/")[0].endswith(".dist-info"):
            yield name


def sources(folder: Path) -> set[str]:
    """The files of a distribution that git would keep, relative to its `src`."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "src"]
    names = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True).stdout
    return {name.removeprefix("src/") for name in names.splitlines() if (folder / name).exists()}


def test_every_distribution_is_listed() -> None:
    assert set(CONTENTS) == set(ALL)


@pytest.mark.parametrize("name", ALL)
def test_wheel_holds_what_is_listed(name: str, built: Built) -> None:
    names = list(content(built.wheels[name]))
    unlisted = [n for n in names if not any(matches(n, pattern) for pattern in CONTENTS[name])]
    absent = [pattern for pattern in CONTENTS[name] if not any(matches(n, pattern) for n in names)]
    assert (unlisted, absent) == ([], [])


@pytest.mark.parametrize("name", ALL)
def test_wheel_holds_all_sources(name: str, built: Built) -> None:
    """The wheel is made from the source distribution, so that holds them as well."""
    assert set(content(built.wheels[name])) == sources(ALL[name])


@pytest.mark.parametrize("name", FOLDERS)
def test_wheel_metadata(name: str, built: Built) -> None:
    wheel = zipfile.ZipFile(built.wheels[name])
    info = f"{name.replace('-', '_')}-{VERSION}.dist-info"
    # All but core are plugins: of core, or of pytest.
    listed = METADATA if name == CORE else [*METADATA, "entry_points.txt"]
    files = {n for n in wheel.namelist() if n.startswith(info)}
    assert files == {f"{info}/{file}" for file in listed}
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()


@pytest.mark.parametrize("name", FOLDERS)
def test_links_of_the_readme_lead_out_of_the_package_index(name: str, built: Built) -> None:
    """It is shown there, where no other file of the repository is."""
    wheel = zipfile.ZipFile(built.wheels[name])
    [metadata] = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
    targets = re.findall(r"\]\(\s*([^)\s]+)", wheel.read(metadata).decode())
    assert targets
    assert [target for target in targets if not target.startswith(("https://", "#"))] == []


def test_no_two_wheels_hold_the_same_file(built: Built) -> None:
    """One would overwrite the other's on install, and delete it on uninstall."""
    names = [name for wheel in built.wheels.values() for name in content(wheel)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("name", FOLDERS)
def test_namespaces_stay_namespaces(name: str, built: Built) -> None:
    forbidden = {f"wagtail_vector_index/{namespace}/__init__.py" for namespace in NAMESPACES}
    assert forbidden.isdisjoint(content(built.wheels[name]))


@pytest.mark.parametrize("name", PLUGINS)
def test_plugin_keeps_to_its_own_folders(name: str, built: Built) -> None:
    """One for each kind of backend, all of one name."""
    leaves = {Path(n).parts[:3] for n in content(built.wheels[name])}
    packages, namespaces, names = map(set, zip(*leaves, strict=True))
    assert packages == {"wagtail_vector_index"}
    assert namespaces <= set(NAMESPACES)
    assert len(names) == 1


@pytest.mark.parametrize("name", ALL)
def test_sdist_holds_tests_and_texts(name: str, built: Built) -> None:
    with tarfile.open(built.sdists[name]) as archive:
        names = {member.split("/", 1)[1] for member in archive.getnames()}
    assert {"LICENSE", "PKG-INFO", "README.md", "pyproject.toml"} <= names
    tests = {str(path.relative_to(ALL[name])) for path in ALL[name].glob("tests/test_*.py")}
    assert tests <= names
