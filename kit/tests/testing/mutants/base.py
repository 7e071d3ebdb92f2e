"""What every broken backend starts from: an oracle that can refuse records, or be away."""

from contextlib import contextmanager

from hypothesis import Phase, settings

from wagtail_vector_index.contract.records import RecordBatch
from wagtail_vector_index.exceptions import BackendUnavailable, WriteFailed
from wagtail_vector_index.testing import OracleBackend, VectorBackendConformance


class Refusing(OracleBackend):
    """Right in everything; refuses to write some ids, or is away, while told so."""

    #: What its failures are: the suite's own, unless the mutant raises of itself.
    caught_as = AssertionError

    fork_timeout = 30.0

    def __init__(self):
        super().__init__()
        self.refused = set()
        self.away = False

    def _collection(self, spec):
        self.reach()
        return super()._collection(spec)

    def _create(self, spec):
        self.reach()
        super()._create(spec)

    def _drop(self, spec):
        self.reach()
        super()._drop(spec)

    def _collections(self):
        self.reach()
        return super()._collections()

    def reach(self):
        if self.away:
            raise BackendUnavailable("There is nobody.")

    @contextmanager
    def refuse(self, ids):
        self.refused = set(ids)
        yield
        self.refused = set()

    def _upsert(self, spec, batch):
        if not self.refused:  # a copy of thousands of records takes longer than to write them
            super()._upsert(spec, batch)
            return
        super()._upsert(spec, pick(batch, lambda record: record.id not in self.refused))
        if refused := self.refused.intersection(batch.uuids):
            self.report(refused)

    def report(self, refused):
        raise WriteFailed("Some records were refused.", refused)


class MutantConformance(VectorBackendConformance):
    """The suite, for a backend class that is set as ``backend_class``."""

    backend_class = Refusing

    stateful_settings = settings(
        VectorBackendConformance.stateful_settings, phases=[Phase.generate], max_examples=200
    )

    @property
    def fork_timeout(self):
        return self.backend_class.fork_timeout

    def make_backend(self):
        return self.backend_class()

    def refusing(self, backend, spec, ids):
        return backend.refuse(ids)

    def unreachable(self):
        backend = self.make_backend()
        backend.away = True
        return backend


def pick(batch, condition):
    """The records of a batch for which the condition holds."""
    return of(record for record in batch if condition(record))


def of(records, metadata=lambda metadata: metadata, vector=lambda vector: vector):
    """A batch of records, with metadata and vectors changed."""
    records = list(records)
    return RecordBatch.of(
        ids=[record.id for record in records],
        vectors=[vector(record.vector) for record in records],
        metadata=[metadata(record.metadata) for record in records],
    )


#: The mutants of the modules that name the test beside the mutant, by test.
CAUGHT: dict[str, list[type[Refusing]]] = {}


def caught_by(test):
    """Name the test that must catch a mutant."""

    def decorate(mutant):
        CAUGHT.setdefault(test, []).append(mutant)
        return mutant

    return decorate


def made(test, name, says, *bases, **methods):
    """Make a mutant: a class of this name, whose docstring tells what is wrong with it."""
    body = {"__doc__": says, "__module__": __name__, **methods}
    return caught_by(test)(type(name, bases or (Refusing,), body))
