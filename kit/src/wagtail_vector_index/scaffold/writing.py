"""Write the distribution of a new backend: all of it, or nothing."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from django.template import Context, Engine

from .naming import TEMPLATES, NewBackend

__all__ = ["write_distribution"]

SUFFIX = "-tpl"

#: The name of the package's folder in the templates.
PACKAGE = "package"


def write_distribution(backend: NewBackend, parent: Path) -> Path:
    """Write the distribution into a new folder below ``parent``, and return that folder.

    Raises:
        FileExistsError: the folder exists already.
        OSError: the folder cannot be written; nothing of it is left.
    """
    target = parent / backend.distribution
    if target.exists() or target.is_symlink():
        raise FileExistsError(
            f"{target} exists already, and nothing was written. Move it away, go to another"
            " folder, or choose another name."
        )
    files = dict(_rendered(backend))
    # It is beside the target, so that one step moves the finished folder into place.
    workshop = Path(tempfile.mkdtemp(prefix=f".{backend.distribution}-", dir=parent))
    try:
        finished = workshop / target.name
        for path, text in files.items():
            (finished / path).parent.mkdir(parents=True, exist_ok=True)
            (finished / path).write_text(text, encoding="utf-8", newline="\n")
        finished.rename(target)
    finally:
        shutil.rmtree(workshop)
    return target


def _rendered(backend: NewBackend) -> Iterator[tuple[Path, str]]:
    """Yield the path and the text of each file, those of all kinds of backends first."""
    context = Context(backend.context(), autoescape=False)
    for folder in (TEMPLATES / name for name in backend.folders):
        for template in sorted(folder.rglob(f"*{SUFFIX}")):
            parts = template.relative_to(folder).with_name(template.name.removesuffix(SUFFIX)).parts
            path = Path(*(backend.package if part == PACKAGE else part for part in parts))
            text = template.read_text(encoding="utf-8")
            yield path, Engine().from_string(text).render(context)
