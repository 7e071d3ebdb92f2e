"""Keeps the converted documents in a file, because conversion takes some seconds."""

import functools
import hashlib
import json
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from pathlib import Path

from vectordemo.docs import source
from vectordemo.docs.convert import Document, convert
from vectordemo.docs.names import Names

#: How many documents are sent to a process at a time. The names go with them.
_AT_ONCE = 10


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
    shown = [path for path in sources if source.is_shown(path)]
    with ProcessPoolExecutor() as pool:
        one = functools.partial(_converted_one, names=names, version=version)
        some = pool.map(one, shown, map(sources.get, shown), chunksize=_AT_ONCE)
        for _, document in zip(progress(shown), some, strict=True):
            yield document


def _converted_one(path, text, names, version):
    return convert(text, path, names, version)


def _code_hash():
    """Return a hash of this package's code, so that a changed converter converts again."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:12]
