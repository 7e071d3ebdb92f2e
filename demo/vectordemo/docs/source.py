"""Downloads Django's source distribution with pip, and reads its documentation."""

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

REQUIREMENT = "django==5.2.*"
FOLDERS = ("topics", "ref", "howto", "faq", "intro")
MEMBER = re.compile(r"^[^/]+/docs/(?P<path>.+)\.txt$")


class DownloadFailed(Exception):
    """Raised if pip did not download the source distribution."""


def source_distribution(folder):
    """Return the path of the source distribution, having downloaded it if necessary."""
    return _downloaded(folder) or _download(folder)


def _downloaded(folder):
    return next(iter(sorted(folder.glob("[Dd]jango-*.tar.gz"))), None)


def _download(folder):
    folder.mkdir(parents=True, exist_ok=True)
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input"]
    options = ["--disable-pip-version-check", "--no-deps", "--no-binary", "django"]
    # In the same folder, so that a move puts the archive in place as a whole or not at all.
    with tempfile.TemporaryDirectory(prefix="download-", dir=folder) as unfinished:
        result = subprocess.run(
            [*pip, *options, "--dest", unfinished, REQUIREMENT],
            capture_output=True,
            text=True,
            check=False,
        )
        if result.returncode == 0 and (path := _downloaded(Path(unfinished))):
            return path.replace(folder / path.name)
    raise DownloadFailed(
        f"pip could not download the source distribution of {REQUIREMENT}.\n"
        f"{result.stderr.strip()}\n"
        f"Any {REQUIREMENT} source distribution put into {folder} by hand will do."
    )


def version(archive):
    return archive.name.removesuffix(".tar.gz").rpartition("-")[2]


def read_documents(archive):
    """Return the text of every document by its path without suffix, in the archive's order."""
    documents = {}
    with tarfile.open(archive) as tar:
        for member in tar:
            if match := MEMBER.match(member.name):
                documents[match["path"]] = tar.extractfile(member).read().decode()
    return documents


def is_shown(path):
    return path.partition("/")[0] in FOLDERS
