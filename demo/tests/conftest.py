import sys
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))


@pytest.fixture(scope="session")
def document():
    """Return the converted sample."""
    pytest.importorskip("docutils", reason="a requirement of the demo alone")
    from vectordemo.docs.convert import convert
    from vectordemo.docs.names import Names

    path = "kitchen/bread"
    sources = {
        path: (HERE / "bread.txt").read_text("utf-8"),
        "kitchen/oven": ".. _hot-oven:\n\nThe ``Oven`` and :class:`~kitchen.Heat`\n====\n\nHot.\n",
    }
    return convert(sources[path], path, Names(sources), "5.2")
