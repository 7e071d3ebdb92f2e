"""One version for all distributions, and ranges between them that let each be updated alone."""

from __future__ import annotations

import re
import tomllib
import zipfile
from collections import defaultdict
from email.message import Message
from email.parser import BytesParser

import pytest
from distributions import EXAMPLES, FOLDERS, ROOT, VERSION, Built, unreleasable
from packaging.requirements import Requirement
from packaging.version import Version


def metadata(name: str, built: Built) -> Message:
    wheel = zipfile.ZipFile(built.wheels[name])
    [file] = [n for n in wheel.namelist() if n.endswith(".dist-info/METADATA")]
    return BytesParser().parsebytes(wheel.read(file))


def requirements_of_ours(name: str, built: Built) -> list[Requirement]:
    lines = metadata(name, built).get_all("Requires-Dist", [])
    return [needed for needed in map(Requirement, lines) if needed.name in FOLDERS]


@pytest.mark.parametrize("name", FOLDERS)
def test_version_is_that_of_core(name: str, built: Built) -> None:
    assert metadata(name, built)["Version"] == VERSION


@pytest.mark.parametrize("name", FOLDERS)
def test_needs_any_release_up_to_the_next_major_one(name: str, built: Built) -> None:
    """From a release that is out already, or comes out together with this one."""
    needed = requirements_of_ours(name, built)
    assert needed
    for requirement in needed:
        bounds = {part.operator: Version(part.version) for part in requirement.specifier}
        assert set(bounds) == {">=", "<"}, f"{name}: {requirement}"
        assert bounds[">="] <= Version(VERSION), f"{name}: {requirement}"
        assert bounds["<"] == Version(str(Version(VERSION).major + 1)), f"{name}: {requirement}"


def test_each_dependency_has_one_lowest_release() -> None:
    """Our tests install all distributions together, and so try the highest of these only."""
    lowest: defaultdict[str, dict[str, str]] = defaultdict(dict)
    for name, folder in {**FOLDERS, **EXAMPLES, "the tests": ROOT}.items():
        facts = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))
        project = facts.get("project", {})
        groups = [
            project.get("dependencies", []),
            *project.get("optional-dependencies", {}).values(),
            facts.get("dependency-groups", {}).get("test", []),
        ]
        for line in (line for group in groups for line in group if isinstance(line, str)):
            needed = Requirement(line)
            bounds = [part.version for part in needed.specifier if part.operator in (">=", "~=")]
            if needed.name not in FOLDERS:
                lowest[needed.name][name] = max(bounds, key=Version)
    different = {each: found for each, found in lowest.items() if len(set(found.values())) > 1}
    assert lowest["pytest"]
    assert not different


DATED = f"# Changelog\n\n## {VERSION} - 2027-01-31\n\n## 0.10.0 - 2025-03-01\n"


@pytest.mark.parametrize(
    ("tag", "notes", "fragments", "reason"),
    [
        (f"v{VERSION}", DATED, [], ""),
        ("v0.9.9", DATED, [], f"The tag is v0.9.9, but the version is {VERSION}."),
        (f"v{VERSION}", DATED.replace("2027-01-31", "unreleased"), [], r"not \['unreleased'\]"),
        (f"v{VERSION}", DATED.replace(VERSION, "0.9.9"), [], r"with a date, not \[\]"),
        (f"v{VERSION}", DATED + f"## {VERSION} - unreleased\n", [], "must have one heading"),
        (f"v{VERSION}", DATED, ["+b.fixed.md", "1.added.md"], r"fragments: \+b.fixed.md, 1.added"),
    ],
)
def test_a_tag_is_refused_unless_the_notes_are_complete(
    tag: str, notes: str, fragments: list[str], reason: str
) -> None:
    said = unreleasable(tag, notes, fragments)
    assert re.search(reason, said) if reason else said == ""
