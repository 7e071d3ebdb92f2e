"""Tests of the download of Django's source distribution."""

import subprocess
from pathlib import Path

import pytest
from vectordemo.docs import source


def pip(monkeypatch, code):
    """Let pip write an archive, and return this code."""

    def write(command, **options):
        folder = Path(command[command.index("--dest") + 1])
        (folder / "django-5.2.1.tar.gz").write_text("archive" if code == 0 else "arch")
        return subprocess.CompletedProcess(command, code, "", "interrupted")

    monkeypatch.setattr(source.subprocess, "run", write)


def test_an_unfinished_download_is_not_used(tmp_path, monkeypatch):
    pip(monkeypatch, 1)
    with pytest.raises(source.DownloadFailed, match="interrupted"):
        source.source_distribution(tmp_path)
    assert not list(tmp_path.iterdir())

    pip(monkeypatch, 0)
    archive = source.source_distribution(tmp_path)
    assert archive.read_text() == "archive"
    assert [archive] == list(tmp_path.iterdir())
