"""Tests with real processes that share the NumPy backend's collections by a file."""

from __future__ import annotations

import json
import sys

import pytest

from .site_processes import Site, finished
from .test_processes import FILL, UPDATE

pytestmark = [
    pytest.mark.once,
    pytest.mark.skipif(sys.platform != "linux", reason="the test reads /proc"),
]

SEARCH = """
import json
import os
from pathlib import Path
from tests.notes.models import Note
from wagtail_vector_index.indexing import catching_up, file_writer, snapshots
snapshots.LEAST_BYTES = 1
catching_up._SHARE_EVERY = 0.0

def search():
    found = [note.pk for note in Note.vector_index.search("note7", limit=300)]
    lines = Path("/proc/self/maps").read_text().splitlines()
    files = [line.split(maxsplit=5)[4:] for line in lines if ".snapshot" in line]
    return {"found": sorted(found), "files": files}
"""

# The search that loads lets a thread write the file. The next one maps it, unless another process
# has its turn at that moment.
SEARCH_AND_SHARE = (
    SEARCH
    + """
search()
file_writer.finish()
while not (answer := search())["files"]:
    pass
print(json.dumps(answer))
"""
)

KILLED_AT_THE_FILE = (
    SEARCH
    + """
import signal
os.fsync = lambda descriptor: os.kill(os.getpid(), signal.SIGKILL)
search()
"""
)

AFTER_A_FORK = (
    SEARCH
    + """
print(json.dumps(search()), flush=True)
child = os.fork()
if not child:
    Note.objects.all()[0].delete()
    from wagtail_vector_index.indexing.updating import update
    update(Note.vector_index)
    print(json.dumps(search()), flush=True)
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0
print(json.dumps(search()))
"""
)


@pytest.fixture
def site(tmp_path):
    database = {"TEST_DATABASE": str(tmp_path / "site.sqlite3"), "TMPDIR": str(tmp_path)}
    site = Site(database)
    site.script(FILL)
    site.run(*UPDATE)
    return site


def answers(output):
    return [json.loads(line) for line in output.splitlines()]


def test_processes_that_start_together_share_one_file(site):
    started = [site.start("-c", SEARCH_AND_SHARE) for _ in range(4)]
    together = [answer for process in started for answer in answers(finished(process))]
    [later] = answers(site.run("-c", SEARCH_AND_SHARE))
    assert len(later["found"]) == 300
    [_] = later["files"]
    assert together == [later] * 4


def test_a_process_that_is_killed_while_it_writes_harms_nobody(site, tmp_path):
    killed = site.start("-c", KILLED_AT_THE_FILE)
    killed.wait()
    assert killed.returncode == -9
    assert len(list(tmp_path.rglob("*.new"))) == 1
    [next_one] = answers(site.run("-c", SEARCH_AND_SHARE))
    assert len(next_one["found"]) == 300
    assert len(next_one["files"]) == 1
    assert list(tmp_path.rglob("*.new")) == []


def test_a_fork_leaves_both_with_the_truth(site):
    before, child, parent = answers(site.run("-c", AFTER_A_FORK))
    assert len(before["found"]) == 300
    assert len(child["found"]) == len(parent["found"]) == 299
