"""A snapshot makes a start quicker; no file, whatever is in it, makes an answer wrong."""

from __future__ import annotations

import logging
import subprocess
import sys
import tempfile
from pathlib import Path
from uuid import UUID

import numpy as np
import pytest
import usearch
from hypothesis import given, settings
from hypothesis import strategies as st
from usearch_wagtail_vectors import collection
from usearch_wagtail_vectors.backend import UsearchBackend
from usearch_wagtail_vectors.graph import Graph

from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch
from wagtail_vector_index.testing import OracleBackend

SPEC = CollectionSpec(name="c", dimensions=32, fields={"n": "int"})

pytestmark = pytest.mark.usefixtures("prefer_graph")


@pytest.fixture
def linked(monkeypatch):
    """How many vectors were linked, which is what takes long."""
    counts = []
    add = Graph.add

    def counting(self, rows, vectors):
        counts.append(len(rows))
        add(self, rows, vectors)

    monkeypatch.setattr(Graph, "add", counting)
    return counts


@pytest.fixture
def snapshot(load, vectors, tmp_path, linked):
    """The file that a first process leaves."""
    load(SPEC, vectors)
    assert sum(linked) == len(vectors)
    linked.clear()
    [path] = tmp_path.iterdir()
    return path


def expect_right(backend, vectors, queries=30):
    """What is found is there, with the right score, and nearly all of the nearest."""
    numbers, rows = list(vectors), np.array(list(vectors.values()), float)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    assert backend.count(SPEC) == len(vectors)
    hits = 0
    for query in rows[:: max(1, len(rows) // queries)]:
        scores = dict(zip(numbers, rows @ query, strict=True))
        found = backend.search(SPEC, query)
        assert len(found) == min(10, len(vectors))
        for match in found:
            assert match.score == pytest.approx(scores[match.id.int], abs=1e-5)
        tenth = sorted(scores.values())[-len(found)]
        hits += sum(scores[match.id.int] >= tenth - 1e-5 for match in found) / len(found)
    assert hits >= 0.95 * len(rows[:: max(1, len(rows) // queries)])


def test_nothing_is_built_again(load, vectors, snapshot, linked):
    before = snapshot.stat().st_mtime_ns
    expect_right(load(SPEC, vectors), vectors)
    assert linked == []
    assert snapshot.stat().st_mtime_ns == before


def test_only_what_has_changed_is_linked(load, vectors, snapshot, linked):
    random = np.random.default_rng(1)
    changed = dict.fromkeys([*range(100), *range(2_000, 2_050)])
    for number in changed:
        changed[number] = random.standard_normal(32).astype(np.float32)
    later = {**vectors, **changed}
    for gone in range(500, 800):
        del later[gone]
    backend = load(SPEC, later)
    assert sum(linked) == len(changed)
    expect_right(backend, later)
    for number in changed:
        assert backend.search(SPEC, changed[number], limit=1)[0].id.int == number
    for gone in range(500, 800):
        assert backend.search(SPEC, vectors[gone], limit=1)[0].score < 0.999
    # What has changed is in the file that this process leaves.
    linked.clear()
    expect_right(load(SPEC, later), later)
    assert linked == []


def test_metadata_comes_from_the_record(load, vectors, snapshot, linked):
    """The file knows nothing of it, so a change of metadata alone changes no vector."""
    backend = load(SPEC, vectors)
    ids = [UUID(int=7)]
    backend.upsert(SPEC, RecordBatch.of(ids=ids, vectors=[vectors[7]], metadata=[{"n": -7}]))
    [record] = backend.get(SPEC, ids)
    assert record.metadata == {"n": -7}


def test_another_site_s_records(load, vectors, snapshot, linked, caplog):
    caplog.set_level(logging.INFO)
    others = {number + 10_000: vector for number, vector in vectors.items()}
    expect_right(load(SPEC, others), others)
    assert sum(linked) == len(others)
    assert "0 of 2000 vectors are unchanged" in caplog.text


def _cut(data):
    return data[: len(data) // 2]


def _cut_header(data):
    return data[:60]


def _longer(data):
    return data + b"\0"


def _flip(share):
    def flip(data):
        at = int(share * len(data))
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    return flip


def _of_version_2(data):
    return data.replace(b"snapshot 1\n", b"snapshot 2\n", 1)


def _of_more(data):
    return data.replace(b'"count": 2000', b'"count": 2001', 1)


def _headless(data):
    return data[: data.index(b"\n") + 1] + b"[]\n"


def _without_count(data):
    return data.replace(b'"count"', b'"amount"', 1)


@pytest.mark.parametrize(
    "damage",
    [
        _cut, _cut_header, _longer, _flip(0.05), _flip(0.2), _flip(0.5), _flip(0.999),
        _of_version_2, _of_more, _headless, _without_count,
        lambda data: b"", lambda data: b"a,b\n1,2\n",
    ],
)  # fmt: skip
def test_a_damaged_file_is_not_used(load, vectors, snapshot, linked, caplog, damage):
    snapshot.write_bytes(damage(snapshot.read_bytes()))
    expect_right(load(SPEC, vectors), vectors)
    assert sum(linked) == len(vectors)
    assert f"{snapshot}: the snapshot is not used: " in caplog.text
    # And it is replaced.
    linked.clear()
    load(SPEC, vectors)
    assert linked == []


def test_of_another_release_of_usearch(load, vectors, snapshot, linked, caplog, monkeypatch):
    monkeypatch.setattr(usearch, "__version__", "99.0")
    expect_right(load(SPEC, vectors), vectors)
    assert sum(linked) == len(vectors)
    assert "not '99.0'" in caplog.text


def test_of_other_options(load, vectors, snapshot, linked, caplog):
    expect_right(load(SPEC, vectors, connectivity=8), vectors)
    assert sum(linked) == len(vectors)
    assert "its connectivity is 16, not 8" in caplog.text


def test_a_folder_that_is_gone(load, vectors, linked, caplog, tmp_path):
    backend = load(SPEC, vectors, snapshot_folder=str(tmp_path / "gone"))
    expect_right(backend, vectors)
    assert "the snapshot cannot be written" in caplog.text


def test_without_a_folder_nothing_is_written(load, vectors, linked, tmp_path):
    expect_right(load(SPEC, vectors, snapshot_folder=""), vectors)
    assert list(tmp_path.iterdir()) == []


def test_a_write_that_fails_leaves_the_old_file(
    load, vectors, snapshot, linked, monkeypatch, caplog
):
    before = snapshot.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    more = {number + 2_000: vector + 1 for number, vector in vectors.items()}
    load(SPEC, vectors | more)
    assert "No space left" in caplog.text
    assert [path.read_bytes() for path in snapshot.parent.iterdir()] == [before]


def test_only_its_owner_may_read_it(snapshot):
    assert snapshot.stat().st_mode & 0o077 == 0


PROCESS = """
import sys
import numpy as np
from uuid import UUID
from usearch_wagtail_vectors.backend import UsearchBackend
from wagtail_vector_index.backends.base import CollectionSpec, RecordBatch

folder, seed = sys.argv[1], int(sys.argv[2])
spec = CollectionSpec(name="c", dimensions=32, fields={"n": "int"})
vectors = np.random.default_rng(0).standard_normal((400, 32)).astype(np.float32)
for turn in range(3):
    # Each process has records of its own, among those of all.
    own = np.random.default_rng([seed, turn, 1])
    vectors[own.integers(400, size=40)] = own.standard_normal((40, 32))
    options = UsearchBackend.Options(snapshot_folder=folder, graph_from=1)
    backend = UsearchBackend("default", options)
    backend.create(spec)
    ids = [UUID(int=number) for number in range(400)]
    backend.upsert(spec, RecordBatch.of(ids=ids, vectors=vectors))
    backend.optimize(spec)
    for number in range(0, 400, 17):
        [best] = backend.search(spec, vectors[number], limit=1)
        assert best.id.int == number and best.score > 0.9999, (number, best)
"""


def test_many_processes_at_once(tmp_path):
    command = [sys.executable, "-W", "error", "-c", PROCESS, str(tmp_path)]
    processes = [
        subprocess.Popen([*command, str(seed)], stderr=subprocess.PIPE, text=True)
        for seed in range(3)
    ]
    told = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 3, told
    assert "not used" not in "".join(told)
    assert len(list(tmp_path.iterdir())) == 1


small = CollectionSpec(name="c", dimensions=3, metric="euclidean", fields={"n": "int"})
components = st.integers(-3, 3).map(float)
changes = st.dictionaries(
    st.integers(0, 30), st.none() | st.tuples(components, components, components), max_size=20
)


@settings(max_examples=30, deadline=None)
@given(starts=st.lists(changes, min_size=1, max_size=6), query=st.tuples(*[components] * 3))
def test_whatever_changes_between_starts(starts, query):
    """Beside the oracle: each start finds the snapshot of one of those before."""
    records: dict[int, tuple[float, ...]] = {}
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory() as folder:
        patch.setattr(collection, "COST_OF_A_STEP", 0)
        options = UsearchBackend.Options(snapshot_folder=folder, graph_from=1)
        for change in starts:
            for number, vector in change.items():
                records.pop(number, None)
                if vector is not None:
                    records[number] = vector
            batch = RecordBatch.of(ids=[UUID(int=n) for n in records], vectors=records.values())
            answers = []
            for backend in (UsearchBackend("default", options), OracleBackend()):
                backend.create(small)
                backend.upsert(small, batch)
                backend.optimize(small)
                answers.append(backend.search(small, query, limit=5))
            ours, right = ([(match.id, round(match.score, 5)) for match in one] for one in answers)
            assert ours == right
