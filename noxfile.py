"""The sessions that test, build and measure this project. To list them, run `nox -l`."""

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
# Nox uses the interpreters of this machine and downloads none. It lists every session that it
# skips because an interpreter is missing.
nox.options.download_python = "never"
nox.options.error_on_missing_interpreters = False

# A session must import only what is installed in it. Nox itself may have been started with a
# PYTHONPATH, which it no longer needs at this point.
os.environ.pop("PYTHONPATH", None)
# Container images often set this. Then each of many processes would compile Wagtail again.
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
# The files that state the version, which is the same for all distributions, and its name there.
VERSIONS = {
    ROOT / "core" / "src" / "wagtail_vector_index" / "__init__.py": "__version__",
    **{ROOT / folder / "pyproject.toml": "version" for folder in DISTRIBUTIONS[1:]},
}
# Examples of third-party distributions. They are built, typed and tested like ours, but no extra
# installs them.
EXAMPLES = sorted(f"examples/{path.parent.name}" for path in ROOT.glob("examples/*/pyproject.toml"))

PYTHONS = nox.project.python_versions(CORE)
DJANGOS = {"7.4": ["5.2", "6.0"], "8.0": ["5.2", "6.0", "6.1"]}
DJANGO_6_PYTHON = "3.12"  # the lowest Python that Django 6 runs on


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
    """Return whether this file is a Python of that version, and not a shim that only fails."""
    command = [path, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return result.returncode == 0 and result.stdout.strip() == version


@functools.cache
def pyenv_versions() -> list[Path]:
    """Return the `bin` folders of the interpreters that pyenv and similar tools installed."""
    homes = [Path(folder).parent for folder in os.get_exec_path() if Path(folder).name == "shims"]
    if root := os.environ.get("PYENV_ROOT"):
        homes.append(Path(root))
    homes.append(Path.home() / ".pyenv")
    folders = (home.glob("versions/*/bin") for home in dict.fromkeys(homes))
    return [folder for found in folders for folder in sorted(found)]


def find(version: str) -> bool:
    """Return whether nox will find this Python.

    If pyenv has installed it but not activated it, add it to the end of the PATH.
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
if not FOUND:  # skipping some interpreters is fine, but skipping all is an error
    nox.options.error_on_missing_interpreters = True
# The cell with the newest versions, for the Pythons of this machine.
NEWEST = next((cell for cell in reversed(CELLS) if cell[0] in FOUND), CELLS[-1])
# Many tests wait for a process, a server or an event: a core is busy with more than one of them.
CORES = os.cpu_count() or 1
WORKERS = str(min(2 * CORES, CORES + 4))
# Tests with this mark do not depend on versions, so they run only in one session.
NOT_ONCE = ("-m", "not once")
# The longest tests come first, so that no worker begins one when the others are done.
OF_CORE = ("core/tests",)
OF_SITES = ("tests", "demo/tests", "kit/tests/scaffold")
# The tests of plugins and of their suites depend on clients, not on Django, so they run only in
# `tests` and `minimums`.
OF_SUITES = ("kit/tests/testing",)
# Its double is a server of gRPC in the tests' own process, where other clients cannot fork then.
OF_QDRANT = "plugins/qdrant_backend/tests"
OF_PLUGINS = [path for name in PLUGINS if (path := f"plugins/{name}/tests") != OF_QDRANT]
# Every plugin and every search relies on these files, so their coverage must be 100%.
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
    """Empty a folder, build distributions into it, and return the paths of their files."""
    shutil.rmtree(folder, ignore_errors=True)
    for distribution in distributions:
        session.run("uv", "build", "--quiet", *options, "--out-dir", str(folder), distribution)
    return [str(file) for pattern in ("*.tar.gz", "*.whl") for file in sorted(folder.glob(pattern))]


def pytest(
    session: nox.Session, *arguments: str, measured: bool = False, on_postgresql: bool = False
) -> None:
    command = ("coverage", "run", "-m", "pytest") if measured else ("pytest",)
    if on_postgresql:
        command = ("python", "-m", "tests.on_postgresql")
    # Only lines are measured: since Python 3.12 its own monitoring does that at no cost, while a
    # trace of branches makes the tests take nearly twice as long.
    monitored = measured and number(NEWEST[0]) >= (3, 12)
    env = {"COVERAGE_CORE": "sysmon"} if monitored else {}
    # Only a few tests are long. A worker that is done takes over tests that wait behind a long one.
    workers = ("-n", WORKERS, "--dist", "worksteal")
    # With `-k`, some groups may contain no chosen test, for which pytest exits with 5.
    codes = [0, 5] if session.posargs else [0]
    session.run(*command, *workers, *arguments, *session.posargs, success_codes=codes, env=env)


def all_tests(
    session: nox.Session,
    *marks: str,
    of_clients: bool,
    measured: bool = False,
    thorough: bool = False,
    on_postgresql: bool = False,
) -> None:
    """Run all tests, or only the paths given after `--`, without measuring coverage."""
    # A word without a slash is not a path, even if a folder has its name, since it may follow -k.
    words = [word.partition("::")[0] for word in session.posargs if re.search(r"/|::|\.py$", word)]
    if any((ROOT / word).exists() for word in words):
        # The examples' own pytest configurations do not know our marks.
        of_examples = any(word.startswith("examples/") for word in words)
        pytest(session, *(() if of_examples else marks))
        return
    if measured:
        session.run("coverage", "erase")
    run = functools.partial(pytest, session, *marks, measured=measured)
    first = [*OF_SITES, *OF_CORE]
    if not of_clients:
        run(*first)
        return
    # Each run begins with the imports of all its workers, so there are as few as can be. The kit's
    # own backends are slow on purpose, so they never hold the large collections.
    size = ("--thorough",) if thorough else ()
    if thorough:
        run(*first, *OF_SUITES, on_postgresql=on_postgresql)
        run(*OF_PLUGINS, *size)
    else:
        run(*first, *OF_SUITES, *OF_PLUGINS, on_postgresql=on_postgresql)
    run(OF_QDRANT, *size)
    # Nobody relies on the lowest releases that an example works with.
    for example in EXAMPLES if thorough else ():
        run(f"{example}/tests", *size)


def install_cell(session: nox.Session, wagtail: str, django: str, *installed: str) -> None:
    session.install(f"wagtail~={wagtail}.0", f"Django~={django}.0", *installed, *group("test"))


@nox.session(python=NEWEST[0])
def tests(session: nox.Session) -> None:
    """Run all tests on this machine's newest Python, with the newest Wagtail and Django."""
    install_cell(session, *NEWEST[1:], *editable(*EXAMPLES))
    all_tests(session, of_clients=True, measured=True, thorough=True)


MATRIX = [nox.param(*cell, id="{}, wagtail {}, django {}".format(*cell)) for cell in CELLS]


@nox.session
@nox.parametrize("python,wagtail,django", MATRIX)
def matrix(session: nox.Session, wagtail: str, django: str) -> None:
    """Run the tests that depend on versions, with every Python, Wagtail and Django."""
    install_cell(session, wagtail, django, *editable())
    all_tests(session, *NOT_ONCE, of_clients=False)


@nox.session
def coverage(session: nox.Session) -> None:
    """Report the coverage of the last runs of `tests` and `langchain`."""
    session.install(*group("coverage"))
    session.run("coverage", "combine", "--keep", "--quiet")
    session.run("coverage", "report", *session.posargs)
    session.run("coverage", "report", f"--include={','.join(COVERED_WHOLLY)}", "--fail-under=100")


# It has the versions that `tests` and `minimums` leave out, if there is a Python for them here.
ON_POSTGRESQL = next((cell for cell in CELLS if cell[0] in FOUND and cell[2] == "6.0"), NEWEST)


@nox.session(python=ON_POSTGRESQL[0])
def postgresql(session: nox.Session) -> None:
    """Run core's tests with PostgreSQL as the site's database."""
    install_cell(session, *ON_POSTGRESQL[1:], *editable())
    pytest(session, *NOT_ONCE, *(() if session.posargs else OF_CORE), on_postgresql=True)


@nox.session(python=PYTHONS[0], venv_backend="uv", reuse_venv=False)
def minimums(session: nox.Session) -> None:
    """Run the tests with the lowest allowed release of every dependency, core's on PostgreSQL."""
    # Compiled here, because old clients contain invalid escapes, of which compiling warns.
    session.install("--resolution", "lowest-direct", "--compile-bytecode", *editable())
    session.install(*group("test"))
    session.run("uv", "pip", "list", external=True)
    # Core's tests run on SQLite in `tests` and `matrix`, so here they run on PostgreSQL. Random
    # series of operations try a backend's own logic, and take a fifth of its suite's time.
    chosen = (*NOT_ONCE, "-k", "not test_behaves_like_the_oracle")
    all_tests(session, *chosen, of_clients=True, on_postgresql=True)


@nox.session
def types(session: nox.Session) -> None:
    """Run mypy on the wheels, which are what users install."""
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
    """Copy core's modules into a folder in which import-linter sees all of them; return it.

    Import-linter ignores folders without ``__init__.py``, such as the plugins' namespaces.
    """
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(ROOT / "core" / "src", folder)
    for namespace in ("backends", "chat", "embeddings", "reranking"):
        (folder / "wagtail_vector_index" / namespace / "__init__.py").touch()
    return folder


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code, core's import contracts, the workflows and the changelog's fragments."""
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
    """Build the documentation into docs/_build, and test its examples and claims."""
    session.install(*editable(), *group("docs"))
    # All pages are built again, since pages from an earlier build would show no warnings.
    options = ("--fail-on-warning", "--keep-going", "--fresh-env", "--quiet")
    session.run("sphinx-build", *options, "docs", "docs/_build/html")
    pytest(session, "tests/docs")


@nox.session
def langchain(session: nox.Session) -> None:
    """Run LangChain's public tests for vector stores on every vector backend."""
    session.install(*editable(), *group("langchain"))
    session.run("coverage", "run", "-m", "pytest", "tests/langchain", *session.posargs)


@nox.session
def release(session: nox.Session) -> None:
    """Build every distribution into dist/, and test their contents, installs and uninstalls."""
    session.install(*group("packaging"))
    # Each wheel is built from the source distribution alone.
    built = build(session, DISTRIBUTIONS, ROOT / "dist")
    session.run("twine", "check", "--strict", *built)
    build(session, EXAMPLES, ROOT / "dist" / "examples")
    pytest(session, "tests/packaging")


@nox.session
def changelog(session: nox.Session) -> None:
    """Print the next release's notes; `-- 1.1.0` writes them and sets all versions."""
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
    """Run the benchmarks, which compare this project with others, on the Python that runs nox."""
    session.install(
        *editable(*EXAMPLES), *group("benchmark"), "--requirement=demo/requirements.txt"
    )
    session.run("python", "-m", "benchmarks.run", *session.posargs)


@nox.session
def demo(session: nox.Session) -> None:
    """Make and search a Wagtail site of real text; see `-- --serve` and `-- --help`."""
    words = " ".join([*session.posargs, os.environ.get("DEMO_BACKEND", "")])
    words = words.replace("=", " ").split()
    names = ["requirements", *(f"requirements-{word}" for word in words)]
    needed = [path for name in names if (path := ROOT / "demo" / f"{name}.txt").exists()]
    session.install(*editable(), *(f"--requirement={path}" for path in needed))
    session.run("python", "demo/run.py", *session.posargs)
