"""What must hold once everybody has been killed, and the outbox is written or an update has run."""

import json
from collections import Counter
from dataclasses import dataclass, field
from itertools import combinations

from django.core.management import call_command
from django.utils import timezone

from tests.killing.editing import WORDS
from tests.killing.indexing import INDEXES, log_what_is_held
from wagtail_vector_index.handlers import vector_backends
from wagtail_vector_index.indexes.registry import get_index
from wagtail_vector_index.indexing.catching_up import catch_up
from wagtail_vector_index.indexing.updating import apply_changes
from wagtail_vector_index.models import Collection, Document, Embedding, PendingChange
from wagtail_vector_index.models.tables import xor


def judge(log):
    """Write what is in the outbox, update once, and compare with indexes built from scratch.

    Returns what was found, to be told.
    """
    log_what_is_held()
    promises = PendingChange.objects.exclude(promise=None).count()
    PendingChange.objects.update(next_attempt=timezone.now())
    after_drains = [drained(get_index(name)) for name in INDEXES]
    call_command("update_vector_indexes", *INDEXES, verbosity=0)
    assert not PendingChange.objects.exists()
    after_kills = [state(get_index(name)) for name in INDEXES]
    paid = judge_payments(log)
    for model in (Document, Collection, Embedding):
        model.objects.all().delete_rows()
    call_command("update_vector_indexes", *INDEXES, verbosity=0)
    from_scratch = [state(get_index(name)) for name in INDEXES]
    for name, without, (documents, _) in zip(INDEXES, after_drains, from_scratch, strict=True):
        assert without in (None, documents), f"a change of {name} was in no row of the outbox"
    assert after_kills == from_scratch, "the index differs from one built from scratch"
    return {
        "documents": [len(documents) for documents, _ in from_scratch],
        "promises": promises,
        "compared_after_drains": sum(documents is not None for documents in after_drains),
        **paid,
    }


def drained(index):
    """The documents of an index, by its outbox alone; None if it was never built to its end."""
    apply_changes(index)
    collection = Collection.objects.filter(index=index.name, state=Collection.State.ACTIVE).first()
    if collection is None:
        return None
    return rows_of(Document.objects.filter(collection=collection, deleted_at=None))


def rows_of(documents):
    rows = documents.values_list("object_key", "position", "context", "content", "metadata")
    return sorted(rows)


def state(index):
    """The documents and search results of an index, once its parts are seen to agree."""
    collection = Collection.objects.get(index=index.name, state=Collection.State.ACTIVE)
    live = Document.objects.filter(collection=collection, deleted_at=None)
    ids = set(live.values_list("pk", flat=True))
    assert len(ids) == collection.document_count
    assert len(set(live.values_list("object_key", flat=True))) == collection.object_count
    assert xor(ids) == collection.document_xor.int
    results = [
        sorted((found.pk, round(found.vector_score, 4), found.vector_excerpt) for found in hits)
        for hits in (index.search(" ".join(WORDS[at : at + 3]), limit=200) for at in range(20))
    ]
    backend = vector_backends[collection.vector_backend]
    spec = catch_up(collection, backend)
    assert {id for batch in backend.scan(spec) for id in batch.uuids} == ids
    return rows_of(live), results


@dataclass
class Hold:
    """The time in which one drain got the embeddings that it lacked, in lines of the log."""

    begin: int
    #: None: it was killed.
    end: int | None = None
    #: The line and the texts of each call of the embedding service.
    calls: list = field(default_factory=list)

    def was_in_flight(self, text):
        """Whether the text may not have been kept, since the process was killed."""
        return self.end is None and text in self.calls[-1][1]

    def kept_before(self, text):
        """A line of the log that was written after the text had been kept."""
        lines = [line for line, _ in self.calls] + [self.end]
        return next(lines[at + 1] for at, (_, texts) in enumerate(self.calls) if text in texts)


def judge_payments(log):
    """No text is embedded twice, but for those in flight at a kill, or held by two at once."""
    paid = payers(log)
    in_flight, at_once = Counter(), Counter()
    for text, holds in paid.items():
        for earlier, later in combinations(holds, 2):
            if earlier.was_in_flight(text):
                in_flight[text] += 1
            else:
                assert later.begin < earlier.kept_before(text), f"{text!r} was paid for twice"
                at_once[text] += 1
    return {
        "paid": sum(map(len, paid.values())),
        "texts": len(paid),
        "again_after_a_kill": len(in_flight),
        "again_held_at_once": len(at_once),
    }


def payers(log):
    """For each text the holds that paid for it, in order."""
    running, paid = {}, {}
    for line, entry in enumerate(map(json.loads, log.read_text().splitlines())):
        process = entry["process"]
        if entry["event"] == "begin":
            running[process] = Hold(line)
        elif entry["event"] == "end":
            running.pop(process).end = line
        elif process in running:  # and no query
            running[process].calls.append((line, entry["texts"]))
            for text in entry["texts"]:
                paid.setdefault(text, []).append(running[process])
    return paid
