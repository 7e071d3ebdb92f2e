"""Doing what a document says: its commands, in one shell, and the files that it shows."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

from distributions import REFRESH, Built, clean_environment
from uv import find_uv_bin

BLOCK = re.compile(r"^```(?P<language>\w+)\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
TITLE = re.compile(r"(?:# |<!-- )(?P<file>\S+?)(?P<append>, at the end)?(?: -->)?\n")


def outside(built: Built) -> dict[str, str]:
    """The variables of a shell in which installers find what was built."""
    return clean_environment() | {
        name: str(built.folder) for name in ("PIP_FIND_LINKS", "UV_FIND_LINKS")
    }


@dataclass
class Reader:
    """Somebody who does what a document says, in one shell."""

    folder: Path
    environment: dict[str, str]
    printed: str = ""
    server: list[str] = field(default_factory=list)

    def follow_all(self, text: str) -> None:
        """Follow every block of a text."""
        for block in BLOCK.finditer(text):
            self.follow(block["language"], block["code"])

    def follow(self, language: str, code: str) -> None:
        """Run a block's commands, write its file, or compare what was printed with it."""
        if language == "sh":
            for line in code.splitlines():
                self.run(shlex.split(line))
        elif language == "text":
            assert self.printed == code
        else:
            self.write(code)

    def run(self, words: list[str]) -> None:
        match words:
            case ["cd", name]:
                self.folder /= name
            case ["source", script]:
                self.activate((self.folder / script).parent)
            case ["python", "manage.py", "createsuperuser"]:
                self.call([*words, "--noinput"])
            case ["python", "manage.py", "runserver"]:
                self.server = words
            case ["python3", *rest]:
                self.call([sys.executable, *rest])
            case ["pip", "install", *rest] if not os.environ.get("TUTORIAL_WITH_PIP"):
                self.call([find_uv_bin(), "pip", "install", *REFRESH, *rest])
            case _:
                self.printed = self.call(words)

    def activate(self, bin_folder: Path) -> None:
        """Enter a virtual environment."""
        self.environment["PATH"] = f"{bin_folder}:{self.environment['PATH']}"
        self.environment["VIRTUAL_ENV"] = str(bin_folder.parent)

    def call(self, words: list[str]) -> str:
        # Through env, which looks programs up on the PATH that was activated.
        result = subprocess.run(
            ["env", *words],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert result.returncode == 0, f"{shlex.join(words)}\n{result.stdout}\n{result.stderr}"
        return result.stdout

    def write(self, code: str) -> None:
        title = TITLE.match(code)
        assert title, f"Which file is this?\n{code}"
        file = self.folder / title["file"]
        file.parent.mkdir(parents=True, exist_ok=True)
        before = file.read_text(encoding="utf-8") if title["append"] else ""
        file.write_text(before + code, encoding="utf-8")
