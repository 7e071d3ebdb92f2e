"""The only way things are run here: `nox -l` lists the sessions."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "uv|virtualenv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["lint", "types", "tests", "matrix"]
# Interpreters are found, never downloaded. Nox lists every session that it
# skips for want of one.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# What a session can import is what is installed in it. Nox itself may have been
# started with a PYTHONPATH, and by now has found what it needs there.
os.environ.pop("PYTHONPATH", None)
# Images of containers like to set this; each of many processes would compile Wagtail anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
# Behind a corporate proxy, only the system knows which certificates to trust.
# Older releases of uv know the setting by its second name.
os.environ.setdefault("UV_SYSTEM_CERTS", "1")
os.environ.setdefault("UV_NATIVE_TLS", "1")

ROOT = Path(__file__).parent
CORE = nox.project.load_toml(ROOT / "core" / "pyproject.toml")
GROUPS = nox.project.load_toml(ROOT / "pyproject.toml")
PLUGINS = sorted(path.parent.name for path in ROOT.glob("plugins/*/pyproject.toml"))
DISTRIBUTIONS = ["core", "kit", *(f"plugins/{name}" for name in PLUGINS)]
# All have the same version. Where it is written, and under which name:
VERSIONS = {
    ROOT / "core" / "src" / "wagtail_vector_index" / "__init__.py": "__version__",
    **{ROOT / folder / "pyproject.toml": "version" for folder in DISTRIBUTIONS[1:]},
}
# Of third parties, as it were: built, typed and tested as ours are, and installed by no extra.
EXAMPLES = sorted(f"examples/{path.parent.name}" for path in ROOT.glob("examples/*/pyproject.toml"))

PYTHONS = nox.project.python_versions(CORE)
DJANGOS = {"7.4": ["5.2", "6.0"], "8.0": ["5.2", "6.0", "6.1"]}
DJANGO_6_PYTHON = "3.12"  # the lowest that Django 6 runs on


def number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


CELLS = [
    (python, wagtail, django)
    for python in PYTHONS
    for wagtail, djangos in DJANGOS.items()
    for django in djangos
    if number(django) < (6,) or number(python) >= number(DJANGO_6_PYTHON)
]


def runs(path: Path, version: str) -> bool:
    """Whether this file is a Python of that version, and not a shim that only fails."""
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.strip() == version


@functools.cache
def pyenv_versions() -> list[Path]:
    """The `bin` folders of the interpreters that pyenv and its kind have installed."""
    homes = [Path(folder).parent for folder in os.get_exec_path() if Path(folder).name == "shims"]
    if root := os.environ.get("PYENV_ROOT"):
        homes.append(Path(root))
    homes.append(Path.home() / ".pyenv")
    folders = (home.glob("versions/*/bin") for home in dict.fromkeys(homes))
    return [folder for found in folders for folder in sorted(found)]


def find(version: str) -> bool:
    """Whether nox will find this Python.

    One that pyenv keeps, but has not activated, is added to the end of the PATH.
    """
    name = f"python{version}"
    if runs(Path(sys.executable), version):
        return True
    if (on_path := shutil.which(name)) and runs(Path(on_path), version):
        return True
    for folder in pyenv_versions():
        if (folder / name).exists() and runs(folder / name, version):
            os.environ["PATH"] += os.pathsep + str(folder)
            return True
    return False


FOUND = [version for version in PYTHONS if find(version)]
if not FOUND:  # to skip some is fine, to skip all is not
    nox.options.error_on_missing_interpreters = True
# Where everything is newest, of the Pythons that are here.
NEWEST = next((cell for cell in reversed(CELLS) if cell[0] in FOUND), CELLS[-1])
# Tests with this mark depend on no version.
NOT_ONCE = ("-m", "not once")
# The longest tests first, so that none is begun when the other workers are done.
OF_DJANGO = ("tests", "demo/tests", "core/tests", "kit/tests/scaffold")
# These depend on clients, not on Django: they run in `tests` and in `minimums`.
# Each in a process of its own: gRPC can be forked in one way for each of its users only.
OF_CLIENTS = ("kit/tests/testing", *(f"plugins/{name}/tests" for name in PLUGINS))
# What every plugin and every search relies on.
COVERED_WHOLLY = (
    "core/src/wagtail_vector_index/content/filter_values.py",
    "core/src/wagtail_vector_index/contract/filters.py",
    "core/src/wagtail_vector_index/plugins/*",
)


def group(*names: str) -> list[str]:
    return list(nox.project.dependency_groups(GROUPS, *names))


def editable(*others: str) -> list[str]:
    return [argument for folder in (*DISTRIBUTIONS, *others) for argument in ("--editable", folder)]


def build(session: nox.Session, distributions: list[str], folder: Path, *options: str) -> list[str]:
    """Build distributions, and nothing else, into a folder."""
    shutil.rmtree(folder, ignore_errors=True)
    for distribution in distributions:
        session.run("uv", "build", "--quiet", *options, "--out-dir", str(folder), distribution)
    return [str(file) for pattern in ("*.tar.gz", "*.whl") for file in sorted(folder.glob(pattern))]


def pytest(session: nox.Session, *arguments: str, measured: bool = False) -> None:
    command = ("coverage", "run", "-m", "pytest") if measured else ("pytest",)
    # Few tests are long: a worker that is done takes over what waits behind one of them.
    workers = ("-n", "auto", "--dist", "worksteal")
    # Of what is chosen by `-k`, some groups may have nothing (5).
    codes = [0, 5] if session.posargs else [0]
    session.run(*command, *workers, *arguments, *session.posargs, success_codes=codes)


def all_tests(session: nox.Session, *marks: str, of_clients: bool, measured: bool = False) -> None:
    """All tests, or those whose paths are given behind `--`, which are not measured."""
    # After `-k`, a word is none, even if a folder has its name.
    words = [word.partition("::")[0] for word in session.posargs if re.search(r"/|::|\.py$", word)]
    if any((ROOT / word).exists() for word in words):
        pytest(session, *marks)
        return
    if measured:
        session.run("coverage", "erase")
    pytest(session, *marks, *OF_DJANGO, measured=measured)
    if of_clients:
        for path in OF_CLIENTS:
            pytest(session, *marks, path, measured=measured)
        for example in EXAMPLES:  # with a configuration of its own, that knows no marks of ours
            pytest(session, f"{example}/tests", measured=measured)


def install_cell(session: nox.Session, wagtail: str, django: str, *installed: str) -> None:
    session.install(f"wagtail~={wagtail}.0", f"Django~={django}.0", *installed, *group("test"))


@nox.session(python=NEWEST[0])
def tests(session: nox.Session) -> None:
    """All tests, on the newest Python that is here, with the newest Wagtail and Django."""
    install_cell(session, *NEWEST[1:], *editable(*EXAMPLES))
    all_tests(session, of_clients=True, measured=True)


# Each pair of Wagtail and Django once, on the oldest Python that is here for it, but for those
# that `tests` and `minimums` run: `nox -t brief` takes a quarter of the time.
OLDEST = {cell[1:]: cell for cell in reversed(CELLS) if cell[0] in FOUND}
BRIEF = {cell for pair, cell in OLDEST.items() if pair != NEWEST[1:]} - {CELLS[0]}
MATRIX = [
    nox.param(
        *cell,
        id="{}, wagtail {}, django {}".format(*cell),
        tags=["brief"] if cell in BRIEF else [],
    )
    for cell in CELLS
]


@nox.session
@nox.parametrize("python,wagtail,django", MATRIX)
def matrix(session: nox.Session, wagtail: str, django: str) -> None:
    """What depends on versions, on every Python here with every Wagtail and Django for it."""
    install_cell(session, wagtail, django, *editable())
    all_tests(session, *NOT_ONCE, of_clients=False)


@nox.session
def coverage(session: nox.Session) -> None:
    """What the last runs of `tests` and `langchain` covered."""
    session.install(*group("coverage"))
    session.run("coverage", "combine", "--keep", "--quiet")
    session.run("coverage", "report", *session.posargs)
    session.run("coverage", "report", f"--include={','.join(COVERED_WHOLLY)}", "--fail-under=100")


@nox.session
def postgresql(session: nox.Session) -> None:
    """Core's tests once more, with PostgreSQL as the site's database."""
    session.install(*editable(), *group("test"))
    paths = session.posargs or ("core/tests",)
    session.run("python", "-m", "tests.on_postgresql", "-n", "auto", *NOT_ONCE, *paths)


@nox.session(python=PYTHONS[0], venv_backend="uv", reuse_venv=False)
def minimums(session: nox.Session) -> None:
    """All tests, with the lowest release of every dependency that is allowed."""
    # Old clients have escapes that compiling warns of.
    session.install("--resolution", "lowest-direct", "--compile-bytecode", *editable(*EXAMPLES))
    session.install(*group("test"))
    session.run("uv", "pip", "list", external=True)
    all_tests(session, *NOT_ONCE, of_clients=True)


@nox.session
def types(session: nox.Session) -> None:
    """Mypy, on what users install: wheels."""
    session.install("uv")
    folder = Path(session.create_tmp()) / "wheels"
    built = build(session, [*DISTRIBUTIONS, *EXAMPLES], folder, "--wheel")
    session.install("--force-reinstall", "--no-deps", *built)
    session.install(*built, *group("types"))
    packages = ["wagtail_vector_index"]
    packages += [path.name for example in EXAMPLES for path in (ROOT / example / "src").iterdir()]
    named = [argument for package in packages for argument in ("-p", package)]
    session.run("mypy", "--strict", *named, *session.posargs)


def house_of_core(folder: Path) -> Path:
    """Copy core's modules to where import-linter sees all of them.

    It passes over folders without ``__init__.py``, as the namespaces of the plugins are.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "core" / "src", folder)
    for namespace in ("backends", "chat", "embeddings"):
        (folder / "wagtail_vector_index" / namespace / "__init__.py").touch()
    return folder


@nox.session
def lint(session: nox.Session) -> None:
    """Ruff, core's import contracts, the forge's workflows, the changelog's fragments."""
    session.install(*group("lint"))
    session.run("ruff", "check", *session.posargs)
    session.run("ruff", "format", "--check")
    house = house_of_core(Path(session.create_tmp()) / "house")
    paths = os.pathsep.join([str(house), str(ROOT)])
    session.run("lint-imports", "--no-cache", env={"PYTHONPATH": paths})
    workflows = sorted(str(path) for path in ROOT.glob(".github/workflows/*.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("zizmor", "--offline", "--quiet", ".github")
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation: the site is built into docs/_build, and what it says is tried out."""
    session.install(*editable(), *group("docs"))
    # Afresh: pages that were built before would not warn again.
    options = ("--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")
    pytest(session, "tests/docs")


@nox.session
def langchain(session: nox.Session) -> None:
    """LangChain's public tests for vector stores, on every vector backend."""
    session.install(*editable(), *group("langchain"))
    session.run("coverage", "run", "-m", "pytest", "tests/langchain", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Every distribution as it is shipped, in dist/: contents, installs, uninstalls."""
    session.install(*group("packaging"))
    # Each wheel is made from the source distribution alone.
    built = build(session, DISTRIBUTIONS, ROOT / "dist")
    session.run("twine", "check", "--strict", *built)
    pytest(session, "tests/packaging")


@nox.session
def changelog(session: nox.Session) -> None:
    """The next release's notes; `-- 1.1.0` writes them, and gives all that version."""
    session.install(*group("lint"))
    if not session.posargs:
        session.run("towncrier", "build", "--draft", "--version", "next")
        return
    [version] = session.posargs
    session.run("towncrier", "build", "--yes", "--version", version)
    for path, name in VERSIONS.items():
        text = path.read_text(encoding="utf-8")
        changed = re.sub(rf'^{name} = ".*"$', f'{name} = "{version}"', text, flags=re.MULTILINE)
        path.write_text(changed, encoding="utf-8")


@nox.session
def benchmark(session: nox.Session) -> None:
    """The product beside its peers and its limits."""
    session.install(
        *editable(*EXAMPLES), *group("benchmark"), "--requirement=demo/requirements.txt"
    )
    session.run("python", "-m", "benchmarks.run", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """A Wagtail site of real text, searched; `-- --serve` serves it, `-- --help` tells more."""
    words = " ".join(session.posargs).replace("=", " ").split()
    names = ["requirements", *(f"requirements-{word}" for word in words)]
    needed = [path for name in names if (path := ROOT / "demo" / f"{name}.txt").exists()]
    session.install(*editable(), *(f"--requirement={path}" for path in needed))
    session.run("python", "demo/run.py", *session.posargs)
