"""The tests of backends that keep their records outside the process."""

import pytest

from wagtail_vector_index.exceptions import BackendUnavailable
from wagtail_vector_index.testing import OracleBackend
from wagtail_vector_index.testing.lifecycle import LifecycleTests
from wagtail_vector_index.testing.processes import ProcessTests

from .runner import cases_of, first_failure
from .stores import FileBackend


class FileConformance(LifecycleTests, ProcessTests):
    backend_class = FileBackend

    @pytest.fixture(autouse=True)
    def _path(self, tmp_path):
        self.path = tmp_path / "records"

    def make_backend(self):
        return self.backend_class("file", FileBackend.Options(path=str(self.path)))


class TestFileBackend(FileConformance):
    pass


class ReadsOnce(FileBackend):
    """What other instances write is not seen."""

    def load(self):
        if not self.stored:
            super().load()


class SavesWhenClosed(FileBackend):
    """The collections are saved, the records are not before close()."""

    def _upsert(self, spec, batch):
        OracleBackend._upsert(self, spec, batch)

    def load(self):
        if not self.stored:
            super().load()

    def close(self):
        self.save()


class ClearedWhenClosed(FileBackend):
    """close() takes the records with it."""

    def close(self):
        self.stored = {}
        self.save()


class OnePerProcess(FileBackend):
    """A lock on the store keeps a second instance out."""

    caught_as = BackendUnavailable

    def __init__(self, alias, options):
        super().__init__(alias, options)
        lock = self.path.with_suffix(".lock")
        if lock.exists():
            raise BackendUnavailable("locked by another process")
        lock.touch()


@pytest.mark.parametrize("mutant", [ReadsOnce, SavesWhenClosed, ClearedWhenClosed, OnePerProcess])
def test_mutant_is_caught(mutant, tmp_path):
    number = iter(range(1_000))

    class Suite(FileConformance):
        backend_class = mutant

        def __init__(self):
            self.path = tmp_path / str(next(number))

    caught = first_failure(Suite, cases_of(ProcessTests))
    assert caught, f"No test noticed a backend where {mutant.__doc__}"
    assert isinstance(caught[1], getattr(mutant, "caught_as", AssertionError)), caught
