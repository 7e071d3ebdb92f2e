"""The distributions of this repository, and environments to install them in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tomllib
import zipfile
from dataclasses import dataclass
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[2]
SITE = Path(__file__).with_name("site_to_try.py")
RECIPE_SITE = Path(__file__).with_name("recipe_site")
CORE = "wagtail-vector-index"
KIT = "wagtail-vector-index-testing"


def uv(*arguments: str | Path, **environment: str) -> str:
    """Run uv, under the settings for certificates that the noxfile explains."""
    result = subprocess.run(
        [find_uv_bin(), *arguments],
        cwd=ROOT,
        env=clean_environment() | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"uv {' '.join(map(str, arguments))}\n{result.stderr}"
    return result.stdout


def clean_environment() -> dict[str, str]:
    leaking = {"DJANGO_SETTINGS_MODULE", "PYTHONPATH", "PYTHONSAFEPATH", "UV_PYTHON", "VIRTUAL_ENV"}
    return {key: value for key, value in os.environ.items() if key not in leaking}


def folders(*patterns: str) -> dict[str, Path]:
    """Name of each distribution, and where its sources are."""
    files = [
        file for pattern in patterns for file in sorted(ROOT.glob(f"{pattern}/pyproject.toml"))
    ]
    return {tomllib.loads(file.read_text())["project"]["name"]: file.parent for file in files}


def version() -> str:
    """The version of core, which all others share."""
    file = ROOT / "core" / "src" / "wagtail_vector_index" / "__init__.py"
    [found] = re.findall(r'^__version__ = "(.*)"$', file.read_text(encoding="utf-8"), re.MULTILINE)
    return str(found)


FOLDERS = folders("core", "kit", "plugins/*")
#: Backends as third parties publish them.
EXAMPLES = folders("examples/*")
VERSION = version()
# Files that were built anew have the names of those that uv has kept.
REFRESH = [f"--refresh-package={name}" for name in [*FOLDERS, *EXAMPLES]]
PLUGINS = [name for name in FOLDERS if name not in (CORE, KIT)]


def unreleasable(tag: str, notes: str, fragments: list[str]) -> str:
    """Why what was built must not be published under a tag; empty if it may be."""
    if tag != f"v{VERSION}":
        return f"The tag is {tag}, but the version is {VERSION}."
    dates = re.findall(rf"^## {re.escape(VERSION)} - (.*)$", notes, re.MULTILINE)
    if len(dates) != 1 or not re.fullmatch(r"\d{4}-\d\d-\d\d", dates[0]):
        return f"CHANGELOG.md must have one heading of {VERSION}, with a date, not {dates}."
    if fragments:
        return f"The notes of {VERSION} leave out fragments: {', '.join(sorted(fragments))}."
    return ""


@dataclass(frozen=True, kw_only=True)
class Built:
    """Wheels and source distributions, by the name of the distribution."""

    folder: Path
    wheels: dict[str, Path]
    sdists: dict[str, Path]


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A virtual environment, and where its Python keeps what it compiles."""

    folder: Path
    built: Built
    compiled: Path

    @property
    def python(self) -> Path:
        windows = sys.platform == "win32"
        return self.folder / ("Scripts/python.exe" if windows else "bin/python")

    def install(self, *names: str, editable: frozenset[str] = frozenset()) -> None:
        """Install distributions of this repository, and all that they depend on."""
        arguments: list[str | Path] = []
        for name in names:
            arguments += ["-e", FOLDERS[name]] if name in editable else [self.built.wheels[name]]
        self.pip("install", "--quiet", "--find-links", self.built.folder, *arguments)

    def install_extra(self, extra: str) -> None:
        """Install core with one of its extras."""
        wheel = f"{CORE}[{extra}] @ {self.built.wheels[CORE].as_uri()}"
        self.pip("install", "--quiet", "--find-links", self.built.folder, wheel)

    def has_built(self, name: str) -> bool:
        """Whether what is installed under this name is the wheel that was built."""
        wheel = zipfile.ZipFile(self.built.wheels[name])
        [record] = [n for n in wheel.namelist() if n.endswith(".dist-info/RECORD")]
        [installed] = self.folder.glob(f"**/site-packages/{record}")
        lines = {line for line in wheel.read(record).decode().splitlines() if ",sha256=" in line}
        return lines <= set(installed.read_text(encoding="utf-8").splitlines())

    def uninstall(self, *names: str) -> None:
        self.pip("uninstall", "--quiet", *names)

    def pip(self, command: str, *arguments: str | Path) -> str:
        refresh = REFRESH if command == "install" else []
        return uv("pip", command, *refresh, *arguments, VIRTUAL_ENV=str(self.folder))

    def installed(self) -> set[str]:
        rows = json.loads(self.pip("list", "--format", "json"))
        return {row["name"].lower() for row in rows}

    def run(self, *arguments: str | Path, folder: Path | None = None, **environment: str) -> str:
        """Run the environment's Python, which must succeed, and return what it prints."""
        result = self._python(*arguments, folder=folder, **environment)
        assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
        return result.stdout

    def fail(self, *arguments: str | Path) -> str:
        """Run the environment's Python, which must end with 1, and return its errors."""
        result = self._python(*arguments)
        assert result.returncode == 1, f"{result.stdout}\n{result.stderr}"
        return result.stderr

    def _python(
        self, *arguments: str | Path, folder: Path | None = None, **environment: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [self.python, *arguments],
            cwd=folder or self.folder,
            env=clean_environment() | {"PYTHONPYCACHEPREFIX": str(self.compiled)} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def try_out(self, *steps: str, **environment: str) -> dict[str, object]:
        """Set Django up there and run steps of `site_to_try.py`."""
        return json.loads(self.run("-W", "error", SITE, *steps, **environment).splitlines()[-1])

    def manage(self, settings: dict[str, object], *commands: list[str]) -> list[str]:
        """What each management command prints on the site of recipes, all in one process."""
        script = RECIPE_SITE / "run_commands.py"
        printed = self.run(
            "-W",
            "error",
            script,
            json.dumps(commands),
            DJANGO_SETTINGS_MODULE="settings",
            SITE_SETTINGS=json.dumps(settings),
        )
        return list(json.loads(printed.splitlines()[-1]))
