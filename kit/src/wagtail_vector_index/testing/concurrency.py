"""Many threads use one backend at once."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.db.models import Q

from wagtail_vector_index.contract import CollectionSpec, Match, RecordBatch

from .examples import id_of, random_vectors, sorted_ids
from .expect import expect, expect_equal
from .harness import Harness
from .judging import score
from .rules import about

__all__ = ["ConcurrencyTests"]

QUERY = [1.0, 0.5, -0.5, 2.0]
#: More threads than a server of a site has, and than most pools have connections.
CROWD = 32
FEWEST_READS, FEWEST_WRITES, MOST_TURNS = 10, 3, 1000


class ConcurrencyTests(Harness):
    @about("threads-share-a-backend")
    def test_search_while_others_write(self) -> None:
        spec = self.collection(fields={"version": "int"})
        ids = sorted_ids(20)
        versions = [random_vectors(20, 4, seed=seed) for seed in range(6)]
        readers: list[Callable[[], None]] = []
        finished: list[bool] = []
        written: list[int] = []

        # Each side continues until the other has done enough, or MOST_TURNS are over.
        def write() -> None:
            for turn in range(MOST_TURNS):
                number = turn % len(versions)
                self.backend.upsert(spec, self.version(ids, versions[number], number))
                self.backend.delete(spec, ids[turn % 20 : turn % 20 + 2])
                written.append(turn)
                if len(written) >= FEWEST_WRITES and len(finished) == len(readers):
                    break

        def reader(query: list[float]) -> Callable[[], None]:
            def read() -> None:
                for turn in range(MOST_TURNS):
                    found = self.backend.search(spec, query, limit=20, filter=Q(version__gte=0))
                    self.expect_versions(spec, query, found, ids, versions)
                    self.backend.count(spec, Q(version=1))
                    list(self.backend.get(spec, ids))
                    list(self.backend.scan(spec))
                    if turn >= FEWEST_READS and len(written) >= FEWEST_WRITES:
                        break

            def read_and_finish() -> None:
                try:
                    read()
                finally:
                    finished.append(True)

            return read_and_finish

        self.backend.upsert(spec, self.version(ids, versions[0], 0))
        readers += map(reader, random_vectors(3, 4, seed=7))
        self.at_once([write, *readers])

    def expect_versions(
        self,
        spec: CollectionSpec,
        query: list[float],
        found: list[Match],
        ids: list[UUID],
        versions: list[list[list[float]]],
    ) -> None:
        for match in found:
            row = ids.index(match.id)
            known = [score(spec.metric, query, vectors[row]) for vectors in versions]
            nearest = min(abs(match.score - one) for one in known)
            expect(
                nearest < 1e-4,
                f"The score of {match} is that of a vector that this record never had.",
            )
        expect_equal(
            len({match.id for match in found}), len(found), "A search returns each id once."
        )

    def version(self, ids: list[UUID], vectors: list[list[float]], number: int) -> RecordBatch:
        metadata = [{"version": number}] * len(ids)
        return RecordBatch.of(ids=ids, vectors=vectors, metadata=metadata)

    @about("threads-share-a-backend")
    def test_writers_of_different_records(self) -> None:
        spec = self.collection()
        self.cap_batches(records=10)
        crowds = [sorted_ids(30, seed=seed) for seed in range(4)]

        def writer(ids: list[UUID]) -> Callable[[], None]:
            batch = RecordBatch.of(ids=ids, vectors=random_vectors(30, 4))
            return lambda: self.backend.upsert(spec, batch)

        self.at_once([writer(ids) for ids in crowds])
        expected = sorted(id for ids in crowds for id in ids)
        expect_equal(
            self.names(spec), expected, "All records that several threads write at once are stored."
        )

    @about("threads-share-a-backend")
    def test_writers_of_the_same_records(self) -> None:
        spec = self.collection(fields={"version": "int"})
        ids = sorted_ids(20)
        versions = [random_vectors(20, 4, seed=seed) for seed in range(4)]

        def writer(number: int) -> Callable[[], None]:
            batch = self.version(ids, versions[number], number)
            return lambda: self.backend.upsert(spec, batch)

        self.at_once([writer(number) for number in range(4)])
        stored = self.stored(spec)
        expect_equal(sorted(stored), ids, "A record that several threads write is stored once.")
        for match in self.backend.search(spec, QUERY, limit=20):
            version = stored[match.id].metadata["version"]
            expected = score(spec.metric, QUERY, versions[version][ids.index(match.id)])
            rule = "The vector and the metadata of a record come from the same upsert."
            expect(abs(match.score - expected) < 1e-4, rule)

    @about("threads-share-a-backend")
    def test_first_use_in_several_threads(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": QUERY})
        if self.backend.persistent:
            self.backend.close()

        def look() -> None:
            found = [match.id for match in self.backend.search(spec, QUERY)]
            expect_equal(found, [id_of("a")], "Several threads may be the first to use a backend.")

        self.at_once([look] * 6)

    @about("threads-share-a-backend")
    def test_more_threads_than_a_pool_has_connections(self) -> None:
        spec = self.collection()
        self.put(spec, {"a": QUERY})

        def search() -> list[UUID]:
            return [match.id for match in self.backend.search(spec, QUERY)]

        rule = "Of many threads, those that must wait for a connection do so, and get an answer."
        expect_equal(self.at_once([search] * CROWD), [[id_of("a")]] * CROWD, rule)

    @about("threads-share-a-backend")
    def test_create_and_drop_in_several_threads(self) -> None:
        specs: list[CollectionSpec] = [self.spec(fields={"n": "int"}) for _ in range(2)]
        for spec in specs:
            self.at_once([lambda spec=spec: self.backend.create(spec)] * 4)  # type: ignore[misc]
            self.put(spec, {"a": QUERY})
            expect_equal(
                self.backend.count(spec), 1, "Several create() calls at once make one collection."
            )
        for spec in specs:
            self.at_once([lambda spec=spec: self.backend.drop(spec)] * 4)  # type: ignore[misc]
            expect(
                spec.name not in self.backend.collections(),
                "Several drop() calls at once drop the collection.",
            )
