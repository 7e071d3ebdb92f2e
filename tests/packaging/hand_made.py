"""Wheels put together by hand: what no build tool would make can be in them."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from collections.abc import Mapping
from pathlib import Path

TAG = "py3-none-any"


def make_wheel(
    folder: Path, name: str, version: str, files: Mapping[str, str], entry_points: str
) -> Path:
    """Write the wheel of a distribution with these files, and return its path."""
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    contents = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {TAG}\n",
        f"{info}/entry_points.txt": f"[wagtail_vector_index]\n{entry_points}\n",
    }
    record = f"{info}/RECORD"
    contents[record] = "\n".join([*map(recorded, contents.items()), f"{record},,", ""])
    path = folder / f"{stem}-{TAG}.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for file, text in contents.items():
            archive.writestr(file, text)
    return path


def recorded(item: tuple[str, str]) -> str:
    """The line of RECORD for one file."""
    file, content = item[0], item[1].encode()
    digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
    return f"{file},sha256={digest},{len(content)}"
