"""The documents of this repository, and the code blocks in them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"

#: Those in lists are indented.
FENCED = re.compile(
    r"^(?P<indent> *)```(?P<language>[\w{}-]*)\n(?P<code>.*?)^(?P=indent)```$",
    re.DOTALL | re.MULTILINE,
)

#: Of Python and of HTML.
COMMENT = re.compile(r"(?:# |<!-- )(?P<text>.*?)(?: -->)?$", re.MULTILINE)


@dataclass(frozen=True, kw_only=True)
class Block:
    """One fenced block: where it stands, in which language, and its text."""

    document: Path
    line: int
    language: str
    code: str

    def __str__(self) -> str:
        return f"{self.document.relative_to(ROOT)}:{self.line}"

    @property
    def title(self) -> str:
        """The comment on the first line, by which a block says what file it is."""
        first = COMMENT.match(self.code)
        return first["text"] if first else ""


def documents() -> list[Path]:
    """Every Markdown file that git keeps."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in sorted(set(names.splitlines())) if (ROOT / name).exists()]


def blocks(language: str, *chosen: Path) -> list[Block]:
    """The blocks of one language, in these documents or in all of them."""
    found = []
    for document in chosen or documents():
        text = document.read_text(encoding="utf-8")
        for match in FENCED.finditer(text):
            if match["language"] == language:
                line = text.count("\n", 0, match.start()) + 1
                code = dedent(match["code"])
                found.append(Block(document=document, line=line, language=language, code=code))
    return found


def block(title: str, document: Path = README) -> str:
    """Return the first Python block of a document, the README by default, with this title."""
    return next(b.code for b in blocks("python", document) if b.title.split(",")[0] == title)


def said_by(script: Path, folder: Path) -> str:
    """What a script prints that makes a site of this folder and tries it."""
    environment = {k: v for k, v in os.environ.items() if k != "DJANGO_SETTINGS_MODULE"}
    result = subprocess.run(
        [sys.executable, script],
        cwd=folder,
        env=environment | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert result.returncode == 0, f"{result.stdout}\n{result.stderr}"
    return result.stdout
