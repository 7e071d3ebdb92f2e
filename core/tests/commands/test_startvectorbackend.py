"""``startvectorbackend`` without the authors' kit, and with a broken one."""

import subprocess
import sys

import pytest
from django.core.management import CommandError, call_command

SCAFFOLD = "wagtail_vector_index.scaffold"
REMEDY = 'pip install "wagtail-vector-index[testing]"'
RUN = """
import runpy, sys
sys.modules["wagtail_vector_index.scaffold"] = None
sys.argv[1:1] = ["startvectorbackend"]
runpy.run_module("wagtail_vector_index", run_name="__main__")
"""


def test_names_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, SCAFFOLD, None)
    with pytest.raises(CommandError) as caught:
        call_command("startvectorbackend", "acme")
    assert str(caught.value).endswith(f"which is not installed. Run: {REMEDY}")


@pytest.mark.parametrize("arguments", [[], ["acme"], ["--kind", "chat"], ["--help"]])
def test_as_a_program_ends_with_1_and_without_a_traceback(arguments, tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", RUN, *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("CommandError: startvectorbackend is part of the authors' kit")
    assert REMEDY in done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_a_kit_that_cannot_be_imported_is_not_called_absent(monkeypatch):
    for name in [name for name in sys.modules if name.startswith(SCAFFOLD)]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, f"{SCAFFOLD}.naming", None)
    with pytest.raises(ModuleNotFoundError, match="naming"):
        call_command("startvectorbackend", "acme")
