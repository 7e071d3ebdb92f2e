"""What the documents name must exist: modules, sessions, extras, settings, files."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.measure import tables
from benchmarks.run import BENCHMARKS, LONG

from .code_blocks import README, ROOT, Block, blocks, documents

CORE = tomllib.loads((ROOT / "core" / "pyproject.toml").read_text())["project"]
REPOSITORY = CORE["urls"]["Source"]
NOXFILE = ast.parse((ROOT / "noxfile.py").read_text())

every_document = pytest.mark.parametrize(
    "document", documents(), ids=lambda d: str(d.relative_to(ROOT))
)
every_python_block = pytest.mark.parametrize("block", blocks("python"), ids=str)


def imports(code: str) -> Iterator[tuple[str, str]]:
    """(module, name) of all that a block imports from this project."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "wagtail_vector_index"
        ):
            yield from ((str(node.module), alias.name) for alias in node.names)


def sessions() -> set[str]:
    """The names of nox's sessions."""
    names = set()
    for node in NOXFILE.body:
        if isinstance(node, ast.FunctionDef) and "nox.session" in map(called, node.decorator_list):
            keywords = [
                k for d in node.decorator_list if isinstance(d, ast.Call) for k in d.keywords
            ]
            renamed = [ast.literal_eval(k.value) for k in keywords if k.arg == "name"]
            names.add(renamed[0] if renamed else node.name)
    return names


def called(decorator: ast.expr) -> str:
    return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)


def constant(name: str) -> dict[str, list[str]]:
    """The value of a constant in the noxfile."""
    for node in NOXFILE.body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == name:
            return dict(ast.literal_eval(node.value))
    raise LookupError(name)


def rows(heading: str, document: Path = README) -> list[list[str]]:
    """The cells of the table below a heading of a README, without its head."""
    found = tables(document.read_text(encoding="utf-8"))
    [table] = [table for table in found if table.title == heading]
    return table.rows


@every_python_block
def test_python_compiles(block: Block) -> None:
    compile(block.code, str(block), "exec")


@every_python_block
def test_imported_names_exist(block: Block) -> None:
    for module, name in imports(block.code):
        assert hasattr(importlib.import_module(module), name), f"{block}: {module}.{name}"


@pytest.mark.parametrize("name", [*BENCHMARKS, *LONG])
def test_benchmarks_import_names_that_exist(name: str) -> None:
    """Most import in functions, which run only in a measurement."""
    file = ROOT / "benchmarks" / f"{name}.py"
    found = list(imports(file.read_text(encoding="utf-8")))
    assert [pair for pair in found if not hasattr(importlib.import_module(pair[0]), pair[1])] == []


@pytest.mark.parametrize("block", blocks("toml"), ids=str)
def test_toml_parses(block: Block) -> None:
    tomllib.loads(block.code)


@every_document
def test_blocks_name_their_language(document: Path) -> None:
    assert not blocks("", document)


@every_document
def test_sessions_exist(document: Path) -> None:
    named = re.findall(r"nox -s \"?(\w+)", document.read_text(encoding="utf-8"))
    assert set(named) <= sessions()


def test_every_session_is_explained() -> None:
    contributing = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^\| `nox -s (\w+)`", contributing, re.MULTILINE)) == sessions()


@every_document
def test_extras_exist(document: Path) -> None:
    named = re.findall(r"wagtail-vector-index\[([\w,]+)\]", document.read_text(encoding="utf-8"))
    assert {extra for extras in named for extra in extras.split(",")} <= set(
        CORE["optional-dependencies"]
    )


@every_document
def test_settings_exist(document: Path) -> None:
    named = set(re.findall(r"\bWAGTAIL_VECTOR_INDEX_\w+", document.read_text(encoding="utf-8")))
    sources = "".join(
        path.read_text(encoding="utf-8")
        for folder in ("core", "kit")
        for path in (ROOT / folder / "src").rglob("*.py")
    )
    assert {name for name in named if name not in sources} == set()


def slug(heading: str) -> str:
    """Return the anchor of a heading, as GitHub makes it."""
    return re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


@every_document
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)]+)\)", text):
        file, _, anchor = target.partition("#")
        linked = document.parent / file if file else document
        assert linked.exists(), target
        headings = (
            re.findall(r"^#+ (.*)$", linked.read_text(encoding="utf-8"), re.MULTILINE)
            if anchor
            else []
        )
        assert not anchor or anchor in set(map(slug, headings)), target


@every_document
def test_links_to_the_repository_lead_somewhere(document: Path) -> None:
    """Pages outside of the repository, such as a package index, show these documents too."""
    text = document.read_text(encoding="utf-8")
    for file in re.findall(rf"{re.escape(REPOSITORY)}/(?:blob|tree)/main/([^\s)#`]+)", text):
        assert (ROOT / file).exists(), file
    headings = re.findall(r"^#+ (.*)$", README.read_text(encoding="utf-8"), re.MULTILINE)
    for anchor in re.findall(rf"{re.escape(REPOSITORY)}#([\w-]+)", text):
        assert anchor in {"readme", *map(slug, headings)}, anchor


def test_readme_is_short_and_whole_in_a_clone() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.encode()) <= 6_000
    [picture] = re.findall(r"!\[[^\]]+\]\(([^)]+)\)", text)
    assert (ROOT / picture).is_file()
    assert REPOSITORY not in text


def test_quick_start_is_two_lines() -> None:
    section = (
        README.read_text(encoding="utf-8").partition("\n## Quick start\n")[2].partition("\n## ")[0]
    )
    [code] = re.findall(r"^```sh\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    first, second = code.splitlines()
    assert "nox -s demo" in first
    assert "nox -s tests" in second


def test_version_table_is_what_nox_runs() -> None:
    table: dict[str, list[str]] = {}
    for wagtail, djangos, _ in rows("Supported versions"):
        table.setdefault(wagtail.removesuffix(" LTS"), []).extend(djangos.split(", "))
    assert table == constant("DJANGOS")


def test_core_tells_the_same_versions() -> None:
    heading = "Supported versions"
    assert rows(heading, ROOT / "core" / "README.md") == rows(heading)


@pytest.mark.parametrize(
    "folder", [ROOT / "kit", *sorted(ROOT.glob("plugins/*/"))], ids=lambda path: path.name
)
def test_plugins_tell_what_they_need(folder: Path) -> None:
    told = dict(rows("Supported versions", folder / "README.md"))
    ours = rows("Supported versions")
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    for needed in project["dependencies"]:
        name, lowest, below = re.fullmatch(r"([\w-]+)>=([\d.]+)(?:,<(\d+))?", needed).groups()
        words = f"{lowest} or later" + (f", below {below}" if below else "")
        assert told[f"`{name}`"] == words
    assert told["Wagtail"].split(", ") == list(dict.fromkeys(row[0] for row in ours))
    assert told["Django"] == ours[0][1] + ", " + ours[-1][1]
    assert told["Python"] == ours[0][2]


def test_backend_table_is_what_exists() -> None:
    table = {name.strip("`") for _, name, *_ in rows("Backends")}
    files = ROOT.glob("plugins/*/pyproject.toml")
    exist = {tomllib.loads(file.read_text(encoding="utf-8"))["project"]["name"] for file in files}
    assert table == exist
    extras = CORE["optional-dependencies"]
    assert table == {extras[name][0].partition(">")[0] for name in extras if name != "testing"}


def test_paths_of_the_architecture_exist() -> None:
    page = (ROOT / "docs" / "explanation" / "architecture.md").read_text(encoding="utf-8")
    core, others = page.split("## The other folders")
    drawing, rest = core.split("```text\n")[1].split("```", 1)
    named = re.findall(r"[\w/]+(?:/|\.py)(?=\s)", drawing) + re.findall(r"`([\w/]+\.py)`", rest)
    assert len(named) > 30
    source = ROOT / "core" / "src" / "wagtail_vector_index"
    assert [path for path in named if not (source / path).exists()] == []
    assert [path for path in re.findall(r"`([\w/]+/)`", others) if not (ROOT / path).exists()] == []


def test_the_results_of_all_benchmarks_are_shown() -> None:
    page = (ROOT / "docs" / "reference" / "benchmarks.md").read_text(encoding="utf-8")
    results = {path.stem: path for path in (ROOT / "benchmarks" / "results").glob("*.md")}
    assert set(BENCHMARKS) <= set(results) <= {*BENCHMARKS, *LONG}
    assert [name for name in results if f"benchmarks/results/{name}.md\n" not in page] == []
    for path in results.values():
        last = path.read_text(encoding="utf-8").splitlines()[-1]
        assert re.match(r"Measured on 20\d\d-\d\d-\d\d: .+ cores, .+ memory; Python 3", last), path
