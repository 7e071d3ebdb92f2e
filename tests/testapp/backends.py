"""A vector backend for tests that stands for a server: it outlives its clients."""

import math
from dataclasses import dataclass

from wagtail_vector_index.backends.base import RecordBatch, VectorBackend
from wagtail_vector_index.contract import EXACT, ExactMatches
from wagtail_vector_index.testing.oracle import OracleBackend


class ServerBackend(OracleBackend):
    """Persistent; counts what it is sent, and can be told to fail."""

    @dataclass(frozen=True, kw_only=True)
    class Options(VectorBackend.Options):
        api_key: str = ""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.upserted = 0
        self.deleted = 0
        self.optimized = []
        #: Called with the name of a method before it runs; what it raises is raised.
        self.before = lambda method: None

    @property
    def persistent(self):
        return True

    def _upsert(self, spec, batch):
        self.before("upsert")
        super()._upsert(spec, batch)
        self.upserted += len(batch)

    def _delete(self, spec, ids):
        self.before("delete")
        super()._delete(spec, ids)
        self.deleted += len(ids)

    def _optimize(self, spec):
        self.before("optimize")
        self._collection(spec)  # a lost collection cannot be optimized
        self.optimized.append(spec.name)

    def _drop(self, spec):
        self.before("drop")
        super()._drop(spec)


class DirectionBackend(ServerBackend):
    """Keeps only the directions of vectors if the metric is cosine, as Qdrant does."""

    def _upsert(self, spec, batch):
        if spec.metric == "cosine":
            vectors = [
                [number / math.hypot(*record.vector) for number in record.vector]
                for record in batch
            ]
            metadata = [record.metadata for record in batch]
            batch = RecordBatch.of(ids=batch.uuids, vectors=vectors, metadata=metadata)
        super()._upsert(spec, batch)


class CrashingBackend(ServerBackend):
    """Behaves as Weaviate was seen to: it does not index again what it already holds."""

    def __init__(self, alias, options):
        super().__init__(alias, options)
        self.unindexed = set()
        self.runs = 1

    def service_run(self):
        return f"run {self.runs}"

    def crash(self, ids=()):
        """Start again, and have lost these records from the index."""
        self.unindexed |= set(ids)
        self.runs += 1

    def _upsert(self, spec, batch):
        held = set(self._get(spec, batch.uuids).uuids)
        try:
            super()._upsert(spec, batch)
        except Exception:
            OracleBackend._upsert(self, spec, batch)
            self.unindexed |= set(batch.uuids) - held
            raise

    def _delete(self, spec, ids):
        super()._delete(spec, ids)
        self.unindexed -= set(ids)

    def _search(self, spec, vector, limit, filter, min_score):
        found = super()._search(spec, vector, limit + len(self.unindexed), filter, min_score)
        return [match for match in found if match.id not in self.unindexed][:limit]


class ApproximateBackend(ServerBackend):
    """Sees a quarter of the records, unless a setting makes it look at more of them."""

    @dataclass(frozen=True, kw_only=True)
    class Options(ServerBackend.Options):
        recall: float = 0.98
        looks: tuple[int, ...] = (1, 2, 4)

    recall_advice = "Look at more."

    def __init__(self, alias, options):
        super().__init__(alias, options)
        #: The settings of all searches.
        self.searched = []
        #: How many more quarters each search sees.
        self.links = 0
        #: How many times a better index may be built.
        self.better = 0

    def _search_settings(self, spec):
        return [{"look": look} for look in self.options.looks]

    def _search(self, spec, vector, limit, filter, min_score):
        self.before("search")
        self.searched.append(dict(spec.setting))
        found = super()._search(spec, vector, super()._count(spec, None), filter, min_score)
        if spec.setting == EXACT:
            return ExactMatches(found[:limit])
        look = self.links + spec.setting.get("look", self.options.looks[0])
        return [match for match in found if match.id.int % 4 < look][:limit]

    def _build_better_index(self, spec):
        self.links += self.better
        return bool(self.better)


class ApproximateCopyBackend(ApproximateBackend):
    """The same in this process's memory."""

    @property
    def persistent(self):
        return False
