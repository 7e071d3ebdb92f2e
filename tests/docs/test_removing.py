"""The guide that removes an index and the package is followed on a project, command by command."""

from __future__ import annotations

import os
import shlex
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from .code_blocks import ROOT, Block, blocks

GUIDE = ROOT / "docs" / "how-to" / "remove.md"
MANAGE = Path(__file__).with_name("removing_site.py")
WITH_INDEX = """
from django.db import models
from wagtail_vector_index.models import EmbeddingField, VectorIndexedMixin

class Recipe(VectorIndexedMixin, models.Model):
    text = models.TextField()
    embedding_fields = [EmbeddingField("text")]
"""
WITHOUT = """
from django.db import models

class Recipe(models.Model):
    text = models.TextField()
"""
pytestmark = pytest.mark.once


class Project:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.has_package = True
        (folder / "recipes").mkdir()
        (folder / "recipes" / "__init__.py").touch()
        self.models = folder / "recipes" / "models.py"
        self.models.write_text(WITH_INDEX, encoding="utf-8")

    def manage(self, *words: str) -> str:
        environment = {
            **os.environ,
            "HAS_PACKAGE": str(int(self.has_package)),
        }
        done = subprocess.run(
            [sys.executable, str(MANAGE), *words],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def follow(self, block: Block) -> str:
        """Run the commands of a block, except those that change the environment of this test."""
        lines = [shlex.split(line) for line in block.code.splitlines()]
        return "".join(
            self.manage(*words[2:]) for words in lines if words[:2] == ["python", "manage.py"]
        )

    def rows(self, query: str) -> list[tuple[object, ...]]:
        with closing(sqlite3.connect(self.folder / "site.sqlite3")) as connection:
            return connection.execute(query).fetchall()


def test_the_guide(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.manage("makemigrations", "recipes")
    project.manage("migrate", "--verbosity", "0")
    with closing(sqlite3.connect(tmp_path / "site.sqlite3")) as connection, connection:
        connection.execute("INSERT INTO recipes_recipe (text) VALUES ('bread'), ('cake')")
    project.manage("update_vector_indexes")
    assert len(project.rows("SELECT * FROM wvi_document")) == 2

    listed, deleted, tables, permissions = blocks("sh", GUIDE)
    project.models.write_text(WITHOUT, encoding="utf-8")
    assert "recipes.Recipe is no index of this site. It has left 2 chunks" in project.follow(listed)
    assert "recipes.Recipe: removed." in project.follow(deleted)
    for table in ("wvi_document", "wvi_embedding", "wvi_collection", "wvi_pending_change"):
        assert project.rows(f"SELECT * FROM {table}") == []  # our own tables

    project.follow(tables)
    assert project.rows("SELECT name FROM sqlite_master WHERE name LIKE 'wvi%'") == []
    project.has_package = False
    project.follow(permissions)
    assert project.rows("SELECT * FROM auth_permission WHERE codename LIKE '%_collection'") == []
    assert "no issues" in project.manage("check")
    assert "No changes detected" in project.manage("makemigrations", "--check", "--dry-run")
    assert project.rows("SELECT text FROM recipes_recipe") == [("bread",), ("cake",)]
