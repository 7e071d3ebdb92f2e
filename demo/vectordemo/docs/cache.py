"""Keeps the converted documents in a file, because conversion takes some seconds."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path

from vectordemo.docs import source
from vectordemo.docs.convert import Document, convert
from vectordemo.docs.names import Names


def documents(archive, folder, progress=iter):
    """Return every document of the site, converted once for each archive and converter."""
    path = folder / f"documents-{source.version(archive)}-{_code_hash()}.json"
    if path.exists():
        return [Document(**fields) for fields in json.loads(path.read_text("utf-8"))]
    converted = list(_converted(archive, progress))
    for outdated in folder.glob("documents-*.json"):
        outdated.unlink()
    partial = path.with_suffix(".part")
    partial.write_text(json.dumps([asdict(document) for document in converted]), "utf-8")
    partial.replace(path)
    return converted


def _converted(archive, progress):
    sources = source.read_documents(archive)
    names = Names(sources)
    version = source.version(archive).rpartition(".")[0]
    for path in progress([path for path in sources if source.is_shown(path)]):
        yield convert(sources[path], path, names, version)


def _code_hash():
    """Return a hash of this package's code, so that a changed converter converts again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
