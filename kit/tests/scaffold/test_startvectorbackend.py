"""``startvectorbackend``: a whole distribution or nothing, and names that can be used."""

import ast
import os
import re
import subprocess
import sys
import tomllib
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command, load_command_class

from tests.fake_distributions import make_site, offering
from wagtail_vector_index.scaffold.naming import KINDS, STORES
from wagtail_vector_index.testing.rules import contract_url

ROOT = Path(__file__).parents[3]

FILES = {
    ".github/workflows/tests.yml",
    ".gitignore",
    "README.md",
    "pyproject.toml",
    "src/{package}/__init__.py",
    "src/{package}/backend.py",
    "src/{package}/plugin.py",
    "src/{package}/py.typed",
    "tests/conftest.py",
    "tests/test_conformance.py",
    "tests/test_plugin.py",
}
FILES_OF = {
    "library": {"src/{package}/filtering.py", "src/{package}/scoring.py"},
    "sql": {"src/{package}/scoring.py"},
    "service": {
        "src/{package}/filtering.py",
        "src/{package}/operations.py",
        "src/{package}/service.py",
        "tests/stand_in.py",
    },
    "embedding": set(),
}
PACKAGES = dict.fromkeys(STORES, "acme_search_wagtail_vectors") | {
    "embedding": "acme_search_wagtail_embeddings"
}
#: The words of one store that another one must not have.
FOREIGN = {
    "library": ("sqlite", "transaction", "stand_in", "httpx"),
    "sql": ("stand_in", "httpx"),
    "service": ("sqlite", "transaction"),
    "embedding": ("sqlite", "transaction", "stand_in", "httpx"),
}
#: A test of a part of the suite, for a backend whose library warns.
WARNS = """
import warnings
from {package}.backend import {class_name}

search = {class_name}._search

def warned(self, *arguments):
    warnings.warn_explicit("old", DeprecationWarning, "library.py", 1, module="library")
    return search(self, *arguments)

{class_name}._search = warned
"""
#: What a generated backend raises for a file that cannot be used.
RAISES = """
import sqlite3
import sys
from {package}.backend import {class_name}
from wagtail_vector_index.exceptions import BackendError

kind, path = sys.argv[1:]
if kind == "locked":
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
elif kind == "no database":
    open(path, "w").write("Dear diary, today I saw a vector." * 100)
elif kind == "a directory":
    path = "."
else:
    sqlite3.connect(path).execute("CREATE TABLE collections (other)")
backend = {class_name}("default", {class_name}.Options(path=path, timeout=0.0))
try:
    backend.collections()
except BackendError as error:
    print(type(error).__name__)
"""
WITHOUT_PROJECT = [
    [sys.executable, "-m", "wagtail_vector_index", "startvectorbackend", "acme"],
    [
        *[sys.executable, "-m", "django", "startvectorbackend", "acme"],
        "--settings=wagtail_vector_index.scaffold.settings",
    ],
]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """The current folder, which is empty."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def site(tmp_path, monkeypatch):
    """No plugin is installed, unless a test says so."""
    for site in make_site(tmp_path, monkeypatch):
        site.hide()
        yield site


def start(name, *arguments):
    out = StringIO()
    call_command("startvectorbackend", name, *arguments, stdout=out, no_color=True)
    return out.getvalue()


def refusal(name, *arguments):
    with pytest.raises(CommandError) as caught:
        start(name, *arguments)
    return str(caught.value)


def run(command, folder, **environment):
    """Run a program in a folder, without the settings of these tests."""
    ours = ("DJANGO_SETTINGS_MODULE", "PYTEST_ADDOPTS", "PYTEST_XDIST_WORKER")
    environment = {k: v for k, v in os.environ.items() if k not in ours} | environment
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, check=False, cwd=folder
    )


def files_in(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("what", FILES_OF)
class TestDistribution:
    @pytest.fixture
    def started(self, site, folder, what):
        start("acme_search", "--kind" if what in KINDS else "--store", what)
        [started] = folder.iterdir()
        return started

    def test_its_files(self, started, what):
        assert started.name == PACKAGES[what].replace("_", "-")
        expected = FILES | FILES_OF[what]
        assert files_in(started) == {name.format(package=PACKAGES[what]) for name in expected}

    def test_nothing_of_the_templates_is_left(self, started, what):
        for path in started.rglob("*"):
            text = path.read_text(encoding="utf-8") if path.is_file() else ""
            assert "{%" not in text
            assert "{{" not in text.replace("${{ matrix.python }}", "")

    def test_its_readme_leads_to_the_documentation(self, started, what):
        text = (started / "README.md").read_text(encoding="utf-8")
        linked = re.findall(
            rf"{re.escape(contract_url().removesuffix('contract.md'))}([^)]+)", text
        )
        assert "how-to/write-a-backend.md" in linked
        assert [name for name in linked if not (ROOT / "docs" / name).is_file()] == []

    def test_its_python_is_python(self, started, what):
        for path in started.rglob("*.py"):
            ast.parse(path.read_text(encoding="utf-8"))

    def test_its_entry_point_names_its_plugin(self, started, what):
        project = tomllib.loads((started / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert project["name"] == started.name
        assert project["entry-points"] == {
            "wagtail_vector_index": {"acme_search": f"{PACKAGES[what]}.plugin"}
        }
        assert "wagtail-vector-index>=1.0,<2" in project["dependencies"]

    def test_others_may_read_it(self, started, what):
        made = started.parent / "made"
        made.mkdir()
        assert started.stat().st_mode == made.stat().st_mode

    def test_it_has_no_words_of_another_store(self, started, what):
        source = [*started.rglob("src/**/*.py"), started / "README.md", started / ".gitignore"]
        texts = {path.name: path.read_text(encoding="utf-8").lower() for path in source}
        foreign = FOREIGN[what]
        assert [
            (name, word) for name, text in texts.items() for word in foreign if word in text
        ] == []

    def test_its_types_are_checked_by_its_workflow(self, started, what):
        project = tomllib.loads((started / "pyproject.toml").read_text(encoding="utf-8"))
        assert project["tool"]["mypy"]["strict"]
        assert "mypy>=" in " ".join(project["project"]["optional-dependencies"]["test"])
        workflow = (started / ".github/workflows/tests.yml").read_text(encoding="utf-8")
        assert "- run: python -m mypy\n" in workflow


@pytest.mark.parametrize("store", STORES)
@pytest.mark.once
def test_it_passes_its_tests_while_a_library_warns(site, folder, store):
    start("acme", "--store", store)
    [started] = folder.iterdir()
    code = WARNS.format(package="acme_wagtail_vectors", class_name="AcmeBackend")
    (started / "warns.py").write_text(code)
    pytest_of_author = [sys.executable, "-m", "pytest", "-p", "no:django", "-p", "warns"]
    done = run(
        [*pytest_of_author, "-k", "test_limit or test_missing_collection"],
        started,
        PYTHONPATH=os.pathsep.join([str(started), str(started / "src")]),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "DeprecationWarning: old" in done.stdout


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("locked", "BackendUnavailable"),
        ("a directory", "BackendUnavailable"),
        ("no database", "BackendRefused"),
        ("other tables", "BackendRefused"),
    ],
)
def test_its_errors_say_whether_trying_again_may_help(site, folder, kind, error):
    start("acme", "--store", "sql")
    code = RAISES.format(package="acme_wagtail_vectors", class_name="AcmeBackend")
    path = str(folder / "vectors.sqlite3")
    source = str(folder / "acme-wagtail-vectors" / "src")
    done = run([sys.executable, "-c", code, kind, path], folder, PYTHONPATH=source)
    assert (done.stdout, done.stderr) == (f"{error}\n", "")


class TestCommand:
    def test_says_what_to_do_next(self, site, folder):
        printed = start("acme")
        assert printed.startswith(f"{folder / 'acme-wagtail-vectors'} is ready.")
        assert "  cd acme-wagtail-vectors\n" in printed

    def test_both_kinds_may_have_one_name(self, site, folder):
        start("acme", "--kind", "vector")
        start("acme", "--kind", "embedding")
        assert {path.name for path in folder.iterdir()} == {
            "acme-wagtail-vectors",
            "acme-wagtail-embeddings",
        }

    def test_its_kinds_are_those_of_the_scaffold(self):
        parser = load_command_class("wagtail_vector_index", "startvectorbackend").create_parser(
            "manage.py", "startvectorbackend"
        )
        [choices] = [action.choices for action in parser._actions if action.dest == "kind"]
        assert list(choices) == list(KINDS)

    def test_its_stores_are_those_of_the_scaffold(self):
        parser = load_command_class("wagtail_vector_index", "startvectorbackend").create_parser(
            "manage.py", "startvectorbackend"
        )
        [choices] = [action.choices for action in parser._actions if action.dest == "store"]
        assert list(choices) == list(STORES)

    def test_an_embedding_backend_has_no_store(self, folder):
        message = refusal("acme", "--kind", "embedding", "--store", "sql")
        assert message == "An embedding backend stores no vectors. Leave out --store."

    def test_another_kind(self, folder):
        assert "invalid choice: 'chat'" in refusal("acme", "--kind", "chat")

    @pytest.mark.parametrize("command", WITHOUT_PROJECT, ids=["module", "django"])
    def test_without_a_project(self, folder, command):
        done = run(command, folder)
        assert (done.returncode, done.stderr) == (0, "")
        assert (folder / "acme-wagtail-vectors" / "pyproject.toml").exists()

    @pytest.mark.parametrize("arguments", [[], ["migrate"]])
    def test_without_a_project_there_is_no_other_command(self, folder, arguments):
        done = run([sys.executable, "-m", "wagtail_vector_index", *arguments], folder)
        assert done.returncode == 1
        assert "Usage: python -m wagtail_vector_index startvectorbackend NAME" in done.stderr
        assert "run it with manage.py" in done.stderr


class TestNames:
    @pytest.mark.parametrize(
        ("name", "meant"),
        [
            ("acme-search", "acme_search"),
            ("Acme", "acme"),
            ("acme search", "acme_search"),
            ("acme.search", "acme_search"),
            ("acme__search", "acme_search"),
            ("_acme_", "acme"),
        ],
    )
    def test_that_are_almost_right(self, folder, name, meant):
        message = refusal(name)
        assert f"{name!r} cannot be the name of a backend" in message
        assert message.endswith(f"Did you mean {meant!r}?")

    @pytest.mark.parametrize(
        "name", ["", "2fast", "größe", "日本", "../acme", "a/b", "-", "a" * 41]
    )
    def test_that_cannot_be(self, folder, name):
        message = refusal("--", name)
        assert "lower-case ASCII letters, digits and single underscores" in message
        assert "Did you mean" not in message

    @pytest.mark.parametrize("name", ["class", "import", "async"])
    def test_keywords(self, folder, name):
        assert "a keyword of Python" in refusal(name)

    @pytest.mark.parametrize(
        ("name", "arguments"), [("vector", ()), ("service", ("--store", "service"))]
    )
    def test_whose_class_would_hide_its_base(self, site, folder, name, arguments):
        taken = f"class would be {name.capitalize()}Backend, which is the name of the base class"
        assert taken in refusal(name, *arguments)
        start(name, "--kind", "embedding")

    def test_that_an_installed_plugin_has(self, site, folder):
        site.install(
            "acme-vectors",
            {"other": "acme_plugin"},
            version="2.1",
            acme_plugin=offering("vector", acme='path="a.B"'),
        )
        message = refusal("acme")
        assert "the plugin 'other' of acme-vectors 2.1 offers a vector backend" in message
        start("acme", "--kind", "embedding")

    @pytest.mark.parametrize(
        ("name", "kind", "article"), [("qdrant", "vector", "a"), ("openai", "embedding", "an")]
    )
    def test_that_one_of_our_own_plugins_has(self, site, folder, name, kind, article):
        message = refusal(name, "--kind", kind)
        assert f'(pip install "wagtail-vector-index[{name}]")' in message
        assert f"offers {article} {kind} backend of that name" in message

    def test_of_a_package_that_is_there(self, site, folder):
        site.install("other", {}, **{"acme_wagtail_vectors/__init__": ""})
        assert "there is a package 'acme_wagtail_vectors' already" in refusal("acme")

    @pytest.fixture(autouse=True)
    def nothing_is_written(self, folder, request):
        yield
        written = [path.name for path in folder.iterdir() if "embeddings" not in path.name]
        assert written == []


class TestNothingIsOverwrittenOrHalfWritten:
    @pytest.mark.parametrize("kind", ["folder", "empty folder", "file", "broken link"])
    def test_what_exists_is_left_alone(self, site, folder, kind):
        target = folder / "acme-wagtail-vectors"
        if kind == "file":
            target.write_text("mine")
        elif kind == "broken link":
            target.symlink_to("nowhere")
        else:
            target.mkdir()
        if kind == "folder":
            (target / "pyproject.toml").write_text("mine")
        before = files_in(folder)
        message = refusal("acme")
        assert f"{target} exists already, and nothing was written." in message
        assert files_in(folder) == before
        assert [path.name for path in folder.iterdir()] == [target.name]

    def test_a_full_disk(self, site, folder, monkeypatch):
        written = []

        def write(path, text, **options):
            if len(written) == 5:
                raise OSError(28, "No space left on device")
            written.append(path)
            return real(path, text, **options)

        real = Path.write_text
        monkeypatch.setattr(Path, "write_text", write)
        message = refusal("acme")
        assert (
            "cannot be written: [Errno 28] No space left on device. No file of it is left."
            in message
        )
        assert len(written) == 5
        assert list(folder.iterdir()) == []
        monkeypatch.undo()
        monkeypatch.chdir(folder)
        start("acme")

    def test_the_current_folder_is_gone(self, site, folder):
        folder.rmdir()
        assert "No such file" in refusal("acme")
