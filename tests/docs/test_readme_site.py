"""The README's "On your site", followed step by step on a site of its own."""

from __future__ import annotations

from pathlib import Path

from .code_blocks import block, said_by

SITE = Path(__file__).with_name("readme_site.py")


def test_readme_site_works(tmp_path: Path) -> None:
    (tmp_path / "blog").mkdir()
    (tmp_path / "blog" / "__init__.py").touch()
    (tmp_path / "blog" / "models.py").write_text(block("blog/models.py"), encoding="utf-8")
    best = said_by(SITE, tmp_path).splitlines()[-5:][0]
    assert "Your first loaf" in best
